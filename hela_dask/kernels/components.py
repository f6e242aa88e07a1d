"""The 3-D component of a mask that seeds lie in, by a search from them.

Other components are not visited.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.compiled import compiled
from hela_dask.types import Mask

__all__ = ["seeded_component"]


def seeded_component(mask: Mask, seeds: Mask) -> Mask:
    """The 6-connected piece of a mask that holds most of the seeds; nothing where none does.

    Parameters
    ----------
    mask, seeds
        (z, y, x). Of pieces that hold as many seeds, it is the one with the first seed.
    """
    places = np.flatnonzero(seeds & mask)
    pieces = np.zeros(mask.size, dtype=np.int32)
    most = _reach(np.ascontiguousarray(mask), places, pieces)
    piece: Mask = (pieces == most if most else np.zeros(mask.size, dtype=bool)).reshape(mask.shape)
    return piece


@compiled
def _reach(mask: Mask, seeds: NDArray[np.int64], pieces: NDArray[np.int32]) -> int:
    """Number the pieces that hold seeds, from 1; the one with most seeds, or 0."""
    depth, rows, columns = mask.shape
    flat, plane = mask.ravel(), rows * columns
    waiting = np.empty(4096, np.int64)
    held = np.zeros(seeds.size + 1, np.int64)
    count = 0
    for seed in seeds:
        if pieces[seed] == 0:
            count += 1
            pieces[seed] = count
            waiting[0], left = seed, 1
            while left:
                left -= 1
                here = waiting[left]
                if left + 6 > waiting.size:
                    more = np.empty(2 * waiting.size, np.int64)
                    more[:left] = waiting[:left]
                    waiting = more
                z, rest = here // plane, here % plane
                y, x = rest // columns, rest % columns
                for inside, there in (
                    (z > 0, here - plane),
                    (z + 1 < depth, here + plane),
                    (y > 0, here - columns),
                    (y + 1 < rows, here + columns),
                    (x > 0, here - 1),
                    (x + 1 < columns, here + 1),
                ):
                    if inside and flat[there] and pieces[there] == 0:
                        pieces[there] = count
                        waiting[left] = there
                        left += 1
        held[pieces[seed]] += 1
    return int(np.argmax(held)) if count else 0
