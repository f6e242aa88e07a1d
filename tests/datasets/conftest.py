"""A registry of data sets on a server of loopback."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hela_dask.datasets import download, registry
from tests.remote.conftest import _web, fresh, served, web
from tests.remote.web import Web

__all__ = ["_web", "fresh", "offer", "served", "web"]

pytest.importorskip("pooch", reason="pooch is not installed")

Offer = Callable[..., str]


@pytest.fixture
def content() -> bytes:
    """1,000,003 bytes: many parts, and not a multiple of their size."""
    return np.random.default_rng(1).bytes(1_000_003)


@pytest.fixture
def offer(
    web: Web, served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> Offer:
    """Serve a file and register it as the only data set, ``cell``; returns its address."""
    monkeypatch.setattr(download, "_PART", 2**16)
    monkeypatch.setattr(registry, "REGISTRY", tmp_path / "registry.yaml")

    def offered(
        name: str = "cell.raw",
        data: bytes = content,
        *,
        checksum: bool = True,
        **more: Any,
    ) -> str:
        (served / Path(name).name).write_bytes(data)
        url = f"{web.url}/{served.name}/{Path(name).name}"
        file = {"name": name, "url": url, "bytes": len(data)}
        if checksum:
            file["sha256"] = hashlib.sha256(data).hexdigest()
        file.update(more.pop("file", {}))
        entry = {
            "title": "A cell",
            "page": "https://example.org/cell",
            "licence": "CC0",
            "citation": "Somebody et al., 2020",
            "good_for": "a test",
            "voxel_size": [50, 10, 10.5],
            "convert": name,
            "files": [{key: value for key, value in file.items() if value is not None}],
            **more,
        }
        text = yaml.safe_dump({"sets": {"cell": entry}})
        (tmp_path / "registry.yaml").write_text(text, encoding="utf-8")
        return url

    return offered
