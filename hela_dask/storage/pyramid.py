"""How a volume is laid out: levels of the pyramid, chunks and shards, and a slab made coarser."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.errors import ParameterError
from hela_dask.geometry import Geometry
from hela_dask.storage.level import Level
from hela_dask.types import Shape, Triple

__all__ = ["Downsample", "halve", "halve_into", "layout", "plan_levels"]

Downsample = Literal["mean", "nearest", "any"]

_COARSEST = 256  # no further level once y and x are at most this long
# The layout measured in docs/storage.md: a slice is read without its neighbours, a window with few
# chunks.
_CHUNKS = (1, 512, 512)
_SHARDS = (8, 2048, 2048)
_SMALL_PLANE = 1024  # slabs of planes up to this long are twice as deep: fewer, larger tasks
_LARGEST_SLAB = 512 * 2**20  # bytes: a conversion holds a slab of whole planes


def layout(
    shape: Sequence[int],
    itemsize: int,
    chunks: Sequence[int] | None = None,
    shards: Sequence[int] | None = None,
    *,
    tiled: bool = False,
) -> tuple[Shape, Shape]:
    """Chunk and shard for an array of `shape` (voxels, z, y, x): as asked for, or the default.

    The default is 1 x 512 x 512 in shards of 8 x 2048 x 2048; 16 deep where a plane is no longer
    than 1024; less deep and wider where a slab of whole planes would be over 512 MiB, unless it
    is written tile by tile (`tiled`). ParameterError where they are not positive, or a shard is
    not a whole number of chunks.
    """
    depth, side = _SHARDS[0], _SHARDS[1]
    if max(shape[1:]) <= _SMALL_PLANE:
        depth *= 2
    while not tiled and depth > 1 and depth * shape[1] * shape[2] * itemsize > _LARGEST_SLAB:
        depth //= 2
        side = 2 * _SHARDS[1]
    chunk = _triple(chunks, "chunks") or _CHUNKS
    shard = _triple(shards, "shards") or _multiple(chunk, (depth, side, side))
    if chunks is None:
        pairs = list(zip(chunk, shard, strict=True))
        chunk = _shape(small if large % small == 0 else large for small, large in pairs)
    if any(large % small for small, large in zip(chunk, shard, strict=True)):
        raise ParameterError(
            f"shards {shard} must be whole multiples of the chunks {chunk}: "
            f"{_multiple(chunk, shard)} are"
        )
    return chunk, shard


def _clip(shape: Shape, chunk: Shape, shard: Shape) -> tuple[Shape, Shape]:
    """Chunk and shard no longer than an array of `shape` needs, still whole multiples."""
    short = _shape(min(size, length) for size, length in zip(chunk, shape, strict=True))
    counts = [large // small for large, small in zip(shard, chunk, strict=True)]
    needed = [-(-length // size) for length, size in zip(shape, short, strict=True)]
    return short, _shape(
        size * min(most, enough) for size, most, enough in zip(short, counts, needed, strict=True)
    )


def _multiple(chunk: Shape, target: Shape) -> Shape:
    return _shape(size * max(1, goal // size) for size, goal in zip(chunk, target, strict=True))


def _shape(lengths: Iterable[int]) -> Shape:
    z, y, x = (int(length) for length in lengths)
    return z, y, x


def plan_levels(
    shape: Sequence[int],
    itemsize: int,
    voxel_size: Triple,
    chunks: Sequence[int] | None = None,
    shards: Sequence[int] | None = None,
    *,
    translation: Triple = (0.0, 0.0, 0.0),
    tiled: bool = False,
    count: int | None = None,
    axes: tuple[str, ...] = ("z", "y", "x"),
) -> tuple[Level, ...]:
    """All levels of a volume: y and x halved (rounded up) until both are at most 256, z never.

    Or `count` levels, where that is given. `axes` are those of the stored arrays.

    A coarse voxel's centre lies between those of the voxels it stands for, hence the
    translation of half a voxel less half a fine voxel, added to that of the finest level.
    """
    finest = Geometry(_shape(shape), voxel_size, translation)
    chunk, shard = layout(finest.shape, itemsize, chunks, shards, tiled=tiled)
    levels: list[Level] = []
    while True:
        factor = 2 ** len(levels)
        grid = finest.coarser((factor, factor))
        level_chunks, level_shards = _clip(grid.shape, chunk, shard)
        levels.append(
            Level(
                path=str(len(levels)),
                shape=grid.shape,
                voxel_size=grid.voxel_size,
                translation=grid.origin,
                chunks=level_chunks,
                shards=level_shards,
                axes=axes,
            )
        )
        if len(levels) == count or (count is None and max(grid.shape[1:]) <= _COARSEST):
            return tuple(levels)


def halve(block: NDArray[Any], how: Downsample) -> NDArray[Any]:
    """`block` (z, y, x) at half the resolution in y and x; an odd last row or column stands alone.

    ``"mean"`` is the local mean (integers: rounded, halves to even, so that a pyramid does not
    get brighter from level to level), ``"nearest"`` one voxel of the four, ``"any"`` their
    maximum.
    """
    if how == "nearest":
        if not _first_is_compiled(block.dtype):
            return np.ascontiguousarray(block[:, ::2, ::2])
        from hela_dask.storage.means import quarter_first

        return quarter_first(block)
    if how not in ("mean", "any"):
        raise ParameterError(f"downsample must be 'mean', 'nearest' or 'any', not {how!r}")
    if how == "mean" and block.dtype.kind in "iu" and block.dtype.itemsize <= 2:
        block = block.astype(block.dtype.newbyteorder("="), copy=False)
        from hela_dask.storage.means import quarter_mean  # the compiler is slow to import

        return quarter_mean(block)
    _, height, width = block.shape
    if height % 2 or width % 2:
        block = np.pad(block, ((0, 0), (0, height % 2), (0, width % 2)), mode="edge")
    quarters = [block[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
    if how == "any" or block.dtype == np.bool_:
        top: NDArray[Any] = np.maximum(quarters[0], quarters[1])
        np.maximum(top, quarters[2], out=top)
        np.maximum(top, quarters[3], out=top)
        return top
    if block.dtype.kind == "f":
        mean: NDArray[Any] = (quarters[0] + quarters[1] + quarters[2] + quarters[3]) / 4
        return mean.astype(block.dtype)
    total: NDArray[np.int64] = quarters[0].astype(np.int64)
    for quarter in quarters[1:]:
        np.add(total, quarter, out=total, casting="unsafe")
    np.add(total, 1 + ((total >> 2) & 1), out=total)
    np.right_shift(total, 2, out=total)
    return total.astype(block.dtype)


def halve_into(
    block: NDArray[Any], how: Downsample, target: NDArray[Any], corner: tuple[int, ...]
) -> None:
    """Write the result of :func:`halve` into an array (z, y, x), from a row and a column on."""
    if how == "nearest" and block.dtype == target.dtype and _first_is_compiled(block.dtype):
        from hela_dask.storage.means import quarter_first

        quarter_first(block, target, corner)
    else:
        part = halve(block, how)
        target[:, *Box.at(corner, part.shape[1:])] = part


def _first_is_compiled(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "biu" and dtype.isnative


def _triple(values: Sequence[int] | None, name: str) -> Shape | None:
    if values is None:
        return None
    if len(values) != 3 or min(values) < 1:
        raise ParameterError(f"{name} must be three positive numbers of voxels, not {values!r}")
    return _shape(values)
