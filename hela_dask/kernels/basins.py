"""Basins of a height in a plane: one for each summit that stands high enough above its saddles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.compiled import compiled
from hela_dask.types import Grey, Labels

__all__ = ["prominent_basins"]


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
    height = np.ascontiguousarray(height, dtype=np.float32)
    places = np.flatnonzero(height > 0)
    order = places[np.argsort(-height.ravel()[places], kind="stable")]
    return _flood(height, order, np.float32(saddle))


@compiled
def _flood(height: Grey, order: NDArray[np.int64], saddle: np.float32) -> Labels:
    """`order`: pixels from the highest to the lowest."""
    rows, columns = height.shape
    flat = height.ravel()
    parent = np.full(flat.size, -1, np.int64)
    near = np.empty(8, np.int64)
    for here in order:
        y, x = here // columns, here % columns
        count, best = 0, -1
        for row in range(max(0, y - 1), min(rows, y + 2)):
            for column in range(max(0, x - 1), min(columns, x + 2)):
                there = row * columns + column
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
    for here in order:
        found[here] = found[_find_root(parent, here)]
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
