"""What the report shows of a run: numbers, flags, parameters, sentences."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hela_dask.columns import COLUMNS
from hela_dask.parameters import Parameters
from hela_dask.report import pictures, write_report
from hela_dask.report.methods_text import run_text
from hela_dask.report.page import duration
from hela_dask.report.tables import CELLS, QUALITY
from hela_dask.running.reading import RunFolder
from hela_dask.storage import store
from tests.report.pages import Page
from tests.report.runs import read


def test_it_says_what_was_found(text: str) -> None:
    shown = Page(text).text
    for words in (
        "Cells of a.ome.zarr",
        "6 × 300 × 320 voxels (z, y, x) · 250 × 40 × 40 nm",
        "2–5",  # slices of cell 4
        "1 cell outlined: 1 cut by the volume; 1 not segmented: 1 failed.",
        "whole + cut by the volume",
        "625, 6000, 6000",  # nm, z, y, x of cell 4
        "All are at their defaults.",
        "2 min 12 s",  # both stages
        "02 January 2026, 03:04",
        "resolution",
        "cut by the first slice",
        "no protrusions",
    ):
        assert words in shown, words
    assert "Confidence" not in shown  # nothing was measured
    # Said of the cell that was segmented, not of the one that failed.
    assert shown.count("cut by the first slice") == 1


def test_columns_of_the_tables_have_their_names_in_cells_csv(text: str) -> None:
    for head, name, _ in (*CELLS, *QUALITY):
        for part in re.split(r", | – ", name):
            assert part in COLUMNS and part in head, head
            unit = COLUMNS[part].unit
            assert (f"({unit})" in head) == (unit not in ("", "1", "count", "slice")), head
    assert (
        '<th title="volume of the nucleus, without its envelope">nucleus_<wbr>volume (µm³)' in text
    )
    assert "position: sticky" in text and "scroll to the right" in text


def test_durations_as_text() -> None:
    assert [duration(seconds) for seconds in (3.21, 250.4, 7500)] == [
        "3.2 s",
        "4 min 10 s",
        "2 h 05 min",
    ]


def test_the_most_doubtful_cell_comes_first_and_flags_are_explained(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hela_dask.report.draw_pictures", lambda folder: ([], []))
    table = pd.read_parquet(run / "cells.parquet")
    more = table.iloc[[0, 0]].assign(
        label=[5, 6],
        confidence=[0.91, 0.12],
        contact=[0.04, 0.78],
        nucleus_jitter=[17.2, np.nan],
        flags=["", "little_resin,two_nuclei"],
        reason=["", "2 nuclei in one cell; the one nearest its centre is outlined"],
        doubtful_slices=["", "2-3, 5"],
    )
    both = pd.concat([table, more], ignore_index=True)  # of 4 and 9 nothing was measured
    store.write_table(run / "cells", both)
    text = write_report(run).read_text(encoding="utf-8")
    shown = Page(text).text
    rows = re.findall(r'<tr><td data-v="(\d+)', text)
    assert rows == ["6", "5", "4", "9", "6", "5"]  # all cells, then those with numbers
    assert re.search(r'data-v="0\.12"><span class="badge poor">0\.12</span>', text)
    assert '<span class="badge good">0.91' in text
    assert "much of the membrane has no resin beside it" in shown
    assert "it may be dividing" in shown
    assert "the one nearest its centre is outlined; little resin" in shown
    assert "little resin; two nuclei" not in shown  # the reason tells it
    assert "the outline of the nucleus varies" not in shown
    assert "2-3, 5" in shown
    assert re.search(r'data-v="0\.78">0\.780<', text)
    assert "Confidence in numbers" in shown


def test_the_most_doubtful_slices_are_among_the_pictures() -> None:
    cells = pd.DataFrame(
        {
            "label": [1, 2, 3, 4, 5],
            "confidence": [0.9, 0.2, np.nan, 0.4, 0.3],
            "doubtful_slices": ["4", "slices 1-3, 10-20, 25", "", "7-8", ""],
        }
    )
    found = pictures.doubtful_slices(cells, 2)
    assert found == {
        15: "uncertain in cell 2 (confidence 0.20)",
        7: "uncertain in cell 4 (confidence 0.40)",
    }
    assert list(pictures.doubtful_slices(cells, 9)) == [15, 7, 4]
    assert pictures.doubtful_slices(cells[["label"]], 3) == {}


@pytest.mark.parametrize(
    ("status", "volumes", "tiles"),
    [
        ("segmented", [8.0, 12.0], ["10 ± 3 µm³", "nucleus volume of 2 whole cells (mean ± SD)"]),
        ("segmented", [8.0, np.nan], ["8.00 µm³", "nucleus volume of 1 whole cell"]),
    ],
)
def test_volumes_are_those_of_whole_cells(
    run: Path, monkeypatch: pytest.MonkeyPatch, status: str, volumes: list[float], tiles: list[str]
) -> None:
    monkeypatch.setattr("hela_dask.report.draw_pictures", lambda folder: ([], []))
    assert "nucleus volume" not in read(run).text  # its only cell is cut
    cells = pd.read_parquet(run / "cells.parquet").assign(status=status, nucleus_volume=volumes)
    store.write_table(run / "cells", cells)
    shown = read(run).text
    for words in tiles:
        assert words in shown, words


def test_only_changed_parameters_are_shown_at_once(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hela_dask.report.draw_pictures", lambda folder: ([], []))
    facts = json.loads((run / "run.json").read_text())
    facts["parameters"] = Parameters.from_dict({"detect": {"spacing": 800.0}}).to_dict()
    store.write_json(run / "run.json", facts)
    shown = read(run).text.split("All parameters")[0]
    assert "[detect] spacing" in shown and "800.0 (default 1000.0)" in shown
    assert "[detect] resolution" not in shown


def test_sentences_for_a_methods_section(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hela_dask.report.draw_pictures", lambda folder: ([], []))
    facts = json.loads((run / "run.json").read_text())
    facts |= {"method": "propagate", "edits": [{"kind": "merge", "cells": [1, 2], "by": "me"}]}
    facts["parameters"] = Parameters.from_dict({"detect": {"spacing": 800.0}}).to_dict()
    store.write_json(run / "run.json", facts)
    cells = pd.read_parquet(run / "cells.parquet").assign(status=["segmented", "cut_by_volume"])
    store.write_table(run / "cells", cells)
    shown = " ".join(read(run).text.split("For a methods section")[-1].split())
    for words in (
        "method propagate, in a volume with voxels of",
        "Parameters other than the defaults: [detect] spacing = 800.0.",
        "Labels were corrected by people.",
        "2 cells were outlined in a volume of",
        "1 completely in it, and 1 cut by its sides, to be left out of statistics.",
    ):
        assert words in shown, words
    assert "Surfaces were measured" not in shown
    store.write_table(run / "cells", cells.assign(cell_area=100.0))
    assert "Gaussian smoothing with a sigma of 50 nm" in read(run).text
    stopped = RunFolder(run, {**facts, "state": "failed"}, cells, pd.DataFrame(), {})
    assert run_text(stopped) == []
