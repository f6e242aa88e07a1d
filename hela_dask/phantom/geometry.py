"""Shapes of a phantom: cells, nuclei and floating debris as implicit surfaces over one tile.

A surface is where its function is 0; inside it is negative, and near the surface its value is
about the distance in nm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hela_dask.phantom.lattice import Field, Grid, uniform
from hela_dask.phantom.lobulated import cleft_nucleus, ruffled_end, true_distance
from hela_dask.phantom.plan import PhantomCell, PhantomSpec
from hela_dask.phantom.surfaces import FAR, distance_to_side, ellipsoid, join, ruffle

__all__ = ["Shapes", "build_shapes"]

_ENVELOPE = 100.0  # width of the truth's envelope class outside the nucleus, nm
_MARGIN = 260.0  # least cytoplasm between nucleus and cell surface, nm
_BRIDGE = 500.0  # range over which two cells in contact grow together, nm

# Streams of random numbers: first key of every field.
_BODY, _NUCLEUS, _GROOVE, _LOBE = 101, 102, 103, 104


@dataclass
class Shapes:
    """The shapes in a tile; all arrays (y, z, x)."""

    cell: Field  # signed distance to the nearest cell's surface
    # Half the difference to the second nearest: distance to the contact between two cells
    other: Field
    owner: NDArray[np.int32]  # label of the nearest cell, 0 where none is near
    nucleus: Field  # signed distance to the owner's nucleus
    hull: Field  # distance to the nearest smooth ellipsoid, without ruffles
    # 1 where the envelope of a lobulated nucleus is parallel to the slices, 0 perpendicular
    flat: Field
    polar: Field  # position of a voxel towards the organelle-rich side of its cell, -1 to 1

    def nucleus_mask(self) -> NDArray[np.bool_]:
        """The truth's nuclei: up to the inner face of the envelope."""
        return self.nucleus < 0

    def envelope_mask(self) -> NDArray[np.bool_]:
        """The truth's envelope: a rim outside the nucleus."""
        return (self.nucleus >= 0) & (self.nucleus < _ENVELOPE) & self.cell_mask()

    def cell_mask(self) -> NDArray[np.bool_]:
        """The truth's cells, with their nuclei."""
        return self.cell < 0


def near(grid: Grid, cell: PhantomCell, reach: float) -> bool:
    """Whether a tile comes within `reach` nm of a cell's box."""
    wide = max(cell.radii[1:]) + reach
    halves = (cell.radii[0] + reach, wide, wide)
    return all(
        low - half <= centre <= high + half
        for low, high, centre, half in zip(grid.low, grid.high, cell.centre, halves, strict=True)
    )


def _body(grid: Grid, spec: PhantomSpec, cell: PhantomCell, hull: Field) -> Field:
    """Surface of a cell: an ellipsoid with large lobes, separated by clefts, and small blebs.

    The absolute value of a random field gives rounded lobes with sharp clefts between them.
    """
    key = (spec.seed, _BODY, cell.label)
    scale = ruffle(cell.radius)
    body = hull.copy()
    near_surface = np.abs(hull) < _rough(spec)
    if not near_surface.any():
        return body
    low = grid.field(cell.radius * 0.8, *key, 0)
    body -= np.float32(0.06 * cell.radius) * low
    lobes = np.sqrt(np.abs(grid.field(1250.0 * scale, *key, 1)))
    lobes -= np.float32(0.80)
    lobes *= np.float32(780.0 * scale)
    body -= lobes
    blebs = np.sqrt(np.abs(grid.field(450.0 * scale, *key, 2)))
    blebs -= np.float32(0.8)
    blebs *= np.float32(250.0 * scale)
    body -= blebs
    if spec.lobulated:
        body = ruffled_end(grid, cell, key, body)
    if cell.complete:
        body = np.maximum(body, np.float32(120.0) - distance_to_side(grid, spec))
    return body


