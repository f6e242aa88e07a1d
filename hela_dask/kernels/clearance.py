"""How many of some limits the Euclidean distance in a mask exceeds, without the distances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.compiled import compiled
from hela_dask.types import Grey, Mask, Voxel

__all__ = ["count_limits"]


# Squares of so many rows are kept for the slices within reach: they fit into a core's cache.
_ROWS = 8


def count_limits(mask: Mask, voxel: Voxel, limits: Sequence[float] | Grey) -> NDArray[np.uint8]:
    """How many of the limits lie below the distance from each true voxel to the nearest false one.

    It is the count of limits below the distances of
    :func:`~hela_dask.kernels.bounded_distance.bounded_depth_volume`, bit for bit, in less time and
    memory: squares are compared, and no distance is kept.

    Parameters
    ----------
    mask
        (z, y, x). Faces of the array are no obstacles.
    voxel
        Voxel size (z, y, x) in nm.
    limits
        nm, at least one; in any order.

    Returns
    -------
    ndarray of uint8, (z, y, x)
        0 on false voxels.
    """
    lengths = np.sort(np.asarray(limits, dtype=np.float32))
    z, y, x = (
        ((np.arange(int(lengths[-1] / size) + 2) * float(size)) ** 2).astype(np.float32)
        for size in np.asarray(voxel, dtype=np.float32)
    )
    found = np.empty(mask.shape, dtype=np.uint8)
    _count(np.ascontiguousarray(mask), (z, y, x), _bounds(lengths), found)
    return found


def _bounds(lengths: Grey) -> Grey:
    """The smallest square of each length: its root, rounded, is larger than the length."""
    bounds = lengths**2
    while (over := np.sqrt(bounds) > lengths).any():
        bounds[over] = np.nextafter(bounds[over], np.float32(0))
    while (under := np.sqrt(bounds) <= lengths).any():
        bounds[under] = np.nextafter(bounds[under], np.float32(np.inf))
    return bounds


# The loops over x below are written so that the compiler vectorises them. They take two distances
# at a time; of an odd number the last one is taken twice.
@compiled
def _count(
    mask: Mask, squares: tuple[Grey, Grey, Grey], bounds: Grey, found: NDArray[np.uint8]
) -> None:
    """Squares along y, then along x and along z the least, some rows of all slices at a time."""
    depth, rows, columns = mask.shape
    along_z, along_y, along_x = squares
    reach, aside = along_z.size - 1, along_x.size - 1
    ring = 2 * reach + 1
    wide = np.full(columns + 2 * aside, np.float32(np.inf), np.float32)
    planes = np.empty((ring, min(_ROWS, rows), columns), np.float32)
    least = np.empty(columns, np.float32)
    for top in range(0, rows, _ROWS):
        for z in range(depth + reach):
            here = z - reach
            for y in range(min(_ROWS, rows - top)):
                if z < depth:
                    _squares_along_y(mask[z], top + y, along_y, wide[aside : aside + columns])
                    _least_along_x(wide, along_x, planes[z % ring, y])
                if here < 0:
                    continue
                row = found[here, top + y]
                row[:] = 0
                low, high = _ends(mask[here, top + y])
                if low == high:
                    continue
                nearest = least[low:high]
                nearest[:] = planes[here % ring, y][low:high]
                for near in range(1, reach + 1, 2):
                    far = min(near + 1, reach)
                    _lower(
                        nearest,
                        planes[max(0, here - near) % ring, y][low:high],
                        planes[min(depth - 1, here + near) % ring, y][low:high],
                        along_z[near],
                        planes[max(0, here - far) % ring, y][low:high],
                        planes[min(depth - 1, here + far) % ring, y][low:high],
                        along_z[far],
                    )
                _count_row(nearest, bounds, row[low:high])


@compiled
def _ends(row: Mask) -> tuple[int, int]:
    """The first true voxel of a row and the one after the last; twice the same where none is."""
    low, high = 0, row.size
    while low < high and not row[low]:
        low += 1
    while high > low and not row[high - 1]:
        high -= 1
    return low, high


@compiled
def _squares_along_y(plane: Mask, y: int, squares: Grey, out: Grey) -> None:
    """Squared distance along y from the pixels of a row to the nearest false one."""
    end = len(plane) - 1
    out[:] = np.inf
    for far in range(squares.size - 1, -1, -2):
        near = max(0, far - 1)
        above, below = plane[max(0, y - far)], plane[min(end, y + far)]
        over, under = plane[max(0, y - near)], plane[min(end, y + near)]
        large, small = squares[far], squares[near]
        for x in range(out.size):
            value = out[x] if above[x] & below[x] else large
            out[x] = value if over[x] & under[x] else small


@compiled
def _least_along_x(wide: Grey, squares: Grey, least: Grey) -> None:
    """The least of a row and its neighbours; the row lies in the middle of `wide`."""
    aside, columns = squares.size - 1, least.size
    least[:] = wide[aside : aside + columns]
    for near in range(1, aside + 1, 2):
        far = min(near + 1, aside)
        _lower(
            least,
            wide[aside - near :],
            wide[aside + near :],
            squares[near],
            wide[aside - far :],
            wide[aside + far :],
            squares[far],
        )


@compiled
def _lower(  # noqa: PLR0917  compiled
    least: Grey,
    left: Grey,
    right: Grey,
    more: np.float32,
    before: Grey,
    after: Grey,
    most: np.float32,
) -> None:
    """The least of a row and of two pairs of others, with a square added to each pair."""
    for x in range(least.size):
        near = (left[x] if left[x] < right[x] else right[x]) + more
        far = (before[x] if before[x] < after[x] else after[x]) + most
        value = near if near < far else far
        least[x] = value if value < least[x] else least[x]


@compiled
def _count_row(values: Grey, bounds: Grey, counts: NDArray[np.uint8]) -> None:
    """How many of the bounds each value reaches, added to counts."""
    for bound in bounds:
        for x in range(values.size):
            counts[x] += np.uint8(values[x] >= bound)
