"""measure: shapes and contacts of labels of any origin, slab by slab and object by object."""

from __future__ import annotations

import contextlib
import logging
import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hela_dask.box import Box
from hela_dask.columns import CONTACT_COLUMNS, OBJECT_COLUMNS, OBJECT_MEASURES
from hela_dask.errors import InputError, NothingToDoError
from hela_dask.evaluation.instances import (
    COUNTED_VOXEL,
    InstanceLabels,
    open_instances,
    single_label_text,
    voxel_size_of,
    warn_of_voxel_size,
)
from hela_dask.formatting import by_axis
from hela_dask.kernels.overlaps import add_up
from hela_dask.measuring.result import MeasureFiles, Measurement
from hela_dask.measuring.tables import Rows, group_objects, object_table, voxels_read
from hela_dask.measuring.tasks import (
    MeasureJob,
    contacts_file,
    counts_file,
    measures_file,
    objects_task,
    slab_task,
    sparse_slab,
)
from hela_dask.parameters import MeasureParameters
from hela_dask.running.identity import check_outside_runs
from hela_dask.running.needs import PROCESS
from hela_dask.steps.contacts import combine_contacts, contacts_table
from hela_dask.steps.shape import measured_voxels
from hela_dask.storage.files import storage_errors
from hela_dask.storage.metadata import local_path
from hela_dask.storage.places import check_apart
from hela_dask.tasks.cluster import check_client, read_cluster
from hela_dask.tasks.code import code_fingerprint
from hela_dask.tasks.damaged import forget_damaged
from hela_dask.tasks.dispatch import run_units
from hela_dask.tasks.lock import hold
from hela_dask.tasks.markers import fingerprint
from hela_dask.tasks.memory import Need
from hela_dask.tasks.progress import RunProgress
from hela_dask.tasks.session import Session
from hela_dask.tasks.units import Unit
from hela_dask.types import Voxel

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["measure"]

log = logging.getLogger(__name__)

_SLAB = 32  # slices of a slab, or as many as are stored together
_SPARSE_VOXEL = 7  # of a slab: labels, faces and corners of contacts
_OBJECT_VOXEL = 24  # of an object's fraction image: it, its surface, distances, pieces
_SLAB_CODE = "hela_dask.measuring.tasks:slab_task"
_CODE = (
    _SLAB_CODE,
    "hela_dask.measuring.tasks:objects_task",
    "hela_dask.measuring.tables:object_table",
    "hela_dask.steps.contacts:combine_contacts",
    "hela_dask.steps.contacts:contacts_table",
)  # that the tables depend on


def measure(
    labels: str | Path,
    out: str | Path | None = None,
    voxel_size: Sequence[float] | None = None,
    *,
    parameters: MeasureParameters | None = None,
    overwrite: bool = False,
    client: Client | None = None,
    cluster: str | Path = "local",
    workers: int | None = None,
    memory: str | int | None = None,
    progress: bool = True,
) -> Measurement:
    """Measure the shape of every object of an instance label image, and the objects' contacts.

    Parameters
    ----------
    labels : path
        Instance labels from any program: a label group of an OME-Zarr (its finest level), or
        any other format that ``convert`` reads.
    out : path, optional
        The table of objects to write, ``NAME.parquet`` or ``NAME.csv``: both are written, and
        beside them the table of contacts, ``NAME_contacts.parquet`` and ``.csv``, and the units and
        meanings of the columns, ``NAME_columns.csv``. The same call again continues where an
        earlier one stopped. Default: nothing is kept, and workers must see this machine's temporary
        folder.
    voxel_size : (z, y, x) in nm, optional
        Default: as the labels state it.
    parameters : MeasureParameters, optional
    overwrite : bool
        Replace the tables of other labels at `out`.
    client : distributed.Client, optional
        An existing client; default: the cluster of `cluster`.
    cluster, workers, memory
        As in :func:`hela_dask.run`.
    progress : bool
        Show the progress on stderr.

    Returns
    -------
    Measurement
        The tables; their columns are :data:`hela_dask.columns.OBJECT_COLUMNS` and
        :data:`hela_dask.columns.CONTACT_COLUMNS`. Of an object that a side of the volume cuts,
        volume, area and contacts are those of the part inside; other measures are NaN.

    Raises
    ------
    HelaDaskError
        For input that cannot be used, before anything is written: see :mod:`hela_dask.errors`.
    NothingToDoError
        When no voxel is labelled.

    Examples
    --------
    >>> import hela_dask as hd
    >>> found = hd.measure("cells.tif", voxel_size=(100, 160, 160))
    >>> found.objects[["label", "complete"]]
       label  complete
    0      1      True
    1      2      True
    """
    where = read_cluster(cluster, workers=workers, memory=memory)
    check_client(client, cluster, workers, memory)
    with _files(out) as files:
        source, stated = open_instances(local_path(labels))
        if out is not None:
            check_outside_runs(files.path)
            check_apart(source.path, {"--out": files.path}, "label image")
        voxel = voxel_size_of(stated, voxel_size)
        warn_of_voxel_size(source, voxel)
        request = _Request(files, source, voxel, parameters or MeasureParameters(), overwrite)
        with RunProgress(progress) as display, storage_errors(files.path):
            if files.tables.finished(request.key):
                display.info(f"{files.path} is finished already")
                return files.read()
            request.check_tables()
            session = Session(
                client,
                where,
                store=source.path,
                run=files.scratch,
                needs=[request.slab_need()],
                progress=display,
                begin=lambda: None,
                imports=("hela_dask.measuring.tasks",),
            )
            found = _run(request, session, display)
    return found if out is not None else Measurement(found.objects, found.contacts, None, None)


