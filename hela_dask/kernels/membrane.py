"""How much each pixel looks like a membrane: a dark ridge, in its slice or lying flat across z."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["TRUNCATE", "ridge_halo", "ridge_plane", "ridge_volume"]

# Where the Gaussian derivatives are cut, in sigmas.
TRUNCATE = 3.0

Grey = NDArray[np.float32]


def ridge_plane(image: NDArray[Any], sigma: float, pixel: tuple[float, float]) -> Grey:
    """Largest eigenvalue of the Hessian of a plane, times sigma squared: dark lines are high.

    Parameters
    ----------
    image
        (y, x) grey values.
    sigma
        Scale in nm, about the line's width.
    pixel
        Pixel size (y, x) in nm.
    """
    yy, xx, yx = (_derivative(image, sigma, pixel, order) for order in ((2, 0), (0, 2), (1, 1)))
    ridge = (yy + xx) / 2 + np.hypot((yy - xx) / 2, yx)
    return ridge.astype(np.float32, copy=False)


def ridge_volume(
    block: NDArray[Any],
    sigma: float,
    voxel: tuple[float, float, float],
    wanted: slice = slice(None),
) -> Grey:
    """Largest eigenvalue of the Hessian in space, times sigma squared: dark sheets are high.

    A sheet that lies flat in the plane is a blur there, and only seen across slices. Voxels may
    be anisotropic; beyond the block its outermost slices are repeated.

    Parameters
    ----------
    block
        (z, y, x) grey values, with :func:`ridge_halo` slices more than are wanted on each side.
    sigma
        Scale in nm.
    voxel
        Voxel size (z, y, x) in nm.
    wanted
        The slices of the block that are returned.
    """
    z0, z1, z2 = (_along(block, 0, sigma, voxel, n)[wanted] for n in range(3))
    # Each pass along an axis serves all the derivatives that need it.
    z0y0, z0y1, z0y2 = (_along(z0, 1, sigma, voxel, n) for n in range(3))
    z1y0, z1y1 = (_along(z1, 1, sigma, voxel, n) for n in range(2))
    last = ((_along(z2, 1, sigma, voxel, 0), 0), (z0y2, 0), (z0y0, 2), (z1y1, 0), (z1y0, 1))
    hessian = [_along(part, 2, sigma, voxel, n) for part, n in (*last, (z0y1, 1))]
    ridge = np.empty_like(z0)
    for plane, parts in zip(ridge, zip(*hessian, strict=True), strict=True):
        plane[:] = _largest_eigenvalue(*parts)
    return ridge


def _largest_eigenvalue(zz: Grey, yy: Grey, xx: Grey, zy: Grey, zx: Grey, yx: Grey) -> Grey:
    """Of symmetric 3 x 3 matrices: the deviator's characteristic polynomial in closed form."""
    mean: Grey = (zz + yy + xx) / np.float32(3)
    zz, yy, xx = zz - mean, yy - mean, xx - mean
    spread: Grey = np.sqrt((zz**2 + yy**2 + xx**2 + 2 * (zy**2 + zx**2 + yx**2)) / 6)
    determinant = zz * (yy * xx - yx**2) - zy * (zy * xx - yx * zx) + zx * (zy * yx - yy * zx)
    flat = spread <= np.float32(1e-6)
    cosine = determinant / (2 * np.where(flat, np.float32(1), spread) ** 3)
    angle = np.arccos(np.clip(cosine, -1, 1)) / 3
    largest: Grey = mean + 2 * spread * np.cos(angle)
    return largest.astype(np.float32, copy=False)


def ridge_halo(sigma: float, voxel: tuple[float, float, float]) -> int:
    """Slices on each side that one slice of :func:`ridge_volume` depends on."""
    return int(TRUNCATE * sigma / voxel[0] + 0.5)


def _derivative(
    image: NDArray[Any], sigma: float, pixel: tuple[float, ...], order: tuple[int, ...]
) -> Grey:
    """Scale-normalised Gaussian derivative in physical units."""
    derived: Grey = np.asarray(image, dtype=np.float32)
    for axis, n in enumerate(order):
        derived = _along(derived, axis, sigma, pixel, n)
    return derived


def _along(image: NDArray[Any], axis: int, sigma: float, pixel: tuple[float, ...], n: int) -> Grey:
    """The n-th of these derivatives along one axis."""
    kernel = _kernel(sigma / pixel[axis], n) * (sigma / pixel[axis]) ** n
    derived: Grey = ndimage.correlate1d(
        np.asarray(image, dtype=np.float32), kernel, axis, mode="nearest"
    )
    return derived


def _kernel(sigma: float, order: int) -> NDArray[np.float64]:
    """Gaussian derivative that is exact for parabolas although it is sampled and cut.

    A plain one leaves up to 2 % of the grey value itself, and not the same along each axis.
    """
    radius = int(TRUNCATE * sigma + 0.5)
    x = np.arange(-radius, radius + 1, dtype=np.float64)
    weight = np.exp(-(x**2) / (2 * sigma**2))
    weight /= weight.sum()
    if order == 0:
        return weight
    variance = max(float((weight * x**2).sum()), np.finfo(np.float64).tiny)
    if order == 1:
        return x * weight / variance
    kernel: NDArray[np.float64] = (x**2 - variance) * weight
    return 2 * kernel / max(float((kernel * x**2).sum()), np.finfo(np.float64).tiny)
