"""The tables of the report as HTML; whatever a cell holds is escaped."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from html import escape
from typing import Any

import pandas as pd

from hela_dask.quality import EXPLANATIONS

__all__ = [
    "cells_table",
    "facts_table",
    "flags_legend",
    "instances_table",
    "quality_table",
    "scores_table",
    "timings_table",
]

Cell = tuple[str, Any, str]  # HTML, value to sort by, CSS class


def _table(heads: Iterable[str], rows: Iterable[Iterable[Cell]], kind: str = "") -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="{css}" data-v="{escape(_key(value))}">{html}</td>'
            for html, value, css in row
        )
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table class="{kind}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _key(value: Any) -> str:
    return "" if _nothing(value) else str(value)


def _nothing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _number(value: Any, form: str = ".1f", scale: float = 1.0) -> Cell:
    if _nothing(value):
        return "–", None, ""
    return f"{float(value) / scale:{form}}", float(value), ""


def cells_table(cells: pd.DataFrame) -> str:
    """One row a cell, the most doubtful first, at the end those not measured; a heading sorts."""
    columns: list[tuple[str, str, Callable[[Any], Cell]]] = [
        ("cell", "label", lambda value: _number(value, ".0f")),
        ("status", "status", _status),
        ("confidence", "confidence", _confidence),
        ("x µm", "x", lambda value: _number(value, ".1f", 1000)),
        ("y µm", "y", lambda value: _number(value, ".1f", 1000)),
        ("z µm", "z", lambda value: _number(value, ".1f", 1000)),
        ("slices", "first_slice", lambda value: _number(value, ".0f")),
        ("nucleus µm³", "nucleus_volume", _number),
        ("cell µm³", "cell_volume", _number),
        ("ratio", "nucleus_to_cell", lambda value: _number(value, ".2f")),
        ("complete", "complete", _tick),
        ("time s", "seconds", _number),
        ("MiB", "peak_memory", lambda value: _number(value, ".0f")),
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
                row[position] = (span, record["first_slice"], "")
        remarks = _remarks(record)
        rows.append([*row, (escape(remarks), remarks, "reason")])
    return _table([*(head for head, _, _ in kept), "remarks"], rows, "sortable")


def _doubtful_first(cells: pd.DataFrame) -> pd.DataFrame:
    table = cells.sort_values("status", key=lambda status: status != "ok", kind="stable")
    if "confidence" in table:
        table = table.sort_values("confidence", kind="stable", na_position="last")
    return table


def quality_table(cells: pd.DataFrame) -> str:
    """What the confidence of each cell is made of; empty where nothing was measured."""
    if "confidence" not in cells or cells["confidence"].isna().all():
        return ""
    columns: list[tuple[str, str, Callable[[Any], Cell]]] = [
        ("cell", "label", lambda value: _number(value, ".0f")),
        ("confidence", "confidence", _confidence),
        ("nucleus wavers, nm", "nucleus_jitter", lambda value: _number(value, ".0f")),
        ("cell wavers, nm", "cell_jitter", lambda value: _number(value, ".0f")),
        ("nucleus leaps, %", "nucleus_jump", _percent),
        ("cell leaps, %", "cell_jump", _percent),
        ("no resin beside, %", "contact", _percent),
        ("nucleus bare, %", "nucleus_bare", _percent),
        ("at the window, %", "beyond_window", _percent),
        ("doubtful slices", "doubtful_slices", _text),
    ]
    kept = [column for column in columns if column[1] in cells]
    table = _doubtful_first(cells[cells["confidence"].notna()])
    rows = [[show(record[name]) for _, name, show in kept] for record in table.to_dict("records")]
    return _table([head for head, _, _ in kept], rows, "sortable")


def flags_legend(cells: pd.DataFrame) -> str:
    """What each flag that a cell has means."""
    said = [str(text or "").split(",") for text in cells.get("flags", ())]
    named = {flag for flags in said for flag in flags}
    rows = "".join(
        f"<tr><th>{escape(flag.replace('_', ' '))}</th><td>{escape(text)}</td></tr>"
        for flag, text in EXPLANATIONS.items()
        if flag in named
    )
    return f'<table class="facts"><tbody>{rows}</tbody></table>' if rows else ""


def _status(value: Any) -> Cell:
    text = escape(str(value))
    return f'<span class="badge {text}">{text.replace("_", " ")}</span>', str(value), "text"


def _confidence(value: Any) -> Cell:
    """A number, on the colour of trust, of some doubt or of much."""
    if _nothing(value):
        return "–", None, ""
    kind = "ok" if value >= 0.5 else "too_close_to_edge" if value >= 0.2 else "failed"
    return f'<span class="badge {kind}">{float(value):.2f}</span>', float(value), ""


def _percent(value: Any) -> Cell:
    return _number(value, ".0f", 0.01)


def _text(value: Any) -> Cell:
    text = "" if _nothing(value) else str(value)
    return escape(text), text, "reason"


def _tick(value: Any) -> Cell:
    return ("✓", 1, "") if bool(value) else ("–", 0, "")


_TOUCHES = {
    "touches_first_slice": "cut by the first slice",
    "touches_last_slice": "cut by the last slice",
    "touches_side": "cut by a side",
}


# The reason says the same, and more.
_TOLD = ("nucleus_cut", "larger_than_window", "two_nuclei", "no_nucleus", "no_resin")


def _remarks(record: Mapping[Any, Any]) -> str:
    """Reason, flags that it does not tell, and what cuts a segmented cell, in words."""
    reason = str(record.get("reason") or "")
    flags = str(record.get("flags") or "").split(",")
    parts = [reason, *(flag.replace("_", " ") for flag in flags if not (reason and flag in _TOLD))]
    volumes = [record[name] for name in ("nucleus_volume", "cell_volume") if name in record]
    if not volumes or not all(_nothing(volume) for volume in volumes):
        parts += [text for name, text in _TOUCHES.items() if record.get(name) is True]
    return "; ".join(part.strip() for part in parts if part.strip())


def facts_table(facts: Mapping[str, Any]) -> str:
    """Names and values; what is None or empty is left out."""
    rows = "".join(
        f"<tr><th>{escape(str(name))}</th><td>{escape(_value(value))}</td></tr>"
        for name, value in facts.items()
        if value is not None and value != ""
    )
    return f'<table class="facts"><tbody>{rows}</tbody></table>' if rows else ""


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def timings_table(timings: Mapping[str, float], spoken: Callable[[float], str]) -> str:
    """Seconds of each stage, with bars."""
    total = sum(timings.values())
    if not total:
        return ""
    rows = "".join(
        f"<tr><th>{escape(str(stage))}</th><td>{escape(spoken(seconds))}</td>"
        f'<td><div class="bar"><i style="width:{100 * seconds / total:.1f}%"></i></div></td></tr>'
        for stage, seconds in timings.items()
    )
    return f'<h3>Time</h3><table class="facts"><tbody>{rows}</tbody></table>'


def scores_table(scores: Mapping[str, Mapping[str, Any]]) -> str:
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
        row: list[Cell] = [(escape(name), name, "text")]
        row += [_number(score.get(key), form) for _, key, form in heads]
        middle, spread = ((score.get(f"slice_{kind}") or {}).get("ji") for kind in ("mean", "sd"))
        text = _number(middle, ".3f")[0]
        if not _nothing(spread) and not _nothing(middle):
            text += f" ± {spread:.3f}"
        rows.append([*row, (text, middle, "")])
    return (
        _table(["class", *(head for head, _, _ in heads), "JI per slice"], rows)
        + '<p class="note">Pooled over all voxels; last column: mean ± SD over slices that have '
        "the class. NPR is (1 + kappa) / 2.</p>"
    )


def instances_table(matched: Mapping[str, Mapping[str, Any]]) -> str:
    """Matched instances: a row a class and IoU threshold of 0.5, 0.7 and 0.9."""
    rows: list[list[Cell]] = []
    for name, found in matched.items():
        for level in found.get("thresholds", []):
            if level["iou"] in (0.5, 0.7, 0.9):
                row: list[Cell] = [(escape(name), name, "text"), _number(level["iou"])]
                row += [_number(level.get(key), ".0f") for key in ("tp", "fp", "fn")]
                row += [_number(level.get(key), ".3f") for key in ("precision", "recall", "f1")]
                rows.append(row)
    heads = ["instances", "IoU", "matched", "spurious", "missed", "precision", "recall", "F1"]
    notes = "; ".join(
        f"{name}: mean IoU of matched {_number(found.get('mean_iou'), '.3f')[0]}, mean average "
        f"precision {_number(found.get('mean_average_precision'), '.3f')[0]}"
        for name, found in matched.items()
    )
    return _table(heads, rows) + f'<p class="note">{escape(notes)}</p>'