@contextlib.contextmanager
def _files(out: str | Path | None) -> Iterator[MeasureFiles]:
    """The files of the result: of a temporary folder where none are asked for."""
    if out is not None:
        yield MeasureFiles.at(local_path(out))
        return
    with tempfile.TemporaryDirectory(prefix="hela-dask-measure-") as folder:
        yield MeasureFiles.at(Path(folder, "objects.parquet"))


@dataclass(frozen=True)
class _Request:
    """The input of a measurement."""

    files: MeasureFiles
    labels: InstanceLabels
    voxel: Voxel
    parameters: MeasureParameters
    overwrite: bool = False

    def check_tables(self) -> None:
        """Refuse to replace other tables."""
        self.files.tables.check(self.labels.path, overwrite=self.overwrite)

    def _key(self, *code: str) -> str:
        return fingerprint(
            "measure", code_fingerprint(*code), self.labels.key, self.voxel, self.parameters
        )

    @property
    def key(self) -> str:
        """Fingerprint of all that the tables depend on."""
        return self._key(*_CODE)

    def slabs(self) -> list[Unit]:
        """A unit per slab of whole files of the labels."""
        key, units, shape = self._key(_SLAB_CODE), [], self.labels.shape
        deep = self.labels.stored[0]
        deep *= max(1, _SLAB // deep)
        for (number, *_), box in Box.whole(shape).chunks((deep, *shape[1:])):
            unit_key = fingerprint(key, box.pairs)
            units.append(Unit("count", f"z{number * deep:05d}", unit_key, box, float(box.shape[0])))
        return units

    def objects(self, counts: Rows) -> list[Unit]:
        """A unit per object, or per group of small ones near each other."""
        units = []
        for group in group_objects(counts, self.labels):
            boxes = [box.pairs for box in group.boxes]
            key = fingerprint(self.key, group.labels, boxes)
            cost = float(sum(math.prod(box.shape) for box in group.boxes))
            units.append(Unit("measure", str(group.labels[0]), key, group, cost))
        return units

    def slab_need(self) -> Need:
        """Memory of the largest slab."""
        slab = max(self.slabs(), key=lambda unit: unit.cost).what
        shape, slices = self.labels.shape, (slab.low[0], slab.high[0])
        seen, step, _ = sparse_slab(shape, self.voxel, self.parameters, slices)
        sparse = math.prod(seen.coarsen(step).shape)
        taken = sparse * _SPARSE_VOXEL + math.prod(self.labels.tile) * COUNTED_VOXEL
        by = by_axis(slab.shape)
        return Need("count", f"contacts in a slab of {by} voxels", PROCESS + taken)

    def objects_need(self, unit: Unit) -> Need:
        """Memory of the measures of some objects."""
        objects, item = unit.what, self.labels.dtype.itemsize
        largest = max(objects.boxes, key=lambda box: math.prod(box.shape))
        taken = measured_voxels(largest.shape, self.voxel, self.parameters) * _OBJECT_VOXEL
        if len(objects.boxes) > 1:
            taken += voxels_read(list(objects.box.shape), self.labels) * item
        else:
            taken += math.prod(self.labels.tile) * (item + 2)
        by = by_axis(largest.shape)
        return Need("measure", f"measuring an object of {by} voxels", PROCESS + taken)


def _run(request: _Request, session: Session, display: RunProgress) -> Measurement:
    """All units, then the tables."""
    files = request.files
    files.path.parent.mkdir(parents=True, exist_ok=True)
    with hold(files.path.parent, files.lock, what=str(files.path)) as lock:
        request.check_tables()
        display.holds = lock.holds
        files.scratch.mkdir(parents=True, exist_ok=True)
        job = MeasureJob(request.labels, request.voxel, request.parameters, files.scratch, lock)
        try:
            with session:
                objects, contacts = _compute(request, job, session, display)
        except (InputError, NothingToDoError):
            files.clear()
            raise
        lock.check()
        files.tables.write(
            request.key,
            [(objects, OBJECT_COLUMNS), (contacts, CONTACT_COLUMNS)],
            {"labels": str(request.labels.path)},
            files.scratch / "tables",
        )
        found = files.read()
        files.clear()
    return found


def _compute(
    request: _Request, job: MeasureJob, session: Session, display: RunProgress
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of objects and of contacts."""
    slabs = request.slabs()
    _run_units(slab_task, job, slabs, session, display, "slabs")
    counts = add_up(np.load(counts_file(job.folder, unit.name)) for unit in slabs)
    if not len(counts):
        raise NothingToDoError(f"{request.labels.path} labels no voxel: all are 0")
    units = request.objects(counts)
    session.check([request.objects_need(unit) for unit in units])
    _run_units(objects_task, job, units, session, display, "objects")
    measures = np.empty((len(counts), len(OBJECT_MEASURES)))
    for unit in units:
        rows = np.searchsorted(counts[:, 0], unit.what.labels)
        measures[rows] = np.load(measures_file(job.folder, unit.name))
    if len(counts) == 1:
        display.warn(single_label_text(request.labels.path, counts[0, 0]))
    contacts = combine_contacts(
        pd.read_parquet(contacts_file(job.folder, unit.name)) for unit in slabs
    )
    return object_table(counts, measures, job.voxel, job.labels.shape), contacts_table(contacts)


def _run_units(
    task: Any,
    job: MeasureJob,
    units: list[Unit],
    session: Session,
    display: RunProgress,
    kind: str,
) -> None:
    """Compute all units; those with missing or changed files again."""
    markers = job.markers
    forget_damaged(markers, units, "counts or measures", "they are made again", display.warn)
    run_units(session.client, task, job, units, markers=markers, progress=display, kind=kind)