def _nucleus(grid: Grid, spec: PhantomSpec, cell: PhantomCell) -> Field:
    """Surface of a nucleus: folds, polar lobes, deep grooves, and the channel of one of them."""
    out = np.full(grid.shape, FAR, np.float32)
    radii = cell.nucleus_radii
    reach = 1.25 * max(radii[1:]) + 700.0
    found = grid.within(cell.nucleus_centre, (1.35 * radii[0] + 700.0, reach, reach))
    if found is None:
        return out
    grid, part = found
    key = (spec.seed, _NUCLEUS, cell.label)
    wide = (radii[1] * radii[2]) ** 0.5
    if spec.lobulated:
        f = cleft_nucleus(grid, cell, key)
    else:
        f = ellipsoid(grid, cell.nucleus_centre, radii, cell.angle)
    scale = min(1.0, wide / 2500.0)
    waves = grid.field(1500.0 * scale, *key, 0)
    crinkles = grid.field(400.0 * scale, *key, 1)
    f -= np.float32(0.05 * wide) * grid.field(0.9 * wide, *key, 2)
    f -= np.float32(190.0 * scale) * waves
    f -= np.float32((95.0 if spec.lobulated else 42.0) * scale) * crinkles
    if not spec.lobulated:
        f = _with_islands(grid, cell, key, f)
    f = _with_grooves(grid, cell, key, f, np.float32(0.09 * wide) * waves + 50 * crinkles)
    if cell.hole:
        f = np.maximum(f, _channel(grid, cell, key, waves))
    out[part] = f
    return out


def _with_islands(
    grid: Grid,
    cell: PhantomCell,
    key: tuple[int, ...],
    f: Field,
) -> Field:
    """Add lobes at both poles: the last slices of a nucleus show them as islands."""
    centre, radii = cell.nucleus_centre, cell.nucleus_radii
    wide = (radii[1] * radii[2]) ** 0.5
    for pole in (-1, 1):
        turn = 2 * math.pi * float(uniform(*key, _LOBE, pole + 1))
        number = 2 + int(uniform(*key, _LOBE, pole + 3) < 0.5)
        for k in range(number):
            way = turn + 2 * math.pi * k / number
            out = 0.40 * wide
            size = wide * (0.25 + 0.06 * float(uniform(*key, _LOBE, 10 * k + pole + 5)))
            at = (
                centre[0] + pole * 0.80 * radii[0],
                centre[1] + out * math.sin(way),
                centre[2] + out * math.cos(way),
            )
            away = np.abs(grid.z - np.float32(at[0])).min()
            if away / 1.15 - size > 0.13 * wide:
                continue
            lobe = ellipsoid(grid, at, (1.15 * size, size, size), 0.0)
            f = join(f, lobe, 0.12 * wide)
    return f


def _with_grooves(
    grid: Grid, cell: PhantomCell, key: tuple[int, ...], f: Field, bend: Field
) -> Field:
    """Cut invaginations: thin, wavy sheets of cytoplasm that reach deep into the nucleus."""
    centre, radii = cell.nucleus_centre, cell.nucleus_radii
    wide = (radii[1] * radii[2]) ** 0.5
    half = min(75.0, 0.03 * wide)
    dz, dy, dx = (
        axis - np.float32(at) for axis, at in zip((grid.z, grid.y, grid.x), centre, strict=True)
    )
    for k in range(3):
        way = 2 * math.pi * float(uniform(*key, _GROOVE, k, 0))
        inner = wide * (0.45 + 0.3 * float(uniform(*key, _GROOVE, k, 1)))
        height = wide * (0.15 + 0.2 * float(uniform(*key, _GROOVE, k, 2)))
        level = wide * 0.8 * (float(uniform(*key, _GROOVE, k, 3)) - 0.5)
        tilt = 0.8 * (float(uniform(*key, _GROOVE, k, 4)) - 0.5)
        rise = (dz - np.float32(level)) / np.float32(height)
        if inner * (1.0 + 0.5 * float((rise * rise).min())) > 1.4 * wide:
            continue
        c, s = np.float32(math.cos(way)), np.float32(math.sin(way))
        along = c * dx + s * dy
        across = (c * dy - s * dx) + np.float32(tilt) * dz + bend
        depth = np.float32(inner) * (np.float32(1) + np.float32(0.5) * rise * rise) - along
        np.maximum(depth, np.float32(0), out=depth)
        sheet = np.sqrt(across * across + depth * depth) - np.float32(half)
        f = np.maximum(f, -sheet)
    return f


