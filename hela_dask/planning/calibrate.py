"""Times of the tasks of a run on this machine: the tasks of a run, timed on a part of a volume."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.geometry import Geometry
from hela_dask.kernels.compiled import loops_compiled
from hela_dask.kernels.packed_labels import LABEL_DTYPE
from hela_dask.methods.registry import get_method
from hela_dask.operators.background import background_with_statistics
from hela_dask.operators.classify import sampled_outputs
from hela_dask.operators.slabs import lazy_slabs
from hela_dask.running.keys import Keys
from hela_dask.running.needs import BACKGROUND_SLAB, measured_level
from hela_dask.running.predicted import predicted_path
from hela_dask.running.shapes import Assembled, SlabSlices, measure_task, measure_units
from hela_dask.running.stages import (
    Job,
    background_task,
    classify_task,
    segment_task,
    slab_task,
)
from hela_dask.statuses import DETECTED, FAILED
from hela_dask.steps.assemble import CellMasks, plan_slabs
from hela_dask.steps.detect import slice_tasks
from hela_dask.steps.measure import combine_counts
from hela_dask.steps.refine import TileLabels
from hela_dask.steps.regions import Region, cell_regions
from hela_dask.storage import store
from hela_dask.storage.metadata import read_image
from hela_dask.storage.urls import local_folder
from hela_dask.tasks.lock import hold
from hela_dask.tasks.units import Unit
from hela_dask.volume.greys import grey_levels as find_grey_levels
from hela_dask.volume.opening import open_volume

if TYPE_CHECKING:
    from hela_dask.running.setup import Setup

__all__ = ["Calibration", "calibrate"]

_VOXELS = 42e6  # of the working level, at most, unless these are fewer than _FEWEST slices
_FEWEST = 4  # slices
_SMALL = 3_000.0  # nm, width of the box that libraries are loaded on before anything is timed


@dataclass(frozen=True)
class Calibration:
    """Measured times of tasks, and the cells seen in the slices that they were measured on."""

    slices: tuple[int, int]  # from 0, half open
    # Seconds per slice of the working level
    background: float
    grey_levels: float
    detection: float
    cell: float = math.nan  # seconds per million voxels of a window; NaN where no cell was seen
    network: float = 0.0  # seconds per million voxels of the working level; 0 without a network
    tile: float = math.nan  # seconds per million voxels of labels: assembled, refined and written
    # Seconds per million voxels of the level that is measured: of a cell's window, of the volume
    shape: float = 0.0
    contacts: float = 0.0
    seen: float = 0.0  # cells per slice
    tissue: float = 0.0  # area of cells per slice, nm²
    # (z, y, x): voxels of the windows of the cells in the middle slice, if they are as high as wide
    windows: tuple[tuple[int, ...], ...] = ()
    share: float = 0.0  # bytes of the compressed background per voxel
    seconds: float = 0.0  # duration of the calibration

    def cells(self, depth: float) -> float:
        """Estimated number of cells in a volume of this depth (nm).

        A cell is modelled as a ball with sections of the mean area of the tissue per cell, two
        thirds of the largest; a volume shows as many more than one slice as it is deeper.
        """
        height = self.height
        return self.seen * (depth + height) / height if self.seen else math.nan

    @property
    def height(self) -> float:
        """Diameter of a cell that is a ball, nm."""
        return 2 * math.sqrt(1.5 * self.tissue / max(self.seen, 1e-9) / math.pi)


def calibrate(setup: Setup) -> Calibration:
    """Time the tasks of each stage on slices from the middle of the volume.

    Background and detection are timed on whole planes, segmentation and labels on a box around one
    cell, which is copied with its run into a temporary folder. It takes some seconds, and half a
    minute for the largest planes; where loops had to be compiled, it is done again.

    StorageError when the image cannot be read; RuntimeError when the cell cannot be segmented.
    """
    begun, known = time.perf_counter(), loops_compiled()
    found = _measured(setup)
    if loops_compiled() > known:
        found = _measured(setup)
    return replace(found, seconds=time.perf_counter() - begun)


def _measured(setup: Setup) -> Calibration:
    with (
        dask.config.set(scheduler="synchronous"),
        tempfile.TemporaryDirectory(prefix="hela-dask-plan-") as folder,
        hold(Path(folder)) as lock,
    ):
        run = Path(folder) / "run"
        job = Job(setup.image.path, run, run, lock, setup.method, setup.parameters)
        return _Trial(setup, job).measure()


class _Trial:
    """The tasks of a planned run, on some slices; `job` has a temporary run folder."""

    def __init__(self, setup: Setup, job: Job) -> None:
        self.setup, self.job, self.volume = setup, job, job.working()
        depth, *plane = self.volume.shape
        count = int(min(BACKGROUND_SLAB, depth, max(_FEWEST, _VOXELS // math.prod(plane))))
        start = depth // 2 // count * count
        self.z = range(start, start + count)

    def measure(self) -> Calibration:
        """All times."""
        _, y, x = (float(self.volume[axis].mean()) for axis in "zyx")
        self._box("warm", (y, x), _SMALL)
        begun, few = time.perf_counter(), self.volume[self.z.start : self.z.start + _FEWEST]
        grey_levels = find_grey_levels(few, self.job.parameters.background)
        voting = (time.perf_counter() - begun) / few.sizes["z"]
        self.job = replace(self.job, grey_levels=grey_levels)
        background = _background(self.job, self.z)["seconds"] / len(self.z)
        found, seen, tissue, detection = self._detect()
        tried = Calibration(
            (self.z.start, self.z.stop),
            background,
            voting,
            detection,
            seen=seen,
            tissue=tissue,
        )
        if not len(found):
            return tried
        places = [self.volume[axis].values[found[:, k].astype(int)] for k, axis in enumerate("yx")]
        place = float(places[0][0]), float(places[1][0])
        windows = self._windows(places, found[:, 2], tried.height)
        self._box("small", place, _SMALL)
        width = self.job.parameters.region.width
        times: dict[str, Any] = self._box("box", place, width)
        return replace(tried, windows=windows, **times)

    def _detect(self) -> tuple[NDArray[np.float64], float, float, float]:
        """Cells of the middle slice, mean cells and tissue (nm²) per slice, seconds per slice."""
        resin, pixel = self.job.background(), Geometry.of(self.volume).pixel
        slices = sorted({self.z[0], self.z[len(self.z) // 2], self.z[-1]})
        begun = time.perf_counter()
        tables = [slice_tasks(resin, [z], self.job.parameters.detect)[0].compute() for z in slices]
        seconds = (time.perf_counter() - begun) / len(slices)
        tissue = float((~resin[slices].values).mean(axis=0).sum()) * pixel[0] * pixel[1]
        return tables[len(tables) // 2], float(np.mean([*map(len, tables)])), tissue, seconds

    def _windows(
        self, places: list[Any], heights: NDArray[np.float64], high: float
    ) -> tuple[tuple[int, ...], ...]:
        """Voxels of the windows of the cells in the middle slice, if they are `high` nm high."""
        middle, step = self.z[len(self.z) // 2], Geometry.of(self.volume).voxel_size[0]
        half = round(high / 2 / step)
        table = pd.DataFrame(
            {
                "label": np.arange(len(heights)) + 1,
                "z": float(self.volume["z"][middle]),
                "y": places[0],
                "x": places[1],
                "height": heights,
                "first_slice": max(1, middle + 1 - half),
                "last_slice": min(self.volume.sizes["z"], middle + 1 + half),
                "status": DETECTED,
                "reason": "",
            }
        )
        regions = cell_regions(table, self.volume, self.job.parameters.region)
        return tuple(region.slices(self.volume).shape for region in regions)

    def _box(self, name: str, place: tuple[float, float], width: float) -> dict[str, float]:
        """Segment the cell at (y, x) nm in a copy of the volume around it, write its labels.

        Then they are measured. Returns times and the share of bytes, as in :class:`Calibration`.
        """
        near = {
            axis: slice(at - width / 2, at + width / 2)
            for axis, at in zip("yx", place, strict=True)
        }
        part = open_volume(self.setup.image.path)[self.z.start : self.z.stop].sel(near)
        path = self.job.run / f"{name}.ome.zarr"
        image = store.create_image(
            path, part.shape, part.dtype, Geometry.of(part).voxel_size, name=name
        )
        for z0, z1 in store.slabs(image):
            grey = part[z0:z1].values.astype(image.dtype, copy=False)  # in this machine's order
            store.write_slab(image, z0, grey)
        job = replace(self.job, store=path, run=path / "run", labels=path / "labels")
        thresholds = _background(job, range(len(part)))["thresholds"]
        network = _classify(job)
        centre = [float(part["z"][len(part) // 2]), *place]
        region = _whole(
            job.working(),
            [at - float(part[axis][0]) for axis, at in zip("zyx", centre, strict=True)],
        )
        row = segment_task(job, Unit("segment", "00001", "", region))
        if row["status"] == FAILED and name == "box":
            raise RuntimeError(row["reason"])
        counts, found = _labels(job, part, row["extent"], thresholds)
        voxels = job.working().size / 1e6
        found |= {"cell": row["seconds"] / voxels, "network": network / voxels}
        return {**found, **_measures(job, counts)}


def _background(job: Job, z: range) -> dict[str, Any]:
    """The row of a task of the background."""
    volume = job.working()
    found, facts = background_with_statistics(
        volume, job.parameters.background, grey_levels=job.grey_levels
    )
    store.create_scratch(job.resin, volume.shape, np.uint8, (len(z), 512, 512))
    begun = time.perf_counter()
    blocks = dask.compute(*(lazy_slabs(array, z.start, z.stop) for array in (found.data, facts)))  # type: ignore[attr-defined,no-untyped-call]
    row = background_task(job, Unit("background", "z", "", (z.start, z.stop)), *blocks)
    return {**row, "seconds": time.perf_counter() - begun}


def _classify(job: Job) -> float:
    """Seconds of the outputs of the method's network for all slices; 0 where it asks for none."""
    asked, volume = get_method(job.method).asks(job.parameters), job.working()
    if asked is None:
        return 0.0
    begun = time.perf_counter()
    found = sampled_outputs(volume, asked.model, job.grey_levels, asked.names, asked.spacing)
    for name in asked.names:
        path = predicted_path(job.run, name)
        store.create_scratch(path, found.shape[:3], np.uint8, (len(found), 512, 512))
    blocks = dask.compute(*lazy_slabs(found, 0, len(found)))  # type: ignore[attr-defined,no-untyped-call]
    classify_task(job, Unit("classify", "z", "", (0, len(found))), blocks)
    return time.perf_counter() - begun


