"""Differences between slices in brightness and roughness, which would look like membranes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.kernels import morphology
from hela_dask.types import Mask

__all__ = ["INSIDE", "brightness_offsets", "equalise_slices"]


INSIDE = (0.9, 0.8)
"""Membrane strength inside a nucleus, in deviations: its median, and from there to the eighth
decile."""

# Smaller areas of a slice, in nm², give no reliable statistics of the inside of a nucleus. Nor does
# one under half of the largest: near its ends a nucleus is mostly envelope.
_MIN_AREA = 1e6


def brightness_offsets(
    image: NDArray[Any],
    background: NDArray[np.bool_],
    voxel: tuple[float, float, float],
    slow: float,
    grid: float = 40.0,
) -> NDArray[np.float32]:
    """Offset to subtract from each slice so that adjacent ones are equally bright in the tissue.

    The median differences of adjacent slices over their common tissue are summed up; the slowly
    varying part of the sum is left in the image.

    Parameters
    ----------
    image, background
        (z, y, x) grey values, and true where there is resin.
    voxel
        Voxel size (z, y, x) in nm.
    slow
        Standard deviation, in nm along z, of the part that is left in.
    grid
        Spacing in nm at which pixels are sampled.

    Returns
    -------
    ndarray of float32, (z,)
    """
    step = tuple(max(1, int(grid / size)) for size in voxel[1:])
    steps = np.zeros(len(image))
    for z in range(1, len(image)):
        tissue = ~(
            background[z, :: step[0], :: step[1]] | background[z - 1, :: step[0], :: step[1]]
        )
        if tissue.any():
            upper, lower = (image[at, :: step[0], :: step[1]][tissue] for at in (z, z - 1))
            steps[z] = _median_difference(upper, lower)
    total = np.cumsum(steps)
    offsets: NDArray[np.float32] = (
        total - ndimage.gaussian_filter1d(total, slow / voxel[0], mode="nearest")
    ).astype(np.float32)
    return offsets


def _median_difference(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Median of the differences of two lists of grey values."""
    if one.dtype != np.uint8:
        return float(np.median(one.astype(np.float32) - other.astype(np.float32)))
    # Of whole numbers, by counting them: several times as fast.
    below = np.cumsum(np.bincount(one.astype(np.int16) - other + 255, minlength=511))
    middle = np.searchsorted(below, ((below[-1] - 1) // 2, below[-1] // 2), "right")
    return float(middle.mean()) - 255


def equalise_slices(
    strength: NDArray[np.uint8],
    core: Mask,
    voxel: tuple[float, float, float],
    span: float,
    membrane: float,
    unit: float,
) -> None:
    """Equalise the membrane strength of slices, in place.

    Focus, contrast and noise drift along z, and with them the roughness inside the nucleus. Its
    median, and the distance from there to the eighth decile, are set to :data:`INSIDE` in each
    slice. So a threshold means the same in each slice, and in each volume, wherever its seed lies.
    The numbers of a slice are medians along z, so that one odd slice stays odd. Strength below the
    threshold stays below: a smooth inside, as of an image without noise, does not lower it.

    Parameters
    ----------
    strength
        (z, y, x) membrane strength.
    core
        (z, y, x), the inside of the nucleus, or most of it.
    voxel
        Voxel size (z, y, x) in nm.
    span
        Height in nm of the medians along z.
    membrane
        Threshold of membrane strength, in deviations; where it lies is not lowered.
    unit
        One deviation, in the numbers of `strength`.
    """
    slices, numbers = [], []
    largest = np.count_nonzero(core, axis=(1, 2)).max(initial=0)
    enough = max(_MIN_AREA / (voxel[1] * voxel[2]), largest / 2)
    for z in range(len(core)):
        inside = morphology.fill(core[z])
        if inside.sum() >= enough:
            slices.append(z)
            middle, high = _quantiles(strength[z][inside], (0.5, 0.8))
            numbers.append((middle, max(high - middle, 1.0)))
    if not slices:
        return
    size = 2 * int(span / voxel[0] / 2) + 1
    known = ndimage.median_filter(
        np.array(numbers), size=(min(size, len(numbers)), 1), mode="nearest"
    )
    usual, spread = (unit * value for value in INSIDE)
    limit = unit * membrane
    if limit > usual:
        least = spread * (limit - known[:, 0]) / (limit - usual)
        known[:, 1] = np.maximum(known[:, 1], least)
    for z in range(len(strength)):
        middle, width = known[int(np.argmin(np.abs(np.array(slices) - z)))]
        even = (strength[z] - np.float32(middle)) * np.float32(spread / width) + np.float32(usual)
        strength[z] = np.clip(np.rint(even), 0, 255)


def _quantiles(values: NDArray[np.uint8], shares: tuple[float, ...]) -> list[float]:
    """Quantiles of whole numbers that stand for all values that are rounded to them."""
    counts = np.bincount(values, minlength=256)
    below = np.concatenate([[0], np.cumsum(counts)])
    found: NDArray[np.float64] = np.interp(
        np.multiply(shares, below[-1]), below, np.arange(257) - 0.5
    )
    return [float(value) for value in found]
