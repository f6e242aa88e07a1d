"""The largest distance of places from a triangle mesh, with the triangles in a grid of boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.compiled import compiled
from hela_dask.kernels.mesh import Mesh
from hela_dask.types import Floats, Mask

__all__ = ["TriangleIndex", "squared_distance", "surface_points"]


class _Boxes(NamedTuple):
    """The content of an index, for compiled loops."""

    vertices: Floats
    faces: NDArray[np.int32]
    low: Floats
    side: float
    starts: NDArray[np.int64]
    rows: NDArray[np.int32]
    shape: NDArray[np.int64]


@dataclass(frozen=True)
class TriangleIndex:
    """The triangles of a mesh by the boxes of a grid that they may cross.

    Attributes
    ----------
    mesh : Mesh
    low : ndarray of float64, (3,)
        Lowest place of the grid, nm.
    side : float
        Side of a box, nm.
    starts : ndarray of int64, (z, y, x) + 1 in a row
        First entry of each box in `rows`.
    rows : ndarray of int32
        Triangles.
    shape : ndarray of int64, (3,)
        Boxes along each axis.
    """

    mesh: Mesh
    low: Floats
    side: float
    starts: NDArray[np.int64]
    rows: NDArray[np.int32]
    shape: NDArray[np.int64]

    @classmethod
    def of(cls, mesh: Mesh, side: float) -> TriangleIndex:
        """The index of a mesh with triangles, in boxes with this side (nm)."""
        low = mesh.vertices.min(axis=0) - side
        shape = np.floor((mesh.vertices.max(axis=0) - low) / side).astype(np.int64) + 2
        starts, rows = _fill(mesh.vertices, mesh.faces, low, side, shape)
        return cls(mesh, low, side, starts, rows, shape)

    def farthest(self, points: Floats, limit: float, worst: float = 0.0) -> tuple[float, Mask]:
        """The largest distance of points from the mesh, and which are beyond a limit.

        Parameters
        ----------
        points : ndarray of float64, (n, 3)
            z, y, x in nm.
        limit
            nm.
        worst
            A distance (nm) that is known already: a smaller one is not looked for.

        Returns
        -------
        largest : float
            nm; at least `worst`.
        beyond : ndarray of bool, (n,)
        """
        beyond = np.zeros(len(points), dtype=bool)
        largest = _farthest(
            np.ascontiguousarray(points, np.float64),
            _Boxes(
                self.mesh.vertices,
                self.mesh.faces,
                self.low,
                self.side,
                self.starts,
                self.rows,
                self.shape,
            ),
            limit,
            worst,
            beyond,
        )
        return largest, beyond


def surface_points(mesh: Mesh, spacing: float) -> Floats:
    """Points on all triangles, no two neighbours farther apart than `spacing` (nm), (n, 3).

    The corners, and on triangles with a longer side, a regular pattern with the sides' middles.
    """
    return _points_between(mesh.vertices, mesh.faces, spacing)


@compiled
def _parts(a: Floats, b: Floats, c: Floats, spacing: float) -> int:
    """Parts of each side of a triangle so that none is longer than the spacing."""
    longest = 0.0
    for u, v in ((a, b), (b, c), (c, a)):
        longest = max(longest, (u[0] - v[0]) ** 2 + (u[1] - v[1]) ** 2 + (u[2] - v[2]) ** 2)
    return int(np.ceil(np.sqrt(longest) / spacing))


@compiled
def _points_between(vertices: Floats, faces: NDArray[np.int32], spacing: float) -> Floats:
    count = len(vertices)
    for row in range(len(faces)):
        a, b, c = vertices[faces[row, 0]], vertices[faces[row, 1]], vertices[faces[row, 2]]
        parts = _parts(a, b, c, spacing)
        count += (parts + 1) * (parts + 2) // 2 - 3 if parts > 1 else 0
    found = np.empty((count, 3))
    found[: len(vertices)] = vertices
    at = len(vertices)
    for row in range(len(faces)):
        a, b, c = vertices[faces[row, 0]], vertices[faces[row, 1]], vertices[faces[row, 2]]
        parts = _parts(a, b, c, spacing)
        if parts < 2:
            continue
        for i in range(parts + 1):
            for j in range(parts + 1 - i):
                if (i == 0) + (j == 0) + (i + j == parts) == 2:
                    continue  # a corner
                for axis in range(3):
                    along = i * (b[axis] - a[axis]) + j * (c[axis] - a[axis])
                    found[at, axis] = a[axis] + along / parts
                at += 1
    return found


@compiled
def _crossed(
    vertices: Floats, face: NDArray[np.int32], low: Floats, side: float
) -> tuple[int, int, int, int, int, int]:
    """The boxes around a triangle: first and last along z, y, x."""
    a, b, c = vertices[face[0]], vertices[face[1]], vertices[face[2]]
    z0, z1 = min(a[0], b[0], c[0]), max(a[0], b[0], c[0])
    y0, y1 = min(a[1], b[1], c[1]), max(a[1], b[1], c[1])
    x0, x1 = min(a[2], b[2], c[2]), max(a[2], b[2], c[2])
    return (
        int((z0 - low[0]) / side),
        int((z1 - low[0]) / side),
        int((y0 - low[1]) / side),
        int((y1 - low[1]) / side),
        int((x0 - low[2]) / side),
        int((x1 - low[2]) / side),
    )


@compiled
def _fill(
    vertices: Floats,
    faces: NDArray[np.int32],
    low: Floats,
    side: float,
    shape: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The triangles of each box."""
    starts = np.zeros(shape[0] * shape[1] * shape[2] + 2, np.int64)
    for row in range(len(faces)):
        z0, z1, y0, y1, x0, x1 = _crossed(vertices, faces[row], low, side)
        for z in range(z0, z1 + 1):
            for y in range(y0, y1 + 1):
                for x in range(x0, x1 + 1):
                    starts[(z * shape[1] + y) * shape[2] + x + 2] += 1
    for at in range(1, len(starts)):
        starts[at] += starts[at - 1]
    rows = np.empty(starts[-1], np.int32)
    for row in range(len(faces)):
        z0, z1, y0, y1, x0, x1 = _crossed(vertices, faces[row], low, side)
        for z in range(z0, z1 + 1):
            for y in range(y0, y1 + 1):
                for x in range(x0, x1 + 1):
                    at = (z * shape[1] + y) * shape[2] + x + 1
                    rows[starts[at]] = row
                    starts[at] += 1
    return starts[:-1], rows


