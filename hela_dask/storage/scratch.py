"""Scratch arrays.

Arrays that one task writes and a later one reads, such as the masks of a region.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.storage import LocalStore

from hela_dask.box import Box
from hela_dask.errors import MissingInputError, StorageError
from hela_dask.storage.files import flush_folders, hidden_name, remove_folder, storage_errors
from hela_dask.storage.reading import StoredArray
from hela_dask.storage.records import FileRecord, Records, record_file
from hela_dask.storage.shards import compressor, encode_chunk, put_shard

__all__ = ["create_scratch", "read_mask", "read_scratch", "write_scratch"]

_THREADS = min(4, os.cpu_count() or 1)  # that compress the chunks of one call


def create_scratch(
    path: str | Path,
    shape: Sequence[int],
    dtype: np.typing.DTypeLike,
    chunks: Sequence[int] | None = None,
    *,
    attrs: Mapping[str, Any] | None = None,
) -> Path:
    """Create an array for a single writer at `path`; existing files of that name are removed.

    `shape` and `chunks` in voxels, by default up to 16 whole slices per chunk; `dtype` may be bool;
    `attrs` are noted with the array as JSON. Returns `path`, for :func:`write_scratch` and
    :func:`read_scratch`.
    """
    path = Path(path)
    if path.is_file():
        path.unlink()
    elif path.exists():
        others = {item.name for item in path.iterdir()} - {"c", "zarr.json"}
        if others and not (path / "zarr.json").is_file():
            raise StorageError(f"{path} is in the way: it is not a scratch array")
        remove_folder(path)
    default = (min(16, max(1, shape[0])), *shape[1:])
    # Under another name first: half of an array would be in the way of the next run.
    building = hidden_name(path)
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


def write_scratch(path: str | Path, data: NDArray[Any], start: int = 0) -> Records:
    """Write `data` from position `start` of the first axis on, whole chunks only.

    Returns records of the files written, and of the array's metadata, by their path relative to
    `path`; None where there is no file, because all of its values are 0. StorageError where `data`
    does not fit there, is of another type, or does not end where a chunk or the array ends.
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
        if data.dtype != array.dtype:
            raise StorageError(f"{path} takes {array.dtype}, not {data.dtype}")
        found: Records = {"zarr.json": record_file(path / "zarr.json")}
        with ThreadPoolExecutor(_THREADS, "chunk") as threads:
            written = {
                key: threads.submit(_put_chunk, path / key, data[box], array.chunks)
                for key, box in _chunks(array, start, stop)
            }
            found.update({key: record.result() for key, record in written.items()})
        flush_folders(path.parent, [f"{path.name}/{key}" for key in found])
        return found


def _chunks(array: zarr.Array[Any], start: int, stop: int) -> Iterator[tuple[str, Box]]:
    """Name of each chunk's file from `start` to `stop`, and its part of the data."""
    data = Box((slice(start, stop), *Box.whole(array.shape[1:])))
    for place, chunk in data.chunks(array.chunks):
        yield array.metadata.encode_chunk_key(place), chunk.relative_to(data)


def _put_chunk(path: Path, part: NDArray[Any], chunk: tuple[int, ...]) -> FileRecord | None:
    """Write one chunk as zarr would: compressed, and no file where all values are 0."""
    little = part.astype(part.dtype.newbyteorder("<"), copy=False)
    encoded = encode_chunk(little, chunk)
    return put_shard(path, [] if encoded is None else [encoded])


def read_scratch(path: str | Path) -> StoredArray:
    """Open a scratch array for reading, or MissingInputError; slice it to get numpy arrays."""
    path = Path(path)
    if not (path / "zarr.json").is_file():
        raise MissingInputError(f"no scratch array at {path}")
    return StoredArray(path)


def read_mask(path: str | Path, window: tuple[slice, ...]) -> NDArray[np.bool_]:
    """Where a part of a scratch array of three axes is not 0; few of its chunks are held at a time.

    MissingInputError when there is none at `path`; a StorageError names a chunk that is damaged or
    cannot be read.
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
