"""Arrays opened for reading.

By compiled codecs if they are installed, and damaged chunks are named.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import stat
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.errors import HelaDaskError, StorageError
from hela_dask.storage.absent import check_absent
from hela_dask.storage.nodes import open_array, unique_error
from hela_dask.storage.remote import METADATA
from hela_dask.storage.remote_shards import read_ahead
from hela_dask.storage.remote_store import absent_files
from hela_dask.storage.urls import StorePath, StoreUrl

__all__ = ["StoredArray", "expanded", "reading_pipeline"]

_KEY = "codec_pipeline.path"
_COMPILED = "zarrs.ZarrsCodecPipeline"
_LOCK = threading.Lock()
# The errors of zarr and its codecs for a damaged file.
_DAMAGE = (OSError, RuntimeError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError)
_ADVICE = "restore the store from a copy, or remove it and write it again"


def reading_pipeline() -> str:
    """The class that decodes all reads of this package.

    The compiled one where the package ``zarrs`` is installed, with the same bits; the user's choice
    in zarr's configuration or environment (``ZARR_CODEC_PIPELINE__PATH``) takes precedence. Writing
    is left to zarr's own, which puts a shard in place whole or not at all.
    """
    path = str(zarr.config.get(_KEY))
    free = path == _stock() and not _chosen()
    return _COMPILED if free and _compiled_is_there() else path


def _stock() -> str:
    """The default of zarr."""
    return str(zarr.config.defaults[0]["codec_pipeline"]["path"])


@functools.cache
def _chosen() -> bool:
    """Whether the environment or a configuration file selects one."""
    return zarr.config.collect().get("codec_pipeline", {}).get("path") is not None


@functools.cache
def _compiled_is_there() -> bool:
    try:
        importlib.import_module("zarrs")
    except ImportError:
        return False
    return True


@contextlib.contextmanager
def _pipeline(path: str) -> Iterator[None]:
    """Arrays opened in this block decode with `path`; zarr has only a global switch for it."""
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zarrs: falls back to zarr's own
        with zarr.config.set({_KEY: path}):
            yield


class StoredArray:
    """An array of a store, read like one of numpy.

    What travels to a worker is its path: it is opened there, and only when it is read, so that a
    scheduler need not see the file.

    `folder` (a path, or an address) is absolute: a worker may run in another folder, and missing
    files are read as zeros.
    `shape`, `dtype`, `ndim` and `attrs` are as stored; `depth` counts the positions along the first
    axis that a file holds.
    """

    def __init__(self, folder: StorePath) -> None:
        self.folder = folder.absolute()
        self.shape: tuple[int, ...] = self._array.shape
        self.dtype: np.dtype[Any] = np.dtype(self._array.dtype)
        self.ndim = self._array.ndim
        self.depth = int((self._array.shards or self._array.chunks)[0])

    @functools.cached_property
    def _array(self) -> zarr.Array[Any]:
        return _opened(self.folder)

    @property
    def attrs(self) -> Any:
        """As stored."""
        return self._array.attrs

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_array"}

    def __getitem__(self, selection: Any) -> NDArray[Any]:
        """Read a part; a StorageError names the chunk that is damaged or cannot be read."""
        where = _slices(selection, self.shape)
        try:
            if where is None:
                return self._read(selection)
            self._refuse_no_files(where)
            block = self._read(where)
        except HelaDaskError:
            raise
        except _DAMAGE as error:
            if where is None and isinstance(error, IndexError):  # of the selection
                raise
            raise self._named(where or Box.whole(self.shape), error) from error
        # Whole numbers drop their axis only here: the compiled codecs read slices.
        keys = selection if isinstance(selection, tuple) else (selection,)
        keep = [key for key in keys if key is not Ellipsis]
        if not any(isinstance(key, int | np.integer) for key in keep):
            return block
        cut = expanded(keys, self.ndim)
        return block[tuple(0 if isinstance(key, int | np.integer) else slice(None) for key in cut)]

    def _read(self, where: Any) -> NDArray[Any]:
        if not isinstance(self.folder, StoreUrl):
            return np.asarray(self._array[where])
        ahead = (
            read_ahead(self._array, where) if isinstance(where, Box) else contextlib.nullcontext()
        )
        with absent_files() as absent, ahead:
            block = np.asarray(self._array[where])
        # Absent files hold the fill value, unless they were lost.
        if lost := absent.difference(METADATA):
            check_absent(self.folder, lost)
        return block

    def _named(self, where: Box, error: Exception) -> StorageError:
        """The first chunk of the selection that cannot be read."""
        name = f"{self.folder.parent}: array {self.folder.name!r}"
        sides = self._array.chunks
        array = _opened(self.folder)
        for place in _touched(where, sides):
            box = Box.at(place, [1] * len(place)).scale(sides).clip(self.shape)
            try:
                array[box]
            except _DAMAGE as found:
                return StorageError(
                    f"{name}: chunk {place} ({_described(box)}) in {self._file(box)} is damaged "
                    f"({unique_error(found)}): {_ADVICE}"
                )
        return StorageError(
            f"{name} cannot be read ({unique_error(error)}): try again, or {_ADVICE}"
        )

    def _refuse_no_files(self, where: Box) -> None:
        """An empty file or a broken link would be read like a missing one, as zeros."""
        if isinstance(self.folder, StoreUrl):
            return  # absent files are looked at after the read
        for place in _touched(where, self._array.shards or self._array.chunks):
            file = self.folder / self._array.metadata.encode_chunk_key(place)
            problem = _unreadable(file, sharded=self._array.shards is not None)
            if problem:
                raise StorageError(
                    f"{self.folder.parent}: array {self.folder.name!r}: shard {place} in {file} "
                    f"is damaged ({problem}): {_ADVICE}"
                )

    def _file(self, box: Box) -> StorePath:
        sides = self._array.shards or self._array.chunks
        return self.folder / self._array.metadata.encode_chunk_key(box.coarsen(sides).low)


def _unreadable(file: Path, *, sharded: bool) -> str:
    """Why a file of an array must not be handed to zarr; empty where it may, or is not there."""
    try:
        facts = file.stat()
    except FileNotFoundError:
        return "it is a link to nothing" if file.is_symlink() else ""
    if not stat.S_ISREG(facts.st_mode):  # a pipe would be waited for
        return "it is no file"
    return "it is empty" if sharded and facts.st_size == 0 else ""


def _opened(folder: StorePath) -> zarr.Array[Any]:
    # The compiled codecs have separate clients for remote stores, without the checks of this
    # package's.
    path = _stock() if isinstance(folder, StoreUrl) else reading_pipeline()
    with _pipeline(path):
        array = open_array(folder)
    if path == _COMPILED and not (array.metadata.zarr_format == 3 and array.dtype.isnative):
        with _pipeline(_stock()):
            array = open_array(folder)
    return array


def _touched(where: Box, sides: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Places of the chunks, or shards, of these sides that a selection lies in."""
    return (place for place, _ in where.chunks(sides))


