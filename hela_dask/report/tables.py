"""The tables of the report: texts, values to sort by, classes; a template draws them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hela_dask.parameters import Parameters
from hela_dask.statuses import STATUSES, status_text
from hela_dask.steps.confidence import EXPLANATIONS

__all__ = [
    "Cell",
    "Table",
    "cells_table",
    "changed_rows",
    "facts_rows",
    "flags_rows",
    "instances_note",
    "instances_table",
    "quality_table",
    "scores_table",
]


@dataclass(frozen=True)
class Cell:
    """A cell of a table."""

    text: str  # what it shows
    value: Any = None  # what its column is sorted by; None sorts last
    css: str = ""  # class of the cell
    badge: str = ""  # class of a badge around the text; empty for none

    @property
    def key(self) -> str:
        """What its column is sorted by, as text."""
        return "" if _nothing(self.value) else str(self.value)


@dataclass(frozen=True)
class Table:
    """A table with its column heads; `kind` is its class."""

    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    kind: str = ""


def _nothing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _number(value: Any, form: str = ".1f", scale: float = 1.0) -> Cell:
    if _nothing(value):
        return Cell("–")
    return Cell(f"{float(value) / scale:{form}}", float(value))


def cells_table(cells: pd.DataFrame) -> Table:
    """One row a cell, the most doubtful first, at the end those not measured; a heading sorts."""
    columns: list[tuple[str, str, Callable[[Any], Cell]]] = [
        ("cell", "label", lambda value: _number(value, ".0f")),
        ("status", "status", _status),
        ("confidence", "confidence", _confidence),
        ("z, y, x µm", "z", lambda value: _number(value, ".1f", 1000)),
        ("slices", "first_slice", lambda value: _number(value, ".0f")),
        ("nucleus µm³", "nucleus_volume", _number),
        ("cell µm³", "cell_volume", _number),
        ("ratio", "nucleus_to_cell", lambda value: _number(value, ".2f")),
    ]
    table = _doubtful_first(cells)
    if {"nucleus_volume", "cell_volume"} <= set(table) and "nucleus_to_cell" not in table:
        table["nucleus_to_cell"] = table["nucleus_volume"] / table["cell_volume"]
    kept = [column for column in columns if column[1] in table]
    rows = []
    for record in table.to_dict("records"):
        row = [show(record[name]) for _, name, show in kept]
        for position, (_, name, _) in enumerate(kept):
            if name == "first_slice" and "last_slice" in record:
                span = f"{int(record['first_slice'])}–{int(record['last_slice'])}"
                row[position] = Cell(span, record["first_slice"], css="whole")
            elif name == "z" and {"y", "x"} <= set(record):
                place = ", ".join(f"{record[axis] / 1000:.1f}" for axis in "zyx")
                row[position] = Cell(place, record["z"], css="whole")
        rows.append([*row, _text(_remarks(record))])
    return Table([*(head for head, _, _ in kept), "remarks"], rows, "sortable")


def _doubtful_first(cells: pd.DataFrame) -> pd.DataFrame:
    order = {status: place for place, status in enumerate(STATUSES)}
    table = cells.sort_values("status", key=lambda status: status.map(order), kind="stable")
    if "confidence" in table:
        table = table.sort_values("confidence", kind="stable", na_position="last")
    return table


def quality_table(cells: pd.DataFrame) -> Table | None:
    """What the confidence of each cell is made of; None where nothing was measured."""
    if "confidence" not in cells or cells["confidence"].isna().all():
        return None
    columns: list[tuple[str, str, Callable[[Any], Cell]]] = [
        ("cell", "label", lambda value: _number(value, ".0f")),
        ("confidence", "confidence", _confidence),
        ("nucleus outline varies, nm", "nucleus_jitter", lambda value: _number(value, ".0f")),
        ("cell outline varies, nm", "cell_jitter", lambda value: _number(value, ".0f")),
        ("nucleus jump, %", "nucleus_jump", _percent),
        ("cell jump, %", "cell_jump", _percent),
        ("no resin beside, %", "contact", _percent),
        ("nucleus exposed, %", "nucleus_exposed", _percent),
        ("beyond the window, %", "beyond_window", _percent),
        ("time, s", "seconds", _number),
        ("memory, MiB", "peak_memory", lambda value: _number(value, ".0f")),
        ("doubtful slices", "doubtful_slices", _text),
    ]
    kept = [column for column in columns if column[1] in cells]
    table = _doubtful_first(cells[cells["confidence"].notna()])
    rows = [[show(record[name]) for _, name, show in kept] for record in table.to_dict("records")]
    return Table([head for head, _, _ in kept], rows, "sortable")


def flags_rows(cells: pd.DataFrame) -> list[tuple[str, str]]:
    """What each flag that a cell has means."""
    said = [str(text or "").split(",") for text in cells.get("flags", ())]
    named = {flag for flags in said for flag in flags}
    return [(flag.replace("_", " "), text) for flag, text in EXPLANATIONS.items() if flag in named]


def _status(value: Any) -> Cell:
    return Cell(status_text(str(value)), str(value), "text", badge=str(value))


def _confidence(value: Any) -> Cell:
    """A number, on the colour of trust, of some doubt or of much."""
    if _nothing(value):
        return Cell("–")
    kind = "good" if value >= 0.5 else "fair" if value >= 0.2 else "poor"
    return Cell(f"{float(value):.2f}", float(value), badge=kind)


def _percent(value: Any) -> Cell:
    return _number(value, ".0f", 0.01)


def _text(value: Any) -> Cell:
    text = "" if _nothing(value) else str(value)
    return Cell(text, text, "reason")


_TOUCHES = {
    "touches_first_slice": "cut by the first slice",
    "touches_last_slice": "cut by the last slice",
    "touches_side": "cut by a side",
}


# The reason says the same, and more.
_IN_REASON = ("larger_than_window", "two_nuclei", "no_nucleus", "nucleus_withheld")


def _remarks(record: Mapping[Any, Any]) -> str:
    """Reason, flags that it does not tell, and what cuts a segmented cell, in words."""
    reason = str(record.get("reason") or "")
    flags = str(record.get("flags") or "").split(",")
    said = _IN_REASON if reason else ()
    parts = [reason, *(flag.replace("_", " ") for flag in flags if flag not in said)]
    volumes = [record[name] for name in ("nucleus_volume", "cell_volume") if name in record]
    if not volumes or not all(_nothing(volume) for volume in volumes):
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
    """Names and values; what is None or empty is left out."""
    return [
        (str(name), f"{value:g}" if isinstance(value, float) else str(value))
        for name, value in facts.items()
        if value is not None and value != ""
    ]


def scores_table(scores: Mapping[str, Mapping[str, Any]]) -> Table:
    """Masks of classes: a row a class."""
    heads = [
        ("JI", "ji", ".4f"),
        ("AC", "ac", ".4f"),
        ("Dice", "dice", ".4f"),
        ("ARI", "ari", ".4f"),
        ("NPR", "npr", ".4f"),
        ("kappa", "kappa", ".4f"),
        ("Hausdorff mean (nm)", "hausdorff_mean", ".0f"),
        ("95 % (nm)", "hausdorff_95", ".0f"),
    ]
    rows = []
    for name, score in scores.items():
        row = [Cell(name, name, "text")]
        row += [_number(score.get(key), form) for _, key, form in heads]
        middle, spread = ((score.get(f"slice_{kind}") or {}).get("ji") for kind in ("mean", "sd"))
        text = _number(middle, ".3f").text
        if not _nothing(spread) and not _nothing(middle):
            text += f" ± {spread:.3f}"
        rows.append([*row, Cell(text, middle)])
    return Table(["class", *(head for head, _, _ in heads), "JI per slice"], rows)


def instances_table(matched: Mapping[str, Mapping[str, Any]]) -> Table:
    """Matched instances: a row a class and IoU threshold of 0.5, 0.7 and 0.9."""
    rows: list[list[Cell]] = []
    for name, found in matched.items():
        for level in found.get("thresholds", []):
            if level["iou"] in (0.5, 0.7, 0.9):
                row = [Cell(name, name, "text"), _number(level["iou"])]
                row += [_number(level.get(key), ".0f") for key in ("tp", "fp", "fn")]
                row += [_number(level.get(key), ".3f") for key in ("precision", "recall", "f1")]
                rows.append(row)
    heads = ["instances", "IoU", "matched", "spurious", "missed", "precision", "recall", "F1"]
    return Table(heads, rows)


def instances_note(matched: Mapping[str, Mapping[str, Any]]) -> str:
    """Mean IoU and mean average precision of each class."""
    return "; ".join(
        f"{name}: mean IoU of matched {_number(found.get('mean_iou'), '.3f').text}, mean average "
        f"precision {_number(found.get('mean_average_precision'), '.3f').text}"
        for name, found in matched.items()
    )
