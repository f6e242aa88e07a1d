"""Topology of an object: its Euler characteristic, and its handles (holes right through)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.bounded_distance import bounded_depth_volume
from hela_dask.kernels.compiled import compiled
from hela_dask.kernels.morphology import box_around
from hela_dask.kernels.pieces import count_pieces, fill_cavities
from hela_dask.types import Mask, Voxel

__all__ = ["count_handles", "euler_characteristic"]


def euler_characteristic(mask: Mask) -> int:
    """Pieces minus handles plus cavities of a 26-connected mask (z, y, x).

    It is vertices - edges + faces - voxels of the cubes of the mask, as
    ``skimage.measure.euler_number(mask, connectivity=3)``, in one pass without a copy in integers.
    """
    return int(_euler(np.pad(mask, 1)))


@compiled
def _euler(mask: NDArray[np.bool_]) -> int:
    total = 0
    depth, height, width = mask.shape
    for z in range(1, depth):
        for y in range(1, height):
            for x in range(1, width):
                own = mask[z, y, x]
                a, b, c = mask[z - 1, y, x], mask[z, y - 1, x], mask[z, y, x - 1]
                bc, ac, ab = mask[z, y - 1, x - 1], mask[z - 1, y, x - 1], mask[z - 1, y - 1, x]
                by_yx, by_zx, by_zy = own | b | c | bc, own | a | c | ac, own | a | b | ab
                corner = by_yx | by_zx | by_zy | mask[z - 1, y - 1, x - 1]
                if not corner:
                    continue
                total += 1 - by_yx - by_zx - by_zy + (own | a) + (own | b) + (own | c) - own
    return total


def count_handles(mask: Mask, voxel: Voxel, width: float) -> int:
    """Number of handles of an object: of holes right through it.

    Parameters
    ----------
    mask
        (z, y, x), False along the sides of the array.
    voxel
        Voxel size (z, y, x) in nm.
    width
        Minimum width in nm of a hole, and of the bridge that closes it. Narrower holes are closed
        by a ball of this diameter, and then narrower bridges opened. Cavities are filled.

    Returns
    -------
    int
        Sum over the pieces of the object; 0 for a ball, 1 for a torus.
    """
    sides = [
        (part.stop - part.start) * size
        for part, size in zip(box_around(mask, 0.0, voxel), voxel, strict=True)
    ]
    if sorted(sides)[1] <= 1.5 * width:
        return 0  # too narrow for a hole of this width with a bridge on each side
    room = [(math.ceil(width / size) + 1,) * 2 for size in voxel]
    solid = np.pad(mask, room)
    for away in (True, False):  # closed, then opened
        for outside in (away, not away):
            solid = _moved(solid, width / 2, voxel, outside)
        solid = fill_cavities(solid)
    return count_pieces(solid) - euler_characteristic(solid)


def _moved(mask: Mask, radius: float, voxel: Voxel, outwards: bool) -> Mask:
    """The mask with its border moved outwards or inwards by a radius (nm)."""
    moved = np.empty(mask.shape, dtype=bool)
    for part, depth in bounded_depth_volume(~mask if outwards else mask, voxel, radius):
        np.less_equal(depth, radius, out=moved[part])
        if not outwards:
            np.logical_not(moved[part], out=moved[part])
    return moved
