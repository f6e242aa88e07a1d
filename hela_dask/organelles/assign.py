"""assign: organelles of any origin to the cells of a run, slab by slab and cell by cell."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.errors import InputError, MissingInputError, NothingToDoError
from hela_dask.evaluation.instances import single_label_text
from hela_dask.formatting import by_axis
from hela_dask.kernels.overlaps import add_up, cell_of, largest_overlaps, reduce_rows
from hela_dask.organelles.result import Assignment, OrganelleFiles, checked_name
from hela_dask.organelles.source import OrganelleLabels, open_organelles
from hela_dask.organelles.tables import cell_table, organelle_table
from hela_dask.organelles.tasks import (
    LABELS,
    AssignJob,
    RunLabels,
    cell_file,
    count_task,
    distance_task,
    slab_file,
)
from hela_dask.running.made import LABELS as LABEL_CONTENT
from hela_dask.running.made import RUN, MadeFrom
from hela_dask.running.needs import PROCESS
from hela_dask.running.opening import open_run
from hela_dask.running.provenance import read_run
from hela_dask.running.result import RunResult
from hela_dask.storage.files import storage_errors
from hela_dask.storage.metadata import Image, local_path, read_image
from hela_dask.tasks.cluster import check_client, read_cluster
from hela_dask.tasks.code import code_fingerprint
from hela_dask.tasks.damaged import forget_damaged
from hela_dask.tasks.dispatch import run_units
from hela_dask.tasks.lock import Lock, hold
from hela_dask.tasks.markers import fingerprint, fingerprint_files
from hela_dask.tasks.memory import Need
from hela_dask.tasks.progress import RunProgress
from hela_dask.tasks.session import Session
from hela_dask.tasks.units import Row, Unit

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["assign"]

_BLOCK_VOXEL = 80  # bytes: labels, codes, runs, and their counts
_WINDOW_VOXEL = 12  # of a cell's window: two masks and two distances
_CODE = (
    "hela_dask.organelles.source:OrganelleLabels",
    "hela_dask.organelles.tasks:RunLabels",
    "hela_dask.organelles.tasks:count_task",
    "hela_dask.organelles.tasks:distance_task",
    "hela_dask.kernels.overlaps:add_up",
    "hela_dask.organelles.tables:organelle_table",
    "hela_dask.organelles.tables:cell_table",
)  # that the tables depend on
_RESOLUTION = 40.0  # nm, of the distances where a run does not state its working level


def assign(
    run: str | Path,
    organelles: str | Path,
    *,
    name: str | None = None,
    client: Client | None = None,
    cluster: str | Path = "local",
    workers: int | None = None,
    memory: str | int | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> Assignment:
    """Assign organelles to the cells of a run and to their compartments, by overlap.

    An organelle belongs to the cell that holds most of its voxels, or to none where most of them
    lie outside of all cells; in that cell, to the compartment that holds most of them. One with
    voxels in several cells, or in a cell and outside, is listed with ``crosses_border`` and the
    share of the second. The same call again continues where an earlier one stopped.

    Parameters
    ----------
    run : path
        Folder of a finished run.
    organelles : path
        Instance labels from any program: a label group of an OME-Zarr, or any other format
        that ``convert`` reads; of the shape of the image or a whole number of times coarser along
        each axis.
    name : str, optional
        Name of the tables; default: that of the organelles' file.
    client : distributed.Client, optional
        An existing client; default: the cluster of `cluster`.
    cluster, workers, memory
        As in :func:`hela_dask.run`.
    overwrite : bool
        Replace tables of other organelles with this name.
    progress : bool
        Show the progress on stderr.

    Returns
    -------
    Assignment
        The tables of organelles and of cells, as they are in the run folder:
        ``organelles_NAME.parquet`` and ``organelles_NAME_cells.parquet``, each also as CSV, with
        the units and meanings of their columns in ``organelles_NAME_columns.csv``.

    Raises
    ------
    HelaDaskError
        For input that cannot be used, before anything is written: see :mod:`hela_dask.errors`.
    NothingToDoError
        When no voxel is labelled.

    Examples
    --------
    >>> import hela_dask as hd
    >>> found = hd.assign("hela.run", "mitochondria.tif")
    >>> found.organelles["label"].tolist(), bool((found.organelles["cell"] > 0).all())
    ([1, 2, 3], True)
    """
    where = read_cluster(cluster, workers=workers, memory=memory)
    check_client(client, cluster, workers, memory)
    source = local_path(organelles)
    files = OrganelleFiles(local_path(run).absolute(), checked_name(name, source))
    result = open_run(files.run)
    images = _label_images(result)
    labels = open_organelles(source, images[1])
    request = _Request(files, labels, *_run_labels(files.run, images))
    made = MadeFrom.of(files.run, LABEL_CONTENT)
    words = ["assign", RUN, str(labels.path), "--name", files.name]
    with RunProgress(progress) as display, storage_errors(files.run):
        if (done := files.finished(request.key)) is not None:
            display.info(f"{done.path} is finished already")
            made.note(done.path, words)
            return done
        files.tables.check(labels.path, overwrite=overwrite)
        session = Session(
            client,
            where,
            store=labels.path,
            run=files.scratch,
            needs=[_count_need(labels)],
            progress=display,
            begin=lambda: None,
            imports=("hela_dask.organelles.tasks",),
        )
        with hold(files.run) as lock:
            display.holds = lock.holds
            files.tables.check(labels.path, overwrite=overwrite)
            files.scratch.mkdir(parents=True, exist_ok=True)
            try:
                with session:
                    found = _compute(request, request.job(lock), session, display, result)
            except NothingToDoError:
                files.clear()
                raise
            lock.check()
            files.clear()
            made.note(found.path, words)
    return found


@dataclass(frozen=True)
class _Request:
    """The input of an assignment."""

    files: OrganelleFiles
    organelles: OrganelleLabels
    fine: RunLabels  # on the finest level
    working: RunLabels  # on the level of the distances

    @functools.cached_property
    def key(self) -> str:
        """Fingerprint of all that the tables depend on."""
        return fingerprint(
            "assign",
            code_fingerprint(*_CODE),
            self.organelles.key,
            self.organelles.factors,
            [fingerprint_files(group) for group in self.fine.groups],
            self.working.geometry,
        )

    def job(self, lock: Lock) -> AssignJob:
        """Common inputs of the tasks."""
        return AssignJob(self.organelles, self.fine, self.working, self.files.scratch, lock)

    def slabs(self) -> list[Unit]:
        """A unit per slab: as many slices as are read together, or as a file of the labels has."""
        level, units = self.fine.levels[0], []
        deep = self.organelles.tile[0]
        deep *= max(1, math.ceil(level.file[0] / deep))
        for (z, *_), box in Box.whole(level.shape).chunks((deep, *level.shape[1:])):
            key = fingerprint(self.key, box.pairs)
            units.append(Unit("count", f"z{z * deep:05d}", key, box, float(box.shape[0])))
        return units


def _label_images(result: RunResult) -> tuple[Image, ...]:
    """The label groups of a run, in the order of LABELS."""
    missing = [name for name in LABELS if name not in result.label_paths]
    if missing:
        raise MissingInputError(
            f"the labels {missing[0]!r} of {result.path} are gone: start hela-dask run "
            f"{result.store} --out {result.path} again"
        )
    images = tuple(read_image(result.label_paths[name]) for name in LABELS)
    if len({image.levels[0].shape for image in images}) > 1:
        raise InputError(
            f"the labels of {result.path} have different shapes: start hela-dask run "
            f"{result.store} --out {result.path} again"
        )
    return images


def _run_labels(run: Path, images: tuple[Image, ...]) -> tuple[RunLabels, RunLabels]:
    """The labels on the finest level, and on the working level of the run."""
    parameters: Mapping[str, Any] = read_run(run).get("parameters") or {}
    resolution = parameters.get("working", {}).get("resolution", _RESOLUTION)
    groups = tuple(image.folder.absolute() for image in images)
    fine = RunLabels(groups, tuple(image.levels[0] for image in images))
    geometry = fine.geometry
    by = 2 ** geometry.halvings(resolution)
    for halvings in range(geometry.halvings(resolution), 0, -1):
        wanted = geometry.coarser((2**halvings, 2**halvings)).shape
        levels = [level for image in images for level in image.levels if level.shape == wanted]
        if len(levels) == len(images):
            return fine, RunLabels(groups, tuple(levels), by // 2**halvings)
    return fine, replace(fine, step=by)


def _compute(
    request: _Request, job: AssignJob, session: Session, display: RunProgress, result: RunResult
) -> Assignment:
    """All units, then the tables."""
    slabs = request.slabs()
    rows = _run(count_task, job, slabs, session, display, "slabs")
    counts = add_up(np.load(slab_file(job.folder, unit.name)) for unit in slabs)
    if not len(counts):
        raise NothingToDoError(f"{request.organelles.path} labels no voxel: all are 0")
    codes = reduce_rows(
        np.concatenate([np.array(row["cells"], np.int64).reshape(-1, 8) for row in rows.values()]),
        keys=1,
        sums=1,
    )
    overlaps = largest_overlaps(counts)
    cells = _cell_units(job, codes, np.unique(overlaps.cell), request.key)
    session.check([_distance_need(request.organelles, unit.what[1]) for unit in cells])
    _run(distance_task, job, cells, session, display, "cells")

    def distances(cell: int) -> NDArray[np.void]:
        found: NDArray[np.void] = np.load(cell_file(job.folder, _cell_name(cell)))
        return found

    geometry = job.fine.geometry
    table = organelle_table(overlaps, distances, geometry, request.organelles.end)
    per_cell = cell_table(table, counts, codes, result.cells, geometry)
    if len(table) == 1:
        display.warn(single_label_text(request.organelles.path, table["label"].item()))
    job.lock.check()
    facts = {"organelles": str(request.organelles.path)}
    return request.files.write(request.key, table, per_cell, facts)


def _run(
    task: Any, job: AssignJob, units: list[Unit], session: Session, display: RunProgress, kind: str
) -> dict[str, Row]:
    """The rows of all units; those with missing or changed files are computed again."""
    markers = job.markers
    forget_damaged(markers, units, "counts or distances", "they are made again", display.warn)
    return run_units(session.client, task, job, units, markers=markers, progress=display, kind=kind)


def _cell_units(
    job: AssignJob, codes: NDArray[np.int64], holding: NDArray[np.int64], key: str
) -> list[Unit]:
    """A unit per cell that has organelles: its box on the working level, with a voxel around it."""
    boxes = np.delete(codes, 1, axis=1)
    boxes[:, 0] = cell_of(boxes[:, 0])
    units, shape, cells = [], job.working.geometry.shape, set(holding.tolist()) - {0}
    for cell, *ends in reduce_rows(boxes, keys=1, sums=0).tolist():
        if cell in cells:
            fine = Box.of(zip(ends[::2], ends[1::2], strict=True))
            box = fine.coarsen((1, *job.factors)).grow(1).clip(shape)
            unit_key = fingerprint(key, cell, box.pairs)
            cost = float(math.prod(box.shape))
            units.append(Unit("distance", _cell_name(cell), unit_key, (cell, box), cost))
    return units


def _cell_name(cell: int) -> str:
    return f"{cell:05d}"


def _block_bytes(organelles: OrganelleLabels) -> int:
    """Bytes of a block of voxels at the highest point."""
    return math.prod(organelles.tile) * _BLOCK_VOXEL + 2 * organelles.held


def _count_need(organelles: OrganelleLabels) -> Need:
    by = by_axis(organelles.tile)
    return Need("count", f"counting in blocks of {by} voxels", PROCESS + _block_bytes(organelles))


def _distance_need(organelles: OrganelleLabels, box: Box) -> Need:
    by = by_axis(box.shape)
    taken = math.prod(box.shape) * _WINDOW_VOXEL + _block_bytes(organelles)
    return Need("distance", f"distances in a window of {by} voxels", PROCESS + taken)
