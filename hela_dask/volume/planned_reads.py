"""Parts of planes that are read in a known order, so that each chunk of the image is read once."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hela_dask.box import Box

__all__ = ["KEPT", "PlannedReads", "Read", "Wanted", "chunk_part", "chunks_around", "whole_box"]

Read = Callable[[slice, slice], NDArray[Any]]
"""Rows and columns of some slices: (slices, y, x) grey values."""

Place = tuple[int, ...]

KEPT = 64 * 2**20
"""Bytes of chunks that are kept for later parts, at most."""

_LARGEST = 16 * 2**20  # bytes of a chunk in all slices that is read and kept as one


class Wanted(NamedTuple):
    """A part of the planes that will be read.

    Attributes
    ----------
    box : Box
        Its rows and columns.
    places : frozenset of tuple of int
        Rows and columns of the chunks that are needed in it; the rest of the box is not looked at.
    """

    box: Box
    places: frozenset[Place]


class _Kept(NamedTuple):
    """A part of a chunk that later parts need."""

    box: Box
    data: NDArray[Any]


class PlannedReads:
    """Reads parts of planes in the order of a plan.

    Chunks that several parts share are kept from the first to the last of them, cut to the pixels
    that are still needed. Where they exceed 64 MiB, the one that is needed last is dropped, and
    read again.

    Parameters
    ----------
    read : callable (rows, columns) -> ndarray, (slices, y, x)
        Reads a part of the planes.
    plan : sequence of Wanted
        The parts, in the order in which they are taken.
    chunk : tuple of int
        Rows and columns of a chunk.
    shape : tuple of int
        Rows and columns of a plane.
    """

    def __init__(
        self,
        read: Read,
        plan: Sequence[Wanted],
        chunk: tuple[int, ...],
        shape: tuple[int, ...],
        budget: int = KEPT,
    ) -> None:
        self._read, self._plan, self._chunk, self._shape = read, plan, chunk, shape
        self._budget = budget
        self.kept: dict[Place, _Kept] = {}
        self._room: NDArray[Any] = np.empty(0, np.uint8)
        self._later: dict[Place, list[int]] = {}
        for number, wanted in enumerate(plan):
            for place in wanted.places:
                self._later.setdefault(place, []).append(number)
        self._next = 0

    def take(self) -> NDArray[Any]:
        """The next part, (slices, y, x); chunks that are not needed in it are 0.

        It may be in the memory of the part before.
        """
        number, self._next = self._next, self._next + 1
        box, places = self._plan[number]
        for place in places:
            self._later[place].pop(0)
        shared = any(self._later[place] or place in self.kept for place in places)
        if not shared and len(places) == math.prod(box.coarsen(self._chunk).shape):
            return self._read(*box)
        missing = sorted(place for place in places if place not in self.kept)
        found = {place: self.kept.pop(place) for place in places if place in self.kept}
        found |= self._fetch(missing)
        part = self._joined(box, found)
        for place, kept in found.items():
            self._keep(place, kept)
        self._shrink()
        return part

    def _fetch(self, places: Sequence[Place]) -> dict[Place, _Kept]:
        """Chunks, those beside one another in one go."""
        found = {}
        for block in _rectangles(places):
            box = block.scale(self._chunk).clip(self._shape)
            data = self._read(*box)
            for place, part in box.chunks(self._chunk):
                found[place] = _Kept(part, data[:, *part.relative_to(box)])
        return found

    def _joined(self, box: Box, found: dict[Place, _Kept]) -> NDArray[Any]:
        first = next(iter(found.values())).data
        size = len(first) * math.prod(box.shape)
        if self._room.size < size or self._room.dtype != first.dtype:
            self._room = np.empty(size, first.dtype)  # kept: new pages would take longer
        part = self._room[:size].reshape(len(first), *box.shape)
        if len(found) < math.prod(box.coarsen(self._chunk).shape):
            part[:] = 0
        for kept in found.values():
            shared = box & kept.box
            part[:, *shared.relative_to(box)] = kept.data[:, *shared.relative_to(kept.box)]
        return part

    def _keep(self, place: Place, kept: _Kept) -> None:
        """Keep the part of a chunk that is still needed."""
        later = self._later[place]
        if not later:
            return
        boxes = [self._plan[number].box & kept.box for number in later]
        needed = Box(
            slice(min(part.start for part in along), max(part.stop for part in along))
            for along in zip(*boxes, strict=True)
        )
        whole = needed == kept.box and kept.data.base is None
        data = kept.data if whole else kept.data[:, *needed.relative_to(kept.box)].copy()
        self.kept[place] = _Kept(needed, data)

    def _shrink(self) -> None:
        """Drop chunks that are needed last, until the others fit."""
        size = sum(kept.data.nbytes for kept in self.kept.values())
        for place in sorted(self.kept, key=lambda place: self._later[place][0], reverse=True):
            if size <= self._budget:
                return
            size -= self.kept.pop(place).data.nbytes


def chunk_part(chunk: Sequence[int], size: int) -> tuple[int, ...]:
    """The rows and columns that are read and kept as one: a chunk, or an even part of a large one.

    Parts of a chunk are decoded more than once. Whole ones, such as planes of 16384 x 16384 pixels
    in all slices, would not fit into the memory of a worker.

    Parameters
    ----------
    chunk : sequence of int
        Rows and columns of a chunk.
    size : int
        Bytes of a pixel in all slices that are read.
    """
    part = list(chunk)
    while math.prod(part) * size > _LARGEST and max(part) > 1:
        longest = part.index(max(part))
        part[longest] = -(-part[longest] // 2)
    return tuple(part)


def whole_box(box: Box, chunk: Sequence[int]) -> Wanted:
    """All of a box."""
    return Wanted(box, frozenset(place for place, _ in box.chunks(chunk)))


def chunks_around(
    squares: NDArray[np.bool_],
    side: Sequence[int],
    box: Box,
    halo: Sequence[int],
    chunk: Sequence[int],
    shape: Sequence[int],
) -> frozenset[Place]:
    """Chunks with pixels of some squares of a part of a plane, or of the halo around them.

    Parameters
    ----------
    squares : ndarray of bool, (rows, columns)
        Those that are needed, of a grid of squares that begins where the part does.
    side : sequence of int
        Rows and columns of a square, pixels.
    box : Box
        Rows and columns of the part; its last squares may be cut.
    halo : sequence of int
        Pixels (y, x) around a square that are needed too.
    chunk, shape : sequence of int
        Rows and columns of a chunk, and of the plane.
    """
    ends = []
    for axis, at in enumerate(np.nonzero(squares)):
        low = box.low[axis] + at * side[axis]
        high = np.minimum(low + side[axis], box.high[axis]) + halo[axis]
        low = np.maximum(low - halo[axis], 0)
        high = np.minimum(high, shape[axis])
        ends += [low // chunk[axis], -(-high // chunk[axis])]
    found: set[Place] = set()
    for top, bottom, left, right in np.unique(np.stack(ends, axis=1), axis=0).tolist():
        found.update(itertools.product(range(top, bottom), range(left, right)))
    return frozenset(found)


def _rectangles(places: Iterable[Place]) -> Iterator[Box]:
    """Boxes of places that are filled: rows of them, and equal rows below one another."""
    open_rows: dict[tuple[int, int], list[int]] = {}
    for row, group in itertools.groupby(sorted(places), key=lambda place: place[0]):
        runs = dict.fromkeys(_runs([column for _, column in group]))
        for run in [run for run, (_, last) in open_rows.items() if run not in runs or last != row]:
            yield Box.of([open_rows.pop(run), run])
        for run in runs:
            first, _ = open_rows.get(run, [row, row])
            open_rows[run] = [first, row + 1]
    for run, rows in open_rows.items():
        yield Box.of([rows, run])


def _runs(columns: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Runs of numbers that follow one another, half open."""
    start = last = columns[0]
    for column in columns[1:]:
        if column != last + 1:
            yield start, last + 1
            start = column
        last = column
    yield start, last + 1
