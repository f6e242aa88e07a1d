"""open_volume: an OME-Zarr level as an xarray.DataArray in nm."""

from __future__ import annotations

import math
from pathlib import Path

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize

from hela_dask.errors import InputError, ParameterError
from hela_dask.storage.metadata import Image, Level, Triple, read_image
from hela_dask.storage.reading import StoredArray

__all__ = ["Image", "Level", "open_volume", "read_image", "voxel_size"]

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
        Dimensions z, y, x; coordinates in nm, of the voxels' centres; backed by dask, a chunk
        being a shard of the store. Attributes: ``voxel_size`` (z, y, x in nm), ``units``,
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


def voxel_size(volume: xr.DataArray) -> Triple:
    """Size of a voxel of `volume` in z, y, x, nm.

    The attribute ``voxel_size`` where it agrees with the coordinates (a strided view keeps the
    attribute of what it was cut from), else the coordinates' steps.

    Raises
    ------
    InputError
        When neither says it, or the coordinates are not evenly spaced.
    """
    if volume.dims != ("z", "y", "x"):
        raise InputError(f"a volume has the dimensions ('z', 'y', 'x'), not {volume.dims!r}")
    stated = volume.attrs.get("voxel_size", (math.nan,) * 3)
    sizes = [_step(volume, axis, float(size)) for axis, size in zip("zyx", stated, strict=True)]
    return sizes[0], sizes[1], sizes[2]


def _step(volume: xr.DataArray, axis: str, stated: float) -> float:
    """Voxel size along `axis`: as stated where the coordinates do not contradict it."""
    if axis in volume.coords and volume.sizes[axis] > 1:
        places = np.asarray(volume.coords[axis].values, dtype=np.float64)
        step = float(places[-1] - places[0]) / (len(places) - 1)
        if not np.allclose(np.diff(places), step, rtol=1e-3, atol=0):
            raise InputError(f"the coordinate {axis!r} of the volume is not evenly spaced")
        if not math.isclose(step, stated, rel_tol=1e-6):
            stated = step
    if not (math.isfinite(stated) and stated > 0):
        raise InputError(
            f"the volume does not say its voxel size along {axis}: "
            f"give it coordinates in nm or attrs['voxel_size'] = (z, y, x)"
        )
    return stated


def _choose(image: Image, resolution: float | None, level: int | None) -> int:
    """Number of the level to open."""
    if level is not None:
        if resolution is not None:
            raise ParameterError("give either a resolution or a level, not both")
        if not 0 <= level < len(image.levels):
            raise ParameterError(
                f"{image.path} has no level {level}; its levels are 0 to {len(image.levels) - 1}"
            )
        return level
    if resolution is None:
        return 0
    if not (math.isfinite(resolution) and resolution > 0):
        raise ParameterError(f"a resolution is a positive length in nm, not {resolution!r}")
    fitting = [
        (max(item.voxel_size[1:]), number)
        for number, item in enumerate(image.levels)
        if max(item.voxel_size[1:]) <= resolution * (1 + 1e-6)
        and item.shape[0] == image.levels[0].shape[0]
    ]
    return max(fitting)[1] if fitting else 0


def _lazy(image: Image, level: Level) -> da.Array:
    """The level as a dask array (z, y, x), one chunk a shard or some chunks."""
    array = StoredArray(image.path / level.path)
    folder = array.folder
    block = level.shards or tuple(
        chunk * max(1, target // chunk)
        for chunk, target in zip(level.chunks, _TASK_CHUNK, strict=True)
    )
    extra = (1,) * (array.ndim - 3)
    chunks = extra + block if array.ndim >= 3 else block[1:]
    # Two arrays of one name are one array to dask: a store that was written anew has another.
    times = [
        file.stat().st_mtime_ns
        for place in (image.path, folder)
        for name in ("zarr.json", ".zattrs", ".zarray")
        if (file := place / name).exists()
    ]
    lazy: da.Array = da.from_array(
        array,
        chunks=tuple(min(size, length) for size, length in zip(chunks, array.shape, strict=True)),
        name=f"{image.name}-{tokenize(str(folder), times)}",
        meta=np.empty((0,) * array.ndim, dtype=array.dtype),
        inline_array=True,
    )
    whole: da.Array = lazy[np.newaxis] if array.ndim < 3 else lazy[(0,) * len(extra)]
    return whole
