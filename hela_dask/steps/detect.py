"""Cells in every analysed slice of a volume, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dask
import dask.array as da
import numpy as np
import pandas as pd
import xarray as xr
from dask.base import tokenize
from dask.delayed import Delayed
from numpy.typing import NDArray

from hela_dask.errors import InputError
from hela_dask.kernels.background import background_block, background_halo
from hela_dask.kernels.detection import detect_slice
from hela_dask.kernels.grid import factors_for
from hela_dask.parameters import BackgroundParameters, DetectParameters
from hela_dask.volume.greys import GreyLevels, grey_levels, upright_volume
from hela_dask.volume.opening import check_volume, positions, voxel_size

__all__ = [
    "DETECTION_COLUMNS",
    "analysed_slices",
    "detect_cells",
    "detect_in_slice",
    "detection_table",
]

DETECTION_COLUMNS = {
    "slice": "int64",
    "z": "float64",
    "y": "float64",
    "x": "float64",
    "height": "float64",
    "rank": "int64",
    "thickness": "float64",
}


def detect_cells(
    volume: xr.DataArray,
    parameters: DetectParameters | None = None,
    *,
    background_parameters: BackgroundParameters | None = None,
    levels: GreyLevels | None = None,
) -> pd.DataFrame:
    """Find the cells in slices `spacing` nm apart, or less in a thin volume (method A.3).

    Each analysed slice is one dask task, which holds that plane, with those beside it that its
    background depends on, and returns a few rows.
    A plane with pixels under half of ``parameters.resolution`` is first averaged over whole
    blocks of pixels, so the same cells come out of any level; pass the level that suits
    (``open_volume(path, resolution=40)``) and finer ones are not even read.

    Parameters
    ----------
    volume
        Grey values, or a boolean background (true in the resin); dims (z, y, x) with coordinates
        in nm. One slice will do.
    parameters
        Knobs of the detection.
    background_parameters
        Knobs of the background, where `volume` holds grey values.
    levels
        What :func:`~hela_dask.grey_levels` found; if None, it is found first.

    Returns
    -------
    pandas.DataFrame
        One row a cell and analysed slice: ``slice`` (1-based), ``z``, ``y``, ``x`` (nm),
        ``height`` (nm: how far the resin is), ``rank`` (1 is the slice's highest), ``thickness``
        (nm of the volume's depth that the slice stands for). By slice, then rank. No rows where
        no resin, or nothing but resin, is visible.

    Raises
    ------
    InputError
        When `volume` is not a (z, y, x) array of real numbers, or has no voxel size.
    """
    parameters = parameters or DetectParameters()
    _check(volume)
    slices = analysed_slices(volume.sizes["z"], voxel_size(volume)[0], parameters)
    tasks = _plane_tasks(volume, slices, parameters, background_parameters, levels)
    found = dask.compute(*tasks)  # type: ignore[attr-defined,no-untyped-call]
    return detection_table(volume, slices, found, parameters)


def detect_in_slice(
    background: xr.DataArray, index: int, parameters: DetectParameters
) -> NDArray[np.float64]:
    """Cells of one slice of a boolean background, read and computed by this thread.

    Parameters
    ----------
    background
        True in the resin; dims (z, y, x) with coordinates in nm.
    index
        Of the slice, 0-based.
    parameters
        Of the detection.

    Returns
    -------
    ndarray, shape (cells, 3)
        Pixel row and column of the analysed plane, and height (nm); for :func:`detection_table`.
    """
    (task,) = _plane_tasks(background, [index], parameters, None, None)
    rows: NDArray[np.float64] = task.compute(scheduler="synchronous")
    return rows


def _check(volume: xr.DataArray) -> None:
    check_volume(volume)
    if volume.dims != ("z", "y", "x") or not (volume.dtype == bool or volume.dtype.kind in "uif"):
        raise InputError(
            "cells are detected in a (z, y, x) volume of numbers or booleans, not in "
            f"dims {volume.dims} of {volume.dtype}"
        )


def _plane_tasks(
    volume: xr.DataArray,
    slices: Sequence[int],
    parameters: DetectParameters,
    background_parameters: BackgroundParameters | None,
    levels: GreyLevels | None,
) -> list[Delayed]:
    """One lazy task a slice."""
    size = voxel_size(volume)
    factors = factors_for(size[1:], parameters.resolution)
    pixel = (size[1] * factors[0], size[2] * factors[1])
    if volume.dtype != bool:
        background_parameters = background_parameters or BackgroundParameters()
        levels = levels or grey_levels(volume, background_parameters)
        volume = upright_volume(volume, levels)
        halo = background_halo(background_parameters, size[0])
    else:
        background_parameters, levels, halo = None, None, 0
    token = tokenize(volume.data, slices, pixel, parameters, background_parameters, levels)
    detect_plane = dask.delayed(_detect_plane)  # type: ignore[attr-defined]
    return [
        detect_plane(
            [
                _plane(volume.data, near, factors)
                for near in range(max(0, index - halo), min(volume.sizes["z"], index + halo + 1))
            ],
            min(index, halo),
            (size[0], *pixel),
            parameters,
            background_parameters,
            levels,
            dask_key_name=f"detect-cells-{token}-{index}",
        )
        for index in slices
    ]


def analysed_slices(count: int, thickness: float, parameters: DetectParameters) -> list[int]:
    """Which of `count` slices (0-based) are analysed.

    As many whole spacings as fit, at least one, and the slice in the middle of each; what is left
    over lies evenly before the first and after the last. So 300 slices of 50 nm give the slices
    9, 29, … 289. Where fewer than ``fewest_slices`` spacings fit, they are smaller: what is seen
    in a single slice is weak evidence.
    """
    step = max(1, min(round(parameters.spacing / thickness), count // parameters.fewest_slices))
    number = max(1, count // step)
    first = (count - 1 - (number - 1) * step) // 2
    return [first + index * step for index in range(number)]


def _plane(data: Any, index: int, factors: tuple[int, int]) -> Any:
    """One plane, averaged over blocks of pixels, as a single lazy chunk."""
    lazy = data if isinstance(data, da.Array) else da.from_array(data)
    plane = lazy[index]
    if factors != (1, 1):
        # Whole blocks a chunk, so that a block is never split between two tasks.
        chunks = tuple(
            max(factor, max(sizes) // factor * factor)
            for factor, sizes in zip(factors, plane.chunks, strict=True)
        )
        plane = da.coarsen(
            np.mean,
            plane.rechunk(chunks),
            {0: min(factors[0], plane.shape[0]), 1: min(factors[1], plane.shape[1])},
            trim_excess=True,
        )
    return plane.rechunk(-1).to_delayed()[0, 0]


def _detect_plane(
    planes: Sequence[NDArray[Any]],
    index: int,
    voxel: tuple[float, float, float],
    parameters: DetectParameters,
    background_parameters: BackgroundParameters | None,
    levels: GreyLevels | None,
) -> NDArray[np.float64]:
    """Cells of one of the planes of grey values, or of the share of resin."""
    if background_parameters is None:
        return detect_slice(planes[index] >= 0.5, voxel[1:], parameters)
    block = np.stack([plane.astype(np.float32) for plane in planes])
    wanted = slice(index, index + 1)
    background = background_block(block, voxel, background_parameters, levels, wanted)[0][0]
    return detect_slice(background, voxel[1:], parameters)


def detection_table(
    volume: xr.DataArray,
    slices: Sequence[int],
    found: Sequence[NDArray[np.float64]],
    parameters: DetectParameters,
) -> pd.DataFrame:
    """The rows of all analysed slices, pixels of their planes turned into nm.

    Parameters
    ----------
    volume
        That was analysed, or its background.
    slices
        All that were analysed, 0-based.
    found
        For each, as :func:`detect_in_slice` returns it.
    parameters
        Of the detection.

    Returns
    -------
    pandas.DataFrame
        As from :func:`detect_cells`.
    """
    size = voxel_size(volume)
    factors = factors_for(size[1:], parameters.resolution)
    depths, *sides = (positions(volume, axis) for axis in "zyx")
    origin = [float(side[0]) for side in sides]
    thickness = volume.sizes["z"] * size[0] / len(slices)
    parts = []
    for index, rows in zip(slices, found, strict=True):
        # A block's centre is half a block, less half a pixel, from the centre of its first pixel.
        y, x = (
            origin[axis] + size[axis + 1] * (rows[:, axis] * factor + (factor - 1) / 2)
            for axis, factor in enumerate(factors)
        )
        parts.append(
            pd.DataFrame(
                {
                    "slice": index + 1,
                    "z": float(depths[index]),
                    "y": y,
                    "x": x,
                    "height": rows[:, 2],
                    "rank": np.arange(1, len(rows) + 1),
                    "thickness": thickness,
                }
            )
        )
    return pd.concat(parts, ignore_index=True).astype(DETECTION_COLUMNS)
