"""Kernels lifted over the chunks of a volume: the Gaussian, the background, the distance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize
from numpy.typing import NDArray

from hela_dask.errors import InputError, ParameterError
from hela_dask.kernels import filters
from hela_dask.kernels.background import background_block, background_halo
from hela_dask.kernels.distance import distance_slice
from hela_dask.kernels.levels import GreyLevels, upright
from hela_dask.parameters import BackgroundParameters
from hela_dask.volume.greys import delayed_levels
from hela_dask.volume.opening import check_volume, voxel_size

__all__ = ["background", "distance", "gaussian"]

# Operators that are global in a plane take whole planes, as many as stay under this as float32.
BLOCK_BYTES = 64 * 2**20


def gaussian(volume: xr.DataArray, sigma: float) -> xr.DataArray:
    """Blur each slice of a volume with a Gaussian, lazily (method A.1).

    In the plane only: the published low-pass is, and slices are cut several pixels apart.

    Parameters
    ----------
    volume
        (z, y, x), grey values of any real type, coordinates in nm.
    sigma
        Standard deviation in nm, the same in y and in x also where the pixels are not square.
        The kernel is cut at 4 sigma, and the slice reflected at its border.

    Returns
    -------
    xarray.DataArray
        float32, with the chunks of `volume` and the same bits whatever they are.

    Raises
    ------
    ParameterError
        For a `sigma` below zero or not finite.
    InputError
        When `volume` is not a (z, y, x) array of real numbers.
    """
    if not 0 <= sigma < np.inf:
        raise ParameterError(f"sigma must be a length in nm, zero or more, not {sigma!r}")
    data = _lazy(volume, "iufb", "grey values")
    _, *pixel = voxel_size(volume)
    pixels = (sigma / pixel[0], sigma / pixel[1])
    # An axis in one chunk needs no neighbours, and one no longer than the halo has none to give.
    depth = dict(enumerate((0, *filters.gaussian_halo(pixels))))
    whole = {axis: -1 for axis in depth if data.shape[axis] <= depth[axis]}
    source = data.rechunk(whole)
    depth = {axis: 0 if source.numblocks[axis] == 1 else halo for axis, halo in depth.items()}
    result = da.map_overlap(
        filters.gaussian,
        source,
        sigma=pixels,
        depth=depth,
        boundary="none",
        dtype=np.float32,
        meta=np.empty((0, 0, 0), dtype=np.float32),
        name=f"gaussian-{tokenize(source, pixels)}",
    )
    return volume.copy(data=result.rechunk(data.chunks))


def background(
    volume: xr.DataArray,
    parameters: BackgroundParameters | None = None,
    *,
    levels: GreyLevels | None = None,
) -> xr.DataArray:
    """Tell the resin from the cells in each slice of a volume, lazily.

    Grey levels and smears are properties of a whole slice and its neighbours, so a task holds
    whole slices with a few more on either side; how many are in a task changes nothing.

    Parameters
    ----------
    volume
        (z, y, x), grey values of any real type, coordinates in nm.
    parameters
        Knobs of the stage.
    levels
        What :func:`~hela_dask.grey_levels` found; if None, it is found with the first slice.

    Returns
    -------
    xarray.DataArray
        bool, true in the resin; named ``background``.

    Raises
    ------
    InputError
        When `volume` is not a (z, y, x) array of real numbers.
    """
    data = _lazy(volume, "iuf", "grey values")
    parameters = parameters or BackgroundParameters()
    voxel = voxel_size(volume)
    halo = background_halo(parameters, voxel[0])
    known = levels if levels is not None else delayed_levels(volume, parameters)
    name = f"background-{tokenize(data, voxel, parameters, known)}"
    parts, start = [], 0
    for depth in _depths(data.chunks[0], max(halo, _planes(data), 1)):
        first, stop = max(0, start - halo), start + depth
        block = data[first : stop + halo].rechunk(-1)
        parts.append(
            block.map_blocks(
                _background_block,
                voxel=voxel,
                parameters=parameters,
                levels=known,
                wanted=slice(start - first, stop - first),
                chunks=((depth,), *block.chunks[1:]),
                dtype=bool,
                meta=np.empty((0, 0, 0), dtype=bool),
                name=f"{name}-{start}",
            )
        )
        start = stop
    return volume.copy(data=da.concatenate(parts)).rename("background")


def _background_block(
    block: NDArray[Any], *, levels: GreyLevels, **options: Any
) -> NDArray[np.bool_]:
    return background_block(upright(block, levels.inverted), levels=levels, **options)[0]


def distance(background: xr.DataArray, *, border: bool = True) -> xr.DataArray:
    """Distance in the plane from each voxel to the nearest background, lazily (method A.3).

    Parameters
    ----------
    background
        (z, y, x) bool, true in the resin, coordinates in nm.
    border
        Whether the slice is surrounded by background, as in the published cell detection. If
        not, a slice without any background is infinitely far from it.

    Returns
    -------
    xarray.DataArray
        float32, nm, exact and unbounded; 0 in the background; named ``distance``.

    Raises
    ------
    InputError
        When `background` is not a boolean (z, y, x) array.
    """
    data = _lazy(background, "b", "booleans, true in the resin")
    _, *pixel = voxel_size(background)
    result = _map_planes(
        distance_slice,
        data,
        "distance",
        np.dtype(np.float32),
        pixel=(pixel[0], pixel[1]),
        border=border,
    )
    return background.copy(data=result).rename("distance")


def _lazy(volume: xr.DataArray, kinds: str, wanted: str) -> da.Array:
    """The dask array of a volume of the right kind."""
    check_volume(volume)
    if volume.dims != ("z", "y", "x") or volume.dtype.kind not in kinds:
        raise InputError(
            f"this takes a (z, y, x) volume of {wanted}, not dims {volume.dims} of {volume.dtype}"
        )
    data = volume.data
    return data if isinstance(data, da.Array) else da.from_array(data)


def _map_planes(
    kernel: Callable[..., NDArray[Any]],
    data: da.Array,
    name: str,
    dtype: np.dtype[Any],
    **options: Any,
) -> da.Array:
    """Apply a kernel of one plane to blocks of whole planes."""
    planes = data.rechunk({0: _depths(data.chunks[0], _planes(data)), 1: -1, 2: -1})
    result: da.Array = planes.map_blocks(
        _each_plane,
        kernel=kernel,
        out=dtype,
        **options,
        dtype=dtype,
        meta=np.empty((0, 0, 0), dtype=dtype),
        name=f"{name}-{tokenize(planes, options)}",
    )
    return result


def _planes(data: da.Array) -> int:
    """How many whole planes a task holds."""
    plane = data.shape[1] * data.shape[2] * np.dtype(np.float32).itemsize
    return max(1, int(BLOCK_BYTES // max(1, plane)))


def _depths(chunks: tuple[int, ...], most: int) -> tuple[int, ...]:
    """Split and join chunks along z to at most `most` slices, never across two deeper ones."""
    depths: list[int] = []
    for chunk in chunks:
        if depths and depths[-1] + chunk <= most:
            depths[-1] += chunk
        else:
            whole, rest = divmod(chunk, most)
            depths += [most] * whole + [rest] * (rest > 0)
    return tuple(depths)


def _each_plane(
    block: NDArray[Any], kernel: Callable[..., NDArray[Any]], out: np.dtype[Any], **options: Any
) -> NDArray[Any]:
    result = np.empty(block.shape, dtype=out)
    for index, plane in enumerate(block):
        result[index] = kernel(plane, **options)
    return result
