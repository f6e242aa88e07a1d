"""Neuroglancer's meshes with several levels of detail: a data file and a manifest per label.

Format ``neuroglancer_multilod_draco``, not sharded:
https://github.com/google/neuroglancer/blob/master/src/datasource/precomputed/meshes.md
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hela_dask.kernels.mesh import Mesh
from hela_dask.meshing.building import ObjectMesh
from hela_dask.meshing.reducing import fewer_triangles
from hela_dask.storage.files import write_json

__all__ = ["INFO", "levels_of_detail", "manifest_file", "save_levels"]

INFO = "info"
"""The file that makes a folder one of Neuroglancer's meshes."""

_FEWER = 4  # triangles of a level in units of those of the next: edges twice as long
_LEAST = 100  # triangles of the coarsest level at least
_BITS = 16  # of a coordinate
_IDENTITY = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]


def levels_of_detail(found: ObjectMesh, error: float) -> list[Mesh]:
    """The mesh, and ones with a quarter of the triangles of the one before; all closed.

    `error` (nm) is that of the mesh. It doubles with each level; the last level has the fewest
    triangles that this allows, or about 100.
    """
    levels = [found.mesh]
    while (wanted := len(levels[-1].faces) // _FEWER) >= _LEAST:
        error *= 2
        level = fewer_triangles(levels[-1], found.grid, error, wanted)
        if len(level.faces) == len(levels[-1].faces):
            break
        levels.append(level)
    return levels


def save_levels(levels: Sequence[Mesh], path: Path, label: int) -> None:
    """Write the levels of a label, the finest first, and the folder's info file.

    A level is one fragment: the octree's node that holds the whole object. Places are rounded to
    1/65535 of the node's sides.
    """
    import DracoPy

    low = np.min([mesh.vertices.min(axis=0) for mesh in levels], axis=0)[::-1]
    high = np.max([mesh.vertices.max(axis=0) for mesh in levels], axis=0)[::-1]
    low, shape = low.astype("<f4"), np.maximum(high - low, 1).astype("<f4")
    fragments = []
    for number, mesh in enumerate(levels):
        step = shape.astype(float) * 2**number / (2**_BITS - 1)
        places = np.round((mesh.vertices[:, ::-1] - low) / step).clip(0, 2**_BITS - 1)
        fragments.append(DracoPy.encode(places.astype(np.uint32), mesh.faces.astype(np.uint32)))
    count = len(levels)
    parts = [
        *(shape, low, np.array([count], "<u4")),
        np.array([_edge(mesh) for mesh in levels], "<f4"),
        np.zeros((count, 3), "<f4"),  # vertex offsets
        np.ones(count, "<u4"),  # fragments
    ]
    for fragment in fragments:
        parts += [np.zeros(3, "<u4"), np.array([len(fragment)], "<u4")]  # place in octree, bytes
    path.write_bytes(b"".join(fragments))
    path.with_name(manifest_file(label)).write_bytes(b"".join(part.tobytes() for part in parts))
    info = {
        "@type": "neuroglancer_multilod_draco",
        "vertex_quantization_bits": _BITS,
        "transform": _IDENTITY,
        "lod_scale_multiplier": 1,
    }
    write_json(path.with_name(INFO), info, flush=False)


def manifest_file(label: int) -> str:
    """The name of the file that lists the levels of a label."""
    return f"{label}.index"


def _edge(mesh: Mesh) -> float:
    """The side of an equilateral triangle of the mesh's mean area, nm."""
    return math.sqrt(4 / math.sqrt(3) * mesh.area() / len(mesh.faces))
