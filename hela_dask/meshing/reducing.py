"""Meshes of at most a number of triangles, for display, and their compact form."""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np

from hela_dask.geometry import Geometry
from hela_dask.kernels.mesh import Grid, Mesh, contour
from hela_dask.kernels.mesh_simplify import simplify_mesh
from hela_dask.kernels.mesh_smooth import smooth_mesh, with_volume
from hela_dask.meshing.building import block_fractions, block_sides, grid_around
from hela_dask.meshing.voxels import ObjectVoxels

__all__ = ["BYTES_PER_TRIANGLE", "fewer_triangles", "pack_mesh", "reduce_mesh"]

BYTES_PER_TRIANGLE = 12.0
"""Of text in a page: three indices of 2 bytes, half a vertex of 6, as base64."""

_FINEST = 80.0  # nm: side of a block of the first try
_COARSER = 1.6  # side of a block in units of that of the try before
_TRIES = 12
_GROWTH = 2.0  # of the tolerance of simplification
_LARGEST = 4.0  # tolerance at most, in units of the block
_MOST_VERTICES = 2**16  # with indices of 2 bytes


def reduce_mesh(voxels: ObjectVoxels, geometry: Geometry, triangles: int) -> Mesh | None:
    """A closed mesh of an object with at most so many triangles; None where it is too small.

    Blocks are made larger until that can be met: those of 80 nm first. Its volume is that of the
    labels as far as half a block allows.
    """
    error, best = max(_FINEST, min(geometry.voxel_size)), None
    triangles = min(triangles, 2 * (_MOST_VERTICES - 2))
    for _ in range(_TRIES):
        sides = block_sides(geometry, error)
        whole, grid = grid_around(voxels.box, geometry, sides)
        fraction, count = block_fractions(voxels, whole, sides, grid)
        grid.cap(fraction)
        surface = contour(fraction, grid, math.prod(sides))
        if not len(surface.faces):
            return best
        volume = count * math.prod(geometry.voxel_size)
        smooth = with_volume(smooth_mesh(surface, error / 2, grid), volume, surface, error, grid)
        best = fewer_triangles(smooth, grid, error, triangles)
        if len(best.faces) <= triangles and len(best.vertices) <= _MOST_VERTICES:
            return best
        error *= _COARSER
    return best


def fewer_triangles(mesh: Mesh, grid: Grid, error: float, triangles: int) -> Mesh:
    """A mesh with at most so many triangles, as far as a tolerance of four times `error` allows.

    `error` is in nm; the volume is kept as far as `error` allows.
    """
    tolerance = error / 4
    while len(mesh.faces) > triangles and tolerance <= _LARGEST * error:
        volume = mesh.volume()
        mesh = simplify_mesh(mesh, tolerance, grid.sides(mesh.vertices), least=triangles)
        mesh = with_volume(grid.flatten(mesh), volume, mesh, error, grid)
        tolerance *= _GROWTH
    return mesh


def pack_mesh(mesh: Mesh) -> dict[str, Any]:
    """A mesh as numbers and texts for a page.

    Returns
    -------
    dict
        ``low`` and ``step`` (x, y, z in µm): places are low + step * number; ``places``: those
        numbers, and ``faces``: vertices of triangles, both as little-endian uint16 in base64.
    """
    places = mesh.vertices[:, ::-1] / 1000
    low = places.min(axis=0)
    step = np.maximum(places.max(axis=0) - low, 1e-6) / (2**16 - 1)
    numbers = np.round((places - low) / step).astype("<u2")
    return {
        "low": [round(float(value), 6) for value in low],
        "step": [float(value) for value in step],
        "places": base64.b64encode(numbers.tobytes()).decode("ascii"),
        "faces": base64.b64encode(mesh.faces.astype("<u2").tobytes()).decode("ascii"),
    }
