"""Euclidean distances up to a limit: exact, with time and memory bounded by the limit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.compiled import compiled
from hela_dask.types import Grey, Mask

__all__ = ["bounded_depth_plane", "bounded_depth_volume", "squared_along_y"]


# Slices that are given together.
_SLAB = 64


def bounded_depth_volume(
    mask: Mask,
    voxel: tuple[float, float, float],
    cap: float,
    step: tuple[int, int] = (1, 1),
) -> Iterator[tuple[slice, Grey]]:
    """Distance in space from each true voxel to the nearest false one, some slices at a time.

    Distances up to `cap` are exact; larger ones are only known to be larger. So the input of a
    voxel is within the cap of it, and the memory does not grow with the depth of the mask. Faces of
    the array are no obstacles: farther voxels are not computed.

    Parameters
    ----------
    mask
        (z, y, x).
    voxel
        Voxel size (z, y, x) in nm.
    cap
        The largest exact distance, nm.
    step
        Only every so many rows and columns are computed.

    Yields
    ------
    part : slice
        Of the mask's slices.
    depth : ndarray of float32, (slices, rows, columns)
        nm.
    """
    sizes = np.asarray(voxel, dtype=np.float32)
    mask = np.ascontiguousarray(mask)
    for first in range(0, len(mask), _SLAB):
        last = min(len(mask), first + _SLAB)
        yield slice(first, last), _bounded(mask, sizes, np.float32(cap), step, (first, last))


def bounded_depth_plane(mask: Mask, pixel: tuple[float, float], cap: float) -> Grey:
    """Distance from each true pixel of a plane to the nearest false one, nm.

    As :func:`bounded_depth_volume`: up to `cap` it is exact, and larger ones are only known to be
    larger.
    """
    sizes = np.asarray(pixel, dtype=np.float32)
    return _bounded_plane(np.ascontiguousarray(mask), sizes, np.float32(cap))


@compiled
def _bounded_plane(mask: Mask, pixel: Grey, cap: np.float32) -> Grey:
    along_y = np.empty(mask.shape, np.float32)
    found = np.empty(mask.shape, np.float32)
    squared_along_y(mask, pixel[0], int(cap / pixel[0]) + 2, 1, 0, along_y)
    _minimum_along_x(along_y, pixel[1], cap, 1, found)
    _root(found)
    return found


@compiled
def _bounded(
    mask: Mask, voxel: Grey, cap: np.float32, step: tuple[int, int], wanted: tuple[int, int]
) -> Grey:
    """Some slices: along y by counting, then along x and along z the least square."""
    depth, rows, columns = mask.shape
    first, last = wanted
    far = int(cap / voxel[0]) + 1
    ring = 2 * far + 1
    shape = (rows + step[0] - 1) // step[0], (columns + step[1] - 1) // step[1]
    along_y = np.empty((shape[0], columns), np.float32)
    planes = np.empty((ring, *shape), np.float32)
    found = np.empty((last - first, *shape), np.float32)
    for z in range(max(0, first - far), last + far):
        if z < depth:
            squared_along_y(mask[z], voxel[1], int(cap / voxel[1]) + 2, step[0], 0, along_y)
            _minimum_along_x(along_y, voxel[2], cap, step[1], planes[z % ring])
        here = z - far
        if here >= first:
            least = found[here - first]
            least[:] = planes[here % ring]
            for away in range(1, far + 1):
                more = np.float32((away * voxel[0]) ** 2)
                above, below = max(0, here - away) % ring, min(depth - 1, here + away) % ring
                for y in range(shape[0]):
                    for x in range(shape[1]):
                        beyond = min(planes[above, y, x], planes[below, y, x]) + more
                        least[y, x] = min(beyond, least[y, x])
            _root(least)
    return found


@compiled
def _root(plane: Grey) -> None:
    for y in range(plane.shape[0]):
        for x in range(plane.shape[1]):
            plane[y, x] = np.sqrt(plane[y, x])


# The loops over x below are written so that the compiler vectorises them.
@compiled
def squared_along_y(
    plane: Mask, size: float, most: int, step: int, first: int, out: NDArray[np.floating]
) -> None:
    """Squared distance along y to the nearest false pixel, in every so many rows from the first.

    It is infinite where that is `most` pixels away or more.
    """
    rows, columns = plane.shape
    away, limit = np.full(columns, most, np.int32), np.int32(most)
    near = np.empty(out.shape, np.int32)
    for y in range(rows):
        for x in range(columns):
            away[x] = min(away[x] + np.int32(1), limit) if plane[y, x] else np.int32(0)
        if y % step == first:
            for x in range(columns):
                near[y // step, x] = away[x]
    away[:] = limit
    for y in range(rows - 1, -1, -1):
        for x in range(columns):
            away[x] = min(away[x] + np.int32(1), limit) if plane[y, x] else np.int32(0)
        if y % step == first:
            for x in range(columns):
                least = min(near[y // step, x], away[x])
                out[y // step, x] = (least * size) ** 2 if least < limit else np.inf


@compiled
def _minimum_along_x(
    squares: Grey, size: np.float32, cap: np.float32, step: int, out: Grey
) -> None:
    columns = squares.shape[1]
    far = min(int(cap / size) + 1, columns - 1)
    least = np.empty(columns, np.float32)
    for number in range(len(out)):
        for x in range(columns):
            least[x] = squares[number, x]
        for away in range(1, far + 1):
            more = np.float32((away * size) ** 2)
            for x in range(columns - away):
                beyond = squares[number, x] + more
                least[x + away] = beyond if beyond < least[x + away] else least[x + away]
            for x in range(columns - away):
                beyond = squares[number, x + away] + more
                least[x] = beyond if beyond < least[x] else least[x]
        for x in range(out.shape[1]):
            out[number, x] = least[x * step]
