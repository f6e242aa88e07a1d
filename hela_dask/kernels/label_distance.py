"""The surface of labels: the sides between voxels of an object and others; distances from it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.compiled import compiled
from hela_dask.kernels.voxel_bits import Bits
from hela_dask.types import Floats, Mask, Voxel

__all__ = ["farthest_from_labels", "side_centres"]


class _Search(NamedTuple):
    """The voxels around that of a point, from near to far."""

    size: Floats  # of a voxel, nm
    steps: NDArray[np.int64]  # (n, 3)
    least: Floats  # least distance of a point from the voxel at each step, nm
    reach: float  # nm


def side_centres(bits: Bits, first: int, last: int, voxel: Voxel) -> Floats:
    """The centres of the sides between voxels that are set and others, (n, 3), as z, y, x in nm.

    Places are from the lowest corner of the array; outside of it no voxel is set. Of the sides
    across z, those above the slices `first` to `last` (not included), of the others those in them.
    """
    return _side_centres(bits, first, last, np.asarray(voxel, dtype=np.float64))


def farthest_from_labels(
    points: Floats, bits: Bits, voxel: Voxel, limit: float, worst: float, reach: float
) -> tuple[float, Mask]:
    """The largest distance of points from the sides between voxels that are set and others.

    Parameters
    ----------
    points : ndarray of float64, (n, 3)
        z, y, x in nm, from the lowest corner of the array.
    bits : ndarray of uint8
        Voxels of :mod:`hela_dask.kernels.voxel_bits`; outside of it none is set.
    voxel
        Size of a voxel, nm.
    limit
        nm.
    worst
        A distance (nm) that is known already: a smaller one is not looked for.
    reach
        Distances up to this (nm) are exact; farther points get infinity.

    Returns
    -------
    largest : float
        nm; at least `worst`.
    beyond : ndarray of bool, (n,)
        The points beyond the limit.
    """
    size = np.asarray(voxel, dtype=np.float64)
    sides = [np.arange(-width, width + 1) for width in np.ceil(reach / size).astype(int)]
    steps = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 3)
    # The least distance of a place in the middle voxel from the voxel at each step.
    least = np.linalg.norm(np.maximum(np.abs(steps) - 1, 0) * size, axis=1)
    order = np.lexsort((np.linalg.norm(steps * size, axis=1), least))
    beyond = np.zeros(len(points), dtype=bool)
    search = _Search(size, steps[order], least[order], reach)
    largest = _farthest(points, bits, search, limit, worst, beyond)
    return largest, beyond


@compiled
def _inside(bits: Bits, z: int, y: int, x: int) -> bool:
    depth, rows, size = bits.shape
    if z < 0 or y < 0 or x < 0 or z >= depth or y >= rows or x >= 8 * size:
        return False
    return bool((bits[z, y, x >> 3] >> (x & 7)) & 1)


@compiled
def _byte(bits: Bits, z: int, y: int, n: int) -> int:
    depth, rows, size = bits.shape
    if z < 0 or y < 0 or z >= depth or y >= rows or n >= size:
        return 0
    return int(bits[z, y, n])


@compiled
def _add(found: Floats, at: int, z: float, y: float, x: float) -> int:
    """Write a place where there is room; the number of places up to it."""
    if at < len(found):
        found[at, 0], found[at, 1], found[at, 2] = z, y, x
    return at + 1


@compiled
def _side_centres(bits: Bits, first: int, last: int, size: Floats) -> Floats:
    """Two passes: the sides are counted, then written."""
    _, rows, width = bits.shape
    found = np.empty((0, 3))
    for _ in range(2):
        at = 0
        for z in range(first, last):
            for y in range(-1, rows):
                for n in range(width):
                    here = _byte(bits, z, y, n)
                    above = here ^ _byte(bits, z + 1, y, n)
                    below = here ^ _byte(bits, z, y + 1, n)
                    after = here ^ ((here >> 1) | ((_byte(bits, z, y, n + 1) & 1) << 7))
                    if n == 0 and here & 1:
                        at = _add(found, at, z + 0.5, y + 0.5, 0.0)
                    if not (above | below | after):
                        continue
                    for k in range(8):
                        x = 8.0 * n + k
                        if (above >> k) & 1:
                            at = _add(found, at, z + 1.0, y + 0.5, x + 0.5)
                        if (below >> k) & 1:
                            at = _add(found, at, z + 0.5, y + 1.0, x + 0.5)
                        if (after >> k) & 1:
                            at = _add(found, at, z + 0.5, y + 0.5, x + 1.0)
        if not len(found):
            found = np.empty((at, 3))
    return found * size


@compiled
def _squared(p: Floats, z: float, y: float, x: float, size: Floats, axis: int) -> float:
    """The squared distance of a point from the upper side of a voxel across an axis."""
    total = 0.0
    for other, low in enumerate((z, y, x)):
        start = (low + 1) * size[other] if other == axis else low * size[other]
        away = max(start - p[other], p[other] - (low + 1) * size[other], 0.0)
        total += away * away
    return total


@compiled
def _farthest(
    points: Floats,
    bits: Bits,
    search: _Search,
    limit: float,
    worst: float,
    beyond: Mask,
) -> float:
    """Of each point, the sides of voxels around it, from near to far."""
    size, steps, least, reach = search
    for row in range(len(points)):
        p = points[row]
        at = np.floor(p / size)
        best = np.inf
        enough = min(worst, limit) ** 2
        for step in range(len(steps)):
            if best <= enough or least[step] ** 2 >= best:
                break
            z = int(at[0]) + steps[step, 0]
            y = int(at[1]) + steps[step, 1]
            x = int(at[2]) + steps[step, 2]
            here = _inside(bits, z, y, x)
            if here != _inside(bits, z + 1, y, x):
                best = min(best, _squared(p, z, y, x, size, 0))
            if here != _inside(bits, z, y + 1, x):
                best = min(best, _squared(p, z, y, x, size, 1))
            if here != _inside(bits, z, y, x + 1):
                best = min(best, _squared(p, z, y, x, size, 2))
        found = np.sqrt(best) if best <= reach * reach else np.inf
        beyond[row] = found > limit
        worst = max(worst, found)
    return worst
