"""Euclidean distances: in a plane from the resin, on a grid of it, and in a mask of three axes.

Those in a plane are the altitude maps for the detection of cells and for their basins.
"""

from __future__ import annotations

import edt
import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.bounded_distance import squared_along_y
from hela_dask.kernels.compiled import compiled
from hela_dask.kernels.morphology import depth_inside
from hela_dask.types import Grey, Mask, Voxel

__all__ = ["depth_on_grid", "distance_inside", "distance_slice"]


def distance_slice(
    background: NDArray[np.bool_], pixel: tuple[float, float], *, border: bool = True
) -> NDArray[np.float32]:
    """Exact Euclidean distance, in the plane, from each pixel to the nearest background pixel.

    Parameters
    ----------
    background
        (y, x) mask of one whole plane, true in the resin.
    pixel
        Pixel size (y, x) in nm; the two may differ.
    border
        Whether the plane is surrounded by background (as in method A.3 for the detection of cells):
        a pixel of the outermost row is then one pixel away from it at most.

    Returns
    -------
    ndarray of float32, (y, x)
        nm between pixel centres; 0 in the background. Where there is no background at all, and the
        border is none either, the distance is undefined: infinite everywhere.
    """
    tissue = np.ascontiguousarray(~np.asarray(background, dtype=bool))
    distance: NDArray[np.float32] = edt.edt(
        tissue, anisotropy=(float(pixel[0]), float(pixel[1])), black_border=border, parallel=1
    )
    return distance


def distance_inside(mask: Mask, voxel: Voxel) -> Grey:
    """Exact Euclidean distance from each voxel to the nearest false one, nm between centres.

    Parameters
    ----------
    mask
        (z, y, x); nothing is known beyond its sides.
    voxel
        Voxel size (z, y, x) in nm.

    Returns
    -------
    ndarray of float32, (z, y, x)
        0 on false voxels; NaN everywhere where there are none.
    """
    if mask.all():
        return np.full(mask.shape, np.nan, np.float32)
    return depth_inside(mask, voxel)


def depth_on_grid(mask: Mask, pixel: tuple[float, float], step: tuple[int, int]) -> Grey:
    """Exact distance from pixels of a grid to the nearest false pixel of a plane, nm.

    Parameters
    ----------
    mask
        (y, x).
    pixel
        Pixel size (y, x) in nm.
    step
        Pixels between the points of the grid (y, x), no more than there are; the first is in the
        middle of its block.

    Returns
    -------
    ndarray of float32, (rows, columns)
        0 on false pixels; infinite where there are none.

    See Also
    --------
    Felzenszwalb and Huttenlocher, Distance Transforms of Sampled Functions, Theory of Computing 8,
    2012: the lower envelope of parabolas along x.
    """
    sizes = float(pixel[0]), float(pixel[1])
    return _depth_on_grid(np.ascontiguousarray(mask), sizes, (int(step[0]), int(step[1])))


@compiled
def _depth_on_grid(mask: Mask, pixel: tuple[float, float], step: tuple[int, int]) -> Grey:
    rows, columns = mask.shape
    places = range(step[0] // 2, rows, step[0]), range(step[1] // 2, columns, step[1])
    squares = np.empty((len(places[0]), columns), np.float64)
    squared_along_y(mask, pixel[0], 2 * rows, step[0], step[0] // 2, squares)
    found = np.empty((len(places[0]), len(places[1])), np.float32)
    least = np.empty(len(places[1]), np.float64)
    for row in range(len(squares)):
        _lower_envelope(squares[row], pixel[1], places[1], least)
        for number in range(len(least)):
            found[row, number] = np.sqrt(least[number])
    return found


@compiled
def _lower_envelope(
    height: NDArray[np.float64], size: float, places: range, out: NDArray[np.float64]
) -> None:
    """The least of the parabolas that stand on each height, at some places."""
    lowest, begins = np.empty(height.size, np.int64), np.empty(height.size, np.float64)
    count, square = 0, size**2
    for y in range(height.size):
        if height[y] < np.inf:
            begin = -np.inf
            while count:
                other = lowest[count - 1]
                begin = (height[y] - height[other]) / (2 * square * (y - other)) + (y + other) / 2
                if begin > begins[count - 1]:
                    break
                count -= 1
            lowest[count], begins[count] = y, begin if count else -np.inf
            count += 1
    at = 0
    for number, y in enumerate(places):
        while at + 1 < count and begins[at + 1] < y:
            at += 1
        out[number] = height[lowest[at]] + square * (y - lowest[at]) ** 2 if count else np.inf
