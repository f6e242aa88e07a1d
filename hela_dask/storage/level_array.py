"""One level of a store as an array in z, y, x, however its axes are stored; for every reader."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.storage.level import Level
from hela_dask.storage.reading import StoredArray, expanded
from hela_dask.storage.urls import StorePath

__all__ = ["LevelArray", "read_zyx"]

_ZYX = ("z", "y", "x")


class LevelArray:
    """A level, read like a numpy array in z, y, x; workers get its path and open it themselves.

    Axes of length one are left out, z is added where there is none, and other orders of the
    axes (`axes`: their names as stored) are transposed. NaN and infinite values, which registered
    stacks have where no image is, are read as 0, the grey value of a frame, where `finite`.

    `folder` is absolute; `shape`, `dtype` and `ndim` are those in z, y, x.
    """

    ndim = 3

    def __init__(
        self, folder: StorePath, axes: tuple[str, ...] = _ZYX, *, finite: bool = True
    ) -> None:
        self._array = StoredArray(folder)
        self._finite = finite
        self._axes = tuple(axes)
        self.folder = self._array.folder
        stored = self._array.dtype.newbyteorder("=")
        # Compiled loops take no half precision; single precision holds the same values.
        self.dtype: np.dtype[Any] = np.dtype(np.float32) if stored == np.float16 else stored
        lengths = dict(zip(self._axes, self._array.shape, strict=True))
        self.shape: tuple[int, int, int] = (lengths.get("z", 1), lengths["y"], lengths["x"])

    @classmethod
    def from_level(cls, group: StorePath, level: Level, *, finite: bool = True) -> LevelArray:
        """The array of a level of the group at `group`."""
        return cls(group / level.path, level.axes, finite=finite)

    def __getitem__(self, selection: Any) -> NDArray[Any]:
        """Read a part; a StorageError names the chunk that is damaged or cannot be read."""
        return self._framed(read_zyx(self._array, self._axes, selection))

    def _framed(self, block: NDArray[Any]) -> NDArray[Any]:
        """In the type that is read; real values without NaN and infinite ones."""
        block = block.astype(self.dtype, copy=False)
        if block.dtype.kind != "f" or not self._finite or np.isfinite(block).all():
            return block
        return np.where(np.isfinite(block), block, block.dtype.type(0))


def read_zyx(array: Any, axes: tuple[str, ...], selection: Any) -> NDArray[Any]:
    """A part, in z, y and x, of an array that is stored with its axes in another order.

    `array` is read by whole numbers and slices; of its `axes`, those that are not z, y or x have a
    length of one, and z may be missing.
    """
    if axes == _ZYX:
        return np.asarray(array[selection])
    keys = expanded(selection if isinstance(selection, tuple) else (selection,), len(_ZYX))
    # Whole numbers drop their axis, and lists choose, only when the block is in z, y, x.
    wide = {axis: _sliced(key) for axis, key in zip(_ZYX, keys, strict=True)}
    block = np.asarray(array[tuple(wide.get(axis, slice(None)) for axis in axes)])
    there = [axis for axis in _ZYX if axis in axes]
    others = [axis for axis in axes if axis not in _ZYX]
    block = block.transpose([axes.index(axis) for axis in (*there, *others)])
    block = block.reshape(block.shape[: len(there)])
    if "z" not in axes:
        block = block[np.newaxis][wide["z"]]
    zyx: NDArray[Any] = block[tuple(_within(key) for key in keys)]
    return zyx


def _sliced(key: Any) -> slice:
    """The slice to read for a key of one axis."""
    if isinstance(key, int | np.integer):
        return slice(int(key), int(key) + 1 or None)
    return key if isinstance(key, slice) else slice(None)


def _within(key: Any) -> Any:
    """The key for the array that was read."""
    if isinstance(key, int | np.integer):
        return 0
    return slice(None) if isinstance(key, slice) else key
