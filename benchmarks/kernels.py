"""Times of the kernels on one slice, beside the same step in plain scikit-image calls.

Run it with ``make bench``.

A ratio of 3 means that ours takes a third of the time. The slice is a real one where
``HELA_DASK_DATA`` names the folder of the real stacks, and a phantom's otherwise.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import ndimage
from skimage import feature, filters, measure, morphology

from hela_dask.kernels.background import background_slice
from hela_dask.kernels.detection import detect_slice
from hela_dask.kernels.distance import distance_slice
from hela_dask.kernels.filters import gaussian
from hela_dask.parameters import BackgroundParameters, DetectParameters
from hela_dask.phantom import phantom_block, plan_phantom

Image = NDArray[Any]
Mask = NDArray[np.bool_]


def load_slice() -> tuple[Image, float, str]:
    """A slice to measure on, its pixel size in nm, and what it is."""
    folder = Path(os.environ.get("HELA_DASK_DATA", "."))
    slices = sorted(folder.glob("roi6005/*.tif"))
    if slices:
        # Every second pixel, so that the plain calls end within the minute too.
        return tifffile.imread(slices[0])[::2, ::2].copy(), 20.0, f"real slice {slices[0].name}"
    spec = plan_phantom((60, 512, 512), 1, 10.0, 0, (200.0, 40.0, 40.0))
    return phantom_block(spec, 30, 31, 0, 512, 0, 512).image[0], 40.0, "phantom slice"


def plain_background(image: Image, pixel: float) -> Mask:
    """The published background of a slice, each step the obvious call (J. Imaging 2021, 2.3)."""
    sigma = 90 / pixel
    smooth = filters.gaussian(image.astype(float), 20 / pixel, preserve_range=True)
    blurred = filters.gaussian(smooth, sigma, preserve_range=True)
    high = float(np.quantile(np.hypot(filters.sobel_h(blurred), filters.sobel_v(blurred)), 0.7))
    edges = feature.canny(smooth, sigma, 0.4 * high, high)
    square = np.ones((max(1, round(210 / pixel)),) * 2, bool)
    pieces = measure.label(~morphology.dilation(edges, square), connectivity=2)
    bright = min(max(160.0, filters.threshold_otsu(smooth)), 200.0)
    mask = np.zeros(image.shape, bool)
    for piece in measure.regionprops(pieces, smooth):
        if piece.intensity_mean > bright and piece.area * pixel**2 > 1e4:
            mask[pieces == piece.label] = True
    mask = ndimage.binary_fill_holes(mask)
    mask = morphology.closing(mask, morphology.disk(round(390 / pixel)))
    mask = morphology.opening(mask, morphology.disk(round(190 / pixel)))
    if mask.any():
        near = ndimage.distance_transform_edt(~mask) * pixel <= 500
        mask = mask | (near & (smooth > smooth[mask].mean() - 5))
    mask = morphology.closing(mask, morphology.disk(max(1, round(40 / pixel))))
    grown: Mask = morphology.dilation(mask, morphology.disk(max(1, round(20 / pixel))))
    return grown


def seconds(call: Callable[[], object], repeats: int = 3) -> float:
    """Median time of a call; one repeat is enough for a slow one."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
        if times[-1] > 5:
            break
    return statistics.median(times)


def main() -> None:
    """Print one line a step: ours, plain, and how many times faster ours is."""
    image, pixel, what = load_slice()
    size = (pixel, pixel)
    background = background_slice(image, size, BackgroundParameters())
    steps: dict[str, tuple[Callable[[], object], Callable[[], object] | None]] = {
        "gaussian, 20 nm": (
            lambda: gaussian(image, (20 / pixel,) * 2),
            lambda: filters.gaussian(image.astype(float), 20 / pixel, preserve_range=True),
        ),
        "background": (
            lambda: background_slice(image, size, BackgroundParameters()),
            lambda: plain_background(image, pixel),
        ),
        "distance": (
            lambda: distance_slice(background, size),
            lambda: ndimage.distance_transform_edt(np.pad(~background, 1), sampling=size),
        ),
        "cells of a slice": (lambda: detect_slice(background, size, DetectParameters()), None),
    }
    print(f"{what}, {image.shape[0]} x {image.shape[1]} pixels of {pixel:g} nm")
    print(f"{'step':<18}{'ours':>12}{'plain':>12}{'ratio':>8}")
    for name, (ours, plain) in steps.items():
        own = seconds(ours)
        row = f"{name:<18}{own * 1000:>9.1f} ms"
        if plain is not None:
            other = seconds(plain)
            row += f"{other * 1000:>9.1f} ms{other / own:>8.1f}"
        print(row)


if __name__ == "__main__":
    main()
