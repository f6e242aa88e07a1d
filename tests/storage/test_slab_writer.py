"""A slab written tile by tile: the bits of halving whole planes, whatever the shape and shards."""

from __future__ import annotations

import errno
import math
import os
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.errors import StorageError
from hela_dask.storage import store
from hela_dask.storage.metadata import Image
from hela_dask.storage.pyramid import Downsample, halve
from hela_dask.volume.opening import open_volume, read_image

SIZE = (50.0, 10.0, 10.0)
Triple = tuple[int, int, int]


def blobs(shape: Triple, seed: int, dtype: str = "uint8", share: float = 0.5) -> NDArray[Any]:
    """Noise in some blocks of 32 x 32, zeros in the others."""
    rng = np.random.default_rng(seed)
    data = rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)
    for y in range(0, shape[1], 32):
        for x in range(0, shape[2], 32):
            if rng.random() > share:
                data[:, y : y + 32, x : x + 32] = 0
    return data


def new(path: Path, shape: Triple, dtype: str = "uint8", **layout: Any) -> Image:
    return store.create_image(path, shape, dtype, SIZE, name="a", overwrite=True, **layout)


def levels(image: Image) -> list[NDArray[Any]]:
    return [open_volume(image.path, level=number).values for number in range(len(image.levels))]


def check(image: Image, data: NDArray[Any], how: Downsample) -> None:
    expected = data
    for number, level in enumerate(levels(image)):
        assert np.array_equal(level, expected), (number, level.shape)
        expected = halve(expected, how)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 5), st.integers(1, 700), st.integers(1, 700)),
    chunk=st.sampled_from([(2, 16, 16), (4, 64, 32), (1, 15, 16), (3, 33, 64), (2, 48, 48)]),
    counts=st.tuples(st.integers(1, 2), st.integers(1, 4), st.integers(1, 4)),
    how=st.sampled_from(["mean", "nearest", "any"]),
    content=st.tuples(st.sampled_from(["uint8", "uint16"]), st.integers(0, 9)),
    backwards=st.booleans(),
)
def test_tiles_give_the_bits_of_whole_planes(
    shape: Triple, chunk: Triple, counts: Triple, how: Downsample,
    content: tuple[str, int], backwards: bool,
) -> None:  # fmt: skip
    dtype, seed = content
    data = blobs(shape, seed, dtype)
    shards = tuple(size * count for size, count in zip(chunk, counts, strict=True))
    with tempfile.TemporaryDirectory() as folder:
        image = new(Path(folder) / "a.ome.zarr", shape, dtype, chunks=chunk, shards=shards)
        for z0, z1 in store.slabs(image):
            with store.slab_writer(image, z0, downsample=how) as writer:
                for tile in reversed(writer.tiles) if backwards else writer.tiles:
                    writer.write(tile, data[z0:z1, *tile])
        check(image, data, how)
        store.write_slab(image, 0, data[: store.slabs(image)[0][1]], downsample=how)
        check(image, data, how)


@pytest.mark.parametrize(
    ("shape", "shards"),
    [((3, 700, 900), (2, 64, 64)), ((2, 513, 300), (2, 64, 128)), ((1, 300, 100), (1, 512, 512))],
)
def test_a_tile_is_a_shard_and_one_shard_a_level_is_held(
    tmp_path: Path, shape: Triple, shards: Triple
) -> None:
    image = new(tmp_path / "a.ome.zarr", shape, chunks=(1, 32, 32), shards=shards)
    data = blobs(shape, 0)
    wanted = [
        (y, min(y + shards[1], shape[1]), x, min(x + shards[2], shape[2]))
        for y in range(0, shape[1], shards[1])
        for x in range(0, shape[2], shards[2])
    ]
    with store.slab_writer(image, 0) as writer:
        tiles = [(rows.start, rows.stop, cols.start, cols.stop) for rows, cols in writer.tiles]
        assert sorted(tiles) == wanted
        for tile in writer.tiles:
            writer.write(tile, data[: writer.depth, *tile])
            held = [[shard.data.shape for shard in begun.values()] for begun in writer._begun]
            assert max(len(shapes) for shapes in held) <= 1
            assert all(
                math.prod(item) <= math.prod(level.shards or ())
                for shapes, level in zip(held, image.levels, strict=True)
                for item in shapes
            )
        assert not any(writer._begun)


def test_shards_with_odd_sides_take_the_whole_plane(tmp_path: Path) -> None:
    image = new(tmp_path / "a.ome.zarr", (1, 300, 400), chunks=(1, 45, 45), shards=(1, 45, 45))
    with store.slab_writer(image, 0) as writer:
        assert writer.tiles == [(slice(0, 300), slice(0, 400))]
        writer.write(writer.tiles[0], np.ones((1, 300, 400), np.uint8))


