"""Quality in the cells table: judged by the limits as they are, measured only once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import hela_dask as hd
from hela_dask.parameters import QualityParameters
from hela_dask.running.tables import add_measurements, add_quality, add_segments
from hela_dask.statuses import OUTLINED
from hela_dask.steps.confidence import NUMBERS
from hela_dask.storage.files import plain

CELLS = pd.DataFrame(
    {
        "label": [1, 2, 3, 4],
        "status": ["detected", "detected", "detected", "chain_too_short"],
        "reason": ["", "", "", "short"],
        "flags": ["", "", "seen_once", ""],
    }
)


def row(status: str = "segmented", flags: str = "", **numbers: float) -> dict[str, Any]:
    """What segmentation says of a cell, as a marker keeps it."""
    attributes = {
        "status": status,
        "reason": "",
        "flags": flags,
        "first": 11,
        "instability": [0.1, 0.4, 0.5],
    }
    found: dict[str, Any] = plain({**attributes, **dict.fromkeys(NUMBERS, 0.0), **numbers})
    return found


def scored(rows: dict[int, dict[str, Any]], parameters: QualityParameters) -> pd.DataFrame:
    table = add_segments(CELLS, rows, {1, 2, 3, 4})
    return add_quality(table, rows, parameters).set_index("label")


def test_each_cell_has_its_numbers_flags_and_doubtful_slices() -> None:
    rows = {
        1: row(contact=0.1, cell_jitter=20.0, nucleus_jitter=np.nan),
        2: row(contact=0.6, cell_jitter=300.0, flags="two_nuclei,larger_than_window"),
        3: {"status": "failed", "reason": "ValueError", "flags": "", "extent": None},
    }
    table = scored(rows, QualityParameters())
    assert table["confidence"].iloc[0] == pytest.approx(1 / (1 + ((1 / 3 + 0.2 + 1) / 3) ** 2))
    assert table["confidence"].iloc[1] == pytest.approx(1 / (1 + ((2 + 3 + 1) / 3) ** 2))
    assert table["confidence"].iloc[2:].isna().all()
    assert table["flags"].tolist() == [
        "",
        "two_nuclei,larger_than_window,unsteady_cell,little_resin",
        "seen_once",
        "",
    ]
    assert table["contact"].tolist()[:2] == [0.1, 0.6]
    assert table["nucleus_jitter"].isna().tolist() == [True, False, True, True]
    assert table["doubtful_slices"].tolist() == ["slices 12-13", "slices 12-13", "", ""]
    assert all(table[name].dtype == np.float64 for name in NUMBERS)


def test_a_slice_that_a_cell_lost_to_a_neighbour_is_not_doubtful() -> None:
    measured = pd.DataFrame({"label": [1], "first_slice": [13], "last_slice": [20]})
    segmented = add_segments(CELLS, {1: row(), 2: row()}, {1, 2})
    table = add_quality(segmented, {1: row(), 2: row()}, QualityParameters(), measured)
    assert table["doubtful_slices"].tolist() == ["slice 13", "slices 12-13", "", ""]


def test_cells_with_edited_labels_have_no_confidence() -> None:
    rows = {1: row(cell_jitter=300.0), 2: row(flags="two_nuclei", cell_jitter=300.0)}
    segmented = add_segments(CELLS, rows, {1, 2})
    table = add_quality(segmented, rows, QualityParameters(), None, {2})
    assert table["confidence"].isna().tolist() == [False, True, True, True]
    assert table["flags"].tolist() == ["unsteady_cell", "two_nuclei", "seen_once", ""]
    assert table["cell_jitter"].isna().tolist() == [False, True, True, True]
    assert table["doubtful_slices"].tolist()[1] == ""
    # The reason of a withheld nucleus has the confidence of the segmentation.
    bad = {1: row(nucleus_jitter=900.0, nucleus_jump=9.0)}
    table = add_quality(add_segments(CELLS, bad, {1}), bad, QualityParameters(), None, {1})
    assert "nucleus_withheld" in table["flags"][0]
    assert re.search(r"withheld: confidence 0\.\d\d, under", table["reason"][0])
    # A nucleus that a person gave to a cell is there.
    none = {label: row(flags="no_nucleus") | {"reason": "no nucleus"} for label in (1, 2)} | {
        3: bad[1]
    }
    measured = pd.DataFrame({"label": [1, 2, 3], "first_slice": 1, "last_slice": 9})
    measured["nucleus_volume"] = [5.0, np.nan, 5.0]
    segmented = add_segments(CELLS, none, {1, 2, 3})
    table = add_quality(segmented, none, QualityParameters(), measured, {1, 2, 3})
    assert table["flags"].tolist() == ["", "no_nucleus", "seen_once", ""]
    assert table["reason"].tolist()[:3] == ["", "no nucleus", ""]


def test_flags_follow_the_limits_and_are_not_kept_from_an_earlier_run() -> None:
    rows = {1: row(contact=0.4, flags="little_resin")}
    assert scored(rows, QualityParameters()).loc[1, "flags"] == "little_resin"
    patient = scored(rows, QualityParameters(contact=0.5, doubt=0.45))
    assert patient.loc[1, "flags"] == ""
    assert patient.loc[1, "doubtful_slices"] == "slice 13"


def test_other_limits_need_no_new_masks(scene: Path, here: Any, calls: dict[str, Any]) -> None:
    def go(**params: float) -> Any:
        return hd.run(
            scene, client=here, progress=False, parameters={"quality": params}, overwrite=True
        )

    first = go()
    assert {"confidence", "doubtful_slices", *NUMBERS} <= set(first.cells)
    go(contact=0.11, doubt=0.5)
    assert len(calls["segment"]) == 4
    go(span=700.0)
    assert len(calls["segment"]) == 8


def measured(**touches: list[bool]) -> pd.DataFrame:
    """Measurements of the labels 1 and 2."""
    table = pd.DataFrame({"label": [1, 2], "nucleus_volume": [8.0, np.nan], "cell_volume": 40.0})
    for name in ("touches_first_slice", "touches_last_slice", "touches_side"):
        table[name] = touches.get(name, [False, False])
    return table.assign(first_slice=2, last_slice=9, complete=True)


@pytest.mark.parametrize(
    ("rows", "chosen", "touches", "statuses", "complete"),
    [
        ({1: row(), 2: row()}, {1, 2}, {}, ["segmented", "segmented"], [True, True]),
        (
            {1: row(), 2: row()},
            {1, 2},
            {"touches_side": [False, True]},
            ["segmented", "cut_by_volume"],
            [True, False],
        ),
        (
            {1: row(), 2: row()},
            {1, 2},
            {"touches_first_slice": [True, False], "touches_last_slice": [True, True]},
            ["cut_by_volume", "cut_by_volume"],
            [False, False],
        ),
        ({1: row()}, {1}, {}, ["segmented", "not_selected"], [True, False]),
        (
            {1: row("failed"), 2: row("no_resin")},
            {1, 2},
            {},
            ["failed", "no_resin"],
            [False, False],
        ),
    ],
)
def test_the_status_says_what_was_done_and_nothing_else(
    rows: dict[int, Any],
    chosen: set[int],
    touches: dict[str, list[bool]],
    statuses: list[str],
    complete: list[bool],
) -> None:
    cells = CELLS.assign(**dict.fromkeys(("touches_first_slice", "touches_last_slice"), False))
    cells = cells.assign(touches_side=False, first_slice=1, last_slice=9, complete=True)
    found = add_measurements(
        add_segments(cells.iloc[[0, 1, 3]], rows, chosen), measured(**touches)
    ).set_index("label")
    assert found["status"].tolist() == [*statuses, "chain_too_short"]
    assert found["complete"].tolist() == [*complete, False]
    assert (found["complete"] == (found["status"] == "segmented")).all()
    with_reason = found["reason"] != ""
    assert not with_reason[found["status"].isin(OUTLINED)].any()
    assert with_reason[4]


def test_a_cell_without_a_voxel_in_the_labels_has_failed() -> None:
    cells = CELLS.assign(**dict.fromkeys(("touches_first_slice", "touches_last_slice"), False))
    cells = cells.assign(touches_side=False, first_slice=1, last_slice=9, complete=True)
    rows = {1: row(), 2: row(), 3: row()}
    found = add_measurements(add_segments(cells, rows, {1, 2, 3}), measured()).set_index("label")
    assert found.loc[3, "status"] == "failed"
    assert str(found.loc[3, "reason"]).startswith("no tissue is left for it")
