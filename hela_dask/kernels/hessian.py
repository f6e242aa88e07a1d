"""Second derivatives of a smoothed image, and the largest eigenvalue of their matrix."""

from __future__ import annotations

import numpy as np

from hela_dask.kernels.compiled import compiled
from hela_dask.types import Grey, Mask

__all__ = ["largest_eigenvalue_plane", "largest_eigenvalue_volume"]


# Newton's steps towards the root of a cubic, from a start that is 6 % off at most: to seven digits.
_STEPS = 3
_RUN = 16  # pixels of a row that are passed over at once where none is wanted


@compiled
def largest_eigenvalue_plane(image: Grey, wanted: Mask, along_y: Grey, along_x: Grey) -> Grey:
    """Largest eigenvalue of the Hessian of a plane.

    Parameters
    ----------
    image
        (y, x); beyond it its outermost pixels are repeated.
    wanted
        (y, x) pixels that are needed. Runs of 16 pixels of a row without any are 0; other pixels
        may have any value.
    along_y, along_x
        (3, taps): the Gaussian along an axis and its first and second derivative, as correlation
        kernels of odd length.
    """
    rows, columns = image.shape
    wide = np.empty(columns + along_x.shape[1] - 1, np.float32)
    lines = np.empty((3, columns), np.float32)
    aside = along_x.shape[1] // 2
    found = np.zeros((rows, columns), np.float32)
    for y in range(rows):
        row, stop = wanted[y], 0
        for start in range(0, columns, _RUN):
            if start < stop or not row[start : start + _RUN].any():
                continue
            stop = start + _RUN
            while stop < columns and row[stop : stop + _RUN].any():
                stop += _RUN
            stop = min(stop, columns)
            first = max(start - aside, 0)
            size = min(stop + aside, columns) - first
            yy, xx, yx = lines[0][:size], lines[1][:size], lines[2][:size]
            _derivative(image, (y, rows, first), (along_y[2], along_x[0]), wide, yy)
            _derivative(image, (y, rows, first), (along_y[0], along_x[2]), wide, xx)
            _derivative(image, (y, rows, first), (along_y[1], along_x[1]), wide, yx)
            _larger_eigenvalues(
                yy[start - first :], xx[start - first :], yx[start - first :], found[y][start:stop]
            )
    return found


@compiled
def _larger_eigenvalues(yy: Grey, xx: Grey, yx: Grey, found: Grey) -> None:
    """Of symmetric 2 x 2 matrices."""
    for x in range(found.size):
        half = (yy[x] - xx[x]) * np.float32(0.5)
        mean = (yy[x] + xx[x]) * np.float32(0.5)
        found[x] = mean + np.sqrt(half * half + yx[x] * yx[x])


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
    _, rows, columns = block.shape
    reach = along_y.shape[1] // 2
    ring = 2 * reach + 1
    # The rows around one, correlated along z: they fit into a core's own cache.
    level = np.empty((3, ring, columns), np.float32)
    wide = np.empty(columns + along_x.shape[1] - 1, np.float32)
    lines = np.empty((6, columns), np.float32)
    found = np.empty((last - first, rows, columns), np.float32)
    for z in range(first, last):
        ready = 0
        for y in range(rows):
            while ready < min(y + reach + 1, rows):
                for n in range(3):
                    _along_z(block, z, ready, along_z[n], level[n, ready % ring])
                ready += 1
            _derivative(level[2], (y, rows, 0), (along_y[0], along_x[0]), wide, lines[0])  # zz
            _derivative(level[0], (y, rows, 0), (along_y[2], along_x[0]), wide, lines[1])  # yy
            _derivative(level[0], (y, rows, 0), (along_y[0], along_x[2]), wide, lines[2])  # xx
            _derivative(level[1], (y, rows, 0), (along_y[1], along_x[0]), wide, lines[3])  # zy
            _derivative(level[1], (y, rows, 0), (along_y[0], along_x[1]), wide, lines[4])  # zx
            _derivative(level[0], (y, rows, 0), (along_y[1], along_x[1]), wide, lines[5])  # yx
            _largest_eigenvalues(lines, found[z - first, y])
    return found


@compiled
def _largest_eigenvalues(lines: Grey, found: Grey) -> None:
    """Of symmetric 3 x 3 matrices, given as zz, yy, xx, zy, zx and yx.

    The eigenvalues of the deviator are 2 s cos(φ), with s its spread and cos(3 φ) = c from its
    determinant. The largest has the largest root of 4 f³ - 3 f = c, between 1/2 and 1.
    """
    # numpy's division does not check for zero, which would keep the loop from being vectorised.
    half, third, sixth = np.float32(0.5), np.float32(1 / 3), np.float32(1 / 6)
    one, two, three, four = np.float32(1), np.float32(2), np.float32(3), np.float32(4)
    for x in range(found.size):
        zy, zx, yx = lines[3, x], lines[4, x], lines[5, x]
        mean = (lines[0, x] + lines[1, x] + lines[2, x]) * third
        zz, yy, xx = lines[0, x] - mean, lines[1, x] - mean, lines[2, x] - mean
        square = (zz * zz + yy * yy + xx * xx + two * (zy * zy + zx * zx + yx * yx)) * sixth
        spread = np.sqrt(square)
        minors = zz * (yy * xx - yx * yx) - zy * (zy * xx - yx * zx) + zx * (zy * yx - yy * zx)
        c = np.divide(minors, max(two * square * spread, np.float32(1e-30)))
        c = min(max(c, -one), one)
        root = half + half * np.sqrt((one + c) * half)
        for _ in range(_STEPS):
            slope = three * (four * root * root - one)
            value = four * root * root * root - three * root - c
            root -= np.divide(value, max(slope, np.float32(1e-4)))
        found[x] = mean + two * spread * root


