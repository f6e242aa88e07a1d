"""Parts of remote shards read ahead: neighbouring chunks in one request, all requests at a time.

zarr asks for the chunks of a shard one after the other, by one request each.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import zarr
from fsspec.asyn import get_loop, sync
from numpy.typing import NDArray
from zarr.codecs import ShardingCodec

from hela_dask.box import Box
from hela_dask.storage.remote import fetch
from hela_dask.storage.remote_store import RemoteStore

__all__ = ["read_ahead"]

_GAP = 2**18  # bytes between two chunks that are read for nothing, to save a request
_LONGEST = 2**26  # bytes of a request
_NONE = 2**64 - 1  # offset of a chunk without data
_CHECKSUM = 4  # bytes of the CRC-32C after an index

Range = tuple[int, int]


@contextlib.contextmanager
def read_ahead(array: zarr.Array[Any], where: Box) -> Iterator[None]:
    """Within the block, the store of a remote array has the chunks of a selection.

    Of sharded arrays; whole shards are left out: zarr reads each by one request. Errors as of
    :func:`hela_dask.storage.remote.read_file`.
    """
    store = array.store
    if array.shards is None or not isinstance(store, RemoteStore) or not _is_usual(array):
        yield
        return
    parts = list(_parts(array, where))

    async def all_of_them() -> list[dict[tuple[str, int, int], bytes]]:
        return list(await asyncio.gather(*(_read(store, *part) for part in parts)))

    found: dict[tuple[str, int, int], bytes] = {}
    for item in sync(get_loop(), all_of_them) if parts else ():
        found.update(item)
    store.ahead.update(found)
    try:
        yield
    finally:
        store.drop(found)


def _is_usual(array: zarr.Array[Any]) -> bool:
    """Whether the index of each shard lies at its end, as numbers with a checksum."""
    codecs: Any = getattr(array.metadata, "codecs", ())
    if len(codecs) != 1 or not isinstance(codecs[0], ShardingCodec):
        return False
    names = [codec.to_dict()["name"] for codec in codecs[0].index_codecs]
    return codecs[0].index_location.value == "end" and names == ["bytes", "crc32c"]


def _parts(
    array: zarr.Array[Any], where: Box
) -> Iterator[tuple[str, tuple[int, ...], list[tuple[int, ...]]]]:
    """For each shard that is read in part: its name, its chunks along each axis, those wanted."""
    shards = array.shards
    assert shards is not None
    grid = tuple(a // b for a, b in zip(shards, array.chunks, strict=True))
    for place, _ in where.chunks(shards):
        low = [at * side for at, side in zip(place, shards, strict=True)]
        inside = Box(
            slice(max(part.start, start) - start, min(part.stop, start + side) - start)
            for part, start, side in zip(where, low, shards, strict=True)
        )
        wanted = [chunk for chunk, _ in inside.chunks(array.chunks)]
        if len(wanted) < int(np.prod(grid)):
            yield array.metadata.encode_chunk_key(place), grid, wanted


async def _read(
    store: RemoteStore, key: str, grid: tuple[int, ...], wanted: Sequence[tuple[int, ...]]
) -> dict[tuple[str, int, int], bytes]:
    """The wanted chunks of a shard, by its name and their bytes in it."""
    url = str(store.url / key)
    index = await fetch(url, -(16 * int(np.prod(grid)) + _CHECKSUM))
    if index is None or len(index) != 16 * int(np.prod(grid)) + _CHECKSUM:
        return {}  # zarr finds the fault, and names it
    table: NDArray[np.uint64] = np.frombuffer(index[:-_CHECKSUM], "<u8").reshape(*grid, 2)
    chunks = sorted(
        (int(table[chunk][0]), int(table[chunk][0]) + int(table[chunk][1]))
        for chunk in wanted
        if int(table[chunk][0]) != _NONE
    )
    ranges = list(_merged(chunks))
    blocks = await asyncio.gather(*(fetch(url, *item) for item in ranges))
    found = {}
    for (start, end), block in zip(ranges, blocks, strict=True):
        if block is None:
            return {}
        for low, high in chunks:
            if start <= low and high <= end:
                found[key, low, high] = block[low - start : high - start]
    return found


def _merged(chunks: Sequence[Range]) -> Iterator[Range]:
    """Sorted ranges of bytes, with those that are close to each other in one."""
    current: Range | None = None
    for low, high in chunks:
        if current and low - current[1] <= _GAP and high - current[0] <= _LONGEST:
            current = current[0], max(current[1], high)
            continue
        if current:
            yield current
        current = low, high
    if current:
        yield current
