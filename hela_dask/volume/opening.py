"""open_volume: an OME-Zarr level as an xarray.DataArray in nm."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize

from hela_dask.errors import InputError, ParameterError
from hela_dask.geometry import Geometry
from hela_dask.storage.level_array import LevelArray
from hela_dask.storage.metadata import Image, Level, read_image
from hela_dask.storage.pyramid import halve
from hela_dask.storage.urls import StoreUrl

__all__ = [
    "Image",
    "Level",
    "as_volume",
    "open_volume",
    "read_image",
    "working_volume",
]

# Smallest size of a dask chunk of an unsharded array: many small chunks, one task.
_TASK_CHUNK = (16, 1024, 1024)
_LARGEST = 32 * 2**20  # bytes of a metadata file


def open_volume(
    path: str | Path | StoreUrl, resolution: float | None = None, *, level: int | None = None
) -> xr.DataArray:
    """Open one level of an OME-Zarr image or label group, lazily.

    Parameters
    ----------
    path : str, Path or StoreUrl
        Folder or address (http, https, s3, gs) of an OME-Zarr 0.4 or 0.5 image, or of a label
        group inside one.
    resolution : float, optional
        The coarsest level with pixels in y and x of at most this size (nm) is opened, and the
        finest if all are larger. Levels with fewer slices are passed over: the number of a slice is
        the same at every resolution.
    level : int, optional
        Number of the level, 0 the finest; instead of `resolution`.

    Returns
    -------
    xarray.DataArray
        Dimensions z, y, x, however the store orders its axes; coordinates in nm, of the voxels'
        centres; backed by dask, a chunk being a shard of the store. NaN and infinite values are
        read as 0, the grey value of a frame. Attributes: ``voxel_size`` (z, y, x in nm),
        ``long_name`` (the image's name, for plots), ``source`` (the group) and ``level``.

    Raises
    ------
    MissingInputError, InputError
        As :func:`read_image`; also for a store that is not finished.
    ParameterError
        When `resolution` or `level` makes no sense.

    Examples
    --------
    >>> import hela_dask as hd
    >>> volume = hd.open_volume("hela.ome.zarr", resolution=80)
    >>> volume.shape, volume.attrs["voxel_size"]
    ((64, 200, 200), (100.0, 80.0, 80.0))
    """
    image = read_image(path)
    if not image.complete:
        what = "conversion" if image.name == "image" else "run"
        raise InputError(
            f"{image.path} is not finished: the {what} that writes it was interrupted; "
            "start the same command again to continue it"
        )
    chosen = _choose(image, resolution, level)
    picked = image.levels[chosen]
    return as_volume(
        _lazy(image, picked),
        picked.geometry,
        image.name,
        {"source": str(image.path), "level": chosen},
    )


def as_volume(
    data: Any, geometry: Geometry, name: Hashable, attrs: Mapping[str, Any] | None = None
) -> xr.DataArray:
    """An array (z, y, x) with places in nm, as :func:`open_volume` returns it."""
    return xr.DataArray(
        data,
        dims=("z", "y", "x"),
        coords=geometry.coordinates(),
        name=name,
        attrs={"long_name": str(name), **(attrs or {}), "voxel_size": geometry.voxel_size},
    )


def working_volume(source: str | Path | StoreUrl | xr.DataArray, resolution: float) -> xr.DataArray:
    """The working level of a volume: y and x halved while pixels fit `resolution` (nm).

    Of a store that is the level of its pyramid, where there is one that is the finest halved;
    otherwise it is computed from the existing levels, with the same values. Lazy, as of
    :func:`open_volume`; the finest itself where its pixels are not under half of `resolution`.
    """
    if not isinstance(source, xr.DataArray):
        image = read_image(source)
        number = _choose(image, resolution, None)
        while not _is_halved(image.levels[0], image.levels[number]):
            number -= 1
        source = open_volume(source, level=number)
    for _ in range(Geometry.of(source).halvings(resolution)):
        source = _halved(source)
    return source


def _choose(image: Image, resolution: Any, level: Any) -> int:
    """Number of the level to open."""
    if level is not None:
        if resolution is not None:
            raise ParameterError("give either a resolution or a level, not both")
        if not isinstance(level, int | np.integer) or not 0 <= level < len(image.levels):
            raise ParameterError(
                f"{image.path} has no level {level}; its levels are 0 to {len(image.levels) - 1}"
            )
        return int(level)
    if resolution is None:
        return 0
    number = isinstance(resolution, int | float | np.number)
    if not (number and math.isfinite(resolution) and resolution > 0):
        raise ParameterError(f"a resolution is a positive length in nm, not {resolution!r}")
    fitting = [
        (max(item.voxel_size[1:]), number)
        for number, item in enumerate(image.levels)
        if max(item.voxel_size[1:]) <= resolution * (1 + 1e-6)
        and item.shape[0] == image.levels[0].shape[0]
    ]
    return max(fitting)[1] if fitting else 0


def _is_halved(fine: Level, level: Level) -> bool:
    """Whether a level has the shape of the finest halved some times."""
    by = 2 ** round(math.log2(level.voxel_size[1] / fine.voxel_size[1]))
    halved = fine.geometry.coarser((by, by))
    return halved.shape[1:] == level.shape[1:] and np.allclose(halved.pixel, level.geometry.pixel)


def _halved(volume: xr.DataArray) -> xr.DataArray:
    """A volume with pixels twice as large in y and x, lazily."""
    lazy = volume.data if isinstance(volume.data, da.Array) else da.from_array(volume.data)
    even = {
        axis: tuple(_even(lazy.chunks[axis]))
        for axis in (1, 2)
        if any(size % 2 for size in lazy.chunks[axis][:-1])
    }
    lazy = lazy.rechunk(even)
    chunks = (lazy.chunks[0], *(tuple(-(-n // 2) for n in lazy.chunks[axis]) for axis in (1, 2)))
    data = lazy.map_blocks(
        halve, how="mean", chunks=chunks, dtype=lazy.dtype, meta=np.empty((0, 0, 0), lazy.dtype)
    )
    return as_volume(data, Geometry.of(volume).coarser((2, 2)), volume.name, volume.attrs)


def _even(sizes: tuple[int, ...]) -> list[int]:
    """Chunks of even lengths, but for the last."""
    length, side = sum(sizes), max(2, max(sizes) // 2 * 2)
    return [min(side, length - start) for start in range(0, length, side)]


def _lazy(image: Image, level: Level) -> da.Array:
    """The level as a dask array (z, y, x), one chunk per shard or some chunks."""
    array = LevelArray.from_level(image.path, level)
    folder = array.folder
    block = level.shards or tuple(
        chunk * max(1, target // chunk)
        for chunk, target in zip(level.chunks, _TASK_CHUNK, strict=True)
    )
    # Two arrays of one name are one array to dask: a store that was written anew has another.
    times = [
        file.read_bytes(_LARGEST) if isinstance(file, StoreUrl) else file.stat().st_mtime_ns
        for place in (image.path, folder)
        for name in ("zarr.json", ".zattrs", ".zarray")
        if (file := place / name).exists()
    ]
    lazy: da.Array = da.from_array(
        array,
        chunks=tuple(min(size, length) for size, length in zip(block, array.shape, strict=True)),
        name=f"{image.name}-{tokenize(str(folder), times)}",
        meta=np.empty((0,) * array.ndim, dtype=array.dtype),
        inline_array=True,
    )
    return lazy
