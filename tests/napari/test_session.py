"""The review without napari: rows, patches, edits with undo, refusals, and the command."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import hela_dask as hd
from hela_dask.editing.edits import Edits, Paint
from hela_dask.errors import InputError
from hela_dask.napari.command import command_text, kept_options, run_command
from hela_dask.napari.patches import differences
from hela_dask.napari.rows import review_rows, slice_spans
from hela_dask.napari.session import ReviewSession
from hela_dask.napari.texts import cell_text, cells_text, edit_text
from tests.scenes import BALLS, VOXEL, copy_run, stand_in, without_pages


@pytest.fixture
def result(known: hd.RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> hd.RunResult:
    """A copy of it, with a space in its path."""
    without_pages(monkeypatch)
    return copy_run(known, tmp_path / "my data")


@pytest.fixture
def session(result: hd.RunResult) -> ReviewSession:
    return ReviewSession(result, by="A. Person")


def place(ball: int, dz: float = 0, dy: float = 0, dx: float = 0) -> tuple[float, float, float]:
    """The middle of a ball, or a place so many voxels from it, nm."""
    z, y, x, _ = BALLS[ball]
    return (z + dz) * VOXEL[0], (y + dy) * VOXEL[1], (x + dx) * VOXEL[2]


def saved(session: ReviewSession) -> Edits:
    """The edits as the file has them."""
    return Edits.read(session.result.path / "edits.json")


def test_the_rows_begin_with_the_least_trustworthy_cell(session: ReviewSession) -> None:
    labels = [1, 2, 3, 4, 5, 6]
    cells = pd.DataFrame(
        {
            "label": labels,
            "confidence": [0.9, np.nan, 0.2, 0.5, 0.1, 0.0],
            "flags": ["", "no_nucleus", "edited,ceded", "", "", ""],
            "doubtful_slices": ["", "", "slices 3-7, 20", "", "", ""],
            "status": [
                *("segmented", "failed", "segmented", "cut_by_volume"),
                *("joined", "chain_too_short"),
            ],
            "reason": ["", "no luck", "", "", "", ""],
        }
    )
    review = pd.DataFrame({"label": [4], "decision": ["rejected"], "note": ["two cells"]})
    session.merge([1, 2])
    rows = review_rows(cells, review, session.edits)
    assert [row.label for row in rows] == [3, 4, 1, 2]
    assert rows[0].spans == [(3, 7), (20, 20)] and rows[0].flags == "edited, ceded"
    assert (rows[1].decision, rows[1].note) == ("rejected", "two cells")
    assert [row.edits for row in rows] == [0, 0, 1, 1]
    assert "no luck" in cell_text(rows[3], 4)
    assert "slice 5 is shown, a doubtful one" in cell_text(rows[0], 4)
    assert "doubtful" not in cell_text(rows[0], 8)
    assert slice_spans("") == [] and slice_spans("12") == [(12, 12)]


def test_decisions_are_in_the_file_at_once(session: ReviewSession) -> None:
    session.decide(2, "accepted", "good")
    table = pd.read_csv(session.result.path / "review.csv")
    assert table[["label", "decision", "note", "by"]].to_numpy().tolist() == [
        [2, "accepted", "good", "A. Person"]
    ]
    row = next(row for row in session.rows() if row.label == 2)
    assert (row.decision, row.note) == ("accepted", "good")


def test_the_cell_at_a_place(session: ReviewSession) -> None:
    labels = [session.label_at(place(ball)) for ball in range(4)]
    assert sorted(labels) == [row["label"] for row in session.result.cells.to_dict("records")]
    assert session.label_at((0.0, 0.0, 0.0)) == 0
    assert session.label_at((-1e6, 0.0, 0.0)) == 0  # outside of the volume


def test_a_painted_slice_becomes_edits_of_exactly_its_pixels(session: ReviewSession) -> None:
    label = session.label_at(place(0))
    patch = session.patch(label, BALLS[0][0], "cell")
    before = patch.labels
    after = before.copy()
    rows, columns = np.nonzero(before == label)
    top, left = int(rows[0]), int(columns[0])
    assert before[top - 1, left] == 0
    after[top - 1, left : left + 3] = label
    after[int(rows[-1]), int(columns[-1])] = 0
    assert session.keep(patch, after) == 2
    edits = saved(session).edits
    assert [edit.kind for edit in edits] == ["erase", "paint"]
    paint = edits[1]
    assert isinstance(paint, Paint)
    assert (paint.cell, paint.slice, paint.by) == (label, BALLS[0][0], "A. Person")
    assert (paint.low, paint.mask.tolist()) == (
        (patch.low[0] + top - 1, patch.low[1] + left),
        [[True, True, True]],
    )
    again = ReviewSession(session.result.path).patch(label, BALLS[0][0], "cell")
    np.testing.assert_array_equal(again.labels, after)  # what is painted next begins with these
    low, stored, edited = session.unapplied(BALLS[0][0], "cell")
    assert (stored != edited).sum() == 4 and low == paint.low
    assert session.unapplied(0, "cell")[1].size == 0
    session.undo()  # both, as one slice was painted
    assert saved(session).edits == ()


def test_a_painted_nucleus_keeps_its_pixels_in_the_cell(session: ReviewSession) -> None:
    label, number = session.label_at(place(0)), BALLS[0][0]
    nucleus = session.patch(label, number, "nucleus")
    after = nucleus.labels.copy()
    y, x = (int(at[0]) for at in np.nonzero(after == label))
    cell = session.patch(label, number, "cell").labels
    outside = tuple(int(at[0]) for at in np.nonzero(cell == 0))
    after[outside] = label  # outside of the cell: it grows
    after[y, x] = 0
    assert session.keep(nucleus, after) == 2
    np.testing.assert_array_equal(session.patch(label, number, "nucleus").labels, after)
    grown = session.patch(label, number, "cell").labels
    assert grown[outside] == label and grown[y, x] == label
    assert (grown != cell).sum() == 1


def test_differences_of_several_cells() -> None:
    before = np.array([[1, 1, 2], [0, 0, 2]], np.uint16)
    after = np.array([[1, 2, 2], [1, 0, 0]], np.uint16)
    found = {
        (label, erase): mask.astype(int).tolist()
        for label, mask, erase in differences(before, after)
    }
    assert found == {
        (2, True): [[0, 0, 0], [0, 0, 1]],
        (1, False): [[0, 0, 0], [1, 0, 0]],
        (2, False): [[0, 1, 0], [0, 0, 0]],
    }


def test_painting_with_a_label_of_no_cell_is_refused(session: ReviewSession) -> None:
    label = session.label_at(place(0))
    patch = session.patch(label, BALLS[0][0], "cell")
    after = patch.labels.copy()
    after[0, 0] = 99
    with pytest.raises(InputError, match="there is no cell 99 in this run"):
        session.keep(patch, after)
    assert not session.path.exists()
    assert session.keep(patch, patch.labels.copy()) == 0
    with pytest.raises(InputError, match="there is no slice 1000"):
        session.patch(label, 999, "cell")


def test_centres_merges_and_splits(session: ReviewSession) -> None:
    first, second, third = (session.label_at(place(ball)) for ball in range(3))
    to = place(0, dz=2, dy=1)
    session.move(first, to)
    added = session.add((100.0, 100.0, 100.0))
    assert added == max(session.result.cells["label"]) + 1
    parts = session.split(second, [place(1, dy=-5), place(1, dy=5), place(1, dz=3)])
    assert parts == (second, added + 1, added + 2)
    session.merge([first, third])
    centres = session.centres()
    assert centres[first] == to and centres[added] == (100.0, 100.0, 100.0)
    assert centres[added + 2] == place(1, dz=3) and third not in centres
    session.remove(first)
    assert first not in session.centres()
    kinds = ["move", "add", "split", "merge", "remove"]
    assert [edit.kind for edit in saved(session).edits] == kinds
    texts = [edit_text(edit, session.geometry) for edit in session.edits.edits]
    assert texts[0] == f"move the centre of cell {first} to slice {BALLS[0][0] + 3}"
    assert texts[2] == f"split cell {second} into cells {second}, {added + 1} and {added + 2}"
    assert texts[3] == f"merge cell {third} into cell {first}"
    assert cells_text([3]) == "cell 3" and cells_text([3, 4, 5]) == "cells 3, 4 and 5"
    for kind in reversed(kinds):
        assert session.edits.edits[-1].kind == kind
        session.undo()
    with pytest.raises(InputError, match="no edit to undo"):
        session.undo()


def nameless(session: ReviewSession) -> ReviewSession:
    session.by = " "
    return session


Refused = Callable[[ReviewSession, int, int], object]


@pytest.mark.parametrize(
    ("action", "sentence"),
    [
        (lambda s, a, b: s.merge([a]), "merging needs two different cells"),
        (lambda s, a, b: s.merge([a, 77]), "there is no cell 77"),
        (lambda s, a, b: s.split(a, [place(0)]), "two at least"),
        (lambda s, a, b: s.split(a, [place(0), place(0)]), "two at least"),
        (
            lambda s, a, b: s.split(a, [place(0), place(0, dy=5), place(0)]),
            "two points are at the same place",
        ),
        (lambda s, a, b: s.split(a, [place(0), place(1)]), "point 2 is outside of cell"),
        (lambda s, a, b: s.move(a, (0.0, -1e5, 0.0)), "outside of the volume"),
        (lambda s, a, b: s.add(place(0)), "split it by points"),
        (lambda s, a, b: (s.remove(a), s.move(a, place(1))), "is removed by edit 1: undo"),
        (lambda s, a, b: (s.merge([a, b]), s.remove(b)), "is merged into cell .* by edit 1"),
        (
            lambda s, a, b: s.move(s.split(a, [place(0), place(0, dy=5)])[1], place(0)),
            "is made by edit 1: apply the edits first",
        ),
        (lambda s, a, b: nameless(s).remove(a), "enter your name first"),
        (lambda s, a, b: nameless(s).decide(a, "accepted", ""), "enter your name first"),
    ],
)
def test_refusals_are_sentences_and_leave_the_file(
    session: ReviewSession, action: Refused, sentence: str
) -> None:
    first, second = session.label_at(place(0)), session.label_at(place(1))
    with pytest.raises(InputError, match=sentence):
        action(session, first, second)
    made = len(saved(session).edits) if session.path.exists() else 0
    assert made == ("edit 1" in sentence)
    assert made == len(session.edits.edits)


def test_painted_pixels_are_not_split(session: ReviewSession) -> None:
    at, label = place(0), session.label_at(place(0))
    number = session.geometry.index(at)[0]
    patch = session.patch(label, number, "cell")
    after = patch.labels.copy()
    free = tuple(np.argwhere(after == 0)[0].tolist())
    after[free] = label
    session.keep(patch, after)
    pixel = (number, patch.low[0] + free[0], patch.low[1] + free[1])
    geometry = session.geometry
    z, y, x = (geometry.positions(axis)[k] for axis, k in zip("zyx", pixel, strict=True))
    assert session.label_at((z, y, x)) == label
    with pytest.raises(InputError, match="point 2 lies in pixels that were only painted"):
        session.split(label, [at, (z, y, x)])


def test_edits_of_two_viewers_are_all_kept(session: ReviewSession) -> None:
    other = ReviewSession(session.result, by="B. Person")
    first, second = session.label_at(place(0)), session.label_at(place(1))
    session.remove(first)
    other.remove(second)
    assert [(edit.kind, edit.by) for edit in saved(session).edits] == [
        ("remove", "A. Person"),
        ("remove", "B. Person"),
    ]


def test_edits_of_another_image_are_refused(session: ReviewSession) -> None:
    session.remove(1)
    text = session.path.read_text(encoding="utf-8")
    session.path.write_text(text.replace('"shape": [40,', '"shape": [41,'), encoding="utf-8")
    with pytest.raises(InputError, match="edits of another image"):
        ReviewSession(session.result)


def test_a_run_applies_the_edits_and_the_session_sees_it(
    session: ReviewSession, here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch)
    first, second = session.label_at(place(0)), session.label_at(place(1))
    session.merge([first, second])
    assert (session.applied, session.up_to_date) == (0, False)
    store, run = session.result.store, session.result.path
    hd.run(store, run, edits=session.path, client=here, progress=False)
    session.reopen()
    assert (session.applied, session.up_to_date) == (1, True)
    assert session.label_at(place(1)) == first
    assert second not in [row.label for row in session.rows()]
    with pytest.raises(InputError, match="is merged into cell"):
        session.remove(second)
    session.remove(first)
    assert (session.applied, session.up_to_date) == (1, False)
    session.undo()
    session.undo()
    assert (session.applied, session.up_to_date) == (0, False)  # the result has one too many


def test_the_command_continues_the_run_as_it_was_made(
    known: hd.RunResult, tmp_path: Path, here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch)
    result = copy_run(known, tmp_path / "my data")
    run, store = result.path, result.store
    plain = ["run", str(store), "--out", str(run), "--edits", str(run / "edits.json")]
    assert run_command(run) == plain
    assert shlex.split(command_text(run)) == ["hela-dask", *plain]
    pd.DataFrame({"label": [2.0], "z": [np.nan], "y": [np.nan], "x": [np.nan]}).to_csv(
        tmp_path / "corrections.csv", index=False
    )
    other, labels = tmp_path / "other.run", tmp_path / "labels.ome.zarr"
    hd.run(
        store,
        other,
        labels=labels,
        parameters={"background": {"blur": 31.0}},
        corrections=tmp_path / "corrections.csv",
        box=((0, 1e5), (0, 1e5), (0, 1e5)),
        client=here,
        progress=False,
    )
    words = run_command(other)
    given = dict(zip(words[2::2], words[3::2], strict=True))
    assert given == {
        "--out": str(other),
        "--edits": str(other / "edits.json"),
        "--params": str(other / "run.toml"),
        "--box": "0:100000,0:100000,0:100000",
        "--corrections": str(other / "corrections.csv"),
        "--labels": str(labels),
    }
    facts = json.loads((other / "run.json").read_text(encoding="utf-8"))
    (tmp_path / "slurm.yaml").write_text("type: slurm")
    (tmp_path / "truth.npy").write_text("")
    options = ["--truth=truth.npy", "--cluster", "slurm.yaml", "--workers", "3", "--memory=2GiB"]
    facts["machine"]["command"] = ["hela-dask", "run", "balls.ome.zarr", *options]
    (other / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    words = run_command(other)
    assert dict(zip(words[2::2], words[3::2], strict=True)) == {
        **given,
        "--truth": str(tmp_path / "truth.npy"),
        "--cluster": str(tmp_path / "slurm.yaml"),
        "--workers": "3",
        "--memory": "2GiB",
    }
    assert "--truth truth.npy --cluster slurm.yaml --workers 3" in kept_options(words)
    kept = pd.read_csv(other / "corrections.csv")
    assert kept["label"].tolist() == [2] and kept["z"].isna().all()


def test_the_table_of_centres_is_found_or_asked_for(
    known: hd.RunResult, tmp_path: Path, here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch)
    result = copy_run(known, tmp_path / "data")
    table = tmp_path / "data" / "my centres.csv"
    centres = pd.DataFrame([place(0), place(1)], columns=["z", "y", "x"])
    centres.to_csv(table, index=False)
    run = tmp_path / "data" / "other.run"
    hd.run(
        result.store,
        run,
        labels=tmp_path / "labels.ome.zarr",
        centres=table,
        client=here,
        progress=False,
    )
    with pytest.raises(InputError, match="table of centres that is not found"):
        run_command(run)  # it was made from Python: the file has no name
    facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
    facts["machine"]["command"] = ["hela-dask", "run", "balls.ome.zarr", "--centres", table.name]
    (run / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    words = run_command(run)
    assert words[words.index("--centres") + 1] == str(table)
    centres.assign(x=1000.0).to_csv(table, index=False)  # another table by now
    with pytest.raises(InputError, match="table of centres that is not found"):
        run_command(run)


def test_the_modules_of_the_session_need_neither_napari_nor_qt() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['napari', 'qtpy']));"
        "import hela_dask.napari.session, hela_dask.napari.command, hela_dask.napari.texts,"
        "hela_dask.napari.window, hela_dask.napari.reader"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_reader_is_for_run_folders_only(result: hd.RunResult, tmp_path: Path) -> None:
    from hela_dask.napari.reader import get_reader

    assert get_reader(str(tmp_path)) is None
    assert get_reader([str(result.path)]) is None
    assert get_reader(str(result.path)) is not None
