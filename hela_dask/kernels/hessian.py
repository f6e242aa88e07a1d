"""Second derivatives of a smoothed image, and the largest eigenvalue of their matrix."""

from __future__ import annotations

import numpy as np

from hela_dask.kernels.compiled import compiled
from hela_dask.types import Grey

__all__ = ["largest_eigenvalue_plane", "largest_eigenvalue_volume"]


# Newton's steps towards the root of a cubic, from a start that is 6 % off at most: to seven digits.
_STEPS = 3


@compiled
def largest_eigenvalue_plane(image: Grey, along_y: Grey, along_x: Grey) -> Grey:
    """Largest eigenvalue of the Hessian of a plane.

    Parameters
    ----------
    image
        (y, x); beyond it its outermost pixels are repeated.
    along_y, along_x
        (3, taps): the Gaussian along an axis and its first and second derivative, as correlation
        kernels of odd length.
    """
    rows, columns = image.shape
    smooth = np.empty((3, rows, columns), np.float32)
    _down(image, along_y, smooth)
    wide = np.empty(columns + along_x.shape[1] - 1, np.float32)
    lines = np.empty((3, columns), np.float32)
    yy, xx, yx = lines[0], lines[1], lines[2]
    found = np.empty((rows, columns), np.float32)
    for y in range(rows):
        _across(smooth[2, y], along_x[0], wide, yy)
        _across(smooth[0, y], along_x[2], wide, xx)
        _across(smooth[1, y], along_x[1], wide, yx)
        for x in range(columns):
            half = (yy[x] - xx[x]) * np.float32(0.5)
            mean = (yy[x] + xx[x]) * np.float32(0.5)
            found[y, x] = mean + np.sqrt(half * half + yx[x] * yx[x])
    return found


@compiled
def largest_eigenvalue_volume(
    block: Grey, first: int, last: int, along_z: Grey, along_y: Grey, along_x: Grey
) -> Grey:
    """Largest eigenvalue of the Hessian in space, of the slices from `first` to `last`.

    Parameters
    ----------
    block
        (z, y, x); beyond it its outermost voxels are repeated.
    first, last
        Half open.
    along_z, along_y, along_x
        As in :func:`largest_eigenvalue_plane`.
    """
    depth, rows, columns = block.shape
    reach = along_z.shape[1] // 2
    level = np.empty((3, rows, columns), np.float32)
    # z and y: of the smoothed, smoothed, first and second; of the slope, two; of the curve, one.
    smooth = np.empty((3, rows, columns), np.float32)
    slope = np.empty((2, rows, columns), np.float32)
    curve = np.empty((1, rows, columns), np.float32)
    wide = np.empty(columns + along_x.shape[1] - 1, np.float32)
    lines = np.empty((6, columns), np.float32)
    found = np.empty((last - first, rows, columns), np.float32)
    for z in range(first, last):
        level[:] = 0
        for tap in range(along_z.shape[1]):
            plane = block[min(max(z + tap - reach, 0), depth - 1)]
            for n in range(3):
                _add(level[n], plane, along_z[n, tap])
        _down(level[0], along_y, smooth)
        _down(level[1], along_y[:2], slope)
        _down(level[2], along_y[:1], curve)
        for y in range(rows):
            _across(curve[0, y], along_x[0], wide, lines[0])  # zz
            _across(smooth[2, y], along_x[0], wide, lines[1])  # yy
            _across(smooth[0, y], along_x[2], wide, lines[2])  # xx
            _across(slope[1, y], along_x[0], wide, lines[3])  # zy
            _across(slope[0, y], along_x[1], wide, lines[4])  # zx
            _across(smooth[1, y], along_x[1], wide, lines[5])  # yx
            _largest_eigenvalues(lines, found[z - first, y])
    return found


@compiled
def _largest_eigenvalues(lines: Grey, found: Grey) -> None:
    """Of symmetric 3 x 3 matrices, given as zz, yy, xx, zy, zx and yx.

    The eigenvalues of the deviator are 2 s cos(φ), with s its spread and cos(3 φ) = c from its
    determinant. The largest has the largest root of 4 f³ - 3 f = c, between 1/2 and 1.
    """
    half, third, sixth = np.float32(0.5), np.float32(1 / 3), np.float32(1 / 6)
    one, two, three, four = np.float32(1), np.float32(2), np.float32(3), np.float32(4)
    for x in range(found.size):
        zy, zx, yx = lines[3, x], lines[4, x], lines[5, x]
        mean = (lines[0, x] + lines[1, x] + lines[2, x]) * third
        zz, yy, xx = lines[0, x] - mean, lines[1, x] - mean, lines[2, x] - mean
        square = (zz * zz + yy * yy + xx * xx + two * (zy * zy + zx * zx + yx * yx)) * sixth
        spread = np.sqrt(square)
        minors = zz * (yy * xx - yx * yx) - zy * (zy * xx - yx * zx) + zx * (zy * yx - yy * zx)
        c = minors / max(two * square * spread, np.float32(1e-30))
        c = min(max(c, -one), one)
        root = half + half * np.sqrt((one + c) * half)
        for _ in range(_STEPS):
            slope = three * (four * root * root - one)
            root -= (four * root * root * root - three * root - c) / max(slope, np.float32(1e-4))
        found[x] = mean + two * spread * root


@compiled
def _add(total: Grey, plane: Grey, weight: np.float32) -> None:
    for y in range(len(total)):
        for x in range(total.shape[1]):
            total[y, x] += weight * plane[y, x]


@compiled
def _down(plane: Grey, kernels: Grey, found: Grey) -> None:
    """Correlate with several kernels along y."""
    rows, columns = plane.shape
    reach = kernels.shape[1] // 2
    for y in range(rows):
        for n in range(len(kernels)):
            total = found[n, y]
            total[:] = 0
            for tap in range(kernels.shape[1]):
                row, weight = plane[min(max(y + tap - reach, 0), rows - 1)], kernels[n, tap]
                for x in range(columns):
                    total[x] += weight * row[x]


@compiled
def _across(row: Grey, kernel: Grey, wide: Grey, found: Grey) -> None:
    """Correlate a row with a kernel; `wide` is room for the row with its ends repeated."""
    columns, reach = row.size, kernel.size // 2
    wide[:reach] = row[0]
    wide[reach : reach + columns] = row
    wide[reach + columns :] = row[-1]
    found[:] = 0
    for tap in range(kernel.size):
        weight, shifted = kernel[tap], wide[tap : tap + columns]
        for x in range(columns):
            found[x] += weight * shifted[x]
