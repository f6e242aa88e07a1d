"""Morphology with discs of any radius by distance transforms, holes, and small pieces.

Radii in nm.
"""

from __future__ import annotations

import math
from typing import Any

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.box import Box
from hela_dask.kernels.bounded_distance import bounded_depth_plane
from hela_dask.kernels.clearance import count_limits
from hela_dask.kernels.compiled import compiled
from hela_dask.kernels.pieces import fill_plane, large_pieces, unmarked_pieces
from hela_dask.types import Labels, Mask

__all__ = [
    "CONNECTIVITY_8",
    "areas",
    "box_around",
    "close",
    "depth_inside",
    "dilate",
    "distance_to",
    "erode",
    "fill",
    "fill_small",
    "open_",
    "pieces_without",
    "remove_pieces",
    "shell",
    "touching_border",
]


# 8-connected neighbourhood in a plane.
CONNECTIVITY_8 = np.ones((3, 3), dtype=bool)

# For few pixels, brute force is faster than a distance transform.
_NEAR = 24


def distance_to(mask: Mask, pixel: tuple[float, ...], cap: float = math.inf) -> NDArray[np.float32]:
    """Distance in nm from each pixel to the nearest true one; infinite where none is.

    The border of the array is no obstacle and no object: farther voxels are not computed. Where
    only distances up to a `cap` (nm) matter, larger ones are only known to be larger.
    """
    return depth_inside(~mask, pixel, cap)


def depth_inside(
    mask: Mask, pixel: tuple[float, ...], cap: float = math.inf
) -> NDArray[np.float32]:
    """Distance in nm from each true pixel to the nearest false one; 0 on false ones.

    The `cap` is that of :func:`distance_to`.
    """
    if mask.ndim == 2 and cap <= _NEAR * min(pixel):
        return bounded_depth_plane(mask, (pixel[0], pixel[1]), cap)
    distance: NDArray[np.float32] = edt.edt(
        np.ascontiguousarray(mask), anisotropy=tuple(pixel), black_border=False, parallel=1
    )
    return distance


def shell(mask: Mask, near: float, far: float, pixel: tuple[float, float]) -> Mask:
    """The pixels of a plane more than `near` and at most `far` (nm) away from the mask."""
    if far > _NEAR * min(pixel):
        away = distance_to(mask, pixel, far)
        return (away > near) & (away <= far)
    # As one slice, with a distance to others that is too long to count.
    found: Mask = count_limits(~mask[None], (2 * far + 1, *pixel), [near, far])[0] == 1
    return found


def dilate(mask: Mask, radius: float, pixel: tuple[float, ...]) -> Mask:
    """Everything within `radius` (nm) of the mask."""
    grown = np.zeros(mask.shape, dtype=bool)
    box = box_around(mask, radius, pixel)
    if grown[box].size:
        grown[box] = distance_to(mask[box], pixel, radius) <= radius
    return grown


def erode(mask: Mask, radius: float, pixel: tuple[float, ...]) -> Mask:
    """The pixels farther than `radius` (nm) inside the mask."""
    left = np.zeros(mask.shape, dtype=bool)
    box = box_around(mask, radius, pixel)
    if left[box].size:
        left[box] = depth_inside(mask[box], pixel, radius) > radius
    return left


def close(mask: Mask, radius: float, pixel: tuple[float, ...]) -> Mask:
    """Fill the gaps that a disc of `radius` (nm) does not fit into."""
    return erode(dilate(mask, radius, pixel), radius, pixel)


def open_(mask: Mask, radius: float, pixel: tuple[float, ...]) -> Mask:
    """Remove the parts that a disc of `radius` (nm) does not fit into."""
    return dilate(erode(mask, radius, pixel), radius, pixel)


def fill(mask: Mask) -> Mask:
    """Fill the holes of a plane's mask: all pixels without a 4-connected path to the border."""
    filled = mask.copy()
    box = box_around(mask, 0.0, (1.0, 1.0))
    if filled[box].size:
        filled[box] = fill_plane(mask[box])
    return filled


def fill_small(mask: Mask, area: float, pixel: tuple[float, ...]) -> Mask:
    """Fill the holes of a plane's mask under `area` (µm²).

    A hole is a piece of the rest that ends within the mask's bounding box, or at the plane's sides.
    """
    filled = mask.copy()
    box = box_around(mask, 0.0, (1.0, 1.0)).grow(1).clip(mask.shape)
    # Only the mask's surroundings are labelled: what continues beyond them is no hole.
    pieces, count = ndimage.label(~mask[box])
    hole = areas(pieces, pixel) < area
    hole[0] = False
    for axis, (part, length) in enumerate(zip(box, mask.shape, strict=True)):
        for end, inner in ((0, part.start > 0), (-1, part.stop < length)):
            if inner and count:
                hole[np.take(pieces, end, axis)] = False
    filled[box] |= hole[pieces]
    return filled


def areas(labels: Labels, pixel: tuple[float, ...]) -> NDArray[np.float64]:
    """Area in µm² of each label of a plane, index 0 (no label) set to zero."""
    pixels = np.bincount(labels.ravel(), minlength=1).astype(np.float64)
    sizes: NDArray[np.float64] = pixels * (float(np.prod(pixel)) * 1e-6)
    sizes[0] = 0.0
    return sizes


def remove_pieces(mask: Mask, area: float, pixel: tuple[float, ...]) -> Mask:
    """Drop 4-connected pieces of a plane under `area` (µm²)."""
    return large_pieces(mask, area, float(np.prod(pixel)) * 1e-6)


def pieces_without(mask: Mask, inside: Mask) -> Mask:
    """The 4-connected pieces of a plane that hold nothing of `inside`, which is part of it."""
    found = np.zeros(mask.shape, dtype=bool)
    box = box_around(mask, 0.0, (1.0, 1.0))
    if found[box].size:
        found[box] = unmarked_pieces(mask[box], inside[box])
    return found


def box_around(mask: NDArray[Any], margin: float, size: tuple[float, ...]) -> Box:
    """The bounding box of a mask, with `margin` (nm) on each side.

    It is clipped to the array. With a margin it is slightly wider, to include its surroundings. It
    is empty for an empty mask.
    """
    columns = np.zeros(mask.shape[-1], dtype=bool)
    *ends, count = _ends(mask if mask.ndim == 3 else mask[None], columns)
    if not count:
        return Box.whole([0] * mask.ndim)
    ends.append((int(columns.argmax()), columns.size - int(columns[::-1].argmax())))
    more = [int(margin / step) + 2 if margin else 0 for step in size]
    return Box.of(ends[-mask.ndim :]).grow(more).clip(mask.shape)


@compiled
def _ends(mask: NDArray[Any], columns: Mask) -> tuple[tuple[int, int], tuple[int, int], int]:
    """First and last + 1 of a volume's slices and rows that are not empty, and how many rows are.

    Also sets the columns that are not empty.
    """
    z0, z1, y0, y1, count = mask.shape[0], 0, mask.shape[1], 0, 0
    for z in range(mask.shape[0]):
        for y in range(mask.shape[1]):
            found = False
            for x in range(mask.shape[2]):
                found |= mask[z, y, x] != 0
            if found:
                count += 1
                z0, z1, y0, y1 = min(z0, z), z + 1, min(y0, y), max(y1, y + 1)
                for x in range(mask.shape[2]):
                    columns[x] |= mask[z, y, x] != 0
    return (z0, z1), (y0, y1), count


def touching_border(labels: Labels) -> Labels:
    """The labels, without 0, that touch the border of the plane."""
    sides = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    found = np.unique(sides)
    return found[found > 0]
