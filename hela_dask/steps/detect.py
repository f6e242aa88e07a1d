"""Cells in every analysed slice of a volume, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import dask
import dask.array as da
import numpy as np
import pandas as pd
import xarray as xr
from dask.base import tokenize
from dask.delayed import Delayed, delayed
from numpy.typing import NDArray

from hela_dask.errors import InputError
from hela_dask.geometry import Geometry, check_volume
from hela_dask.kernels.detection import detect_slice, remove_small_pieces
from hela_dask.kernels.grid import factors_for
from hela_dask.operators.background import background_with_statistics
from hela_dask.operators.distance import distance_slabs
from hela_dask.operators.slabs import as_slabs, lazy_data, lazy_slabs, map_slabs
from hela_dask.parameters import BackgroundParameters, DetectParameters
from hela_dask.volume.greys import GreyLevels, normalise_polarity
from hela_dask.volume.greys import grey_levels as find_grey_levels

__all__ = [
    "DETECTION_COLUMNS",
    "analysed_slices",
    "detect_cells",
    "detection_table",
    "slice_tasks",
]

_SLAB = 4  # slices of background that a task computes: of about twenty, one is analysed

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
    grey_levels: GreyLevels | None = None,
) -> pd.DataFrame:
    """Find the cells in slices `spacing` nm apart, or less in a thin volume (method A.3).

    Each analysed slice is one dask task, which holds that plane, with those beside it that its
    background depends on, and returns a few rows. A plane with pixels under half of
    ``parameters.resolution`` is first averaged over whole blocks of pixels, so the same cells come
    out of any level; pass a suitable level (``open_volume(path, resolution=40)``) to avoid reading
    finer ones.

    Parameters
    ----------
    volume
        Grey values, or a boolean background (true in the resin); dims (z, y, x) with coordinates in
        nm. One slice is enough.
    parameters
        Parameters of the detection.
    background_parameters
        Parameters of the background, where `volume` holds grey values.
    grey_levels
        Result of :func:`~hela_dask.grey_levels`; if None, it is computed first.

    Returns
    -------
    pandas.DataFrame
        One row per cell and analysed slice: ``slice`` (1-based), ``z``, ``y``, ``x`` (nm),
        ``height`` (nm: distance to the resin), ``rank`` (1 is the slice's highest), ``thickness``
        (nm of the volume's depth that the slice represents). By slice, then rank. No rows where no
        resin, or nothing but resin, is visible.

    Raises
    ------
    InputError
        When `volume` is not a (z, y, x) array of real numbers, or has no voxel size.

    Examples
    --------
    >>> import hela_dask as hd
    >>> volume = hd.open_volume("hela.ome.zarr")
    >>> detections = hd.detect_cells(volume)
    >>> detections[["slice", "height", "rank"]].round().head(2)
       slice  height  rank
    0     12  1397.0     1
    1     12  1120.0     2
    """
    parameters = parameters or DetectParameters()
    _check(volume)
    slices = analysed_slices(volume.sizes["z"], Geometry.of(volume).voxel_size[0], parameters)
    tasks = _slice_tasks(volume, slices, parameters, background_parameters, grey_levels)
    found = dask.compute(*tasks)  # type: ignore[attr-defined,no-untyped-call]
    return detection_table(volume, slices, found, parameters)


def slice_tasks(
    background: xr.DataArray, slices: Sequence[int], parameters: DetectParameters
) -> list[Delayed]:
    """Cells of some slices of a background, each a lazy table.

    Parameters
    ----------
    background : DataArray of bool, (z, y, x)
        True in the resin; coordinates in nm.
    slices : sequence of int
        From 0.
    parameters : DetectParameters

    Returns
    -------
    list of Delayed
        Each an array (cells, 3): pixel row and column of the analysed plane, and height (nm); for
        :func:`detection_table`.
    """
    return _slice_tasks(background, slices, parameters)


def _check(volume: xr.DataArray) -> None:
    check_volume(volume)
    if volume.dims != ("z", "y", "x") or not (volume.dtype == bool or volume.dtype.kind in "uif"):
        raise InputError(
            "cells are detected in a (z, y, x) volume of numbers or booleans, not in "
            f"dims {volume.dims} of {volume.dtype}"
        )


def _slice_tasks(
    volume: xr.DataArray,
    slices: Sequence[int],
    parameters: DetectParameters,
    background_parameters: BackgroundParameters | None = None,
    grey_levels: GreyLevels | None = None,
) -> list[Delayed]:
    """A lazy table of cells for each analysed slice."""
    factors = factors_for(Geometry.of(volume).pixel, parameters.resolution)
    if volume.dtype == bool:
        volume = _coarser(volume, factors)
    else:
        p = background_parameters or BackgroundParameters()
        grey_levels = grey_levels or find_grey_levels(volume, p)
        bright_resin = _coarser(normalise_polarity(volume, grey_levels), factors)
        up = replace(grey_levels, inverted=False)
        volume, _ = background_with_statistics(bright_resin, p, grey_levels=up, slab=_SLAB)
    chosen = volume.isel(z=list(slices))
    resin = as_slabs(lazy_data(chosen, "b", "booleans, true in the resin"), most=1)
    pixel = Geometry.of(volume).pixel
    large = map_slabs(
        _remove_small_pieces,
        resin,
        name="detect-specks",
        dtype=bool,
        pixel=pixel,
        smallest=parameters.smallest_resin,
    )
    far = distance_slabs(large, pixel, border=False)
    detect = delayed(_detect, pure=False)
    planes, heights = (lazy_slabs(array, 0, len(slices)) for array in (resin, far))
    token = tokenize(volume.data, slices, pixel, parameters)
    return [
        detect(plane, height, pixel, parameters, dask_key_name=f"detect-{token}-{z}")
        for z, plane, height in zip(slices, planes, heights, strict=True)
    ]


def _remove_small_pieces(block: NDArray[np.bool_], **options: Any) -> NDArray[np.bool_]:
    return np.stack([remove_small_pieces(plane, **options) for plane in block])


def _detect(
    resin: NDArray[np.bool_],
    distance: NDArray[np.float32],
    pixel: tuple[float, float],
    parameters: DetectParameters,
) -> NDArray[np.float64]:
    return detect_slice(resin[0], distance[0], pixel, parameters)


def _coarser(volume: xr.DataArray, factors: tuple[int, int]) -> xr.DataArray:
    """The volume averaged over blocks of pixels: float32, or true where half of a block is."""
    data = volume.data if isinstance(volume.data, da.Array) else da.from_array(volume.data)
    boolean = volume.dtype == bool
    if factors == (1, 1):
        return volume.copy(data=data if boolean else data.astype(np.float32))
    # Whole blocks a chunk, so that a block is never split between two tasks.
    chunks = {
        axis: max(factor, max(data.chunks[axis]) // factor * factor)
        for axis, factor in enumerate(factors, 1)
    }
    means = da.coarsen(
        np.mean,
        data.rechunk(chunks),
        {axis: min(by, data.shape[axis]) for axis, by in enumerate(factors, 1)},
        trim_excess=True,
    )
    z, height, width = Geometry.of(volume).coarser(factors).voxel_size
    return xr.DataArray(
        means >= 0.5 if boolean else means.astype(np.float32),
        dims=volume.dims,
        attrs={"voxel_size": (z, height, width)},
    )


def analysed_slices(count: int, thickness: float, parameters: DetectParameters) -> list[int]:
    """Which of `count` slices (0-based) are analysed.

    As many whole spacings as fit, at least one, and the slice in the middle of each; the remainder
    is divided evenly before the first and after the last. So 300 slices of 50 nm give the slices 9,
    29, … 289. Where fewer than ``fewest_slices`` spacings fit, they are smaller: a detection in a
    single slice is weak evidence.
    """
    step = max(1, min(round(parameters.spacing / thickness), count // parameters.fewest_slices))
    number = max(1, count // step)
    first = (count - 1 - (number - 1) * step) // 2
    return [first + index * step for index in range(number)]


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
        For each, as :func:`slice_tasks` computes it.
    parameters
        Of the detection.

    Returns
    -------
    pandas.DataFrame
        As from :func:`detect_cells`.
    """
    geometry = Geometry.of(volume)
    factors = factors_for(geometry.pixel, parameters.resolution)
    depths = geometry.positions("z")
    thickness = geometry.extent[0] / len(slices)
    parts = []
    for index, rows in zip(slices, found, strict=True):
        # A block's centre is half a block, less half a pixel, from the centre of its first pixel.
        y, x = (
            start + size * (rows[:, axis] * factor + (factor - 1) / 2)
            for axis, (start, size, factor) in enumerate(
                zip(geometry.origin[1:], geometry.pixel, factors, strict=True)
            )
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
