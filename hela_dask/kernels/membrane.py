"""Membrane strength of each pixel: a dark ridge, in its slice or flat across z."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.compiled import compiled
from hela_dask.kernels.hessian import largest_eigenvalue_plane, largest_eigenvalue_volume
from hela_dask.types import Grey, Mask

__all__ = ["TRUNCATE", "ridge_halo", "ridge_plane", "ridge_volume", "stronger_of_two"]

# Where the Gaussian derivatives are cut, in sigmas.
TRUNCATE = 3.0


def ridge_plane(
    image: NDArray[Any], sigma: float, pixel: tuple[float, float], wanted: Mask | None = None
) -> Grey:
    """Largest eigenvalue of the Hessian of a plane, times sigma squared: dark lines are high.

    Parameters
    ----------
    image
        (y, x) grey values.
    sigma
        Scale in nm, about the line's width.
    pixel
        Pixel size (y, x) in nm.
    wanted
        (y, x) pixels that are needed; others may be 0. Default: all.
    """
    along = [_kernels(sigma, size) for size in pixel]
    grey = np.ascontiguousarray(image, dtype=np.float32)
    where = np.ones(grey.shape, np.bool_) if wanted is None else np.ascontiguousarray(wanted)
    if where.shape != grey.shape:
        raise ValueError(f"the mask has shape {where.shape}, the image {grey.shape}")
    return largest_eigenvalue_plane(grey, where, *along)


def ridge_volume(
    block: NDArray[Any],
    sigma: float,
    voxel: tuple[float, float, float],
    wanted: slice = slice(None),
) -> Grey:
    """Largest eigenvalue of the Hessian in space, times sigma squared: dark sheets are high.

    A sheet that lies flat in the plane is blurred there, and only visible across slices. Voxels may
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
    along = [_kernels(sigma, size) for size in voxel]
    first, last, _ = wanted.indices(len(block))
    return largest_eigenvalue_volume(
        np.ascontiguousarray(block, dtype=np.float32), first, last, *along
    )


def ridge_halo(sigma: float, voxel: tuple[float, float, float]) -> int:
    """Slices on each side that one slice of :func:`ridge_volume` depends on."""
    return int(TRUNCATE * sigma / voxel[0] + 0.5)


@compiled
def stronger_of_two(
    lines: Grey, sheets: Grey, scales: Grey, unit: np.float32, out: NDArray[np.uint8]
) -> None:
    """The stronger of lines and sheets of a plane, in whole parts of a deviation from 0 to 255.

    Parameters
    ----------
    lines, sheets
        (y, x).
    scales
        (2, 2), the middle and the deviation of lines, and of sheets.
    unit
        Parts of one deviation.
    out
        (y, x), the result; parts are cut off.
    """
    middle, deviation = scales[0, 0], scales[0, 1]
    middle_of_sheets, deviation_of_sheets = scales[1, 0], scales[1, 1]
    zero, most = np.float32(0), np.float32(255)
    for y in range(len(out)):
        line, sheet, row = lines[y], sheets[y], out[y]
        for x in range(row.size):
            one = np.divide(line[x] - middle, deviation)
            other = np.divide(sheet[x] - middle_of_sheets, deviation_of_sheets)
            value = (one if one > other else other) * unit
            value = value if value > zero else zero
            row[x] = np.uint8(np.int32(value if value < most else most))


def _kernels(sigma: float, size: float) -> Grey:
    """The Gaussian along an axis and its two derivatives, scale-normalised."""
    kernels = [_kernel(sigma / size, n) * (sigma / size) ** n for n in range(3)]
    return np.array(kernels, dtype=np.float32)


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
