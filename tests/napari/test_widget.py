"""The widget in a napari session: what each button does to layers, files and other buttons."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import hela_dask as hd
from hela_dask.editing.edits import Edits
from tests.napari.screen import NEEDS_SCREEN, open_review, wait_for
from tests.scenes import BALLS, VOXEL, copy_run, without_pages

pytestmark = NEEDS_SCREEN


@pytest.fixture
def result(known: hd.RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> hd.RunResult:
    without_pages(monkeypatch)
    return copy_run(known, tmp_path / "data")


@pytest.fixture
def review(result: hd.RunResult) -> Iterator[Any]:
    """The widget, of a run that is open."""
    viewer, review = open_review(result)
    yield review
    viewer.close()


def place(ball: int, dz: float = 0, dy: float = 0, dx: float = 0) -> tuple[float, float, float]:
    z, y, x, _ = BALLS[ball]
    return (z + dz) * VOXEL[0], (y + dy) * VOXEL[1], (x + dx) * VOXEL[2]


def kinds(review: Any) -> list[str]:
    """The kinds of the edits in the file."""
    path = review.session.path
    return [edit.kind for edit in Edits.read(path).edits] if path.exists() else []


def click(review: Any, at: tuple[float, float, float], *, drag: bool = False) -> None:
    """Click into the picture, as napari reports it."""
    event = SimpleNamespace(type="mouse_press", position=at)
    steps = review._on_mouse(review.viewer, event)
    next(steps)
    if drag:
        event.type = "mouse_move"
        next(steps)
    event.type = "mouse_release"
    with pytest.raises(StopIteration):
        next(steps)


def test_the_table_shows_the_cells_and_a_click_goes_there(review: Any) -> None:
    camera_of: Any = importlib.import_module("hela_dask.napari.layers").camera_of
    table, layers = review.panel.table, review.layers
    shown = [table.item(row, 0).text() for row in range(table.rowCount())]
    assert shown == [str(row.label) for row in review.session.rows()]
    names = [layer.name for layer in review.viewer.layers]
    assert names[:5] == ["image", "cells", "nuclei", "envelope", "background"]
    assert {"centres", "selected cell"} <= set(names)
    assert not review.panel.remove.isEnabled() and review.panel.add.isEnabled()
    table.selectRow(2)
    label = int(shown[2])
    row = review.rows[label]
    assert review.cell == label
    first, last = row.spans[0] if row.spans else (0, 0)
    centre = review.session.slice_of(review.session.centre(label))
    assert layers.slice == ((first + last) // 2 - 1 if row.spans else centre)
    assert review.panel.cell.text().startswith(f"Cell {label} ·")
    window = review.session.window(label)
    y, x = ((side.start + side.stop - 1) / 2 * VOXEL[1] for side in window)
    assert tuple(camera_of(review.viewer).center)[1:] == pytest.approx((y, x))
    review.panel.centre.click()
    assert layers.slice == centre
    colors = layers.layer("selected cell").colormap.color_dict
    assert tuple(colors[label]) == (1, 1, 0, 1) and colors[None][3] == 0


def test_the_buttons_step_through_doubtful_slices(review: Any) -> None:
    import dataclasses

    review.show_cell(1)
    review.rows[1] = dataclasses.replace(review.rows[1], doubtful="3-5, 20, 31-33")
    review.layers.go_to(1, 9)
    review._refresh()
    review.panel.after.click()
    assert review.layers.slice == 19
    assert "slice 20 is shown, a doubtful one" in review.panel.cell.text()
    review.panel.after.click()
    assert review.layers.slice == 31 and not review.panel.after.isEnabled()
    review.panel.before.click()
    review.panel.before.click()
    assert review.layers.slice == 3 and not review.panel.before.isEnabled()


def test_decisions_and_notes(review: Any) -> None:
    review.show_cell(2)
    review.panel.note.setText("blurred")
    review.panel.reject.click()
    table = pd.read_csv(review.session.result.path / "review.csv", keep_default_na=False)
    assert table[["label", "decision", "note", "by"]].to_numpy().tolist() == [
        [2, "rejected", "blurred", "A. Person"]
    ]
    assert review.panel.reject.isChecked() and not review.panel.clear.isChecked()
    assert "1 of 4 cells reviewed" in review.panel.title.text()
    review.panel.clear.click()
    assert "0 of 4 cells reviewed" in review.panel.title.text()
    review.panel.name.setText("")
    assert not review.panel.accept.isEnabled() and not review.panel.remove.isEnabled()


def test_a_click_in_the_picture_selects_moves_adds_and_merges(review: Any) -> None:
    session = review.session
    first, second = (session.label_at(place(ball)) for ball in (0, 1))
    click(review, place(0))
    assert review.cell == first == review.panel.selected()[0]
    click(review, place(1), drag=True)
    assert review.cell == first  # the picture was moved
    click(review, (0.0, 0.0, 0.0))
    assert review.cell == first
    review.panel.move.click()
    assert not review.panel.task.isHidden() and not review.panel.move.isEnabled()
    click(review, place(0, dz=1, dx=3))
    assert review.panel.task.isHidden()
    review.panel.add.click()
    click(review, place(0))
    assert "Split it by points" in review.panel.status.text() or "split it" in (
        review.panel.status.text()
    )
    assert review.task == "add"  # refused: the next click may be right
    click(review, (100.0, 100.0, 100.0))
    review.panel.merge.click()
    click(review, place(1))
    assert kinds(review) == ["move", "add", "merge"]
    merge = Edits.read(session.path).edits[2]
    assert getattr(merge, "cells", None) == (first, second)
    assert review.panel.edits.count() == 3
    assert "not applied" in review.panel.edits.item(2).text()
    review.select(second)
    assert not review.panel.remove.isEnabled()  # it is a part of another one
    review.panel.undo.click()
    assert kinds(review) == ["move", "add"] and review.panel.remove.isEnabled()


def test_two_rows_are_merged_without_a_click(review: Any) -> None:
    review.show_cell(3)
    review.panel.select([3, 1])
    review._refresh_buttons()
    assert "+" in review.panel.merge.text()
    review.panel.merge.click()
    assert getattr(review.session.edits.edits[0], "cells", None) == (3, 1)


def test_a_slice_is_painted_and_kept(review: Any) -> None:
    layers, session = review.layers, review.session
    label = session.label_at(place(0))
    review.select(label)
    layers.go_to(label)
    review.panel.paint.click()
    layer = layers.patch_layer
    assert layer.mode == "paint" and layer.selected_label == label
    assert not layers.layer("cells").visible
    geometry = session.geometry
    np.testing.assert_allclose(layer.scale, geometry.voxel_size)
    before = layers.painted()
    at = layer.world_to_data(place(0))
    assert before[round(at[1]), round(at[2])] == label
    review.panel.keep.click()
    assert "Nothing was painted" in review.panel.status.text() and review.task == "paint"
    layer.paint((0, 0, 0), label)
    painted = int((layers.painted() != before).sum())
    assert painted > 0
    review.panel.keep.click()
    (edit,) = Edits.read(session.path).edits
    assert edit.kind == "paint" and sum(getattr(edit, "runs", ())[1::2]) == painted
    assert layers.layer("cells").visible and layers.patch_layer is None
    assert all(item.name != layer.name for item in review.viewer.layers)
    pending = layers.layer("edits, not applied")
    assert int((np.asarray(pending.data) == label).sum()) == painted
    layers.go_to(label, layers.slice + 1)
    assert layers.layer("edits, not applied") is None
    review.panel.undo.click()
    assert kinds(review) == []


def test_painting_is_not_lost(review: Any) -> None:
    layers, label = review.layers, review.session.label_at(place(0))
    review.select(label)
    layers.go_to(label)
    review.begin_paint()
    layers.patch_layer.paint((0, 0, 0), label)
    review.viewer.layers.remove(layers.patch_layer.name)  # with the bin of the layer list
    assert kinds(review) == ["paint"] and not review.task
    review.begin_paint()
    layers.patch_layer.paint((0, 40, 0), label)
    path = review.session.path
    review.viewer.close()
    assert len(Edits.read(path).edits) == 2


def test_discarding_leaves_everything(review: Any) -> None:
    label = review.session.label_at(place(0))
    review.select(label)
    review.layers.go_to(label)
    names = [layer.name for layer in review.viewer.layers]
    review.begin_paint()
    review.layers.patch_layer.paint((0, 0, 0), label)
    review.panel.discard.click()
    review.begin_split()
    review.panel.discard.click()
    assert [layer.name for layer in review.viewer.layers] == names
    assert kinds(review) == [] and not review.task


def test_a_cell_is_split_by_points(review: Any) -> None:
    session = review.session
    label = session.label_at(place(0))
    review.select(label)
    review.panel.split.click()
    points = review.layers.layer("points of the parts")
    assert points.mode == "add"
    points.add(np.array(points.world_to_data(place(0, dy=-6))))
    review.panel.keep.click()
    assert "two at least" in review.panel.status.text() and review.task == "split"
    points.add(np.array(points.world_to_data(place(0, dy=6))))
    review.panel.keep.click()
    (edit,) = Edits.read(session.path).edits
    assert edit.kind == "split"
    np.testing.assert_allclose(getattr(edit, "points", ()), [place(0, dy=-6), place(0, dy=6)])


def test_centres_are_dragged_added_and_deleted_in_their_layer(review: Any) -> None:
    layers, session = review.layers, review.session
    labels = [int(label) for label in layers.layer("centres").features["label"]]
    layer = layers.layer("centres")
    assert not layer.face_color[:, 3].any() and layer.border_color[:, 3].all()  # rings
    places = np.array(layer.data)
    places[0] = layer.world_to_data(place(0, dx=2))
    layer.data = places
    wait_for(lambda: kinds(review) == ["move"])
    layer = layers.layer("centres")
    layer.add(np.array(layer.world_to_data((100.0, 100.0, 100.0))))
    wait_for(lambda: kinds(review) == ["move", "add"])
    layer = layers.layer("centres")
    layer.selected_data = {1}
    layer.remove_selected()
    wait_for(lambda: kinds(review) == ["move", "add", "remove"])
    edits = Edits.read(session.path).edits
    assert getattr(edits[0], "cell", 0) == labels[0]
    assert getattr(edits[2], "cell", 0) == labels[1]
    assert len(layers.layer("centres").data) == len(labels)
    layer = layers.layer("centres")
    layer.add(np.array(layer.world_to_data(place(2))))  # in a cell: refused
    wait_for(lambda: "plit it by points" in review.panel.status.text())
    assert len(layers.layer("centres").data) == len(labels)


def test_the_plugin_is_found_by_napari(result: hd.RunResult) -> None:
    npe2: Any = importlib.import_module("npe2")
    manifest = npe2.PluginManifest.from_file(Path(hd.__file__).parent / "napari" / "napari.yaml")
    manifest.validate_imports()
    (widget,) = manifest.contributions.widgets
    assert widget.display_name == "Review cells"
    napari: Any = importlib.import_module("napari")
    reader: Any = importlib.import_module("hela_dask.napari.reader")
    module: Any = importlib.import_module("hela_dask.napari.widget")
    viewer = napari.Viewer(show=False)
    try:
        empty = module.ReviewWidget(viewer)
        assert empty.session is None and not empty.panel.work.isEnabled()
        for data, options, kind in reader.get_reader(str(result.path))(str(result.path)):
            viewer.add_layer(napari.layers.Layer.create(data, options, kind))
        filled = module.ReviewWidget(viewer)
        assert filled.session.result.path == result.path
        assert [layer.name for layer in viewer.layers].count("cells") == 1
        empty.open_run(result.path.parent)
        assert "is not a run folder" in empty.panel.status.text()
    finally:
        viewer.close()
