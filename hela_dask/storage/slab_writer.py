"""A slab written tile by tile: coarser levels follow as their shards fill, so little is held."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.errors import StorageError
from hela_dask.storage.files import storage_errors
from hela_dask.storage.metadata import Image, Level
from hela_dask.storage.nodes import open_array
from hela_dask.storage.pyramid import Downsample, halve_into
from hela_dask.storage.records import FileRecord, Records, record_file
from hela_dask.storage.shards import any_value, encode_shard, is_ours, put_shard

__all__ = ["SlabWriter", "slab_tiles"]


def slab_tiles(levels: tuple[Level, ...]) -> list[Box]:
    """Rows and columns of the finest level that are written at once, in the order to do it.

    A tile is a shard. The order is that of the quadrants of the plane, their quadrants and so
    on, so that the tiles below one shard of a coarser level follow one another and no level has
    two shards that are begun. Where shards of one level do not fill those of the next (their
    sides are odd), the one tile is the whole plane.
    """
    plane, side = levels[0].shape[1:], levels[0].file[1:]
    if not _nested(levels):
        return [Box.whole(plane)]
    tiles = sorted(Box.whole(plane).chunks(side), key=lambda tile: _quadrants(*tile[0]))
    return [box for _, box in tiles]


@dataclass
class _Shard:
    """A shard of a coarser level, as far as it is known."""

    data: NDArray[Any]
    box: Box
    missing: int  # voxels of a plane that are still to come


class SlabWriter:
    """Writes one slab of a volume, at every level of its pyramid, tile by tile.

    Made by :func:`hela_dask.storage.store.slab_writer`, which also marks the slab as finished. For
    one thread; others may write other slabs.

    `tiles` are rows and columns of the finest level. Each is to be written once; in this order, at
    most one shard of each coarser level is held. `depth` is the slab's slices. After
    :meth:`close`, `files` has the record of every shard of the slab at every level, by its path
    relative to the group; None where no file is written, because all of its voxels are 0.
    """

    def __init__(
        self,
        image: Image,
        z0: int,
        z1: int,
        downsample: Downsample,
        threads: Executor,
        check: Callable[[], None] | None = None,
    ) -> None:
        self.tiles = slab_tiles(image.levels)
        self.depth = z1 - z0
        self._image = image
        self._z = slice(z0, z1)
        self._how: Downsample = downsample
        self._threads = threads
        self._may_write = check
        self.files: Records = {}
        self._writing: tuple[str, Future[FileRecord | None]] | None = None
        self._left = set(self.tiles)
        self._arrays = [open_array(image.folder / level.path, mode="r+") for level in image.levels]
        self._begun: list[dict[tuple[int, ...], _Shard]] = [{} for _ in image.levels]
        # Of each level, the array of the last shard: new pages would take longer.
        self._room: list[NDArray[Any] | None] = [None for _ in image.levels]
        self._check()

    def write(self, tile: Box, data: NDArray[Any] | None) -> None:
        """Write one tile, and the tiles of the coarser levels that it completes.

        `tile` is one of :attr:`tiles` that was not written yet; `data` is (depth, rows, columns) in
        the image's type (bool for an integer type is fine), or None: nothing but zeros.
        StorageError when this is no such tile, or the shape or type of `data` is not the tile's.
        """
        image, (rows, columns) = self._image, tile
        if tile not in self._left:
            again = tile in self.tiles
            raise StorageError(
                f"{image.path}: rows {rows.start} to {rows.stop} and columns {columns.start} to "
                f"{columns.stop} of a slab "
                + ("were written already" if again else "are no tile: a shard has one writer")
            )
        shape = (self.depth, *tile.shape)
        if data is not None:
            if data.dtype not in (image.dtype, np.bool_):
                raise StorageError(f"{image.path} holds {image.dtype.name}, not {data.dtype.name}")
            if data.shape != shape:
                raise StorageError(f"{image.path}: a tile has shape {shape} here, not {data.shape}")
        with storage_errors(image.folder):
            self._put(0, tile, _filled(data))
        self._left.remove(tile)

    def close(self) -> None:
        """Wait until all is written; StorageError where tiles are missing."""
        self._finish()
        if self._left:
            raise StorageError(
                f"{self._image.path}: {len(self._left)} of {len(self.tiles)} tiles of the slab at "
                f"slice {self._z.start + 1} were not written"
            )

    def _put(self, number: int, box: Box, data: NDArray[Any] | None) -> None:
        """Write whole shards of one level; hand their coarser version to the next."""
        if data is None:
            self._clear(number, box)
        else:
            block = np.ascontiguousarray(data).astype(self._image.dtype, copy=False)
            self._store(number, box, block)
        if number + 1 == len(self._arrays):
            return
        target = box.coarsen((2, 2))
        shard = self._shard_of(number + 1, target)
        place = target.relative_to(shard.box)
        if data is None:
            shard.data[:, *place] = 0
        else:
            halve_into(block, self._how, shard.data, place.low)
        shard.missing -= math.prod(target.shape)
        if shard.missing == 0:
            del self._begun[number + 1][shard.box.low]
            self._put(number + 1, shard.box, _filled(shard.data))
            self._room[number + 1] = shard.data

    def _shard_of(self, number: int, box: Box) -> _Shard:
        """The shard of a level, or all its shards, that a part of it lies in.

        It holds whatever was in its array until all of its parts are written.
        """
        level = self._image.levels[number]
        sides = level.shape[1:] if len(self.tiles) == 1 else level.file[1:]
        place = [at // side for at, side in zip(box.low, sides, strict=True)]
        shard = Box.at(place, (1, 1)).scale(sides).clip(level.shape[1:])
        if shard.low not in self._begun[number]:
            data, self._room[number] = self._room[number], None
            if data is None or data.shape[1:] != shard.shape:
                data = np.empty((self.depth, *shard.shape), self._image.dtype)
            self._begun[number][shard.low] = _Shard(data, shard, math.prod(shard.shape))
        return self._begun[number][shard.low]

    def _store(self, number: int, box: Box, block: NDArray[Any]) -> None:
        """Write some whole shards of one level."""
        array, level = self._arrays[number], self._image.levels[number]
        if not is_ours(array):
            self._clear(number, box)  # replaced, not read again and merged
            if self._may_write is not None:
                self._may_write()
            place = level.stored((self._z, *box), slice(None))
            array[place] = block.reshape(level.stored(block.shape, 1))
            for file, _ in self._files(number, box):
                self.files[self._key(file)] = record_file(file) if file.exists() else None
            return
        for file, part in self._files(number, box):
            inside = block[:, *part.relative_to(box)]
            encoded = encode_shard(inside, level.chunks, level.file, self._threads)
            self._finish()
            # Written while the next shard is compressed; it is a copy of the caller's array.
            put = self._threads.submit(put_shard, file, encoded, self._may_write)
            self._writing = self._key(file), put

    def _finish(self) -> None:
        """Wait for the shard that is being written, and raise its error."""
        if self._writing is not None:
            (path, writing), self._writing = self._writing, None
            self.files[path] = writing.result()

    def _clear(self, number: int, box: Box) -> None:
        """Remove existing files."""
        for file, _ in self._files(number, box):
            put_shard(file, [], self._may_write)
            self.files[self._key(file)] = None

    def _key(self, file: Path) -> str:
        """A file's path relative to the group."""
        return file.relative_to(self._image.folder).as_posix()

    def _files(self, number: int, box: Box) -> Iterator[tuple[Path, Box]]:
        """The shards that make up a part of a level, each with its own part of it."""
        array, level = self._arrays[number], self._image.levels[number]
        deep, *sides = level.file
        for place, shard in box.chunks(sides):
            stored = level.stored((self._z.start // deep, *place), 0)
            key = array.metadata.encode_chunk_key(stored)
            yield self._image.folder / level.path / key, shard

    def _check(self) -> None:
        """Raise where the levels are not halves of one another in the same slabs."""
        shape, deep = self._image.levels[0].shape, self._image.levels[0].file[0]
        for level, array in zip(self._image.levels, self._arrays, strict=True):
            stored = level.stored(shape, 1)
            if array.shape != stored or level.file[0] != deep:
                raise StorageError(
                    f"{self._image.path} has a pyramid that this package did not make"
                )
            shape = shape[0], -(-shape[1] // 2), -(-shape[2] // 2)


def _nested(levels: tuple[Level, ...]) -> bool:
    """Whether a shard of each level, halved, lies in one shard of the next and begins in it."""
    for fine, coarse in itertools.pairwise(levels):
        for axis in (1, 2):
            small, large = fine.file[axis], coarse.file[axis]
            last = large >= coarse.shape[axis]
            fits = small % 2 == 0 and (last or 2 * large % small == 0)
            if not (last if small >= fine.shape[axis] else fits):
                return False
    return True


def _quadrants(y: int, x: int) -> int:
    """Position along a Z-shaped curve: the bits of row and column in turn."""
    bits = max(y, x).bit_length()
    return sum(((y >> n & 1) << (2 * n + 1)) | ((x >> n & 1) << (2 * n)) for n in range(bits))


def _filled(data: NDArray[Any] | None) -> NDArray[Any] | None:
    """`data`, or None where it is nothing but zeros."""
    if data is None or data.dtype.kind == "f":  # -0.0 is no 0.0
        return data
    return data if any_value(data) else None
