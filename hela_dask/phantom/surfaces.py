"""Implicit surfaces that the shapes of a phantom are put together from, over one tile."""

from __future__ import annotations

import math

import numpy as np

from hela_dask.phantom.lattice import Field, Grid
from hela_dask.phantom.plan import PhantomSpec

__all__ = ["FAR", "distance_to_side", "ellipsoid", "join", "ruffle"]

FAR = np.float32(1e6)


def ellipsoid(
    grid: Grid, centre: tuple[float, ...], radii: tuple[float, ...], angle: float
) -> Field:
    """About the distance in nm to an ellipsoid turned in the plane."""
    dz, dy, dx = (
        axis - np.float32(at) for axis, at in zip((grid.z, grid.y, grid.x), centre, strict=True)
    )
    c, s = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    a = (c * dy + s * dx) / np.float32(radii[1])
    b = (c * dx - s * dy) / np.float32(radii[2])
    flat = a * a + b * b
    total = flat + (dz / np.float32(radii[0])) ** 2
    np.sqrt(total, out=total)
    total -= np.float32(1)
    total *= np.float32((radii[1] * radii[2]) ** 0.5)
    return np.asarray(total, dtype=np.float32)


def ruffle(radius: float) -> float:
    """Size of a cell's surface structure against a real cell's (8.5 µm), from its radius."""
    return min(1.0, math.pow(radius / 4500.0, 0.7))


def distance_to_side(grid: Grid, spec: PhantomSpec) -> Field:
    """Distance to the nearest side of the volume: no ruffle of a complete cell reaches it."""
    out = np.full(grid.shape, FAR, np.float32)
    for axis, count, size in zip(
        (grid.z, grid.y, grid.x), spec.shape, spec.voxel_size, strict=True
    ):
        far = np.float32((count - 1) * size)
        np.minimum(out, np.minimum(axis, far - axis), out=out)
    return out


def join(a: Field, b: Field, reach: float) -> Field:
    """Union of two shapes, with a fillet of about `reach` nm (polynomial smooth minimum)."""
    h = np.float32(reach) - np.abs(a - b)
    np.maximum(h, np.float32(0), out=h)
    h *= h
    h *= np.float32(0.25 / reach)
    return np.asarray(np.minimum(a, b) - h, dtype=np.float32)
