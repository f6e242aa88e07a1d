"""The tasks of an assignment: counts of a slab, distances around a cell; paths in, a row out."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.evaluation.instances import tile_of
from hela_dask.geometry import Geometry
from hela_dask.kernels.distance import distance_inside
from hela_dask.kernels.overlaps import (
    ENVELOPE,
    NUCLEUS,
    Runs,
    cell_code,
    cell_of,
    compartment_codes,
    count_codes,
    count_runs,
    least_along_runs,
    least_per_label,
    reduce_rows,
)
from hela_dask.organelles.source import OrganelleLabels
from hela_dask.storage.files import replaced
from hela_dask.storage.level import Level
from hela_dask.storage.level_array import LevelArray
from hela_dask.tasks.allocator import release_memory
from hela_dask.tasks.cost import measured
from hela_dask.tasks.lock import Lock
from hela_dask.tasks.markers import Markers
from hela_dask.tasks.units import Unit
from hela_dask.types import Factors, Grey

__all__ = [
    "LABELS",
    "AssignJob",
    "RunLabels",
    "cell_file",
    "count_task",
    "distance_task",
    "slab_file",
]

LABELS = ("nuclei", "cells", "envelope")
"""The label groups that are read, in the order of :func:`compartment_codes`."""

_NEAREST = np.dtype([("label", np.int64), ("nucleus", np.float32), ("membrane", np.float32)])


@dataclass(frozen=True)
class RunLabels:
    """The labels of a run on the pixels of a level, or on every n-th; small, workers open them.

    A level of the pyramid of labels is every n-th pixel of the finest, so both are the same.
    """

    groups: tuple[Path, ...]  # of LABELS, absolute
    levels: tuple[Level, ...]
    step: int = 1  # pixels of the level, in y and x, of which one is read

    @property
    def geometry(self) -> Geometry:
        """The grid of the voxels that are read."""
        return self.levels[0].geometry.coarser((self.step, self.step))

    def codes(self, box: Box) -> NDArray[np.uint32]:
        """Cell and compartment of each voxel in a box, see :func:`compartment_codes`."""
        by = self.step
        z, y, x = box.scale((1, by, by)).clip(self.levels[0].shape)
        nuclei, cells, envelope = (
            _opened(group, level)[z, y, x][:, ::by, ::by]
            for group, level in zip(self.groups, self.levels, strict=True)
        )
        return compartment_codes(nuclei, cells, envelope)

    def blocks(self, box: Box) -> Iterator[Box]:
        """A box in parts that are read one after the other."""
        level = self.levels[0]
        z, y, x = tile_of((level.file[0], *level.chunks[1:]), level.shape)
        sides = z, max(1, y // self.step), max(1, x // self.step)
        return (part for _, part in box.chunks(sides))


@functools.lru_cache(maxsize=8)
def _opened(group: Path, level: Level) -> LevelArray:
    return LevelArray.from_level(group, level)


@dataclass(frozen=True)
class AssignJob:
    """Common inputs of all tasks; small."""

    organelles: OrganelleLabels
    fine: RunLabels  # on the finest level
    working: RunLabels  # on the level of the distances
    folder: Path  # with the results of finished units
    lock: Lock  # proof that this process still holds the run folder

    @property
    def markers(self) -> Markers:
        """The finished units."""
        return Markers(self.folder / "done")

    @property
    def factors(self) -> Factors:
        """Fine pixels (y, x) per pixel of the working level."""
        return self.fine.geometry.factors(self.working.geometry)


def slab_file(folder: Path, name: str) -> Path:
    """Where the counts of a slab are kept."""
    return folder / f"counts-{name}.npy"


def cell_file(folder: Path, name: str) -> Path:
    """Where the distances around a cell are kept."""
    return folder / f"distances-{name}.npy"


def count_task(job: AssignJob, unit: Unit) -> dict[str, Any]:
    """Count the voxels of each organelle per cell and compartment in a slab, and those of cells."""
    with measured() as cost:
        rows, cells = [], []
        for block, labels in job.organelles.blocks(unit.what):
            codes = job.fine.codes(block)
            cells.append(count_codes(codes, block.low))
            if labels.any():
                rows.append(count_runs(Runs.of(labels, codes, block.low)))
            del codes, labels  # the next block finds free memory
        found = np.concatenate(rows) if rows else np.zeros((0, 12), np.int64)
        found = reduce_rows(found, keys=2, sums=4)
        release_memory()
        path = slab_file(job.folder, unit.name)
        _save(job, path, found)
    counts = reduce_rows(np.concatenate(cells), keys=1, sums=1)
    row = {"cells": counts.tolist(), "rows": len(found), **cost}
    return job.markers.finish(
        unit.stage, unit.name, unit.fingerprint, row, job.markers.record(path)
    )


def distance_task(job: AssignJob, unit: Unit) -> dict[str, Any]:
    """Measure how near each organelle around a cell is to its nucleus, and to its outside."""
    cell, box = unit.what
    with measured() as cost:
        nucleus, membrane = _distances(job.working, cell, box)
        release_memory()
        found = []
        fine = box.scale((1, *job.factors)).clip(job.organelles.grid)
        for block, labels in job.organelles.blocks(fine):
            if labels.any():
                runs = Runs.of(labels, corner=block.low)
                least = (
                    least_along_runs(each, runs, box.low, job.factors)
                    for each in (nucleus, membrane)
                )
                found.append(least_per_label(runs.label, *least))
            del labels
        rows = _nearest(found)
        path = cell_file(job.folder, unit.name)
        _save(job, path, rows)
    row = {"cell": cell, "rows": len(rows), **cost}
    return job.markers.finish(
        unit.stage, unit.name, unit.fingerprint, row, job.markers.record(path)
    )


def _distances(labels: RunLabels, cell: int, box: Box) -> tuple[Grey, Grey]:
    """Distance of each voxel in a box to the nucleus of a cell with its envelope, and to outside.

    NaN where there is none of it in the box.
    """
    away, inside = np.empty(box.shape, bool), np.empty(box.shape, bool)
    for part in labels.blocks(box):
        codes, here = labels.codes(part), part.relative_to(box)
        np.logical_and(
            codes != cell_code(cell, NUCLEUS), codes != cell_code(cell, ENVELOPE), out=away[here]
        )
        np.equal(cell_of(codes), cell, out=inside[here])
    voxel = labels.geometry.voxel_size
    nucleus = distance_inside(away, voxel)
    del away
    return nucleus, distance_inside(inside, voxel)


def _nearest(found: list[tuple[NDArray[Any], ...]]) -> NDArray[Any]:
    """One row per label, from those of all blocks."""
    rows = np.zeros(0, _NEAREST)
    if found:
        label, nucleus, membrane = least_per_label(
            *(np.concatenate(parts) for parts in zip(*found, strict=True))
        )
        rows = np.zeros(len(label), _NEAREST)
        rows["label"], rows["nucleus"], rows["membrane"] = label, nucleus, membrane
    return rows


def _save(job: AssignJob, path: Path, rows: NDArray[Any]) -> None:
    """Write the rows of a unit, whole or not at all, while this process holds the run folder."""
    with replaced(path, job.lock.check) as temporary, temporary.open("wb") as file:
        np.save(file, rows)
