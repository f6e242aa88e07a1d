"""What a plan says before a run, what it refuses, and that it touches nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import hela_dask as hd
from hela_dask._run import detect, run
from hela_dask.cli import main
from hela_dask.errors import InputError, MissingInputError, ResourceError
from hela_dask.formatting import time_text
from hela_dask.planning import calibrate
from hela_dask.planning.plan import plan
from hela_dask.planning.show import Plan
from tests.exactness.runs import PARAMETERS, write


def files(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def stages(found: Plan) -> dict[str, Any]:
    return {stage.name: stage for stage in found.stages}


def test_a_plan_says_what_follows_from_sizes_and_writes_nothing(scene: Path) -> None:
    before = files(scene.parent)
    found = plan(scene, calibrate=False, workers=2, memory="4GiB")
    assert files(scene.parent) == before
    by_name = stages(found)
    assert [by_name[name].tasks for name in ("background", "labels", "report")] == [3, 3, 1]
    assert by_name["cells"].tasks is None and not by_name["cells"].exact
    assert found.seconds is None
    assert found.run == scene.parent / "balls.run"
    assert found.memory == 4 * 2**30 > found.memory_needed > by_name["background"].memory
    assert "not known before detection" in str(found)


def test_cells_that_are_given_are_exact(scene: Path, tmp_path: Path) -> None:
    table = tmp_path / "centres.csv"
    table.write_text("z,y,x\n4000,7200,7200\n3600,8000,18400\n4400,18400,8000\n")
    found = plan(scene, centres=table, calibrate=False)
    assert stages(found)["cells"] == hd.plan(scene, centres=table, calibrate=False).stages[3]
    assert (stages(found)["cells"].tasks, stages(found)["cells"].exact) == (3, True)
    assert stages(found)["detection"].tasks == 0
    chosen = plan(scene, centres=table, cells=[2], calibrate=False)
    assert stages(chosen)["cells"].tasks == 1
    with pytest.raises(InputError, match="no cell 9"):
        plan(scene, centres=table, cells=[9], calibrate=False)


def test_cells_of_a_finished_detection_are_exact_and_done_ones_are_counted(
    scene: Path, here: Any, calls: dict[str, Any]
) -> None:
    found = detect(scene, client=here, progress=False)
    number = int((found["status"] != "chain_too_short").sum())
    before = files(scene.parent)
    cells = stages(plan(scene, calibrate=False))["cells"]
    assert (cells.tasks, cells.exact, cells.done) == (number, True, 0)
    assert files(scene.parent) == before
    run(scene, client=here, progress=False, cells=[1, 2])
    cells = stages(plan(scene, calibrate=False))["cells"]
    assert (cells.tasks, cells.done) == (number, 2)
    assert f"{number}, 2 done" in str(plan(scene, calibrate=False))
    assert stages(plan(scene, calibrate=False))["labels"].done == 0
    run(scene, client=here, progress=False)
    before = files(scene.parent)
    labels = stages(plan(scene, calibrate=False))["labels"]
    assert labels.done == labels.tasks > 1
    assert files(scene.parent) == before
    moved = plan(scene, calibrate=False, parameters={"assemble": {"reach": 250.0}})
    assert (stages(moved)["cells"].done, stages(moved)["labels"].done) == (number, 0)
    other = plan(scene, calibrate=False, parameters={"detect": {"neck": 0.7}})
    assert stages(other)["cells"].tasks is None  # of other parameters nothing is known


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("tried")
    volume = write(folder / "two.ome.zarr", 40.0)
    before = files(folder)
    found = plan(volume, parameters=PARAMETERS, workers=1)
    assert files(folder) == before
    return found


@pytest.mark.slow
def test_times_and_cells_are_estimated_from_some_slices(tried: Plan) -> None:
    assert tried.calibration is not None
    cells = stages(tried)["cells"]
    assert not cells.exact and 1 <= cells.tasks <= 4  # there are two
    assert all(stage.seconds is not None for stage in tried.stages)
    assert tried.seconds is not None and 0 < tried.seconds < 3600
    assert 0 < tried.calibration.share < 0.2
    text = str(tried)
    assert f"about {cells.tasks}" in text and "estimated" in text and "total" in text
    assert max(map(len, text.splitlines()[1:])) <= 120
    kept = json.loads(json.dumps(tried.to_dict(), allow_nan=False))
    assert [stage["name"] for stage in kept["stages"]] == list(stages(tried))


@pytest.mark.parametrize(("compiled", "trials"), [([5, 5], 1), ([5, 8], 2)])
def test_what_was_timed_while_loops_were_compiled_is_timed_again(
    compiled: list[int], trials: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, times = iter(compiled), iter([60.0, 2.0])
    monkeypatch.setattr(calibrate, "loops_compiled", lambda: next(counts))
    monkeypatch.setattr(
        calibrate, "_measured", lambda *_: calibrate.Calibration((0, 1), next(times), 1.0, 1.0)
    )
    found = calibrate.calibrate(None)  # type: ignore[arg-type]
    assert found.background == [60.0, 2.0][trials - 1]


@pytest.mark.slow
def test_more_workers_take_less_time_and_all_cores_at_most(
    tried: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hela_dask.planning.calibrate.calibrate", lambda setup: tried.calibration)
    monkeypatch.setattr("hela_dask.planning.times.os.cpu_count", lambda: 4)
    labels = [
        stages(plan(tried.store, parameters=PARAMETERS, workers=count, memory="4GiB"))["labels"]
        for count in (1, 2, 4, 8)
    ]
    one, two, four, eight = (stage.seconds for stage in labels)
    assert one == pytest.approx(2 * two) == pytest.approx(4 * four)
    assert eight == four


def test_a_worker_too_small_for_any_task_is_refused(
    scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ResourceError, match=r"has 64 MiB: give each at least 1.1 GiB .*--memory"):
        plan(scene, memory="64MiB")
    given = ["--memory", "64MiB", "--method", "volumetric"]  # no remark on a network
    assert main(["plan", str(scene), *given]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "--memory" in err


def test_the_same_is_refused_by_run(scene: Path) -> None:
    found = plan(scene, calibrate=False, memory="4GiB")
    most = max(stage.memory or 0 for stage in found.stages)
    plan(scene, calibrate=False, memory=round(1.12 * most))
    for refusing in (plan, run):
        with pytest.raises(ResourceError, match="--memory"):
            refusing(scene, workers=1, memory=round(1.1 * most))
    assert not (scene.parent / "balls.run").exists()


def test_a_full_disk_is_refused(scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2**20))
    with pytest.raises(ResourceError, match=r"has 1 MiB free.*--labels"):
        plan(scene, calibrate=False)


def test_pictures_of_cells_take_disk_space(scene: Path, tmp_path: Path) -> None:
    table = tmp_path / "centres.csv"
    table.write_text("z,y,x\n4000,7200,7200\n3600,8000,18400\n4400,18400,8000\n")
    on, off = (
        plan(scene, centres=table, calibrate=False, parameters={"measure": {"in_runs": n}}).disk
        for n in (1, 0)
    )
    assert 3 * 2**20 < on.run - off.run < 6 * 2**20


def test_what_run_refuses_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"nothing\.ome\.zarr does not exist"):
        plan(tmp_path / "nothing.ome.zarr")


def test_the_command_prints_a_table_or_json(
    scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["plan", str(scene), "--no-time", "--workers", "2", "--memory", "4GiB"]
    assert main(given) == 0
    lines = capsys.readouterr().out.splitlines()
    table = lines[2 : lines.index("", 2)]
    assert [line.split()[0] for line in table[1:]] == [
        *("background", "detection", "network", "cells", "labels", "measures", "report"),
    ]
    assert len({len(line) for line in table}) == 1  # columns are aligned
    assert main([*given, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["workers"] == 2 and found["memory"] == 4 * 2**30
    assert found["seconds"] is None and found["calibration"] is None
    assert found["disk"]["labels"] > 0
    assert main([*given, "--quiet"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "?"), (0.2, "0 s"), (99.0, "99 s"), (150.0, "2 min"), (7800.0, "2 h 10 min")],
)
def test_times_are_formatted_for_people(seconds: float | None, text: str) -> None:
    assert time_text(seconds) == text


def test_a_trial_that_fails_leaves_times_out(
    scene: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(setup: Any) -> None:
        raise ValueError("no luck")

    monkeypatch.setattr("hela_dask.planning.calibrate.calibrate", broken)
    with caplog.at_level("WARNING", "hela_dask"):
        assert plan(scene).seconds is None
    assert "no luck" in caplog.text