@compiled
def squared_distance(p: Floats, a: Floats, b: Floats, c: Floats) -> float:
    """The squared distance of a point from a triangle.

    C. Ericson, "Real-Time Collision Detection" (2005), section 5.1.5.
    """
    bz, by, bx = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    cz, cy, cx = c[0] - a[0], c[1] - a[1], c[2] - a[2]
    pz, py, px = p[0] - a[0], p[1] - a[1], p[2] - a[2]
    bb, cc = bz * bz + by * by + bx * bx, cz * cz + cy * cy + cx * cx
    bc = bz * cz + by * cy + bx * cx
    d1, d2 = bz * pz + by * py + bx * px, cz * pz + cy * py + cx * px
    d3, d4, d5, d6 = d1 - bb, d2 - bc, d1 - bc, d2 - cc
    va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
    v, w = 0.0, 0.0  # the nearest place is a + v (b - a) + w (c - a)
    if d1 <= 0 and d2 <= 0:
        pass
    elif d3 >= 0 and d4 <= d3:
        v = 1.0
    elif d6 >= 0 and d5 <= d6:
        w = 1.0
    elif vc <= 0 and d1 >= 0 and d3 <= 0:
        v = d1 / (d1 - d3) if d1 > d3 else 0.0
    elif vb <= 0 and d2 >= 0 and d6 <= 0:
        w = d2 / (d2 - d6) if d2 > d6 else 0.0
    elif va <= 0 and d4 - d3 >= 0 and d5 - d6 >= 0:
        along = (d4 - d3) + (d5 - d6)
        w = (d4 - d3) / along if along > 0 else 0.0
        v = 1 - w
    else:
        total = va + vb + vc
        v, w = (vb / total, vc / total) if total > 0 else (0.0, 0.0)
    pz, py, px = pz - v * bz - w * cz, py - v * by - w * cy, px - v * bx - w * cx
    return float(pz * pz + py * py + px * px)


@compiled
def _nearest(
    p: Floats, boxes: _Boxes, limit: float, worst: float, hints: NDArray[np.int32]
) -> float:
    """The distance of a point, or any that is at most `worst` and on the same side of the limit.

    The last triangle found for a point in the same box is looked at first, then rings of boxes
    around that of the point.
    """
    vertices, faces, low, side, starts, rows, shape = boxes
    z, y, x = (
        int(np.floor((p[0] - low[0]) / side)),
        int(np.floor((p[1] - low[1]) / side)),
        int(np.floor((p[2] - low[2]) / side)),
    )
    inside = 0 <= z < shape[0] and 0 <= y < shape[1] and 0 <= x < shape[2]
    own = (z * shape[1] + y) * shape[2] + x if inside else 0
    enough, worst = min(worst, limit) ** 2, worst * worst
    face = faces[hints[own]]
    best = squared_distance(p, vertices[face[0]], vertices[face[1]], vertices[face[2]])
    if best <= enough:
        return float(np.sqrt(best))
    ring = 0
    last = max(z, shape[0] - z, y, shape[1] - y, x, shape[2] - x)
    while ring <= last and (ring == 0 or best > ((ring - 1) * side) ** 2):
        if best <= worst and (ring - 1) * side >= limit:
            break  # all triangles within the limit have been looked at
        for k in range(max(0, z - ring), min(shape[0], z + ring + 1)):
            for j in range(max(0, y - ring), min(shape[1], y + ring + 1)):
                shell = abs(k - z) == ring or abs(j - y) == ring
                step = 1 if shell or ring == 0 else 2 * ring
                for i in range(x - ring, x + ring + 1, step):
                    if i < 0 or i >= shape[2]:
                        continue
                    at = (k * shape[1] + j) * shape[2] + i
                    for entry in range(starts[at], starts[at + 1]):
                        face = faces[rows[entry]]
                        away = squared_distance(
                            p, vertices[face[0]], vertices[face[1]], vertices[face[2]]
                        )
                        if away < best:
                            best, hints[own] = away, rows[entry]
                        if best <= enough:
                            return float(np.sqrt(best))
        ring += 1
    return float(np.sqrt(best))


@compiled
def _farthest(
    points: Floats,
    boxes: _Boxes,
    limit: float,
    worst: float,
    beyond: Mask,
) -> float:
    """The largest distance; a point nearer than `worst` and the limit is not looked at further."""
    hints = np.zeros(len(boxes.starts), np.int32)
    for row in range(len(points)):
        found = _nearest(points[row], boxes, limit, worst, hints)
        beyond[row] = not found <= limit
        worst = max(worst, found)
    return worst
