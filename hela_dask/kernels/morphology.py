"""Discs of any radius through distance transforms, holes, and small pieces; radii in nm."""

from __future__ import annotations

from typing import Any

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = [
    "EIGHT",
    "areas",
    "box_around",
    "close",
    "depth_inside",
    "dilate",
    "distance_to",
    "erode",
    "open_",
    "pieces_without",
    "remove_pieces",
    "touching_border",
]

Mask = NDArray[np.bool_]
Labels = NDArray[np.signedinteger[Any]]

# 8-connected neighbourhood in a plane.
EIGHT = np.ones((3, 3), dtype=bool)


def distance_to(mask: Mask, pixel: tuple[float, ...]) -> NDArray[np.float32]:
    """Distance in nm from each pixel to the nearest true one; infinite where none is.

    The border of the array is no obstacle and no object: what lies beyond is not known.
    """
    return depth_inside(~mask, pixel)


def depth_inside(mask: Mask, pixel: tuple[float, ...]) -> NDArray[np.float32]:
    """Distance in nm from each true pixel to the nearest false one; 0 on false ones."""
    distance: NDArray[np.float32] = edt.edt(
        np.ascontiguousarray(mask), anisotropy=tuple(pixel), black_border=False, parallel=1
    )
    return distance


def dilate(mask: Mask, radius: float, pixel: tuple[float, ...]) -> Mask:
    """Everything within `radius` (nm) of the mask."""
    return distance_to(mask, pixel) <= radius


def erode(mask: Mask, radius: float, pixel: tuple[float, ...]) -> Mask:
    """What lies further than `radius` (nm) inside the mask."""
    return depth_inside(mask, pixel) > radius


def close(mask: Mask, radius: float, pixel: tuple[float, ...]) -> Mask:
    """Fill the gaps that a disc of `radius` (nm) does not fit into."""
    return erode(dilate(mask, radius, pixel), radius, pixel)


def open_(mask: Mask, radius: float, pixel: tuple[float, ...]) -> Mask:
    """Remove what a disc of `radius` (nm) does not fit into."""
    return dilate(erode(mask, radius, pixel), radius, pixel)


def areas(labels: Labels, pixel: tuple[float, ...]) -> NDArray[np.float64]:
    """Area in µm² of each label of a plane, index 0 (no label) set to zero."""
    pixels = np.bincount(labels.ravel()).astype(np.float64)
    sizes: NDArray[np.float64] = pixels * (float(np.prod(pixel)) * 1e-6)
    sizes[0] = 0.0
    return sizes


def remove_pieces(mask: Mask, area: float, pixel: tuple[float, ...]) -> Mask:
    """Drop 4-connected pieces of a plane under `area` (µm²)."""
    labels, _ = ndimage.label(mask)
    keep = areas(labels, pixel) >= area
    keep[0] = False
    kept: Mask = keep[labels]
    return kept


def pieces_without(mask: Mask, inside: Mask) -> Mask:
    """The 4-connected pieces of a plane that hold nothing of `inside`, which is part of it."""
    pieces, count = ndimage.label(mask)
    without = np.bincount(pieces[inside], minlength=count + 1) == 0
    without[0] = False
    found: Mask = without[pieces]
    return found


def box_around(mask: NDArray[Any], margin: float, size: tuple[float, ...]) -> tuple[slice, ...]:
    """The smallest box that holds all that is not zero, and `margin` (nm) more on each side.

    It ends where the array does. With a margin it is a little wider, so that what lies just beyond
    is seen. Of an empty mask it is empty.
    """
    bounds = []
    for axis, step in enumerate(size):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        places = np.flatnonzero(mask.any(axis=others))
        if not places.size:
            return (slice(0, 0),) * mask.ndim
        more = int(margin / step) + 2 if margin else 0
        low, high = int(places[0]) - more, int(places[-1]) + 1 + more
        bounds.append(slice(max(0, low), min(mask.shape[axis], high)))
    return tuple(bounds)


def touching_border(labels: Labels) -> Labels:
    """The labels, without 0, that touch the border of the plane."""
    sides = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    found = np.unique(sides)
    return found[found > 0]
