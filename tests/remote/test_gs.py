"""Volumes in Google Cloud Storage, by a stand-in of its file system in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

import hela_dask as hd
from hela_dask.errors import MissingDependencyError, StorageError
from hela_dask.running.source import identify_image
from hela_dask.storage import remote
from hela_dask.storage.metadata import read_image
from tests.remote.stores import noise, write_own


class Files(MemoryFileSystem):  # type: ignore[misc]
    """A bucket in memory; the first read of each chunk fails."""

    protocol = "gs"
    store: ClassVar[dict[str, Any]] = {}
    read: ClassVar[set[str]] = set()

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        text: str = super()._strip_protocol(path.replace("gs://", "memory://"))
        return text

    def cat_file(self, path: str, start: Any = None, end: Any = None, **more: Any) -> bytes:
        if "/c/" in path and path not in self.read:
            self.read.add(path)
            raise ConnectionResetError("cut")
        found: bytes = super().cat_file(path, start, end, **more)
        return found


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Iterator[Files]:
    monkeypatch.setattr(fsspec, "filesystem", lambda scheme: Files())
    remote._file_system.cache_clear()
    yield Files()
    remote._file_system.cache_clear()


def test_the_bits_are_those_of_the_disk(files: Files, tmp_path: Path) -> None:
    own = write_own(tmp_path / "own.ome.zarr", noise())
    files.put(str(own), "gs://bucket/own.ome.zarr", recursive=True)
    url = "gs://bucket/own.ome.zarr"
    np.testing.assert_array_equal(hd.open_volume(url).values, noise())
    assert len(Files.read) > 6
    assert identify_image(read_image(url)) == identify_image(read_image(own))


def test_refused_access(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> bytes:
        raise PermissionError("403")

    monkeypatch.setattr(Files, "cat_file", refuse)
    with pytest.raises(StorageError, match=r"bucket refuses access.*GOOGLE_APPLICATION"):
        read_image("gs://bucket/x.zarr")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(scheme: str) -> Any:
        raise ImportError("gcsfs")

    monkeypatch.setattr(fsspec, "filesystem", missing)
    remote._file_system.cache_clear()
    with pytest.raises(MissingDependencyError, match=r"pip install 'hela_dask\[gcs\]'"):
        read_image("gs://bucket/x.zarr")
    remote._file_system.cache_clear()
