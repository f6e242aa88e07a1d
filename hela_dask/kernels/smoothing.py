"""The Gaussian of a volume in single precision, and the value above which so many voxels lie."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.compiled import compiled
from hela_dask.kernels.filters import TRUNCATE
from hela_dask.types import Grey

__all__ = ["smooth_volume", "value_of_rank"]

_BINS = 4096  # of values from 0 to 1


def smooth_volume(image: Grey, sigma: Sequence[float]) -> Grey:
    """Blur a volume with a Gaussian; beyond the border its last voxels are repeated.

    The weights are those of ``scipy.ndimage.gaussian_filter(mode="nearest", truncate=4)``. Sums are
    of single precision, and symmetric: a volume that is flipped gives the same bits.

    Parameters
    ----------
    image
        (z, y, x).
    sigma
        Standard deviation (z, y, x) in voxels.
    """
    z, y, x = (_weights(size) for size in sigma)
    smooth = np.empty(image.shape, np.float32)
    _smooth(np.ascontiguousarray(image), z, y, x, smooth)
    return smooth


def _weights(sigma: float) -> Grey:
    """The middle weight of a Gaussian, and those on one of its sides."""
    places = np.arange(int(TRUNCATE * sigma + 0.5) + 1)
    weights = np.exp(-0.5 * (places / sigma) ** 2)
    found: Grey = (weights / (2 * weights.sum() - 1)).astype(np.float32)
    return found


# The loops over x are written so that the compiler vectorises them.
@compiled
def _smooth(image: Grey, along_z: Grey, along_y: Grey, along_x: Grey, out: Grey) -> None:
    depth, height, width = image.shape
    far = len(along_x) - 1
    plane = np.empty((height, width), np.float32)
    filled = np.empty(height, np.bool_)
    line = np.empty(width + 2 * far, np.float32)
    for z in range(depth):
        for y in range(height):
            _add_row(along_z[0], image[z, y], image[z, y], plane[y], True)
            for k in range(1, len(along_z)):
                below, above = image[max(z - k, 0), y], image[min(z + k, depth - 1), y]
                _add_row(along_z[k], below, above, plane[y], False)
            filled[y] = _any(plane[y])
        for y in range(height):
            reach = len(along_y) - 1
            if not filled[max(0, y - reach) : y + reach + 1].any():
                out[z, y] = np.float32(0)
                continue
            middle = line[far : far + width]
            _add_row(along_y[0], plane[y], plane[y], middle, True)
            for k in range(1, len(along_y)):
                below, above = plane[max(y - k, 0)], plane[min(y + k, height - 1)]
                _add_row(along_y[k], below, above, middle, False)
            line[:far] = line[far]
            line[far + width :] = line[far + width - 1]
            _add_row(along_x[0], middle, middle, out[z, y], True)
            for k in range(1, len(along_x)):
                _add_row(
                    along_x[k],
                    line[far - k : far - k + width],
                    line[far + k : far + k + width],
                    out[z, y],
                    False,
                )


@compiled
def _add_row(weight: np.float32, one: Grey, other: Grey, out: Grey, alone: bool) -> None:
    """Add the weighted sum of two rows; or begin with the weighted first one `alone`."""
    if alone:
        for x in range(len(out)):
            out[x] = weight * one[x]
    else:
        for x in range(len(out)):
            out[x] += weight * (one[x] + other[x])


@compiled
def _any(row: Grey) -> bool:
    most = np.float32(0)
    for x in range(len(row)):
        most = max(most, row[x])
    return bool(most > 0)


def value_of_rank(values: Grey, rank: int, least: float) -> float:
    """The value above which so many values lie, between the two beside it; infinite for none.

    Parameters
    ----------
    values
        Any shape, from 0 to about 1.
    rank
        Number of values above.
    least
        Smaller values do not count; it is the result where no more than `rank` are larger.
    """
    flat = values.reshape(-1)
    counts = _histogram(flat, np.float32(least))
    total = int(counts.sum())
    count = min(rank, total)
    if count == 0:
        return math.inf
    if count == total:
        return least
    first = total - count  # of those above, in ascending order
    ends = np.cumsum(counts)
    low, high = (int(np.searchsorted(ends, at, "right")) for at in (first - 1, first))
    near = np.sort(_between(flat, np.float32(least), low, high, int(counts[low : high + 1].sum())))
    before = int(ends[low - 1]) if low else 0
    return float(near[first - 1 - before] + near[first - before]) / 2


@compiled
def _bin(value: np.float32) -> int:
    return min(int(value * np.float32(_BINS)), _BINS)


@compiled
def _histogram(values: Grey, least: np.float32) -> NDArray[np.int64]:
    counts = np.zeros(_BINS + 1, np.int64)
    for value in values:
        if value > least:
            counts[_bin(value)] += 1
    return counts


@compiled
def _between(values: Grey, least: np.float32, low: int, high: int, count: int) -> Grey:
    """The values in some bins."""
    found, at = np.empty(count, np.float32), 0
    for value in values:
        if value > least and low <= _bin(value) <= high:
            found[at] = value
            at += 1
    return found