def test_empty_tiles_leave_no_file_and_replace_what_was_there(tmp_path: Path) -> None:
    image = new(tmp_path / "a.ome.zarr", (4, 600, 600), chunks=(2, 32, 32), shards=(2, 64, 64))
    for empty in (None, np.zeros((2, 64, 64), np.uint8)):
        store.write_slab(image, 0, blobs((2, 600, 600), 1, share=1))
        assert (image.path / "0" / "c").exists()
        with store.slab_writer(image, 0, downsample="nearest") as writer:
            for tile in writer.tiles:
                rows, columns = tile
                part = None if empty is None else empty[:, rows.start % 64 :, columns.start % 64 :]
                if part is not None:
                    part = part[:, : rows.stop - rows.start, : columns.stop - columns.start]
                writer.write(tile, part)
        assert not [item for item in image.folder.rglob("c/**/*") if item.is_file()]
    store.write_slab(image, 2, np.zeros((2, 600, 600), np.uint8))
    assert [level.sum() for level in levels(image)] == [0, 0, 0]


def test_a_shard_is_replaced_even_where_it_cannot_be_read(tmp_path: Path) -> None:
    image = new(tmp_path / "a.ome.zarr", (2, 70, 70), chunks=(2, 32, 32), shards=(2, 64, 64))
    data = blobs((2, 70, 70), 0, share=1)
    store.write_slab(image, 0, data)
    for file in (image.folder / "0" / "c").rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[:50])
    store.write_slab(image, 0, data)
    check(image, data, "mean")


def test_booleans_become_the_type_of_the_image(tmp_path: Path) -> None:
    image = new(tmp_path / "a.ome.zarr", (2, 300, 40), "uint16")
    mask = blobs((2, 300, 40), 0) > 100
    store.write_slab(image, 0, mask, downsample="any")
    check(image, mask.astype(np.uint16), "any")


def test_a_slab_that_was_not_written_whole_is_not_finished(tmp_path: Path) -> None:
    image = new(tmp_path / "a.ome.zarr", (4, 80, 80), chunks=(2, 32, 32), shards=(2, 64, 64))
    data = blobs((2, 80, 80), 0)
    store.write_slab(image, 0, data)
    with (
        pytest.raises(StorageError, match="1 of 4 tiles of the slab at slice 1 were not written"),
        store.slab_writer(image, 0) as writer,
    ):
        for tile in writer.tiles[:-1]:
            writer.write(tile, data[:, *tile])
    assert store.finished_slabs(image) == []
    with pytest.raises(FileNotFoundError), store.slab_writer(image, 2):
        raise FileNotFoundError  # of the caller's own: handed on as it is
    assert store.finished_slabs(image) == []


def test_what_is_no_tile_is_refused(tmp_path: Path) -> None:
    image = new(tmp_path / "a.ome.zarr", (4, 80, 80), chunks=(2, 32, 32), shards=(2, 64, 64))
    between = pytest.raises(StorageError, match="begins at slice 1 would share a shard")
    with between, store.slab_writer(image, 1):
        pass
    with pytest.raises(StorageError, match="not written"), store.slab_writer(image, 0) as writer:
        tile = writer.tiles[0]
        with pytest.raises(StorageError, match="are no tile: a shard has one writer"):
            writer.write(Box.whole((32, 64)), np.zeros((2, 32, 64), np.uint8))
        with pytest.raises(StorageError, match=r"a tile has shape \(2, 64, 64\) here"):
            writer.write(tile, np.zeros((1, 64, 64), np.uint8))
        with pytest.raises(StorageError, match="holds uint8, not int64"):
            writer.write(tile, np.zeros((2, 64, 64), np.int64))
        writer.write(tile, np.ones((2, 64, 64), np.uint8))
        with pytest.raises(StorageError, match="written already"):
            writer.write(tile, np.ones((2, 64, 64), np.uint8))


def test_a_disk_that_fills_up_leaves_the_slab_to_be_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = new(tmp_path / "a.ome.zarr", (2, 150, 150), chunks=(2, 32, 32), shards=(2, 64, 64))
    data = blobs((2, 150, 150), 0, share=1)
    replace, count = Path.replace, iter(range(100))

    def full(self: Path, target: Any) -> Any:
        if next(count) == 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StorageError, match=r"no space left while writing .*a\.ome\.zarr"):
        store.write_slab(image, 0, data)
    assert store.finished_slabs(image) == []
    assert not list(image.folder.rglob("*.partial"))
    store.write_slab(image, 0, data)
    check(read_image(image.path), data, "mean")


def test_two_threads_write_two_slabs_at_once(tmp_path: Path) -> None:
    image = new(tmp_path / "a.ome.zarr", (4, 400, 400), chunks=(1, 32, 32), shards=(1, 64, 64))
    data = blobs((4, 400, 400), 3)
    start = threading.Barrier(4)

    def work(z0: int) -> None:
        start.wait(10)
        store.write_slab(image, z0, data[z0 : z0 + 1])

    threads = [threading.Thread(target=work, args=(z0,)) for z0 in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(read_image(image.path), data, "mean")
