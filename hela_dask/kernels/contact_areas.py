"""Contacts of labels in a volume: their areas, and the least distances of labels.

A contact is made of the faces between voxels of two labels. The faces of a slanted contact have up
to 1.7 times its area; the sum of the directed faces, as a vector, has exactly the area of a plane.
So the area is the mean length of that vector in a window, times the windows' number, over windows
around all voxels.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

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
    places, signs, codes, axes = [], [], [], []
    for axis in range(3):
        low = labels[tuple(slice(None, -1) if n == axis else slice(None) for n in range(3))]
        high = labels[tuple(slice(1, None) if n == axis else slice(None) for n in range(3))]
        place = np.nonzero((low != high) & (low > 0) & (high > 0))
        one, other = low[place].astype(np.int64), high[place].astype(np.int64)
        places.append(np.stack(place, axis=1))
        signs.append(np.where(one < other, 1, -1))
        codes.append(np.minimum(one, other) * _CODE + np.maximum(one, other))
        axes.append(np.full(len(one), axis))
    return tuple(np.concatenate(parts) for parts in (places, signs, codes, axes))  # type: ignore[return-value]


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
    corners = _corners(labels, voxel)
    trees = {label: cKDTree(points) for label, points in corners.items()}
    names = sorted(trees)
    lows = np.array([trees[label].mins for label in names]).reshape(-1, 3)
    highs = np.array([trees[label].maxes for label in names]).reshape(-1, 3)
    found: dict[tuple[int, int], float] = {}
    for row, one in enumerate(names):
        apart = np.maximum(lows[row] - highs[row + 1 :], lows[row + 1 :] - highs[row])
        for column in np.flatnonzero(apart.max(axis=1, initial=0) <= reach).tolist():
            other = names[row + 1 + column]
            least = _least_distance(corners[one], trees[other], reach)
            if math.isfinite(least):
                found[one, other] = least
    return found


def _least_distance(points: Floats, tree: cKDTree, reach: float) -> float:
    """Least distance in nm of some points to those of a tree; infinite where it is not < `reach`.

    That of a few points bounds the search for all others.
    """
    least, bound = math.inf, reach
    for step in (_EVERY, 1):
        beyond = np.maximum(np.maximum(tree.mins - points, points - tree.maxes), 0)
        points = points[np.einsum("ij,ij->i", beyond, beyond) <= bound**2 * (1 + 1e-9)]
        if not len(points):
            break
        distances = np.asarray(tree.query(points[::step], distance_upper_bound=bound)[0])
        least = min(least, float(distances.min()))
        if least == 0:
            break
        if math.isfinite(least):
            bound = math.nextafter(least, math.inf)  # a neighbour has to be nearer than the bound
    return least


def _corners(labels: Labels, voxel: Voxel) -> dict[int, Floats]:
    """The corners (n, 3), in nm, of each label's voxels that a voxel of another label shares."""
    around = np.pad(labels, 1)
    parts = [
        around[tuple(slice(1, None) if n else slice(None, -1) for n in corner)]
        for corner in itertools.product((0, 1), repeat=3)
    ]
    border = np.zeros(parts[0].shape, dtype=bool)
    for part in parts[1:]:
        border |= part != parts[0]
    places = np.argwhere(border) * np.array(voxel)
    owners = np.sort(np.stack([part[border] for part in parts], axis=1), axis=1)
    first = owners != 0
    first[:, 1:] &= owners[:, 1:] != owners[:, :-1]
    rows, columns = np.nonzero(first)
    found = owners[rows, columns]
    order = np.argsort(found, kind="stable")
    labels, begins = np.unique(found[order], return_index=True)
    groups = np.split(places[rows[order]], begins[1:]) if len(labels) else []
    return dict(zip(labels.tolist(), groups, strict=True))
