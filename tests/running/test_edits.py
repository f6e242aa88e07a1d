"""Edits of the cells of a run: what changes, and all that does not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import hela_dask as hd
from hela_dask._run import RunResult, run
from hela_dask.editing.edits import Edit, Edits, Merge
from hela_dask.errors import ResourceError
from hela_dask.planning.plan import plan
from hela_dask.report.page import render
from hela_dask.running.reading import read_folder
from hela_dask.storage.metadata import read_image
from hela_dask.storage.urls import StorePath
from hela_dask.tasks.markers import Markers
from hela_dask.verification.verify import verify
from tests.editing.making import Maker, files, labels_of, rows_of, stamps
from tests.scenes import VOXEL

# Cells 1 to 3 lie apart; 4 is cut by a side.


def go(store: StorePath, here: Any, **more: Any) -> RunResult:
    return run(store, client=here, progress=False, **more)


def edited(first: RunResult, here: Any, *edits: Edit, **more: Any) -> RunResult:
    path = Maker(first).write(first.path.parent / "given.json", *edits)
    return go(first.store, here, edits=path, **more)


def slabs_of(first: RunResult) -> int:
    return read_image(first.label_paths["cells"]).levels[0].file[0]


def check_only(first: RunResult, after: RunResult, old: Any, labels: set[int]) -> set[int]:
    """Only voxels of these labels have changed, and the files of those slabs only."""
    before, stamps = old
    deep, slabs = slabs_of(first), set[int]()
    for name, values in labels_of(after).items():
        changed = before[name] != values
        if name != "background":
            assert set(np.unique(before[name][changed])) <= labels | {0}
            assert set(np.unique(values[changed])) <= labels | {0}
        slabs |= {int(z) // deep for z in np.flatnonzero(changed.any(axis=(1, 2)))}
    now = files(*after.label_paths.values())
    for path in stamps.keys() | now.keys():
        z = int(path.parts[path.parts.index("c") + 1])
        if z not in slabs:
            assert stamps.get(path) == now.get(path), path
    pd.testing.assert_frame_equal(rows_of(first, *labels), rows_of(after, *labels))
    assert verify(after.store, progress=False).ok
    return slabs


def state(result: RunResult) -> Any:
    return labels_of(result), files(*result.label_paths.values())


def test_painted_pixels_are_exactly_as_painted(first: RunResult, here: Any) -> None:
    make, old = Maker(first), state(first)
    z = 20
    cell = make.paint(1, z, (60, 80), (60, 75))  # in the resin
    inner = make.paint(1, z, (75, 80), (65, 70), "nucleus")
    gone = make.paint(1, z, (61, 63), (60, 75), erase=True)
    back = make.paint(1, z, (77, 79), (66, 68), "nucleus", erase=True)
    after = edited(first, here, cell, inner, gone, back)
    now = labels_of(after)
    expected = {name: old[0][name].copy() for name in now}
    for edit, arrays in (
        (cell, {"cells": 1, "background": 0}),
        (inner, {"cells": 1, "nuclei": 1}),
        (gone, {"cells": 0}),
        (back, {"nuclei": 0}),
    ):
        for name, value in arrays.items():
            expected[name][z][edit.box[1:]][edit.mask] = value
    for name, values in expected.items():
        np.testing.assert_array_equal(now[name], values, err_msg=name)
    slabs = check_only(first, after, old, {1})
    assert slabs == {z // slabs_of(first)}
    row = after.cells.set_index("label").loc[1]
    grown = (expected["cells"] == 1).sum() * np.prod(VOXEL) * 1e-9
    assert row["cell_volume"] == pytest.approx(grown)
    assert row["flags"] == "edited" and row["edited_by"] == "A. Person"
    assert row["edited_on"] == back.on and after.cells["edited_by"].tolist()[1:] == ["", "", ""]


def test_painting_over_a_neighbour_takes_its_pixels_in_all_labels(
    first: RunResult, here: Any
) -> None:
    make, old = Maker(first), state(first)
    z, y, x = (int(np.argwhere(old[0]["nuclei"] == 2)[0][axis]) for axis in range(3))
    paint = make.paint(1, z, (y - 1, y + 6), (x - 3, x + 6))
    after = edited(first, here, paint)
    now = {name: values[z][paint.box[1:]][paint.mask] for name, values in labels_of(after).items()}
    assert (now["cells"] == 1).all() and not now["nuclei"].any() and not now["envelope"].any()
    check_only(first, after, old, {1, 2})


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_merged_cell_has_all_voxels(first: RunResult, here: Any, by_hand: bool) -> None:
    old = state(first)
    merge = Merge(cells=(3, 1), by="A. Person", on="") if by_hand else Maker(first).merge(3, 1)
    after = edited(first, here, merge)
    for name, values in labels_of(after).items():
        expected = old[0][name].copy()
        if name != "background":
            expected[expected == 1] = 3
        np.testing.assert_array_equal(values, expected)
    check_only(first, after, old, {1, 3})
    table = after.cells.set_index("label")
    assert table.loc[1, "status"] == "joined" and np.isnan(float(str(table.loc[1, "cell_volume"])))
    assert not table.loc[1, "touches_first_slice"] and not table.loc[1, "touches_last_slice"]
    reason = "merged into cell 3 by A. Person"
    assert str(table.loc[1, "reason"]).startswith(reason if by_hand else f"{reason} on 20")
    volumes = first.cells["cell_volume"].to_numpy(float)
    assert table.loc[3, "cell_volume"] == pytest.approx(volumes[0] + volumes[2])
    assert table["nucleus_pieces"].loc[[2, 3]].tolist() == [1, 2]
    several = [label for label, flags in table["flags"].items() if "two_nuclei" in str(flags)]
    assert several == [3]


def test_a_split_cell_has_a_part_around_each_point(first: RunResult, here: Any) -> None:
    make, old = Maker(first), state(first)
    points = [make.shifted(3, y=at) for at in (-1900.0, 0.0, 1900.0)]
    after = edited(first, here, make.split(3, 7, *points))
    now = labels_of(after)
    for name in ("cells", "nuclei", "envelope"):
        np.testing.assert_array_equal(np.isin(now[name], [3, 7, 8]), old[0][name] == 3)
    for label, point in zip((3, 7, 8), points, strict=True):
        assert now["cells"][make.grid.geometry.index(point)] == label
        inner = (now["nuclei"] == label) | (now["envelope"] == label)
        assert inner.any() and (now["cells"][inner] == label).all()
        y = np.nonzero(now["cells"] == label)[1].mean() * VOXEL[1]
        assert abs(y - point[1]) < 800
    check_only(first, after, old, {3, 7, 8})
    table = after.cells.set_index("label")
    assert table["status"].tolist() == ["segmented"] * 3 + ["cut_by_volume"] + ["segmented"] * 2
    assert table[["z", "y", "x"]].to_numpy(float)[4] == pytest.approx(points[1])
    volumes = table["cell_volume"].to_numpy(float)[[2, 4, 5]]
    assert volumes.sum() == pytest.approx(first.cells["cell_volume"].to_numpy(float)[2])
    assert np.isfinite(table.loc[[3, 7, 8], "cell_area"].to_numpy(float)).all()


def test_parts_can_be_split_merged_and_removed_again(first: RunResult, here: Any) -> None:
    make, old = Maker(first), state(first)
    one = make.split(3, 7, make.shifted(3, y=-1500.0), make.shifted(3, y=1500.0))
    make.centres[7] = one.points[1]
    two = make.split(7, 8, make.shifted(7, x=-1200.0), make.shifted(7, x=1200.0))
    make.centres[8] = two.points[1]
    after = edited(first, here, one, two, make.merge(8, 1), make.remove(3))
    now = labels_of(after)["cells"]
    left = (old[0]["cells"] == 3) & ~np.isin(now, [7, 8])
    assert (now[left] == 0).all() and left.sum() > 1000
    assert (now[old[0]["cells"] == 1] == 8).all()
    assert ((now == 7) & (old[0]["cells"] == 3)).sum() > 500
    assert ((now == 8) & (old[0]["cells"] == 3)).sum() > 500
    check_only(first, after, old, {1, 3, 7, 8})
    assert after.cells["label"].tolist() == [1, 2, 4, 7, 8]


def test_moved_added_and_removed_cells(first: RunResult, here: Any, calls: Any) -> None:
    make, old = Maker(first), state(first)
    calls["segment"].clear()
    to = make.shifted(1, y=900.0)
    after = edited(first, here, make.move(1, to), make.remove(2), make.add(9, make.centres[2]))
    assert sorted(calls["segment"]) == [1, 9]
    table = after.cells.set_index("label")
    assert table.index.tolist() == [1, 3, 4, 9]
    assert table[["z", "y", "x"]].to_numpy(float)[0] == pytest.approx(to)
    assert table.loc[1, "flags"] == "moved,edited" and table.loc[9, "flags"] == "added,edited"
    now = labels_of(after)["cells"]
    np.testing.assert_array_equal(now == 9, old[0]["cells"] == 2)
    check_only(first, after, old, {1, 2, 9})


def test_a_removed_cell_keeps_no_painted_pixel(first: RunResult, here: Any) -> None:
    make = Maker(first)
    paints = make.paint(2, 20, (60, 80), (66, 80)), make.paint(9, 20, (5, 9), (5, 9))
    new = make.add(9, make.centres[2])
    edits = (paints[0], make.remove(2), new, paints[1], replace(make.remove(1), cell=9))
    path = Maker(first).write(first.path / "edits.json", *edits[:-1])
    Edits.read(path).add(replace(edits[-1], centre=new.at)).write(path)
    after = go(first.store, here)
    assert not np.isin(labels_of(after)["cells"], [2, 9]).any()
    assert after.cells["label"].tolist() == [1, 3, 4]
    assert verify(after.store, progress=False).ok


def test_a_later_run_keeps_them_and_computes_nothing(
    first: RunResult, here: Any, caplog: pytest.LogCaptureFixture
) -> None:
    make = Maker(first, by="B")
    after = edited(first, here, make.split(3, 7, make.shifted(3, y=-999.0), make.shifted(3)))
    before = stamps(first.path.parent)
    with caplog.at_level("INFO", "hela_dask"):
        again = go(first.store, here)
    assert "1 edit by B" in caplog.text and "edits.json are applied" in caplog.text
    assert stamps(first.path.parent) == before and again.warnings == ()
    pd.testing.assert_frame_equal(again.cells, after.cells)
    known = plan(first.store, calibrate=False)
    assert {stage.name: (stage.tasks, stage.done) for stage in known.stages}["labels"] == (3, 3)
    assert {stage.name: stage.done for stage in known.stages}["measures"] == 6


def test_only_edited_cells_and_contacts_near_them_are_measured_again(
    first: RunResult, here: Any
) -> None:
    make = Maker(first)
    done = first.path / "done"
    before = {path: path.stat().st_mtime_ns for path in done.glob("measure-*")}
    edited(first, here, make.paint(1, 20, (60, 80), (66, 80)))  # outside the box of cell 2
    changed = [path.stem for path, time in before.items() if path.stat().st_mtime_ns != time]
    assert sorted(changed) == ["measure-00001", "measure-z00000"]


def test_provenance_names_each_edit(first: RunResult, here: Any) -> None:
    make = Maker(first)
    paint = make.paint(1, 20, (60, 80), (60, 75), note="membrane")
    after = edited(first, here, paint, make.merge(2, 3))
    facts = json.loads((after.path / "run.json").read_text())["edits"]
    assert facts[0] == {
        "kind": "paint", "cells": [1], "by": "A. Person", "on": paint.on, "note": "membrane",
    }  # fmt: skip
    assert facts[1]["cells"] == [2, 3]
    for name in ("cells", "nuclei", "envelope"):
        noted = read_image(after.label_paths[name]).attributes
        assert noted["edits"] == facts
    (after.path / "edits.json").unlink()
    go(first.store, here)
    assert read_image(after.label_paths["cells"]).attributes["edits"] == []


def test_without_the_file_the_labels_go_back_with_a_warning(first: RunResult, here: Any) -> None:
    old = state(first)
    after = edited(first, here, Maker(first).merge(3, 1))
    (after.path / "edits.json").unlink()
    back = go(first.store, here)
    assert len(back.warnings) == 1 and "1 edits, and" in back.warnings[0]
    assert "edits.json is gone" in back.warnings[0]
    for name, values in labels_of(back).items():
        np.testing.assert_array_equal(values, old[0][name])
    pd.testing.assert_frame_equal(rows_of(back), rows_of(first))
    assert "edited_by" not in back.cells


def test_other_edits_of_the_folder_are_kept_beside(first: RunResult, here: Any) -> None:
    make = Maker(first)
    edited(first, here, make.merge(3, 1))
    after = edited(first, here, make.paint(1, 20, (60, 80), (60, 75)))
    assert "held other edits: they are kept as edits.earlier.json" in after.warnings[0]
    assert Edits.read(after.path / "edits.earlier.json").edits[0].kind == "merge"
    assert Edits.read(after.path / "edits.json").edits[0].kind == "paint"
    assert after.cells["status"].tolist()[:3] == ["segmented"] * 3
    edited(first, here, make.merge(3, 1))
    assert (after.path / "edits.earlier-2.json").is_file()


def test_a_failed_cell_can_be_drawn(first: RunResult, here: Any, calls: Any) -> None:
    calls["broken"].add(2)
    (first.path / "done" / "segment-00002.json").unlink()
    make = Maker(first)
    failed = go(first.store, here)
    assert failed.cells["status"].tolist()[1] == "failed" and failed.exit_code == 3
    after = edited(failed, here, make.paint(2, 20, (40, 60), (40, 60)))
    assert after.cells["status"].tolist()[1] == "segmented" and after.exit_code == 0
    assert (labels_of(after)["cells"] == 2).sum() == 399


def test_a_failed_cell_that_gets_the_voxels_of_another_is_segmented(
    first: RunResult, here: Any, calls: Any
) -> None:
    calls["broken"].add(2)
    (first.path / "done" / "segment-00002.json").unlink()
    failed = go(first.store, here)
    after = edited(failed, here, Maker(first).merge(2, 1))
    assert after.cells["status"].tolist()[:2] == ["joined", "segmented"]
    assert (labels_of(after)["cells"] == 2).sum() > 1000


def test_detection_alone_has_the_edited_centres(first: RunResult, here: Any) -> None:
    make = Maker(first)
    path = make.write(first.path / "edits.json", make.move(1, make.shifted(1, y=900.0)))
    found = hd.detect(first.store, client=here, progress=False)
    assert found.set_index("label")["flags"].tolist() == ["moved", "", "", ""]
    after = go(first.store, here)
    assert after.cells["flags"].tolist() == ["moved,edited", "", "", ""]
    assert Edits.read(path).edits


def test_a_split_that_does_not_fit_a_worker_is_refused(
    first: RunResult, here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, old = Maker(first), state(first)
    monkeypatch.setattr("hela_dask.running.needs._SPLIT_VOXEL", 10**9)
    with pytest.raises(ResourceError, match=r"splitting a cell on 0\.1 million voxels takes about"):
        edited(first, here, make.split(3, 7, make.shifted(3, y=-999.0), make.shifted(3)))
    assert state(first)[1] == old[1]


def test_a_selection_names_a_part_by_its_label(first: RunResult, here: Any) -> None:
    make = Maker(first)
    edited(first, here, make.split(3, 7, make.shifted(3, y=-999.0), make.shifted(3)))
    before = stamps(first.path)
    again = go(first.store, here, cells=[7])
    assert (again.cells["label"] == 7).any()
    changed = {name for name, time in stamps(first.path).items() if before.get(name) != time}
    assert not [name for name in changed if "segment" in name or "assemble" in name]


def test_cells_that_were_one_are_split_into_their_own_nuclei(first: RunResult, here: Any) -> None:
    make, old = Maker(first), state(first)
    both = make.merge(2, 3)
    after = edited(first, here, both, make.split(2, 8, make.centres[2], make.centres[3]))
    for name, values in labels_of(after).items():
        expected = old[0][name].copy()
        if name != "background":
            expected[expected == 3] = 8
        np.testing.assert_array_equal(values, expected)


def test_without_the_coarse_files_nothing_is_written_again(first: RunResult, here: Any) -> None:
    make = Maker(first)
    after = edited(first, here, make.split(3, 7, make.shifted(3, y=-999.0), make.shifted(3)))
    _, before = state(after)
    shutil.rmtree(after.path / "coarse")
    again = go(first.store, here)
    assert state(again)[1] == before
    pd.testing.assert_frame_equal(rows_of(again), rows_of(after))
    assert (after.path / "coarse" / "split-0001").is_dir()


def test_the_report_lists_each_edit(first: RunResult, here: Any) -> None:
    make = Maker(first, by="<b>A</b>")
    after = edited(first, here, make.merge(3, 1))
    notes = [
        {"kind": "merge", "cells": [1, 3], "by": "<b>A</b>", "on": "2026-01-01", "note": "one"}
    ]
    folder = replace(read_folder(after.path), facts={**read_folder(after.path).facts})
    folder.facts["edits"] = [*notes, *folder.facts["edits"]]
    page = render(folder, [], [])
    assert "Edits by people: 2" in page and ">one</td>" in page and "1, 3" in page
    assert "<b>A</b>" not in page and "edited" in page
    folder.facts["edits"] = []
    assert "Edits by people" not in render(folder, [], [])


@pytest.mark.parametrize("stage", ["split", "assemble"])
def test_a_stopped_run_continues_to_the_same_bits(
    stage: str, first: RunResult, here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, finish, seen = Maker(first), Markers.finish, []
    edits: tuple[Edit, ...] = (
        make.split(3, 7, make.shifted(3, y=-999.0), make.shifted(3)),
        make.merge(2, 1),
    )

    def killed(self: Markers, name: str, *rest: Any, **more: Any) -> Any:
        seen.append(name)
        if name == stage and seen.count(stage) == (2 if stage == "assemble" else 1):
            raise RuntimeError("stopped here")
        return finish(self, name, *rest, **more)

    with monkeypatch.context() as stopped, pytest.raises(RuntimeError, match="stopped here"):
        stopped.setattr(Markers, "finish", killed)
        edited(first, here, *edits)
    again = go(first.store, here)
    through = go(
        first.store, here, out=first.path.with_name("b.run"), edits=again.path / "edits.json",
        labels=first.path.with_name("b.ome.zarr"),
    )  # fmt: skip
    for name, values in labels_of(again).items():
        np.testing.assert_array_equal(values, labels_of(through)[name])
    pd.testing.assert_frame_equal(rows_of(again), rows_of(through))
