"""The Gaussian of a volume, summed in double precision as scipy does, in place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from hela_dask.kernels.compiled import compiled
from hela_dask.types import Floats, Grey

__all__ = ["blur_volume"]


def blur_volume(values: Grey, sigma: Sequence[float], truncate: float) -> None:
    """Blur a volume with a Gaussian, in place.

    The bits are those of ``scipy.ndimage.gaussian_filter(mode="nearest")``, which takes several
    times as long: here whole rows are added up at once.

    Parameters
    ----------
    values
        (z, y, x); beyond the border its outermost voxels are repeated.
    sigma
        Standard deviation (z, y, x) in voxels.
    truncate
        Where the kernel is cut, in sigmas.
    """
    z, y, x = (_weights(size, truncate) for size in sigma)
    _blur(values, z, y, x)


def _weights(sigma: float, truncate: float) -> Floats:
    """The middle weight of scipy's Gaussian, and those on one of its sides."""
    if sigma <= 0:
        return np.ones(1)
    reach = int(truncate * sigma + 0.5)
    impulse = np.zeros(2 * reach + 1)
    impulse[reach] = 1.0
    blurred = ndimage.gaussian_filter1d(impulse, sigma, mode="constant", truncate=truncate)
    return np.ascontiguousarray(blurred[reach:])


@compiled
def _blur(values: Grey, along_z: Floats, along_y: Floats, along_x: Floats) -> None:
    depth, rows, columns = values.shape
    total = np.empty(columns, np.float64)
    stack = np.empty((depth, columns), np.float32)
    plane = np.empty((rows, columns), np.float32)
    reach = along_x.size - 1
    wide = np.empty(columns + 2 * reach, np.float32)
    for y in range(rows):
        for z in range(depth):
            stack[z] = values[z, y]
        for z in range(depth):
            _add_rows(stack, z, along_z, total)
            values[z, y] = total
    for z in range(depth):
        plane[:] = values[z]
        for y in range(rows):
            _add_rows(plane, y, along_y, total)
            wide[:reach] = total[0]
            wide[reach : reach + columns] = total
            wide[reach + columns :] = total[columns - 1]
            _begin(total, wide[reach:], along_x[0])
            for away in range(reach, 0, -1):
                _add_pair(total, wide[reach - away :], wide[reach + away :], along_x[away])
            values[z, y] = total


@compiled
def _add_rows(rows: Grey, at: int, weights: Floats, total: Floats) -> None:
    """The weighted sum of a row and those on both sides of it, from the farthest to the nearest."""
    end = len(rows) - 1
    _begin(total, rows[at], weights[0])
    for away in range(weights.size - 1, 0, -1):
        _add_pair(total, rows[max(at - away, 0)], rows[min(at + away, end)], weights[away])


@compiled
def _begin(total: Floats, row: Grey, weight: float) -> None:
    for x in range(total.size):
        total[x] = np.float64(row[x]) * weight


@compiled
def _add_pair(total: Floats, one: Grey, other: Grey, weight: float) -> None:
    for x in range(total.size):
        total[x] += (np.float64(one[x]) + np.float64(other[x])) * weight
