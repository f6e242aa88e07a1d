"""The 3-D component of a mask that seeds lie in, by a search from them.

Other components are not visited.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.kernels.compiled import compiled
from hela_dask.types import Mask

__all__ = ["GrowingComponent", "seeded_component"]


# A voxel beside the component that is too low for it, so far.
_BESIDE = 255


def seeded_component(mask: Mask, seeds: Mask) -> Mask:
    """The 6-connected piece of a mask that holds most of the seeds; nothing where none does.

    Parameters
    ----------
    mask, seeds
        (z, y, x). Of pieces that hold as many seeds, it is the one with the first seed.
    """
    pieces, most = _pieces_with(np.ascontiguousarray(mask).view(np.uint8), 1, np.flatnonzero(seeds))
    piece: Mask = (pieces == most if most else np.zeros(mask.size, dtype=bool)).reshape(mask.shape)
    return piece


def _pieces_with(
    levels: NDArray[np.uint8], level: int, places: NDArray[np.int64]
) -> tuple[NDArray[np.integer], int]:
    """The numbers of the pieces of a level that hold seeds, for each voxel; the one with most.

    It is 0 where no seed is in the mask of the level.
    """
    kind: type[np.integer] = np.uint16 if places.size < 2**16 else np.int32
    pieces: NDArray[np.integer] = np.zeros(levels.size, dtype=kind)
    return pieces, _reach(levels, level, places, pieces)


class GrowingComponent:
    """The 6-connected component of a seed, while the level that its voxels need is lowered.

    Each voxel is visited once, at whatever level it joins.

    Parameters
    ----------
    levels
        (z, y, x). A voxel is in the mask of a level if its own is as high; those of 0 are in none.

    Attributes
    ----------
    joined : ndarray of uint8, (z, y, x)
        Number of the step, from 1, in which a voxel joined; elsewhere 0 or 255.
    steps : int
        Calls of :meth:`lower`.
    """

    def __init__(self, levels: NDArray[np.uint8]) -> None:
        self.joined = np.zeros(levels.shape, dtype=np.uint8)
        self.steps = 0
        self._levels = np.ascontiguousarray(levels)
        self._beside = np.empty(0, dtype=np.int64)
        self._ends = np.array([[length, 0] for length in levels.shape])

    @property
    def box(self) -> Box:
        """Around all that has joined."""
        return Box.of(self._ends)

    def lower(self, level: int, seeds: Mask) -> int:
        """Add all that is connected at a level no higher than the last; the number of voxels added.

        The first are the component that holds most of the seeds, (z, y, x).
        """
        self.steps += 1
        flat = self.joined.reshape(-1)
        if not self.box.empty:
            ready = self._levels.reshape(-1)[self._beside] >= level
            starts, self._beside = self._beside[ready], self._beside[~ready]
        else:
            # From one of its voxels the component is found again, with all that is beside it.
            places = np.flatnonzero(seeds)
            pieces, most = _pieces_with(self._levels, level, places)
            starts = places[pieces[places] == most][:1] if most else places[:0]
            del pieces
        flat[starts] = self.steps
        added, beside = _spread(self._levels, self.joined, starts, level, self.steps, self._ends)
        self._beside = np.concatenate([self._beside, beside])
        return added

    def mask(self, steps: int, box: tuple[slice, ...] = (slice(None),)) -> Mask:
        """(z, y, x) of a box, the component after a number of steps."""
        part = self.joined[box]
        low = [side.indices(self.joined.shape[axis])[0] for axis, side in enumerate(box)]
        z, y, x = (*low, 0, 0)[:3]
        found = np.empty(part.shape, dtype=bool)
        _mask_steps(self.joined, (z, y, x), steps, found)
        return found


@compiled
def _mask_steps(
    joined: NDArray[np.uint8], low: tuple[int, int, int], steps: int, found: Mask
) -> None:
    """Set where the number of a step is from 1 to `steps`, in a box that begins at a voxel."""
    depth, rows, columns = found.shape
    for z in range(depth):
        for y in range(rows):
            row, out = joined[z + low[0], y + low[1]][low[2] : low[2] + columns], found[z, y]
            for x in range(columns):
                out[x] = (row[x] > 0) & (row[x] <= steps)


@compiled
def _spread(
    levels: NDArray[np.uint8],
    joined: NDArray[np.uint8],
    starts: NDArray[np.int64],
    level: int,
    step: int,
    ends: NDArray[np.int64],
) -> tuple[int, NDArray[np.int64]]:
    """Join all that is connected to the starts; the number of voxels, and those beside them.

    Also enlarges the box around all of them: its first voxel, and the one after its last.
    """
    high, found = levels.ravel(), joined.ravel()
    waiting = np.empty(max(4096, 2 * starts.size), np.int64)
    waiting[: starts.size] = starts
    left = count = starts.size
    beside, size = np.empty(4096, np.int64), 0
    while left:
        left -= 1
        here = waiting[left]
        waiting, beside = _with_room(waiting, left), _with_room(beside, size)
        place = _place(here, levels.shape)
        for axis, at in enumerate(place):
            ends[axis, 0] = min(ends[axis, 0], at)
            ends[axis, 1] = max(ends[axis, 1], at + 1)
        for inside, there in _neighbours(here, place, levels.shape):
            if inside and found[there] == 0 and high[there] > 0:
                if high[there] >= level:
                    found[there] = step
                    waiting[left] = there
                    left += 1
                    count += 1
                else:
                    found[there] = _BESIDE
                    beside[size] = there
                    size += 1
    return count, beside[:size]


@compiled
def _place(here: int, shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """z, y, x of a voxel by its number."""
    _, rows, columns = shape
    z, rest = here // (rows * columns), here % (rows * columns)
    return z, rest // columns, rest % columns


@compiled
def _neighbours(
    here: int, place: tuple[int, int, int], shape: tuple[int, int, int]
) -> tuple[tuple[bool, int], ...]:
    """The six voxels that share a face with one: whether each is there, and its number."""
    depth, rows, columns = shape
    z, y, x = place
    return (
        (z > 0, here - rows * columns),
        (z + 1 < depth, here + rows * columns),
        (y > 0, here - columns),
        (y + 1 < rows, here + columns),
        (x > 0, here - 1),
        (x + 1 < columns, here + 1),
    )


@compiled
def _with_room(places: NDArray[np.int64], used: int) -> NDArray[np.int64]:
    """The list, twice as long where it has no room for six more."""
    if used + 6 <= places.size:
        return places
    more = np.empty(2 * places.size, np.int64)
    more[:used] = places[:used]
    return more


@compiled
def _reach(
    levels: NDArray[np.uint8], level: int, seeds: NDArray[np.int64], pieces: NDArray[np.integer]
) -> int:
    """Number the pieces that hold seeds, from 1; the one with most seeds, or 0."""
    flat = levels.ravel()
    waiting = np.empty(4096, np.int64)
    held = np.zeros(seeds.size + 1, np.int64)
    count = 0
    for seed in seeds:
        if flat[seed] < level:
            continue
        if pieces[seed] == 0:
            count += 1
            pieces[seed] = count
            waiting[0], left = seed, 1
            while left:
                left -= 1
                here = waiting[left]
                waiting = _with_room(waiting, left)
                for inside, there in _neighbours(here, _place(here, levels.shape), levels.shape):
                    if inside and flat[there] >= level and pieces[there] == 0:
                        pieces[there] = count
                        waiting[left] = there
                        left += 1
        held[pieces[seed]] += 1
    return int(np.argmax(held)) if count else 0
