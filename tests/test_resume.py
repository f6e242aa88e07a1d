"""Back to earlier parameters, after others were tried and stopped: nothing of theirs is taken."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hela_dask._run import RunResult, detect, run
from hela_dask.errors import StorageError
from tests.scenes import BALLS, VOXEL, make_scene, store_of

OTHERS = {"region": {"width": 21000.0}}


def go(scene: Path, here: Any, **more: Any) -> RunResult:
    return run(scene, client=here, progress=False, **{"overwrite": True, **more})


def check_labels(result: RunResult, expected: np.ndarray[Any, Any]) -> None:
    np.testing.assert_array_equal(result.labels["cells"].values, expected)


def test_masks_that_others_began_to_write_are_made_again(
    first: RunResult, here: Any, calls: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, expected = store_of(first), first.labels["cells"].values

    def full(*_: Any) -> None:
        raise StorageError("no space left")

    with monkeypatch.context() as disk:
        disk.setattr("hela_dask.storage.store.write_scratch", full)
        with pytest.raises(StorageError, match="no space"):
            go(scene, here, parameters=OTHERS)
    check_labels(go(scene, here), expected)


@pytest.mark.parametrize("lost", ["coarse", "coarse/background", "coarse/00002"])
def test_coarse_labels_may_be_deleted_by_hand(
    first: RunResult, here: Any, calls: dict[str, Any], lost: str
) -> None:
    scene = store_of(first)
    expected, cells = first.labels["cells"].values, sorted(calls["segment"])
    done = {path: path.stat().st_mtime_ns for path in (first.path / "done").glob("assemble-*")}
    shutil.rmtree(first.path / lost)
    calls["segment"], calls["background"] = [], 0
    check_labels(go(scene, here), expected)
    again = {"coarse": cells, "coarse/background": [], "coarse/00002": [2]}
    assert sorted(calls["segment"]) == again[lost]
    assert (calls["background"] > 0) == (lost != "coarse/00002")
    # What is decided again is the same, so the labels are left as they are.
    assert {path: path.stat().st_mtime_ns for path in done} == done


def test_another_working_level_and_back(first: RunResult, here: Any, calls: dict[str, Any]) -> None:
    scene, expected = store_of(first), first.labels["cells"].values
    other = go(scene, here, parameters={"working": {"resolution": 320.0}})
    assert (other.labels["cells"].values != expected).mean() < 0.01
    check_labels(go(scene, here), expected)


def test_slabs_that_others_wrote_without_a_marker_are_made_again(
    first: RunResult, here: Any, calls: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, expected = store_of(first), first.labels["cells"].values

    def killed(*_: Any) -> None:
        raise RuntimeError("killed")

    calls["broken"] = {2}
    with monkeypatch.context() as process, pytest.raises(RuntimeError, match="killed"):
        process.setattr("hela_dask.running.stages.count_slab", killed)
        go(scene, here, parameters=OTHERS)
    calls["broken"] = set()
    check_labels(go(scene, here), expected)


def test_tables_and_record_are_of_the_last_run(first: RunResult, here: Any, calls: Any) -> None:
    scene = store_of(first)
    params = {"link": {"shortest_chain": 1e9}}
    detect(scene, client=here, parameters=params, progress=False, overwrite=True)
    again = go(scene, here)
    pd.testing.assert_frame_equal(first.cells, again.cells)
    table = pd.read_parquet(again.path / "cells.parquet")
    pd.testing.assert_frame_equal(table, first.cells, check_dtype=False)
    facts = json.loads((again.path / "run.json").read_text())
    assert facts["state"] == "finished" and set(facts["labels"]) == {
        "background",
        "nuclei",
        "cells",
        "envelope",
    }


def test_a_record_of_what_was_interrupted_does_not_stay(
    first: RunResult, here: Any, calls: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = store_of(first)
    before = (first.path / "run.toml").read_text()

    def stopped(client: Any, *_: Any, **__: Any) -> None:
        client()
        raise KeyboardInterrupt

    with monkeypatch.context() as person, pytest.raises(KeyboardInterrupt):
        person.setattr("hela_dask.running.context.run_units", stopped)
        go(scene, here, parameters=OTHERS)
    assert json.loads((first.path / "run.json").read_text())["exit_code"] == 130
    again = go(scene, here)
    facts = json.loads((again.path / "run.json").read_text())
    assert (facts["state"], facts["exit_code"]) == ("finished", 0)
    assert facts["parameters"]["region"]["width"] == 20000.0
    assert (again.path / "run.toml").read_text() == before


def test_the_record_has_the_parameters_even_if_they_change_nothing(
    first: RunResult, here: Any, calls: dict[str, Any]
) -> None:
    scene = store_of(first)
    again = go(scene, here, parameters={"link": {"shortest_chain": 7400.0}})
    facts = json.loads((again.path / "run.json").read_text())
    assert facts["parameters"]["link"]["shortest_chain"] == 7400.0


def test_a_volume_is_the_same_by_any_path(
    scene: Path, here: Any, calls: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = go(scene, here)
    counted = calls["background"], len(calls["segment"])
    done = {path: path.stat().st_mtime_ns for path in (first.path / "done").iterdir()}
    monkeypatch.chdir(scene.parent)
    go(Path("balls.ome.zarr"), here)
    assert (calls["background"], len(calls["segment"])) == counted
    assert {path: path.stat().st_mtime_ns for path in (first.path / "done").iterdir()} == done


def test_masks_of_an_earlier_version_are_removed(first: RunResult, here: Any) -> None:
    scene = store_of(first)
    old = first.path / "decided" / "00001"
    old.mkdir(parents=True)
    (old / "zarr.json").write_text("{}")
    assert run(scene, client=here, progress=False).exit_code == first.exit_code
    assert not (first.path / "decided").exists()


@pytest.mark.parametrize("harm", ["lost", "changed", "folder"])
def test_labels_that_are_kept_for_assembly_and_damaged_are_made_again(
    tmp_path: Path,
    here: Any,
    calls: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    harm: str,
) -> None:
    small = (20, 29, 62, 4)  # without a nucleus, and its box touches another's
    balls = (*BALLS, small)
    scene = make_scene(tmp_path / "balls.ome.zarr", balls)
    places = np.array(balls)[:, :3] * VOXEL
    centres = pd.DataFrame(places, columns=["z", "y", "x"])
    first = go(scene, here, centres=centres)
    expected = first.labels["cells"].values
    assert len(np.unique(expected)) == 1 + len(balls)
    kept = sorted((first.path / "coarse").glob("labels-z*/*/c/*/*/*"))
    assert kept
    before = kept[0].read_bytes()
    if harm == "lost":
        kept[0].unlink()
    elif harm == "changed":
        kept[0].write_bytes(before[:-1] + bytes([before[-1] ^ 255]))
    else:
        shutil.rmtree(kept[0].parents[4])
    for marker in (first.path / "done").glob("assemble-*"):
        marker.unlink()
    calls["segment"] = []
    check_labels(go(scene, here, centres=centres), expected)
    assert kept[0].read_bytes() == before
    assert "assembled again" in caplog.text
    assert not calls["segment"]
