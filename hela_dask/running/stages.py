"""The tasks of a run: a slab of background, a cell, a slab of labels.

Paths as input, a row as output.

Each reads its own slab or window, writes files that it alone owns, and then its marker. They are
plain functions of small arguments, so that any dask worker that sees the same files can run them.
"""

from __future__ import annotations

import logging
import math
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.geometry import Geometry
from hela_dask.kernels.background import thresholds
from hela_dask.kernels.morphology import box_around
from hela_dask.methods.names import DEFAULT_METHOD
from hela_dask.methods.registry import get_method
from hela_dask.parameters import Parameters
from hela_dask.running.predicted import predicted_path, read_predicted
from hela_dask.statuses import FAILED, NO_RESIN, SEGMENTED
from hela_dask.steps.assemble import Slab, assemble_slab, encode_masks, kept_labels, read_outlines
from hela_dask.steps.coarse_labels import CoarseLabels
from hela_dask.steps.confidence import NUMBERS
from hela_dask.steps.edit import edit_tile
from hela_dask.steps.grow import segment_grown
from hela_dask.steps.measure import combine_counts, count_slab
from hela_dask.steps.refine import Refiner, TileLabels, volume_refiner
from hela_dask.steps.regions import Region
from hela_dask.storage import store
from hela_dask.storage.metadata import read_image
from hela_dask.storage.reading import StoredArray
from hela_dask.storage.records import Records
from hela_dask.storage.urls import StorePath
from hela_dask.tasks.allocator import release_memory
from hela_dask.tasks.cost import measured
from hela_dask.tasks.lock import Lock
from hela_dask.tasks.markers import Markers
from hela_dask.tasks.units import Unit
from hela_dask.types import Mask
from hela_dask.volume.greys import GreyLevels
from hela_dask.volume.opening import open_volume, working_volume

__all__ = [
    "Job",
    "background_task",
    "classify_task",
    "labels_path",
    "load",
    "masks_path",
    "records_inside",
    "resin_path",
    "segment_task",
    "slab_task",
]

log = logging.getLogger(__name__)

_BYTES = np.empty((0, 0, 0), np.uint8)


@dataclass(frozen=True)
class Job:
    """Common inputs of all tasks of a run."""

    store: StorePath  # the image
    run: Path  # the run folder
    labels: Path  # the folder that holds ``nuclei``, ``cells``, ``envelope`` and ``background``
    lock: Lock  # proof that the run still holds its folder
    method: str = DEFAULT_METHOD  # of :mod:`hela_dask.methods`
    parameters: Parameters = field(default_factory=Parameters)  # all parameters
    # The volume's grey levels, and its polarity
    grey_levels: GreyLevels = field(default_factory=GreyLevels)
    labels_lock: Lock | None = None  # proof that the run holds `labels`; None where it writes none
    id: str = ""  # of the run; its labels carry it

    @property
    def markers(self) -> Markers:
        """The markers of finished units."""
        return Markers(self.run / "done", self.labels)

    @property
    def resin(self) -> Path:
        """Where the background of the working level is kept."""
        return resin_path(self.run)

    @property
    def resolution(self) -> float:
        """Of the working level, nm."""
        return self.parameters.working.resolution

    def predicted(self, window: Box) -> dict[str, NDArray[np.uint8]]:
        """The outputs of a network that the method asks for, in a window of the working level."""
        return read_predicted(self.run, self.method, self.parameters, self.working(), window)

    def masks(self, label: int) -> Path:
        """Where the masks of a cell are kept, on the working level."""
        return masks_path(self.run, label)

    def working(self) -> xr.DataArray:
        """The working level of the image, lazily."""
        return working_volume(self.store, self.resolution)

    def background(self) -> xr.DataArray:
        """Result of :func:`background_task`: true in the resin, on the working level, lazily."""
        array = StoredArray(self.resin)
        lazy = da.from_array(array, chunks=(1, *array.shape[1:]), inline_array=True, meta=_BYTES)
        return self.working().copy(data=lazy > 0).rename("background")

    def claim(self, unit: Unit) -> None:
        """Call before a unit's data are written: the marker of the old ones becomes invalid here.

        StorageError where the run has ended meanwhile: :meth:`~hela_dask.tasks.lock.Lock.check`.
        distributed.Reschedule where this worker is leaving the cluster: its unit is computed by
        another worker too, and two must not write the same files.
        """
        self.lock.check()
        if _is_leaving():
            from distributed import Reschedule

            raise Reschedule
        self.markers.forget(unit.stage, unit.name)

    def finished(self, unit: Unit) -> dict[str, Any] | None:
        """The unit's row where another worker has finished it meanwhile, else None."""
        return self.markers.result(unit.stage, unit.name, unit.fingerprint)

    def may_label(self) -> None:
        """Call before labels are written; raises StorageError where another process holds them."""
        self.lock.check()
        if self.labels_lock is not None:
            self.labels_lock.check()


