"""A watershed from markers, restricted to the open pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.compiled import compiled

__all__ = ["INSIDE", "OPEN", "OUTSIDE", "flood"]

OPEN, INSIDE, OUTSIDE = 0, 1, 2
"""Markers: to be flooded, and the two sides."""

_FRAME = 3  # around the markers, so that each has all neighbours
_LEVELS = 1024  # steps of a height that is not in whole numbers up to 255
_RUN = 64  # pixels that are passed over at once where nothing near is open


def flood(height: NDArray[Any], markers: NDArray[np.int8]) -> None:
    """Assign each open pixel to the marker that reaches it first, in place: a watershed of a band.

    Pixels that share a side are neighbours. They are flooded from the lowest height up, those of
    one height in the order in which they were reached. A pixel that both sides reach at once is
    inside, so that flips and transposes change nothing. Pixels that no marker reaches are outside.

    Parameters
    ----------
    height
        (y, x) or (z, y, x), high where the two sides are to meet: uint8, or real numbers, which are
        put into 1024 steps.
    markers
        Of the same shape, of :data:`OPEN`, :data:`INSIDE` and :data:`OUTSIDE`.

    See Also
    --------
    Meyer, Topographic distance and watershed lines, Signal Processing 38, 1994.
    """
    band = markers == OPEN
    if not band.any():
        return
    levels = height if height.dtype == np.uint8 else _steps(height, band)
    steps = np.pad(np.ascontiguousarray(levels), 1)
    framed = np.pad(np.ascontiguousarray(markers), 1, constant_values=_FRAME)
    sides = np.array(framed.strides, dtype=np.int64)  # of one byte each
    _flood(steps.ravel(), framed.ravel(), np.concatenate([-sides, sides]))
    markers[:] = framed[tuple(slice(1, -1) for _ in markers.shape)]
    markers[markers == OPEN] = OUTSIDE


def _steps(height: NDArray[Any], band: NDArray[np.bool_]) -> NDArray[np.int16]:
    """Heights of a band in steps from its lowest to its highest."""
    values = height[band]
    low, high = float(values.min()), float(values.max())
    scale = (_LEVELS - 1) / (high - low) if high > low else 0.0
    steps = np.zeros(height.shape, np.int16)
    steps[band] = np.clip((values - values.min()) * scale, 0, _LEVELS - 1)
    return steps


@compiled
def _flood(
    steps: NDArray[np.integer], markers: NDArray[np.int8], around: NDArray[np.int64]
) -> None:
    """One queue for each step; each pixel is in one of them once."""
    opened, edges = _edges(markers, around)
    size, inside = edges.size, markers[edges] == INSIDE
    edges = np.concatenate((edges[inside], edges[~inside]))
    place = np.concatenate((edges, np.empty(opened, np.int64)))
    following = np.full(place.size, -1, np.int64)
    first, last = np.full(_LEVELS, -1, np.int64), np.full(_LEVELS, -1, np.int64)
    for used in range(size):
        _append(used, 0, first, last, following)
    used = size
    level = 0
    while True:
        while level < _LEVELS and first[level] < 0:
            level += 1
        if level == _LEVELS:
            break
        number = first[level]
        first[level] = following[number]
        here = place[number]
        for side in around:
            there = here + side
            if markers[there] == OPEN:
                markers[there] = markers[here]
                place[used] = there
                _append(used, max(level, steps[there]), first, last, following)
                used += 1


@compiled
def _edges(markers: NDArray[np.int8], around: NDArray[np.int64]) -> tuple[int, NDArray[np.int64]]:
    """The number of open pixels, and the places of the markers beside them, in order."""
    edges, size = np.empty(4096, np.int64), 0
    opened, counts = 0, np.zeros(markers.size // _RUN + 1, np.int64)
    for run in range(counts.size):
        for marker in markers[run * _RUN : (run + 1) * _RUN]:
            counts[run] += marker == OPEN
        opened += counts[run]
    for run in range(counts.size):
        if not _near_open(counts, run, around):
            continue
        for here in range(run * _RUN, min((run + 1) * _RUN, markers.size)):
            marked = markers[here] != OPEN and markers[here] != _FRAME
            if marked and _beside_open(markers, here, around):
                if size == edges.size:
                    edges = np.concatenate((edges, np.empty_like(edges)))
                edges[size] = here
                size += 1
    return opened, edges[:size]


@compiled
def _near_open(counts: NDArray[np.int64], run: int, around: NDArray[np.int64]) -> bool:
    """Whether a run of pixels, or one with neighbours of it, has open pixels."""
    found = False
    for side in around:
        first = (run * _RUN + side) // _RUN
        for other in (run, first, first + 1):
            if 0 <= other < counts.size:
                found |= counts[other] > 0
    return found


@compiled
def _beside_open(markers: NDArray[np.int8], here: int, around: NDArray[np.int64]) -> bool:
    """Whether a marker has an open neighbour."""
    found = False
    for side in around:
        found |= markers[here + side] == OPEN
    return found


@compiled
def _append(
    number: int,
    level: int,
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    following: NDArray[np.int64],
) -> None:
    """Put an entry at the end of the queue of a level."""
    if first[level] < 0:
        first[level] = number
    else:
        following[last[level]] = number
    last[level] = number
