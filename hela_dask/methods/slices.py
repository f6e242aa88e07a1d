"""Helpers for the slices of a region: empty slices, order of slices, number of slices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.types import Mask

__all__ = [
    "disc_around",
    "is_blank",
    "largest_odd",
    "nearest_filled_slice",
    "outwards",
    "window_memory",
]

_FILTERED = 40  # slices that are filtered for membranes at a time


def is_blank(plane: NDArray[Any]) -> bool:
    """Whether a slice is empty: a lost one, filled with one value."""
    return bool(plane.min() == plane.max())


def nearest_filled_slice(image: NDArray[Any], start: int) -> int:
    """The slice nearest to `start` that is not empty; `start` if all are empty."""
    order = sorted(range(len(image)), key=lambda z: abs(z - start))
    return next((z for z in order if not is_blank(image[z])), start)


def outwards(start: int, direction: int, length: int) -> Iterator[int]:
    """Slices from the one next to `start` to the end of the region."""
    return iter(range(start + 1, length) if direction > 0 else range(start - 1, -1, -1))


def largest_odd(number: float) -> int:
    """The largest odd whole number up to this one, at least 1."""
    return 2 * max(0, int((number - 1) // 2)) + 1


def disc_around(
    shape: tuple[int, ...], spot: tuple[int, int], radius: float, pixel: tuple[float, ...]
) -> Mask:
    """True within `radius` (nm) of a spot of a plane."""
    disc = np.zeros(shape, dtype=bool)
    if not radius >= 0:
        return disc
    room = [int(radius / size) + 1 for size in pixel]
    box = Box.at(spot, (1, 1)).grow(room).clip(shape)
    rows, columns = np.ogrid[tuple(box)]
    away = np.hypot((rows - spot[0]) * pixel[0], (columns - spot[1]) * pixel[1])
    disc[box] = away <= radius
    return disc


def window_memory(shape: tuple[int, int, int], per_voxel: int, per_filtered: int = 0) -> int:
    """Bytes of a window, and of those of its slices that are filtered at a time."""
    depth, height, width = shape
    return height * width * (depth * per_voxel + min(depth, _FILTERED) * per_filtered)
