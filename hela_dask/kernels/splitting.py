"""A cell split at points: a seeded watershed on the distance inside the cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from hela_dask.kernels.morphology import depth_inside
from hela_dask.types import Grey, Mask, Voxel

__all__ = ["nearest_parts", "reduce_mask", "split_mask"]

Index = tuple[int, int, int]


def reduce_mask(mask: Mask, step: Sequence[int], *, every: bool = False) -> Mask:
    """A mask on coarser voxels: true where any of the fine voxels is, or `every` one.

    Parameters
    ----------
    mask
        (z, y, x).
    step
        Fine voxels per coarse voxel along each axis; the last coarse voxels may have fewer.
    every
        Whether all fine voxels must be true.
    """
    join = np.logical_and if every else np.logical_or
    for axis, by in enumerate(step):
        if by > 1:
            mask = join.reduceat(mask, np.arange(0, mask.shape[axis], by), axis=axis)
    return mask


def split_mask(
    cell: Mask, nucleus: Mask, points: Sequence[Index], voxel: Voxel
) -> tuple[NDArray[np.uint8], Mask, list[int]]:
    """Assign each voxel of a cell to one of the points.

    A connected piece of nucleus with one of the points in it is a seed of that point and is never
    cut; a point that shares its piece with others, or lies outside the nucleus, is a seed with the
    steepest way up to the summit of the distance, unless this way meets another seed's. Seeds grow
    by a watershed of the distance inside the cell (Soille, Morphological Image Analysis, 2003,
    chapter 9). A piece of nucleus without a point goes whole to the part that has most of it.
    Voxels that no seed reaches go to the nearest part.

    Parameters
    ----------
    cell, nucleus
        (z, y, x) masks; the nucleus counts inside the cell only.
    points
        A voxel per part. One outside the cell, next to it, is moved to the nearest voxel of the
        cell.
    voxel
        Voxel size (z, y, x) in nm.

    Returns
    -------
    parts : ndarray of uint8, (z, y, x)
        1 for the first point, and so on; 0 outside the cell.
    whole : ndarray of bool, (z, y, x)
        Pieces of nucleus that are not cut.
    lost : list of int
        Positions of points outside the cell, and of those in the voxel of an earlier one; where
        there are any, the arrays are empty.
    """
    seeds: list[Index] = []
    lost = []
    for number, point in enumerate(points):
        seed = _nearest(cell, point, voxel)
        if seed is None or seed in seeds:
            lost.append(number)
        else:
            seeds.append(seed)
    if lost:
        return np.zeros(cell.shape, np.uint8), np.zeros(cell.shape, bool), lost
    pieces, count = ndimage.label(nucleus & cell)
    at = [int(pieces[seed]) for seed in seeds]
    alone = [piece > 0 and at.count(piece) == 1 for piece in at]
    shared = np.ones(count + 1, bool)
    shared[1:] = False
    shared[[piece for piece, single in zip(at, alone, strict=True) if not single]] = True
    distance = depth_inside(cell, voxel)
    markers = np.zeros(cell.shape, np.uint8)
    for part, (seed, piece, single) in enumerate(zip(seeds, at, alone, strict=True), 1):
        if single:
            markers[pieces == piece] = part
        else:
            markers[seed] = part
    _climb(markers, distance, [seed for seed, one in zip(seeds, alone, strict=True) if not one])
    parts = watershed(-distance, markers, mask=cell).astype(np.uint8)
    if (cell & (parts == 0)).any():
        parts = np.where(cell, nearest_parts(parts, voxel), np.uint8(0))
    _keep_whole(parts, pieces, shared)
    return parts, ~shared[pieces], []


def nearest_parts(parts: NDArray[np.uint8], voxel: Voxel) -> NDArray[np.uint8]:
    """Each voxel that is 0 gets the value of the nearest other one; of none, all stay 0."""
    if not parts.any():
        return parts
    place = ndimage.distance_transform_edt(
        parts == 0, sampling=voxel, return_distances=False, return_indices=True
    )
    found: NDArray[np.uint8] = parts[tuple(place)]
    return found


def _nearest(cell: Mask, point: Index, voxel: Voxel) -> Index | None:
    """The voxel of a cell nearest to a point among it and those around; None if there is none."""
    low = [max(0, at - 1) for at in point]
    around = cell[tuple(slice(a, max(0, at + 2)) for a, at in zip(low, point, strict=True))]
    found = np.argwhere(around) + low
    if not len(found):
        return None
    squares = (((found - point) * np.array(voxel)) ** 2).sum(axis=1)
    z, y, x = map(int, found[np.argmin(squares)])
    return z, y, x


def _climb(markers: NDArray[np.uint8], distance: Grey, seeds: Sequence[Index]) -> None:
    """Mark the steepest way up from each seed, in place, unless it meets that of another one.

    A seed near the membrane would lose the middle of its part to the others.
    """
    ways = [_way_up(distance, seed) for seed in seeds]
    counts = Counter(voxel for way in ways for voxel in way)
    for seed, way in zip(seeds, ways, strict=True):
        part = markers[seed]
        if all(counts[voxel] == 1 and markers[voxel] in (0, part) for voxel in way):
            for voxel in way:
                markers[voxel] = part


def _way_up(distance: Grey, seed: Index) -> list[Index]:
    """Voxels from a seed to a summit, each the highest of the 26 around the one before."""
    way = [seed]
    while True:
        z, y, x = way[-1]
        low = [max(0, at - 1) for at in (z, y, x)]
        around = distance[low[0] : z + 2, low[1] : y + 2, low[2] : x + 2]
        step = np.unravel_index(int(np.argmax(around)), around.shape)
        place = low[0] + int(step[0]), low[1] + int(step[1]), low[2] + int(step[2])
        if distance[place] <= distance[way[-1]]:
            return way
        way.append(place)


def _keep_whole(
    parts: NDArray[np.uint8], pieces: NDArray[np.integer], shared: NDArray[np.bool_]
) -> None:
    """Each piece that no two points share gets the part that has most of it, in place."""
    count = len(shared)
    most = int(parts.max(initial=0)) + 1
    inside = pieces > 0
    pairs = pieces[inside].astype(np.int64) * most + parts[inside]
    owner = np.bincount(pairs, minlength=count * most).reshape(count, most).argmax(axis=1)
    whole = ~shared[pieces]
    parts[whole] = owner[pieces[whole]]
