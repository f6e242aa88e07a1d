"""The surface of an object at sub-voxel accuracy: marching cubes of its smoothed fraction image.

A fraction image holds the share of each voxel that the object fills, from 0 to 1. It is smoothed by
a Gaussian that is as wide along z as in the plane, so that slices five times as deep as pixels are
wide leave no terraces. Smoothing shrinks convex parts: the 0.5 level of a blurred sphere of radius
R lies sigma**2 / R inside its surface. The level is therefore the one that encloses the volume of
the object, which removes that bias to first order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.compiled import compiled
from hela_dask.kernels.filters import TRUNCATE
from hela_dask.kernels.marching import march
from hela_dask.kernels.morphology import box_around
from hela_dask.kernels.smoothing import smooth_volume, value_of_rank
from hela_dask.types import Floats, Grey, Mask, Sides, Voxel

__all__ = ["Surface", "crop_fraction", "find_surface"]

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
        return _face_areas(self.vertices, self.faces)

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
    places, rooms = [], []
    box = box_around(fraction, 0.0, voxel)
    for part, length, size, sides in zip(box, fraction.shape, voxel, cut, strict=True):
        low, high, (low_cut, high_cut) = part.start, part.stop, sides
        margin = math.ceil(TRUNCATE * sigma / size) + 1
        below = 0 if low_cut and low == 0 else margin
        above = 0 if high_cut and high == length else margin
        rooms.append((below, above))
        places.append(low - below)
    first = (places[0], places[1], places[2])
    return np.pad(fraction[box], rooms), first


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

    See Also
    --------
    hela_dask.kernels.marching.march
    """
    smooth = smooth_volume(fraction, [sigma / size for size in voxel])
    level = value_of_rank(smooth, round(float(fraction.sum(dtype=np.float64))), _LEAST)
    inside = smooth > level
    if not inside.any() or inside.all():
        return Surface(np.empty((0, 3)), np.empty((0, 3), np.int32), inside)
    triangles = _triangulate(smooth, level)
    # A side that cuts the object lies half a voxel beyond the last centres.
    places = np.clip(triangles[0], -0.5, np.array(smooth.shape) - 0.5) * np.array(voxel)
    return Surface(places, triangles[1], inside)


def _triangulate(smooth: Grey, level: float) -> tuple[Floats, NDArray[np.int32]]:
    """Marching cubes of an image with one voxel more on each side: vertices (voxels) and faces.

    The tables of cubes are not symmetric: axes are flipped and swapped to a standard orientation,
    so that volumes that are flipped, or transposed in the plane, have the same triangles.
    """
    lines = [np.zeros(length) for length in smooth.shape]
    _add_profiles(smooth, *lines)
    places = [np.arange(len(line)) - (len(line) - 1) / 2 for line in lines]
    flipped = [float(line @ place) < 0 for line, place in zip(lines, places, strict=True)]
    wide, high = (float(lines[axis] @ places[axis] ** 2) for axis in (2, 1))
    order = [0, 2, 1] if high < wide else [0, 1, 2]
    oriented = smooth[tuple(slice(None, None, -1 if flip else 1) for flip in flipped)]
    vertices, faces = march(oriented.transpose(order), level)
    vertices = vertices[:, order]
    for axis in np.flatnonzero(flipped):
        vertices[:, axis] = smooth.shape[axis] - 1 - vertices[:, axis]
    mirrored = (sum(flipped) + (high < wide)) % 2 == 1
    return vertices, faces[:, ::-1] if mirrored else faces


@compiled
def _add_profiles(image: Grey, along_z: Floats, along_y: Floats, along_x: Floats) -> None:
    """Add the sums of an image over all planes across each axis."""
    for z in range(image.shape[0]):
        for y in range(image.shape[1]):
            row, total = image[z, y], 0.0
            for x in range(len(row)):
                along_x[x] += row[x]
                total += row[x]
            along_z[z] += total
            along_y[y] += total


@compiled
def _face_areas(vertices: Floats, faces: NDArray[np.int32]) -> Floats:
    areas = np.empty(len(faces), np.float64)
    for number in range(len(faces)):
        a, b, c = vertices[faces[number, 0]], vertices[faces[number, 1]], vertices[faces[number, 2]]
        uz, uy, ux = b[0] - a[0], b[1] - a[1], b[2] - a[2]
        vz, vy, vx = c[0] - a[0], c[1] - a[1], c[2] - a[2]
        z, y, x = uy * vx - ux * vy, ux * vz - uz * vx, uz * vy - uy * vz
        areas[number] = math.sqrt(z * z + y * y + x * x) / 2
    return areas
