"""One level of a pyramid, reduced to z, y, x and nm, and how its array is stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, overload

import numpy as np

from hela_dask.geometry import Geometry
from hela_dask.storage.urls import StorePath
from hela_dask.types import Triple

__all__ = ["Level", "same_levels", "slab_marks", "slab_ranges"]

T = TypeVar("T")


@dataclass(frozen=True)
class Level:
    """One level of the pyramid; every triple is in the order z, y, x."""

    path: str  # name of the array inside its group
    shape: tuple[int, int, int]  # voxels
    # Size of a voxel and place of the first voxel's centre, nm
    voxel_size: Triple
    translation: Triple
    chunks: tuple[int, int, int]  # chunk of the stored array, voxels
    # Shard of the stored array, voxels; None where it is not sharded
    shards: tuple[int, int, int] | None
    # Names of the stored array's axes, in its order. Those that are not z, y or x have a length of
    # one; z may be missing.
    axes: tuple[str, ...] = ("z", "y", "x")

    @property
    def geometry(self) -> Geometry:
        """The grid of its voxels."""
        return Geometry(self.shape, self.voxel_size, self.translation)

    @property
    def file(self) -> tuple[int, int, int]:
        """Voxels in a file: a shard, or a chunk where the array is not sharded."""
        return self.shards or self.chunks

    def stored(self, values: Sequence[T], other: T) -> tuple[T, ...]:
        """Values of z, y, x in the order of the stored array, and `other` along its other axes."""
        by_axis = dict(zip("zyx", values, strict=True))
        return tuple(by_axis.get(axis, other) for axis in self.axes)


@overload
def slab_marks(path: Path, level: Level) -> Path: ...


@overload
def slab_marks(path: StorePath, level: Level) -> StorePath: ...


def slab_marks(path: StorePath, level: Level) -> StorePath:
    """Folder beside the chunks of level 0 with one empty file for each slab that is written."""
    return path / level.path / ".slabs"


def slab_ranges(level: Level) -> list[tuple[int, int]]:
    """Ranges of slices that are written together, as deep as a shard, the last one clipped."""
    return list(iterate_slabs(level))


def iterate_slabs(level: Level) -> Iterator[tuple[int, int]]:
    """The same, one after the other: a damaged store may state any number of them."""
    depth = level.file[0]
    for z in range(0, level.shape[0], depth):
        yield z, min(z + depth, level.shape[0])


def same_levels(first: Sequence[Level], second: Sequence[Level]) -> bool:
    """Whether two pyramids are stored alike; lengths may differ by the rounding of their units."""
    return len(first) == len(second) and all(
        (a.path, a.shape, a.chunks, a.shards, a.axes)
        == (b.path, b.shape, b.chunks, b.shards, b.axes)
        and _close(a.stored(a.voxel_size, 1.0), b.stored(b.voxel_size, 1.0))
        and _close(a.stored(a.translation, 0.0), b.stored(b.translation, 0.0))
        for a, b in zip(first, second, strict=True)
    )


def _close(first: Sequence[float], second: Sequence[float]) -> bool:
    return bool(np.allclose(first, second, rtol=1e-9, atol=1e-6))
