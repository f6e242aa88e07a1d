"""open_volume: an OME-Zarr level as an xarray.DataArray in nm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize
from numpy.typing import NDArray

from hela_dask.errors import InputError, ParameterError
from hela_dask.storage.level_array import LevelArray
from hela_dask.storage.metadata import Image, Level, read_image
from hela_dask.storage.pyramid import checked_voxel_size, halve
from hela_dask.storage.units import to_nm
from hela_dask.types import Triple

__all__ = [
    "Image",
    "Level",
    "check_volume",
    "open_volume",
    "positions",
    "read_image",
    "voxel_size",
    "working_factors",
    "working_level",
    "working_volume",
]

# What a dask chunk of an unsharded array should hold at least: many small chunks, one task.
_TASK_CHUNK = (16, 1024, 1024)


def open_volume(
    path: str | Path, resolution: float | None = None, *, level: int | None = None
) -> xr.DataArray:
    """Open one level of an OME-Zarr image or label group, lazily.

    Parameters
    ----------
    path : str or Path
        Folder of an OME-Zarr 0.4 or 0.5 image, or of a label group inside one.
    resolution : float, optional
        The coarsest level whose pixels in y and x are at most this large (nm) is opened, and
        the finest where all are larger. Levels with fewer slices are passed over: the number of
        a slice is the same at every resolution.
    level : int, optional
        Number of the level, 0 the finest; instead of `resolution`.

    Returns
    -------
    xarray.DataArray
        Dimensions z, y, x, however the store orders its axes; coordinates in nm, of the voxels'
        centres; backed by dask, a chunk being a shard of the store. NaN and infinite values are
        read as 0, the grey value of a frame. Attributes: ``voxel_size`` (z, y, x in nm), ``units``,
        ``source`` (the group) and ``level``.

    Raises
    ------
    MissingInputError, InputError
        As :func:`read_image`; also for a store that is not finished.
    ParameterError
        When `resolution` or `level` makes no sense.

    Examples
    --------
    >>> volume = open_volume("hela.ome.zarr", resolution=40)  # doctest: +SKIP
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
    coordinates = {
        axis: start + step * np.arange(length, dtype=np.float64)
        for axis, start, step, length in zip(
            "zyx", picked.translation, picked.voxel_size, picked.shape, strict=True
        )
    }
    return xr.DataArray(
        _lazy(image, picked),
        dims=("z", "y", "x"),
        coords=coordinates,
        name=image.name,
        attrs={
            "voxel_size": picked.voxel_size,
            "units": "nanometer",
            "source": str(image.path),
            "level": chosen,
        },
    )


def working_volume(source: str | Path | xr.DataArray, resolution: float) -> xr.DataArray:
    """The level of a volume that is decided on: y and x halved while pixels fit `resolution`.

    Of a store that is the level of its pyramid, where there is one that is the finest halved;
    else it is made from what there is, with the same values.

    Parameters
    ----------
    source : str, Path or xarray.DataArray
        A store, or one level of a volume.
    resolution : float
        Largest size of a pixel in y and x, nm.

    Returns
    -------
    xarray.DataArray
        Lazy, as of :func:`open_volume`; the finest itself where its pixels are not under half of
        `resolution`.
    """
    if not isinstance(source, xr.DataArray):
        image = read_image(source)
        number = _choose(image, resolution, None)
        while not _is_halved(image.levels[0], image.levels[number]):
            number -= 1
        source = open_volume(source, level=number)
    while 2 * max(voxel_size(source)[1:]) <= resolution * (1 + 1e-6):
        source = _halved(source)
    return source


