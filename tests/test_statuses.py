"""Statuses of cells: defined once, counted so that the numbers add up."""

from __future__ import annotations

import ast
from pathlib import Path

import pandas as pd
import pytest

import hela_dask
from hela_dask.errors import InputError
from hela_dask.statuses import STATUSES, check_statuses, count_text, status_text

PACKAGE = Path(hela_dask.__file__).parent


def table(**counts: int) -> pd.DataFrame:
    """A table of cells with so many of each status."""
    statuses = [status for status, number in counts.items() for _ in range(number)]
    return pd.DataFrame({"status": statuses, "flags": ""})


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        (
            {"segmented": 6, "cut_by_volume": 8, "chain_too_short": 5},
            "14 cells outlined: 6 whole, 8 cut by the volume; "
            "5 not segmented: 5 seen in too few slices",
        ),
        ({"segmented": 1}, "1 cell outlined: 1 whole"),
        (
            {"no_resin": 2, "failed": 1, "not_selected": 3},
            "0 cells outlined; 6 not segmented: 2 without resin in view, 3 not selected, 1 failed",
        ),
        (
            {"detected": 4, "chain_too_short": 1},
            "4 cells detected; 1 not segmented: 1 seen in too few slices",
        ),
        ({}, "0 cells outlined"),
    ],
)
def test_the_counts_of_a_sentence_add_up(counts: dict[str, int], text: str) -> None:
    assert count_text(table(**counts)) == text
    heads = [int(part.split()[0]) for part in text.split("; ")]
    assert sum(heads) == sum(counts.values())


def test_cells_without_a_nucleus_are_counted_among_the_outlined() -> None:
    cells = table(segmented=2, cut_by_volume=2, failed=1)
    cells["flags"] = ["", "moved,no_nucleus", "nucleus_withheld", "nucleus_withheld", "no_nucleus"]
    assert count_text(cells).endswith(
        "; no nucleus found in 1 outlined cell; nucleus withheld in 2 outlined cells"
    )


def test_every_status_has_words_and_a_sentence_and_old_ones_are_refused(tmp_path: Path) -> None:
    for status, (words, sentence) in STATUSES.items():
        assert status_text(status) == words
        assert words and len(sentence) > 20
    check_statuses(table(**dict.fromkeys(STATUSES, 1)), tmp_path)
    for old in ("ok", "too_close_to_edge", "no_nucleus"):
        with pytest.raises(InputError, match=rf"cells.csv has the status '{old}'.* run again"):
            check_statuses(table(segmented=1, **{old: 1}), tmp_path / "cells.csv")


def _texts(path: Path) -> set[str]:
    """The texts in the code of a file, without docstrings, which are longer, and keys."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    keys = {key for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys}
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {node.value for node in nodes if isinstance(node.value, str) and node not in keys}


def test_no_status_is_spelt_outside_the_room_that_defines_them() -> None:
    names = {*STATUSES, "too_close_to_edge", "ok"} - {"failed", "detected"}  # of a run, too
    # The engine and the check of a machine know no cell: their rows may be "ok".
    others = ("tasks", "environment")
    files = [
        path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] not in others
    ]
    found = {path.name for path in files if names & _texts(path)}
    assert found <= {"statuses.py", "quality.py"}, found
