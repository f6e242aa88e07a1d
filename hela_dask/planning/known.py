"""The cells of a run that is still to come, as far as they are known: given, or found before."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from hela_dask.errors import InputError, MissingInputError
from hela_dask.running.centres import correct_cells
from hela_dask.running.finding import Found
from hela_dask.running.pipeline import Pipeline
from hela_dask.running.stages import Job
from hela_dask.running.tables import select_cells
from hela_dask.steps.assemble import CellMasks, plan_slabs
from hela_dask.steps.regions import cell_regions, with_regions
from hela_dask.storage import store
from hela_dask.storage.metadata import read_image
from hela_dask.tasks.lock import Lock
from hela_dask.tasks.progress import RunProgress
from hela_dask.tasks.session import Session
from hela_dask.tasks.units import Unit

if TYPE_CHECKING:
    from distributed import Client

    from hela_dask.running.setup import Setup

__all__ = ["Known", "known_cells"]


@dataclass(frozen=True)
class Known:
    """Cells whose windows are known.

    Parameters
    ----------
    windows : tuple of (z, y, x)
        Voxels of the working level, of each cell that is asked for and not segmented yet.
    done : int
        Cells that are segmented already.
    found : bool
        Whether resin and cells were found by an earlier run; if not, they were given.
    labels : int
        Slabs of labels that an earlier run wrote, and that would not change.
    """

    windows: tuple[tuple[int, int, int], ...]
    done: int
    found: bool
    labels: int = 0

    @property
    def number(self) -> int:
        """All cells that are asked for."""
        return len(self.windows) + self.done


class _UnfinishedError(Exception):
    """There is something that only a run computes."""


class _Nobody(Session):
    """In place of a session: there is nobody to compute anything."""

    def __init__(self) -> None:
        """Needs nothing."""

    def client(self) -> Client:
        """Never there."""
        raise _UnfinishedError


class _Silent(RunProgress):
    """Says nothing of stages that were finished before."""

    def stage(self, name: str, total: int, done: int = 0, unit: str = "") -> None:
        """Say nothing."""

    def advance(self, count: int = 1) -> None:
        """Say nothing."""

    def end_stage(self) -> None:
        """Say nothing."""

    def say(self, text: str) -> None:
        """Say nothing."""

    def warn(self, text: str) -> None:
        """Say nothing."""


class _Finished(Pipeline):
    """What an earlier run has finished, found as a run finds it; computes and writes nothing."""

    def _make_room(self, shape: tuple[int, ...]) -> None:
        raise _UnfinishedError

    def _forget_damaged(self, units: Sequence[Unit], files: str, consequence: str) -> None:
        """Files that are missing or changed are made again: it is not known what is in them."""
        for unit in units:
            if self._is_damaged(unit):
                raise _UnfinishedError

    def _is_damaged(self, unit: Unit) -> bool:
        marker = self.job.markers.finished(unit.stage, unit.name, unit.fingerprint)
        return marker is not None and bool(self.job.markers.mismatches(marker))

    def _keep_first_table(self, found: Found) -> None:
        return None

    def found(self) -> Found:
        """Cells and regions.

        Raises
        ------
        _UnfinishedError
            When they are not found yet, or not with these parameters.
        """
        return self.find_cells()

    def _yields(self, masks: Sequence[CellMasks]) -> dict[int, tuple[int, ...]]:
        of = self.keys.yields(masks)
        if self.job.markers.result("yields", "cells", of) is None:
            raise _UnfinishedError
        return super()._yields(masks)

    def labels_done(self, found: Found, chosen: Collection[int]) -> int:
        """Slabs of labels that are there and would not change; all cells must be segmented."""
        try:
            _, masks = self.segment(found, chosen)
            images = [read_image(path) for path in self.label_paths.values()]
        except (_UnfinishedError, InputError, MissingInputError):
            return 0
        names = [image.name for image in images]
        slabs = plan_slabs(store.slabs(images[0]), *self._working, masks, self.thresholds)
        there = set.intersection(*(set(store.finished_slabs(image)) for image in images))
        return sum(
            (slab.z0, slab.z1) in there
            and self.job.markers.result(
                "assemble",
                f"z{slab.z0:05d}",
                self.keys.assemble(names, self.background, slab.masks),
            )
            is not None
            for slab in slabs
        )

    def is_done(self, found: Found, label: int) -> bool:
        """Whether a cell is segmented."""
        region = next(region for region in found.regions if region.label == label)
        unit = self._cell_unit(region)
        row = self.job.markers.result(unit.stage, unit.name, unit.fingerprint)
        return row is not None and not self._is_damaged(unit)


def known_cells(setup: Setup) -> Known | None:
    """The cells of a run, if they are known before it starts.

    Parameters
    ----------
    setup : Setup
        A run that may start.

    Returns
    -------
    Known or None
        None where detection has still to find them.

    Raises
    ------
    NothingToDoError
        When an earlier run has looked, with these parameters, and found none.
    InputError
        For a cell or a box that was asked for and is not there.
    """
    job = Job(
        setup.image.path.absolute(),
        setup.run.absolute(),
        setup.labels.absolute(),
        Lock(Path(), ""),
        setup.method,
        setup.parameters,
    )
    finished = _Finished(setup, job, _Nobody(), _Silent(False))
    try:
        found = finished.found()
    except _UnfinishedError:
        if setup.centres is None:
            return None
        return Known(_windows(setup, job, _given(setup, job), frozenset()), 0, found=False)
    done = frozenset(
        region.label for region in found.segmentable() if finished.is_done(found, region.label)
    )
    chosen = select_cells(found.cells, setup.cells, setup.box)
    wanted = done & chosen
    windows = _windows(setup, job, found, done)
    labels = 0 if windows else finished.labels_done(found, chosen)
    return Known(windows, len(wanted), found=True, labels=labels)


def _given(setup: Setup, job: Job) -> Found:
    """The centres that were given, corrected, with their regions."""
    assert setup.centres is not None
    cells = setup.centres
    if setup.corrections is not None:
        cells = correct_cells(cells, setup.corrections, setup.image, setup.corrections_path)
    regions = cell_regions(cells, job.working(), setup.parameters.region)
    return Found(pd.DataFrame(), with_regions(cells, regions), regions)


def _windows(
    setup: Setup, job: Job, found: Found, done: Sequence[int] | frozenset[int]
) -> tuple[tuple[int, int, int], ...]:
    """Voxels of the windows of the cells that are asked for and not done."""
    chosen = select_cells(found.cells, setup.cells, setup.box)
    volume = job.working()
    sizes = []
    for region in found.segmentable():
        if region.label in chosen and region.label not in done:
            z, y, x = (part.stop - part.start for part in region.slices(volume))
            sizes.append((z, y, x))
    return tuple(sizes)
