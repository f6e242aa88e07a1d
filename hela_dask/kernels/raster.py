"""Triangles and flat sections drawn into depth buffers, in parallel projection.

A picture is an array of samples: the nearest opaque surface of each, and of a translucent surface
its nearest layer, its farthest one, and the optical thickness of all layers that lie in front of
the opaque surface. Corners are rounded to a fraction of a sample and edges are decided in integers
(top-left rule), so that each sample belongs to exactly one of two triangles that share an edge.
Thicknesses are summed as integers. The buffers are therefore the same for any order of triangles.

See Also
--------
J. Pineda, "A parallel algorithm for polygon rasterization", SIGGRAPH 1988.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.compiled import compiled
from hela_dask.types import Floats, Grey, Mask

__all__ = [
    "BACK_CUT",
    "FRONT_CUT",
    "NEAR",
    "OPAQUE_CUT",
    "SAMPLE",
    "THICKNESS",
    "Layers",
    "draw_flat",
    "draw_membrane",
    "draw_opaque",
    "empty_layers",
]

THICKNESS = 4096
"""Steps of an optical thickness of 1."""

NEAR = 120.0
"""A translucent layer no more than so many nm behind an opaque surface is in front of it.

So two surfaces that touch have no blotches.
"""

OPAQUE_CUT, FRONT_CUT, BACK_CUT = 1, 2, 4
"""Bits of ``cut``: the opaque surface, the nearest and the farthest layer are flat cuts."""

_BITS = 8  # of the part of a sample that corners are rounded to
_HALF = 1 << (_BITS - 1)


SAMPLE = np.dtype(
    [
        ("height", np.float32),  # of the nearest opaque surface, nm towards the viewer; -inf: none
        ("tone", np.float32),  # its brightness, 0 to 1
        ("front", np.float32),  # height of the nearest translucent layer, nm; -inf: none
        ("front_tone", np.float32),
        ("back", np.float32),  # height of the farthest translucent layer, nm; inf: none
        ("back_tone", np.float32),
        ("thickness", np.int32),  # of all layers in front of the opaque surface, in THICKNESS
        ("cut", np.uint32),  # bits
    ]
)
"""A sample of a picture: all of it lies together in memory, as triangles come in no order."""

Layers = NDArray[Any]
"""A picture, (rows, columns) of :data:`SAMPLE`."""


def empty_layers(rows: int, columns: int) -> Layers:
    """A picture without any surface."""
    layers = np.zeros((rows, columns), SAMPLE)
    layers["height"] = layers["front"] = -np.inf
    layers["back"] = np.inf
    return layers


def draw_opaque(layers: Layers, points: Grey, tones: Grey, faces: NDArray[np.int32]) -> None:
    """Draw an opaque surface, in place.

    Parameters
    ----------
    layers
        Picture.
    points
        (n, 3) row, column (in samples; 0.5 is the centre of the first) and height (nm).
    tones
        (n,) brightness of each vertex, 0 to 1.
    faces
        (m, 3) vertices of each triangle, in any order.
    """
    _draw(layers, _rounded(points), points, (tones, tones), faces, True)


def draw_membrane(
    layers: Layers,
    points: Grey,
    tones: Grey,
    thickness: Grey,
    faces: NDArray[np.int32],
) -> None:
    """Draw a translucent surface, in place, after all opaque ones.

    Parameters
    ----------
    layers, points, tones, faces
        As in :func:`draw_opaque`.
    thickness
        (n,) optical thickness at each vertex.
    """
    _draw(layers, _rounded(points), points, (tones, thickness), faces, False)


def _rounded(points: Grey) -> NDArray[np.int32]:
    """Rows and columns in steps, so that the centres of samples lie on steps."""
    steps: NDArray[np.int32] = np.rint(points[:, :2] * np.float32(1 << _BITS)).astype(np.int32)
    return steps


@compiled
def _draw(
    layers: Layers,
    corners: NDArray[np.int32],
    points: Grey,
    lit: tuple[Grey, Grey],
    faces: NDArray[np.int32],
    opaque: bool,
) -> None:
    tones, thickness = lit
    rows, columns = layers.shape
    for number in range(len(faces)):
        a, b, c = faces[number, 0], faces[number, 1], faces[number, 2]
        ay: Any
        ax: Any
        ay, ax = np.int64(corners[a, 0]), np.int64(corners[a, 1])
        by: Any
        bx: Any
        by, bx = np.int64(corners[b, 0]), np.int64(corners[b, 1])
        cy: Any
        cx: Any
        cy, cx = np.int64(corners[c, 0]), np.int64(corners[c, 1])
        # Rows and columns of the samples with centres in the triangle's box.
        top = max((min(ay, by, cy) + _HALF - 1) >> _BITS, 0)
        bottom = min((max(ay, by, cy) - _HALF) >> _BITS, rows - 1)
        left = max((min(ax, bx, cx) + _HALF - 1) >> _BITS, 0)
        right = min((max(ax, bx, cx) - _HALF) >> _BITS, columns - 1)
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if bottom < top or right < left or area == 0:
            continue
        if area < 0:
            b, c, by, bx, cy, cx, area = c, b, cy, cx, by, bx, -area
        # Twice the areas that a sample makes with edges bc and ca; less than one that is not owned.
        y, x = (top << _BITS) + _HALF, (left << _BITS) + _HALF
        u0 = (cx - bx) * (y - by) - (cy - by) * (x - bx)
        v0 = (ax - cx) * (y - cy) - (ay - cy) * (x - cx)
        least_u, least_v, least_w = (
            _least(by, bx, cy, cx),
            _least(cy, cx, ay, ax),
            _least(ay, ax, by, bx),
        )
        height, dp, dq = points[c, 2], points[a, 2] - points[c, 2], points[b, 2] - points[c, 2]
        tone, tp, tq = tones[c], tones[a] - tones[c], tones[b] - tones[c]
        for row in range(top, bottom + 1):
            u, v = u0, v0
            for column in range(left, right + 1):
                if u >= least_u and v >= least_v and area - u - v >= least_w:
                    p, q = u / area, v / area
                    at, light = (
                        np.float32(height + p * dp + q * dq),
                        np.float32(tone + p * tp + q * tq),
                    )
                    if opaque:
                        old = layers[row, column].height
                        if _beyond(at, light, old, layers[row, column].tone):
                            layers[row, column].height = at
                            layers[row, column].tone = light
                    else:
                        film = p * thickness[a] + q * thickness[b] + (1.0 - p - q) * thickness[c]
                        _add_layer(layers, row, column, at, light, film)
                u -= (cy - by) << _BITS
                v -= (ay - cy) << _BITS
            u0 += (cx - bx) << _BITS
            v0 += (ax - cx) << _BITS


@compiled
def _least(ay: Any, ax: Any, by: Any, bx: Any) -> int:
    """The least area of a sample inside an edge; one at the top or left owns the samples on it."""
    return 0 if by < ay or (by == ay and bx > ax) else 1


@compiled
def _beyond(height: Any, tone: Any, old: Any, old_tone: Any) -> bool:
    """Whether a surface is nearer than another; of two at one place the brighter one is."""
    return bool(height > old or (height == old and tone > old_tone))


@compiled
def _add_layer(layers: Layers, row: int, column: int, height: Any, tone: Any, depth: Any) -> bool:
    """Add a translucent layer to a sample; whether it is the nearest one."""
    if height > layers[row, column].height - NEAR:
        layers[row, column].thickness += int(depth * THICKNESS + 0.5)
    first = _beyond(height, tone, layers[row, column].front, layers[row, column].front_tone)
    if first:
        layers[row, column].front = height
        layers[row, column].front_tone = tone
    if _beyond(-height, tone, -layers[row, column].back, layers[row, column].back_tone):
        layers[row, column].back = height
        layers[row, column].back_tone = tone
    return first


def draw_flat(
    layers: Layers,
    inside: Mask,
    place: Floats,
    *,
    tone: float,
    thickness: float | None,
    faces_viewer: bool,
) -> None:
    """Draw the flat section in which a side of the volume cuts an object, in place, after meshes.

    Parameters
    ----------
    layers
        Picture.
    inside
        (v, u) pixels of the section that are inside the object.
    place
        (3, 3): row, column (samples) and height (nm) of the centre of the first pixel, and their
        changes from pixel to pixel along v and u.
    tone
        Brightness, 0 to 1.
    thickness
        Optical thickness of a translucent object; None: it is opaque.
    faces_viewer
        Whether the side's outer face is towards the viewer.
    """
    bit = OPAQUE_CUT if thickness is None else FRONT_CUT if faces_viewer else BACK_CUT
    _draw_flat(layers, inside, place, tone, -1.0 if thickness is None else thickness, bit)


@compiled
def _draw_flat(
    layers: Layers, inside: Mask, place: Floats, tone: float, thickness: float, bit: int
) -> None:
    rows, columns = layers.shape
    high, wide = inside.shape
    (y0, x0, h0), (yv, xv, hv), (yu, xu, hu) = place[0], place[1], place[2]
    det = yv * xu - yu * xv
    if abs(det) < 1e-12:
        return
    span_y = abs(yv) * (high / 2) + abs(yu) * (wide / 2)
    middle = y0 + yv * (high - 1) / 2 + yu * (wide - 1) / 2
    for row in range(max(0, int(middle - span_y)), min(rows, int(middle + span_y) + 2)):
        for column in range(columns):
            dy, dx = row + 0.5 - y0, column + 0.5 - x0
            v, u = (dy * xu - dx * yu) / det, (yv * dx - xv * dy) / det
            k, i = int(np.floor(v + 0.5)), int(np.floor(u + 0.5))
            if k < 0 or i < 0 or k >= high or i >= wide or not inside[k, i]:
                continue
            height = np.float32(h0 + v * hv + u * hu)
            if thickness < 0:
                if height > layers[row, column].height:
                    layers[row, column].height = height
                    layers[row, column].tone = tone
                    layers[row, column].cut |= bit
            elif bit == FRONT_CUT:
                if _add_layer(layers, row, column, height, tone, thickness):
                    layers[row, column].cut |= bit
            elif height < layers[row, column].back:
                _add_layer(layers, row, column, height, tone, thickness)
                layers[row, column].cut |= bit
