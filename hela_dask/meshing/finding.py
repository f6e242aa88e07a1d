"""The boxes of all labelled objects: a first pass over the labels, slab by slab."""

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
from hela_dask.kernels.overlaps import add_up
from hela_dask.meshing.building import block_sides, grid_around
from hela_dask.meshing.tasks import MeshJob, count_task
from hela_dask.meshing.voxels import bytes_kept
from hela_dask.tasks.dispatch import run_units
from hela_dask.tasks.markers import fingerprint
from hela_dask.tasks.memory import Need
from hela_dask.tasks.progress import RunProgress
from hela_dask.tasks.session import Session
from hela_dask.tasks.units import Unit

__all__ = ["Boxes", "choose_cells", "find_boxes", "mesh_need"]

Boxes = dict[int, dict[str, Box]]
"""By label and kind."""

_PROCESS = 320 * 2**20  # bytes of a dask worker with the libraries loaded
_BLOCK = 6  # bytes per block: the share of the object, and marching cubes of it
_SIDE_BLOCK = 800  # bytes per block on a side of the box: triangles of a folded surface
_SLAB_VOXELS = 2**23  # counted by one task


def find_boxes(
    session: Session, job: MeshJob, geometry: Geometry, display: RunProgress
) -> tuple[Boxes, dict[tuple[int, str], int]]:
    """The box of each kind of object with each label, and the voxels of each object."""
    tile = max(math.prod(volume.labels.tile) for volume in job.labels.values())
    session.check([Need("count", "counting voxels", _PROCESS + tile * COUNTED_VOXEL)])
    deep = max(volume.labels.tile[0] for volume in job.labels.values())
    deep *= max(1, _SLAB_VOXELS // (deep * math.prod(geometry.shape[1:])))
    slabs = Box.whole(geometry.shape).chunks((deep, *geometry.shape[1:]))
    units = [
        Unit(
            "count", f"z{slab.low[0]:05d}", fingerprint("count"), slab, float(math.prod(slab.shape))
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
    boxes: Boxes = {}
    voxels = {}
    for kind in job.labels:
        parts = [np.array(row["counts"][kind], np.int64) for row in found.values()]
        for label, _, count, *rest in add_up(part for part in parts if len(part)).tolist():
            ends = rest[3:]  # after the sums of places
            boxes.setdefault(label, {})[kind] = Box.of(zip(ends[::2], ends[1::2], strict=True))
            voxels[label, kind] = count
    return dict(sorted(boxes.items())), voxels


def choose_cells(boxes: Boxes, cells: Sequence[int] | None, source: Path) -> Boxes:
    """The boxes of these cells, or of all.

    Raises
    ------
    NothingToDoError
        When nothing is labelled.
    ParameterError
        When a cell is not there.
    """
    if not boxes:
        raise NothingToDoError(f"{source} holds no labelled object: there is nothing to mesh")
    if cells is None:
        return boxes
    wanted = sorted({int(label) for label in cells})
    unknown = [label for label in wanted if label not in boxes]
    if unknown:
        named = listed([str(label) for label in unknown])
        raise ParameterError(
            f"--cells: no object of {source} has the label{'s' * (len(unknown) > 1)} {named}"
        )
    return {label: boxes[label] for label in wanted}


def mesh_need(boxes: Boxes, geometry: Geometry, error: float) -> Need:
    """The memory of the mesh of the largest object."""
    sides = block_sides(geometry, error)
    most, shape = 0, (0, 0, 0)
    for box in (box for kinds in boxes.values() for box in kinds.values()):
        z, y, x = size = grid_around(box, geometry, sides)[1].shape
        taken = z * y * x * _BLOCK + 2 * (z * y + y * x + z * x) * _SIDE_BLOCK
        taken += bytes_kept(box)
        if taken > most:
            most, shape = taken, size
    return Need(
        "mesh",
        f"the mesh of an object of {by_axis(shape)} blocks",
        _PROCESS + most,
        "give a larger --error",
    )