def expanded(keys: tuple[Any, ...], ndim: int) -> tuple[Any, ...]:
    """`keys` with one entry for each axis."""
    if Ellipsis in keys:
        at = keys.index(Ellipsis)
        keys = keys[:at] + (slice(None),) * (ndim - len(keys) + 1) + keys[at + 1 :]
    return keys + (slice(None),) * (ndim - len(keys))


def _slices(selection: Any, shape: tuple[int, ...]) -> Box | None:
    """A selection of whole numbers and slices without steps as slices; None for any other."""
    keys = selection if isinstance(selection, tuple) else (selection,)
    if not all(key is Ellipsis or isinstance(key, int | np.integer | slice) for key in keys):
        return None
    if len(keys) - (Ellipsis in keys) > len(shape):
        return None
    parts = []
    for key, length in zip(expanded(keys, len(shape)), shape, strict=True):
        if isinstance(key, slice):
            start, stop, step = key.indices(length)
            if step != 1:
                return None
            parts.append(slice(start, max(start, stop)))
        else:
            index = int(key) + (length if key < 0 else 0)
            if not 0 <= index < length:
                raise IndexError(f"position {key} of {length}")
            parts.append(slice(index, index + 1))
    return Box(parts)


def _described(box: Box) -> str:
    """Where a chunk is, for people: slices from 1, rows and columns in pixels."""
    if len(box) < 3:
        return ", ".join(f"{part.start}:{part.stop}" for part in box)
    z, y, x = box[-3:]
    return f"slices {z.start + 1} to {z.stop}, rows {y.start}:{y.stop}, columns {x.start}:{x.stop}"