def _whole(volume: xr.DataArray, centre: Sequence[float]) -> Region:
    """A window that is the whole volume."""
    z, y, x = centre
    return Region(1, (z, y, x), Geometry.of(volume).bounds, window_clipped=True)


def _labels(
    job: Job, part: xr.DataArray, extent: Any, thresholds: Sequence[float | None]
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Write the labels of a box with one cell: counts, seconds per million voxels, bytes share."""
    for name in TileLabels._fields:
        dtype = "uint8" if name == "background" else LABEL_DTYPE
        image = store.create_labels(
            local_folder(job.store), name, part.shape, dtype, Geometry.of(part).voxel_size
        )
    volume = job.working()
    masks = [CellMasks(1, job.masks(1), Box.of(extent))] if extent else []
    begins = [math.nan if at is None else at for at in thresholds]
    slabs = plan_slabs(store.slabs(image), Geometry.of(volume), masks, begins)
    rows = [slab_task(job, Unit("assemble", f"z{slab.z0:05d}", "", slab)) for slab in slabs]
    files = [path for path in (job.labels / "background").rglob("*") if path.is_file()]
    seconds = sum(row["seconds"] for row in rows)
    written = sum(path.stat().st_size for path in files)
    counts = combine_counts(pd.DataFrame(row["counts"]) for row in rows)
    return counts, {"tile": seconds / (part.size / 1e6), "share": written / (part.size * 4 / 3)}


def _measures(job: Job, counts: pd.DataFrame) -> dict[str, float]:
    """Measure the labels of a box: seconds per million voxels, of the box and of a slab."""
    if not job.parameters.measure.in_runs:
        return {}
    image = read_image(job.labels / "cells")
    level = image.levels[measured_level(image.levels, job.parameters.measure.resolution)]
    voxels = math.prod(level.shape) / 1e6
    keys = Keys("", job.method, "", job.parameters)
    units = measure_units(keys, image, Assembled(counts, counts, {}, {}, {}))
    slab = SlabSlices(image.levels.index(level), 0, level.shape[0])
    row = measure_task(job, Unit("measure", "z", "", slab))
    shapes = sum(measure_task(job, unit)["seconds"] for unit in units)
    return {"shape": shapes / voxels, "contacts": row["seconds"] / voxels}
