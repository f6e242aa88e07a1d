"""Smoothing of a closed mesh within a distance, and its volume.

Deep slices shall leave no terraces, but no vertex moves farther than a given distance from its
place. This is the constraint of S. F. F. Gibson, "Constrained elastic surface nets", MICCAI 1998.
The filter is that of G. Taubin, "A signal processing approach to fair surface design", SIGGRAPH
1995, which does not shrink convex parts as plain averaging does.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.compiled import compiled
from hela_dask.kernels.mesh import Grid, Mesh
from hela_dask.types import Floats

__all__ = ["smooth_mesh", "with_volume"]

_PASS_BAND = (0.5, -0.53)  # Taubin's lambda and mu
_ITERATIONS = 15
_VOLUME_STEPS = 3


class _Bounds(NamedTuple):
    """Where vertices may be."""

    origins: Floats  # (n, 3), nm
    sides: NDArray[np.uint8]  # cut sides that each lies on
    ends: Floats  # as of a grid
    limit: float  # distance from the origins, nm


def smooth_mesh(mesh: Mesh, limit: float, grid: Grid) -> Mesh:
    """A smoother mesh with each vertex at most `limit` (nm) from its place.

    Every point of a triangle is a mean of its corners, so the whole surface moves by no more, in
    both directions. Vertices on a cut side stay on it.
    """
    starts, near = _neighbours(mesh.faces, len(mesh.vertices))
    bounds = _Bounds(mesh.vertices, grid.sides(mesh.vertices), grid.ends(), limit)
    moved = mesh.vertices
    for _ in range(_ITERATIONS):
        for factor in _PASS_BAND:
            moved = _averaged(moved, starts, near, factor, bounds)
    return Mesh(moved, mesh.faces)


def with_volume(mesh: Mesh, volume: float, origin: Mesh, limit: float, grid: Grid) -> Mesh:
    """The mesh moved along its normals until it encloses `volume` (nm³).

    No vertex leaves the distance `limit` (nm) from its place in `origin`.
    """
    bounds = _Bounds(origin.vertices, grid.sides(origin.vertices), grid.ends(), limit)
    for _ in range(_VOLUME_STEPS):
        step = (volume - mesh.volume()) / max(mesh.area(), 1e-9)
        steps = step * mesh.vertex_normals()
        moved = _moved(mesh.vertices, steps, bounds)
        mesh = Mesh(moved, mesh.faces)
    return mesh


@compiled
def _neighbours(
    faces: NDArray[np.int32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Neighbours of the vertices of a closed mesh: those of vertex v start at ``starts[v]``.

    In a closed mesh, each edge is once in the triangles in each direction.
    """
    starts = np.zeros(count + 1, np.int64)
    for row in range(len(faces)):
        for corner in range(3):
            starts[faces[row, corner] + 1] += 1
    starts = np.cumsum(starts)
    filled = starts.copy()
    near = np.empty(3 * len(faces), np.int32)
    for row in range(len(faces)):
        for corner in range(3):
            at = faces[row, corner]
            near[filled[at]] = faces[row, (corner + 1) % 3]
            filled[at] += 1
    return starts, near


@compiled
def _moved(
    places: Floats,
    steps: Floats,
    bounds: _Bounds,
) -> Floats:
    """Vertices moved, not across the cut sides that they lie on, and kept within the limit."""
    origins, sides, ends, limit = bounds
    found = places + steps
    for at in range(len(places)):
        length = 0.0
        for axis in range(3):
            if sides[at] & (3 << (2 * axis)):
                found[at, axis] = places[at, axis]
            length += (found[at, axis] - origins[at, axis]) ** 2
        if length > limit * limit:
            scale = limit / np.sqrt(length)
            for axis in range(3):
                found[at, axis] = origins[at, axis] + scale * (found[at, axis] - origins[at, axis])
        for axis in range(3):
            found[at, axis] = min(max(found[at, axis], ends[0, axis]), ends[1, axis])
    return found


@compiled
def _averaged(
    places: Floats,
    starts: NDArray[np.int64],
    near: NDArray[np.int32],
    factor: float,
    bounds: _Bounds,
) -> Floats:
    """Each vertex moved by a factor towards the mean of its neighbours."""
    steps = np.zeros_like(places)
    for at in range(len(places)):
        count = starts[at + 1] - starts[at]
        if count == 0:
            continue
        for axis in range(3):
            total = 0.0
            for other in range(starts[at], starts[at + 1]):
                total += places[near[other], axis]
            steps[at, axis] = factor * (total / count - places[at, axis])
    return _moved(places, steps, bounds)
