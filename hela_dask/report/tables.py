"""The rows of the report's tables; a template chooses and draws their columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from hela_dask.columns import COLUMNS
from hela_dask.parameters import Parameters
from hela_dask.statuses import STATUSES, status_text
from hela_dask.steps.confidence import EXPLANATIONS

__all__ = [
    "CELLS",
    "MEANINGS",
    "QUALITY",
    "cells_rows",
    "changed_rows",
    "facts_rows",
    "flags_rows",
    "instances_note",
    "instances_rows",
    "quality_rows",
    "scores_rows",
]

Row = dict[str, Any]
"""Values by the names of their columns; None if unknown.

A pair is a value to sort by, and its text.
"""

_UNNAMED = ("", "1", "count", "slice")  # units that a head does not name
_PLACE, _SLICES, _REMARKS = "z, y, x", "first_slice – last_slice", "reason, flags"


def _headed(columns: Mapping[str, str]) -> tuple[tuple[str, str, str], ...]:
    """Head (the name in ``cells.csv`` with its unit), name of the value, and its format."""
    found = []
    for name, how in columns.items():
        unit = "nm" if name == _PLACE else COLUMNS[name].unit if name in COLUMNS else ""
        found.append((f"{name} ({unit})" if unit not in _UNNAMED else name, name, how))
    return tuple(found)


CELLS = _headed(
    {
        "label": ".0f",
        "status": "badge",
        "confidence": "trust",
        _PLACE: "pair",
        _SLICES: "pair",
        "nucleus_volume": ".1f",
        "cell_volume": ".1f",
        "nucleus_to_cell": ".2f",
        "cell_area": ".0f",
        "cell_sphericity": ".2f",
        "cell_solidity": ".2f",
        "nucleus_handles": ".0f",
        "n_neighbours": ".0f",
        _REMARKS: "text",
    }
)
"""Columns of the table of cells: head, name and format."""

QUALITY = _headed(
    {
        "label": ".0f",
        "confidence": "trust",
        "nucleus_jitter": ".0f",
        "cell_jitter": ".0f",
        "nucleus_jump": ".3f",
        "cell_jump": ".3f",
        "contact": ".3f",
        "nucleus_exposed": ".3f",
        "beyond_window": ".3f",
        "seconds": ".1f",
        "peak_memory": ".0f",
        "doubtful_slices": "text",
    }
)
"""Columns of the table of the confidence."""

MEANINGS: Mapping[str, str] = {
    **{name: column.meaning for name, column in COLUMNS.items()},
    _PLACE: "z, y and x of the centre",
    _SLICES: "first and last slice of the cell, counted from 1",
    _REMARKS: "why the cell, or a part of it, is missing; peculiarities; sides that cut it",
}
"""Meanings of the columns."""


def cells_rows(cells: pd.DataFrame, *, anchored: bool = False) -> list[Row]:
    """One row per cell, the lowest confidence first, at the end those not measured.

    An `anchored` row can be linked to.
    """
    table = _doubtful_first(cells)
    if {"nucleus_volume", "cell_volume"} <= set(table) and "nucleus_to_cell" not in table:
        table["nucleus_to_cell"] = table["nucleus_volume"] / table["cell_volume"]
    rows = _records(table)
    for row in rows:
        if anchored:
            row["anchor"] = f"cell-{int(row['label'])}"
        row[_REMARKS] = _remarks(row)
        row["status"] = row["status"], status_text(str(row["status"]))
        if "last_slice" in row:
            row[_SLICES] = (
                row["first_slice"],
                f"{int(row['first_slice'])}–{int(row['last_slice'])}",
            )
        if {"z", "y", "x"} <= set(row):
            row[_PLACE] = row["z"], ", ".join(f"{row[axis]:.0f}" for axis in "zyx")
    return rows


def quality_rows(cells: pd.DataFrame) -> list[Row]:
    """The numbers of the confidence of each cell; none where nothing was measured."""
    if "confidence" not in cells:
        return []
    return _records(_doubtful_first(cells[cells["confidence"].notna()]))


def _records(table: pd.DataFrame) -> list[Row]:
    return table.astype(object).where(table.notna(), None).to_dict("records")  # type: ignore[return-value]


def _doubtful_first(cells: pd.DataFrame) -> pd.DataFrame:
    order = {status: place for place, status in enumerate(STATUSES)}
    table = cells.sort_values("status", key=lambda status: status.map(order), kind="stable")
    if "confidence" in table:
        table = table.sort_values("confidence", kind="stable", na_position="last")
    return table


def flags_rows(cells: pd.DataFrame) -> list[tuple[str, str]]:
    """The meaning of each flag that a cell has."""
    mentioned = [str(text or "").split(",") for text in cells.get("flags", ())]
    named = {flag for flags in mentioned for flag in flags}
    return [(flag.replace("_", " "), text) for flag, text in EXPLANATIONS.items() if flag in named]


_TOUCHES = {
    "touches_first_slice": "cut by the first slice",
    "touches_last_slice": "cut by the last slice",
    "touches_side": "cut by a side",
}


# The reason includes these flags.
_IN_REASON = ("larger_than_window", "two_nuclei", "no_nucleus", "nucleus_withheld")


def _remarks(record: Mapping[Any, Any]) -> str:
    """Reason, flags that it does not include, and contacts with the volume's sides, in words."""
    reason = str(record.get("reason") or "")
    flags = str(record.get("flags") or "").split(",")
    mentioned = _IN_REASON if reason else ()
    parts = [reason, *(flag.replace("_", " ") for flag in flags if flag not in mentioned)]
    volumes = [record[name] for name in ("nucleus_volume", "cell_volume") if name in record]
    if not volumes or any(volume is not None for volume in volumes):
        parts += [text for name, text in _TOUCHES.items() if record.get(name) is True]
    return "; ".join(part.strip() for part in parts if part.strip())


def changed_rows(group: str, values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Those parameters of a group that are not at their defaults, with the defaults."""
    usual = Parameters().to_dict().get(group, {})
    return [
        (f"[{group}] {name}", f"{value} (default {usual.get(name, 'unknown')})")
        for name, value in values.items()
        if value != usual.get(name)
    ]


def facts_rows(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values; None and empty values are left out."""
    return [
        (str(name), f"{value:g}" if isinstance(value, float) else str(value))
        for name, value in facts.items()
        if value is not None and value != ""
    ]


def scores_rows(scores: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    """Masks of classes: one row per class."""
    rows = []
    for name, score in scores.items():
        middle, spread = ((score.get(f"slice_{kind}") or {}).get("ji") for kind in ("mean", "sd"))
        text = "–" if middle is None else f"{middle:.3f}"
        if middle is not None and spread is not None:
            text += f" ± {spread:.3f}"
        rows.append({**score, "class": name, "per_slice": (middle, text)})
    return rows


def instances_rows(matched: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    """Matched instances: one row per class and IoU threshold of 0.5, 0.7 and 0.9."""
    return [
        {**level, "class": name}
        for name, found in matched.items()
        for level in found.get("thresholds", [])
        if level["iou"] in (0.5, 0.7, 0.9)
    ]


def instances_note(matched: Mapping[str, Mapping[str, Any]]) -> str:
    """Mean IoU and mean average precision of each class."""

    def number(value: float | None) -> str:
        return "–" if value is None else f"{value:.3f}"

    return "; ".join(
        f"{name}: mean IoU of matched {number(found.get('mean_iou'))}, mean average "
        f"precision {number(found.get('mean_average_precision'))}"
        for name, found in matched.items()
    )
