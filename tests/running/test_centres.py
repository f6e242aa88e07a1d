"""Centres that people give: read in nm or as a viewer saves them, and put into the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hela_dask import run as hd_run
from hela_dask.errors import InputError
from hela_dask.running.centres import (
    correct_cells,
    points_table,
    read_centres,
    read_corrections,
)
from hela_dask.storage.metadata import Image, read_image
from tests.scenes import BALLS, SHAPE, VOXEL, ball


def nm(item: tuple[float, ...]) -> tuple[float, ...]:
    """Centre of a ball."""
    return tuple(place * size for place, size in zip(item[:3], VOXEL, strict=True))


@pytest.fixture
def image(scene: Path) -> Image:
    """Of the volume with four balls."""
    return read_image(scene)


def cells() -> pd.DataFrame:
    """Two cells and a chain that is none, as linking gives them."""
    return pd.DataFrame(
        {
            "label": [1, 2, 3],
            "z": [2000.0, 4000.0, 4000.0],
            "y": [8000.0, 9000.0, 20000.0],
            "x": [9000.0, 8000.0, 20000.0],
            "height": [3000.0, 2500.0, 1000.0],
            "n_detections": [5, 6, 1],
            "first_slice": [6, 12, 21],
            "last_slice": [16, 26, 21],
            "status": ["detected", "detected", "chain_too_short"],
            "reason": ["", "", "spans 1.0 µm"],
            "flags": ["", "", ""],
        }
    )


def corrected(tmp_path: Path, image: Image, text: str) -> Any:
    """The table after the corrections in a text, by label."""
    path = tmp_path / "corrections.csv"
    path.write_text(text)
    return correct_cells(cells(), read_corrections(path, image), image, path).set_index("label")


def test_only_the_cell_that_is_named_moves(tmp_path: Path, image: Image) -> None:
    found = corrected(tmp_path, image, "label,z,y,x\n2,6000,9500,8500\n")
    before = cells().set_index("label")
    pd.testing.assert_frame_equal(found.loc[[1, 3]], before.loc[[1, 3]])
    moved = found.loc[2]
    assert moved[["z", "y", "x"]].tolist() == [6000.0, 9500.0, 8500.0]
    assert moved[["height", "first_slice", "last_slice"]].tolist() == [2500.0, 12, 31]
    assert (moved["status"], moved["flags"]) == ("detected", "moved")


def test_a_chain_that_was_none_becomes_a_cell_where_it_is_moved(
    tmp_path: Path, image: Image
) -> None:
    moved = corrected(tmp_path, image, "label,z,y,x\n3,4000,20000,20500\n").loc[3]
    assert (moved["status"], moved["reason"], moved["flags"]) == ("detected", "", "moved")


def test_cells_are_added_and_taken_out(tmp_path: Path, image: Image) -> None:
    text = "z,y,x,label\n1000,2000,3000,\n2000,2000,3000,9\n3000,2000,3000,\n,,,1\n"
    found = corrected(tmp_path, image, text)
    assert found.index.tolist() == [2, 3, 9, 10, 11]  # of added ones by their rows
    assert found.loc[[10, 9, 11], "z"].tolist() == [1000.0, 2000.0, 3000.0]
    assert found.loc[[9, 10, 11], "flags"].tolist() == ["added"] * 3
    assert found.loc[10, "first_slice"] == found.loc[10, "last_slice"] == 6
    assert np.isnan(found.loc[10, "height"])


def test_less_than_half_a_voxel_is_no_move(tmp_path: Path, image: Image) -> None:
    found = corrected(tmp_path, image, "label,z,y,x\n2,4099,9079,8079\n1,2000,8000,9000\n")
    pd.testing.assert_frame_equal(found, cells().set_index("label"))
    assert corrected(tmp_path, image, "label,z,y,x\n2,4101,9000,8000\n").loc[2, "flags"] == "moved"


def test_what_a_viewer_saves_of_our_centres_is_nm(tmp_path: Path, image: Image) -> None:
    table: Any = points_table(cells())
    assert table.columns.tolist() == ["index", "axis-0", "axis-1", "axis-2", "label", "unit"]
    assert table["label"].tolist() == [1, 2]
    unchanged = corrected(tmp_path, image, table.to_csv(index=False))
    pd.testing.assert_frame_equal(unchanged, cells().set_index("label"))
    table = table.astype({"label": float})  # as a viewer may write it
    table["axis-2"] += [0.0, 500.0]
    table.loc[2] = [2, 1000.0, 2000.0, 3000.0, 1.0, "nm"]  # a new point takes over a feature
    found = corrected(tmp_path, image, table.to_csv(index=False))
    assert found.index.tolist() == [1, 2, 3, 4]
    assert found["flags"].tolist() == ["", "moved", "", "added"]
    assert found.loc[2, "x"] == 8500.0
    assert found.loc[4, ["z", "y", "x"]].tolist() == [1000.0, 2000.0, 3000.0]


def test_the_unit_of_a_points_layer_is_a_column(tmp_path: Path, image: Image) -> None:
    table = points_table(cells())
    level = image.levels[0]
    for axis, name in enumerate(("axis-0", "axis-1", "axis-2")):
        table[name] = (table[name] - level.translation[axis]) / level.voxel_size[axis]
    table["unit"] = "voxel"
    table.loc[1, "unit"] = ""
    unchanged = corrected(tmp_path, image, table.to_csv(index=False))
    pd.testing.assert_frame_equal(unchanged, cells().set_index("label"))
    for wrong in ("um", "voxel,nm"):
        table["unit"] = (wrong.split(",") * 2)[:2]
        with pytest.raises(InputError, match="the column 'unit' is nm or voxel"):
            corrected(tmp_path, image, table.to_csv(index=False))


def test_points_of_a_layer_made_in_the_viewer_are_voxels(tmp_path: Path, image: Image) -> None:
    text = "index,axis-0,axis-1,axis-2\n0,10.0,20.0,30.5\n"
    found = corrected(tmp_path, image, text)
    assert found.loc[4, ["z", "y", "x"]].tolist() == [2000.0, 3200.0, 4880.0]
    path = tmp_path / "corrections.csv"
    listed = read_centres(path, image)
    assert listed[["label", "z", "y", "x"]].to_numpy().tolist() == [[1, 2000.0, 3200.0, 4880.0]]


@pytest.mark.parametrize(
    ("text", "culprit"),
    [
        ("label,z,y,x\n2,4500,,8000", "row 1: give z, y and x, or a label alone"),
        ("label,z,y,x\n,,,", "holds no centre"),
        ("label,z,y,x\n7,,,", "no cell 7 to take out"),
        ("label,z,y,x\n1,,,\n2,,,\n3,,,", "takes out all cells"),
        ("label,z,y,x\n2,4500,9000,8000\n2,4900,9000,8000", "label 2 is used twice"),
        ("label,z,y,x\n2,4000,9000,8000\n2,,,", "label 2 is used twice"),
        ("label,z,y,x\n2.5,4000,9000,8000", "labels are whole numbers"),
        ("label,z,y,x\n2,4000,9000,far", "row 1: x is 'far'"),
        ("label,z,y,x\n2,4000,9000,8e9", "row 1: x = 8e\\+09 nm is outside"),
        ("index,axis-0,axis-1,axis-2\n0,4000,9000,8000", "positions are taken for voxels"),
        ("index,axis-0,axis-1\n0,1,2", "no column 'axis-2'"),
        ("index,axis-0,axis-1,axis-2,axis-3\n0,0,1,2,3", "more than three axes"),
        ("index,shape-type,vertex-index,axis-0,axis-1,axis-2\n0,ellipse,0,1,2,3", "shapes layer"),
        ("label,z,y,x,unit\n2,4.5,9,8,um", "the column 'unit' holds 'um'"),
        ("label,z,y,x,Units\n2,20,90,80,\n3,20,90,80,pixel", "the column 'units' holds 'pixel'"),
        ("label,z,z (µm),y,x\n2,45,4.5,9000,8000", "columns 'z' and 'z .µm.', of which either"),
    ],
)
def test_corrections_that_make_no_sense(
    tmp_path: Path, image: Image, text: str, culprit: str
) -> None:
    with pytest.raises(InputError, match=culprit) as caught:
        corrected(tmp_path, image, text)
    assert "\n" not in str(caught.value)


def test_one_corrected_centre_redoes_one_cell(
    scene: Path, here: Any, calls: dict[str, Any]
) -> None:
    run = scene.parent / "balls.run"
    first = hd_run(scene, client=here, progress=False)
    masks = first.labels["cells"].values.copy()
    done = list(calls["segment"])
    centre = nm(BALLS[1])
    cell = first.cells.assign(away=np.hypot(first.cells.y - centre[1], first.cells.x - centre[2]))
    label = int(cell.sort_values("away")["label"].iloc[0])

    def times() -> dict[str, int]:
        files = [*(run / "scratch").rglob("*"), *(run / "done").glob("segment-*")]
        return {str(path): path.stat().st_mtime_ns for path in files if path.is_file()}

    before, digits = times(), f"{label:05d}"
    table = pd.read_csv(run / "centres.csv").set_index("label")
    assert set(table.index) == set(first.cells["label"])
    table["axis-1"] += np.where(table.index == label, 900.0, 0.0)
    path = scene.parent / "corrections.csv"
    table.reset_index().to_csv(path, index=False)
    second = hd_run(scene, client=here, progress=False, corrections=path)
    assert calls["segment"][len(done) :] == [label]
    after = times()
    assert {name for name in before if after.get(name) != before[name]} == {
        name for name in before if digits in name
    }
    assert before.keys() == after.keys()
    assert second.cells["label"].tolist() == first.cells["label"].tolist()
    assert second.cells.set_index("label").loc[label, "flags"] == "moved"
    np.testing.assert_array_equal(second.labels["cells"].values, masks)  # it is the same ball
    again = hd_run(scene, client=here, progress=False, corrections=path)
    assert calls["segment"][len(done) :] == [label]
    assert again.cells["flags"].tolist() == second.cells["flags"].tolist()


def test_a_centre_in_the_resin_is_put_right(
    scene: Path, here: Any, calls: dict[str, Any], tmp_path: Path
) -> None:
    places = [nm(item) for item in BALLS]
    rows = [f"{k},{z},{y},{x}" for k, (z, y, x) in enumerate(places, start=1)]
    wrong, right = tmp_path / "wrong.csv", tmp_path / "right.csv"
    wrong.write_text("\n".join(["label,z,y,x", *rows[:2], "3,1000,12000,12500", rows[3]]))
    right.write_text("label,z,y,x\n" + rows[2])
    first = hd_run(scene, client=here, progress=False, centres=wrong)
    assert not (first.labels["cells"].values == 3).any()
    second = hd_run(scene, client=here, progress=False, centres=wrong, corrections=right)
    assert calls["segment"][4:] == [3]
    for label, item in enumerate(BALLS, start=1):
        np.testing.assert_array_equal(second.labels["cells"].values == label, ball(*item))


def test_a_cell_taken_out_leaves_the_labels_and_one_put_in_enters(
    scene: Path, here: Any, calls: dict[str, Any], tmp_path: Path
) -> None:
    first = hd_run(scene, client=here, progress=False)
    place = tuple(round(step) for step in BALLS[0][:3])
    label = int(first.labels["cells"].values[place])
    path = tmp_path / "corrections.csv"
    path.write_text(f"label,z,y,x\n{label},,,\n")
    second = hd_run(scene, client=here, progress=False, corrections=path)
    assert set(second.cells["label"]) == set(first.cells["label"]) - {label}
    values = second.labels["cells"].values
    assert not values[ball(*BALLS[0])].any()
    others = ~ball(*BALLS[0])
    np.testing.assert_array_equal(values[others], first.labels["cells"].values[others])
    z, y, x = nm(BALLS[0])
    path.write_text(f"label,z,y,x\n{label},,,\n,{z},{y},{x}\n")
    third = hd_run(scene, client=here, progress=False, corrections=path)
    new = max(first.cells["label"]) + 1
    assert (third.labels["cells"].values[ball(*BALLS[0])] == new).all()
    assert third.labels["cells"].values.shape == SHAPE
    assert [label, new] == [label, calls["segment"][-1]]


def test_centres_and_corrections_may_be_frames(image: Image, caplog: Any) -> None:
    frame = pd.DataFrame({"z": [2000.0, 4000.0], "y": [8000.0, 9000.0], "x": [9000.0, 8000.0]})
    found = read_centres(frame, image)
    assert found[["label", "z", "x"]].to_numpy().tolist() == [[1, 2000, 9000], [2, 4000, 8000]]
    moved = read_corrections(frame.assign(label=[2, np.nan]), image)
    assert moved["label"].isna().tolist() == [False, True]
    with pytest.raises(InputError, match="the table of centres, row 2: x is empty"):
        read_centres(frame.assign(x=[1.0, np.nan]), image)
    with pytest.raises(InputError, match=r"row 2: labels are whole numbers .* not 1\.5"):
        read_corrections(frame.assign(label=[1, 1.5]), image)
    read_centres(frame.assign(Cell=[4, 5]), image)
    assert "the column 'Cell' is not read: name it 'label'" in caplog.text


@pytest.mark.parametrize("text", ["z,y,x\n20,50,60\n30,60,45\n", "z,y,x\n2.0,9.0,8.0\n"])
def test_positions_that_may_be_voxels_are_warned_of(
    tmp_path: Path, image: Image, caplog: Any, text: str
) -> None:
    (tmp_path / "c.csv").write_text(text)
    read_centres(tmp_path / "c.csv", image)
    assert "may be voxels or µm" in caplog.text
    caplog.clear()
    (tmp_path / "c.csv").write_text("z,y,x,unit\n2000,9000,8000,nm\n1000,50,50,\n")
    read_centres(tmp_path / "c.csv", image)
    assert not caplog.text


def test_micrometres_named_by_the_column_are_converted(tmp_path: Path, image: Image) -> None:
    found = corrected(tmp_path, image, "label;z (µm);y (µm);x (µm)\n2;4,5;9,5;8,5\n")
    assert found.loc[2, ["z", "y", "x"]].tolist() == [4500.0, 9500.0, 8500.0]


def test_a_row_is_counted_below_the_names_with_blank_ones(tmp_path: Path, image: Image) -> None:
    with pytest.raises(InputError, match=r"corrections\.csv, row 3: x = 8e\+09 nm is outside"):
        corrected(tmp_path, image, "label,z,y,x\n1,4000,9000,8000\n,,,\n2,4000,9000,8e9\n")