# Four taps are added at a time, in their order: a row of sums is read and written less often. Of an
# odd number, one or three are left.
@compiled
def _along_z(block: Grey, z: int, y: int, kernel: Grey, found: Grey) -> None:
    """Correlate a row of a volume with a kernel along z."""
    end, reach = len(block) - 1, kernel.size // 2
    found[:] = 0
    tap = 0
    while tap + 4 <= kernel.size:
        at = z + tap - reach
        one, two = block[min(max(at, 0), end), y], block[min(max(at + 1, 0), end), y]
        three, four = block[min(max(at + 2, 0), end), y], block[min(max(at + 3, 0), end), y]
        _add_four(found, one, two, three, four, kernel[tap : tap + 4])
        tap += 4
    if tap + 3 == kernel.size:
        at = z + tap - reach
        one, two = block[min(max(at, 0), end), y], block[min(max(at + 1, 0), end), y]
        _add_three(found, one, two, block[min(max(at + 2, 0), end), y], kernel[tap:])
    elif tap < kernel.size:
        _add(found, block[min(max(z + tap - reach, 0), end), y], kernel[tap])


@compiled
def _derivative(
    plane: Grey,
    place: tuple[int, int, int],
    kernels: tuple[Grey, Grey],
    wide: Grey,
    found: Grey,
) -> None:
    """Correlate a part of a row of a plane with a kernel along y, then with one along x.

    `place` is the row, how many the plane has (it may be a ring of its last ones), and the column
    that the part begins at. The part is as long as `found`; its ends are repeated. `wide` is room
    for the part and its repeated ends.
    """
    y, rows, first = place
    along_y, along_x = kernels
    columns, reach, aside = found.size, along_y.size // 2, along_x.size // 2
    middle = wide[aside : aside + columns]
    middle[:] = 0
    tap = 0
    while tap + 4 <= along_y.size:
        at = y + tap - reach
        one, two = _row(plane, at, rows, first), _row(plane, at + 1, rows, first)
        three, four = _row(plane, at + 2, rows, first), _row(plane, at + 3, rows, first)
        _add_four(middle, one, two, three, four, along_y[tap : tap + 4])
        tap += 4
    if tap + 3 == along_y.size:
        at = y + tap - reach
        one, two = _row(plane, at, rows, first), _row(plane, at + 1, rows, first)
        _add_three(middle, one, two, _row(plane, at + 2, rows, first), along_y[tap:])
    elif tap < along_y.size:
        _add(middle, _row(plane, y + tap - reach, rows, first), along_y[tap])
    wide[:aside] = middle[0]
    wide[aside + columns : columns + 2 * aside] = middle[columns - 1]
    found[:] = 0
    tap = 0
    while tap + 4 <= along_x.size:
        one, two, three, four = wide[tap:], wide[tap + 1 :], wide[tap + 2 :], wide[tap + 3 :]
        _add_four(found, one, two, three, four, along_x[tap : tap + 4])
        tap += 4
    if tap + 3 == along_x.size:
        _add_three(found, wide[tap:], wide[tap + 1 :], wide[tap + 2 :], along_x[tap:])
    elif tap < along_x.size:
        _add(found, wide[tap:], along_x[tap])


@compiled
def _row(plane: Grey, y: int, rows: int, first: int) -> Grey:
    """A row, from a column on, of a plane or of a ring of its rows.

    Beyond the plane it is its outermost row.
    """
    found: Grey = plane[min(max(y, 0), rows - 1) % len(plane)][first:]
    return found


@compiled
def _add(total: Grey, row: Grey, weight: np.float32) -> None:
    for x in range(total.size):
        total[x] += weight * row[x]


@compiled
def _add_four(total: Grey, one: Grey, two: Grey, three: Grey, four: Grey, weights: Grey) -> None:
    first, second, third, last = weights[0], weights[1], weights[2], weights[3]
    for x in range(total.size):
        value = total[x] + first * one[x]
        value += second * two[x]
        value += third * three[x]
        total[x] = value + last * four[x]


@compiled
def _add_three(total: Grey, one: Grey, two: Grey, three: Grey, weights: Grey) -> None:
    first, second, third = weights[0], weights[1], weights[2]
    for x in range(total.size):
        value = total[x] + first * one[x]
        value += second * two[x]
        total[x] = value + third * three[x]
