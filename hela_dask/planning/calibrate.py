"""How long the tasks of a run take on this machine: a little of each is really done."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from hela_dask.kernels.compiled import loops_compiled
from hela_dask.kernels.owned import LABEL_DTYPE
from hela_dask.operators.background import background
from hela_dask.planning.disk import label_levels
from hela_dask.planning.sample import Sample
from hela_dask.statuses import DETECTED
from hela_dask.steps.assemble import (
    CellMasks,
    Slab,
    assemble_slab,
    encode_masks,
    read_outlines,
)
from hela_dask.steps.detect import slice_tasks
from hela_dask.steps.refine import Decided, Refiner, Tile, volume_refiner
from hela_dask.steps.regions import cell_regions
from hela_dask.storage import store
from hela_dask.storage.slab_writer import slab_tiles
from hela_dask.volume.greys import grey_levels
from hela_dask.volume.opening import open_volume, working_factors

if TYPE_CHECKING:
    from hela_dask.running.setup import Setup

__all__ = ["Calibration", "calibrate"]

Mask = NDArray[np.bool_]

_LOOKED_AT = 4  # slices whose grey levels are looked at, of the sixteen that a run looks at
_WARM = 96  # pixels of the corner that libraries are loaded on, before anything is timed


@dataclass(frozen=True)
class Calibration:
    """What was tried, and how long it took.

    Attributes
    ----------
    slices : tuple of int
        That were looked at, from 0, half open.
    background : float
        Seconds a slice of the working level.
    levels, detection : float
        Seconds a slice that grey levels are taken of, or that cells are looked for in.
    cell : float
        Seconds a million voxels of a window; NaN where no cell was seen.
    plane : float
        Seconds a slice of labels, on the working level.
    nucleus : float
        Seconds a slice for the outline of one nucleus, on the image's own pixels.
    tile : float
        Seconds a million voxels of labels, refined and written.
    seen : float
        Cells a slice.
    tissue : float
        Area of cells in a slice, nm².
    windows : tuple of (z, y, x)
        Voxels of the windows of those in the middle slice, were they as high as they are wide.
    share : float
        Which part of its voxels' bytes the compressed background takes.
    seconds : float
        All of it.
    """

    slices: tuple[int, int]
    background: float
    levels: float
    detection: float
    cell: float = math.nan
    plane: float = math.nan
    nucleus: float = 0.0
    tile: float = math.nan
    seen: float = 0.0
    tissue: float = 0.0
    windows: tuple[tuple[int, int, int], ...] = ()
    share: float = 0.0
    seconds: float = 0.0

    def cells(self, depth: float) -> float:
        """About how many cells a volume holds that is so deep (nm), by the tissue that is seen.

        A cell is taken for a ball whose sections have the mean area of the tissue a cell, two
        thirds of the largest; a volume shows as many more than one slice as it is deeper.
        """
        height = self.height
        return self.seen * (depth + height) / height if self.seen else math.nan

    @property
    def height(self) -> float:
        """Of a cell that is a ball, nm."""
        return 2 * math.sqrt(1.5 * self.tissue / max(self.seen, 1e-9) / math.pi)


class _Clock:
    """Seconds since it was last asked."""

    def __init__(self) -> None:
        self.begun = self._last = time.perf_counter()

    def lap(self) -> float:
        now = time.perf_counter()
        passed, self._last = now - self._last, now
        return passed


def calibrate(setup: Setup) -> Calibration:
    """Do one task's work of each stage, or a part of it, from the middle of the volume.

    Nothing is written but in a temporary folder. It takes some seconds, and for the largest
    planes half a minute; where loops had to be compiled first, it is done a second time.

    Parameters
    ----------
    setup : Setup
        The run that is planned.

    Raises
    ------
    StorageError
        When the image cannot be read.
    """
    clock, known = _Clock(), loops_compiled()
    found = _tried(setup, clock)
    if loops_compiled() > known:  # which a machine does once; it took longer than all the rest
        found = _tried(setup, clock)
    return replace(found, seconds=time.perf_counter() - clock.begun)


def _tried(setup: Setup, clock: _Clock) -> Calibration:
    """One trial of all stages."""
    with dask.config.set(scheduler="synchronous"):
        sample = Sample(setup)
        _warm(sample)
        found = _find(sample, clock)
        if len(sample.places):
            with tempfile.TemporaryDirectory(prefix="hela-dask-plan-") as folder:
                found = _label(sample, found, Path(folder), clock)
    return found


def _warm(sample: Sample) -> None:
    """Load what a worker loads once."""
    y, x = (
        slice(max(0, length // 2 - _WARM), length // 2 + _WARM)
        for length in sample.volume.shape[1:]
    )
    corner = sample.volume[sample.z.start : sample.z.start + 2, y, x]
    resin = background(corner, sample.knobs.background, levels=sample.levels)
    dask.compute(*slice_tasks(resin, [0], sample.knobs.detect))  # type: ignore[attr-defined,no-untyped-call]


def _find(sample: Sample, clock: _Clock) -> Calibration:
    """Resin of the slices, and cells in some."""
    knobs, voxel, count = sample.knobs, sample.voxel, sample.z.stop - sample.z.start
    clock.lap()
    few = sample.volume[sample.z.start : sample.z.start + _LOOKED_AT]
    sample.levels = grey_levels(few, knobs.background)
    levels = clock.lap() / min(_LOOKED_AT, count)
    sample.find_background()
    finding = clock.lap() / count
    number, tissue = [], []
    resin = sample.volume[sample.z].copy(data=sample.resin)
    for z in sorted({0, count // 2, count - 1}):
        (task,) = slice_tasks(resin, [z], knobs.detect)
        found = task.compute()
        sample.places = found if z == count // 2 else sample.places
        number.append(len(found))
        tissue.append(float((~sample.resin[z]).sum()) * voxel[1] * voxel[2])
    tried = Calibration(
        (sample.z.start, sample.z.stop),
        finding,
        levels,
        clock.lap() / len(number),
        seen=float(np.mean(number)),
        tissue=float(np.mean(tissue)),
    )
    return replace(tried, windows=_windows(sample, tried.height))


def _windows(sample: Sample, high: float) -> tuple[tuple[int, int, int], ...]:
    """Voxels of the windows that the cells in the middle slice would get, were they so high."""
    depth, middle = sample.volume.sizes["z"], (sample.z.start + sample.z.stop) // 2
    half = round(high / 2 / sample.voxel[0])
    table = pd.DataFrame(
        {
            "label": np.arange(len(sample.places)) + 1,
            "z": float(sample.volume["z"][middle]),
            "y": sample.volume["y"].values[sample.places[:, 0].astype(int)],
            "x": sample.volume["x"].values[sample.places[:, 1].astype(int)],
            "height": sample.places[:, 2],
            "first_slice": max(1, middle + 1 - half),
            "last_slice": min(depth, middle + 1 + half),
            "status": DETECTED,
            "reason": "",
        }
    )
    regions = cell_regions(table, sample.volume, sample.knobs.region)
    sizes = []
    for region in regions:
        z, y, x = (part.stop - part.start for part in region.slices(sample.volume))
        sizes.append((z, y, x))
    return tuple(sizes)


@contextmanager
def _written(folder: Path, tile: tuple[slice, slice], depth: int) -> Iterator[dict[str, Any]]:
    """Writers of a tile of all labels, as a run has them."""
    shape = (depth, *(part.stop - part.start for part in tile))
    with ExitStack() as stack:
        writers = {}
        for name in Tile._fields:
            dtype = "uint8" if name == "background" else LABEL_DTYPE
            image = store.create_labels(folder, name, shape, dtype, (50.0, 40.0, 40.0))
            for z0, _ in store.slabs(image)[:1]:
                writer = store.slab_writer(image, z0, downsample="nearest")
                writers[name] = stack.enter_context(writer)
        yield writers


def _label(sample: Sample, found: Calibration, folder: Path, clock: _Clock) -> Calibration:
    """A cell, and a tile of the labels of the volume."""
    place = float(sample.places[0][0]), float(sample.places[0][1])
    sample.decide(sample.region(12 * max(sample.voxel[1:]), place))  # loads its libraries
    clock.lap()
    region = sample.region(sample.knobs.region.width, place)
    masks = sample.decide(region)
    cell = clock.lap() / (masks["cell"].size / 1e6)
    levels = label_levels(sample.setup)
    depth = min(levels[0].file[0], sample.z.stop - sample.z.start)
    slab = _slab(sample, masks, region.slices(sample.volume), folder, depth)
    resin = sample.resin[:depth]
    clock.lap()
    labels = assemble_slab(slab, resin, sample.knobs.assemble)
    factors = working_factors(open_volume(sample.setup.image.path), sample.volume)
    alone = Decided(labels, slab.thresholds, [])
    _refiner(sample, slab, alone)
    plane = clock.lap()
    outlines = read_outlines(slab) if factors != (1, 1) else []
    refiner = _refiner(sample, slab, replace(alone, outlines=outlines))
    nucleus = clock.lap() if outlines else 0.0
    tile = _usual_tile(resin, slab_tiles(levels), factors)
    clock.lap()
    part = refiner.tile(*tile)
    refined = clock.lap()
    with _written(folder / "labels", tile, depth) as writers:
        clock.lap()
        for name, data in part._asdict().items():
            for rows, columns in writers[name].tiles:
                writers[name].write(rows, columns, data[:, rows, columns])
    voxels = part.background.size
    return replace(
        found,
        cell=cell,
        plane=plane / depth,
        nucleus=nucleus / depth,
        tile=(refined + clock.lap()) / (voxels / 1e6),
        share=_bytes(folder / "labels" / "labels" / "background") / (voxels * 4 / 3),
    )


def _refiner(sample: Sample, slab: Slab, decided: Decided) -> Refiner:
    """As a task of the labels makes it."""
    image = open_volume(sample.setup.image.path)
    return volume_refiner(
        image,
        slice(slab.z0, slab.z1),
        sample.levels,
        decided,
        factors=working_factors(image, sample.volume),
        parameters=sample.knobs,
        method=sample.setup.method,
    )


def _slab(
    sample: Sample, masks: xr.Dataset, window: tuple[slice, slice, slice], folder: Path, depth: int
) -> Slab:
    """The slab of labels in which that cell is."""
    bits = encode_masks(*(masks[name].values for name in ("nucleus", "cell", "envelope")))
    path = store.create_scratch(folder / "masks", bits.shape, bits.dtype)
    store.write_scratch(path, bits)
    z, y, x = ((part.start, part.stop) for part in window)
    shape = tuple(sample.volume.shape)
    return Slab(
        sample.z.start,
        sample.z.start + depth,
        (shape[0], shape[1], shape[2]),
        sample.voxel,
        (CellMasks(1, path, (z, y, x)),),
        sample.thresholds[:depth],
    )


def _usual_tile(
    resin: Mask, tiles: list[tuple[slice, slice]], factors: tuple[int, int]
) -> tuple[slice, slice]:
    """The tile in which there is about as much border of the resin as in others."""
    middle = resin[len(resin) // 2].astype(np.int8)
    border = np.zeros(middle.shape, dtype=bool)
    border[1:] |= np.diff(middle, axis=0) != 0
    border[:, 1:] |= np.diff(middle, axis=1) != 0

    def share(tile: tuple[slice, slice]) -> float:
        y, x = (
            slice(part.start // by, -(-part.stop // by))
            for part, by in zip(tile, factors, strict=True)
        )
        return float(border[y, x].mean())

    mean = float(border.mean())
    return min(tiles, key=lambda tile: (abs(share(tile) - mean), tile[0].start, tile[1].start))


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
