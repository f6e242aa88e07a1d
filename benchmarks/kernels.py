"""Times of the kernels on slices at 10 nm beside plain calls: ``python -m benchmarks.kernels``.

A ratio of 3 means that ours takes a third of the time. The slices are real ones where
``HELA_DASK_DATA`` names the folder of the real stacks, and a phantom's otherwise. The background,
the nucleus and the cell are the whole steps of the method, on one core: ours on a short stack,
divided by its slices, since they look at neighbours; the plain reading of the published method
(:mod:`benchmarks.published`) on one slice, once, since it takes a minute.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import ndimage
from skimage import filters

from benchmarks import pages, results
from benchmarks.measuring import timed
from benchmarks.published import plain_background, plain_cell, plain_nucleus
from benchmarks.stacks import Stack, as_volume
from hela_dask.box import Box
from hela_dask.geometry import Geometry
from hela_dask.kernels.background import background_block
from hela_dask.kernels.detection import detect_slice, remove_small_pieces
from hela_dask.kernels.distance import distance_slice
from hela_dask.kernels.filters import gaussian
from hela_dask.kernels.packed_labels import PackedLabels
from hela_dask.methods.cells import segment_slices
from hela_dask.methods.method import Masks, Window
from hela_dask.methods.registry import get_method
from hela_dask.parameters import Parameters
from hela_dask.phantom import phantom_block, plan_phantom
from hela_dask.steps.coarse_labels import CoarseLabels, Outline
from hela_dask.steps.refine import Refiner
from hela_dask.volume.greys import grey_levels
from hela_dask.volume.opening import working_volume
from tests.drawn import iou

Mask = NDArray[np.bool_]
clock = partial(timed, repeats=3, patience=5.0)

AIM = 0.5
"""Seconds for background, nucleus and cell of one slice together."""


def load(depth: int = 16) -> tuple[Stack, str]:
    """Slices of 2000 x 2000 pixels of 10 nm, real where there are some, and their origin.

    The real ones are every second of a part of a stack, back and forth.
    """
    folder = Path(os.environ.get("HELA_DASK_DATA", "."))
    paths = [folder / "roi6005" / f"z00{z}.tif" for z in (56, 58, 60, 62, 64)]
    if all(path.exists() for path in paths):
        planes = [tifffile.imread(path) for path in paths]
        there_and_back = [*planes, *planes[-2:0:-1]]
        image = np.stack([there_and_back[z % len(there_and_back)] for z in range(depth)])
        origin = "real slices of EMPIAR-10094"
    else:
        shape, size = (100, 2000, 2000), (150.0, 10.0, 10.0)
        spec = plan_phantom(shape, 1, 12.0, 0, size)
        first = 50 - depth // 2
        image = phantom_block(spec, first, first + depth, 0, shape[1], 0, shape[2]).image
        origin = "slices of a phantom"
    centre = (depth // 2, image.shape[1] // 2, image.shape[2] // 2)
    truth = np.broadcast_to(np.uint8(0), image.shape)
    stack = Stack(image, truth, centre, (50.0, 10.0, 10.0))
    return stack, f"{origin}, {image.shape[1]} x {image.shape[2]}"


def _row(
    step: str, own: float, plain: float | None = None, agreement: float | None = None
) -> dict[str, Any]:
    """Seconds per slice of one step, and the Jaccard index of the two masks, where it has any."""
    ratio = None if plain is None else plain / own
    return {"step": step, "own": own, "plain": plain, "agreement": agreement, "ratio": ratio}


def small_steps(stack: Stack) -> list[dict[str, Any]]:
    """Operators that several stages use, on one slice."""
    plane, pixel = stack.image[stack.centre[0]], stack.voxel[1]
    size, parameters = (pixel, pixel), Parameters()
    resin = background_block(plane[None], (np.inf, *size), parameters.background)[0][0]
    sigma = 20 / pixel
    own, _ = clock(lambda: gaussian(plane, (sigma, sigma)))
    plain, _ = clock(lambda: filters.gaussian(plane.astype(float), sigma, preserve_range=True))
    found = [_row("gaussian, 20 nm", own, plain)]
    own, _ = clock(lambda: distance_slice(resin, size))
    plain, _ = clock(lambda: ndimage.distance_transform_edt(np.pad(~resin, 1), sampling=size))
    found.append(_row("distance to the resin", own, plain))
    coarse, pixels = resin[::4, ::4], (40.0, 40.0)

    def detect() -> NDArray[np.float64]:
        large = remove_small_pieces(coarse, pixels, parameters.detect.smallest_resin)
        far = distance_slice(large, pixels, border=False)
        return detect_slice(coarse, far, pixels, parameters.detect)

    own, _ = clock(detect)
    return [*found, _row("cells of a slice, at 40 nm", own)]


def own_steps(stack: Stack) -> tuple[dict[str, float], dict[str, Mask]]:
    """Ours: seconds per slice of background, nucleus and cell, and their masks of the middle one.

    Each is segmented on the working level and refined on the image's own pixels, as in a run;
    halving the image counts to the background.
    """
    parameters, count = Parameters(), len(stack.image)
    blur, p = parameters.background.blur, parameters.volumetric
    volume = as_volume(stack.image, stack.voxel)
    lazy = working_volume(volume, parameters.working.resolution)
    halving, working = clock(lambda: lazy.compute(scheduler="synchronous"))
    geometry, coarse = Geometry.of(volume), Geometry.of(working)
    factors, voxel = geometry.factors(coarse), coarse.voxel_size
    z, y, x = stack.centre
    centre = (z, y // factors[0], x // factors[1])
    levels = grey_levels(working, parameters.background)
    deciding, (resin, thresholds) = clock(
        lambda: background_block(working.values, voxel, parameters.background, levels)
    )

    def refine(masks: Masks | None) -> Refiner:
        none = np.zeros(resin.shape, np.uint16)
        nuclei, cells, envelope, outlines = none, none, none, []
        if masks is not None and masks.outline is not None:
            nuclei, cells, envelope = (
                part.astype(np.uint16) for part in (masks.nucleus, masks.cell, masks.envelope)
            )
            outlines = [Outline(1, (0, 0), masks.outline, masks.nucleus)]
        labels = PackedLabels.from_labels(nuclei, cells, envelope, resin)
        coarse_labels = CoarseLabels(labels, thresholds.tolist(), outlines)
        return Refiner(coarse_labels, geometry, factors, lambda y, x: stack.image[:, y, x], blur, p)

    whole = Box.whole(stack.image.shape[1:])
    seconds = {}
    border, _ = clock(lambda: refine(None).tile(whole))
    seconds["background"] = (halving + deciding + border) / count
    method = get_method("volumetric")
    window = Window(working.values, resin, voxel, centre)
    both, masks = clock(lambda: method(window, parameters))
    of_cell, _ = clock(
        lambda: segment_slices(working.values, masks.nucleus, resin, voxel, centre, p)
    )
    of_nuclei, refiner = clock(lambda: refine(masks))
    of_all, found = clock(lambda: refiner.tile(whole))
    seconds["nucleus"] = (both - of_cell + of_nuclei) / count
    seconds["cell"] = (of_cell + of_all - border) / count
    return seconds, {
        "background": found.background[z] > 0,
        "nucleus": found.nuclei[z] > 0,
        "cell": found.cells[z] > 0,
    }


def plain_steps(stack: Stack) -> tuple[dict[str, float], dict[str, Mask]]:
    """The same of the published method, on the middle slice."""
    plane, pixel = stack.image[stack.centre[0]], stack.voxel[1]
    seconds: dict[str, float] = {}
    seconds["background"], resin = clock(lambda: plain_background(plane, pixel))
    seconds["nucleus"], nucleus = clock(
        lambda: plain_nucleus(plane, resin, stack.centre[1:], pixel)
    )
    seconds["cell"], cell = clock(lambda: plain_cell(nucleus, resin, pixel))
    return seconds, {"background": resin, "nucleus": nucleus, "cell": cell}


def rows(stack: Stack) -> list[dict[str, Any]]:
    """Every step; the last row is background, nucleus and cell together."""
    middle = max(1, stack.centre[0])
    own_steps(stack.slices(middle, middle + 1))  # compiled here
    own, ours = own_steps(stack)
    plain, theirs = plain_steps(stack)
    found = [_row(name, own[name], plain[name], iou(ours[name], theirs[name])) for name in own]
    whole = _row("the three together", sum(own.values()), sum(plain.values()))
    return [*small_steps(stack), *found, whole]


def main() -> None:
    """Print a line per step; with ``--write`` keep them in docs/performance.json."""
    parser = results.parser(__doc__, write="keep them in docs/performance.json")
    parser.add_argument("--depth", type=int, default=16, help="slices of the stack for ours")
    options = parser.parse_args()
    stack, origin = load(options.depth)
    print(f"{origin} pixels of {stack.voxel[1]:g} nm, one core, seconds per slice", flush=True)
    figures = {"what": origin, "slices": len(stack.image), "rows": rows(stack)}
    print(pages.render("kernels", {"kernels": figures}))
    print(f"aim for the three together: {AIM:g} s a slice")
    if options.write:
        results.keep("kernels", figures, "python -m benchmarks.kernels --write")


if __name__ == "__main__":
    main()
