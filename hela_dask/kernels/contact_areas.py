"""Contacts of labels in a volume: their areas, and the least distances of labels.

A contact is made of the faces between voxels of two labels. The faces of a slanted contact have up
to 1.7 times its area; the sum of the directed faces, as a vector, has exactly the area of a plane.
So the area is the mean length of that vector in a window, times the windows' number, over windows
around all voxels.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from hela_dask.kernels.compiled import compiled
from hela_dask.types import Floats, Labels, Voxel

__all__ = ["AREA_UNIT", "contact_areas", "contact_halo", "least_distances"]

# Half width of the window in which a contact is taken for a plane, nm: wide enough for the terraces
# of a slanted contact, and narrow beside the curvature of cells.
_WINDOW = 160.0

_EVERY = 16  # of the corners of a label, those that are compared first

_CODE = 2**32  # more than the largest label

AREA_UNIT = 1e-3
"""nm²: areas are summed as whole numbers, so that slabs add up to the same bits."""


def contact_halo(voxel: Voxel) -> int:
    """Slices on each side of a slab that the areas of its contacts depend on."""
    return _reach(voxel)[0] + 1


def contact_areas(
    labels: Labels, voxel: Voxel, first: int, last: int
) -> dict[tuple[int, int], int]:
    """Area of contact of each pair of labels in some slices.

    Parameters
    ----------
    labels
        (z, y, x); 0 is none. Whole planes, with :func:`contact_halo` more slices on each side of
        those counted, as far as the volume has any.
    voxel
        Voxel size (z, y, x) in nm.
    first, last
        The slices counted, from `first` to before `last`: those of the windows' centres. The
        contacts of a whole volume reach :func:`contact_halo` slices beyond it on both sides.

    Returns
    -------
    dict of pair of labels to int
        The lower label first; thousandths of nm². Slabs add up to the same for any slabs.
    """
    places, signs, codes, axes = _faces(labels)
    order = np.argsort(codes, kind="stable")
    found: dict[tuple[int, int], int] = {}
    ends = [*np.flatnonzero(np.diff(codes[order], prepend=-1)).tolist(), len(order)]
    for begin, end in itertools.pairwise(ends):
        part = order[begin:end]
        area = _area(places[part], signs[part], axes[part], (first, last), voxel)
        if area:
            found[divmod(int(codes[part[0]]), _CODE)] = area
    return found


def _reach(voxel: Voxel) -> tuple[int, ...]:
    """Half of the window, in voxels."""
    return tuple(max(1, round(_WINDOW / size)) for size in voxel)


def _faces(
    labels: Labels,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Lower voxel (n, 3), sign, code of the pair and axis of the faces between two labels.

    The sign is 1 where the lower label lies below the face, and else -1.
    """
    rows = _face_rows(np.ascontiguousarray(labels))
    return rows[:, :3], rows[:, 3], rows[:, 4], rows[:, 5]


@compiled
def _face_rows(labels: Labels) -> NDArray[np.int64]:
    """z, y, x, sign, code and axis of each face between two labels."""
    depth, height, width = labels.shape
    rows, count = np.empty((4096, 6), np.int64), 0
    for z in range(depth):
        for y in range(height):
            here = labels[z, y]
            for axis in range(3):
                if axis == 0 and z + 1 < depth:
                    one, other = here, labels[z + 1, y]
                elif axis == 1 and y + 1 < height:
                    one, other = here, labels[z, y + 1]
                elif axis == 2:
                    one, other = here[: width - 1], here[1:]
                else:
                    continue
                more = _faces_between(one, other)
                if not more:
                    continue
                while count + more > len(rows):
                    rows = _longer(rows)
                _fill_faces(one, other, (z, y, axis), rows[count : count + more])
                count += more
    return rows[:count]


@compiled
def _faces_between(one: Labels, other: Labels) -> int:
    """Number of faces between two rows of voxels; a loop that the compiler vectorises."""
    count = np.uint32(0)
    for x in range(len(one)):
        count += np.uint32((one[x] != other[x]) & (one[x] != 0) & (other[x] != 0))
    return int(count)


@compiled
def _fill_faces(
    one: Labels, other: Labels, place: tuple[int, int, int], rows: NDArray[np.int64]
) -> None:
    z, y, axis = place
    count = 0
    for x in range(len(one)):
        if one[x] != other[x] and one[x] != 0 and other[x] != 0:
            low, high = np.int64(min(one[x], other[x])), np.int64(max(one[x], other[x]))
            row = rows[count]
            row[0], row[1], row[2], row[5] = z, y, x, axis
            row[3] = 1 if one[x] < other[x] else -1
            row[4] = low * _CODE + high
            count += 1


