"""All labelled objects: a first pass over the labels, slab by slab."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hela_dask.box import Box
from hela_dask.errors import NothingToDoError, ParameterError
from hela_dask.evaluation.instances import COUNTED_VOXEL
from hela_dask.formatting import by_axis, listed
from hela_dask.geometry import Geometry
from hela_dask.kernels.overlaps import add_up, reduce_rows
from hela_dask.meshing.building import block_sides, grid_around
from hela_dask.meshing.labels import FoundObject
from hela_dask.meshing.tasks import MeshJob, count_task
from hela_dask.meshing.voxels import bytes_kept
from hela_dask.tasks.code import code_fingerprint
from hela_dask.tasks.dispatch import run_units
from hela_dask.tasks.markers import fingerprint
from hela_dask.tasks.memory import Need
from hela_dask.tasks.progress import RunProgress
from hela_dask.tasks.session import Session
from hela_dask.tasks.units import Unit

__all__ = ["Objects", "choose_cells", "find_objects", "mesh_need"]

Objects = dict[int, dict[str, FoundObject]]
"""By label and kind."""

_PROCESS = 320 * 2**20  # bytes of a dask worker with the libraries loaded
_BLOCK = 6  # bytes per block: the share of the object, and marching cubes of it
_SIDE_BLOCK = 800  # bytes per block on a side of the box: triangles of a folded surface
_SLAB_VOXELS = 2**23  # counted by one task


def find_objects(
    session: Session, job: MeshJob, geometry: Geometry, display: RunProgress
) -> Objects:
    """The objects of each kind with each label."""
    tile = max(math.prod(volume.labels.tile) for volume in job.labels.values())
    session.check([Need("count", "counting voxels", _PROCESS + tile * COUNTED_VOXEL)])
    deep = max(volume.labels.tile[0] for volume in job.labels.values())
    deep *= max(1, _SLAB_VOXELS // (deep * math.prod(geometry.shape[1:])))
    slabs = Box.whole(geometry.shape).chunks((deep, *geometry.shape[1:]))
    files = {kind: volume.labels.key for kind, volume in job.labels.items()}
    key = fingerprint("count", code_fingerprint("hela_dask.meshing.tasks:count_task"), files)
    units = [
        Unit(
            "count",
            f"z{slab.low[0]:05d}",
            fingerprint(key, slab.pairs),
            slab,
            float(math.prod(slab.shape)),
        )
        for _, slab in slabs
    ]
    found = run_units(
        session.client,
        count_task,
        job,
        units,
        markers=job.markers,
        progress=display,
        kind="slabs",
    )
    objects: Objects = {}
    for kind in job.labels:
        counts, hashes = (
            [np.array(row[name][kind], np.int64).reshape(-1, columns) for row in found.values()]
            for name, columns in (("counts", 12), ("hashes", 2))
        )
        contents = reduce_rows(np.concatenate(hashes), keys=1, sums=1)[:, 1].tolist()
        for row, content in zip(add_up(counts).tolist(), contents, strict=True):
            label, _, voxels, _, _, _, *ends = row
            box = Box.of(zip(ends[::2], ends[1::2], strict=True))
            objects.setdefault(label, {})[kind] = FoundObject(box, voxels, content)
    return dict(sorted(objects.items()))


def choose_cells(objects: Objects, cells: Sequence[int] | None, source: Path) -> Objects:
    """The objects of these cells, or of all.

    Raises
    ------
    NothingToDoError
        When nothing is labelled.
    ParameterError
        When a cell is not there.
    """
    if not objects:
        raise NothingToDoError(f"{source} holds no labelled object: there is nothing to mesh")
    if cells is None:
        return objects
    wanted = sorted({int(label) for label in cells})
    unknown = [label for label in wanted if label not in objects]
    if unknown:
        named = listed([str(label) for label in unknown])
        raise ParameterError(
            f"--cells: no object of {source} has the label{'s' * (len(unknown) > 1)} {named}"
        )
    return {label: objects[label] for label in wanted}


def mesh_need(objects: Objects, geometry: Geometry, error: float) -> Need:
    """The memory of the mesh of the largest object."""
    sides = block_sides(geometry, error)
    most, shape = 0, (0, 0, 0)
    for item in (item for kinds in objects.values() for item in kinds.values()):
        z, y, x = size = grid_around(item.box, geometry, sides)[1].shape
        taken = z * y * x * _BLOCK + 2 * (z * y + y * x + z * x) * _SIDE_BLOCK
        taken += bytes_kept(item.box)
        if taken > most:
            most, shape = taken, size
    return Need(
        "mesh",
        f"the mesh of an object of {by_axis(shape)} blocks",
        _PROCESS + most,
        "give a larger --error",
    )
