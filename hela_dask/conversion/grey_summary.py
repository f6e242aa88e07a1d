"""Grey levels of a volume: exact where it or its pyramid is small enough, else of a part of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.conversion.readers.source import Source
from hela_dask.storage.level_array import LevelArray
from hela_dask.storage.metadata import Image, Level

__all__ = ["LARGEST_CHUNK", "chunk_bytes", "grey_summary", "grey_summary_of_source", "not_finite"]

LARGEST_CHUNK = 2**32  # bytes that reading one voxel may take
_VOXELS = 2**27  # of the level that is read whole; of larger ones, so many are read
_FEW = 2**24  # that are looked at for NaN
_BOX = 2**22  # voxels that are read at once, where a file holds more
_PERCENTILES = (1, 5, 25, 50, 75, 95, 99)


def chunk_bytes(image: Image, level: Level) -> int:
    """Bytes that are decoded for one voxel."""
    return math.prod(level.chunks) * image.dtype.itemsize


def grey_summary(image: Image) -> dict[str, Any] | None:
    """Minimum, maximum, mean and percentiles, from whole-number counts where the type allows.

    ``level`` that was read, ``share`` of its voxels that were, ``min``, ``max``, ``mean``,
    ``percentiles`` (of 8 and 16 bit) and ``not_finite``, the number of NaN and infinite
    values among them, which are left out. None where a chunk is too large to be read, or all
    values are NaN.
    """
    number, level = _level(image, _VOXELS)
    if chunk_bytes(image, level) > LARGEST_CHUNK:
        return None
    found = _summary(_blocks(image, level, _VOXELS), image.dtype, math.prod(level.shape))
    return None if found is None else {"level": number, **found}


def grey_summary_of_source(source: Source) -> dict[str, Any] | None:
    """As :func:`grey_summary`, without ``level``: of all slices, or of evenly spaced ones."""
    depth, plane = source.shape[0], source.shape[1] * source.shape[2]
    count = max(1, min(depth, _VOXELS // plane))
    blocks = (source.read(z, z + 1) for z in (k * depth // count for k in range(count)))
    return _summary(blocks, source.dtype, depth * plane)


def _summary(
    blocks: Iterable[NDArray[Any]], dtype: np.dtype[Any], voxels: int
) -> dict[str, Any] | None:
    read, bad = 0, 0
    counts = np.zeros(2 ** min(16, 8 * dtype.itemsize), np.int64)
    parts: list[tuple[float, float, float]] = []
    whole = dtype in (np.uint8, np.uint16)
    for block in blocks:
        read += block.size
        if whole:
            counts += np.bincount(block.ravel(), minlength=counts.size)
            continue
        values = block[np.isfinite(block)]
        bad += block.size - values.size
        if values.size:
            parts.append((values.min(), values.max(), values.sum(dtype=np.float64)))
    found: dict[str, Any] = {"share": read / voxels}
    if whole:
        return {**found, **_counted(counts), "not_finite": 0}
    if not parts:
        return None
    lows, highs, sums = zip(*parts, strict=True)
    return {
        **found,
        "min": float(min(lows)),
        "max": float(max(highs)),
        "mean": math.fsum(sums) / (read - bad),
        "percentiles": None,
        "not_finite": bad,
    }


def not_finite(image: Image) -> tuple[float, bool]:
    """Share of NaN and infinite values, and whether any other is below zero; of a part of them."""
    _, level = _level(image, _FEW)
    if image.dtype.kind != "f" or chunk_bytes(image, level) > LARGEST_CHUNK:
        return 0.0, False
    read, bad, below = 0, 0, False
    for block in _blocks(image, level, _FEW):
        read += block.size
        bad += block.size - int(np.isfinite(block).sum())
        below = below or bool((np.where(np.isfinite(block), block, 0) < 0).any())
    return bad / read, below


def _counted(counts: NDArray[np.int64]) -> dict[str, Any]:
    values = np.flatnonzero(counts)
    below = np.cumsum(counts)
    total = int(below[-1])
    return {
        "min": int(values[0]),
        "max": int(values[-1]),
        "mean": float(np.dot(values, counts[values]) / total),
        "percentiles": {
            str(percent): int(np.searchsorted(below, math.ceil(total * percent / 100)))
            for percent in _PERCENTILES
        },
    }


def _level(image: Image, most: int) -> tuple[int, Level]:
    """The finest level of at most so many voxels, else the coarsest."""
    for number, level in enumerate(image.levels):
        if math.prod(level.shape) <= most:
            return number, level
    return len(image.levels) - 1, image.levels[-1]


def _blocks(image: Image, level: Level, most: int) -> Iterator[NDArray[Any]]:
    """A level, a file or a part of one at a time; evenly spread ones where it has more voxels."""
    array = LevelArray.from_level(image.path, level, finite=False)
    box = [min(side, length) for side, length in zip(level.file, level.shape, strict=True)]
    while math.prod(box) > _BOX:
        longest = box.index(max(box))
        box[longest] = -(-box[longest] // 2)
    grid = [-(-length // side) for length, side in zip(level.shape, box, strict=True)]
    total = math.prod(grid)
    number = total if math.prod(level.shape) <= most else max(1, most // math.prod(box))
    for k in range(number):
        rest, x = divmod(k * total // number, grid[2])
        z, y = divmod(rest, grid[1])
        yield array[
            tuple(
                slice(at * side, min((at + 1) * side, length))
                for at, side, length in zip((z, y, x), box, level.shape, strict=True)
            )
        ]
