"""Times of the kernels on slices at 10 nm beside plain calls: ``python -m benchmarks.kernels``.

A ratio of 3 means that ours takes a third of the time. The slices are real ones where
``HELA_DASK_DATA`` names the folder of the real stacks, and a phantom's otherwise. The background,
the nucleus and the cell are the whole steps of the method, on one core: ours on a short stack,
divided by its slices, since they look at neighbours; the plain reading of the published method
(:mod:`benchmarks.published`) on one slice, once, since it takes a minute.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import ndimage
from skimage import filters

from benchmarks import results
from benchmarks.published import plain_background, plain_cell, plain_nucleus
from benchmarks.stacks import as_volume
from hela_dask.kernels.background import background_block
from hela_dask.kernels.detection import detect_slice, without_specks
from hela_dask.kernels.distance import distance_slice
from hela_dask.kernels.filters import gaussian
from hela_dask.kernels.owned import Owned
from hela_dask.methods.cells import segment_slices
from hela_dask.methods.method import Masks, Window
from hela_dask.methods.names import DEFAULT_METHOD
from hela_dask.methods.registry import get_method
from hela_dask.parameters import Parameters
from hela_dask.phantom import phantom_block, plan_phantom
from hela_dask.steps.refine import Decided, Grid, Outline, Refiner
from hela_dask.volume.greys import grey_levels
from hela_dask.volume.opening import voxel_size, working_factors, working_volume

__all__ = ["Row", "Slices", "load", "rows"]

Mask = NDArray[np.bool_]
Timer = Callable[[Callable[[], Any]], tuple[float, Any]]

AIM = 0.5
"""Seconds for background, nucleus and cell of one slice together."""


@dataclass(frozen=True)
class Slices:
    """A short stack around one cell.

    Attributes
    ----------
    image : ndarray, (z, y, x)
    voxel : (z, y, x) in nm
    centre : (z, y, x) in voxels
    what : str
        Where it is from.
    """

    image: NDArray[Any]
    voxel: tuple[float, float, float]
    centre: tuple[int, int, int]
    what: str


@dataclass
class Row:
    """One step: seconds a slice.

    Attributes
    ----------
    step : str
    own : float
    plain : float or None
    agreement : float or None
        Jaccard index of the two results, where they are masks of the same thing.
    """

    step: str
    own: float
    plain: float | None = None
    agreement: float | None = None

    @property
    def ratio(self) -> float | None:
        """How many times faster ours is."""
        return None if self.plain is None else self.plain / self.own


@dataclass
class Stopwatch:
    """Medians of several calls; a call over `patience` seconds is made once."""

    repeats: int = 3
    patience: float = 5.0

    def __call__(self, call: Callable[[], Any]) -> tuple[float, Any]:
        times, result = [], None
        for _ in range(self.repeats):
            start = time.perf_counter()
            result = call()
            times.append(time.perf_counter() - start)
            if times[-1] > self.patience:
                break
        return statistics.median(times), result


def load(depth: int = 16) -> Slices:
    """Slices of 2000 x 2000 pixels of 10 nm, real where there are some.

    The real ones are every second of a part of a stack, back and forth.
    """
    folder = Path(os.environ.get("HELA_DASK_DATA", "."))
    paths = [folder / "roi6005" / f"z00{z}.tif" for z in (56, 58, 60, 62, 64)]
    if all(path.exists() for path in paths):
        planes = [tifffile.imread(path) for path in paths]
        there_and_back = [*planes, *planes[-2:0:-1]]
        image = np.stack([there_and_back[z % len(there_and_back)] for z in range(depth)])
        what = "real slices of EMPIAR-10094"
    else:
        shape, size = (100, 2000, 2000), (150.0, 10.0, 10.0)
        spec = plan_phantom(shape, 1, 12.0, 0, size)
        first = 50 - depth // 2
        image = phantom_block(spec, first, first + depth, 0, shape[1], 0, shape[2]).image
        what = "slices of a phantom"
    centre = (depth // 2, image.shape[1] // 2, image.shape[2] // 2)
    return Slices(image, (50.0, 10.0, 10.0), centre, f"{what}, {image.shape[1]} x {image.shape[2]}")


def small_steps(stack: Slices, clock: Timer) -> list[Row]:
    """Operators that several stages use, on one slice."""
    plane, pixel = stack.image[stack.centre[0]], stack.voxel[1]
    size, knobs = (pixel, pixel), Parameters()
    resin = background_block(plane[None], (np.inf, *size), knobs.background)[0][0]
    sigma = 20 / pixel
    own, _ = clock(lambda: gaussian(plane, (sigma, sigma)))
    plain, _ = clock(lambda: filters.gaussian(plane.astype(float), sigma, preserve_range=True))
    found = [Row("gaussian, 20 nm", own, plain)]
    own, _ = clock(lambda: distance_slice(resin, size))
    plain, _ = clock(lambda: ndimage.distance_transform_edt(np.pad(~resin, 1), sampling=size))
    found.append(Row("distance to the resin", own, plain))
    coarse, pixels = resin[::4, ::4], (40.0, 40.0)

    def detect() -> NDArray[np.float64]:
        large = without_specks(coarse, pixels, knobs.detect.smallest_resin)
        far = distance_slice(large, pixels, border=False)
        return detect_slice(coarse, far, pixels, knobs.detect)

    own, _ = clock(detect)
    return [*found, Row("cells of a slice, at 40 nm", own)]


def own_steps(stack: Slices, clock: Timer) -> tuple[dict[str, float], dict[str, Mask]]:
    """Ours: seconds a slice of background, nucleus and cell, and their masks of the middle one.

    Each is decided on the working level and refined on the image's own pixels, as a run does it;
    halving the image counts to the background.
    """
    knobs, count = Parameters(), len(stack.image)
    blur, p = knobs.background.blur, knobs.volumetric
    volume = as_volume(stack.image, stack.voxel)
    lazy = working_volume(volume, knobs.working.resolution)
    halving, working = clock(lambda: lazy.compute(scheduler="synchronous"))
    factors, voxel = working_factors(volume, working), voxel_size(working)
    z, y, x = stack.centre
    centre = (z, y // factors[0], x // factors[1])
    levels = grey_levels(working, knobs.background)
    grid = Grid(stack.image.shape[1:], stack.voxel[1:], factors)
    deciding, (resin, thresholds) = clock(
        lambda: background_block(working.values, voxel, knobs.background, levels)
    )

    def refine(masks: Masks | None) -> Refiner:
        none = np.zeros(resin.shape, np.uint16)
        nuclei, cells, envelope, outlines = none, none, none, []
        if masks is not None and masks.outline is not None:
            nuclei, cells, envelope = (
                part.astype(np.uint16) for part in (masks.nucleus, masks.cell, masks.envelope)
            )
            outlines = [Outline(1, (0, 0), masks.outline)]
        labels = Owned.of(nuclei, cells, envelope, resin)
        decided = Decided(labels, thresholds, outlines)
        return Refiner(decided, grid, lambda y, x: stack.image[:, y, x], blur, p)

    whole = tuple(slice(0, length) for length in grid.shape)
    seconds = {}
    border, _ = clock(lambda: refine(None).tile(*whole))
    seconds["background"] = (halving + deciding + border) / count
    method = get_method(DEFAULT_METHOD)
    window = Window(working.values, resin, voxel, centre)
    both, masks = clock(lambda: method(window, knobs))
    of_cell, _ = clock(
        lambda: segment_slices(working.values, masks.nucleus, resin, voxel, centre, p)
    )
    of_nuclei, refiner = clock(lambda: refine(masks))
    of_all, found = clock(lambda: refiner.tile(*whole))
    seconds["nucleus"] = (both - of_cell + of_nuclei) / count
    seconds["cell"] = (of_cell + of_all - border) / count
    return seconds, {
        "background": found.background[z] > 0,
        "nucleus": found.nuclei[z] > 0,
        "cell": found.cells[z] > 0,
    }


def plain_steps(stack: Slices, clock: Timer) -> tuple[dict[str, float], dict[str, Mask]]:
    """The same of the published method, on the middle slice."""
    plane, pixel = stack.image[stack.centre[0]], stack.voxel[1]
    seconds: dict[str, float] = {}
    seconds["background"], resin = clock(lambda: plain_background(plane, pixel))
    seconds["nucleus"], nucleus = clock(
        lambda: plain_nucleus(plane, resin, stack.centre[1:], pixel)
    )
    seconds["cell"], cell = clock(lambda: plain_cell(nucleus, resin, pixel))
    return seconds, {"background": resin, "nucleus": nucleus, "cell": cell}


def rows(stack: Slices, clock: Timer) -> list[Row]:
    """Every step; the last row is background, nucleus and cell together."""
    own, ours = own_steps(stack, clock)
    plain, theirs = plain_steps(stack, clock)
    found = [Row(name, own[name], plain[name], _jaccard(ours[name], theirs[name])) for name in own]
    whole = Row("the three together", sum(own.values()), sum(plain.values()))
    return [*small_steps(stack, clock), *found, whole]


def _jaccard(one: Mask, other: Mask) -> float:
    union = int((one | other).sum())
    return float((one & other).sum() / union) if union else 1.0


def main() -> None:
    """Print a line a step; with ``--write`` keep them in docs/performance.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--depth", type=int, default=16, help="slices of the stack for ours")
    parser.add_argument("--write", action="store_true", help="keep them in docs/performance.json")
    options = parser.parse_args()
    stack = load(options.depth)
    print(f"{stack.what} pixels of {stack.voxel[1]:g} nm, one core, seconds a slice", flush=True)
    print(f"{'step':<28}{'ours':>9}{'plain':>9}{'ratio':>8}{'JI of the two':>15}")
    found = rows(stack, Stopwatch())
    for row in found:
        text = f"{row.step:<28}{row.own:>9.3f}"
        if row.plain is not None and row.ratio is not None:
            text += f"{row.plain:>9.2f}{row.ratio:>8.1f}"
        if row.agreement is not None:
            text += f"{row.agreement:>15.3f}"
        print(text)
    print(f"aim for the three together: {AIM:g} s a slice")
    if options.write:
        figures = {
            "what": stack.what,
            "slices": len(stack.image),
            "rows": [{**vars(row), "ratio": row.ratio} for row in found],
        }
        results.keep("kernels", figures, "python -m benchmarks.kernels --write")


if __name__ == "__main__":
    main()
