"""Edits that cannot be applied: one sentence, and nothing of the run or its labels changes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hela_dask._run import RunResult, run
from hela_dask.cli import main
from hela_dask.editing.edits import Add, Edit, Edits, ImageGrid
from hela_dask.errors import InputError, MissingInputError
from tests.editing.making import Maker


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "lock" not in path.name
    }


def refused(first: RunResult, here: Any, given: Path, kind: type[Exception] = InputError) -> str:
    """The sentence; all files are as before."""
    before = content(first.path.parent)
    with pytest.raises(kind) as found:
        run(first.store, client=here, progress=False, edits=given)
    assert content(first.path.parent) == before
    text = str(found.value)
    assert "\n" not in text and str(given) in text
    return text


def given(first: RunResult, *edits: Edit) -> Path:
    return Maker(first).write(first.path.parent / "given.json", *edits)


def test_a_cell_that_is_no_more(first: RunResult, here: Any) -> None:
    make = Maker(first)
    make.centres[17] = make.centres[2]
    text = refused(first, here, given(first, make.merge(1, 3), make.paint(17, 3, (0, 5), (0, 5))))
    assert "edit 2 (paint, by A. Person) is of cell 17 at z, y, x = 4400, 7200, 7200 nm" in text
    assert text.endswith("and there is no cell 17")


def test_a_cell_without_a_centre_that_is_not_there(first: RunResult, here: Any) -> None:
    path = given(first, Maker(first).merge(1, 3))
    content = json.loads(path.read_text())
    content["edits"] = [{"kind": "merge", "cells": [1, 99]}]
    path.write_text(json.dumps(content))
    text = refused(first, here, path)
    assert text.endswith("edit 1 (merge, by unknown) is of cell 99, and there is no cell 99")


def test_another_cell_at_its_place(first: RunResult, here: Any) -> None:
    make = Maker(first)
    make.centres[3] = make.shifted(2, y=200.0)
    text = refused(first, here, given(first, make.merge(3, 1)))
    assert "edit 1 (merge, by A. Person) is of cell 3 at" in text
    assert text.endswith("where cell 2 is now")


def test_a_label_that_a_cell_has(first: RunResult, here: Any) -> None:
    make = Maker(first)
    split = make.split(2, 4, make.shifted(2, y=-900.0), make.shifted(2, y=900.0))
    assert "label 4 is already used by a cell of the table" in refused(
        first, here, given(first, split)
    )
    text = refused(first, here, given(first, Add(cell=1, at=make.centres[1], by="B")))
    assert "edit 1 (add, by B): label 1 is already used" in text


@pytest.mark.parametrize("y", [-3600.0, 3600.0])
def test_a_point_outside_the_cell(first: RunResult, here: Any, y: float) -> None:
    make = Maker(first)
    path = given(first, make.split(2, 7, make.shifted(2), make.shifted(2, y=y)))
    labels = content(Path(str(first.store)))
    table = (first.path / "cells.parquet").read_bytes()
    with pytest.raises(InputError) as found:
        run(first.store, client=here, progress=False, edits=path)
    text = str(found.value)
    assert f"{path}: edit 1 (split, by A. Person): its point 2 at z, y, x = 4400, " in text
    assert "does not lie in cell 2" in text and "\n" not in text
    assert content(Path(str(first.store))) == labels
    assert (first.path / "cells.parquet").read_bytes() == table
    make.write(path, make.split(2, 7, make.shifted(2), make.shifted(2, y=1800.0)))
    result = run(first.store, client=here, progress=False, edits=path)
    assert (result.cells["label"] == 7).any()


def test_a_split_of_a_cell_that_was_only_painted(first: RunResult, here: Any) -> None:
    labels = content(Path(str(first.store)))
    make = Maker(first)
    at = make.shifted(2)
    z = make.grid.geometry.index(at)[0]
    path = given(
        first,
        make.paint(2, z, (10, 20), (10, 20)),
        make.split(2, 7, make.shifted(2), make.shifted(2, y=1800.0)),
    )
    for name in content(first.path):
        if name.startswith("done/segment-00002"):
            (first.path / name).unlink()
    with pytest.raises(InputError, match=r"edit 2 \(split, by A\. Person\): cell 2 was only"):
        run(first.store, client=here, progress=False, cells=[1], edits=path)
    assert content(Path(str(first.store))) == labels


def test_points_in_one_voxel_of_the_split(first: RunResult, here: Any) -> None:
    make = Maker(first)
    same = make.split(2, 7, make.shifted(2), make.shifted(2, y=160.0))
    path = given(first, same)
    content_ = json.loads(path.read_text())
    content_["edits"][0]["points"][1] = content_["edits"][0]["points"][0]
    path.write_text(json.dumps(content_))
    assert "two of its points lie in the same voxel" in refused(first, here, path)


def test_another_image(first: RunResult, here: Any) -> None:
    grid = Maker(first).grid
    for other in (replace(grid, shape=(40, 160, 161)), replace(grid, translation=(0.0, 0.0, 80.0))):
        path = first.path.parent / "given.json"
        Edits(other).add(Add(cell=9, at=(10.0, 10.0, 100.0), by="A")).write(path)
        text = refused(first, here, path)
        assert "has edits of another image: of 40 x 160 x" in text


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"version": 7}, "has version 7 of its format"),
        ({"edits": [{"kind": "erode"}]}, "edit 1 is of the kind 'erode'"),
    ],
)
def test_a_file_of_another_version(
    changes: dict[str, Any], text: str, first: RunResult, here: Any
) -> None:
    path = given(first)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    assert text in refused(first, here, path)


def test_a_broken_file_and_none(first: RunResult, here: Any) -> None:
    path = given(first, Maker(first).merge(1, 3))
    path.write_text(path.read_text()[:-9])
    assert "is not valid JSON" in refused(first, here, path)
    path.unlink()
    assert "there is no file" in refused(first, here, path, MissingInputError)


def test_a_broken_file_in_the_run_folder_stops_the_run(first: RunResult, here: Any) -> None:
    broken = first.path / "edits.json"
    broken.write_text("{")
    before = content(first.path.parent)
    with pytest.raises(InputError, match=r"balls\.run/edits\.json is not valid JSON"):
        run(first.store, client=here, progress=False)
    assert content(first.path.parent) == before


def test_painting_outside_the_volume_and_nothing(first: RunResult, here: Any) -> None:
    make = Maker(first)
    path = given(first, make.paint(1, 3, (0, 5), (0, 5)))
    for changes, text in (
        ({"slice": 40}, "slice 40 is outside the volume, which has 40 slices"),
        ({"low": [0, 156]}, "pixels 156 to 161 along x are outside the volume, which has 160"),
        ({"runs": [25]}, "the painted mask is empty"),
    ):
        found = json.loads(path.read_text())
        found["edits"][0].update(changes)
        other = path.with_name("other.json")
        other.write_text(json.dumps(found))
        assert text in refused(first, here, other)


def test_the_command_line_ends_with_the_sentence(
    first: RunResult, capsys: pytest.CaptureFixture[str]
) -> None:
    path = first.path.parent / "given.json"
    Edits(ImageGrid((1, 2, 3), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))).write(path)
    for command in ("run", "plan"):
        assert main([command, str(first.store), "--edits", str(path)]) == 1
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith(f"Error: {path} has edits of another image: of 1 x 2 x 3 voxels")
