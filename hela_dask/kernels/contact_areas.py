"""Contacts of labels in a volume: their areas.

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

from hela_dask.kernels.compiled import compiled
from hela_dask.types import Labels, Voxel

__all__ = ["AREA_UNIT", "contact_areas", "contact_halo"]

# Half width of the window in which a contact is taken for a plane, nm: wide enough for the terraces
# of a slanted contact, and narrow beside the curvature of cells.
_WINDOW = 160.0

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


@compiled
def _longer(rows: NDArray[Any]) -> NDArray[Any]:
    """The rows, with room for as many more."""
    more = np.empty((2 * len(rows), rows.shape[1]), rows.dtype)
    more[: len(rows)] = rows
    return more
