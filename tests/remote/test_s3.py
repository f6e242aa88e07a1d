"""Volumes in a bucket of S3, by a stand-in of the service on loopback (moto)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hela_dask as hd
from hela_dask._run import RunResult, run
from hela_dask.errors import InputError, StorageError
from hela_dask.running.source import identify_image
from hela_dask.storage import remote
from hela_dask.storage.metadata import read_image
from hela_dask.storage.remote_faults import fault_of, is_absent
from tests.remote.stores import noise, write_foreign, write_own
from tests.remote.web import Web
from tests.scenes import make_scene


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    moto = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A file system of an empty bucket, with the credentials in the environment."""
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    remote._file_system.cache_clear()
    files = remote._files("s3://bucket/x")
    files.mkdir("bucket", exist_ok=True)
    yield files
    files.rm("bucket", recursive=True)
    remote._file_system.cache_clear()
    type(files).clear_instance_cache()


def put(files: Any, path: Path) -> str:
    url = f"s3://bucket/data/{path.name}"
    files.put(str(path), url, recursive=True)
    return url


def test_the_bits_are_those_of_the_disk(bucket: Any, tmp_path: Path) -> None:
    own = write_own(tmp_path / "own.ome.zarr", noise())
    url = put(bucket, own)
    np.testing.assert_array_equal(hd.open_volume(url).values, noise())
    np.testing.assert_array_equal(hd.open_volume(url)[1:3, 5:60, 3:40], noise()[1:3, 5:60, 3:40])
    assert identify_image(read_image(url)) == identify_image(read_image(own))
    local, found = hd.describe(own), hd.describe(url)
    assert {name for name in local if local[name] != found[name]} == {"path"}


def test_absent_chunks_and_changes(bucket: Any, tmp_path: Path) -> None:
    values = noise(1)
    values[:4, :32, :32] = 0
    url = put(bucket, write_foreign(tmp_path / "x.zarr", values))
    np.testing.assert_array_equal(hd.open_volume(url).values, values)
    first, remarks = identify_image(read_image(url))
    assert remarks == ()
    other = write_foreign(tmp_path / "y.zarr", noise(2))
    bucket.put(str(other / "s0" / "2.1.1"), f"{url}/s0/2.1.1")
    assert identify_image(read_image(url))[0] != first  # by the ETag, at the same size


def test_an_absent_file_that_was_written_is_an_error(bucket: Any, tmp_path: Path) -> None:
    url = put(bucket, write_own(tmp_path / "own.ome.zarr", noise()))
    volume = hd.open_volume(url)
    bucket.rm(f"{url}/0/c/1/0/0")
    with pytest.raises(StorageError, match="0/c/1/0/0 is not there, although it was written"):
        volume.data.compute(scheduler="sync")


def test_a_run_is_the_local_one(
    bucket: Any, tmp_path: Path, here: Any, calls: dict[str, Any]
) -> None:
    scene = make_scene(tmp_path / "balls.ome.zarr")
    local: RunResult = run(scene, client=here, progress=False)
    result = run(put(bucket, scene), tmp_path / "s3.run", client=here, progress=False)
    for name, labels in local.labels.items():
        np.testing.assert_array_equal(result.labels[name].values, labels.values)
    again = hd.open_run(result.path)
    assert str(again.store) == "s3://bucket/data/balls.ome.zarr"


def test_what_is_not_there(bucket: Any) -> None:
    with pytest.raises(InputError, match="there is no bucket none"):
        read_image("s3://none/x.zarr")
    with pytest.raises(FileNotFoundError, match=r"none of zarr\.json"):
        read_image("s3://bucket/none.zarr")


def test_no_credentials(bucket: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    url = put(bucket, write_own(tmp_path / "own.ome.zarr", noise()))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    remote._file_system.cache_clear()
    type(bucket).clear_instance_cache()
    with pytest.raises(StorageError, match=r"no credentials are found: set AWS_ACCESS_KEY_ID"):
        read_image(url)


@pytest.fixture
def faulty(web: Web, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A server with planted faults in place of the service: it has objects, but no lists."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_ENDPOINT_URL", web.url)
    monkeypatch.setenv("HELA_DASK_REMOTE_TIMEOUT", "0.5")
    remote._file_system.cache_clear()
    yield web
    remote._file_system.cache_clear()


@pytest.mark.parametrize("kind", ["503", "429", "cut", "short", "slow"])
def test_faults_that_pass_change_nothing(faulty: Web, served: Path, kind: str) -> None:
    write_own(served / "own.ome.zarr", noise())
    url = f"s3://{served.name}/own.ome.zarr"
    faulty.faults.every, faulty.faults.kind, faulty.faults.pause = 4, kind, 1.0
    np.testing.assert_array_equal(hd.open_volume(url).values, noise())
    assert faulty.failed > 0


@pytest.mark.parametrize(("kind", "words"), [("403", "refuses access"), ("503", "status 503")])
def test_a_chunk_that_cannot_be_read_is_an_error(
    faulty: Web, served: Path, monkeypatch: pytest.MonkeyPatch, kind: str, words: str
) -> None:
    monkeypatch.setenv("HELA_DASK_REMOTE_TRIES", "2")
    write_foreign(served / "x.zarr", noise())
    volume = hd.open_volume(f"s3://{served.name}/x.zarr")
    faulty.faults.every, faulty.faults.kind = 1, kind
    with pytest.raises(StorageError, match=words):
        volume.data.compute(scheduler="sync")


def test_faults_of_the_service() -> None:
    def error(code: str, status: int, kind: type[OSError] = OSError) -> OSError:
        cause = Exception(code)
        cause.response = {  # type: ignore[attr-defined]
            "Error": {"Code": code},
            "ResponseMetadata": {"HTTPStatusCode": status},
        }
        found = kind(code)
        found.__cause__ = cause
        return found

    url = "s3://bucket/x/0/c/0/0/0"
    assert is_absent(error("NoSuchKey", 404, FileNotFoundError))
    assert not is_absent(error("NoSuchBucket", 404, FileNotFoundError))
    assert not is_absent(error("AccessDenied", 403, PermissionError))
    assert fault_of(error("SlowDown", 503), url).temporary
    denied = fault_of(error("AccessDenied", 403, PermissionError), url)
    assert not denied.temporary
    # Without the permission to list, an absent chunk has this answer too.
    assert "s3:ListBucket" in denied.reason and "AWS_ACCESS_KEY_ID" in denied.reason
