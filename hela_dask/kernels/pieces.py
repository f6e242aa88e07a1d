"""Connected pieces of a volume or a plane, found by runs of voxels along x; and cavities.

A volume of millions of voxels has some hundred thousand runs, so joining runs takes a fraction of
the time of numbering voxels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.compiled import compiled
from hela_dask.types import Mask

__all__ = [
    "Pieces",
    "count_pieces",
    "fill_cavities",
    "fill_plane",
    "keep_piece",
    "large_pieces",
    "piece_sizes",
    "unmarked_pieces",
]

_FULL = 0.5  # a voxel with at least this share is of the object


class Pieces:
    """The 6-connected pieces of a mask (z, y, x), without a label for each voxel.

    Attributes
    ----------
    sizes : ndarray of int64, (pieces,)
        Voxels of each piece, in the order of their first voxels.
    """

    def __init__(self, mask: Mask) -> None:
        self._shape = mask.shape
        self._runs, self._begins = _runs(mask, True)
        roots = _joined(self._runs, self._begins, mask.shape[1], 0, 0)
        _, self._pieces = np.unique(roots, return_inverse=True)
        self.sizes = self._totals(self._runs[:, 1] - self._runs[:, 0])

    def shared(self, mask: Mask) -> NDArray[np.int64]:
        """Voxels of each piece that are in another mask of this shape."""
        return self._totals(_shared_voxels(mask, self._runs, self._begins))

    def mask(self, number: int) -> Mask:
        """The mask of one piece."""
        found = np.zeros(self._shape, dtype=bool)
        _fill_runs(found, self._runs, self._begins, self._pieces == number, 1)
        return found

    def middle(self, number: int) -> tuple[int, int, int]:
        """The voxel (z, y, x) of a piece with as many before it as after it, or one more."""
        runs = np.flatnonzero(self._pieces == number)
        ends = np.cumsum(self._runs[runs, 1] - self._runs[runs, 0])
        half = int(ends[-1]) // 2
        at = int(np.searchsorted(ends, half, side="right"))
        run = int(runs[at])
        z, y = divmod(int(np.searchsorted(self._begins, run, side="right")) - 1, self._shape[1])
        return z, y, int(self._runs[run, 1]) - (int(ends[at]) - half)

    def _totals(self, voxels: NDArray[Any]) -> NDArray[np.int64]:
        return np.bincount(self._pieces, voxels).astype(np.int64)


def count_pieces(mask: Mask) -> int:
    """Number of 26-connected pieces of a mask (z, y, x)."""
    return len(piece_sizes(mask))


def piece_sizes(mask: Mask) -> NDArray[np.int64]:
    """Voxels of each 26-connected piece of a mask (z, y, x), the largest first."""
    runs, begins = _runs(mask, True)
    roots = _joined(runs, begins, mask.shape[1], 1, 1)
    sizes = np.bincount(roots, runs[:, 1] - runs[:, 0]).astype(np.int64)
    return np.sort(sizes[sizes > 0])[::-1]


def large_pieces(mask: Mask, area: float, pixel: float) -> Mask:
    """The 4-connected pieces of a mask (y, x) of at least an area; `pixel` is that of a pixel."""
    runs, begins = _runs(mask[None], True)
    roots = _joined(runs, begins, mask.shape[0], 0, 0)
    sizes = np.bincount(roots, runs[:, 1] - runs[:, 0]) * pixel
    found = np.zeros(mask.shape, dtype=bool)
    _fill_runs(found[None], runs, begins, (sizes >= area)[roots], 1)
    return found


def fill_cavities(shares: NDArray[Any]) -> NDArray[Any]:
    """A volume without cavities: the spaces that no path leads to from an array side.

    A space is 6-connected, of voxels that are less than half full.

    Parameters
    ----------
    shares
        (z, y, x), the share of each voxel that an object fills, or a mask.

    Returns
    -------
    ndarray
        The same array where it has no cavity, else a copy.
    """
    runs, begins = _runs(shares, False)
    roots = _joined(runs, begins, shares.shape[1], 0, 0)
    outside = np.zeros(len(runs), dtype=bool)
    _mark_outside(runs, begins, shares.shape, roots, outside)
    inside = ~outside[roots]
    if not inside.any():
        return shares
    filled = shares.copy()
    _fill_runs(filled, runs, begins, inside, 1)
    return filled


def fill_plane(mask: Mask) -> Mask:
    """A mask (y, x) with its holes filled: the 4-connected rest that reaches no side."""
    filled = np.ascontiguousarray(mask)
    runs, begins = _runs(filled[None], False)
    roots = _joined(runs, begins, mask.shape[0], 0, 0)
    outside = np.zeros(len(runs), dtype=bool)
    _mark_outside(runs, begins, (0, *mask.shape), roots, outside)
    inside = ~outside[roots]
    if inside.any():
        filled = filled.copy()
        _fill_runs(filled[None], runs, begins, inside, 1)
    return filled


def unmarked_pieces(mask: Mask, marks: Mask) -> Mask:
    """The 4-connected pieces of a mask (y, x) that hold nothing of another, which is part of it."""
    mask = np.ascontiguousarray(mask)
    runs, begins = _runs(mask[None], True)
    roots = _joined(runs, begins, mask.shape[0], 0, 0)
    shared = _shared_voxels(np.ascontiguousarray(marks)[None], runs, begins)
    without = np.bincount(roots, shared, minlength=1) == 0
    found = np.zeros(mask.shape, dtype=bool)
    if without[roots].any():
        _fill_runs(found[None], runs, begins, without[roots], 1)
    return found


def keep_piece(mask: Mask, place: tuple[int, ...] | None) -> None:
    """Keep one piece of a mask (z, y, x), in place: that at a voxel, or the largest.

    Pieces are 8-connected in their plane, and connected where they overlap from plane to plane. Of
    equal ones the first is kept.
    """
    runs, begins = _runs(mask, True)
    if not len(runs):
        return
    roots = _joined(runs, begins, mask.shape[1], 1, 0)
    kept = int(np.argmax(np.bincount(roots, runs[:, 1] - runs[:, 0])))
    if place is not None and mask[place]:
        row = place[0] * mask.shape[1] + place[1]
        first = int(begins[row])
        at = np.searchsorted(runs[first : begins[row + 1], 0], place[2], side="right") - 1
        kept = int(roots[first + at])
    _fill_runs(mask, runs, begins, roots != kept, 0)


@compiled
def _runs(shares: NDArray[Any], full: bool) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """First and last + 1 voxel of each run of full, or of other voxels; and where rows begin."""
    depth, height, width = shares.shape
    runs, count = np.empty((max(64, 2 * depth * height), 2), np.int32), 0
    begins = np.zeros(depth * height + 1, np.int64)
    for z in range(depth):
        for y in range(height):
            row = shares[z, y]
            if count + width // 2 + 1 > len(runs):
                more = np.empty((2 * len(runs) + width, 2), np.int32)
                more[:count] = runs[:count]
                runs = more
            count += _runs_of_row(row, full, runs[count:])
            begins[z * height + y + 1] = count
    return runs[:count], begins


@compiled
def _runs_of_row(row: NDArray[Any], full: bool, runs: NDArray[np.int32]) -> int:
    count, before = 0, False
    for x in range(len(row)):
        here = (row[x] >= _FULL) == full
        if here != before:
            if here:
                runs[count, 0] = x
            else:
                runs[count, 1] = x
                count += 1
            before = here
    if before:
        runs[count, 1] = len(row)
        count += 1
    return count


@compiled
def _root(parents: NDArray[np.int64], at: int) -> int:
    while parents[at] != at:
        parents[at] = parents[parents[at]]
        at = parents[at]
    return at


@compiled
def _joined(
    runs: NDArray[np.int32], begins: NDArray[np.int64], height: int, slack: int, across: int
) -> NDArray[np.int64]:
    """The first run of the piece of each run.

    Runs in rows beside each other are joined if they share a column; with a `slack` of 1 also if
    they are diagonal neighbours in a plane, and with 1 for `across` also from plane to plane.
    """
    parents = np.arange(len(runs))
    for row in range(len(begins) - 1):
        y = row % height
        # Rows before this one: below it in the plane, and those of the slice below.
        for down, aside in ((0, -1), (1, 0), (1, -1), (1, 1)):
            if (down and aside and not across) or not 0 <= y + aside < height:
                continue
            other = row - down * height + aside
            if other < 0:
                continue
            room = across if down else slack
            one, stop = begins[row], begins[row + 1]
            two, end = begins[other], begins[other + 1]
            while one < stop and two < end:
                if runs[one, 0] < runs[two, 1] + room and runs[two, 0] < runs[one, 1] + room:
                    a, b = _root(parents, one), _root(parents, two)
                    if a < b:
                        parents[b] = a
                    else:
                        parents[a] = b
                if runs[one, 1] < runs[two, 1]:
                    one += 1
                else:
                    two += 1
    for at in range(len(parents)):
        parents[at] = parents[parents[at]]
    return parents


@compiled
def _shared_voxels(
    mask: Mask, runs: NDArray[np.int32], begins: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Voxels of each run that are in a mask."""
    found = np.zeros(len(runs), np.int64)
    for row in range(len(begins) - 1):
        inside = mask[row // mask.shape[1], row % mask.shape[1]]
        for at in range(begins[row], begins[row + 1]):
            for x in range(runs[at, 0], runs[at, 1]):
                found[at] += inside[x]
    return found


@compiled
def _mark_outside(
    runs: NDArray[np.int32],
    begins: NDArray[np.int64],
    shape: tuple[int, int, int],
    roots: NDArray[np.int64],
    outside: Mask,
) -> None:
    """Mark the first run of each piece that reaches a side; of a plane, with a depth of 0."""
    depth, height, width = shape
    for row in range(len(begins) - 1):
        z, y = row // height, row % height
        side = y == 0 or y == height - 1 or (depth > 0 and (z == 0 or z == depth - 1))
        for at in range(begins[row], begins[row + 1]):
            if side or runs[at, 0] == 0 or runs[at, 1] == width:
                outside[roots[at]] = True


@compiled
def _fill_runs(
    shares: NDArray[Any],
    runs: NDArray[np.int32],
    begins: NDArray[np.int64],
    inside: Mask,
    value: int,
) -> None:
    height = shares.shape[1]
    for row in range(len(begins) - 1):
        for at in range(begins[row], begins[row + 1]):
            if inside[at]:
                for x in range(runs[at, 0], runs[at, 1]):
                    shares[row // height, row % height, x] = value
