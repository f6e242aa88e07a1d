"""A result is replaced only where that is asked for; results stand side by side."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hela_dask as hd
from hela_dask._run import RunResult, detect, run
from hela_dask.errors import ExistsError, InputError, MissingInputError
from hela_dask.methods.names import DEFAULT_METHOD
from hela_dask.report import write_report
from hela_dask.report.page import _facts
from hela_dask.running.reading import read_folder
from hela_dask.running.replacing import differences, unused_names
from tests.scenes import BALLS, SHAPE, ball, make_scene, store_of
from tests.test_run import times

WIDER = {"region": {"width": 21000.0}}


def go(scene: Path, here: Any, **more: Any) -> RunResult:
    return run(scene, client=here, progress=False, **more)


def facts_of(result: RunResult) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((result.path / "run.json").read_text())
    return found


@pytest.mark.parametrize(
    ("asked", "message", "stem"),
    [
        ({"method": "propagate"}, "of method unet; this asks for propagate", "propagate"),
        ({"parameters": WIDER}, r"of \[region\] width = 20000.0; this asks for 21000.0", "2"),
        ({"centres": "centres"}, "cells found by detection; .* table of centres", "2"),
        (
            {"parameters": {"assemble": {}, "quality": {"doubt": 0.5}}},
            r"\[quality\] doubt = 0.2; this asks for .*0.5",
            "2",
        ),
    ],
    ids=["method", "parameter", "centres", "two"],
)
def test_another_result_is_asked_for(
    first: RunResult,
    here: Any,
    calls: dict[str, Any],
    asked: dict[str, Any],
    message: str,
    stem: str,
) -> None:
    scene = store_of(first)
    if "centres" in asked:
        asked = {"centres": first.path / "centres.csv"}
    if "assemble" in str(asked):
        group: dict[str, Any] = dict(hd.Parameters().to_dict()["assemble"])
        name = next(name for name, value in group.items() if isinstance(value, float))
        asked["parameters"]["assemble"] = {name: group[name] * 1.5}
    before = times(scene, first.path)
    sentence, stem = (
        rf"balls\.run holds the finished result .*{message}.*--overwrite",
        f"balls.{stem}",
    )
    with pytest.raises(ExistsError, match=sentence) as caught:
        go(scene, here, **asked)
    assert f"{stem}.run" in str(caught.value) and f"{stem}.ome.zarr" in str(caught.value)
    assert times(scene, first.path) == before
    same = {
        "method": "continue it with --method unet,",
        "parameters": f"continue it with --params {first.path / 'run.toml'},",
        "centres": "",
    }[next(iter(asked))]
    assert same in str(caught.value) and ("continue" in str(caught.value)) == bool(same)
    plan = hd.plan(scene, calibrate=False, **asked)  # writes nothing, so nothing is asked
    assert plan.run == first.path
    # Side by side, as the sentence says; the first result stays as it is.
    other = go(
        scene,
        here,
        out=scene.with_name(f"{stem}.run"),
        labels=scene.with_name(f"{stem}.ome.zarr"),
        **asked,
    )
    assert times(scene, first.path) == before
    write_report(first.path)
    again = hd.open_run(other.path)
    assert again.label_paths == other.label_paths and again.store == scene
    # Asked for: it is replaced, and says so.
    last = go(scene, here, overwrite=True, **asked)
    assert last.path == first.path
    assert "result of" in facts_of(last)["replaced"]["what"]
    assert ("replaced", facts_of(last)["replaced"]["what"]) in [
        (name, text.split(", finished on")[0]) for name, text in _facts(read_folder(last.path))
    ]
    again = go(scene, here, **asked)
    assert facts_of(again)["replaced"] == facts_of(last)["replaced"]


def test_what_is_no_other_result_is_not_asked(
    scene: Path,
    here: Any,
    calls: dict[str, Any],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="hela_dask")
    result = go(scene, here)
    row = result.cells.iloc[1]
    table = tmp_path / "corrections.csv"
    table.write_text(f"label,z,y,x\n{row['label']},{row['z'] + 400},{row['y']},{row['x']}\n")
    again = "1 of 4 cells are computed again, as their places"
    lost = "made with 1 corrections, and this call gives none"
    for more, message in (
        ({"corrections": table}, [again]),
        ({"corrections": table}, []),
        ({"cells": [1]}, [lost]),
        ({"box": ((0, 1e9), (0, 1e9), (0, 1e9))}, [again]),
        ({}, []),
    ):
        caplog.clear()
        assert go(scene, here, **more).path == result.path
        for sentence in (again, lost):
            assert (sentence in caplog.text) == (sentence in message), (more, caplog.text)


def test_another_unfinished_result_is_asked_for_too(
    scene: Path, here: Any, calls: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as person, pytest.raises(KeyboardInterrupt):
        person.setattr(sys.modules["hela_dask._run"], "finish_run", stopped)
        go(scene, here)
    with pytest.raises(ExistsError, match=r"holds the unfinished result of .*width"):
        go(scene, here, parameters=WIDER)
    with pytest.raises(ExistsError, match=r"holds the unfinished result of .*shortest_chain"):
        detect(scene, client=here, progress=False, parameters={"link": {"shortest_chain": 1.0}})
    assert go(scene, here).exit_code == 0


def test_detection_that_found_nothing_may_be_tried_with_other_parameters(
    tmp_path: Path, here: Any, calls: dict[str, Any]
) -> None:
    scene = make_scene(tmp_path / "small.ome.zarr", [(20, 80, 80, 9)])
    with pytest.raises(hd.NothingToDoError, match="shortest_chain"):
        go(scene, here)
    assert go(scene, here, parameters={"link": {"shortest_chain": 2000.0}}).exit_code == 0


def test_detection_leaves_a_finished_result_finished(
    first: RunResult, here: Any, calls: dict[str, Any]
) -> None:
    scene, result = store_of(first), first
    detect(scene, client=here, progress=False)
    assert facts_of(result)["state"] == "finished"
    assert hd.open_run(result.path).summary() == result.summary()


def test_everything_is_computed_again_where_asked(
    first: RunResult, here: Any, calls: dict[str, Any]
) -> None:
    scene = store_of(first)
    expected = first.labels["cells"].values
    counted = calls["background"]
    calls["segment"].clear()
    again = go(scene, here, recompute=True)
    assert sorted(calls["segment"]) == [1, 2, 3, 4] and calls["background"] >= 2 * counted
    np.testing.assert_array_equal(again.labels["cells"].values, expected)
    calls["segment"].clear()
    go(scene, here)
    assert calls["segment"] == []


def test_chosen_cells_are_computed_again_and_others_stay(
    scene: Path, here: Any, calls: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    first = go(scene, here)
    expected = first.labels["cells"].values
    calls["segment"].clear()
    with caplog.at_level("INFO", "hela_dask"):
        go(scene, here, cells=[2, 3])
    assert calls["segment"] == []
    assert "nothing is left to do: --recompute computes cells 2 and 3 again" in caplog.text
    again = go(scene, here, cells=[2, 3], recompute=True)
    assert sorted(calls["segment"]) == [2, 3]
    np.testing.assert_array_equal(again.labels["cells"].values, expected)
    assert again.cells["status"].tolist() == first.cells["status"].tolist()
    assert facts_of(again)["cells"] is None  # the result still has all


def test_the_record_names_all_cells_that_the_result_has(
    scene: Path, here: Any, calls: dict[str, Any]
) -> None:
    assert facts_of(go(scene, here, cells=[2]))["cells"] == [2]
    assert facts_of(go(scene, here, cells=[3]))["cells"] == [2, 3]
    assert facts_of(go(scene, here, cells=[1, 4]))["cells"] is None


def test_scores_stay_as_long_as_the_labels_do(
    scene: Path, here: Any, calls: dict[str, Any]
) -> None:
    truth = np.zeros(SHAPE, np.uint16)
    for number, item in enumerate(BALLS, start=11):
        truth[ball(*item)] = number
    path = scene.parent / "cells.npy"
    np.save(path, truth)
    first = go(scene, here, truth=path)
    before = times(first.path)
    again = go(scene, here)
    assert again.scores == first.scores and times(first.path) == before
    assert hd.open_run(first.path).scores == first.scores
    other = go(scene, here, parameters=WIDER, overwrite=True)
    if (other.path / "scores.json").exists():  # the labels came out the same
        assert other.scores == first.scores
    else:
        assert other.scores == {} and "of other labels" in " ".join(other.warnings)


def test_names_that_are_free(tmp_path: Path) -> None:
    store, folder = tmp_path / "a.ome.zarr", tmp_path / "a.run"
    run_folder, labels = unused_names(store, folder, "hybrid")
    assert (run_folder.name, labels.name) == ("a.hybrid.run", "a.hybrid.ome.zarr")
    labels.mkdir()
    assert unused_names(store, folder, "hybrid")[0].name == "a.hybrid.2.run"
    assert unused_names(store, folder, DEFAULT_METHOD)[1].name == "a.2.ome.zarr"


def test_parameters_of_other_methods_and_of_older_versions_are_no_difference() -> None:
    default = hd.Parameters()
    facts: dict[str, Any] = {"method": "volumetric", "parameters": default.to_dict()}
    same: dict[str, Any] = {"network": "", "centres": None}
    other = hd.Parameters.from_dict({"hybrid": {"model": "m"}})
    assert differences(facts, method="volumetric", parameters=other, **same) == []
    older = {**facts, "parameters": {"region": {}}}
    assert differences(older, method="volumetric", parameters=default, **same) == []
    wider = hd.Parameters.from_dict(WIDER)
    assert len(differences(older, method="volumetric", parameters=wider, **same)) == 1
    # Measures are added to a result without them; to leave them out is another result.
    bare = hd.Parameters.from_dict({"measure": {"in_runs": 0}})
    without: dict[str, Any] = {**facts, "parameters": bare.to_dict()}
    assert differences(without, method="volumetric", parameters=default, **same) == []
    assert len(differences(facts, method="volumetric", parameters=bare, **same)) == 1
    # What is no table of names says nothing.
    values: list[Any] = [5, None, [], "x"]
    for value in values:
        broken = {**facts, "parameters": value, "method": value}
        assert len(differences(broken, method="volumetric", parameters=default, **same)) <= 1


def test_opening_a_run_says_what_is_wrong(scene: Path, here: Any, calls: dict[str, Any]) -> None:
    with pytest.raises(MissingInputError, match="no run folder"):
        hd.open_run(scene.parent / "nowhere.run")
    with pytest.raises(MissingInputError, match="not a run folder"):
        hd.open_run(scene)
    detect(scene, client=here, progress=False)
    folder = scene.parent / "balls.run"
    with pytest.raises(MissingInputError, match="no finished run, its state is 'detected'"):
        hd.open_run(folder)
    result = go(scene, here)
    before = times(scene, folder)
    found = hd.open_run(folder)
    assert times(scene, folder) == before
    assert found.summary() == result.summary() and found.exit_code == 0
    np.testing.assert_array_equal(found.labels["cells"].values, result.labels["cells"].values)
    cells = (folder / "cells.parquet").read_bytes()
    (folder / "cells.parquet").write_bytes(cells[:100])
    with pytest.raises(InputError, match=r"cells\.parquet is .*damaged"):
        hd.open_run(folder)
    (folder / "cells.parquet").write_bytes(cells)
    go(scene, here, out=scene.parent / "other.run", overwrite=True)
    for look in (hd.open_run, write_report):
        with pytest.raises(
            InputError, match=r"labels of .*balls\.run were replaced by .*other\.run"
        ):
            look(folder)
    assert hd.open_run(scene.parent / "other.run").store == scene
