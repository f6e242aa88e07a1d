"""Pictures of a cell in space, from its surfaces: by itself from two sides, and in the volume.

A nucleus is solid, a membrane translucent. Where a side of the volume cuts an object, it ends in a
flat section, which is striped and has a red edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.blending import Canvas, Color
from hela_dask.kernels.raster import (
    Layers,
    draw_flat,
    draw_membrane,
    draw_opaque,
    empty_layers,
)
from hela_dask.kernels.shading import (
    Camera,
    Frame,
    darken_recesses,
    extents,
    light,
    project,
    vertex_normals,
)
from hela_dask.steps.shape import ShapedObject
from hela_dask.types import Floats, Grey, Mask, Sides, Triple

__all__ = [
    "PIXELS",
    "SUPERSAMPLE",
    "VIEWS",
    "VOLUME_VIEWS",
    "Solid",
    "Sprite",
    "draw_cell",
    "draw_sprite",
    "make_solid",
    "place_plane",
    "volume_frames",
]

VIEWS = (Camera(30, 25), Camera(215, -25))
"""From above, and from below from the opposite side: each side of the volume is seen in one."""

VOLUME_VIEWS = (Camera(25, 35), Camera(205, 35))
"""From above, from opposite sides."""

SUPERSAMPLE = 2
"""Samples along each side of a pixel."""

PIXELS = 440
"""Of a view of a cell, along each side."""

_VOLUME_PIXELS = 760  # of a view of the volume, along its longer side
_MARGIN = 0.04
_FLAT_TONE = 0.5  # of a cut, beside as much of the light on it
_LEAST_SAMPLE = 0.25  # nm; a cell of a few voxels still fills its picture


class _Section(NamedTuple):
    """A flat cut."""

    inside: Mask  # (v, u)
    place: Floats  # (3, 3): z, y, x in nm of the first pixel's centre; steps along v and u
    outward: Floats  # normal (z, y, x)


@dataclass(frozen=True)
class Solid:
    """The surface of an object, ready to be drawn."""

    vertices: Floats  # (n, 3), z, y, x in nm
    faces: NDArray[np.int32]
    normals: Grey  # (n, 3)
    sections: tuple[_Section, ...]

    @property
    def cut_sides(self) -> list[tuple[int, int]]:
        """Axis, and 0 (lower) or 1 (upper), of each side of the volume that cuts the object."""
        return [
            (int(np.abs(section.outward).argmax()), int(section.outward.sum() > 0))
            for section in self.sections
        ]

    def extents(self, axes: Floats) -> Floats:
        """The least and the largest place (nm) along axes (k, 3), with the cuts: (2, k)."""
        found = [extents(self.vertices, axes)]
        for section in self.sections:
            v, u = np.nonzero(section.inside)
            ends = [(v.min(), u.min()), (v.max(), u.max()), (v.min(), u.max()), (v.max(), u.min())]
            corners = np.array([[1, *end] for end in ends]) @ section.place
            found.append(extents(corners, axes))
        low, high = np.array(found)[:, 0].min(axis=0), np.array(found)[:, 1].max(axis=0)
        return np.array([low, high])


def _extents(cell: Solid | None, nucleus: Solid | None, axes: Floats) -> Floats:
    found = np.array([solid.extents(axes) for solid in (cell, nucleus) if solid is not None])
    return np.array([found[:, 0].min(axis=0), found[:, 1].max(axis=0)])


def make_solid(found: ShapedObject, cut: Sides, origin: Triple) -> Solid:
    """The surface of an object at its place.

    Parameters
    ----------
    found
        The object.
    cut
        Sides of its box that are sides of the volume.
    origin
        Place (z, y, x) of the outer corner of the box, nm.
    """
    voxel = np.array(found.voxel)
    start = np.array(origin) + found.origin + voxel / 2
    surface, sections = found.surface, []
    for axis, sides in enumerate(cut):
        for upper, is_cut in enumerate(sides):
            inside = np.take(surface.inside, -upper, axis)
            if is_cut and inside.any():
                outward = np.zeros(3)
                outward[axis] = 2 * upper - 1
                first = start.copy()
                first[axis] += ((surface.inside.shape[axis] if upper else 0) - 0.5) * voxel[axis]
                steps = np.diag(voxel)[[other for other in range(3) if other != axis]]
                sections.append(_Section(inside, np.array([first, *steps]), outward))
    normals = vertex_normals(surface.vertices, surface.faces)
    return Solid(surface.vertices + start, surface.faces, normals, tuple(sections))


def draw_cell(
    cell: Solid | None,
    nucleus: Solid | None,
    membrane: Color,
    core: Color,
    pixels: int = PIXELS,
) -> tuple[list[NDArray[np.uint8]], float]:
    """A cell from the directions of :data:`VIEWS`.

    Parameters
    ----------
    cell, nucleus
        One of them may be None.
    membrane, core
        Colours of the cell's membrane and of its nucleus.
    pixels
        Of a picture, along each side.

    Returns
    -------
    pictures : list of ndarray of uint8, (rows, columns, 3)
    pixel : float
        Side of a pixel of all pictures, nm.
    """
    side = pixels * SUPERSAMPLE
    seen = [_extents(cell, nucleus, view.axes[:2]) for view in VIEWS]
    longest = max(float((high - low).max()) for low, high in seen)
    sample = max(_LEAST_SAMPLE, longest / (side * (1 - 2 * _MARGIN)))
    pictures = []
    for view, (low, high) in zip(VIEWS, seen, strict=True):
        frame = Frame(view.axes, sample, (low + high - side * sample) / 2)
        layers = _draw(cell, nucleus, frame, side, side)
        canvas = Canvas(side, side, SUPERSAMPLE)
        canvas.paint_opaque(layers, core)
        canvas.paint_membrane(layers, membrane)
        pictures.append(canvas.pixels())
    return pictures, sample * SUPERSAMPLE


def _draw(
    cell: Solid | None, nucleus: Solid | None, frame: Frame, rows: int, columns: int
) -> Layers:
    layers = empty_layers(rows, columns)
    if nucleus is not None:
        points, tones, _ = project(nucleus.vertices, nucleus.normals, frame)
        draw_opaque(layers, points, tones, nucleus.faces)
        _draw_sections(layers, nucleus, frame, opaque=True)
        darken_recesses(layers, frame.sample)
    if cell is not None:
        points, tones, thickness = project(cell.vertices, cell.normals, frame)
        draw_membrane(layers, points, tones, thickness, cell.faces)
        _draw_sections(layers, cell, frame, opaque=False)
    return layers


def _draw_sections(layers: Layers, solid: Solid, frame: Frame, *, opaque: bool) -> None:
    for section in solid.sections:
        tone, thickness = light(section.outward, frame.axes)
        draw_flat(
            layers,
            section.inside,
            place_plane(section.place, frame),
            tone=_FLAT_TONE + (1 - _FLAT_TONE) * tone,
            thickness=None if opaque else thickness,
            faces_viewer=float(frame.axes[2] @ section.outward) > 0,
        )


def place_plane(place: Floats, frame: Frame) -> Floats:
    """The first pixel of a plane and its steps in a view: rows, columns and nm of height.

    `place` has them as z, y, x in nm: (3, 3).
    """
    points = frame.place(np.array([place[0], place[0] + place[1], place[0] + place[2]]))
    return np.array([points[0], points[1] - points[0], points[2] - points[0]])


def volume_frames(extent: Triple) -> list[tuple[Frame, int, int]]:
    """The frame, the rows and the columns (samples) of each of :data:`VOLUME_VIEWS`.

    `extent` is that of the volume (z, y, x), nm.
    """
    corners = np.array(list(np.ndindex(2, 2, 2))) * np.array(extent)
    longest = _VOLUME_PIXELS * SUPERSAMPLE
    seen = [extents(corners, view.axes[:2]) for view in VOLUME_VIEWS]
    sizes = [high - low for low, high in seen]
    room = longest * (1 - 2 * _MARGIN)
    sample = max(_LEAST_SAMPLE, *(float(size.max()) / room for size in sizes))
    found = []
    for view, size, (low, high) in zip(VOLUME_VIEWS, sizes, seen, strict=True):
        # Whole pixels.
        rows, columns = (
            SUPERSAMPLE * int(np.ceil((length / sample + 2 * _MARGIN * longest) / SUPERSAMPLE))
            for length in size
        )
        first = (low + high - np.array([rows, columns]) * sample) / 2
        found.append((Frame(view.axes, sample, first), rows, columns))
    return found


class Sprite(NamedTuple):
    """A cell in a view of the volume: its layers, and their first row and column."""

    layers: Layers
    corner: tuple[int, int]


def draw_sprite(
    cell: Solid | None, nucleus: Solid | None, frame: Frame, shape: tuple[int, int]
) -> Sprite:
    """A cell in the part of a view of the volume that it covers; `shape`: of the whole view."""
    seen = (_extents(cell, nucleus, frame.axes[:2]) - frame.low) / frame.sample
    low = np.clip(np.floor(seen[0]).astype(int) - 1, 0, np.array(shape) - 1)
    high = np.clip(np.ceil(seen[1]).astype(int) + 1, low + 1, shape)
    rows, columns = (high - low).tolist()
    first = int(low[0]), int(low[1])
    return Sprite(_draw(cell, nucleus, frame.moved(*first), rows, columns), first)
