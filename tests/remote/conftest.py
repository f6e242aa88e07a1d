"""Servers on loopback that the tests of remote volumes share."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from hela_dask.storage import absent, remote
from tests.remote.web import Faults, Web, serve


@pytest.fixture(scope="module")
def _web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Web, Path]]:
    folder = tmp_path_factory.mktemp("served")
    with serve(folder) as web:
        yield web, folder


@pytest.fixture
def web(_web: tuple[Web, Path]) -> Web:
    """A server over HTTP without faults."""
    server, _ = _web
    server.faults.__dict__.update(Faults().__dict__)
    server.seen.clear()
    server.failed = 0
    server.credentials.clear()
    server.tokens.clear()
    return server


@pytest.fixture
def served(_web: tuple[Web, Path]) -> Path:
    """A new folder, which `web` serves under its name."""
    folder = _web[1] / uuid.uuid4().hex[:8]
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses between tries, and nothing kept of tests before."""
    monkeypatch.setenv("HELA_DASK_REMOTE_PAUSE", "0.01")
    remote.forget("")
    remote._reached.clear()
    absent._written.cache_clear()
