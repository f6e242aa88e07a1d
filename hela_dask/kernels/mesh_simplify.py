"""Fewer triangles for the same surface: collapsed edges (zmesh), with the distance checked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hela_dask.errors import MissingDependencyError
from hela_dask.kernels.mesh import Grid, Mesh, with_volume
from hela_dask.kernels.mesh_distance import mesh_distance

__all__ = ["simplify_mesh"]

_TRIES = (1 / 2, 1 / 8, 1 / 32)  # tolerances of the collapses, in units of the error
_VOLUME = 0.01  # relative change of the volume at most
_SNAP = 2.0  # nm: a vertex so close to a cut side belongs on it
_MOST = 1000.0  # triangles for one that is kept: only the tolerance ends it


def simplify_mesh(mesh: Mesh, truth: Mesh, error: float, grid: Grid) -> tuple[Mesh, float]:
    """A mesh with fewer triangles, at most `error` (nm) from `truth`, and its distance from it.

    Edges are collapsed by quadric errors (M. Garland and P. S. Heckbert, SIGGRAPH 1997) and only
    where the topology stays the same. The volume that is lost is given back along the normals.
    Then the distance is measured; where it is too large in each of three tries, or the mesh is not
    closed, it comes back as it was.

    Raises
    ------
    MissingDependencyError
        When zmesh is not installed.
    """
    volume = mesh.volume()
    for part in _TRIES:
        simple = _collapsed(mesh, part * error, grid)
        if len(simple.faces) and np.isfinite(simple.vertices).all() and simple.is_closed():
            simple = with_volume(simple, volume, simple, error / 2, grid)
            if abs(simple.volume() / volume - 1) <= _VOLUME:
                distance = mesh_distance(simple, truth, error)
                if distance <= error:
                    return simple, distance
    return mesh, mesh_distance(mesh, truth, error)


def _collapsed(mesh: Mesh, tolerance: float, grid: Grid) -> Mesh:
    try:
        import zmesh
    except ImportError as error:
        raise MissingDependencyError(
            "meshes need zmesh, which is not installed: pip install 'hela_dask[meshes]'"
        ) from error
    # Coordinates in single precision, from a place near the object.
    middle = mesh.vertices.mean(axis=0)
    given = zmesh.Mesh(
        vertices=(mesh.vertices - middle).astype(np.float32),
        faces=mesh.faces.astype(np.uint32),
        normals=None,
    )
    found = zmesh.Mesher((1.0, 1.0, 1.0)).simplify(
        given, reduction_factor=_MOST, max_error=tolerance
    )
    places = np.asarray(found.vertices, dtype=np.float64) + middle
    for axis, (ends, cuts) in enumerate(zip(grid.bounds, grid.cut, strict=True)):
        for end, cut in zip(ends, cuts, strict=True):
            if cut:
                beyond = (places[:, axis] - end) * (1 if end == ends[1] else -1) > -_SNAP
                places[beyond, axis] = end
    faces = np.asarray(found.faces, dtype=np.int32)
    # Vertices that became one in single precision leave triangles without an area.
    faces = faces[np.all(faces != np.roll(faces, 1, axis=1), axis=1)]
    return replace(mesh, vertices=places, faces=faces)
