"""Distances between two triangle meshes, from points of one to triangles of the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from hela_dask.kernels.compiled import compiled
from hela_dask.kernels.mesh import Mesh
from hela_dask.types import Floats

__all__ = ["mesh_distance", "point_distances"]

_NEAREST = 12  # marks around a point: the distance of their triangles is computed
_POINTS = 100_000  # at once
_SAMPLE = 200_000  # points of one surface at most


def mesh_distance(mesh: Mesh, truth: Mesh, spacing: float) -> float:
    """The largest distance between two surfaces, nm, in both directions (Hausdorff).

    From evenly chosen vertices of one surface, at most 200,000, to the triangles of the other,
    as :func:`point_distances`.
    """
    ways = ((mesh, truth), (truth, mesh))
    return max(float(point_distances(_sample(a), b, spacing).max(initial=0)) for a, b in ways)


def _sample(mesh: Mesh) -> Floats:
    """Some vertices, evenly over their order."""
    return mesh.vertices[:: -(-len(mesh.vertices) // _SAMPLE) or 1]


def point_distances(points: Floats, mesh: Mesh, spacing: float) -> Floats:
    """The distance of each point (z, y, x in nm) from a surface, nm.

    Marks at most `spacing` (nm) apart lie on all triangles; only those with the marks nearest to a
    point are looked at. So a distance is never too small, and may be too large by less than that.
    """
    corners = mesh.vertices[mesh.faces]
    marks, owners = _marks(corners, spacing)
    near = min(_NEAREST, len(marks))
    tree = KDTree(marks, balanced_tree=False, compact_nodes=False)
    found = np.empty(len(points))
    for start in range(0, len(points), _POINTS):
        part = points[start : start + _POINTS]
        _, places = tree.query(part, k=near)
        chosen = owners[places].reshape(len(part), near)
        found[start : start + len(part)] = _nearest(part, corners, chosen)
    return found


def _marks(corners: Floats, spacing: float) -> tuple[Floats, NDArray[np.int64]]:
    """Points on triangles, and the triangle of each: the centres of equal parts of it."""
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    parts = 2 ** np.ceil(np.log2(np.maximum(sides / spacing, 1))).astype(np.int64)
    marks, owners = [], []
    for count in np.unique(parts):
        rows = np.flatnonzero(parts == count)
        a, b = np.meshgrid(np.arange(count), np.arange(count))
        low = np.stack([a, b], axis=-1)[a + b < count] + 1 / 3
        high = np.stack([a, b], axis=-1)[a + b < count - 1] + 2 / 3
        weights = np.concatenate([low, high]) / count
        weights = np.column_stack([weights, 1 - weights.sum(axis=1)])
        marks.append(np.einsum("pc,tcd->tpd", weights, corners[rows]).reshape(-1, 3))
        owners.append(np.repeat(rows, len(weights)))
    return np.concatenate(marks), np.concatenate(owners)


@compiled
def _nearest(points: Floats, corners: Floats, chosen: NDArray[np.int64]) -> Floats:
    """The smallest distance of each point from its chosen triangles."""
    found = np.empty(len(points))
    for row in range(len(points)):
        best = np.inf
        for at in chosen[row]:
            best = min(best, _squared(points[row], corners[at]))
        found[row] = np.sqrt(best)
    return found


@compiled
def _squared(point: Floats, corner: Floats) -> float:
    """The squared distance of a point from a triangle.

    C. Ericson, "Real-Time Collision Detection" (2005), section 5.1.5.
    """
    a, b, c = corner[0], corner[1], corner[2]
    ab, ac = b - a, c - a
    d1, d2 = np.dot(ab, point - a), np.dot(ac, point - a)
    d3, d4 = np.dot(ab, point - b), np.dot(ac, point - b)
    d5, d6 = np.dot(ab, point - c), np.dot(ac, point - c)
    va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
    if d1 <= 0 and d2 <= 0:
        at = a
    elif d3 >= 0 and d4 <= d3:
        at = b
    elif d6 >= 0 and d5 <= d6:
        at = c
    elif vc <= 0 and d1 >= 0 and d3 <= 0:
        at = a + ab * (d1 / (d1 - d3) if d1 > d3 else 0.0)
    elif vb <= 0 and d2 >= 0 and d6 <= 0:
        at = a + ac * (d2 / (d2 - d6) if d2 > d6 else 0.0)
    elif va <= 0 and d4 - d3 >= 0 and d5 - d6 >= 0:
        along = (d4 - d3) + (d5 - d6)
        at = b + (c - b) * ((d4 - d3) / along if along > 0 else 0.0)
    else:
        total = va + vb + vc
        scale = 1 / total if total > 0 else 0.0
        at = a + ab * (vb * scale) + ac * (vc * scale)
    away = point - at
    return float(np.dot(away, away))
