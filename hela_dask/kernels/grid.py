"""A slice on coarse squares, where noise is averaged away and smears and grey levels are found."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["coarsen", "factors_for", "grid_factors", "refine"]

# Squares of about this size: wider than a membrane, narrower than what is looked for on them.
_SQUARE = 80.0


def factors_for(pixel: tuple[float, ...], resolution: float) -> tuple[int, int]:
    """Pixels (y, x) that make one of `resolution` nm, or of the size just below it."""
    y, x = (max(1, int(resolution / size + 1e-6)) for size in pixel)
    return y, x


def grid_factors(pixel: tuple[float, float]) -> tuple[int, int]:
    """Pixels in a square of the grid, in y and in x, for a pixel size in nm."""
    return factors_for(pixel, _SQUARE)


def coarsen(image: NDArray[Any], factors: tuple[int, int]) -> NDArray[np.float32]:
    """Means over squares of pixels; the last row and column are repeated to fill squares."""
    missing = [(0, -length % by) for length, by in zip(image.shape, factors, strict=True)]
    if any(after for _, after in missing):
        image = np.pad(image, missing, mode="edge")
    rows, columns = (length // by for length, by in zip(image.shape, factors, strict=True))
    squares = image.reshape(rows, factors[0], columns, factors[1])
    mean: NDArray[np.float32] = squares.mean(axis=(1, 3), dtype=np.float32)
    return mean


def refine(squares: NDArray[Any], factors: tuple[int, int], shape: tuple[int, ...]) -> NDArray[Any]:
    """The squares' values at the pixels of a slice of this shape."""
    fine = squares.repeat(factors[0], axis=0).repeat(factors[1], axis=1)
    return fine[: shape[0], : shape[1]]
