"""Runs on a volume over HTTP: the labels of a local run, continued, and refused with a sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import hela_dask as hd
from hela_dask._run import RunResult, run
from hela_dask.columns import COLUMNS
from hela_dask.errors import InputError, StorageError
from hela_dask.evaluation.evaluate import score_instances
from hela_dask.planning.plan import plan
from hela_dask.storage.urls import StoreUrl
from hela_dask.tasks.workers import check_workers, refuse_unfit, worker_problem
from hela_dask.version import __version__
from hela_dask.viewing.neuroglancer import neuroglancer_state
from tests.remote.web import Web
from tests.scenes import make_scene

LABELS = ("cells", "nuclei", "envelope", "background")


@pytest.fixture(scope="module")
def local(known: RunResult) -> RunResult:
    """A run of the same scene on disk."""
    return known


@pytest.fixture
def url(web: Web, served: Path) -> str:
    make_scene(served / "balls.ome.zarr")
    return f"{web.url}/{served.name}/balls.ome.zarr"


@pytest.fixture
def two_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELA_DASK_REMOTE_TRIES", "2")


def go(url: str, folder: Path, here: Any, **more: Any) -> RunResult:
    return run(url, folder / "balls.run", client=here, progress=False, **more)


def check_same(result: RunResult, local: RunResult) -> None:
    for name in LABELS:
        np.testing.assert_array_equal(result.labels[name].values, local.labels[name].values)
    shared = [name for name, column in COLUMNS.items() if column.measure and name in local.cells]
    assert len(shared) > 20
    pd.testing.assert_frame_equal(result.cells[shared], local.cells[shared])


def test_a_run_over_http_with_faults_is_the_local_one(
    web: Web, url: str, tmp_path: Path, here: Any, calls: dict[str, Any], local: RunResult
) -> None:
    web.faults.every, web.faults.kind = 4, "cut"
    result = go(url, tmp_path, here)
    assert web.failed > 0
    check_same(result, local)
    assert result.store == StoreUrl(url)
    owner = tmp_path / "balls.labels.ome.zarr"
    assert result.label_paths["cells"] == owner / "labels" / "cells"
    facts = json.loads((tmp_path / "balls.run" / "run.json").read_text())
    assert facts["store"] == facts["places"]["store"] == url
    on_disk = json.loads((local.path / "run.json").read_text())
    assert facts["fingerprint"] == on_disk["fingerprint"]
    # Opened again, without the server; and continued with nothing to do.
    web.faults.status["/"] = 503
    assert hd.open_run(result.path).store == StoreUrl(url)
    web.faults.status.clear()
    calls["segment"].clear()
    go(url, tmp_path, here)
    assert calls["segment"] == []
    state = neuroglancer_state(result.path, "https://my.server/data")
    assert state["layers"][0]["source"] == f"zarr://{url}"


def test_a_server_that_is_down_stops_a_run_until_it_is_back(
    web: Web, url: str, tmp_path: Path, here: Any, calls: dict[str, Any], two_tries: None
) -> None:
    web.faults.status["/balls.ome.zarr"] = 503
    with pytest.raises(StorageError, match=r"status 503 \(2 tries\); start the same command again"):
        go(url, tmp_path, here)
    assert not (tmp_path / "balls.run").exists()
    web.faults.status.clear()
    web.faults.status["/0/c/3/"] = 503  # one slab cannot be read
    with pytest.raises(Exception, match="status 503"):
        go(url, tmp_path, here)
    web.faults.status.clear()
    assert go(url, tmp_path, here).exit_code == 0


def test_another_image_at_the_address_is_noticed(
    web: Web, url: str, served: Path, tmp_path: Path, here: Any, calls: dict[str, Any]
) -> None:
    go(url, tmp_path, here)
    found = len(calls["segment"])
    shutil.rmtree(served / "balls.ome.zarr")
    make_scene(served / "balls.ome.zarr", ((20, 45, 45, 18), (20, 110, 110, 20)))
    result = go(url, tmp_path, here)
    assert len(calls["segment"]) > found and len(result.cells) == 2


def test_plan_and_scores(web: Web, url: str, tmp_path: Path, local: RunResult) -> None:
    found = plan(url, tmp_path / "x.run", calibrate=False)
    assert found.store == StoreUrl(url) and found.labels == tmp_path / "x.labels.ome.zarr"
    assert url in str(found)
    folder = Path(str(local.label_paths["cells"]))
    target = web_folder(url, tmp_path, web)
    shutil.copytree(folder, target / "cells")
    address = f"{web.url}/{target.name}/cells"
    scores = score_instances(address, str(folder))
    assert scores.matching.missed == () or not scores.matching.missed


def web_folder(url: str, tmp_path: Path, web: Web) -> Path:
    """A further folder that the server has."""
    root = web.root / f"more-{tmp_path.name}"
    root.mkdir()
    return root


def test_workers_that_do_not_reach_the_image_are_refused(
    web: Web, url: str, here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HELA_DASK_REMOTE_TRIES", "1")
    place = StoreUrl(url)
    assert worker_problem(__version__, [place]) == ""
    # What is kept of an earlier run is no answer.
    web.faults.status["/balls.ome.zarr"] = 403
    with pytest.raises(InputError, match=r"worker .* does not reach the image .*refuses access"):
        check_workers(here, [place])
    web.faults.status.clear()
    assert "finds no store" in worker_problem(__version__, [StoreUrl(f"{url}/none")])
    refuse_unfit(__version__, [place])


def test_labels_are_never_written_to_an_address(web: Web, url: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is an address, and a local path is needed"):
        run(url, tmp_path / "x.run", labels=url)
    with pytest.raises(InputError, match="is an address"):
        run(url, f"{url}.run")
