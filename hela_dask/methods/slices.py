"""Small questions about the slices of a region: which show something, in what order, how many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.grid import factors_for

__all__ = [
    "blank",
    "coarser",
    "coarser_by",
    "disc_around",
    "finer",
    "nearest_shown",
    "odd",
    "outwards",
]

Mask = NDArray[np.bool_]


def blank(plane: NDArray[Any]) -> bool:
    """Whether a slice shows nothing: a lost one that was filled with one value."""
    return bool(plane.min() == plane.max())


def nearest_shown(image: NDArray[Any], start: int) -> int:
    """The slice nearest to `start` that shows something; `start` where none does."""
    order = sorted(range(len(image)), key=lambda z: abs(z - start))
    return next((z for z in order if not blank(image[z])), start)


def outwards(start: int, direction: int, length: int) -> Iterator[int]:
    """Slices from the one next to `start` to the end of the region."""
    return iter(range(start + 1, length) if direction > 0 else range(start - 1, -1, -1))


def odd(number: float) -> int:
    """The largest odd whole number up to this one, at least 1."""
    return 2 * max(0, int((number - 1) // 2)) + 1


def disc_around(
    shape: tuple[int, ...], spot: tuple[int, int], radius: float, pixel: tuple[float, ...]
) -> Mask:
    """True within `radius` (nm) of a spot of a plane."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    away = np.hypot((rows - spot[0]) * pixel[0], (columns - spot[1]) * pixel[1])
    inside: Mask = away <= radius
    return inside


def coarser_by(
    voxel: tuple[float, float, float], resolution: float
) -> tuple[tuple[int, int], tuple[float, float, float]]:
    """How many pixels (y, x) make one of about `resolution` nm, and the voxel size then."""
    y, x = factors_for(voxel[1:], resolution)
    return (y, x), (voxel[0], voxel[1] * y, voxel[2] * x)


def coarser(image: NDArray[Any], factors: tuple[int, int]) -> NDArray[Any]:
    """Means over blocks of pixels; what does not fill a block is left out."""
    if factors == (1, 1):
        return image
    (y, x), (height, width) = factors, image.shape[1:]
    result = np.empty((len(image), height // y, width // x), dtype=np.float32)
    for plane, out in zip(image, result, strict=True):
        whole = plane[: height // y * y, : width // x * x]
        blocks = whole.reshape(height // y, y, width // x, x)
        out[:] = blocks.mean(axis=(1, 3), dtype=np.float32)
    return result


def finer(plane: NDArray[Any], factors: tuple[int, int], shape: tuple[int, ...]) -> NDArray[Any]:
    """A plane of :func:`coarser` on the fine pixels again, its last ones repeated."""
    rows, columns = (
        np.minimum(np.arange(length) // n, short - 1)
        for length, n, short in zip(shape, factors, plane.shape, strict=True)
    )
    fine: NDArray[Any] = plane[np.ix_(rows, columns)]
    return fine
