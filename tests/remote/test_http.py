"""Volumes over HTTP: the same bits as on disk, few requests, and faults that never become zeros."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hela_dask as hd
from hela_dask.conversion.suitability import check_volume
from hela_dask.errors import HelaDaskError, InputError, MissingInputError, StorageError
from hela_dask.running.source import identify_image
from hela_dask.storage import remote
from hela_dask.storage.metadata import read_image
from hela_dask.storage.reading import StoredArray
from hela_dask.storage.remote import Settings
from hela_dask.storage.urls import StoreUrl
from tests.remote.stores import noise, write_foreign, write_own
from tests.remote.web import Web


def address(web: Web, path: Path) -> str:
    return f"{web.url}/{path.parent.name}/{path.name}"


def read(url: str, **more: Any) -> np.ndarray[Any, Any]:
    values: np.ndarray[Any, Any] = hd.open_volume(url, **more).values
    return values


@pytest.fixture
def own(served: Path) -> Path:
    return write_own(served / "own.ome.zarr", noise())


@pytest.fixture
def foreign(served: Path) -> Path:
    values = noise()
    values[:4, :32, :32] = 0  # a chunk that is not written
    return write_foreign(served / "foreign.zarr", values)


def test_all_levels_have_the_bits_of_the_disk(web: Web, own: Path) -> None:
    for level in range(len(read_image(own).levels)):
        local = hd.open_volume(own, level=level)
        remote = hd.open_volume(address(web, own), level=level)
        np.testing.assert_array_equal(remote.values, local.values)
        assert remote.attrs["voxel_size"] == local.attrs["voxel_size"]


@pytest.mark.parametrize("version", [2, 3])
def test_stores_of_other_programs(web: Web, served: Path, version: int) -> None:
    path = write_foreign(served / "x.zarr", noise(1), version=version)
    np.testing.assert_array_equal(read(address(web, path)), noise(1))


def test_parts_of_shards_take_few_requests(web: Web, own: Path) -> None:
    array = StoredArray(StoreUrl(f"{address(web, own)}/0"))
    web.seen.clear()
    np.testing.assert_array_equal(array[1:3, 5:60, 3:40], noise()[1:3, 5:60, 3:40])
    ranges = [item[2] for item in web.chunks()]
    assert len(ranges) == 2 and ranges[0].startswith("bytes=-")  # 24 chunks: their index, one part
    np.testing.assert_array_equal(array[0, 60:], noise()[0, 60:])
    assert not array._array.store.ahead  # type: ignore[attr-defined]


def test_metadata_are_read_once(web: Web, own: Path) -> None:
    url = address(web, own)
    hd.open_volume(url)
    web.seen.clear()
    for _ in range(3):
        hd.open_volume(url)
    assert web.seen == []


def test_it_is_the_same_image_as_on_disk(web: Web, own: Path) -> None:
    assert identify_image(read_image(address(web, own))) == identify_image(read_image(own))


def test_nothing_above_a_store_is_asked_for(web: Web, own: Path) -> None:
    read(address(web, own))
    assert all(place.startswith(f"/{own.parent.name}/{own.name}/") for _, place, _ in web.seen)


def test_redirects_are_followed(web: Web, own: Path) -> None:
    url = address(web, own).replace(web.url, f"{web.url}/moved")
    np.testing.assert_array_equal(read(url), noise())


@pytest.mark.parametrize("kind", ["503", "429", "500", "cut", "short"])
def test_faults_that_pass_change_nothing(web: Web, own: Path, kind: str) -> None:
    url = address(web, own)
    web.faults.every, web.faults.kind = 3, kind
    np.testing.assert_array_equal(read(url), noise())
    assert web.failed > 0


def test_a_slow_answer_is_asked_for_again(
    web: Web, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HELA_DASK_REMOTE_TIMEOUT", "0.3")
    web.faults.every, web.faults.kind, web.faults.pause = 4, "slow", 0.8
    np.testing.assert_array_equal(read(address(web, own)), noise())
    assert web.failed > 0


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("403", "refuses access .status 403.: check the credentials"),
        ("401", "refuses access"),
        ("500", "status 500 .3 tries.; start the same command again"),
        ("cut", "connection to .* was cut"),
        ("short", "connection to .* was cut"),
        ("418", "status 418$"),
    ],
)
@pytest.mark.parametrize("store", ["own", "foreign"])
def test_a_chunk_that_cannot_be_read_is_an_error(
    web: Web,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    store: str,
    kind: str,
    words: str,
) -> None:
    monkeypatch.setenv("HELA_DASK_REMOTE_TRIES", "3")
    volume = hd.open_volume(address(web, request.getfixturevalue(store)))
    web.faults.every, web.faults.kind = 1, kind
    with pytest.raises(StorageError, match=words):
        volume.data[0].compute(scheduler="sync")


def test_absent_chunks_are_the_fill_value_of_other_programs(web: Web, foreign: Path) -> None:
    values = read(address(web, foreign))
    assert (values[:4, :32, :32] == 0).all() and (values[4:] > 0).all()


def test_an_absent_file_that_was_written_is_an_error(web: Web, own: Path) -> None:
    volume = hd.open_volume(address(web, own))
    web.faults.absent.add("/0/c/1/0/0")
    with pytest.raises(StorageError, match=r"0/c/1/0/0 is not there, although it was written"):
        volume.data.compute(scheduler="sync")
    with pytest.raises(InputError, match=r"missing or changed \(0/c/1/0/0 is missing\)"):
        check_volume(read_image(address(web, own)))


def test_each_thread_that_reads_a_lost_file_gets_the_error(web: Web, own: Path) -> None:
    array = StoredArray(StoreUrl(f"{address(web, own)}/0"))
    web.faults.absent.add("/0/c/1/0/0")

    def refused(_: int) -> bool:
        with pytest.raises(StorageError, match=r"0/c/1/0/0 is not there"):
            array[4:]
        return bool((array[:2] > 0).all())  # it has none of the file

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(refused, range(24)))


@pytest.mark.parametrize("store", ["own", "foreign"])
def test_a_server_that_lost_its_disk_gives_no_zeros(
    web: Web, request: pytest.FixtureRequest, store: str
) -> None:
    volume = hd.open_volume(address(web, request.getfixturevalue(store)))
    web.faults.absent.add("/")
    with pytest.raises(StorageError, match="metadata are not there any more"):
        volume.data.compute(scheduler="sync")


def test_small_files_are_read_whole_where_no_parts_are_sent(web: Web, own: Path) -> None:
    web.faults.ranges = False
    np.testing.assert_array_equal(read(address(web, own), level=0), noise())

    array = StoredArray(StoreUrl(f"{address(web, own)}/0"))
    np.testing.assert_array_equal(array[1:3, 5:60, 3:40], noise()[1:3, 5:60, 3:40])


def test_large_shards_need_a_server_of_parts(
    web: Web, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    monkeypatch.setattr("hela_dask.storage.remote_http.LARGEST_WHOLE", 1000)
    web.faults.ranges = False
    array = StoredArray(StoreUrl(f"{address(web, own)}/0"))
    with pytest.raises(StorageError, match="sends whole files only"):
        array[0, :20, :20]


def test_a_web_page_is_no_store(web: Web, own: Path) -> None:
    volume = hd.open_volume(address(web, own))
    web.faults.page = True
    with pytest.raises(InputError, match="web page, not with a file of a store"):
        hd.open_volume(f"{web.url}/anything")
    web.faults.absent.add("/0/c/")
    with pytest.raises(HelaDaskError, match="web page"):
        volume.data.compute(scheduler="sync")


@pytest.mark.parametrize(
    ("place", "error", "words"),
    [
        ("none.zarr", MissingInputError, r"none of zarr.json, .zattrs, .zgroup, .zarray is there"),
        ("own.ome.zarr/zarr.json", InputError, "is a file, not an OME-Zarr store"),
        ("own.ome.zarr/0", InputError, "is one array of a store"),
    ],
)
def test_what_is_no_image(
    web: Web, own: Path, place: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        read_image(f"{address(web, own).removesuffix('own.ome.zarr')}{place}")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:1/x.zarr", r"127.0.0.1:1 refuses connections.*\(2 tries\)"),
        ("http://no-such-host.invalid/x.zarr", "host no-such-host.invalid is unknown"),
    ],
)
def test_a_server_that_is_not_there(url: str, words: str) -> None:
    with pytest.raises(StorageError, match=words):
        read_image(url)


def test_a_server_without_head(web: Web, foreign: Path) -> None:
    facts = identify_image(read_image(address(web, foreign)))
    web.faults.head = False
    assert identify_image(read_image(address(web, foreign))) == facts


def test_a_changed_image_has_another_identity(web: Web, foreign: Path, served: Path) -> None:
    url = address(web, foreign)
    first, remarks = identify_image(read_image(url))
    assert remarks == ()
    other = write_foreign(served / "other.zarr", noise(5))
    shutil.copy2(other / "s0" / "2.1.1", foreign / "s0" / "2.1.1")
    assert identify_image(read_image(url))[0] != first
    web.faults.tags = False
    assert "neither an ETag nor a time" in identify_image(read_image(url))[1][0]


def test_the_facts_of_a_volume(web: Web, own: Path) -> None:
    local, remote = hd.describe(own), hd.describe(address(web, own))
    differ = {name for name in local if local[name] != remote[name]}
    assert differ == {"path", "size_on_disk"} and remote["size_on_disk"] is None


def test_credentials_are_those_of_the_environment(
    web: Web, own: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from fsspec.config import conf

    names = tmp_path / "netrc"
    names.write_text("machine 127.0.0.1 login me password pw\n")
    names.chmod(0o600)
    with monkeypatch.context() as here:
        here.setenv("NETRC", str(names))
        read_image(address(web, own))
    assert web.credentials == {"Basic bWU6cHc="}
    remote.forget("")
    web.credentials.clear()
    remote._file_system.cache_clear()
    monkeypatch.setitem(conf, "http", {"headers": {"Authorization": "Bearer T"}})
    read_image(address(web, own))
    remote._file_system.cache_clear()
    assert web.credentials == {"Bearer T"}


def test_settings_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELA_DASK_REMOTE_TRIES", "many")
    with pytest.raises(ValueError, match="HELA_DASK_REMOTE_TRIES=many must be a positive number"):
        Settings.read()


def test_files_that_are_compressed_on_their_way(web: Web, own: Path, foreign: Path) -> None:
    web.faults.gzip = True
    np.testing.assert_array_equal(read(address(web, foreign)), hd.open_volume(foreign).values)
    with pytest.raises(
        StorageError, match=r"compresses files on their way \(Content-Encoding: gzip"
    ):
        read(address(web, own))  # in shards, of which parts are read


def test_headers_of_the_user_stay_with_their_host(
    web: Web, foreign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fsspec.config import conf

    monkeypatch.setitem(conf, "http", {"headers": {"X-Token": "t"}})
    remote._file_system.cache_clear()
    try:
        url = address(web, foreign).replace(web.url, f"{web.url}/away")
        np.testing.assert_array_equal(read(url), hd.open_volume(foreign).values)
        assert web.tokens == {"127.0.0.1 t"}
    finally:
        remote._file_system.cache_clear()


def test_indexes_and_metadata_are_dropped_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("hela_dask.storage.remote.time.monotonic", lambda: now)
    kept = remote._Kept()
    for number in range(5):
        now = number * 20.0
        kept.put(("shard", number), b"index")
    assert set(kept._found) == {("shard", number) for number in (2, 3, 4)}
