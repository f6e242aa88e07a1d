"""Measures of the shape of one object: principal axes, convex hull, invagination, protrusions.

Also the thickness of the layer between the surfaces of two objects, one inside the other. Lengths
in nm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError, cKDTree
from scipy.spatial.distance import cdist

from hela_dask.kernels.bounded_distance import bounded_depth_volume
from hela_dask.kernels.morphology import box_around
from hela_dask.kernels.surface import Surface
from hela_dask.types import Floats, Grey, Mask, Voxel

__all__ = [
    "Hull",
    "Moments",
    "Thickness",
    "convex_hull",
    "find_moments",
    "holds_ball",
    "invagination_depth",
    "layer_thickness",
    "protruding_share",
    "sphericity",
]

# Pairs of points, or points and planes, in memory at a time.
_PAIRS = 2**22


@dataclass(frozen=True)
class Moments:
    """Volume, centroid and principal axes of an object.

    Attributes
    ----------
    volume : float
        nm³.
    centroid : ndarray of float64, (3,)
        z, y, x in nm, from the centre of the first voxel.
    axes : ndarray of float64, (3,)
        Full lengths, the longest first, of the ellipsoid of the same second moments, nm.
    directions : ndarray of float64, (3, 3)
        Unit vector (z, y, x) of each axis; its largest component is positive.
    """

    volume: float
    centroid: Floats
    axes: Floats
    directions: Floats


def find_moments(fraction: Grey, voxel: Voxel) -> Moments:
    """Moments up to the second order of a fraction image (z, y, x) that is not empty."""
    sides = (0, 1, 2)
    at = [np.arange(n) * size for n, size in zip(fraction.shape, voxel, strict=True)]
    plane = {pair: np.zeros([fraction.shape[axis] for axis in pair]) for pair in ((0, 1), (0, 2))}
    flat = np.zeros(fraction.shape[1:])
    for z, values in enumerate(fraction):
        plane[0, 1][z] = values.sum(axis=1, dtype=np.float64)
        plane[0, 2][z] = values.sum(axis=0, dtype=np.float64)
        flat += values
    plane[1, 2] = flat
    total = float(flat.sum())
    lines = [plane[0, 1].sum(1), flat.sum(1), flat.sum(0)]
    centroid = np.array([line @ place for line, place in zip(lines, at, strict=True)]) / total
    from_centre = [place - middle for place, middle in zip(at, centroid, strict=True)]
    covariance = np.empty((3, 3))
    for axis in sides:
        covariance[axis, axis] = lines[axis] @ from_centre[axis] ** 2 / total
    for (one, other), values in plane.items():
        mixed = from_centre[one] @ values @ from_centre[other] / total
        covariance[one, other] = covariance[other, one] = mixed
    variances, vectors = np.linalg.eigh(covariance)
    directions = vectors.T[::-1]
    largest = np.argmax(np.abs(directions) > np.abs(directions).max(1, keepdims=True) - 1e-9, 1)
    directions = directions * np.sign(directions[sides, largest])[:, None]
    # The variance along a half axis a of an ellipsoid is a**2 / 5.
    axes = 2 * np.sqrt(5 * np.maximum(variances[::-1], 0))
    return Moments(total * math.prod(voxel), centroid, axes, directions)


def sphericity(volume: float, area: float) -> float:
    """Area of the sphere of the same volume over the area: 1 for a sphere, else less (Wadell)."""
    return math.cbrt(math.pi * (6 * volume) ** 2) / area


@dataclass(frozen=True)
class Hull:
    """The convex hull of a surface.

    Attributes
    ----------
    volume, area, diameter : float
        nm³, nm², and the largest distance of two of its points, nm.
    planes : ndarray of float64, (n, 4)
        Outward unit normal (z, y, x) and offset of each facet: ``normal @ point + offset`` is the
        signed distance in nm of a point, negative inside.
    """

    volume: float
    area: float
    diameter: float
    planes: Floats


def convex_hull(surface: Surface) -> Hull | None:
    """The convex hull of the vertices of a surface; None where they lie in a plane or are none."""
    try:
        hull = ConvexHull(surface.vertices)
    except (QhullError, ValueError):  # ValueError: no points
        return None
    widest = _diameter(hull.points[hull.vertices])
    return Hull(float(hull.volume), float(hull.area), widest, hull.equations)


def _diameter(points: Floats) -> float:
    """The largest distance between two points.

    Two points at distances r and s from any third one are at most r + s apart: only points that
    are far from the middle of a long pair of points are compared.
    """
    one = points[0]
    for _ in range(4):
        one, other = points[np.argmax(((points - one) ** 2).sum(axis=1))], one
    widest = math.dist(one, other)
    radii = np.sqrt(((points - (one + other) / 2) ** 2).sum(axis=1))
    points = points[radii >= widest - radii.max() - 1e-6]
    rows = max(1, _PAIRS // len(points))
    return max(
        float(cdist(points[first : first + rows], points).max())
        for first in range(0, len(points), rows)
    )


def invagination_depth(surface: Surface, hull: Hull, least: float) -> float:
    """The largest distance from a point on a surface to the surface of its convex hull, nm.

    It is the depth of the deepest fold or pit, and of a channel right through the distance of its
    middle to the nearest side of the hull. Depths up to `least` (nm) are those of terraces of
    voxels: the result is then 0. Distances are bounded facet by facet, so that only the deepest
    vertices are compared with all facets.
    """
    points, planes = surface.vertices, hull.planes
    # Facets beside each other bound the same points: they are taken in a mixed order.
    planes = planes[np.random.default_rng(0).permutation(len(planes))]
    left = np.arange(len(points))
    depth = np.full(len(points), math.inf)
    deepest, first, count = least, 0, 16
    while first < len(planes) and len(left):
        some = planes[first : first + count]
        step = max(1, _PAIRS // len(some))
        for begin in range(0, len(left), step):
            part = left[begin : begin + step]
            near = -(points[part] @ some[:, :3].T + some[:, 3]).max(axis=1)
            depth[part] = np.minimum(depth[part], near)
        candidate = points[left[np.argmax(depth[left])]]
        deepest = max(deepest, float(-(planes[:, :3] @ candidate + planes[:, 3]).max()))
        left = left[depth[left] > deepest]
        first, count = first + count, count * 2
    deepest = max(deepest, float(depth[left].max(initial=0.0)))
    return deepest if deepest > least else 0.0


def holds_ball(mask: Mask, voxel: Voxel, radius: float) -> bool:
    """Whether the box around a mask is large enough for a ball of a radius (nm)."""
    box = box_around(mask, 0.0, voxel)
    return all(
        (length + 1) / 2 * size > radius for length, size in zip(box.shape, voxel, strict=True)
    )


def protruding_share(fraction: Grey, depth: Grey, voxel: Voxel, radius: float) -> float:
    """Share of the volume that a ball inside the object does not reach.

    This is the volume outside the morphological opening by the ball. Voxels within half the
    diagonal of a voxel of the opening count as reached: a ball of voxels has no smooth surface.

    Parameters
    ----------
    fraction
        (z, y, x).
    depth
        (z, y, x), distance in nm of each voxel inside to the nearest one outside; 0 outside.
    voxel
        Voxel size (z, y, x) in nm.
    radius
        Of the ball, nm.
    """
    beyond_core = depth <= radius
    if beyond_core.all():
        return 1.0
    far, outside, total = radius + math.hypot(*voxel) / 2, 0.0, 0.0
    for part, away in bounded_depth_volume(beyond_core, voxel, far):
        shares = fraction[part]
        outside += float(shares[away > far].sum(dtype=np.float64))
        total += float(shares.sum(dtype=np.float64))
    return outside / total


@dataclass(frozen=True)
class Thickness:
    """Distances from an inner surface to the surface around it, nm.

    Attributes
    ----------
    least, median : float
        The median is that over the area of the inner surface.
    """

    least: float
    median: float


def layer_thickness(
    inner: Surface, outer: Surface, depth: Grey, voxel: Voxel, offset: Floats
) -> Thickness:
    """Thickness of the layer between two surfaces, one inside the other.

    The least is that between vertices. The median is that of the distances to the nearest voxel
    outside, which are about a fifth of a voxel larger.

    Parameters
    ----------
    inner, outer
        Not empty.
    depth
        (z, y, x), distance in nm of each voxel inside `outer` to the nearest one outside.
    voxel
        Voxel size (z, y, x) in nm.
    offset
        Coordinates (z, y, x) in nm, in those of `outer`, of the origin of those of `inner`.
    """
    points = inner.vertices + offset
    distances = ndimage.map_coordinates(depth, (points / np.array(voxel)).T, order=1)
    order = np.argsort(distances, kind="stable")
    areas = np.cumsum(inner.vertex_areas()[order])
    middle = int(np.searchsorted(areas, areas[-1] / 2))
    near = distances <= distances[order[0]] + 2 * math.hypot(*voxel)
    least, _ = cKDTree(outer.vertices).query(points[near])
    return Thickness(float(np.min(least)), float(distances[order[middle]]))
