"""Shards that zarr's own codecs read back bit for bit, and whose file is whole or not there."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.codecs import ZstdCodec

from hela_dask.errors import StorageError
from hela_dask.storage.shards import (
    any_value,
    compressor,
    crc32c,
    encode_shard,
    is_ours,
    put_shard,
)


def test_the_checksum_is_that_of_the_standard() -> None:
    # RFC 3720, B.4: 32 zeros, 32 ones, and the usual check string.
    assert crc32c(np.zeros(32, np.uint8)) == 0x8A9136AA
    assert crc32c(np.full(32, 255, np.uint8)) == 0x62A8AB43
    assert crc32c(np.frombuffer(b"123456789", np.uint8)) == 0xE3069283


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 40), st.integers(1, 40)),
    chunk=st.tuples(st.integers(1, 3), st.integers(1, 20), st.integers(1, 20)),
    counts=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)),
    dtype=st.sampled_from(["uint8", "uint16", "int32", "float32"]),
    share=st.sampled_from([0.0, 0.02, 1.0]),
)
def test_zarr_reads_what_was_written(
    shape: Any, chunk: Any, counts: Any, dtype: str, share: float
) -> None:
    rng = np.random.default_rng(0)
    data = (rng.integers(1, 99, shape) * (rng.random(shape) < share)).astype(dtype)
    shard = tuple(size * count for size, count in zip(chunk, counts, strict=True))
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as threads:
        array = zarr.create_array(
            folder, shape=shape, dtype=dtype, chunks=chunk, shards=shard,
            compressors=compressor(), fill_value=0,
        )  # fmt: skip
        assert is_ours(array)
        for place in np.ndindex(*(-(-n // side) for n, side in zip(shape, shard, strict=True))):
            box = tuple(slice(i * s, i * s + s) for i, s in zip(place, shard, strict=True))
            file = Path(folder) / array.metadata.encode_chunk_key(place)
            put_shard(file, encode_shard(data[box], chunk, shard, threads))
            assert file.exists() == bool(data[box].any())
        assert np.array_equal(zarr.open_array(folder, mode="r")[...], data)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "bool"])
@pytest.mark.parametrize("shape", [(3, 200, 2), (1, 1, 1), (200, 3), (7,)])
def test_any_value_is_found_wherever_it_is(shape: tuple[int, ...], dtype: str) -> None:
    data = np.zeros(shape, dtype)
    assert not any_value(data)
    assert not any_value(data[:0])
    for place in (0, -1, data.size // 2, min(data.size - 1, 3)):
        data.flat[place] = 1
        assert any_value(data)
        data.flat[place] = 0


@pytest.mark.parametrize("parts", [[], [b"content"]], ids=["empty", "full"])
def test_who_may_not_write_removes_nothing(tmp_path: Path, parts: list[bytes]) -> None:
    def refuse() -> None:
        raise StorageError("another process writes here")

    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "mine").touch()
    with pytest.raises(StorageError, match="another process"):
        put_shard(tmp_path / "0", parts, refuse)
    assert [path.name for path in tmp_path.iterdir()] == ["0"]
    assert (tmp_path / "0" / "mine").exists()


def test_an_empty_shard_is_no_file(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as threads:
        for value in (3, 0):
            block = np.full((1, 4, 4), value, np.uint8)
            put_shard(tmp_path / "c" / "0", encode_shard(block, (1, 4, 4), (1, 8, 8), threads))
            assert [item.name for item in (tmp_path / "c").iterdir()] == ["0"] * (value > 0)


@pytest.mark.parametrize(
    "change",
    [
        {"compressors": ZstdCodec(level=3)},
        {"compressors": ZstdCodec(level=1, checksum=False)},
        {"shards": None},
        {"fill_value": 7},
        {"shards": {"shape": (4, 4), "index_location": "start"}},
    ],
)
def test_other_codecs_are_left_to_zarr(tmp_path: Path, change: dict[str, Any]) -> None:
    asked: dict[str, Any] = {"shape": (8, 8), "dtype": "uint8", "chunks": (2, 2), "shards": (4, 4),
             "compressors": compressor(), "fill_value": 0}  # fmt: skip
    assert is_ours(zarr.create_array(tmp_path / "a", **asked))
    assert not is_ours(zarr.create_array(tmp_path / "b", **{**asked, **change}))
