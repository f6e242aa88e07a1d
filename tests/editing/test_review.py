"""The review of cells: a row per cell, with all that others wrote beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hela_dask.editing.review import read_review, set_review
from hela_dask.errors import InputError


def test_decisions_are_kept_by_label(tmp_path: Path) -> None:
    assert read_review(tmp_path).empty
    set_review(tmp_path, 12, "rejected", "two nuclei, one cell", "A. Person")
    set_review(tmp_path, 3, "accepted", by="B")
    set_review(tmp_path, 12, "accepted", 'now "right"', "B")
    table = read_review(tmp_path)
    assert table[["label", "decision", "note", "by"]].values.tolist() == [
        [3, "accepted", "", "B"],
        [12, "accepted", 'now "right"', "B"],
    ]
    assert pd.to_datetime(table["date"]).notna().all()
    set_review(tmp_path, 12, "")
    assert read_review(tmp_path)["decision"].tolist() == ["accepted", ""]


def test_a_spreadsheet_reads_names_that_are_not_ascii(tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    set_review(tmp_path, 5, "accepted", by="Müller")
    assert path.read_bytes().startswith(b"\xef\xbb\xbflabel,")
    set_review(tmp_path, 7, "rejected", by="A")
    assert read_review(tmp_path)["by"].tolist() == ["Müller", "A"]
    assert "label" in pd.read_csv(path)


def test_rows_and_columns_of_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    path.write_text(
        "label,colour,decision,note,by,date\n7,red,rejected,,C,2026-01-01\n2,blue,,,,\n"
    )
    set_review(tmp_path, 5, "accepted", by="A")
    set_review(tmp_path, 7, "accepted", by="A")
    table = pd.read_csv(path, keep_default_na=False)
    assert list(table) == ["label", "colour", "decision", "note", "by", "date"]
    assert table["label"].tolist() == [2, 5, 7] and table["colour"].tolist() == ["blue", "", "red"]
    assert read_review(tmp_path)["decision"].tolist() == ["", "accepted", "accepted"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("label,decision,note,by\n", "has no column 'date'"),
        ("label,decision,note,by,date\nx,,,,\n", "row 1: label is 'x'"),
        ("label,decision,note,by,date\n1,good,,,\n", "row 1: the decision is accepted, rejected"),
        ("label,decision,note,by,date\n1,,,,\n1,,,,\n", "cell 1 has two rows"),
        ('label,decision,note,by,date\n1,,"a,,\n', "no CSV table"),
        ("label,decision,note,by,date\n1,,,,,,\n", "more fields"),
    ],
)
def test_a_bad_file_is_refused_and_stays(text: str, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=fault):
        read_review(tmp_path)
    with pytest.raises(InputError, match=fault):
        set_review(tmp_path, 1, "accepted")
    assert path.read_text() == text


def test_another_decision_is_refused(tmp_path: Path) -> None:
    decision: Any = "perhaps"
    with pytest.raises(InputError, match="accepted, rejected or empty"):
        set_review(tmp_path, 1, decision)
    assert not (tmp_path / "review.csv").exists()
