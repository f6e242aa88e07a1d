"""The tasks of a run: one slab of background, one cell, one slab of labels. Paths in, a row out.

Each reads its own slab or window, writes what it alone owns, and then its marker. They are plain
functions of small arguments, so that any dask worker that sees the same files can run them.
"""

from __future__ import annotations

import logging
import platform
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from hela_dask import store
from hela_dask.assemble import Slab, assemble_slab, encode_masks
from hela_dask.greys import GreyLevels, upright_volume
from hela_dask.kernels.background import background_block, background_halo
from hela_dask.kernels.morphology import box_around
from hela_dask.measure import count_slab
from hela_dask.methods import DEFAULT_METHOD
from hela_dask.parameters import Parameters
from hela_dask.quality import NUMBERS
from hela_dask.running.dispatch import Unit
from hela_dask.running.lock import Lock
from hela_dask.running.markers import Markers
from hela_dask.volume import open_volume, voxel_size

if TYPE_CHECKING:
    import psutil

__all__ = ["Job", "background_task", "load", "measured", "segment_task", "slab_task"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What all tasks of a run share.

    Parameters
    ----------
    store : Path
        The image.
    run : Path
        The run folder.
    labels : Path
        The folder that holds ``nuclei``, ``cells``, ``envelope`` and ``background``.
    lock : Lock
        Proof that the run still goes on.
    method : str
        Of :mod:`hela_dask.methods`.
    parameters : Parameters
        All knobs.
    levels : GreyLevels
        The volume's grey levels, and which way round they are.
    """

    store: Path
    run: Path
    labels: Path
    lock: Lock
    method: str = DEFAULT_METHOD
    parameters: Parameters = field(default_factory=Parameters)
    levels: GreyLevels = field(default_factory=GreyLevels)

    @property
    def markers(self) -> Markers:
        """What is finished."""
        return Markers(self.run / "done")

    def scratch(self, label: int) -> Path:
        """Where the masks of a cell are kept."""
        return self.run / "scratch" / f"{label:05d}"

    def claim(self, unit: Unit) -> None:
        """Call before a unit's data are written: what a marker says of the old ones ends here.

        Raises
        ------
        StorageError
            When the run has ended meanwhile; see :meth:`~hela_dask.running.lock.Lock.check`.
        """
        self.lock.check()
        self.markers.forget(unit.stage, unit.name)


def load(volume: xr.DataArray) -> xr.DataArray:
    """The volume in memory, read by this thread: a task must not call its own cluster."""
    return volume.compute(scheduler="synchronous")


def background_task(job: Job, unit: Unit) -> dict[str, Any]:
    """Resin of one slab, at full resolution, into ``labels/background``."""
    z0, z1 = unit.what
    knobs = job.parameters.background
    with measured() as cost:
        volume = open_volume(job.store)
        voxel = voxel_size(volume)
        halo = background_halo(knobs, voxel[0])
        first = max(0, z0 - halo)
        block = load(upright_volume(volume[first : z1 + halo], job.levels)).values
        slab = slice(z0 - first, z1 - first)
        resin = background_block(block, voxel, knobs, job.levels, slab).astype(np.uint8)
        job.claim(unit)
        store.write_slab(job.labels / "background", z0, resin, downsample="nearest")
    blank = [z0 + z + 1 for z, plane in enumerate(block[slab]) if plane.min() == plane.max()]
    row = {
        "z0": z0,
        "z1": z1,
        "resin": int(resin.sum(dtype=np.int64)),
        "blank_slices": blank,
        **cost,
    }
    return job.markers.finish(unit.stage, unit.name, unit.fingerprint, row)


def segment_task(job: Job, unit: Unit) -> dict[str, Any]:
    """One cell: its nucleus and itself, in its own window, as scratch masks.

    A cell that fails is a row that says why. It leaves no marker, so the next run tries again.
    """
    from hela_dask.segment import segment_cell

    region = unit.what
    try:
        with measured() as cost:
            volume = open_volume(job.store)
            window = region.slices(volume)
            masks = segment_cell(
                load(volume[window]),
                region,
                job.method,
                parameters=job.parameters,
                background=load(open_volume(job.labels / "background")[window] > 0),
                levels=job.levels,
            )
            found = _write_masks(job, unit, window, masks)
    except Exception as error:
        log.warning("cell %d failed: %s", region.label, error)
        log.debug("%s", traceback.format_exc())
        return failed_row(region.label, f"{type(error).__name__}: {error}")
    row = {
        "label": region.label,
        "status": str(masks.attrs.get("status", "ok")),
        "reason": str(masks.attrs.get("reason", "")),
        "flags": _flags(masks.attrs.get("flags", "")),
        "doubt": masks.attrs.get("doubt", []),
        "first": window[0].start + 1,  # number of the window's first slice
        **{name: masks.attrs[name] for name in NUMBERS if name in masks.attrs},
        **found,
        **cost,
    }
    job.lock.check()
    return job.markers.finish(unit.stage, unit.name, unit.fingerprint, row)


def failed_row(label: int, reason: str) -> dict[str, Any]:
    """What a cell counts as that could not be segmented."""
    return {"label": label, "status": "failed", "reason": reason, "flags": "", "extent": None}


def slab_task(job: Job, unit: Unit) -> dict[str, Any]:
    """One slab of the labels of nuclei, cells and envelopes, and each cell's voxels counted."""
    slab: Slab = unit.what
    with measured() as cost:
        resin = load(open_volume(job.labels / "background")[slab.z0 : slab.z1]).values
        labels = assemble_slab(slab, resin, job.parameters.assemble)
        del resin
        job.claim(unit)
        for name, part in labels._asdict().items():
            store.write_slab(job.labels / name, slab.z0, part, downsample="nearest")
        counts = count_slab(labels.nuclei, labels.cells, slab.z0, labels.envelope)
    row = {"counts": counts.to_dict("list"), **cost}
    return job.markers.finish(unit.stage, unit.name, unit.fingerprint, row)


def _write_masks(
    job: Job, unit: Unit, window: tuple[slice, slice, slice], masks: xr.Dataset
) -> dict[str, Any]:
    """Keep the part of the window that holds the masks; say where in the volume it is."""
    cell = masks["cell"].values
    if masks.attrs.get("status") == "no_resin":
        cell = np.zeros_like(cell)  # where it ends is not known: nuclei are delivered, cells not
    bits = encode_masks(masks["nucleus"].values, cell, masks["envelope"].values)
    inside = box_around(bits, 0.0, (1.0, 1.0, 1.0))
    bits = bits[inside]
    if not bits.size:
        return {"extent": None}
    job.claim(unit)
    path = store.create_scratch(job.scratch(unit.what.label), bits.shape, bits.dtype)
    store.write_scratch(path, bits)
    extent = [
        [part.start + own.start, part.start + own.stop]
        for part, own in zip(window, inside, strict=True)
    ]
    return {"extent": extent}


def _flags(flags: object) -> str:
    return flags if isinstance(flags, str) else ",".join(map(str, flags))  # type: ignore[call-overload]


@contextmanager
def measured(interval: float = 0.1) -> Iterator[dict[str, Any]]:
    """What a task costs its process; filled in at the end.

    ``seconds``, and ``cpu_seconds`` of the processor; the most memory held meanwhile
    (``peak_memory``, MiB); the bytes it ``read`` and ``written``, cached or not, where the system
    counts them (Linux, Windows); the ``worker``. All are the process', so with several threads a
    worker they count the neighbours too.
    """
    import psutil

    process = psutil.Process()
    found: dict[str, Any] = {"worker": f"{platform.node()}-{process.pid}"}
    before = _spent(process)
    peak, over = [process.memory_info().rss], threading.Event()

    def watch() -> None:
        while not over.wait(interval):
            peak.append(max(peak.pop(), process.memory_info().rss))

    watcher = threading.Thread(target=watch, name="peak-memory", daemon=True)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()
        found["peak_memory"] = round(max(peak[0], process.memory_info().rss) / 2**20, 1)
        found.update(
            {name: round(value - before[name], 3) for name, value in _spent(process).items()}
        )


def _spent(process: psutil.Process) -> dict[str, float]:
    """Of a process so far: seconds, processor time, bytes read and written where known."""
    times = process.cpu_times()
    spent = {"seconds": time.perf_counter(), "cpu_seconds": times.user + times.system}
    counters = process.io_counters() if hasattr(process, "io_counters") else None
    if counters is not None:
        # What the task asked for; where only the disk's part is known, that.
        spent["read"] = getattr(counters, "read_chars", counters.read_bytes)
        spent["written"] = getattr(counters, "write_chars", counters.write_bytes)
    return spent
