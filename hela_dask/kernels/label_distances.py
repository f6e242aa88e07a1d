"""Least distances of labels in a volume, between the corners of their voxels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from hela_dask.kernels.compiled import compiled
from hela_dask.types import Floats, Labels, Voxel

__all__ = ["least_distances"]

_CODE = 2**32  # more than the largest label

_EVERY = 16  # of the corners of a label, those that are searched first

_MOST = 2**20  # pairs of corners that are compared one by one; of more, a tree finds the nearest

Corners = NDArray[np.int32]
"""z, y, x (voxels) of corners, and the label, each a row."""
Ends = tuple[NDArray[np.int32], NDArray[np.int32]]
"""The first and the last corner (z, y, x) of a box."""


def least_distances(labels: Labels, voxel: Voxel, reach: float) -> dict[tuple[int, int], float]:
    """Least distance in nm of each pair of labels that is nearer than `reach` (nm).

    It is that of their voxels' nearest corners: 0 where two voxels share one.

    Parameters
    ----------
    labels
        (z, y, x); 0 is none.
    voxel
        Voxel size (z, y, x) in nm.
    reach
        In nm.
    """
    corners, touching = _corners(np.pad(labels, 1))
    codes = np.unique(touching)
    found = dict.fromkeys((divmod(code, _CODE) for code in codes.tolist()), 0.0)
    if not len(corners) or reach <= 0:
        return found
    corners = corners[np.argsort(corners[:, 3], kind="stable")]
    begins = np.flatnonzero(np.diff(corners[:, 3], prepend=0))
    ends = np.append(begins, len(corners))
    size = np.array(voxel, np.float64)
    lows, highs = (end.reduceat(corners[:, :3], begins) for end in (np.minimum, np.maximum))
    pairs, squares = _near_pairs(corners, ends, (lows, highs), size, float(reach), codes)
    names = corners[begins, 3]
    for (one, other), known in zip(pairs.tolist(), squares.tolist(), strict=True):
        square = known
        if known < 0:  # too many corners, of which -known is an upper bound
            a, b = (corners[ends[n] : ends[n + 1], :3] for n in (one, other))
            square = _nearest_by_tree(a, b, size, -known)
        if square < reach**2:
            found[int(names[one]), int(names[other])] = math.sqrt(square)
    return found


def _nearest_by_tree(one: Corners, other: Corners, size: Floats, most: float) -> float:
    """Least squared distance (nm²) of corners of two labels; infinite where it is over `most`."""
    for _ in range(2):
        low, high = other.min(axis=0) * size, other.max(axis=0) * size
        places = one * size
        beyond = np.maximum(np.maximum(low - places, places - high), 0)
        near = np.einsum("ij,ij->i", beyond, beyond) <= most * (1 + 1e-9)
        if not near.any():
            return math.inf
        one, other = other, one[near]
    tree, places = cKDTree(other * size), one * size
    least = math.inf
    for step in (_EVERY, 1):  # a few corners bound the search of all others
        bound = math.sqrt(min(least, most)) * (1 + 1e-9)
        nearest = np.asarray(tree.query(places[::step], distance_upper_bound=bound)[1])
        found = nearest < len(other)
        if found.any():
            steps = (one[::step][found] - other[nearest[found]]) * size
            z, y, x = steps.T
            least = min(least, float((z * z + y * y + x * x).min()))
    return least


@compiled
def _near_pairs(
    corners: Corners,
    ends: NDArray[np.int64],
    boxes: tuple[Corners, Corners],
    size: Floats,
    reach: float,
    touching: NDArray[np.int64],
) -> tuple[NDArray[np.int64], Floats]:
    """Numbers of pairs of labels with boxes nearer than `reach`, and their squared distances.

    `ends` are the first corner of each label and their number, `boxes` the least and the largest
    corner of each, `touching` the codes of pairs that
    are left out.
    """
    pairs, squares, count = np.empty((1024, 2), np.int64), np.empty((1024, 1), np.float64), 0
    room = np.empty((2, 1024, 3), np.float64)
    lows, highs = boxes
    for one in range(len(lows)):
        for other in range(one + 1, len(lows)):
            box, other_box = (lows[one], highs[one]), (lows[other], highs[other])
            if _box_square(box, other_box, size) >= reach**2:
                continue
            a, b = corners[ends[one] : ends[one + 1]], corners[ends[other] : ends[other + 1]]
            code = np.int64(a[0, 3]) * _CODE + np.int64(b[0, 3])
            at = np.searchsorted(touching, code)
            if at < len(touching) and touching[at] == code:
                continue
            if max(len(a), len(b)) > room.shape[1]:
                room = np.empty((2, 2 * max(len(a), len(b)), 3), np.float64)
            if count == len(pairs):
                pairs, squares = _longer(pairs), _longer(squares)
            pairs[count, 0], pairs[count, 1] = one, other
            squares[count, 0] = _least_square((a, b), (box, other_box), size, reach**2, room)
            count += 1
    return pairs[:count], squares[:count, 0]


@compiled
def _box_square(box: Ends, other: Ends, size: Floats) -> float:
    """Squared distance of two boxes, nm²."""
    total = 0.0
    for axis in range(3):
        apart = max(box[0][axis] - other[1][axis], other[0][axis] - box[1][axis], 0) * size[axis]
        total += apart * apart
    return total


@compiled
def _least_square(
    parts: tuple[Corners, Corners],
    boxes: tuple[Ends, Ends],
    size: Floats,
    limit: float,
    room: Floats,
) -> float:
    """Least squared distance (nm²) of corners of two labels, with the boxes around them.

    Some larger number where it is more than a limit; a negative upper bound where too many corners
    are left to be compared.
    """
    (a, b), (box, other_box) = parts, boxes
    # The nearest corner to one that is near bounds the search.
    here = _closest(a, b[0], size)
    at = _closest(b, a[here], size)
    here = _closest(a, b[at], size)
    bound = min(limit, _square(a[here], b[at], size)) * (1 + 1e-9)
    n = _keep_near(a, other_box, size, bound, room[0])
    m = _keep_near(b, box, size, bound, room[1])
    if n * m > _MOST:
        return -bound
    least = np.inf
    for i in range(n):
        z, y, x = room[0, i, 0], room[0, i, 1], room[0, i, 2]
        for j in range(m):
            dz, dy, dx = z - room[1, j, 0], y - room[1, j, 1], x - room[1, j, 2]
            dz, dy, dx = dz * size[0], dy * size[1], dx * size[2]
            least = min(least, dz * dz + dy * dy + dx * dx)
    return least


@compiled
def _square(one: NDArray[np.int32], other: NDArray[np.int32], size: Floats) -> float:
    dz, dy, dx = one[0] - other[0], one[1] - other[1], one[2] - other[2]
    z, y, x = dz * size[0], dy * size[1], dx * size[2]
    return float(z * z + y * y + x * x)


@compiled
def _closest(corners: Corners, place: NDArray[np.int32], size: Floats) -> int:
    """The corner that is closest to a place."""
    best, least = 0, np.inf
    for at in range(len(corners)):
        square = _square(corners[at], place, size)
        if square < least:
            best, least = at, square
    return best


@compiled
def _keep_near(corners: Corners, box: Ends, size: Floats, bound: float, kept: Floats) -> int:
    """Copy the corners that are near enough to a box; returns their number."""
    count = 0
    for at in range(len(corners)):
        place = corners[at, :3]
        if _box_square((place, place), box, size) <= bound:
            kept[count] = place
            count += 1
    return count


@compiled
def _corners(labels: Labels) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Corners of voxels at the border of labels.

    Parameters
    ----------
    labels
        (z, y, x) with one voxel of 0 more on each side.

    Returns
    -------
    corners : ndarray of int32, (n, 4)
        z, y, x and label of each label that a corner is shared by, of those with another voxel
        than the label's.
    touching : ndarray of int64
        Codes of the pairs of labels that share a corner, with repetitions.
    """
    depth, height, width = labels.shape
    corners, count = np.empty((4096, 4), np.int32), 0
    pairs, n_pairs = np.empty((4096, 1), np.int64), 0
    even, there = np.empty(width, np.bool_), np.empty(8, np.int64)
    for z in range(depth - 1):
        for y in range(height - 1):
            a, b, c, d = labels[z, y], labels[z, y + 1], labels[z + 1, y], labels[z + 1, y + 1]
            for x in range(width):
                even[x] = (a[x] == b[x]) & (a[x] == c[x]) & (a[x] == d[x])
            for x in range(width - 1):
                if even[x] and even[x + 1] and a[x] == a[x + 1]:
                    continue
                n = _distinct(a, b, c, d, x, there)
                if count + 8 > len(corners):
                    corners = _longer(corners)
                if n_pairs + 28 > len(pairs):
                    pairs = _longer(pairs)
                for k in range(n):
                    place = corners[count]
                    place[0], place[1], place[2], place[3] = z, y, x, there[k]
                    count += 1
                    for m in range(k):
                        low, high = min(there[k], there[m]), max(there[k], there[m])
                        pairs[n_pairs, 0] = low * _CODE + high
                        n_pairs += 1
    return corners[:count], pairs[:n_pairs, 0]


@compiled
def _distinct(a: Labels, b: Labels, c: Labels, d: Labels, x: int, there: NDArray[np.int64]) -> int:
    """The labels of the voxels at x and x + 1 of four rows, without 0; returns their number."""
    n = 0
    for row in (a, b, c, d):
        for at in (x, x + 1):
            label, known = np.int64(row[at]), row[at] == 0
            for k in range(n):
                known |= there[k] == label
            if not known:
                there[n] = label
                n += 1
    return n


@compiled
def _longer(rows: NDArray[Any]) -> NDArray[Any]:
    """The rows, with room for as many more."""
    more = np.empty((2 * len(rows), rows.shape[1]), rows.dtype)
    more[: len(rows)] = rows
    return more
