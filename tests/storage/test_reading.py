"""Reading: the same bits by either pipeline, and a damaged chunk named, in tasks too."""

from __future__ import annotations

import importlib.util
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hela_dask.errors import StorageError
from hela_dask.storage import reading, store
from hela_dask.storage.metadata import Image
from hela_dask.storage.reading import StoredArray, reading_pipeline
from hela_dask.volume.opening import open_volume

STOCK = "zarr.core.codec_pipeline.BatchedCodecPipeline"
COMPILED = "zarrs.ZarrsCodecPipeline"
PIPELINES = [STOCK, COMPILED]
DATA = np.random.default_rng(0).normal(128, 20, (5, 150, 170)).clip(1, 255).astype(np.uint8)


@pytest.fixture(params=PIPELINES, ids=["zarr", "zarrs"])
def pipeline(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Every test that takes it runs with both ways of decoding."""
    if request.param == COMPILED and importlib.util.find_spec("zarrs") is None:
        pytest.skip("the compiled codecs are not installed: pip install zarrs")
    monkeypatch.setattr(reading, "_compiled_is_there", lambda: request.param == COMPILED)
    with zarr.config.set({"codec_pipeline.path": request.param}):
        yield request.param


def made(path: Path, data: NDArray[Any] = DATA) -> Image:
    image = store.create_image(path, data.shape, data.dtype, (50.0, 10.0, 10.0), name="a",
                               chunks=(1, 32, 32), shards=(2, 64, 64))  # fmt: skip
    for z0, z1 in store.slabs(image):
        store.write_slab(image, z0, data[z0:z1])
    return image


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> list[StoredArray]:
    """One array, opened with each pipeline that is there."""
    image = made(tmp_path_factory.mktemp("reading") / "a.ome.zarr")
    known = [name for name in PIPELINES if name == STOCK or importlib.util.find_spec("zarrs")]
    opened = []
    for name in known:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reading, "_compiled_is_there", lambda name=name: name == COMPILED)
            opened.append(StoredArray(image.path / "0"))
    return opened


def key(length: int) -> st.SearchStrategy[Any]:
    ends = st.one_of(st.none(), st.integers(-length, length))
    steps = st.sampled_from([None, None, 1, 3])
    return st.one_of(
        st.integers(-length, length - 1), st.builds(slice, ends, ends, steps), st.just(slice(None))
    )


@given(st.data())
@settings(deadline=None)
def test_a_part_is_that_of_numpy(arrays: list[StoredArray], drawn: Any) -> None:
    keys = tuple(drawn.draw(key(length)) for length in DATA.shape)[: drawn.draw(st.integers(1, 3))]
    if drawn.draw(st.booleans()):
        keys = (*keys[:1], ...)
    for array in arrays:
        found = array[keys]
        assert found.dtype == DATA.dtype
        assert np.array_equal(found, DATA[keys]), keys


def test_each_pipeline_is_the_one_asked_for(arrays: list[StoredArray]) -> None:
    found = [type(array._array.async_array.codec_pipeline).__name__ for array in arrays]
    assert found == ["BatchedCodecPipeline", "ZarrsCodecPipeline"][: len(found)]


def test_what_travels_is_a_path(arrays: list[StoredArray]) -> None:
    for array in arrays:
        assert len(pickle.dumps(array)) < 500
        assert np.array_equal(pickle.loads(pickle.dumps(array))[1:3, 7], DATA[1:3, 7])
        assert np.array_equal(array[...], DATA)
        with pytest.raises(IndexError):
            array[5]


def flipped(content: bytes) -> bytes:
    """A bit in the middle of the first chunk, which the index at the end says nothing of."""
    at = len(content) // 20
    return content[:at] + bytes([content[at] ^ 16]) + content[at + 1 :]


@pytest.mark.parametrize(
    ("damage", "chunk", "places"),
    [
        (flipped, r"\(2, [23], [45]\)", r"slices 3 to 3, rows \d+:\d+, columns \d+:\d+"),
        (lambda old: old[: len(old) // 2], r"\(2, 2, 4\)", "slices 3 to 3, rows 64:96, columns"),
        (lambda old: old[:-9] + b"12345" + old[-4:], r"\(2, 2, 4\)", "slices 3 to 3"),
    ],
    ids=["a flipped bit", "half a file", "a broken index"],
)
@pytest.mark.usefixtures("pipeline")
def test_a_damaged_chunk_is_named(
    tmp_path: Path, damage: Callable[[bytes], bytes], chunk: str, places: str
) -> None:
    image = made(tmp_path / "a.ome.zarr")
    file = image.folder / "0" / "c" / "1" / "1" / "2"
    file.write_bytes(damage(file.read_bytes()))
    sentence = (
        rf"a\.ome\.zarr: array '0': chunk {chunk} \({places}.*\) in .*1.1.2 is damaged \(.+\): "
        "restore the store from a copy"
    )
    volume = open_volume(image.path)
    with pytest.raises(StorageError, match=sentence):
        volume.values  # noqa: B018
    with pytest.raises(StorageError, match=sentence):
        volume[2, 64:128, 128:].compute()
    with pytest.raises(StorageError, match=sentence):
        volume[1:, ::2, ::2].compute()
    assert np.array_equal(volume[:, :64].values, DATA[:, :64])


@pytest.mark.usefixtures("pipeline")
def test_an_empty_file_is_no_empty_shard(tmp_path: Path) -> None:
    image = made(tmp_path / "a.ome.zarr")
    (image.folder / "0" / "c" / "1" / "1" / "2").write_bytes(b"")
    (image.folder / "0" / "c" / "0" / "0" / "0").unlink()  # as zarr says that all is fill value
    volume = open_volume(image.path)
    for part in (volume, volume[2:4, 64:128, 128:], volume[3, 127, 169]):
        with pytest.raises(StorageError, match=r"shard \(1, 1, 2\) in .*1.1.2 is damaged \(it"):
            part.compute()
    assert not volume[:2, :64, :64].values.any()


def test_a_damaged_chunk_is_named_by_a_worker(tmp_path: Path, client: Any) -> None:
    image = made(tmp_path / "a.ome.zarr")
    file = image.folder / "0" / "c" / "0" / "0" / "1"
    file.write_bytes(flipped(file.read_bytes()))
    volume = open_volume(image.path)
    with pytest.raises(StorageError, match=r"array '0': chunk \(0, [01], [23]\) \(slices 1 to 1"):
        client.compute(volume.data).result()


def test_one_slice_is_asked_for_as_a_slice(arrays: list[StoredArray]) -> None:
    """The compiled codecs would leave a whole number, which drops its axis, to zarr's own."""
    asked: list[Any] = []

    class Spy:
        shards = None
        chunks = (5, 150, 170)
        metadata = arrays[0]._array.metadata

        def __getitem__(self, where: Any) -> Any:
            asked.append(where)
            return DATA[where]

    spied = StoredArray(arrays[0].folder)
    spied._array = Spy()  # type: ignore[assignment]
    assert np.array_equal(spied[2, ..., 5], DATA[2, ..., 5])
    assert asked == [(slice(2, 3), slice(0, 150), slice(5, 6))]


@pytest.mark.usefixtures("pipeline")
def test_what_other_programs_wrote_is_read(tmp_path: Path) -> None:
    for order in ("<u2", ">u2"):
        for zarr_format in (2, 3):
            path = tmp_path / f"{order[0] == '<'}{zarr_format}"
            array = zarr.create_array(path, shape=DATA.shape, dtype=order, chunks=(2, 50, 60),
                                      zarr_format=zarr_format)  # fmt: skip
            array[...] = DATA
            assert np.array_equal(StoredArray(path)[1:4, 3:140], DATA[1:4, 3:140])


def test_the_compiled_codecs_are_used_where_they_are_and_nobody_chose(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading, "_compiled_is_there", lambda: True)
    monkeypatch.setattr(reading, "_chosen", lambda: False)
    with zarr.config.set({"codec_pipeline.path": STOCK}):
        assert reading_pipeline() == COMPILED
        monkeypatch.setattr(reading, "_chosen", lambda: True)  # in the environment or a file
        assert reading_pipeline() == STOCK
        monkeypatch.setattr(reading, "_chosen", lambda: False)
        monkeypatch.setattr(reading, "_compiled_is_there", lambda: False)
        assert reading_pipeline() == STOCK
    with zarr.config.set({"codec_pipeline.path": "mine.Pipeline"}):
        assert reading_pipeline() == "mine.Pipeline"


def test_a_choice_in_the_environment_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zarr.config, "env", {})
    assert not reading._chosen.__wrapped__()
    monkeypatch.setattr(zarr.config, "env", {"ZARR_CODEC_PIPELINE__PATH": STOCK})
    assert reading._chosen.__wrapped__()


def test_opening_leaves_the_configuration_of_zarr_as_it_was(arrays: list[StoredArray]) -> None:
    before = zarr.config.get("codec_pipeline.path")
    StoredArray(arrays[0].folder)
    assert zarr.config.get("codec_pipeline.path") == before
