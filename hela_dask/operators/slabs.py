"""Kernels over slabs of whole planes: the one place where chunks overlap along z."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize
from dask.delayed import Delayed
from dask.graph_manipulation import clone
from numpy.typing import DTypeLike, NDArray

from hela_dask.errors import InputError
from hela_dask.geometry import check_volume
from hela_dask.tasks.workers import refuse_unfit
from hela_dask.version import __version__

__all__ = [
    "SLAB_BYTES",
    "as_slabs",
    "lazy_data",
    "lazy_slabs",
    "map_slabs",
    "overlap_slabs",
    "slab_depth",
    "slabs_of",
    "with_own_keys",
]

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
        Description of the values, for the error.

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


def with_own_keys(volume: xr.DataArray, token: str) -> xr.DataArray:
    """The same lazy volume with other keys, which all that is computed from it inherits.

    A scheduler keeps the result or the error of a key as long as any client holds it: a run would
    get the error of a chunk that has been repaired since.
    """
    return volume.copy(data=clone(volume.data, seed=token))


def as_slabs(data: da.Array, halo: int = 0, most: int | None = None) -> da.Array:
    """Rechunk an array to slabs of whole planes, each at least as deep as a halo.

    Parameters
    ----------
    data : dask.array.Array, (z, y, x)
    halo : int
        Slices on either side that a kernel reads.
    most : int, optional
        Slices in a slab, at most, where the halo is no deeper. Default: as many as fit
        :data:`SLAB_BYTES` as float32. Where fewer fit, a slab has `most` over a power of two, so
        that a unit of `most` slices is a whole number of slabs.
    """
    return slabs_of(data, slab_depth(data.shape[1:], halo, most), halo)


def slabs_of(data: da.Array, depth: int, halo: int = 0) -> da.Array:
    """Rechunk an array to slabs of so many whole planes, each at least as deep as a halo."""
    sizes = [min(depth, len(data) - start) for start in range(0, len(data), depth)]
    if len(sizes) > 1 and sizes[-1] < halo:  # the last slab must hold a halo too
        sizes[-2:] = [sizes[-2] + sizes[-1]]
    slabs: da.Array = data.rechunk((tuple(sizes), -1, -1))
    return slabs


def slab_depth(plane: tuple[int, ...], halo: int = 0, most: int | None = None) -> int:
    """Slices of a slab of planes of this shape; see :func:`as_slabs`."""
    size = math.prod(plane) * np.dtype(np.float32).itemsize
    depth = max(1, int(SLAB_BYTES // max(1, size)))
    if most is not None:
        while most > depth:
            most = -(-most // 2)
        depth = most
    return max(depth, halo)


def overlap_slabs(
    kernel: Callable[..., Any],
    data: da.Array,
    halo: int,
    *,
    name: str,
    dtype: DTypeLike,
    outputs: int | None = None,
    sampled: range | None = None,
    **options: Any,
) -> da.Array:
    """Apply a kernel to slabs that overlap their neighbours by `halo` slices.

    It is :func:`dask.array.map_overlap` without a boundary: the first and the last slab have
    neighbours on one side only.

    Parameters
    ----------
    kernel : callable
        ``kernel(block, wanted, **options)`` takes a block with its halo, and returns the result
        of the slices `wanted` (a slice) of the block.
    data : dask.array.Array
        In slabs, see :func:`as_slabs`.
    halo : int
    name : str
        Of the tasks, on dask's dashboard.
    dtype : dtype
        Of the result.
    outputs : int, optional
        Length of an axis that the kernel adds as the last one.
    sampled : range, optional
        The slices of `data` that the kernel returns; slabs begin at whole multiples of its step.
        If None, all.
    **options
        For the kernel; those that are lazy are computed first.
    """
    blocks = data.numblocks[0]
    more = {} if outputs is None else {"new_axis": data.ndim}
    first, every = (0, 1) if sampled is None else (sampled.start, sampled.step)
    depths = tuple(len(range(first, depth, every)) for depth in data.chunks[0])
    chunks = (depths, *data.chunks[1:], *(() if outputs is None else ((outputs,),)))
    result: da.Array = da.map_overlap(
        partial(_run_wanted, kernel, halo, blocks, __version__),
        data,
        depth={0: halo if blocks > 1 else 0},
        boundary="none",
        trim=False,
        allow_rechunk=False,
        chunks=chunks,
        dtype=dtype,
        meta=np.empty((0,) * len(chunks), dtype=dtype),
        name=f"{name}-{tokenize(kernel.__qualname__, data, halo, options)}",
        **more,
        **options,
    )
    return result


def map_slabs(
    kernel: Callable[..., Any],
    *arrays: da.Array,
    name: str,
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
    name : str
        Of the tasks, on dask's dashboard.
    dtype : dtype
        Of the result.
    width : int, optional
        The kernel returns (z, width) instead of (z, y, x).
    **options
        For the kernel; those that are lazy are computed first.
    """
    axes = {3: "zyx", 2: "zk"}
    pairs = [part for array in arrays for part in (array, axes[array.ndim])]
    result: da.Array = da.blockwise(
        partial(_run, kernel, __version__),
        "zyx" if width is None else "zw",
        *pairs,
        new_axes=None if width is None else {"w": width},
        concatenate=True,
        dtype=dtype,
        meta=np.empty((0,) * (3 if width is None else 2), dtype=dtype),
        name=f"{name}-{tokenize(kernel.__qualname__, arrays, options)}",
        **options,
    )
    return result


def lazy_slabs(data: da.Array, first: int, stop: int) -> list[Delayed]:
    """The blocks of some slices, each still to be computed.

    Their graphs are not fused, so that tasks keep the names of their operators on dask's dashboard,
    and neighbouring slabs share their common inputs.
    """
    return list(data[first:stop].to_delayed(optimize_graph=False).ravel())


def _run(kernel: Callable[..., Any], version: str, *blocks: Any, **options: Any) -> Any:
    """A kernel, on a worker that has the code that made the graph: another has other bits."""
    refuse_unfit(version)
    return kernel(*blocks, **options)


def _run_wanted(
    kernel: Callable[..., Any],
    halo: int,
    blocks: int,
    version: str,
    block: NDArray[Any],
    *,
    block_id: tuple[int, ...],
    **options: Any,
) -> Any:
    """The same, with the slices of the block that lie between its halos."""
    first = halo if block_id[0] > 0 else 0
    stop = len(block) - (halo if block_id[0] < blocks - 1 else 0)
    return _run(kernel, version, block, slice(first, stop), **options)
