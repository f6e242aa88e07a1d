"""Basins of a height in a plane: one for each summit that stands high enough above its saddles.

The height is the distance to the resin, on a grid of every so many pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.compiled import compiled
from hela_dask.types import Grey, Labels, Mask

__all__ = ["prominent_basins", "spread_basins"]


def prominent_basins(height: Grey, saddle: float) -> Labels:
    """Split a plane into basins where the path between two maxima leads through a deep saddle.

    The plane is flooded from the highest pixel down. A pixel joins the basin of its highest
    neighbour of eight; two basins that meet become one, unless both have a summit at least
    `saddle` over the pixel where they meet. So a basin's summit is an h-maximum, and the basins
    are those of the watershed from all h-maxima (Soille, Morphological Image Analysis, 2003,
    chapters 6.3.5 and 9.2), in one pass.

    Parameters
    ----------
    height
        (y, x); only where it is over 0 are there basins.
    saddle
        Least depth of a saddle, in the unit of the height.

    Returns
    -------
    ndarray of int32, (y, x)
        0 where there is no height; basins are numbered from 1, the one with the highest summit
        first.
    """
    framed = np.pad(np.asarray(height, dtype=np.float32), 1)
    found = _flood(framed, _descending(framed), np.float32(saddle))
    return np.ascontiguousarray(found[1:-1, 1:-1])


def _descending(height: Grey) -> NDArray[np.int64]:
    """Pixels over 0 from the highest to the lowest; equal ones in their order.

    The bits of positive numbers have the numbers' order, and numpy sorts those of 16 bits fastest.
    """
    places = np.flatnonzero(height > 0)
    keys = ~height.ravel()[places].view(np.uint32)
    order = np.argsort((keys & np.uint32(0xFFFF)).astype(np.uint16), kind="stable")
    high = (keys >> np.uint32(16)).astype(np.uint16)[order]
    found: NDArray[np.int64] = places[order[np.argsort(high, kind="stable")]]
    return found


@compiled
def _flood(height: Grey, order: NDArray[np.int64], saddle: np.float32) -> Labels:
    """`order`: pixels from the highest to the lowest. The outermost have no height."""
    columns, flat = height.shape[1], height.ravel()
    parent = np.full(flat.size, -1, np.int64)
    around = np.array(
        [-columns - 1, -columns, -columns + 1, -1, 1, columns - 1, columns, columns + 1]
    )
    near = np.empty(8, np.int64)
    for here in order:
        count, best = 0, -1
        for step in around:
            there = here + step
            if parent[there] >= 0:
                near[count] = there
                count += 1
                if best < 0 or flat[there] > flat[best]:
                    best = there
        if best < 0:
            parent[here] = here
            continue
        own = _find_root(parent, best)
        parent[here] = own
        for number in range(count):
            if parent[near[number]] == own:
                continue
            other = _find_root(parent, near[number])
            if other == own:
                continue
            high, low = (own, other) if flat[other] <= flat[own] else (other, own)
            if flat[low] - flat[here] < saddle:
                parent[low] = high
                own = high
    found = np.zeros(flat.size, np.int32)
    basins = 0
    for here in order:
        summit = _find_root(parent, here)
        if summit == here:
            basins += 1
            found[here] = basins
    for here in order:  # of equal ones, a later pixel may be the summit
        found[here] = found[parent[here]]
    return found.reshape(height.shape)


@compiled
def _find_root(parent: NDArray[np.int64], here: int) -> int:
    """The highest pixel of a pixel's basin; the path is shortened (union-find)."""
    summit = here
    while parent[summit] != summit:
        summit = parent[summit]
    while parent[here] != summit:
        parent[here], here = summit, parent[here]
    return summit


def spread_basins(
    basins: Labels, tissue: Mask, pixel: tuple[float, float], step: tuple[int, int]
) -> Labels:
    """Basins of a grid on the pixels of the tissue.

    Tissue too thin to be on the grid belongs to the nearest basin, of those as near to the first.

    Parameters
    ----------
    basins
        (rows, columns), one of them not 0, on a grid as of
        :func:`~hela_dask.kernels.distance.depth_on_grid`.
    tissue
        (y, x).
    pixel, step
        As of that function.

    Returns
    -------
    ndarray of int32, (y, x)
        0 outside the tissue.
    """
    sizes = float(pixel[0] * step[0]), float(pixel[1] * step[1])
    return _spread(basins, np.ascontiguousarray(tissue), sizes, (int(step[0]), int(step[1])))


@compiled
def _spread(
    basins: Labels, tissue: Mask, sizes: tuple[float, float], step: tuple[int, int]
) -> Labels:
    rows, columns = basins.shape
    found = np.zeros(tissue.shape, np.int32)
    known = basins.copy()
    point = np.empty(tissue.shape[1], np.int64)  # of the grid, for each column
    for x in range(point.size):
        point[x] = min(x // step[1], columns - 1)
    for y in range(tissue.shape[0]):
        row = min(y // step[0], rows - 1)
        for x in range(point.size):
            if tissue[y, x]:
                column = point[x]
                if known[row, column] == 0:
                    known[row, column] = _nearest_basin(basins, row, column, sizes)
                found[y, x] = known[row, column]
    return found


@compiled
def _nearest_basin(basins: Labels, row: int, column: int, sizes: tuple[float, float]) -> int:
    """The basin nearest to a point of the grid, looked for in ever larger squares."""
    rows, columns = basins.shape
    least, best, reach = np.inf, 0, 0
    while (reach * min(sizes)) ** 2 <= least and reach < max(rows, columns):
        reach += 1
        for j in range(max(0, row - reach), min(rows, row + reach + 1)):
            # All of the square's first and last row; of others, both ends.
            by = 1 if abs(j - row) == reach else 2 * reach
            for i in range(column - reach, column + reach + 1, by):
                if 0 <= i < columns and basins[j, i]:
                    away = ((j - row) * sizes[0]) ** 2 + ((i - column) * sizes[1]) ** 2
                    if away < least or (away == least and basins[j, i] < best):
                        least, best = away, basins[j, i]
    return best
