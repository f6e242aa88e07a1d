"""Grey levels and detection as units: the same numbers as the lazy functions, and markers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hela_dask.parameters import BackgroundParameters, DetectParameters, Parameters
from hela_dask.running.finding import (
    detect_task,
    detect_units,
    level_units,
    levels_task,
    read_detections,
    read_levels,
)
from hela_dask.running.stages import Job
from hela_dask.steps.detect import detect_cells, slice_tasks
from hela_dask.storage import store
from hela_dask.tasks.dispatch import run_units
from hela_dask.tasks.lock import Lock
from hela_dask.tasks.progress import RunProgress
from hela_dask.volume.greys import GreyLevels, grey_levels, vote_of_slice, voting_slices
from hela_dask.volume.opening import working_volume
from tests.volumes import make_volume

VOXEL = (50.0, 40.0, 40.0)


def nobody() -> Any:
    raise AssertionError("everything is finished: no cluster is asked for")


def compute(client: Any, task: Any, job: Job, units: Any, **more: Any) -> dict[str, Any]:
    with RunProgress(False) as progress:
        return run_units(
            client, task, job, units, markers=job.markers, progress=progress, kind="slices", **more
        )


def find_levels(client: Any, job: Job, polarity: int) -> GreyLevels:
    return read_levels(compute(client, levels_task, job, level_units("f", 40)), polarity)


def find_detections(client: Any, job: Job) -> pd.DataFrame:
    volume, p = job.working(), job.parameters.detect
    units = detect_units("f", volume, p)
    rows = compute(
        client, detect_task, job, units,
        inputs=lambda unit: slice_tasks(job.background(), [unit.what], p),
    )  # fmt: skip
    return read_detections(units, rows, volume, p)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two rough dark balls in smooth bright resin; one slice is blank."""
    path = tmp_path_factory.mktemp("finding") / "image.ome.zarr"
    z, y, x = np.ogrid[:40, :120, :140]
    cells = ((z - 20) ** 2 + (y - 60) ** 2 + (x - 40) ** 2 < 30**2) | (
        (z - 20) ** 2 + (y - 60) ** 2 + (x - 105) ** 2 < 24**2
    )
    noise = np.random.default_rng(5).normal(size=cells.shape)
    grey = np.where(cells, 110 + 25 * noise, 210 + 4 * noise).clip(0, 255).astype(np.uint8)
    grey[7] = 0
    image = store.create_image(path, grey.shape, "uint8", VOXEL, name="balls")
    for z0, z1 in store.slabs(image):
        store.write_slab(image, z0, grey[z0:z1])
    return path


@pytest.fixture
def lock(tmp_path: Path) -> Lock:
    path = tmp_path / "run" / "lock"
    path.parent.mkdir()
    path.write_text(json.dumps({"token": "0123456789"}))
    return Lock(path, "0123456789")


@pytest.mark.parametrize("polarity", [0, 1, -1])
def test_levels_are_those_of_the_lazy_function(
    image: Path, lock: Lock, client: Any, polarity: int
) -> None:
    job = Job(image, lock.path.parent, image / "labels", lock)
    found = find_levels(lambda: client, job, polarity)
    again = find_levels(nobody, job, polarity)
    volume = working_volume(image, 40.0)
    assert found == again == grey_levels(volume, BackgroundParameters(polarity=polarity))
    names = [path.name for path in sorted((lock.path.parent / "done").iterdir())]
    assert names == [f"levels-z{index:05d}.json" for index in voting_slices(40)]


def test_the_vote_of_a_blank_slice_survives_its_marker(lock: Lock, tmp_path: Path) -> None:
    from hela_dask.running.finding import _votes
    from hela_dask.storage.files import plain

    vote = vote_of_slice(make_volume(np.zeros((3, 40, 40), np.uint8)), 1)
    assert np.isnan(vote.texture)
    kept = json.loads(json.dumps(plain(vote), allow_nan=False))
    assert repr(_votes(kept)) == repr(vote)


def test_detections_are_those_of_the_lazy_function(image: Path, lock: Lock, client: Any) -> None:
    parameters = replace(Parameters(), detect=DetectParameters(spacing=200.0))
    run = lock.path.parent
    job = Job(image, run, image / "labels", lock, parameters=parameters)
    resin = working_volume(image, 40.0).values > 170
    path = store.create_scratch(job.resin, resin.shape, np.uint8)
    store.write_scratch(path, resin.view(np.uint8))
    found = find_detections(lambda: client, job)
    again = find_detections(nobody, job)
    expected = detect_cells(job.background(), parameters.detect)
    assert len(expected) == 8
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    pd.testing.assert_frame_equal(again, expected, check_exact=True)
    markers = sorted((run / "done").glob("detect-z*.json"))
    assert len(markers) == 10
    markers[3].unlink()
    repaired = find_detections(lambda: client, job)
    pd.testing.assert_frame_equal(repaired, expected, check_exact=True)


def test_no_detection_gives_an_empty_table(image: Path, lock: Lock, client: Any) -> None:
    job = Job(image, lock.path.parent, image / "labels", lock)
    path = store.create_scratch(job.resin, (40, 120, 140), np.uint8)
    store.write_scratch(path, np.ones((40, 120, 140), np.uint8))
    found = find_detections(lambda: client, job)
    assert found.empty
    assert list(found.columns) == list(detect_cells(job.background()).columns)
