"""A whole run on balls in resin: what it writes, what it leaves alone, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy.ndimage import binary_dilation

from hela_dask._run import RunResult, detect, run
from hela_dask.errors import (
    ExistsError,
    InputError,
    MissingInputError,
    NothingToDoError,
)
from hela_dask.geometry import Geometry
from hela_dask.storage import store
from hela_dask.volume.opening import open_volume, read_image
from tests.scenes import BALLS, SHAPE, VOXEL, ball, make_scene, stand_in, store_of


def times(*folders: Path) -> dict[str, int]:
    """Every file and when it was last written."""
    return {
        str(path): path.stat().st_mtime_ns
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def go(scene: Path, here: Any, **more: Any) -> RunResult:
    return run(scene, client=here, progress=False, **more)


def test_every_ball_is_a_cell_with_its_nucleus(
    scene: Path, here: Any, calls: dict[str, Any]
) -> None:
    result = go(scene, here)
    cells, nuclei = result.labels["cells"].values, result.labels["nuclei"].values
    resin, rings = result.labels["background"].values, result.labels["envelope"].values
    assert result.exit_code == 0 and result.path == scene.parent / "balls.run"
    owners = []
    for item in BALLS:
        mask = ball(*item)
        ids = np.unique(cells[mask])
        assert ids.size == 1 and ids[0] > 0
        np.testing.assert_array_equal(cells == ids[0], mask)
        assert np.array_equal(np.unique(nuclei[mask]), [0, ids[0]])
        assert not resin[mask].any()
        # One voxel around the nucleus, as the stand-in draws it.
        inner = nuclei == ids[0]
        np.testing.assert_array_equal(rings == ids[0], binary_dilation(inner) & ~inner)
        owners.append(int(ids[0]))
    assert sorted(owners) == result.cells["label"].tolist() == [1, 2, 3, 4]
    volume = sum(float(ball(*item).sum()) for item in BALLS) * np.prod(VOXEL) / 1e9
    assert result.cells["cell_volume"].sum() == pytest.approx(volume)
    assert (result.cells["nucleus_volume"] < result.cells["cell_volume"]).all()
    volume = np.count_nonzero(rings) * np.prod(VOXEL) / 1e9
    assert result.cells["envelope_volume"].sum() == pytest.approx(volume)
    cut = result.cells.set_index("label").loc[owners[3]]
    assert cut["touches_side"] and not cut["complete"]
    assert result.cells["complete"].sum() == 3
    assert sorted(calls["segment"]) == [1, 2, 3, 4]


@pytest.mark.usefixtures("performance_page")
def test_what_a_run_writes(scene: Path, here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, pages=True)
    result = go(scene, here)
    names = {path.name for path in result.path.iterdir()}
    assert names >= {"run.toml", "run.json", "cells.parquet", "cells.csv", "detections.parquet"}
    assert names >= {"report.html", "performance.html", "done"} and "lock" not in names
    for page in ("report.html", "performance.html"):
        assert (result.path / page).stat().st_size > 10_000
    facts = json.loads((result.path / "run.json").read_text())
    assert (facts["state"], facts["exit_code"]) == ("finished", 0)
    assert facts["versions"]["dask"] and facts["image"]["shape"] == list(SHAPE)
    assert set(facts["timings"]) >= {"detect", "background", "segment", "assemble"}
    assert facts["dask"]["threads"] == 1 and facts["statuses"] == {
        "segmented": 3,
        "cut_by_volume": 1,
    }
    table = pd.read_parquet(result.path / "cells.parquet")
    pd.testing.assert_frame_equal(table, result.cells, check_dtype=False)
    for name in ("nuclei", "cells", "envelope"):
        group = json.loads((result.label_paths[name] / "zarr.json").read_text())["attributes"]
        label = group["ome"]["image-label"]
        assert [item["label-value"] for item in label["properties"]] == [1, 2, 3, 4]
        assert all(item["envelope_volume"] > 0 for item in label["properties"])
        assert len(label["colors"]) == 4 and label["source"] == {"image": "../../"}
        noted = group["hela_dask"]
        assert (noted["run"], noted["run_id"]) == ("../../../balls.run", facts["id"])
        assert (result.label_paths[name] / noted["run_json"]).samefile(result.path / "run.json")
    assert read_image(scene).labels == (
        "background",
        "cells",
        "nuclei",
        "envelope",
    ), "a viewer draws nuclei over cells"


def test_a_second_run_leaves_everything_untouched(
    scene: Path, here: Any, calls: dict[str, Any]
) -> None:
    first = go(scene, here)
    before, counted = times(scene, first.path), calls["background"]
    second = go(scene, here)
    assert times(scene, first.path) == before
    assert calls["background"] == counted and len(calls["segment"]) == 4
    pd.testing.assert_frame_equal(first.cells, second.cells)
    assert second.exit_code == 0


def test_other_parameters_redo_what_depends_on_them_and_nothing_else(
    first: RunResult, here: Any, calls: dict[str, Any]
) -> None:
    scene = store_of(first)
    coarse = first.path / "coarse" / "background"
    background = times(coarse)
    counted = calls["background"]
    again = go(scene, here, parameters={"region": {"width": 21000.0}}, overwrite=True)
    assert again.path == first.path and times(coarse) == background
    assert calls["background"] == counted
    # The window of a cut cell may grow up to the size of the usual one.
    assert sorted(calls["segment"][4:]) == sorted(first.cells["label"])
    calls["segment"].clear()
    go(scene, here, parameters={"background": {"blur": 31.0}}, overwrite=True)
    assert calls["background"] > counted and len(calls["segment"]) == 4


def test_a_changed_volume_is_a_new_input(
    first: RunResult, here: Any, calls: dict[str, Any]
) -> None:
    scene = store_of(first)
    for path in (scene / "0").rglob("0"):
        if path.is_file():
            path.touch()
    go(scene, here)
    assert len(calls["segment"]) == 4  # new times are no new input
    z0, z1 = store.slabs(scene)[0]
    grey = open_volume(scene)[z0:z1].values
    grey[0, 0, 0] ^= 1
    store.write_slab(scene, z0, grey)
    go(scene, here)
    assert len(calls["segment"]) == 8


def test_one_cell_that_fails_is_a_row_and_is_tried_again(
    scene: Path, here: Any, calls: dict[str, Any]
) -> None:
    calls["broken"] = {2}
    result = go(scene, here)
    assert result.exit_code == 3
    row = result.cells.set_index("label").loc[2]
    assert row["status"] == "failed" and "no luck with cell 2" in row["reason"]
    assert np.isnan(row["cell_volume"]) and not row["complete"]
    assert "cell 2 failed" in str(result) and "cell 2 failed" in result.warnings[0]
    assert set(np.unique(result.labels["cells"].values)) == {0, 1, 3, 4}
    calls["broken"], calls["segment"] = set(), []
    mended = go(scene, here)
    assert mended.exit_code == 0 and calls["segment"] == [2]
    assert set(np.unique(mended.labels["cells"].values)) == {0, 1, 2, 3, 4}


def test_only_some_cells(scene: Path, here: Any, calls: dict[str, Any]) -> None:
    whole = go(scene, here, out=scene.parent / "whole.run", labels=scene.parent / "whole.zarr")
    calls["segment"] = []
    some = go(scene, here, cells=[1, 3])
    assert sorted(calls["segment"]) == [1, 3]
    expected = whole.labels["cells"].values
    expected = np.where(np.isin(expected, [1, 3]), expected, 0)
    np.testing.assert_array_equal(some.labels["cells"].values, expected)
    assert (some.cells["status"] == "not_selected").tolist() == [False, True, False, True]
    rest = go(scene, here)
    assert sorted(calls["segment"]) == [1, 2, 3, 4]
    np.testing.assert_array_equal(rest.labels["cells"].values, whole.labels["cells"].values)


def test_only_cells_in_a_box(scene: Path, here: Any, calls: dict[str, Any]) -> None:
    half = SHAPE[1] * VOXEL[1] / 2
    result = go(scene, here, box=((0, 1e6), (0, half), (0, half)))
    assert len(calls["segment"]) == 1
    row = result.cells[result.cells["status"] != "not_selected"].iloc[0]
    assert row["y"] < half and row["x"] < half
    with pytest.raises(InputError, match="no cell's centre lies in the box"):
        go(scene, here, box=((0, 1), (0, 1), (0, 1)))


def test_labels_in_a_store_of_their_own(scene: Path, here: Any, calls: dict[str, Any]) -> None:
    before = times(scene)
    own = scene.parent / "own.ome.zarr"
    result = go(scene, here, labels=own)
    assert times(scene) == before
    assert result.label_paths["cells"] == own / "labels" / "cells"
    assert result.labels["cells"].attrs["voxel_size"] == VOXEL


def test_labels_lie_over_an_image_that_does_not_start_at_zero(
    scene: Path, here: Any, calls: dict[str, Any]
) -> None:
    facts = json.loads((scene / "zarr.json").read_text())
    for dataset in facts["attributes"]["ome"]["multiscales"][0]["datasets"]:
        place = dataset["coordinateTransformations"][1]["translation"]
        place[:] = [place[0] + 500.0, place[1] + 7000.0, place[2] - 30.0]
    (scene / "zarr.json").write_text(json.dumps(facts))
    go(scene, here)
    labels = go(scene, here).labels["cells"]
    np.testing.assert_array_equal(labels.values > 0, np.any([ball(*item) for item in BALLS], 0))
    for axis in "zyx":
        np.testing.assert_array_equal(labels[axis], open_volume(scene)[axis])
    assert len(calls["segment"]) == len(BALLS)


def test_labels_of_another_run_are_not_replaced_unasked(
    first: RunResult, here: Any, calls: dict[str, Any]
) -> None:
    scene = store_of(first)
    other = scene.parent / "other.run"
    with pytest.raises(ExistsError, match=r"balls\.run.*--overwrite.*--labels"):
        go(scene, here, out=other)
    assert not other.exists()
    second = go(scene, here, out=other, overwrite=True)
    np.testing.assert_array_equal(second.labels["cells"].values, first.labels["cells"].values)
    counted = len(calls["segment"])
    go(scene, here, out=other, overwrite=True)
    assert len(calls["segment"]) == counted
    with pytest.raises(ExistsError, match=r"other\.run"):
        go(scene, here)


def test_centres_instead_of_detection(
    scene: Path, here: Any, calls: dict[str, Any], tmp_path: Path
) -> None:
    table = tmp_path / "centres.csv"
    rows = [f"{z * 200},{y * 160},{x * 160},{7 - k}" for k, (z, y, x, _) in enumerate(BALLS[:2])]
    table.write_text("\n".join(["z, y, x, label", *rows]))
    result = go(scene, here, centres=table)
    assert result.cells["label"].tolist() == [6, 7]
    for label, item in ((7, BALLS[0]), (6, BALLS[1])):
        np.testing.assert_array_equal(result.labels["cells"].values == label, ball(*item))


def test_no_resin_and_no_centres_is_nothing_to_do(
    tmp_path: Path, here: Any, calls: dict[str, Any]
) -> None:
    scene = make_scene(tmp_path / "grey.ome.zarr", [(20, 80, 80, 400)])
    with pytest.raises(NothingToDoError, match=r"no cell was found.*--centres"):
        go(scene, here)
    assert not (scene / "labels").exists()
    facts = json.loads((tmp_path / "grey.run" / "run.json").read_text())
    assert (facts["state"], facts["exit_code"]) == ("failed", 1)


def test_scores_against_a_truth(
    scene: Path, here: Any, calls: dict[str, Any], tmp_path: Path
) -> None:
    classes = np.full((30, *SHAPE[1:]), 4, np.uint8)
    for number, item in enumerate(BALLS):
        classes[ball(*item)[:30]] = 5 if number == 0 else 3
    z, y, x, radius = BALLS[0]
    nucleus = ball(z, y, x, radius / 2)[:30]
    classes[binary_dilation(nucleus, iterations=4) & ~nucleus] = 1
    classes[nucleus] = 2
    truth = tmp_path / "classes.tif"
    tifffile.imwrite(truth, classes)
    result = go(scene, here, truth=truth)
    scores = json.loads((result.path / "scores.json").read_text())
    assert scores == result.scores
    assert scores["kind"] == "classes" and scores["slices"] == [1, 30]
    assert scores["cell"]["ji"] == 1.0 and 0.1 < scores["nucleus"]["ji"] < 1.0
    # The nuclei made here are larger than the true one, so too little of the cell is left.
    assert 0.1 < scores["cytoplasm"]["ji"] < 1.0 and scores["background"]["ji"] > 0.9
    # The true envelope is drawn deeper in the ball than the nuclei made here reach outwards.
    assert 0.0 < scores["envelope"]["ji"] < 0.1
    with pytest.raises(InputError, match="pixels"):
        tifffile.imwrite(tmp_path / "odd.tif", classes[:, :100, :99])
        go(scene, here, truth=tmp_path / "odd.tif")
    with pytest.raises(MissingInputError, match=r"none\.tif"):
        go(scene, here, truth=tmp_path / "none.tif")


def test_a_truth_of_instances(scene: Path, here: Any, calls: dict[str, Any]) -> None:
    truth = np.zeros(SHAPE, np.uint16)
    for number, item in enumerate(BALLS, start=11):
        truth[ball(*item)] = number
    path = scene.parent / "cells.npy"
    np.save(path, truth)
    result = go(scene, here, truth=path)
    assert result.scores["kind"] == "instances" and "nucleus" not in result.scores
    assert '"f1": 1.0' in json.dumps(result.scores["cell"])


def test_detect_alone(scene: Path, here: Any, calls: dict[str, Any], tmp_path: Path) -> None:
    cells = detect(scene, client=here, save_regions=tmp_path / "regions", progress=False)
    folder = scene.parent / "balls.run"
    assert len(cells) == 4 and not (scene / "labels").exists()
    assert {"chains.png", "detections.png"} <= {
        path.name for path in (folder / "figures").iterdir()
    }
    assert len(list((tmp_path / "regions").iterdir())) >= 4
    before = times(folder / "done")
    result = go(scene, here)
    assert result.cells["label"].tolist() == cells["label"].tolist()
    assert {name: times(folder / "done")[name] for name in before} == before


def test_a_folder_for_regions_is_looked_at_before_the_work(
    scene: Path, here: Any, calls: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "regions"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ExistsError, match="did not write"):
        detect(scene, client=here, save_regions=folder, progress=False)
    assert calls["background"] == 0 and not (tmp_path / "balls.run").exists()


def test_a_result_explains_itself(scene: Path, here: Any, calls: dict[str, Any]) -> None:
    result = go(scene, here)
    text, page = str(result), result._repr_html_()
    assert "4 cells" in text and str(result.report) in text
    assert "<table" in page and "4 cells" in page
    assert open_volume(result.label_paths["nuclei"]).dtype == np.uint16


def test_chains_that_are_all_too_short_are_rows_and_nothing_to_do(
    tmp_path: Path, here: Any, calls: dict[str, Any]
) -> None:
    scene = make_scene(tmp_path / "small.ome.zarr", [(20, 80, 80, 9)])
    cells = detect(scene, client=here, progress=False)
    assert cells["status"].tolist() == ["chain_too_short"]
    with pytest.raises(NothingToDoError, match="shortest_chain"):
        go(scene, here)
    assert not calls["segment"] and not (scene / "labels").exists()


def test_slices_that_show_nothing_are_named(scene: Path, here: Any, calls: dict[str, Any]) -> None:
    volume = open_volume(scene)
    grey = volume.values.copy()
    grey[[2, 7]] = 0
    blank = scene.with_name("blank.ome.zarr")
    image = store.create_image(
        blank, grey.shape, grey.dtype, Geometry.of(volume).voxel_size, name="blank"
    )
    for z0, z1 in store.slabs(image):
        store.write_slab(image, z0, grey[z0:z1], downsample="mean")
    result = go(blank, here)
    assert any("2 slices" in text and "3, 8" in text for text in result.warnings)


def test_a_run_by_relative_paths_is_the_same_run(
    scene: Path, here: Any, calls: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(scene.parent)
    first = go(Path(scene.name), here)
    assert first.exit_code == 0 and len(calls["segment"]) == 4
    again = go(scene, here)
    assert len(calls["segment"]) == 4 and again.cells.equals(first.cells)
    beside = go(Path(scene.name), here, out=Path("b.run"), labels=Path("b.zarr"))
    assert beside.exit_code == 0
    assert beside.cells["cell_volume"].equals(first.cells["cell_volume"])
