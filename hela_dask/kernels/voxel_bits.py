"""The voxels of one object as bits: eight along x in a byte.

Where most of a box is inside or outside of an object, a loop over bytes looks at eight voxels at a
time, and a box of a thousand million voxels takes 120 MiB.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.compiled import compiled
from hela_dask.types import Labels, Shape

__all__ = ["Bits", "count_blocks", "empty_bits", "mark_voxels"]

Bits = NDArray[np.uint8]
"""(z, y, bytes): bit `k` of byte `n` is the voxel `8 n + k` along x; the last bit is 0."""


def empty_bits(shape: Shape) -> Bits:
    """No voxel of a box."""
    return np.zeros((*shape[:2], shape[2] // 8 + 1), np.uint8)


def mark_voxels(bits: Bits, labels: Labels, label: int, corner: Shape) -> None:
    """Set the bits of the voxels with a label.

    `corner` (z, y, x) is the first voxel of `labels`, counted from that of `bits`.
    """
    z, y, x = corner
    depth, rows, _ = labels.shape
    _mark(bits[z : z + depth, y : y + rows], labels, labels.dtype.type(label), x)


@compiled
def _mark(bits: Bits, labels: Labels, label: Any, x0: int) -> None:
    depth, rows, columns = labels.shape
    for z in range(depth):
        for y in range(rows):
            for x in range(columns):
                if labels[z, y, x] == label:
                    bits[z, y, (x0 + x) >> 3] |= np.uint8(1 << ((x0 + x) & 7))


def count_blocks(bits: Bits, sides: Shape, corner: Shape, shape: Shape) -> NDArray[np.uint32]:
    """The voxels that are set in each block of an array of `shape` blocks.

    `sides` are the voxels of a block, and `corner` is the first voxel of `bits` in the first block.
    """
    counts = np.zeros(shape, np.uint32)
    _count(bits, *sides, *corner, counts)
    return counts


@compiled
def _count(  # noqa: PLR0917 numbers of three axes
    bits: Bits,
    deep: int,
    high: int,
    wide: int,
    z0: int,
    y0: int,
    x0: int,
    counts: NDArray[np.uint32],
) -> None:
    depth, rows, size = bits.shape
    for z in range(depth):
        for y in range(rows):
            line = counts[(z + z0) // deep, (y + y0) // high]
            for n in range(size):
                byte = bits[z, y, n]
                if byte == 0:
                    continue
                for k in range(8):
                    if (byte >> k) & 1:
                        line[(8 * n + k + x0) // wide] += 1