def _channel(grid: Grid, cell: PhantomCell, key: tuple[int, ...], waves: Field) -> Field:
    """Minus the distance to a slanted channel through the whole nucleus, positive inside it."""
    centre, radii = cell.nucleus_centre, cell.nucleus_radii
    wide = (radii[1] * radii[2]) ** 0.5
    way = 2 * math.pi * float(uniform(*key, _GROOVE, 99, 0))
    off = 0.22 * wide
    dz = grid.z - np.float32(centre[0])
    lean = np.float32(0.25)
    c, s = math.cos(way), math.sin(way)
    dy = grid.y - np.float32(centre[1] + off * s) - lean * np.float32(c) * dz
    dx = grid.x - np.float32(centre[2] + off * c) + lean * np.float32(s) * dz
    radius = np.float32(min(360.0, 0.13 * wide))
    away = np.sqrt(dy * dy + dx * dx)
    return np.asarray(radius * (np.float32(1) + np.float32(0.12) * waves) - away, np.float32)


def _rough(spec: PhantomSpec) -> float:
    """Farthest distance in nm from a smooth ellipsoid to the surface of its cell."""
    return 2600.0 if spec.lobulated else 1600.0


def build_shapes(grid: Grid, spec: PhantomSpec) -> Shapes | None:
    """All shapes of a tile; None where no cell comes near it."""
    cells = [cell for cell in spec.cells if near(grid, cell, 3000.0)]
    if not cells:
        return None
    empty = np.full(grid.shape, FAR, np.float32)
    shapes = Shapes(
        cell=empty,
        other=empty.copy(),
        owner=np.zeros(grid.shape, np.int32),
        nucleus=empty.copy(),
        flat=np.zeros(grid.shape, np.float32),
        hull=empty.copy(),
        polar=np.zeros(grid.shape, np.float32),
    )
    for cell in cells:
        hull = ellipsoid(grid, cell.centre, cell.radii, cell.angle)
        rough = _rough(spec)
        np.minimum(shapes.hull, hull, out=shapes.hull)
        wide = max(cell.radii[1:]) + rough
        found = grid.within(cell.centre, (cell.radii[0] + rough, wide, wide))
        if found is not None:
            _add_cell(found[0], spec, cell, hull[found[1]], shapes, found[1])
    contact = (shapes.other - shapes.cell) * np.float32(0.5)
    np.maximum(shapes.nucleus, np.float32(_MARGIN / 2) - contact, out=shapes.nucleus)
    shapes.cell = join(shapes.cell, shapes.other, _BRIDGE)
    shapes.other = contact
    shapes.owner[shapes.cell >= 0] = 0
    return shapes


def _add_cell(
    grid: Grid,
    spec: PhantomSpec,
    cell: PhantomCell,
    hull: Field,
    shapes: Shapes,
    part: tuple[slice, slice, slice],
) -> None:
    """Enter one cell into the part of a tile that its box covers; `other` is the second nearest."""
    if spec.lobulated:
        nucleus, flat = true_distance(_nucleus(grid.wider(), spec, cell), grid.voxel_size)
    else:
        nucleus, flat = _nucleus(grid, spec, cell), None
    # Lobulated nuclei reach into the ruffled ends: cytoplasm is kept around them.
    margin = -_MARGIN if spec.lobulated else _MARGIN
    body = np.minimum(_body(grid, spec, cell, hull), nucleus + np.float32(margin))
    first, second = shapes.cell[part], shapes.other[part]
    wins = body < first
    second[...] = np.where(wins, first, np.minimum(second, body))
    np.minimum(first, body, out=first)
    shapes.owner[part][wins] = cell.label
    np.copyto(shapes.nucleus[part], nucleus, where=wins)
    if flat is not None:
        np.copyto(shapes.flat[part], flat, where=wins)
    way = 2 * math.pi * float(uniform(spec.seed, _BODY, cell.label, 77))
    lean = np.float32(math.cos(way) / cell.radius) * (grid.x - np.float32(cell.centre[2]))
    lean = lean + np.float32(math.sin(way) / cell.radius) * (grid.y - np.float32(cell.centre[1]))
    np.copyto(shapes.polar[part], lean, where=wins)
