"""Edits and cells in words, for the lists of the panel."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hela_dask.editing.edits import Add, Edit, Merge, Move, Paint, Remove, Split
from hela_dask.formatting import listed
from hela_dask.geometry import Geometry
from hela_dask.napari.rows import Row
from hela_dask.statuses import status_text

__all__ = ["cell_text", "cells_text", "edit_text"]


def edit_text(edit: Edit, geometry: Geometry) -> str:
    """An edit as a line: its kind, its cells, and its slice, counted from 1."""
    match edit:
        case Move():
            return f"move the centre of cell {edit.cell} to slice {geometry.index(edit.to)[0] + 1}"
        case Add():
            return f"add cell {edit.cell} in slice {geometry.index(edit.at)[0] + 1}"
        case Remove():
            return f"remove cell {edit.cell}"
        case Merge():
            return f"merge {cells_text(edit.cells[1:])} into cell {edit.cells[0]}"
        case Split():
            return f"split cell {edit.cell} into {cells_text(edit.cells)}"
        case Paint():
            part = "nucleus of " if edit.compartment == "nucleus" else ""
            pixels = sum(edit.runs[1::2])
            return f"{edit.kind} {part}cell {edit.cell} in slice {edit.slice + 1} ({pixels} pixels)"


def cells_text(labels: Sequence[int]) -> str:
    """Labels in a sentence: cell 3, or cells 3, 4 and 5."""
    return f"cell{'s' * (len(labels) > 1)} {listed([str(label) for label in labels])}"


def cell_text(row: Row, number: int) -> str:
    """The selected cell: its status, confidence, and the slice that is shown, from 0."""
    parts = [f"Cell {row.label}", status_text(row.status)]
    if not math.isnan(row.confidence):
        parts.append(f"confidence {row.confidence:.2f}")
    parts.append(f"slice {number + 1} is shown")
    if any(first <= number + 1 <= last for first, last in row.spans):
        parts[-1] += ", a doubtful one"
    lines = [" · ".join(parts)]
    if row.flags:
        lines.append(f"flags: {row.flags.replace('_', ' ')}")
    if row.reason:
        lines.append(row.reason)
    return "\n".join(lines)
