"""The file of edits: written and read as it was, and refused with one sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hela_dask.editing.edits import (
    KINDS,
    Add,
    Edit,
    Edits,
    ImageGrid,
    Merge,
    Move,
    Paint,
    Remove,
    Split,
)
from hela_dask.errors import InputError, MissingInputError

GRID = ImageGrid((10, 40, 50), (50.0, 10.0, 10.0), (25.0, 5.0, 5.0))
AT, TO = (125.0, 205.0, 205.0), (175.0, 235.0, 205.0)
MASK = np.zeros((6, 7), bool)
MASK[1:4, 2:5] = [[0, 1, 0], [1, 1, 1], [1, 0, 1]]
PAINT = Paint.of(
    MASK, (10, 20), cell=3, centre=AT, compartment="cell", slice=4, by="B", note="membrane"
)
SIGNED: dict[str, Any] = {"by": "A. Person", "on": "2026-11-28T03:04:05+00:00"}
ONE_OF_EACH: tuple[Edit, ...] = (
    Move(cell=3, centre=AT, to=TO, **SIGNED),
    Add(at=AT, cell=9, **SIGNED),
    Remove(cell=8, centre=AT, **SIGNED),
    Merge(cells=(3, 4), centres=(AT, TO), **SIGNED),
    Split(cell=5, centre=AT, points=(AT, TO), cells=(5, 10), **SIGNED),
    PAINT,
    replace(PAINT, erase=True, compartment="nucleus"),
)


def all_edits() -> Edits:
    edits = Edits(GRID)
    for edit in ONE_OF_EACH:
        edits = edits.add(edit)
    return edits


def test_each_kind_is_read_as_it_was_written(tmp_path: Path) -> None:
    edits = all_edits()
    edits.write(tmp_path / "edits.json")
    assert Edits.read(tmp_path / "edits.json") == edits
    content = json.loads((tmp_path / "edits.json").read_text())
    assert [item["kind"] for item in content["edits"]] == list(KINDS)
    assert content["version"] == 1 and content["image"]["shape"] == [10, 40, 50]
    assert content["edits"][4]["cells"] == [5, 10] and "erase" not in content["edits"][6]
    lines = (tmp_path / "edits.json").read_text().splitlines()
    assert len(lines) == 2 + len(edits.edits)


def test_no_edit_is_a_file_too(tmp_path: Path) -> None:
    Edits(GRID).write(tmp_path / "edits.json")
    assert Edits.read(tmp_path / "edits.json") == Edits(GRID)


def test_labels_authors_and_undo() -> None:
    edits = all_edits()
    assert edits.labels == {3, 4, 5, 8, 9, 10} and edits.new_labels == {9, 10}
    assert edits.authors == ["A. Person", "B"] and str(edits) == "7 edits by A. Person and B"
    assert edits.without_last().edits == ONE_OF_EACH[:-1]
    assert Edits(GRID).without_last() == Edits(GRID)
    assert edits.fingerprint != edits.without_last().fingerprint
    renamed = replace(edits, edits=(*edits.edits[:-1], replace(edits.edits[-1], by="C")))
    assert renamed.fingerprint != edits.fingerprint
    assert renamed.edits[-1].content == edits.edits[-1].content


def test_a_mask_is_cut_to_its_pixels() -> None:
    assert PAINT.low == (11, 22) and PAINT.shape == (3, 3)
    assert PAINT.runs == (1, 1, 1, 4, 1, 1)
    np.testing.assert_array_equal(PAINT.mask, MASK[1:4, 2:5])
    assert PAINT.box.pairs == [[4, 5], [11, 14], [22, 25]]
    full = Paint.of(np.ones((2, 3), bool), (0, 0), cell=1, centre=AT, **_paint())
    assert full.runs == (0, 6) and full.mask.all()


@pytest.mark.parametrize("seed", range(20))
def test_any_mask_comes_back(seed: int) -> None:
    random = np.random.default_rng(seed)
    mask = random.random((9, 11)) < random.random() + 0.02
    mask[random.integers(9), random.integers(11)] = True
    paint = Paint.of(mask, (3, 4), cell=1, centre=AT, **_paint())
    found = np.zeros((20, 20), bool)
    found[paint.box[1:]] = paint.mask
    expected = np.zeros((20, 20), bool)
    expected[3:12, 4:15] = mask
    np.testing.assert_array_equal(found, expected)


def _paint() -> dict[str, Any]:
    return {"compartment": "cell", "slice": 0, "by": "A"}


def test_an_empty_mask_is_refused() -> None:
    with pytest.raises(InputError, match="empty"):
        Paint.of(np.zeros((4, 4), bool), (0, 0), cell=1, centre=AT, **_paint())


def test_numpy_numbers_of_a_viewer_become_plain(tmp_path: Path) -> None:
    place: Any = tuple(np.array(AT))
    edits = Edits(GRID).add(Move(cell=int(np.int64(3)), centre=place, to=place, by="A"))
    edits.write(tmp_path / "edits.json")
    assert Edits.read(tmp_path / "edits.json") == edits
    moved = edits.edits[0]
    assert isinstance(moved, Move) and type(moved.to[0]) is float


BAD: list[tuple[int, dict[str, Any], str]] = [
    (0, {"kind": "grow"}, "edit 1 is of the kind 'grow', which is none of move, add"),
    (0, {"to": [1.0, 2.0]}, r"edit 1 \(move, by A. Person\): to"),
    (0, {"to": [100.0, 200.0, 9000.0]}, "x = 9000 nm, outside the volume, which spans 0 to 500"),
    (0, {"cell": 0}, "cell must be at least 1"),
    (0, {"cell": 70000}, "cell must be at most 65535"),
    (0, {"extra": 1}, "unknown key extra"),
    (0, {"by": ""}, "by must be a text of at least 1"),
    (0, {"on": "yesterday"}, "on must be a date"),
    (1, {"cell": 3}, r"edit 2 \(add, by A. Person\): label 3 is already used by edit 1"),
    (3, {"cells": [3, 3]}, "cell 3 cannot be merged with itself"),
    (3, {"cells": [3]}, "cells must be of at least 2 items"),
    (3, {"cells": [3, 4, 6]}, "3 cells and 2 centres"),
    (3, {"cells": [3, 8]}, r"edit 4 \(merge, by A. Person\) is of cell 8, which edit 3 removed"),
    (4, {"cell": 4, "cells": [4, 10]}, "is of cell 4, which edit 4 merged into cell 3"),
    (4, {"points": [list(AT), list(AT)]}, "two of its points lie in the same voxel"),
    (4, {"cells": [5, 5]}, "its labels must be that of the cell, 5, and new ones, not 5, 5"),
    (4, {"cells": [10, 5]}, "its labels must be"),
    (4, {"cells": [5, 9]}, "label 9 is already used by edit 2"),
    (4, {"cells": [5, 10, 11]}, "2 points and 3 labels"),
    (5, {"slice": 10}, "slice 10 is outside the volume, which has 10 slices"),
    (5, {"low": [39, 22]}, "pixels 39 to 42 along y are outside the volume, which has 40"),
    (5, {"runs": [9]}, "the painted mask is empty"),
    (5, {"runs": [1, 2]}, "runs are of 3 pixels, and its shape is of 9"),
    (5, {"runs": [-1, 10]}, r"runs\[0\] must be at least 0"),
    (5, {"compartment": "membrane"}, "compartment must be 'cell' or 'nucleus'"),
]


@pytest.mark.parametrize(("number", "changes", "text"), BAD, ids=[text for *_, text in BAD])
def test_a_bad_edit_is_named_with_its_file(
    number: int, changes: dict[str, Any], text: str, tmp_path: Path
) -> None:
    path = tmp_path / "edits.json"
    all_edits().write(path)
    content = json.loads(path.read_text())
    content["edits"][number].update(changes)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=text) as found:
        Edits.read(path)
    assert str(path) in str(found.value) and "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"format": "csv"}, "is no file of edits: its format is 'csv'"),
        ({"version": 2}, "has version 2 of its format, and this hela_dask reads version 1"),
        ({"image": {}}, "image.shape is missing"),
        ({"edits": 3}, "edits must be a list"),
        ({"edits": [3]}, "edit 1 is of the kind"),
    ],
)
def test_another_file_is_refused(changes: dict[str, Any], text: str, tmp_path: Path) -> None:
    path = tmp_path / "edits.json"
    all_edits().write(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(InputError, match=text):
        Edits.read(path)


@pytest.mark.parametrize("content", [[{"kind": "remove", "cell": 1}], {"edits": []}, 3])
def test_a_file_without_a_head_is_explained(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "edits.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"must be a table with format \('hela-dask edits'\)"):
        Edits.read(path)


def test_broken_json_and_no_file(tmp_path: Path) -> None:
    path = tmp_path / "edits.json"
    all_edits().write(path)
    path.write_text(path.read_text()[:-20])
    with pytest.raises(InputError, match=r"edits\.json is not valid JSON"):
        Edits.read(path)
    with pytest.raises(MissingInputError, match="there is no file"):
        Edits.read(tmp_path / "none.json")


def test_an_edit_written_by_hand_may_be_short(tmp_path: Path) -> None:
    path = tmp_path / "edits.json"
    Edits(GRID).write(path)
    content = json.loads(path.read_text())
    short = [{"kind": "merge", "cells": [4, 5]}, {"kind": "remove", "cell": 7}]
    path.write_text(json.dumps({**content, "edits": short}))
    found = Edits.read(path)
    merge, remove = found.edits
    assert merge.changed == (4, 5) and merge.centred == ((4, None), (5, None))
    assert remove.centred == ((7, None),) and merge.by == "unknown" and merge.on == ""
    found.write(path)
    assert Edits.read(path) == found
    assert "centre" not in json.loads(path.read_text())["edits"][1]


def test_the_image_is_checked_before_the_edits(tmp_path: Path) -> None:
    path = tmp_path / "edits.json"
    all_edits().write(path)
    content = json.loads(path.read_text())
    content["edits"][0]["to"] = [1e9, 0, 0]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="outside the volume"):
        Edits.read(path, GRID)
    turned = replace(GRID, shape=GRID.shape[::-1])
    with pytest.raises(InputError, match=r"another image: of 10 x 40 x \d+ voxels .* swapped"):
        Edits.read(path, turned)


def test_an_edit_that_cannot_follow_is_not_added() -> None:
    edits = all_edits()
    with pytest.raises(InputError, match=r"the new edit.*cell 8, which edit 3 removed"):
        edits.add(replace(PAINT, cell=8))
    with pytest.raises(InputError, match=r"cell 10 was made by edit 5 \(split\) and has no centre"):
        edits.add(Move(cell=10, centre=AT, to=TO, by="A"))
    assert len(edits.edits) == 7


def test_another_grid_is_refused() -> None:
    near = replace(GRID, translation=(25.0, 5.0, 5.0 + 1e-7))
    all_edits().check_grid(near, "edits.json")
    for other in (replace(GRID, shape=(10, 40, 51)), replace(GRID, voxel_size=(50.0, 10.0, 11.0))):
        with pytest.raises(InputError, match=r"edits\.json has edits of another image: of 10 x 40"):
            all_edits().check_grid(other, "edits.json")
