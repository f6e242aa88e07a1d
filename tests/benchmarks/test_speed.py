"""Benchmarks of speed: the model of queues, what is read of a run, the page; nothing is timed."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import performance, results
from benchmarks.charts import scaling_chart, scheduler_chart
from benchmarks.published import plain_background, plain_cell, plain_nucleus
from benchmarks.queueing import Costs, list_schedule, simulate
from benchmarks.recorded import seconds_of, task_rows
from benchmarks.scaling import mirrored, tiles, verdict
from benchmarks.scheduler import cluster_costs, project, shortest, stages_of
from benchmarks.throughput import fractions, memory_limit, stages, without_folders, workers
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
    told = without_folders(["hela-dask", "run", "sub/a.zarr", "--truth", str(Path("/x/y/b.tif"))])
    assert told == ["hela-dask", "run", "sub/a.zarr", "--truth", "b.tif"]


def test_without_costs_the_model_is_a_list_schedule() -> None:
    draw = random.Random(3)
    for workers_ in (1, 3, 8):
        seconds = [draw.uniform(1, 9) for _ in range(50)]
        found = simulate(seconds, workers_, Costs(0.0))
        assert found.wall == pytest.approx(list_schedule(seconds, workers_))
        assert found.efficiency == pytest.approx(sum(seconds) / workers_ / found.wall)


def test_largest_first_is_within_a_third_of_the_best() -> None:
    assert list_schedule([3, 3, 2, 2, 2], 2) == 7  # the best is 6


def test_a_scheduler_that_is_the_limit_sets_the_wall_time() -> None:
    found = simulate([0.001] * 2000, 100, Costs(scheduler=0.002))
    assert found.wall == pytest.approx(4.0, rel=0.02)
    assert found.load > 0.98
    long = simulate([10.0] * 2000, 100, Costs(scheduler=0.002))
    assert long.wall == pytest.approx(200, rel=0.01)
    assert long.load < 0.05


def test_a_window_that_is_too_small_leaves_workers_idle() -> None:
    seconds = [1.0] * 80
    assert simulate(seconds, 8, Costs(0.0), window=lambda _: 4).efficiency == pytest.approx(0.5)
    slow = Costs(0.0, client=0.01, latency=0.2)
    assert simulate(seconds, 8, slow).wall < simulate(seconds, 8, slow, lambda _: 8).wall


def test_heartbeats_take_their_share_of_the_scheduler() -> None:
    bare = simulate([0.0] * 1000, 10, Costs(0.001)).wall
    busy = simulate([0.0] * 1000, 10, Costs(0.001, heartbeats=0.5)).wall
    assert busy == pytest.approx(2 * bare, rel=0.01)


def test_a_larger_volume_has_as_many_tasks_a_cell() -> None:
    tasks = {"background": [1.0, 3.0], "segment": [10.0, 20.0, 30.0, 40.0]}
    found = stages_of(tasks, 1000)
    assert {stage: len(seconds) for stage, seconds in found.items()} == {
        "background": 500,
        "segment": 1000,
    }
    assert set(found["segment"]) == set(tasks["segment"])
    scaled = stages_of(tasks, 1000, mean=1.0)["segment"]
    assert sum(scaled) / 1000 == pytest.approx(1.0, abs=0.05)
    assert found == stages_of(tasks, 1000), "the same seed draws the same"


def limit(workers_: int, scheduler: float) -> dict[str, Any]:
    own = {"wall": 1.0, "rate": 500.0, "scheduler": scheduler, "client": 0.0002}
    plain = {"wall": 4.0, "rate": 100.0, "scheduler": 4 * scheduler, "client": 0.002}
    return {
        "workers": workers_,
        "own": own,
        "plain": plain,
        "heartbeats": 0.02,
        "single": 0.008,
    }


def test_costs_lie_between_the_sizes_that_were_measured() -> None:
    costs = cluster_costs([limit(10, 0.001), limit(110, 0.002)], 60)
    assert costs.scheduler == pytest.approx(0.0015)
    assert costs.latency == pytest.approx(0.001)


def test_the_shortest_task_is_found_between_lengths() -> None:
    rows = [
        {"workers": 9, "seconds": seconds, "efficiency": share}
        for seconds, share in ((0.1, 0.5), (1.0, 0.89), (10.0, 0.91))
    ]
    assert 1.0 < shortest(rows, 9) < 10.0


def test_tasks_of_a_run_are_read_from_its_markers(run: Path) -> None:
    assert seconds_of(run) == {"background": [4.0, 2.0], "segment": [10.0]}
    with pytest.raises(SystemExit, match="no timed task"):
        task_rows(run / "nowhere")


def test_a_stage_has_its_share_of_what_the_machine_can(run: Path) -> None:
    found = stages(run)
    background = found["background"]
    assert background["speed"] == pytest.approx(16 / 6)  # megavoxels over busy seconds
    assert background["workers_busy"] == pytest.approx(1.0)
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


def test_flat_is_told_from_not_flat() -> None:
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


def everything() -> dict[str, Any]:
    tasks = {"background": [1.0, 2.0], "segment": [20.0, 40.0]}
    measured = [limit(10, 0.001), limit(500, 0.001)]
    found = project(tasks, measured)
    times = {"workers": 64, "units": 64, "mean": 1.0, "list": 2.0, "model": 2.1, "own": 2.0}
    return {
        "recorded": {"source": "a drawn volume", "seconds": tasks},
        "limits": measured,
        "checks": [times],
        "tails": [{**times, "plain": 3.0}],
        "shortest": {"10": 0.02},
        **found,
    }


def test_the_page_has_what_was_measured_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "performance.json"
    bare = performance.render(results.read(path))
    for heading in ("Kernels", "As the volume grows", "Many workers", "Where the time goes"):
        assert heading not in bare
    row = {"step": "background", "own": 0.1, "plain": 61.0, "agreement": 0.9, "ratio": 610.0}
    results.keep("kernels", {"what": "slices", "slices": 4, "rows": [row]}, "make it", path)
    results.keep("scheduler", everything(), "make that", path)
    text = performance.render(results.read(path))
    assert "| background | 0.100 | 61.00 | 610.0 | 0.900 |" in text
    assert "| 10 | 100 | 500 | 5.0 | 4.00 | 1.00 | 1000 |" in text
    assert "| 64 | 64 | 1.00 | 2.00 | 2.10 | 2.00 | +5% |" in text
    assert "`make it`" in text
    assert "As the volume grows" not in text


def test_the_full_volume_comes_first(run: Path) -> None:
    stages_ = stages(run)
    for row in stages_.values():
        row["of"] = {"memory": None, "disk": None}
    section = {
        "source": "a volume",
        "shape": [518, 8192, 8192],
        "statuses": {"segmented": 25},
        "dask": {"workers": 2},
        "wall": 3600.0,
        "stages": stages_,
        "workers": workers(run),
        "limits": {"memory": 2e10, "write": 3e8, "read": 4e8},
        "command": "measure",
        "date": "2026-01-01",
        "commit": "0123456",
        "machine": {"cores": 2, "processor": "a processor", "memory_gib": 8.0},
        "versions": {"hela_dask": "1"},
    }
    text = performance.render({performance.FULL: section})
    assert "**518 x 8192 x 8192 voxels on 2 workers of one thread: 60 minutes" in text
    assert "25 cells were found, in 3 tasks. 0 GB were read" in text


def test_figures_are_drawn_and_small(tmp_path: Path) -> None:
    ones = [scaled(1, 1, 500, 10), scaled(4, 1, 570, 44)]
    rows = [*ones, scaled(1, 2, 500, 5), scaled(4, 2, 600, 30)]
    for path in (
        scaling_chart(rows, tmp_path / "scaling.png"),
        scheduler_chart(everything(), tmp_path / "scheduler.png"),
    ):
        assert 5_000 < path.stat().st_size < 150_000
