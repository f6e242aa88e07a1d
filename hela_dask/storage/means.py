"""One pixel of four as compiled loops, their mean or the first: the main cost of a pyramid."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.compiled import compiled

__all__ = ["quarter_first", "quarter_mean"]


def quarter_first(
    block: NDArray[Any], out: NDArray[Any] | None = None, corner: tuple[int, ...] = (0, 0)
) -> NDArray[Any]:
    """The first of each 2 x 2 pixels of the planes of `block` (z, y, x).

    For whole numbers and booleans, in this machine's order of bytes. Shape
    (z, ceil(y / 2), ceil(x / 2)), of the same type. Where `out` (z, y, x), of this type, is given,
    they are written into it, from row and column `corner` on, and all of it is returned.
    """
    deep, high, wide = block.shape
    shape = deep, -(-high // 2), -(-wide // 2)
    if out is None:
        out = np.empty(shape, block.dtype)
    part = out[:, corner[0] : corner[0] + shape[1], corner[1] : corner[1] + shape[2]]
    if part.shape != shape or out.dtype != block.dtype:
        raise ValueError(f"{shape} {block.dtype} at {corner} do not fit {out.shape} {out.dtype}")
    if block.size:
        _first(np.ascontiguousarray(block), out, *corner)
    return out


@compiled
def _first(block: NDArray[Any], out: NDArray[Any], top: int, left: int) -> None:
    deep, high, wide = block.shape
    for z in range(deep):
        for y in range((high + 1) // 2):
            row, line = block[z, 2 * y], out[z, top + y][left:]
            for x in range((wide + 1) // 2):
                line[x] = row[2 * x]


def quarter_mean(block: NDArray[Any]) -> NDArray[Any]:
    """Mean of each 2 x 2 pixels of the planes of `block` (z, y, x), rounded, halves to even.

    For whole numbers of at most 16 bits. An odd last row or column stands for two. Shape (z,
    ceil(y / 2), ceil(x / 2)), of the same type.
    """
    deep, high, wide = block.shape
    out = np.empty((deep, -(-high // 2), -(-wide // 2)), block.dtype)
    if out.size:
        _mean(np.ascontiguousarray(block), out)
    return out


@compiled
def _mean(block: NDArray[Any], out: NDArray[Any]) -> None:
    deep, high, wide = block.shape
    one, two = np.int32(1), np.int32(2)
    for z in range(deep):
        for y in range(out.shape[1]):
            top = block[z, 2 * y]
            low = block[z, min(2 * y + 1, high - 1)]
            for x in range(wide // 2):
                total = np.int32(top[2 * x]) + np.int32(top[2 * x + 1])
                total += np.int32(low[2 * x]) + np.int32(low[2 * x + 1])
                out[z, y, x] = (total + one + ((total >> two) & one)) >> two
            if wide % 2:
                total = two * (np.int32(top[wide - 1]) + np.int32(low[wide - 1]))
                out[z, y, wide // 2] = (total + one + ((total >> two) & one)) >> two
