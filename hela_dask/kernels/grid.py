"""Block means of slices and their expansion: for less noise and less computing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.compiled import compiled
from hela_dask.types import Floats, Grey, Mask

__all__ = ["block_mean", "block_shares", "factors_for", "grid_factors", "mark_label", "refine"]


# Squares of about this size: wider than a membrane, narrower than the structures searched on them.
_SQUARE = 80.0


def factors_for(pixel: tuple[float, ...], resolution: float) -> tuple[int, int]:
    """Pixels (y, x) that make one of `resolution` nm, or of the size just below it."""
    y, x = (max(1, int(resolution / size + 1e-6)) for size in pixel)
    return y, x


def grid_factors(pixel: tuple[float, float]) -> tuple[int, int]:
    """Pixels in a square of the grid, in y and in x, for a pixel size in nm."""
    return factors_for(pixel, _SQUARE)


def block_mean(image: NDArray[Any], factors: tuple[int, int]) -> Grey:
    """Means of a plane over blocks of pixels; the last ones over the remaining pixels."""
    shape = tuple(-(-length // by) for length, by in zip(image.shape, factors, strict=True))
    means = np.empty(shape, dtype=np.float32)
    _block_means(_as_numbers(image), *factors, means)
    return means


def block_shares(free: Mask, resin: Mask, factors: tuple[int, int]) -> tuple[Grey, Grey]:
    """The part of each block of pixels that is neither free nor resin, and that without resin.

    They are :func:`block_mean` of these masks, of each slice, without the masks.

    Parameters
    ----------
    free, resin
        (z, y, x).
    factors
        Pixels in a block, in y and in x.
    """
    blocks = [-(-length // by) for length, by in zip(free.shape[1:], factors, strict=True)]
    dense, tissue = (np.empty((len(free), *blocks), dtype=np.float32) for _ in range(2))
    _block_shares(_as_numbers(free), _as_numbers(resin), factors, dense, tissue)
    return dense, tissue


def _as_numbers(image: NDArray[Any]) -> NDArray[Any]:
    """The same pixels; the compiler vectorises sums of bytes, not of booleans."""
    image = np.ascontiguousarray(image)
    return image.view(np.uint8) if image.dtype == np.bool_ else image


def refine(squares: NDArray[Any], factors: tuple[int, int], shape: tuple[int, ...]) -> NDArray[Any]:
    """Expand the blocks of :func:`block_mean` to the pixels of a slice of this shape."""
    if factors == (1, 1):
        return squares
    fine = squares.repeat(factors[0], axis=0).repeat(factors[1], axis=1)
    return fine[: shape[0], : shape[1]]


@compiled
def mark_label(labels: NDArray[Any], label: Any, shares: Grey) -> None:
    """Set the voxels of a label to 1 in an array of zeros, of the same shape (z, y, x)."""
    for z in range(labels.shape[0]):
        for y in range(labels.shape[1]):
            row, share = labels[z, y], shares[z, y]
            count = np.uint32(0)
            for x in range(len(row)):
                count += np.uint32(row[x] == label)
            if count:  # memory that is not written to is not taken
                for x in range(len(row)):
                    share[x] = np.float32(row[x] == label)


@compiled
def _block_means(image: NDArray[Any], height: int, width: int, means: Grey) -> None:
    rows, columns = image.shape
    sums, totals = np.empty(columns, np.float64), np.empty(means.shape[1], np.float64)
    for block in range(len(means)):
        first, last = block * height, min((block + 1) * height, rows)
        sums[:] = 0.0
        for y in range(first, last):
            row = image[y]
            for x in range(columns):
                sums[x] += row[x]
        _add_blocks(sums, width, totals)
        _divide_blocks(totals, last - first, columns, width, means[block])


@compiled
def _block_shares(
    free: NDArray[np.uint8],
    resin: NDArray[np.uint8],
    factors: tuple[int, int],
    part: Grey,
    whole: Grey,
) -> None:
    depth, rows, columns = free.shape
    one = np.uint8(1)
    tissue, dense = np.empty(columns, np.uint16), np.empty(columns, np.uint16)
    totals = np.empty(part.shape[2], np.float64)
    for z in range(depth):
        for block in range(part.shape[1]):
            first, last = block * factors[0], min((block + 1) * factors[0], rows)
            tissue[:] = 0
            dense[:] = 0
            for y in range(first, last):
                bright, clear = resin[z, y], free[z, y]
                for x in range(columns):
                    here = one - bright[x]
                    tissue[x] += np.uint16(here)
                    dense[x] += np.uint16(here & (one - clear[x]))
            _add_blocks(dense, factors[1], totals)
            _divide_blocks(totals, last - first, columns, factors[1], part[z, block])
            _add_blocks(tissue, factors[1], totals)
            _divide_blocks(totals, last - first, columns, factors[1], whole[z, block])


# The loops run over whole blocks, the last one aside: so the compiler vectorises them.
@compiled
def _add_blocks(values: NDArray[Any], width: int, totals: Floats) -> None:
    """Add up the blocks of a row, from their first to their last pixel."""
    whole = values.size // width
    totals[:] = 0.0
    for first in range(width):
        for at in range(whole):
            totals[at] += values[at * width + first]
    for x in range(whole * width, values.size):
        totals[whole] += values[x]


@compiled
def _divide_blocks(totals: Floats, height: int, columns: int, width: int, means: Grey) -> None:
    """Divide sums over blocks of some rows by their numbers of pixels."""
    whole, size = columns // width, np.float64(height * width)
    for at in range(whole):
        means[at] = np.divide(totals[at], size)
    if whole < means.size:
        means[whole] = totals[whole] / (height * (columns - whole * width))
