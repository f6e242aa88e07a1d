"""Edits of real outlines at full resolution: exact for any method, workers, and interruption."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hela_dask._run import RunResult
from hela_dask.editing.edits import Edit
from hela_dask.verification.verify import verify
from tests.editing.making import Maker, files, labels_of
from tests.exactness.runs import go, outcome, same, write
from tests.scenes import without_pages

PIXEL = 20.0
"""Of the image, nm; the working level is coarser."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    without_pages(monkeypatch)


@pytest.fixture(scope="module", params=["volumetric", "propagate"])
def method(request: Any) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def finished(method: str, here: Any, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A run of two touching cells."""
    folder = tmp_path_factory.mktemp(method)
    path = write(folder / "two.ome.zarr", PIXEL, shards=(5, 512, 512), chunks=(5, 64, 64))
    with pytest.MonkeyPatch.context() as patch:
        without_pages(patch)
        return go(path, here, "run", method=method)


@pytest.fixture
def folder(finished: RunResult, tmp_path: Path) -> Path:
    shutil.copytree(str(finished.store.parent), tmp_path / "copy")
    return tmp_path / "copy"


def some(result: RunResult) -> tuple[Edit, ...]:
    """A split along x, and a rectangle over both cells and their nuclei."""
    make = Maker(result)
    nucleus = np.argwhere(result.labels["nuclei"].values[10] == 1)
    y, x = map(int, nucleus.mean(axis=0))
    return (
        make.split(2, 5, make.shifted(2, x=-700.0), make.shifted(2, x=700.0)),
        make.paint(2, 10, (y - 20, y + 21), (x - 20, x + 21)),
        make.paint(1, 11, (y - 20, y + 21), (x - 20, x + 21), "nucleus"),
        make.paint(1, 12, (y - 20, y + 21), (x - 20, x + 21), erase=True),
    )


def test_edited_voxels_are_exact_and_no_others_change(
    finished: RunResult, method: str, here: Any, folder: Path
) -> None:
    split, cell, nucleus, erased = some(finished)
    before = labels_of(finished)
    given = Maker(finished).write(folder / "e.json", split, cell, nucleus, erased)
    result = go(folder / "two.ome.zarr", here, "run", method=method, edits=given)
    now = labels_of(result)
    painted = np.zeros(now["cells"].shape, bool)
    for edit, expected in (
        (cell, {"cells": 2, "nuclei": 0, "envelope": 0, "background": 0}),
        (nucleus, {"cells": 1, "nuclei": 1, "envelope": 0, "background": 0}),
        (erased, {"cells": 0, "nuclei": 0, "envelope": 0}),
    ):
        z, *place = edit.box  # type: ignore[union-attr]
        mask = edit.mask  # type: ignore[union-attr]
        painted[z.start][tuple(place)] |= mask
        for name, value in expected.items():
            assert (now[name][z.start][tuple(place)][mask] == value).all(), (edit.kind, name)
    for name in ("cells", "nuclei", "envelope"):
        was, became = before[name][~painted], now[name][~painted]
        assert set(np.unique(became[was != became])) == {5}
        assert set(np.unique(was[was != became])) == {2}
        parts = [np.count_nonzero(became == label) for label in (2, 5)]
        assert min(parts) > 0.15 * max(parts) > 0 or name != "cells"
    inner = (now["nuclei"] == 5) | (now["envelope"] == 5)
    assert (now["cells"][inner] == 5).all()
    same_side = now["cells"] == 5
    x = np.nonzero(same_side)[2].mean(), np.nonzero(now["cells"] == 2)[2].mean()
    assert x[0] > x[1]
    assert verify(result.store, result.path, progress=False).ok
    stamps = files(*result.label_paths.values())
    again = go(folder / "two.ome.zarr", here, "run", method=method)
    assert files(*again.label_paths.values()) == stamps


def test_any_workers_at_once_or_after_the_run(
    finished: RunResult, method: str, here: Any, client: Any, folder: Path
) -> None:
    """Edited after a run, and by a run that has never been without, in processes and threads."""
    from distributed import Client

    given = Maker(finished).write(folder / "e.json", *some(finished))
    path = folder / "two.ome.zarr"
    expected = outcome(go(path, here, "run", method=method, edits=given))
    same(expected, outcome(go(path, client, "processes", method=method, edits=given)))
    with Client(
        processes=False, n_workers=1, threads_per_worker=4, dashboard_address=":0"
    ) as threads:
        same(expected, outcome(go(path, threads, "threads", method=method, edits=given)))
