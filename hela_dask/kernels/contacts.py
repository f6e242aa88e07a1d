"""Contacts of cells in a slice: how long they are, and how surely a boundary lies there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["measure_contacts"]

_REACH = 120.0  # nm: a boundary this near to the line between two labels is theirs
_CODE = 2**16  # more than the largest label


def measure_contacts(
    cells: NDArray[np.integer], boundary: NDArray[np.uint8], pixel: tuple[float, float]
) -> dict[tuple[int, int], NDArray[np.float64]]:
    """Measure the contacts between the cells of one slice.

    A contact is a pair of adjacent pixels of two cells. The probability of a boundary there is the
    highest on the line across it, within 120 nm.

    Parameters
    ----------
    cells
        (y, x), labels of the cells; 0 where there is none.
    boundary
        (y, x), probability of a boundary between cells; 255 is 1.
    pixel
        Pixel size (y, x) in nm.

    Returns
    -------
    dict of pair of labels to ndarray of float64, (2,)
        The lower label first. Length of the contact in nm, and the same times the probability of a
        boundary.
    """
    found: dict[tuple[int, int], NDArray[np.float64]] = {}
    for axis, length in ((0, pixel[1]), (1, pixel[0])):
        low, high = _sides(cells, axis)
        differ = (low != high) & (low > 0) & (high > 0)
        if not differ.any():
            continue
        reach = round(_REACH / pixel[axis])
        across = [place[:, None] for place in np.nonzero(differ)]
        across[axis] = across[axis] + np.arange(-reach, reach + 2)  # of both pixels
        np.clip(across[axis], 0, cells.shape[axis] - 1, out=across[axis])
        chance = boundary[tuple(across)].max(axis=1) / 255
        pair = np.sort(np.stack([low[differ], high[differ]]).astype(np.int64), axis=0)
        codes, where = np.unique(pair[0] * _CODE + pair[1], return_inverse=True)
        sums = [np.bincount(where, weights) for weights in (None, chance)]
        for code, *values in zip(codes.tolist(), *sums, strict=True):
            key = divmod(code, _CODE)
            found[key] = found.get(key, np.zeros(2)) + np.array(values) * length
    return found


def _sides(plane: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """The two pixels of each adjacent pair along an axis."""
    return (plane[:-1], plane[1:]) if axis == 0 else (plane[:, :-1], plane[:, 1:])
