"""Euclidean distances up to a limit: exact, with time and memory bounded by the limit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hela_dask.kernels.compiled import compiled
from hela_dask.types import Grey, Mask

__all__ = ["bounded_depth_plane", "bounded_depth_volume"]


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
    along_x = np.empty(mask.shape, np.float32)
    found = np.empty(mask.shape, np.float32)
    _squared_along_x(mask, pixel[1], cap, 1, along_x)
    _minimum_along_y(along_x, pixel[0], cap, 1, found)
    for row in found:
        for x in range(row.size):
            row[x] = np.sqrt(row[x])
    return found


@compiled
def _bounded(
    mask: Mask, voxel: Grey, cap: np.float32, step: tuple[int, int], wanted: tuple[int, int]
) -> Grey:
    """Some slices: along x by counting, then along y and along z the least square."""
    depth, rows, columns = mask.shape
    first, last = wanted
    far = int(cap / voxel[0]) + 1
    ring = 2 * far + 1
    shape = (rows + step[0] - 1) // step[0], (columns + step[1] - 1) // step[1]
    along_x = np.empty((rows, shape[1]), np.float32)
    planes = np.empty((ring, *shape), np.float32)
    found = np.empty((last - first, *shape), np.float32)
    for z in range(max(0, first - far), last + far):
        if z < depth:
            _squared_along_x(mask[z], voxel[2], cap, step[1], along_x)
            _minimum_along_y(along_x, voxel[1], cap, step[0], planes[z % ring])
        here = z - far
        if here >= first:
            least = found[here - first]
            least[:] = planes[here % ring]
            for away in range(1, far + 1):
                more = np.float32((away * voxel[0]) ** 2)
                above, below = max(0, here - away), min(depth - 1, here + away)
                for y in range(len(least)):
                    _lower(least[y], planes[above % ring, y], planes[below % ring, y], more)
            for row in least:
                for x in range(row.size):
                    row[x] = np.sqrt(row[x])
    return found


@compiled
def _squared_along_x(plane: Mask, size: np.float32, cap: np.float32, step: int, out: Grey) -> None:
    """Squared distance along x to the nearest false pixel; infinite beyond the cap."""
    most = int(cap / size) + 1
    near = np.empty(plane.shape[1], np.int32)
    squared = np.empty(most + 1, np.float32)
    for away in range(most):
        squared[away] = (away * size) ** 2
    squared[most] = np.inf
    for row, squares in zip(plane, out):  # noqa: B905  compiled code has no strict zip
        away = most
        for x in range(row.size):
            away = min(away + 1, most) if row[x] else 0
            near[x] = away
        away = most
        for x in range(row.size - 1, -1, -1):
            away = min(away + 1, most) if row[x] else 0
            near[x] = min(near[x], away)
        for x in range(squares.size):
            squares[x] = squared[near[x * step]]


@compiled
def _minimum_along_y(
    squares: Grey, size: np.float32, cap: np.float32, step: int, out: Grey
) -> None:
    far = int(cap / size) + 1
    for number in range(len(out)):
        y, least = number * step, out[number]
        least[:] = squares[y]
        for away in range(1, far + 1):
            more = np.float32((away * size) ** 2)
            # Where there is none so far away, the outermost was nearer before, and changes nothing.
            above, below = max(0, y - away), min(len(squares) - 1, y + away)
            _lower(least, squares[above], squares[below], more)


@compiled
def _lower(least: Grey, one: Grey, other: Grey, more: np.float32) -> None:
    """The minimum of a row and of two others plus a constant; written so that it is vectorised."""
    for x in range(least.size):
        beyond = (one[x] if one[x] < other[x] else other[x]) + more
        least[x] = beyond if beyond < least[x] else least[x]
