"""Runs with a network: the same bits for any layout of the store, any workers and threads."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.exactness.runs import Outcome, go, outcome, same, write
from tests.scenes import without_pages

PIXEL = 20.0
"""Of the image, nm: the network sees it at twice that, and its slices as they are."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    without_pages(monkeypatch)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("network") / "two.ome.zarr", PIXEL)


@pytest.fixture(scope="module")
def expected(store: Path, here: Any) -> Outcome:
    with pytest.MonkeyPatch.context() as patch:
        without_pages(patch)
        return outcome(go(store, here, "first", method="unet"))


def test_there_is_something_to_get_wrong(expected: Outcome) -> None:
    assert expected["cells"]["status"].tolist() == ["cut_by_volume", "cut_by_volume"]
    cells, nuclei = expected["cells/0"], expected["nuclei/0"]
    for label in (1, 2):
        assert (nuclei == label).sum() > 0.1 * (cells == label).sum() > 1e4


@pytest.mark.parametrize(
    ("layout", "workers", "threads"),
    [
        ({"chunks": (3, 75, 35), "shards": (3, 75, 105)}, 1, 4),
        ({"chunks": (20, 600, 600), "shards": (20, 600, 600)}, 2, 1),
    ],
)
def test_any_layout_and_any_threads(
    expected: Outcome, layout: dict[str, Any], workers: int, threads: int, tmp_path: Path
) -> None:
    from distributed import Client

    path = write(tmp_path / "other.ome.zarr", PIXEL, **layout)
    with Client(
        processes=False, n_workers=workers, threads_per_worker=threads, dashboard_address=":0"
    ) as client:
        same(expected, outcome(go(path, client, "threads", method="unet")))


def test_processes(expected: Outcome, store: Path, client: Any, tmp_path: Path) -> None:
    path = shutil.copytree(store, tmp_path / "two.ome.zarr")
    same(expected, outcome(go(path, client, "processes", method="unet")))
