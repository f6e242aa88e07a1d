"""Benchmarks of speed: figures of a run, list schedules, tiles, plain steps; nothing is timed."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.measuring import timed
from benchmarks.performance import scaling_chart
from benchmarks.published import plain_background, plain_cell, plain_nucleus
from benchmarks.scaling import mirrored, tiles, verdict
from benchmarks.scheduler import list_schedule, scaled_times
from benchmarks.throughput import (
    fractions,
    memory_limit,
    seconds_of,
    stages,
    task_rows,
    without_folders,
    workers,
)
from hela_dask.tasks.markers import Markers
from tests.drawn import draw_cell


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run of two slabs and one cell on two workers."""
    markers = Markers(tmp_path / "done")
    for stage, name, seconds, worker in (
        ("background", "z0", 4.0, "a"),
        ("background", "z8", 2.0, "b"),
        ("segment", "1", 10.0, "a"),
    ):
        row = {
            "seconds": seconds,
            "peak_memory": 100.0 * seconds,
            "worker": worker,
            "read": 1e6,
            "written": 2e6,
        }
        markers.finish(stage, name, "f", row)
    markers.finish("detect", "slices", "f", {"rows": {}})
    facts = {
        "image": {"shape": [16, 1000, 1000], "voxel_size": [50.0, 40.0, 40.0], "levels": 1},
        "timings": {"detect": 1.0, "background": 3.0, "segment": 10.0},
        "dask": {"workers": 2},
        "method": "volumetric",
    }
    (tmp_path / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    return tmp_path


def test_a_page_names_no_folder_of_one_machine() -> None:
    summary = without_folders(
        ["hela-dask", "run", "sub/a.zarr", "--truth", str(Path("/x/y/b.tif"))]
    )
    assert summary == ["hela-dask", "run", "sub/a.zarr", "--truth", "b.tif"]


@pytest.mark.parametrize(("patience", "count"), [(0.0, 1), (60.0, 3)])
def test_a_call_that_takes_long_is_made_once(patience: float, count: int) -> None:
    calls = itertools.count(1)
    _, last = timed(lambda: next(calls), repeats=3, patience=patience)
    assert last == count


def test_largest_first_is_within_a_third_of_the_best() -> None:
    assert list_schedule([3, 3, 2, 2, 2], 2) == 7  # the best is 6


def test_recorded_times_are_drawn_and_scaled_to_a_mean() -> None:
    found = scaled_times([10.0, 20.0, 30.0, 40.0], 1000, 1.0)
    assert sum(found) / 1000 == pytest.approx(1.0, abs=0.05)
    assert {round(item, 6) for item in found} == {0.4, 0.8, 1.2, 1.6}
    assert found == scaled_times([10.0, 20.0, 30.0, 40.0], 1000, 1.0), "the same seed"


def test_tasks_of_a_run_are_read_from_its_markers(run: Path) -> None:
    assert seconds_of(run) == {"background": [4.0, 2.0], "segment": [10.0]}
    with pytest.raises(SystemExit, match="no timed task"):
        task_rows(run / "nowhere")


def test_a_stage_has_its_share_of_what_the_machine_can(run: Path) -> None:
    found = stages(run)
    background = found["background"]
    assert background["speed"] == pytest.approx(16 / 6)  # megavoxels over busy seconds
    assert (background["peak"], background["written"]) == (400.0, 4e6)
    assert found["detect"] == {"tasks": 0, "wall": 1.0}
    limits = {"memory": 6e6, "read": 1e6, "write": 4e6}
    assert fractions(background, limits) == pytest.approx({"memory": 2 / 6, "disk": 1.0})
    assert fractions(found["detect"], limits) == {"memory": None, "disk": None}
    assert [row["peak"] for row in workers(run)] == [1000.0, 200.0]
    assert memory_limit(2**20, 1) > 0


def test_mirror_tiles_have_no_seams() -> None:
    block = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    whole = mirrored(mirrored(block, 2, 1), 2, 2)
    assert whole.shape == (2, 6, 8)
    np.testing.assert_array_equal(whole[:, :3, :4], block)
    np.testing.assert_array_equal(whole, whole[:, ::-1, ::-1])
    np.testing.assert_array_equal(whole[:, 2], whole[:, 3])
    assert [tiles(multiple) for multiple in (1, 4, 16, 64)] == [
        (2, 1, 1),
        (2, 2, 2),
        (2, 4, 4),
        (8, 4, 4),
    ]
    with pytest.raises(SystemExit, match="not 8"):
        tiles(8)


def scaled(multiple: int, workers_: int, peak: float, seconds: float) -> dict[str, Any]:
    return {
        "multiple": multiple,
        "workers": workers_,
        "shape": [10, 100, 100],
        "voxels": multiple * 100_000,
        "statuses": {"segmented": multiple, "cut_by_volume": multiple, "failed": 1},
        "tasks": {"segment": 2 * multiple},
        "peak": {"segment": peak, "assemble": 10.0},
        "seconds": {"segment": seconds, "all": 1e9},
    }


def test_a_growing_peak_is_not_flat() -> None:
    rows = [
        scaled(4, 1, 570, 44),
        scaled(1, 1, 500, 10),
        scaled(16, 1, 400, 80),
        scaled(1, 2, 500, 5),
        scaled(4, 2, 600, 30),
    ]
    one, two = verdict(rows)
    assert one == (
        "1 worker, beside the smallest volume: memory within 14% (held, limit 15%), "
        "time per voxel 0.50 to 1.10 x (held, limit 1.3 x)"
    )
    assert "20% (not held" in two
    assert "1.00 to 1.50 x (not held" in two


def test_the_plain_steps_find_a_drawn_cell() -> None:
    drawn = draw_cell((100.0, 40.0, 40.0), slices=(12, 13))
    plane, resin = drawn.image[0], drawn.background[0]
    found = plain_background(plane, 40.0)
    assert (found & resin).sum() > 0.8 * (found | resin).sum()
    nucleus = plain_nucleus(plane, resin, drawn.centre[1:], 40.0)
    true = drawn.nucleus[0]
    assert (nucleus & true).sum() > 0.7 * (nucleus | true).sum()
    cell = plain_cell(true, resin, 40.0)
    assert (cell & drawn.cell[0]).sum() > 0.8 * (cell | drawn.cell[0]).sum()


def test_the_chart_is_drawn_and_small(tmp_path: Path) -> None:
    ones = [scaled(1, 1, 500, 10), scaled(4, 1, 570, 44)]
    path = scaling_chart(
        [*ones, scaled(1, 2, 500, 5), scaled(4, 2, 600, 30)], tmp_path / "scaling.png"
    )
    assert 5_000 < path.stat().st_size < 150_000
