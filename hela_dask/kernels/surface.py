"""The surface of an object at sub-voxel accuracy: marching cubes of its smoothed fraction image.

A fraction image holds the share of each voxel that the object fills, from 0 to 1. It is smoothed by
a Gaussian that is as wide along z as in the plane, so that slices five times as deep as pixels are
wide leave no terraces. Smoothing shrinks convex parts: the 0.5 level of a blurred sphere of radius
R lies sigma**2 / R inside its surface. The level is therefore the one that encloses the volume of
the object, which removes that bias to first order.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import marching_cubes

from hela_dask.box import Box
from hela_dask.kernels.filters import TRUNCATE
from hela_dask.types import Floats, Grey, Mask, Sides, Voxel

__all__ = ["Surface", "crop_fraction", "fill_cavities", "find_surface"]

# Values of the smoothed fraction below this are rounding: no level lies there.
_LEAST = 1e-3


@dataclass(frozen=True)
class Surface:
    """A triangulated surface.

    Attributes
    ----------
    vertices : ndarray of float64, (n, 3)
        z, y, x in nm, from the centre of the first voxel of the fraction image.
    faces : ndarray of int32, (m, 3)
        Vertices of each triangle.
    inside : ndarray of bool, (z, y, x)
        The voxels of the fraction image with their centre inside.
    """

    vertices: Floats
    faces: NDArray[np.int32]
    inside: Mask

    def face_areas(self) -> Floats:
        """Area of each triangle, nm²."""
        a, b, c = (self.vertices[self.faces[:, corner]] for corner in range(3))
        normals = np.cross(b - a, c - a)
        areas: Floats = np.sqrt(np.einsum("ij,ij->i", normals, normals)) / 2
        return areas

    def area(self) -> float:
        """Area of the surface, nm²; 0 where there is none."""
        return float(self.face_areas().sum())

    def vertex_areas(self) -> Floats:
        """Area that each vertex stands for, nm²: a third of the triangles around it."""
        thirds = np.repeat(self.face_areas() / 3, 3)
        areas = np.bincount(self.faces.ravel(), thirds, minlength=len(self.vertices))
        return areas.astype(np.float64)


def crop_fraction(
    fraction: Grey, voxel: Voxel, sigma: float, cut: Sides
) -> tuple[Grey, tuple[int, int, int]]:
    """The object of a fraction image with as many empty voxels around as a sigma (nm) needs.

    Parameters
    ----------
    fraction
        (z, y, x).
    voxel
        Voxel size (z, y, x) in nm.
    sigma
        Standard deviation of the smoothing in nm.
    cut
        For each axis, whether its lower and its upper side cut the object. No voxels are added
        there.

    Returns
    -------
    cropped : ndarray of float32, (z, y, x)
    first : tuple of int
        Place (z, y, x) of its first voxel in `fraction`; negative where voxels were added.
    """
    ends, places, rooms = [], [], []
    for axis, (size, (low_cut, high_cut)) in enumerate(zip(voxel, cut, strict=True)):
        others = tuple(other for other in range(3) if other != axis)
        filled = np.flatnonzero(fraction.any(axis=others))
        low, high = (int(filled[0]), int(filled[-1]) + 1) if filled.size else (0, 0)
        margin = math.ceil(TRUNCATE * sigma / size) + 1
        below = 0 if low_cut and low == 0 else margin
        above = 0 if high_cut and high == fraction.shape[axis] else margin
        ends.append((low, high))
        rooms.append((below, above))
        places.append(low - below)
    first = (places[0], places[1], places[2])
    return np.pad(fraction[Box.of(ends)], rooms), first


def fill_cavities(fraction: Grey) -> Grey:
    """A fraction image without cavities: the spaces that no path leads to from an array side.

    A space is 6-connected, of voxels that are less than half full.
    """
    spaces, count = ndimage.label(fraction < 0.5)
    outside = np.zeros(count + 1, dtype=bool)
    outside[0] = True
    for axis, end in itertools.product(range(3), (0, -1)):
        outside[np.take(spaces, end, axis)] = True
    if outside.all():
        return fraction
    return np.where(outside[spaces], fraction, np.float32(1))


def find_surface(fraction: Grey, voxel: Voxel, sigma: float) -> Surface:
    """Triangulate the surface of an object.

    Parameters
    ----------
    fraction
        (z, y, x) as :func:`crop_fraction` returns it. A side of the array that cuts the object has
        no surface.
    voxel
        Voxel size (z, y, x) in nm.
    sigma
        Standard deviation of the smoothing in nm, at least the largest side of a voxel.

    Returns
    -------
    Surface
        Without triangles where the object fills nothing or the whole array.

    Notes
    -----
    The triangles are those of W. E. Lorensen and H. E. Cline, "Marching cubes", SIGGRAPH 1987, by
    the tables of T. Lewiner et al., Journal of Graphics Tools 8 (2003), as
    :func:`skimage.measure.marching_cubes` has them.
    """
    smooth = ndimage.gaussian_filter(
        fraction,
        [sigma / size for size in voxel],
        output=np.float32,
        mode="nearest",
        truncate=TRUNCATE,
    )
    level = _level(smooth, float(fraction.sum(dtype=np.float64)))
    inside = smooth > level
    if not inside.any() or inside.all():
        return Surface(np.empty((0, 3)), np.empty((0, 3), np.int32), inside)
    triangles = _triangulate(smooth, level)
    # A side that cuts the object lies half a voxel beyond the last centres.
    places = np.clip(triangles[0] - 1, -0.5, np.array(smooth.shape) - 0.5) * np.array(voxel)
    return Surface(places, triangles[1], inside)


def _triangulate(smooth: Grey, level: float) -> tuple[Floats, NDArray[np.int32]]:
    """Marching cubes of an image with one voxel more on each side: vertices (voxels) and faces.

    The tables of cubes are not symmetric: axes are flipped and swapped to a standard orientation,
    so that volumes that are flipped, or transposed in the plane, have the same triangles.
    """
    lines = [smooth.sum(axis=axes, dtype=np.float64) for axes in ((1, 2), (0, 2), (0, 1))]
    places = [np.arange(len(line)) - (len(line) - 1) / 2 for line in lines]
    flipped = [float(line @ place) < 0 for line, place in zip(lines, places, strict=True)]
    wide, high = (float(lines[axis] @ places[axis] ** 2) for axis in (2, 1))
    order = [0, 2, 1] if high < wide else [0, 1, 2]
    oriented = smooth[tuple(slice(None, None, -1 if flip else 1) for flip in flipped)]
    padded = np.pad(oriented.transpose(order), 1, mode="edge")
    vertices, faces, _, _ = marching_cubes(padded, level)
    vertices = vertices[:, order].astype(np.float64)
    for axis in np.flatnonzero(flipped):
        vertices[:, axis] = smooth.shape[axis] + 1 - vertices[:, axis]
    mirrored = (sum(flipped) + (high < wide)) % 2 == 1
    return vertices, (faces[:, ::-1] if mirrored else faces).astype(np.int32)


def _level(smooth: Grey, volume: float) -> float:
    """The level above which as many voxels lie as a `volume` (voxels) has."""
    values = smooth[smooth > _LEAST]
    count = min(round(volume), values.size)
    if count == 0:
        return math.inf
    if count == values.size:
        return _LEAST
    first = values.size - count  # of those above, in ascending order
    values.partition((first - 1, first))
    return float(values[first - 1] + values[first]) / 2
