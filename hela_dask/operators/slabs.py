"""Kernels over slabs of whole planes, with neighbours along z where they need some."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize
from dask.delayed import Delayed
from numpy.typing import DTypeLike

from hela_dask.errors import InputError
from hela_dask.volume.opening import check_volume

__all__ = ["SLAB_BYTES", "as_slabs", "lazy_data", "lazy_slabs", "map_slabs", "overlap_slabs"]

SLAB_BYTES = 64 * 2**20
"""Of a slab as float32, at most, where that holds a plane."""


def lazy_data(volume: xr.DataArray, kinds: str, wanted: str) -> da.Array:
    """The dask array of a (z, y, x) volume.

    Parameters
    ----------
    volume : DataArray
    kinds : str
        Kinds of numpy types that are taken.
    wanted : str
        What they are, for the error.

    Raises
    ------
    InputError
        When it has other axes or another type.
    """
    check_volume(volume)
    if volume.dims != ("z", "y", "x") or volume.dtype.kind not in kinds:
        raise InputError(
            f"this takes a (z, y, x) volume of {wanted}, not dims {volume.dims} of {volume.dtype}"
        )
    data = volume.data
    return data if isinstance(data, da.Array) else da.from_array(data)


def as_slabs(data: da.Array, halo: int = 0, depth: int | None = None) -> da.Array:
    """The array in slabs of whole planes, each at least as deep as a halo.

    Parameters
    ----------
    data : dask.array.Array, (z, y, x)
    halo : int
        Slices on either side that a kernel reads.
    depth : int, optional
        Of a slab; default: as many slices as are under :data:`SLAB_BYTES` as float32.
    """
    plane = data.shape[1] * data.shape[2] * np.dtype(np.float32).itemsize
    deep = max(halo, depth or int(SLAB_BYTES // max(1, plane)), 1)
    starts = range(0, len(data), deep)
    sizes = [min(deep, len(data) - start) for start in starts]
    if len(sizes) > 1 and sizes[-1] < halo:  # the last slab must hold a halo too
        sizes[-2:] = [sizes[-2] + sizes[-1]]
    slabs: da.Array = data.rechunk((tuple(sizes), -1, -1))
    return slabs


def overlap_slabs(
    kernel: Callable[..., Any], data: da.Array, halo: int, *, dtype: DTypeLike, **options: Any
) -> da.Array:
    """Apply a kernel to slabs with `halo` slices more on either side, where there are some.

    The only place where this package overlaps chunks along z.

    Parameters
    ----------
    kernel : callable
        Takes and gives blocks of one shape; what it gives for the halo is cut off.
    data : dask.array.Array
        In slabs, see :func:`as_slabs`.
    halo : int
    dtype : dtype
        Of the result.
    **options
        For the kernel.
    """
    name = kernel.__name__
    result: da.Array = da.map_overlap(
        kernel,
        data,
        depth={0: halo if data.numblocks[0] > 1 else 0},
        boundary="none",
        dtype=dtype,
        meta=np.empty((0,) * data.ndim, dtype=dtype),
        name=f"{name}-{tokenize(data, halo, options)}",
        **options,
    )
    return result


def map_slabs(
    kernel: Callable[..., Any],
    *arrays: da.Array,
    dtype: DTypeLike,
    width: int | None = None,
    **options: Any,
) -> da.Array:
    """Apply a kernel to the slabs of arrays that are cut alike along z.

    Parameters
    ----------
    kernel : callable
        Takes a block of each array.
    *arrays : dask.array.Array
        (z, y, x) in slabs, or (z, n).
    dtype : dtype
        Of the result.
    width : int, optional
        The kernel gives (z, width) instead of (z, y, x).
    **options
        For the kernel; those that are lazy are computed first.
    """
    axes = {3: "zyx", 2: "zk"}
    pairs = [part for array in arrays for part in (array, axes[array.ndim])]
    result: da.Array = da.blockwise(
        kernel,
        "zyx" if width is None else "zw",
        *pairs,
        new_axes=None if width is None else {"w": width},
        concatenate=True,
        dtype=dtype,
        meta=np.empty((0,) * (3 if width is None else 2), dtype=dtype),
        token=f"{kernel.__name__}-{tokenize(arrays, options)}",
        **options,
    )
    return result


def lazy_slabs(data: da.Array, first: int, stop: int) -> list[Delayed]:
    """The blocks of some slices, each still to be computed.

    Their graphs are not fused, so that tasks keep the names of their operators on dask's
    dashboard, and those of neighbours share what both need.
    """
    return list(data[first:stop].to_delayed(optimize_graph=False).ravel())
