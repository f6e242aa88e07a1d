"""The tasks of measuring labels: extents and contacts of a slab, shapes of some objects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.columns import OBJECT_MEASURES
from hela_dask.evaluation.instances import InstanceLabels
from hela_dask.kernels.contact_areas import contact_halo
from hela_dask.kernels.grid import factors_for
from hela_dask.kernels.overlaps import Runs, add_up, count_runs
from hela_dask.parameters import MeasureParameters
from hela_dask.steps.contacts import contacts_halo, contacts_of_slab
from hela_dask.steps.shape import measure_object
from hela_dask.storage.files import replaced
from hela_dask.tasks.allocator import release_memory
from hela_dask.tasks.cost import measured
from hela_dask.tasks.lock import Lock
from hela_dask.tasks.markers import Markers
from hela_dask.tasks.units import Unit
from hela_dask.types import Labels, Shape, Sides, Voxel

__all__ = [
    "MeasureJob",
    "Objects",
    "contacts_file",
    "counts_file",
    "measures_file",
    "objects_task",
    "slab_task",
    "sparse_slab",
]

_LARGE = 2**31  # labels from here on are numbered anew before contacts are found


@dataclass(frozen=True)
class MeasureJob:
    """Common inputs of all tasks; small."""

    labels: InstanceLabels
    voxel: Voxel
    parameters: MeasureParameters
    folder: Path  # with the results of finished units
    lock: Lock  # proof that this process still holds the table

    @property
    def markers(self) -> Markers:
        """The finished units."""
        return Markers(self.folder / "done")


@dataclass(frozen=True)
class Objects:
    """Some objects that are measured by one task."""

    labels: tuple[int, ...]
    boxes: tuple[Box, ...]

    @property
    def box(self) -> Box:
        """The box around all of them."""
        low = np.min([box.low for box in self.boxes], axis=0)
        high = np.max([box.high for box in self.boxes], axis=0)
        return Box.of(zip(low.tolist(), high.tolist(), strict=True))


@dataclass(frozen=True)
class _Window:
    """A box of labels that is read when it is indexed."""

    labels: InstanceLabels
    box: Box

    @property
    def shape(self) -> tuple[int, ...]:
        return self.box.shape

    @property
    def tile(self) -> Shape:
        """Voxels to read at a time."""
        return self.labels.tile

    def __getitem__(self, part: tuple[slice, ...]) -> NDArray[Any]:
        return self.labels.read(Box(part).shift(self.box.low))


def counts_file(folder: Path, name: str) -> Path:
    """Where the voxels and extents of the objects in a slab are kept."""
    return folder / f"counts-{name}.npy"


def contacts_file(folder: Path, name: str) -> Path:
    """Where the contacts in a slab are kept."""
    return folder / f"contacts-{name}.parquet"


def measures_file(folder: Path, name: str) -> Path:
    """Where the shapes of some objects are kept."""
    return folder / f"measures-{name}.npy"


def sparse_slab(
    shape: Shape, voxel: Voxel, parameters: MeasureParameters, slices: tuple[int, int]
) -> tuple[Box, Shape, Voxel]:
    """The voxels that the contacts in some slices depend on.

    Returns
    -------
    box : Box
        The slices with their halo, in whole planes.
    step : tuple of int
        Every so many voxels (z, y, x) are read.
    voxel : tuple of float
        Size of these, nm.
    """
    low = max(0, slices[0] - contact_halo(voxel))
    high = min(shape[0], slices[1] + contacts_halo(voxel, parameters))
    y, x = factors_for(voxel[1:], parameters.resolution)
    box = Box.of([(low, high), (0, shape[1]), (0, shape[2])])
    return box, (1, y, x), (voxel[0], voxel[1] * y, voxel[2] * x)


def slab_task(job: MeasureJob, unit: Unit) -> dict[str, Any]:
    """Voxels and extents of the objects in a slab, and their contacts."""
    slab: Box = unit.what
    with measured() as cost:
        counts, sparse, voxel, low = _read_slab(job, slab)
        below, above = slab.low[0] - low, low + len(sparse) - slab.high[0]
        contacts = _contacts(sparse, voxel, below, above, job.parameters)
        del sparse
        release_memory()
        files = [counts_file(job.folder, unit.name), contacts_file(job.folder, unit.name)]
        with replaced(files[0], job.lock.check) as temporary, temporary.open("wb") as file:
            np.save(file, counts)
        with replaced(files[1], job.lock.check) as temporary:
            contacts.to_parquet(temporary)
    row = {"labels": len(counts), "contacts": len(contacts), **cost}
    records = job.markers.record(*files)
    return job.markers.finish(unit.stage, unit.name, unit.fingerprint, row, records)


def _read_slab(job: MeasureJob, slab: Box) -> tuple[NDArray[np.int64], Labels, Voxel, int]:
    """Counts of a slab, and the voxels for its contacts with their size and first slice."""
    labels = job.labels
    slices = slab.low[0], slab.high[0]
    seen, step, voxel = sparse_slab(labels.shape, job.voxel, job.parameters, slices)
    first = [0, *(min(by // 2, n - 1) for by, n in zip(step[1:], labels.shape[1:], strict=True))]
    shape = [
        len(range(begin, length, by))
        for begin, length, by in zip(first, seen.shape, step, strict=True)
    ]
    sparse, counts = np.zeros(shape, labels.dtype), []
    for _, block in seen.chunks(labels.tile):
        part = labels.read(block)
        inside = block & slab
        if not inside.empty:
            counts.append(count_runs(Runs.of(part[inside.relative_to(block)], None, inside.low)))
        origin = (seen.low[0], *first[1:])
        place = [
            -(-max(0, at - begin) // by)
            for at, begin, by in zip(block.low, origin, step, strict=True)
        ]
        offset = [
            begin + n * by - at
            for begin, n, by, at in zip(origin, place, step, block.low, strict=True)
        ]
        found = part[tuple(slice(at, None, by) for at, by in zip(offset, step, strict=True))]
        sparse[Box.at(place, found.shape)] = found
        del part, found  # the next block finds free memory
    return add_up(counts), sparse, voxel, seen.low[0]


def _contacts(
    labels: Labels, voxel: Voxel, below: int, above: int, parameters: MeasureParameters
) -> pd.DataFrame:
    """Contacts of a slab; labels of any size."""
    if int(labels.max(initial=0)) < _LARGE:
        return contacts_of_slab(labels, voxel, below, above, parameters)
    names = np.union1d(np.zeros(1, labels.dtype), labels)
    numbers = np.searchsorted(names, labels)
    found = contacts_of_slab(numbers, voxel, below, above, parameters)
    known = {column: names[found[column]].astype(np.int64) for column in ("label", "other")}
    return found.assign(**known)


def objects_task(job: MeasureJob, unit: Unit) -> dict[str, Any]:
    """Measure the shapes of some objects; several are read together."""
    objects: Objects = unit.what
    with measured() as cost:
        block = objects.box
        window: Any = _Window(job.labels, block)
        if len(objects.labels) > 1:
            window = job.labels.read(block)
        rows = []
        for label, box in zip(objects.labels, objects.boxes, strict=True):
            part = window if box == block else window[box.relative_to(block)]
            found = measure_object(
                part, label, job.voxel, cut=_cut(box, job.labels.shape), parameters=job.parameters
            )
            rows.append([found[name] for name in OBJECT_MEASURES])
        del window, part
        release_memory()
        path = measures_file(job.folder, unit.name)
        with replaced(path, job.lock.check) as temporary, temporary.open("wb") as file:
            np.save(file, np.array(rows, np.float64))
    row = {"objects": len(rows), **cost}
    return job.markers.finish(
        unit.stage, unit.name, unit.fingerprint, row, job.markers.record(path)
    )


def _cut(box: Box, shape: Shape) -> Sides:
    """The sides of the volume that an object's box reaches."""
    z, y, x = (
        (part.start == 0, part.stop == length) for part, length in zip(box, shape, strict=True)
    )
    return z, y, x