def _is_leaving() -> bool:
    """Whether this is a task on a worker that is about to end, as at the end of its lifetime."""
    from distributed import Status, get_worker

    try:
        worker = get_worker()
    except ValueError:  # no task of a worker
        return False
    return worker.status not in (Status.running, Status.paused)


def resin_path(run: Path) -> Path:
    """Where a run keeps the background of the working level."""
    return run / "coarse" / "background"


def masks_path(run: Path, label: int) -> Path:
    """Where a run keeps the masks of a cell, on the working level."""
    return run / "coarse" / f"{label:05d}"


def labels_path(run: Path, z0: int) -> Path:
    """Where a run keeps the labels of a slab of the working level, from its first slice."""
    return run / "coarse" / f"labels-z{z0:05d}"


def load(volume: xr.DataArray) -> xr.DataArray:
    """The volume in memory, read by this thread: a task must not call its own cluster.

    A window is put together from hundreds of chunks; their memory is released.
    """
    found = volume.compute(scheduler="synchronous")
    release_memory()
    return found


def background_task(
    job: Job,
    unit: Unit,
    masks: Sequence[NDArray[np.bool_]],
    facts: Sequence[NDArray[np.float64]],
) -> dict[str, Any]:
    """Keep the background of a slab of the working level in the run folder.

    `masks` and `facts` are its blocks, as
    :func:`hela_dask.operators.background.background_with_statistics` gives them.
    """
    z0, z1 = unit.what
    with measured() as cost:
        resin, known = np.concatenate(masks), np.concatenate(facts)
        if (finished := job.finished(unit)) is not None:
            return finished
        job.claim(unit)
        files = store.write_scratch(job.resin, resin.view(np.uint8), z0)
    begins = thresholds(known, contrast=job.parameters.background.contrast)[:, 0]
    row = {
        "z0": z0,
        "z1": z1,
        "resin": int(resin.sum(dtype=np.int64)),
        "thresholds": [None if math.isnan(at) else float(at) for at in begins],
        "blank_slices": (z0 + 1 + np.flatnonzero(known[:, 2])).tolist(),
        **cost,
    }
    return job.markers.finish(
        unit.stage,
        unit.name,
        unit.fingerprint,
        row,
        records_inside("run", job.run, job.resin, files),
    )


def classify_task(job: Job, unit: Unit, outputs: Sequence[NDArray[np.uint8]]) -> dict[str, Any]:
    """Keep outputs of a network in the run folder.

    `outputs` are blocks (z, y, x, outputs), as
    :func:`hela_dask.operators.classify.sampled_outputs` gives them.
    """
    first, stop = unit.what
    with measured() as cost:
        found = np.concatenate(outputs)
        if (finished := job.finished(unit)) is not None:
            return finished
        job.claim(unit)
        asked = get_method(job.method).asks(job.parameters)
        files: Records = {}
        for at, name in enumerate(asked.names if asked else ()):
            path = predicted_path(job.run, name)
            written = store.write_scratch(path, np.ascontiguousarray(found[..., at]), first)
            files |= records_inside("run", job.run, path, written)
    row = {"first": first, "stop": stop, **cost}
    return job.markers.finish(unit.stage, unit.name, unit.fingerprint, row, files)


def segment_task(job: Job, unit: Unit) -> dict[str, Any]:
    """One cell: its nucleus and the whole cell, in its own window, as scratch masks.

    The window grows where the cell reaches a side of it.

    A cell that fails is a row with the reason. It leaves no marker, so the next run tries again. A
    failure to write its masks is no failure of the cell, and raised.
    """
    region = unit.what
    with measured() as cost:
        try:
            region, window, masks = _segment_grown(job, region)
        except Exception as error:
            log.warning("cell %d failed: %s", region.label, error)
            log.debug("%s", traceback.format_exc())
            return failed_row(region.label, f"{type(error).__name__}: {error}")
        if (finished := job.finished(unit)) is not None:
            return finished
        found, files = _write_masks(job, unit, window, masks)
    row = {
        "label": region.label,
        "status": str(masks.attrs.get("status", SEGMENTED)),
        "reason": str(masks.attrs.get("reason", "")),
        "flags": _flags(masks.attrs.get("flags", "")),
        "instability": masks.attrs.get("instability", []),
        "first": window[0].start + 1,  # number of the window's first slice
        "box": region.box,
        **{name: masks.attrs[name] for name in NUMBERS if name in masks.attrs},
        **found,
        **cost,
    }
    job.lock.check()
    return job.markers.finish(unit.stage, unit.name, unit.fingerprint, row, files)


