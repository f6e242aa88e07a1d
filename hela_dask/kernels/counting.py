"""Counts of labels and of pairs of labels, in one pass along their runs (as numpy.bincount)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.compiled import compiled

__all__ = ["count_labels", "count_pairs"]

_RUN = 64  # voxels that are compared at once


@compiled
def _is_all(line: NDArray[Any], value: int) -> bool:
    """Whether voxels are all of one value: without a way out, so that many are compared at once."""
    equal = True
    for x in range(line.size):
        equal &= line[x] == value
    return equal


@compiled
def count_labels(labels: NDArray[Any], found: NDArray[np.int64]) -> None:
    """Add up the labels of a block (z, y, x), in place; 0 is none.

    Parameters
    ----------
    labels
        (z, y, x) whole numbers.
    found
        One row per label: voxels, and first and last + 1 of its slices, rows and columns. Begins
        with 0 voxels, firsts larger and lasts smaller than any.
    """
    depth, height, width = labels.shape
    for z in range(depth):
        for y in range(height):
            line, x = labels[z, y], 0
            while x < width:
                label = line[x]
                start = x
                while x + _RUN <= width and _is_all(line[x : x + _RUN], label):
                    x += _RUN
                while x < width and line[x] == label:
                    x += 1
                if label == 0:
                    continue
                row = found[label]
                row[0] += x - start
                row[1], row[2] = min(row[1], z), max(row[2], z + 1)
                row[3], row[4] = min(row[3], y), max(row[4], y + 1)
                row[5], row[6] = min(row[5], start), max(row[6], x)


@compiled
def count_pairs(one: NDArray[Any], other: NDArray[Any], found: NDArray[np.int64]) -> None:
    """Add up the pairs of labels of two lines of voxels, in place.

    Parameters
    ----------
    one, other
        (n,) whole numbers of 0 or more.
    found
        (largest of one + 1, largest of other + 1) voxels of each pair.
    """
    at, size = 0, len(one)
    while at < size:
        label, start = one[at], at
        beside = other[at]
        while at < size and one[at] == label and other[at] == beside:
            at += 1
        found[int(label), int(beside)] += at - start