def _area(
    places: NDArray[np.int64],
    signs: NDArray[np.int64],
    axes: NDArray[np.int64],
    slices: tuple[int, int],
    voxel: Voxel,
) -> int:
    """Area of one contact in the windows with their centre in some slices; thousandths of nm²."""
    reach = _reach(voxel)
    low = places.min(axis=0) - reach
    low[0] = max(low[0], slices[0])
    high = places.max(axis=0) + np.array(reach) + 2
    high[0] = min(high[0], slices[1])
    if (high <= low).any():
        return 0
    squares = np.zeros(high - low)
    for axis, size in enumerate(voxel):
        of_axis = axes == axis
        # A face lies half a voxel above the centre of its lower voxel, and windows are symmetric
        # about their centres: a flipped volume has the same areas.
        ends = [(n, n - 1 if along == axis else n) for along, n in enumerate(reach)]
        sums = _window_sums(places[of_axis], signs[of_axis], low, high, ends)
        normal = sums * (math.prod(voxel) / size) / math.prod(a + b + 1 for a, b in ends)
        squares += normal**2
    return int(np.rint(np.sqrt(squares) / AREA_UNIT).astype(np.int64).sum())


def _window_sums(
    places: NDArray[np.int64],
    values: NDArray[np.int64],
    low: NDArray[np.int64],
    high: NDArray[np.int64],
    ends: list[tuple[int, int]],
) -> NDArray[np.int32]:
    """Sums of values at places (n, 3) in a window around each voxel from `low` to before `high`.

    The window reaches so many voxels before and after the voxel along each axis.
    """
    before, after = np.array(ends).T
    start = low - before - 1  # a first entry of zero: a sum is the difference of two running sums
    shape = high + after - start
    sums = np.zeros(shape, np.int32)
    at = places - start
    near = ((at > 0) & (at < shape)).all(axis=1)
    sums[tuple(at[near].T)] = values[near]
    for axis, width in enumerate((before + after + 1).tolist()):
        np.cumsum(sums, axis=axis, out=sums)
        count = sums.shape[axis]
        upper = sums.take(range(width, count), axis)
        upper -= sums.take(range(count - width), axis)
        sums = upper
    return sums


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
    rows, touching = _corners(np.pad(labels, 1))
    found = dict.fromkeys((divmod(code, _CODE) for code in np.unique(touching).tolist()), 0.0)
    if not len(rows) or reach <= 0:
        return found
    rows = rows[np.argsort(rows[:, 3], kind="stable")]
    names, begins = np.unique(rows[:, 3], return_index=True)
    points = rows[:, :3] * np.array(voxel)
    lows, highs = (end.reduceat(points, begins) for end in (np.minimum, np.maximum))
    groups = np.split(points, begins[1:])
    for row, one in enumerate(names.tolist()):
        apart = np.maximum(lows[row] - highs[row + 1 :], lows[row + 1 :] - highs[row])
        for column in np.flatnonzero(apart.max(axis=1, initial=0) <= reach) + row + 1:
            pair = (one, int(names[column]))
            if pair not in found:
                least = _least_distance(groups[row], groups[column], reach)
                if math.isfinite(least):
                    found[pair] = least
    return found


def _least_distance(points: Floats, others: Floats, reach: float) -> float:
    """Least distance in nm of some points to others; infinite where it is not < `reach`.

    That of a few points bounds the search for all others.
    """
    for _ in range(2):
        points = points[_near(points, others, reach)]
        if not len(points):
            return math.inf
        points, others = others, points
    least, bound, tree = math.inf, reach, cKDTree(others)
    for step in (_EVERY, 1):
        points = points[_near(points, others, bound)]
        if not len(points):
            break
        distances = np.asarray(tree.query(points[::step], distance_upper_bound=bound)[0])
        least = min(least, float(distances.min()))
        if math.isfinite(least):
            bound = math.nextafter(least, math.inf)  # a neighbour has to be nearer than the bound
    return least


def _near(points: Floats, others: Floats, bound: float) -> NDArray[np.bool_]:
    """Whether points are nearer than a bound (nm) to the box around others."""
    low, high = others.min(axis=0), others.max(axis=0)
    beyond = np.maximum(np.maximum(low - points, points - high), 0)
    near: NDArray[np.bool_] = np.einsum("ij,ij->i", beyond, beyond) <= bound**2 * (1 + 1e-9)
    return near


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
