"""A watershed from markers, restricted to the open pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.compiled import compiled

__all__ = ["INSIDE", "OPEN", "OUTSIDE", "flood"]

OPEN, INSIDE, OUTSIDE = 0, 1, 2
"""Markers: to be flooded, and the two sides."""

_LEVELS = 1024


def flood(height: NDArray[np.float32], markers: NDArray[np.int8]) -> None:
    """Assign each open pixel to the marker that reaches it first, in place: a watershed of a band.

    Pixels are 4-connected and flooded from the lowest of 1024 steps of height up, of one step in
    the order in which they were reached. Pixels that no marker reaches are outside.

    Parameters
    ----------
    height
        (y, x), high on the line where the two sides are to meet.
    markers
        (y, x) of :data:`OPEN`, :data:`INSIDE` and :data:`OUTSIDE`.
    """
    band = markers == OPEN
    if not band.any():
        return
    values = height[band]
    low, high = float(values.min()), float(values.max())
    scale = (_LEVELS - 1) / (high - low) if high > low else 0.0
    steps = np.zeros(height.shape, np.int16)
    steps[band] = (values - np.float32(low)) * np.float32(scale)
    _flood(steps, markers)
    markers[markers == OPEN] = OUTSIDE


@compiled
def _flood(steps: NDArray[np.int16], markers: NDArray[np.int8]) -> None:
    rows, columns = markers.shape
    first = np.full(_LEVELS, -1, np.int64)
    last = np.full(_LEVELS, -1, np.int64)
    following = np.full(rows * columns, -1, np.int64)
    waiting = 0
    for y in range(rows):
        for x in range(columns):
            if markers[y, x] == OPEN:
                continue
            edge = (
                (y > 0 and markers[y - 1, x] == OPEN)
                or (y + 1 < rows and markers[y + 1, x] == OPEN)
                or (x > 0 and markers[y, x - 1] == OPEN)
                or (x + 1 < columns and markers[y, x + 1] == OPEN)
            )
            if edge:
                here = y * columns + x
                if first[0] < 0:
                    first[0] = here
                else:
                    following[last[0]] = here
                last[0] = here
                waiting += 1
    level = 0
    while waiting > 0:
        while first[level] < 0:
            level += 1
        here = first[level]
        first[level] = following[here]
        following[here] = -1
        waiting -= 1
        y, x = here // columns, here % columns
        for side in range(4):
            j = y + (side == 0) - (side == 1)
            i = x + (side == 2) - (side == 3)
            if j < 0 or i < 0 or j >= rows or i >= columns or markers[j, i] != OPEN:
                continue
            markers[j, i] = markers[y, x]
            there = j * columns + i
            step = max(level, steps[j, i])
            if first[step] < 0:
                first[step] = there
            else:
                following[last[step]] = there
            last[step] = there
            waiting += 1