def _segment_grown(job: Job, region: Region) -> tuple[Region, Box, xr.Dataset]:
    """The cell in its window, which grows until the cell is whole in it or it is large enough."""
    from hela_dask.steps.segment import segment_window

    volume = job.working()
    geometry = Geometry.of(volume)

    def segment(region: Region, grows: Callable[[Mask], bool]) -> xr.Dataset:
        window = region.window(geometry)
        return segment_window(
            load(volume[window]),
            region,
            job.method,
            parameters=job.parameters,
            background=store.read_mask(job.resin, window),
            grey_levels=job.grey_levels,
            predicted=job.predicted(window),
            grows=grows,
        )

    region, masks = segment_grown(
        segment, lambda found: found["cell"].values, region, geometry, job.parameters.region
    )
    return region, region.window(geometry), masks


def failed_row(label: int, reason: str) -> dict[str, Any]:
    """The row of a cell that could not be segmented."""
    return {"label": label, "status": FAILED, "reason": reason, "flags": "", "extent": None}


def slab_task(job: Job, unit: Unit) -> dict[str, Any]:
    """One slab of all labels, tile by tile, and each cell's voxels counted."""
    slab: Slab = unit.what
    slices = slice(slab.z0, slab.z1)
    with measured() as cost:
        image = open_volume(job.store)
        factors = Geometry.of(image).factors(Geometry.of(job.working()))
        whole = slice(None)
        if slab.kept is None:
            resin = store.read_mask(job.resin, (slices, whole, whole))
            labels = assemble_slab(slab, resin, job.parameters.assemble)
            del resin
        else:
            labels = kept_labels(slab, slab.kept)
        outlines = read_outlines(slab) if factors != (1, 1) else []
        release_memory()  # arrays of the assembly
        refiner = volume_refiner(
            image,
            slices,
            job.grey_levels,
            CoarseLabels(labels, slab.thresholds, outlines),
            factors=factors,
            parameters=job.parameters,
            method=job.method,
            chunk=read_image(job.store).levels[0].chunks[1:],
        )
        if (finished := job.finished(unit)) is not None:
            return finished
        job.may_label()
        job.claim(unit)
        counts, files = _write_labels(job, slab, refiner)
        job.may_label()
    row = {"counts": counts.to_dict("list"), **cost}
    return job.markers.finish(unit.stage, unit.name, unit.fingerprint, row, files)


def _write_labels(job: Job, slab: Slab, refiner: Refiner) -> tuple[pd.DataFrame, Records]:
    """Write all labels of a slab tile by tile; gives their counts, and the shards written."""
    counts, z0 = [], slab.z0
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(
                store.slab_writer(job.labels / name, z0, downsample="nearest", check=job.may_label)
            )
            for name in TileLabels._fields
        }
        tiles = writers["cells"].tiles
        for tile, found in zip(tiles, refiner.tiles(tiles), strict=True):
            labels = edit_tile(found, slab.edits, z0, tile)
            for name, part in labels._asdict().items():
                writers[name].write(tile, part)
            counts.append(count_slab(labels.nuclei, labels.cells, z0, labels.envelope, tile.low))
            del labels, found  # the next one finds free memory
    files: Records = {}
    for name, writer in writers.items():
        files |= records_inside("labels", job.labels, job.labels / name, writer.files)
    return combine_counts(counts), files


def _write_masks(
    job: Job, unit: Unit, window: Box, masks: xr.Dataset
) -> tuple[dict[str, Any], Records]:
    """Keep the part of the window that holds the masks: where in the volume it is, and files."""
    cell = masks["cell"].values
    if masks.attrs.get("status") == NO_RESIN:
        cell = np.zeros_like(cell)  # its outline is unknown: nuclei are delivered, cells not
    nucleus, envelope, outline = (masks[name].values for name in ("nucleus", "envelope", "outline"))
    bits = encode_masks(nucleus, cell, envelope, outline)
    inside = box_around(bits, 0.0, (1.0, 1.0, 1.0))
    bits = bits[inside]
    if not bits.size:
        return {"extent": None}, {}
    job.claim(unit)
    path = store.create_scratch(job.masks(unit.what.label), bits.shape, bits.dtype)
    files = store.write_scratch(path, bits)
    extents = {
        "extent": inside.shift(window.low).pairs,
        "nucleus_extent": box_around(nucleus, 0.0, (1.0, 1.0, 1.0)).shift(window.low).pairs
        if nucleus.any()
        else None,
    }
    return extents, records_inside("run", job.run, path, files)


def records_inside(name: str, root: Path, folder: Path, files: Records) -> Records:
    """Records of files in a folder inside a root, as a marker has them."""
    place = folder.relative_to(root).as_posix()
    return {f"{name}/{place}/{path}": record for path, record in files.items()}


def _flags(flags: object) -> str:
    return flags if isinstance(flags, str) else ",".join(map(str, flags))  # type: ignore[call-overload]
