"""Detections of a volume put together into cells: linked, split at pinches, fragments merged."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from hela_dask.types import Floats

__all__ = ["link_detections", "merge_fragments", "split_chains"]

Chains = NDArray[np.int64]

_MIN_RISE = 1.03  # pixels and ruffles change a height by this much from slice to slice


def link_detections(
    depths: Floats, places: Floats, heights: Floats, *, distance: float, gap: int
) -> Chains:
    """Number of the chain (0, 1, …) that each detection belongs to (method A.4).

    A detection continues the chain with the nearest last detection in the plane, one to one and the
    nearest pairs first. The step is at most `distance`, and the discs that fit into both cells
    overlap: small cells do not jump as far as large ones do.

    Parameters
    ----------
    depths
        (n,) place along z in analysed slices (1 is from one to the next), rising.
    places
        (n, 2) y and x, nm.
    heights
        (n,) radius of the disc that fits into the cell there, nm.
    distance
        Longest step in the plane, nm.
    gap
        Analysed slices in a row that a chain may miss.
    """
    chain = np.full(len(depths), -1, dtype=np.int64)
    ends: list[int] = []  # the last detection of each chain
    for depth in np.unique(depths):
        here = np.flatnonzero(depths == depth)
        # Half a step of slack: the analysed slices are whole slices apart, their share is not.
        alive = [end for end in ends if depth - depths[end] < gap + 1.5]
        for end, row in _pairs(places, heights, alive, here, distance):
            chain[row] = chain[end]
            ends[chain[end]] = row
        for row in here[chain[here] < 0]:
            chain[row] = len(ends)
            ends.append(int(row))
    return chain


def _pairs(
    places: Floats, heights: Floats, ends: list[int], here: NDArray[np.int64], furthest: float
) -> list[tuple[int, int]]:
    """Pairs of a chain's end and a detection, one to one, the nearest first."""
    if not ends:
        return []
    near: Any = cKDTree(places[ends]).query_ball_point(places[here], furthest)
    candidates = sorted(
        (apart, -ends[index], int(row))
        for row, indices in zip(here, near, strict=True)
        for index in indices
        if (apart := float(np.hypot(*(places[ends[index]] - places[row]))))
        <= heights[ends[index]] + heights[row]
    )
    pairs = []
    free_ends, free_rows = set(ends), set(here.tolist())
    for _, negative_end, row in candidates:
        if -negative_end in free_ends and row in free_rows:
            free_ends.remove(-negative_end)
            free_rows.remove(row)
            pairs.append((-negative_end, row))
    return pairs


def split_chains(chain: Chains, places: Floats, heights: Floats, pinch: float) -> Chains:
    """Split the chains that contain two cells, one above the other.

    A cell grows along z and then shrinks. Where a chain is lower than `pinch` times the highest
    on either side, one cell ends and another begins. A single slice that is lower than both its
    neighbours, with these as high as their sides, is a bad slice; unless the chain rises further
    beyond both, as cells do.

    Parameters
    ----------
    chain, places, heights
        One entry a detection, in the order of z; see :func:`link_detections`.
    pinch
        Part of the height.
    """
    parted = chain.copy()
    work = [np.flatnonzero(chain == number) for number in np.unique(chain)]
    number = int(chain.max(initial=-1)) + 1
    while work:
        rows = work.pop()
        at = _pinch(heights[rows], pinch)
        if at is None:
            continue
        steps = np.hypot(*np.diff(places[rows[at - 1 : at + 2]], axis=0).T)
        cut = at + 1 if steps[0] <= steps[1] else at  # the narrow slice stays where it is nearer
        parted[rows[cut:]] = number
        number += 1
        work += [rows[:cut], rows[cut:]]
    return parted


def _pinch(heights: Floats, pinch: float) -> int | None:
    """Index at which a chain is narrowest relative to both of its sides.

    None where nowhere enough.
    """
    best, at = pinch, None
    for index in range(1, len(heights) - 1):
        before, after = heights[:index], heights[index + 1 :]
        share = heights[index] / min(before.max(), after.max())
        abrupt = before[-1] >= pinch * before.max() and after[0] >= pinch * after.max()
        if share < best and (not abrupt or (_rises(before[::-1]) and _rises(after))):
            best, at = share, index
    return at


def _rises(heights: Floats) -> bool:
    """Whether a chain is clearly higher in its second slice than in its first."""
    return len(heights) > 1 and bool(heights[1] > _MIN_RISE * heights[0])


def merge_fragments(chain: Chains, depths: Floats, places: Floats, heights: Floats) -> Chains:
    """Merge chains that are fragments of one cell.

    Most of a piece lies, in the same analysed slice or the next, so near to a larger chain that
    the centre of one is in the disc of the other. (Of a cell on top of another, only the end does.)

    Parameters
    ----------
    chain, depths, places, heights
        As in :func:`link_detections`.

    Returns
    -------
    ndarray of int64
        Chains, some of which have several detections in a slice now.
    """
    sizes = np.bincount(chain, weights=heights**2)
    shares: list[dict[int, float]] = [{} for _ in sizes]
    for row, others in enumerate(_touching(depths, places, heights)):
        piece = int(chain[row])
        for other in {int(chain[index]) for index in others} - {piece}:
            shares[piece][other] = shares[piece].get(other, 0.0) + float(heights[row]) ** 2
    owner = list(range(len(sizes)))
    for piece, found in enumerate(shares):
        larger = [
            (share, -other)
            for other, share in found.items()
            if (sizes[other], -other) > (sizes[piece], -piece)
        ]
        share, other = max(larger, default=(0.0, 0))
        if share > sizes[piece] / 2:
            owner[piece] = -other
    # From the largest down, so that a fragment of a fragment is merged too.
    for piece in sorted(range(len(sizes)), key=lambda number: (-sizes[number], number)):
        owner[piece] = owner[owner[piece]]
    return np.array(owner, dtype=np.int64)[chain]


def _touching(depths: Floats, places: Floats, heights: Floats) -> Iterable[list[int]]:
    """For each detection those, at most one slice away, with a centre in a common disc."""
    slices = np.unique(depths)
    trees = [cKDTree(places[depths == depth]) for depth in slices]
    rows = [np.flatnonzero(depths == depth) for depth in slices]
    reach = [heights[index].max() for index in rows]
    at = np.searchsorted(slices, depths)
    for row in range(len(depths)):
        found: list[int] = []
        for k in range(max(0, at[row] - 1), min(len(slices), at[row] + 2)):
            if abs(slices[k] - depths[row]) >= 1.5:
                continue
            near: Any = trees[k].query_ball_point(places[row], max(heights[row], reach[k]))
            for index in rows[k][near]:
                apart = np.hypot(*(places[index] - places[row]))
                if index != row and apart <= max(heights[row], heights[index]):
                    found.append(int(index))
        yield found
