"""One whole shard encoded and put in place: chunks compressed side by side, then their index.

zarr's own way through the codecs of a shard takes two to three times as long
(``docs/storage.md``). The format is that of the zarr v3 specification, codec
``sharding_indexed``: the chunks one after another, then for each chunk, in C order, its offset and
its length as little-endian uint64 (all bits set: a chunk of fill values, not stored), then the
CRC-32C of these.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import zarr
from numcodecs.zstd import Zstd
from numpy.typing import NDArray
from zarr.codecs import BytesCodec, Crc32cCodec, ShardingCodec, ZstdCodec

from hela_dask.box import Box
from hela_dask.storage.files import remove_folder, replaced, storage_errors
from hela_dask.storage.records import FileRecord

__all__ = [
    "any_value",
    "compressor",
    "crc32c",
    "encode_chunk",
    "encode_shard",
    "is_ours",
    "put_shard",
    "reading_fault",
    "remove_shard",
]

_LEVEL = 1
_SPARSE = 64  # every 64th row is looked at first
_BATCHES = 16  # of the chunks of a shard, for the threads that compress them
_MISSING = np.uint64(2**64 - 1)


def compressor() -> ZstdCodec:
    """The codec of every chunk that this package writes.

    Its own checksum: every reader looks at it, also one that decodes only a part of a shard.
    """
    return ZstdCodec(level=_LEVEL, checksum=True)


def is_ours(array: zarr.Array[Any]) -> bool:
    """Whether :func:`encode_shard` writes the format of the metadata of `array`."""
    codecs: tuple[Any, ...] = getattr(array.metadata, "codecs", ())
    if len(codecs) != 1 or not isinstance(codecs[0], ShardingCodec) or array.fill_value != 0:
        return False
    shard = codecs[0]
    return (
        len(shard.codecs) == 2
        and _little(shard.codecs[0])
        and shard.codecs[1] == compressor()
        and len(shard.index_codecs) == 2
        and _little(shard.index_codecs[0])
        and isinstance(shard.index_codecs[1], Crc32cCodec)
        and getattr(shard.index_location, "value", shard.index_location) == "end"
    )


def reading_fault(array: zarr.Array[Any]) -> str:
    """The metadata of an array of this package before it is written; empty: nothing.

    Readers follow the metadata: with these, they read other values than were written.
    """
    metadata = array.metadata
    if array.fill_value != 0:
        return f"gives voxels without a file the value {array.fill_value}, not 0"
    if metadata.encode_chunk_key((1, 2)) != "c/1/2":
        return "names the files of chunks in another way than they were named"
    codecs: list[Any] = list(getattr(metadata, "codecs", ()))
    codecs += [item for codec in codecs for item in getattr(codec, "codecs", ())]
    if any(isinstance(codec, BytesCodec) and not _little(codec) for codec in codecs):
        return "has another order of bytes than was written"
    return ""


def _little(codec: object) -> bool:
    if not isinstance(codec, BytesCodec):
        return False
    return getattr(codec.endian, "value", codec.endian) in (None, "little")


def encode_shard(
    block: NDArray[Any], chunk: tuple[int, ...], shard: tuple[int, ...], threads: Executor
) -> list[bytes]:
    """One shard as the parts of its file; none where it holds nothing but zeros.

    `block` is the content of the shard, up to the end of the array; `chunk` and `shard` are voxels
    along each axis; `threads` compress several chunks at once.
    """
    chunks = list(Box.whole(block.shape).chunks(chunk))
    data = block.astype(block.dtype.newbyteorder("<"), copy=False)
    # Some chunks at a time: a task of a thread costs as much as a small chunk.
    size = -(-len(chunks) // _BATCHES)
    batches = (chunks[first : first + size] for first in range(0, len(chunks), size))
    parts = threads.map(lambda some: [encode_chunk(data[part], chunk) for _, part in some], batches)
    encoded = [content for part in parts for content in part]
    if not any(encoded):
        return []
    counts = [side // size for side, size in zip(shard, chunk, strict=True)]
    index = np.full((*counts, 2), _MISSING, "<u8")
    offset = 0
    for (place, _), content in zip(chunks, encoded, strict=True):
        if content:
            index[place] = offset, len(content)
            offset += len(content)
    table = index.tobytes()
    check = crc32c(table).to_bytes(4, "little")
    return [*(content for content in encoded if content), table, check]


def put_shard(
    path: Path, parts: list[bytes], check: Callable[[], None] | None = None
) -> FileRecord | None:
    """Write the result of :func:`encode_shard`, whole or not at all; nothing: no file.

    Returns the record of the file; None where there is none, because the shard holds nothing but
    zeros. Its content is on the disk; its name is after
    :func:`hela_dask.storage.files.flush_folders`. `check` raises where the writer may not write
    any more.
    """
    if not parts:
        with storage_errors(path):
            if check is not None:
                check()
            remove_shard(path)
        return None
    if path.is_dir():  # of another program
        if check is not None:
            check()
        remove_folder(path)
    digest = 0
    for part in parts:
        digest = google_crc32c.extend(digest, part)
    with replaced(path, check, flush_folder=False) as temporary:
        with temporary.open("wb") as file:
            file.writelines(parts)
        changed = temporary.stat().st_mtime_ns
    return FileRecord(sum(map(len, parts)), digest, changed)


def remove_shard(path: Path) -> None:
    """Remove a shard that is there, also where a folder has taken its name."""
    if path.is_dir() and not path.is_symlink():
        remove_folder(path)
    else:
        path.unlink(missing_ok=True)


def any_value(data: NDArray[Any]) -> bool:
    """As numpy.any; planes of numbers without a sign take half its time, or less."""
    if data.dtype.kind != "u" or data.ndim < 2:
        return bool(data.any())
    return bool(data[..., ::_SPARSE, :].max(initial=0) or data.max(initial=0))


def encode_chunk(part: NDArray[Any], chunk: tuple[int, ...]) -> bytes | None:
    """A chunk compressed; None where it holds nothing but zeros (a float's -0.0 is something).

    `part` is little-endian, and shorter than `chunk` (voxels) at the end of an array only.
    """
    if not any_value(part) and not (part.dtype.kind == "f" and np.signbit(part).any()):
        return None
    if part.shape != chunk:  # at the end of the array: stored whole
        missing = [(0, side - length) for side, length in zip(chunk, part.shape, strict=True)]
        part = np.pad(part, missing)
    # A compressor for each call: they are cheap, and not meant for several threads at once.
    return bytes(Zstd(level=_LEVEL, checksum=True).encode(np.ascontiguousarray(part)))


def crc32c(data: bytes | NDArray[np.uint8]) -> int:
    """Checksum of some bytes: the reflected polynomial of Castagnoli (RFC 3720, B.4)."""
    return int(google_crc32c.value(bytes(data)))
