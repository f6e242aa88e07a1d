"""The rows of the table of a review: one per cell, the least trustworthy first."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hela_dask.editing.edits import Edit, Edits
from hela_dask.statuses import CHAIN_TOO_SHORT, JOINED, NOT_SELECTED

__all__ = ["Row", "review_rows", "slice_spans"]

_LEFT_OUT = (CHAIN_TOO_SHORT, JOINED, NOT_SELECTED)
"""Statuses of rows without labels that are no cells, or are parts of another one."""

Span = tuple[int, int]


@dataclass(frozen=True)
class Row:
    """A cell as the table shows it."""

    label: int
    confidence: float  # NaN where there is none
    flags: str
    doubtful: str
    status: str
    reason: str
    decision: str
    note: str
    edits: int  # in the file of edits

    @property
    def spans(self) -> list[Span]:
        """First and last slice of each doubtful range, counted from 1."""
        return slice_spans(self.doubtful)


def slice_spans(text: str) -> list[Span]:
    """Ranges of slices from a text such as ``3-7, 20``.

    Examples
    --------
    >>> slice_spans("3-7, 20")
    [(3, 7), (20, 20)]
    """
    spans = []
    for part in text.split(","):
        numbers = [int(number) for number in re.findall(r"\d+", part)]
        if numbers:
            spans.append((numbers[0], numbers[-1]))
    return spans


def review_rows(cells: pd.DataFrame, review: pd.DataFrame, edits: Edits) -> list[Row]:
    """Rows by rising confidence; cells without a confidence come last."""
    decisions = _by_label(review)
    counts = _count(edits.edits)
    rows = [
        _row(cell, decisions.get(int(cell["label"]), {}), counts[int(cell["label"])])
        for cell in cells[~cells["status"].isin(_LEFT_OUT)].to_dict("records")
    ]
    return sorted(rows, key=lambda row: (math.isnan(row.confidence), row.confidence, row.label))


def _by_label(review: pd.DataFrame) -> dict[int, Mapping[Any, Any]]:
    return {int(row["label"]): row for row in review.to_dict("records")}


def _count(edits: Iterable[Edit]) -> Counter[int]:
    return Counter(label for edit in edits for label in (*edit.changed, *edit.made))


def _row(cell: Mapping[Any, Any], decision: Mapping[Any, Any], edits: int) -> Row:
    confidence = cell.get("confidence", math.nan)
    return Row(
        label=int(cell["label"]),
        confidence=math.nan if pd.isna(confidence) else float(confidence),
        flags=_text(cell.get("flags")).replace(",", ", "),
        doubtful=_text(cell.get("doubtful_slices")),
        status=_text(cell.get("status")),
        reason=_text(cell.get("reason")),
        decision=_text(decision.get("decision")),
        note=_text(decision.get("note")),
        edits=edits,
    )


def _text(value: Any) -> str:
    return "" if value is None or pd.isna(value) else str(value)