def working_level(image: Image, resolution: float) -> tuple[tuple[int, int, int], Triple]:
    """Shape and voxel size (nm) of the :func:`working_volume` of a store."""
    shape, size = image.levels[0].shape, image.levels[0].voxel_size
    times = 0
    while 2 ** (times + 1) * max(size[1:]) <= resolution * (1 + 1e-6):
        times += 1
    y, x = (-(-length // 2**times) for length in shape[1:])
    return (shape[0], y, x), (size[0], size[1] * 2**times, size[2] * 2**times)


def working_factors(fine: xr.DataArray, working: xr.DataArray) -> tuple[int, int]:
    """How many pixels (y, x) of a volume one of its :func:`working_volume` is."""
    y, x = (
        round(large / small)
        for large, small in zip(voxel_size(working)[1:], voxel_size(fine)[1:], strict=True)
    )
    return y, x


def check_volume(volume: object) -> None:
    """Refuse what is no DataArray.

    Raises
    ------
    InputError
        For a numpy or dask array, a path or anything else.
    """
    if not isinstance(volume, xr.DataArray):
        kind = f"{type(volume).__module__.split('.')[0]}.{type(volume).__name__}"
        raise InputError(
            "a volume is an xarray.DataArray (z, y, x) with coordinates in nm, as "
            f"hela_dask.open_volume returns it, not a {kind.removeprefix('builtins.')}"
        )


def voxel_size(volume: xr.DataArray) -> Triple:
    """Size of a voxel of `volume` in z, y, x, nm.

    The attribute ``voxel_size`` where it agrees with the coordinates (a strided view keeps the
    attribute of what it was cut from), else the coordinates' steps.

    Raises
    ------
    InputError
        When neither says it, or the coordinates are not rising, evenly spaced lengths in nm.
    """
    check_volume(volume)
    if volume.dims != ("z", "y", "x"):
        raise InputError(f"a volume has the dimensions ('z', 'y', 'x'), not {volume.dims!r}")
    _check_units(volume)
    stated = _stated_size(volume)
    z, y, x = (_step(volume, axis, size) for axis, size in zip("zyx", stated, strict=True))
    return checked_voxel_size((z, y, x), origin="the voxel size of the volume")


def positions(volume: xr.DataArray, axis: str) -> NDArray[np.float64]:
    """Places of the voxels along `axis`, nm: the coordinate, or steps from 0 where there is none.

    Raises
    ------
    InputError
        As :func:`voxel_size`.
    """
    if axis in volume.coords:
        return _lengths(volume, axis)
    return voxel_size(volume)["zyx".index(axis)] * np.arange(volume.sizes[axis], dtype=np.float64)


def _stated_size(volume: xr.DataArray) -> Triple:
    """The attribute ``voxel_size``; NaN where there is none."""
    stated = volume.attrs.get("voxel_size", (math.nan,) * 3)
    try:
        if isinstance(stated, str | Mapping):
            raise TypeError
        z, y, x = (float(size) for size in stated)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the attribute voxel_size of the volume is {stated!r}, not three lengths in nm "
            "(z, y, x)"
        ) from error
    return z, y, x


def _check_units(volume: xr.DataArray) -> None:
    """Refuse lengths that state another unit than nm."""
    stated = [("the volume", volume.attrs.get("units"))]
    for axis in "zyx":
        attrs = volume.coords[axis].attrs if axis in volume.coords else {}
        stated.append((f"the coordinate {axis!r} of the volume", attrs.get("units")))
    for what, unit in stated:
        if to_nm(unit) not in (None, 1.0):
            raise InputError(f"{what} is in {unit}: give its lengths in nm")


def _lengths(volume: xr.DataArray, axis: str) -> NDArray[np.float64]:
    """A coordinate as numbers."""
    values = volume.coords[axis].values
    if values.dtype.kind not in "iuf":
        raise InputError(
            f"the coordinate {axis!r} of the volume holds {values.dtype} values, not lengths in nm"
        )
    return np.asarray(values, dtype=np.float64)


def _step(volume: xr.DataArray, axis: str, stated: float) -> float:
    """Voxel size along `axis`: as stated where the coordinates do not contradict it."""
    if axis in volume.coords and volume.sizes[axis] > 1:
        places = _lengths(volume, axis)
        step = float(places[-1] - places[0]) / (len(places) - 1)
        if not np.allclose(np.diff(places), step, rtol=1e-3, atol=0):
            raise InputError(f"the coordinate {axis!r} of the volume is not evenly spaced")
        if step < 0:
            raise InputError(
                f"the coordinate {axis!r} of the volume falls: turn the volume, as in "
                f"volume.sortby({axis!r})"
            )
        if not math.isclose(step, stated, rel_tol=1e-6):
            stated = step
    if not (math.isfinite(stated) and stated > 0):
        raise InputError(
            f"the volume does not say its voxel size along {axis}: "
            f"give it coordinates in nm or attrs['voxel_size'] = (z, y, x)"
        )
    return stated


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
    times = round(math.log2(level.voxel_size[1] / fine.voxel_size[1]))
    size = tuple(-(-length // 2**times) for length in fine.shape[1:])
    steps = tuple(step * 2**times for step in fine.voxel_size[1:])
    return size == tuple(level.shape[1:]) and np.allclose(steps, level.voxel_size[1:])


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
    size = voxel_size(volume)
    coordinates: dict[str, NDArray[np.float64]] = {"z": positions(volume, "z")}
    for axis, step, length in zip("yx", size[1:], data.shape[1:], strict=True):
        coordinates[axis] = positions(volume, axis)[0] + step / 2 + 2 * step * np.arange(length)
    attrs = {**volume.attrs, "voxel_size": (size[0], 2 * size[1], 2 * size[2])}
    return xr.DataArray(data, dims=volume.dims, coords=coordinates, name=volume.name, attrs=attrs)


def _even(sizes: tuple[int, ...]) -> list[int]:
    """Chunks of even lengths, but for the last."""
    length, side = sum(sizes), max(2, max(sizes) // 2 * 2)
    return [min(side, length - start) for start in range(0, length, side)]


def _lazy(image: Image, level: Level) -> da.Array:
    """The level as a dask array (z, y, x), one chunk a shard or some chunks."""
    array = LevelArray.of(image.path, level)
    folder = array.folder
    block = level.shards or tuple(
        chunk * max(1, target // chunk)
        for chunk, target in zip(level.chunks, _TASK_CHUNK, strict=True)
    )
    # Two arrays of one name are one array to dask: a store that was written anew has another.
    times = [
        file.stat().st_mtime_ns
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
