"""Scratch arrays: what one task writes and a later one reads, such as the masks of a region."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.storage import LocalStore

from hela_dask.errors import MissingInputError, StorageError
from hela_dask.storage.files import remove_folder, storage_errors
from hela_dask.storage.reading import StoredArray
from hela_dask.storage.shards import compressor

__all__ = ["create_scratch", "read_mask", "read_scratch", "write_scratch"]


def create_scratch(
    path: str | Path,
    shape: Sequence[int],
    dtype: np.typing.DTypeLike,
    chunks: Sequence[int] | None = None,
    *,
    attrs: Mapping[str, Any] | None = None,
) -> Path:
    """Create an array for a single writer at `path`; what was there under that name goes.

    Parameters
    ----------
    path : str or Path
        Folder of the array.
    shape : sequence of int
        Voxels.
    dtype : dtype
        Of the voxels; bool is fine.
    chunks : sequence of int, optional
        Voxels; default: up to 16 whole slices.
    attrs : mapping, optional
        Noted with the array; JSON.

    Returns
    -------
    Path
        `path`, for :func:`write_scratch` and :func:`read_scratch`.

    Raises
    ------
    StorageError
        When the file system refuses it or is full.
    """
    path = Path(path)
    if path.exists():
        if not (path / "zarr.json").is_file() and any(path.iterdir()):
            raise StorageError(f"{path} is in the way: it is not a scratch array")
        remove_folder(path)
    default = (min(16, max(1, shape[0])), *shape[1:])
    # Under another name first: half of an array would be in the way of the next run.
    building = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    with storage_errors(path):
        try:
            zarr.create_array(
                LocalStore(building),
                shape=tuple(shape),
                dtype=dtype,
                chunks=tuple(max(1, size) for size in (chunks or default)),
                compressors=compressor(),
                fill_value=0,
                attributes=dict(attrs or {}),
            )
            building.rename(path)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return path


def write_scratch(path: str | Path, data: NDArray[Any], start: int = 0) -> None:
    """Write `data` from position `start` of the first axis on, whole chunks only.

    Raises
    ------
    StorageError
        When `data` does not fit there, does not end where a chunk or the array ends, or the
        file system refuses it or is full.
    """
    path = Path(path)
    with storage_errors(path):
        array = zarr.open_array(LocalStore(path), mode="r+")
        stop, depth = start + data.shape[0], array.chunks[0]
        whole = start % depth == 0 and (stop % depth == 0 or stop == array.shape[0])
        if not whole or data.shape[1:] != array.shape[1:] or stop > array.shape[0]:
            raise StorageError(
                f"{path} of shape {array.shape} takes whole chunks of {depth} slices, "
                f"not {data.shape} at {start}"
            )
        array[start:stop] = data


def read_scratch(path: str | Path) -> StoredArray:
    """Open a scratch array for reading; slice it to get numpy arrays.

    Raises
    ------
    MissingInputError
        When there is none at `path`.
    """
    path = Path(path)
    if not (path / "zarr.json").is_file():
        raise MissingInputError(f"no scratch array at {path}")
    return StoredArray(path)


def read_mask(path: str | Path, window: tuple[slice, slice, slice]) -> NDArray[np.bool_]:
    """Where a part of a scratch array is not 0, with few of its chunks in memory at a time.

    Parameters
    ----------
    path : str or Path
        Of an array of three axes.
    window : tuple of slice
        Of whole numbers, inside the array.

    Raises
    ------
    MissingInputError
        When there is none at `path`.
    StorageError
        When a chunk is damaged or cannot be read; it is named.
    """
    array = read_scratch(path)
    z, y, x = (
        range(*part.indices(length)) for part, length in zip(window, array.shape, strict=True)
    )
    found = np.empty((len(z), len(y), len(x)), dtype=bool)
    first = z.start
    while first < z.stop:
        end = min(first - first % array.depth + array.depth, z.stop)
        part = array[first:end, y.start : y.stop, x.start : x.stop]
        np.not_equal(part, 0, out=found[first - z.start : end - z.start])
        first = end
    return found
