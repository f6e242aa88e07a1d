"""The slices of a volume that a plan tries its tasks on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import dask
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hela_dask.kernels.background import thresholds
from hela_dask.operators.background import background_and_facts
from hela_dask.running.needs import BACKGROUND_SLAB
from hela_dask.steps.regions import Region
from hela_dask.steps.segment import decide_cell
from hela_dask.volume.greys import GreyLevels
from hela_dask.volume.opening import voxel_size, working_volume

if TYPE_CHECKING:
    from hela_dask.running.setup import Setup

__all__ = ["Sample"]

_VOXELS = 42e6  # of the working level, that the background is tried on: what a plan may take
_FEWEST = 4  # slices


class Sample:
    """The slices that are tried, and what was found in them.

    They are in the middle of the volume: those of a task of the background, or fewer where planes
    are large.

    Parameters
    ----------
    setup : Setup
        The run that is planned.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup, self.knobs = setup, setup.parameters
        self.volume = working_volume(setup.image.path, self.knobs.working.resolution)
        self.voxel = voxel_size(self.volume)
        depth, *plane = self.volume.shape
        count = int(min(BACKGROUND_SLAB, depth, max(_FEWEST, _VOXELS // math.prod(plane))))
        z0 = min(depth // 2 // BACKGROUND_SLAB * BACKGROUND_SLAB, depth - count)
        self.z = slice(z0, z0 + count)
        self.levels = GreyLevels()
        self.resin: NDArray[np.bool_] = np.zeros((0, 0, 0), dtype=bool)
        self.thresholds: tuple[float, ...] = ()
        self.places: NDArray[np.float64] = np.empty((0, 3))

    def find_background(self) -> None:
        """The background of the slices, as a task of a run finds it."""
        found, facts = background_and_facts(self.volume, self.knobs.background, levels=self.levels)
        self.resin, known = dask.compute(found.data[self.z], facts[self.z])  # type: ignore[attr-defined,no-untyped-call]
        begins = thresholds(known, contrast=self.knobs.background.contrast)[:, 0]
        self.thresholds = tuple(begins.tolist())

    def region(self, width: float, place: tuple[float, float]) -> Region:
        """A window in these slices, around a place in pixels."""
        centre, box = [], []
        middle = ((self.z.start + self.z.stop) // 2, *place)
        for axis, (at, step, length) in enumerate(
            zip(middle, self.voxel, self.volume.shape, strict=True)
        ):
            origin = float(self.volume["zyx"[axis]][0]) - step / 2
            half = round(width / step / 2)
            low, high = (self.z.start, self.z.stop) if axis == 0 else (int(at) - half, at + half)
            low, high = max(0, low), min(length, int(high))
            centre.append(origin + (at + 0.5) * step)
            box.append((origin + low * step, origin + high * step))
        return Region(
            label=1,
            centre=(centre[0], centre[1], centre[2]),
            box=(box[0], box[1], box[2]),
            window_clipped=True,
        )

    def decide(self, region: Region) -> xr.Dataset:
        """Nucleus and cell of a window."""
        z, y, x = region.slices(self.volume)
        return decide_cell(
            self.volume[z, y, x].compute(),
            region,
            self.setup.method,
            parameters=self.knobs,
            background=self.resin[:, y, x],
            levels=self.levels,
        )
