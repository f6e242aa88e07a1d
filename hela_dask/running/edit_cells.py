"""Edits in the table of cells: each is of the cell that it was made on, and marks its row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hela_dask.editing.edits import (
    Add,
    Edit,
    Edits,
    Merge,
    Move,
    Paint,
    Remove,
    Split,
    edit_text,
)
from hela_dask.errors import InputError
from hela_dask.running.centres import correct_cells
from hela_dask.statuses import JOINED, NO_RESIN, OUTLINED, SEGMENTED, with_flag
from hela_dask.storage.metadata import Image
from hela_dask.types import Triple

__all__ = ["add_edits", "edit_centres", "first_labels", "relabelled_cells"]

_PLACE = ["z", "y", "x"]


def edit_centres(
    cells: pd.DataFrame, edits: Edits | None, image: Image, path: str | Path | None
) -> pd.DataFrame:
    """Move, add and remove cells as the edits have it; all others keep label and centre.

    Parameters
    ----------
    cells : DataFrame
        As found, or given, and corrected.
    edits : Edits, optional
    image : Image
        The volume.
    path : path, optional
        The file of the edits, for errors.

    Returns
    -------
    pandas.DataFrame
        As from :func:`hela_dask.running.centres.correct_cells`.

    Raises
    ------
    InputError
        For an edit of a cell that is not there, or lies elsewhere than when the edit was made; and
        for a new label that a cell has.
    """
    if edits is None or not edits.edits:
        return cells
    places = _check_cells(cells, edits.edits, str(path))
    if not places:
        return cells
    rows = [
        {"label": float(label), **dict(zip(_PLACE, place or (np.nan,) * 3, strict=True))}
        for label, place in places.items()
    ]
    return correct_cells(cells, pd.DataFrame(rows), image, str(path))


def _check_cells(
    cells: pd.DataFrame, edits: tuple[Edit, ...], path: str
) -> dict[int, Triple | None]:
    """The new centre of each cell that is moved, added or removed (None); checks all edits."""
    places = [(float(z), float(y), float(x)) for z, y, x in cells[_PLACE].to_numpy()]
    found: dict[int, Triple] = dict(zip(map(int, cells["label"]), places, strict=True))
    now, changed = dict(found), dict[int, Triple | None]()
    made: set[int] = set()
    joined: set[int] = set()  # segmented for other cells too: their removal removes labels only
    for number, edit in enumerate(edits, 1):
        place = f"{path}: {edit_text(number, edit)}"
        for label, centre in edit.centred:
            if label not in made:
                _check_identity(place, label, centre, (now, found))
        for label in edit.made:
            if label in now or label in found:
                raise InputError(
                    f"{place}: label {label} is already used by a cell of the table: choose another"
                )
        if isinstance(edit, Move):
            now[edit.cell] = changed[edit.cell] = edit.to
        elif isinstance(edit, Add):
            now[edit.cell] = changed[edit.cell] = edit.at
        elif isinstance(edit, Split | Merge):
            made.update(edit.made)
            joined.update(edit.changed, edit.made)
        elif isinstance(edit, Remove) and edit.cell not in joined:
            del now[edit.cell]
            if edit.cell in found:
                changed[edit.cell] = None
            else:
                del changed[edit.cell]
    return changed


def _check_identity(
    place: str, label: int, centre: Triple | None, tables: tuple[dict[int, Triple], ...]
) -> None:
    """Refuse an edit of a missing cell, or with a centre that is nearest to another cell."""
    if centre is None:
        if all(label not in table for table in tables):
            raise InputError(f"{place} is of cell {label}, and there is no cell {label}")
        return
    nearest = [_nearest(table, centre) for table in tables]
    if label in nearest:
        return
    at = f"z, y, x = {', '.join(f'{length:g}' for length in centre)} nm"
    if all(label not in table for table in tables):
        raise InputError(f"{place} is of cell {label} at {at}, and there is no cell {label}")
    raise InputError(f"{place} is of cell {label} at {at}, where cell {nearest[0]} is now")


def _nearest(table: dict[int, Triple], centre: Triple) -> int:
    """The label of the cell nearest to a place."""
    labels = list(table)
    away = np.array([table[label] for label in labels]) - centre
    return labels[int(np.argmin((away**2).sum(axis=1)))]


def first_labels(edits: Edits | None, labels: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """Labels of the cells that are segmented for some labels: a part is one of the split cell."""
    if labels is None or edits is None:
        return labels
    origin: dict[int, int] = {}
    for edit in edits.edits:
        if isinstance(edit, Split):
            origin |= {part: origin.get(edit.cell, edit.cell) for part in edit.made}
    return tuple(sorted({origin.get(label, label) for label in labels}))


def add_edits(cells: pd.DataFrame, edits: Edits | None, measured: pd.DataFrame) -> pd.DataFrame:
    """The rows of edited cells, as the edits have it.

    A cell that was merged into another has the status ``joined`` with the reason; a part of a
    split cell gets a row; a removed cell has none; a cell that was painted or got those of others,
    and has voxels, counts as segmented. Adds the flag ``edited``, and the columns ``edited_by`` and
    ``edited_on`` of the last edit.

    Parameters
    ----------
    cells : DataFrame
        From :func:`hela_dask.running.tables.add_segments`.
    edits : Edits, optional
        The table stays as it is where there are none.
    measured : DataFrame
        The labels, from :func:`hela_dask.steps.measure.measurements`.
    """
    if edits is None or not edits.edits:
        return cells
    rows: dict[int, dict[Any, Any]] = {int(row["label"]): row for row in cells.to_dict("records")}
    for row in rows.values():
        row |= {"edited_by": "", "edited_on": ""}
    filled = set(measured["label"][measured["cell_volume"].notna()].tolist())
    for edit in edits.edits:
        _apply(rows, edit)
        for label in (*edit.changed, *edit.made):
            if label in rows:
                rows[label] |= {
                    "flags": with_flag(rows[label]["flags"], "edited"),
                    "edited_by": edit.by,
                    "edited_on": edit.on,
                }
        given = edit.changed[0] if isinstance(edit, Paint | Merge) else 0
        if given in rows and given in filled:
            row = rows[given]
            if row["status"] not in (*OUTLINED, NO_RESIN):
                row |= {"status": SEGMENTED, "reason": ""}
    table = pd.DataFrame(list(rows.values()), columns=[*cells.columns, "edited_by", "edited_on"])
    return table.astype(dict(cells.dtypes)).sort_values("label", ignore_index=True)


def relabelled_cells(edits: Edits | None) -> set[int]:
    """Labels of the cells that edits of the finished labels name."""
    if edits is None:
        return set()
    kinds = [edit for edit in edits.edits if isinstance(edit, Merge | Split | Paint)]
    return {label for edit in kinds for label in (*edit.changed, *edit.made)}


def _apply(rows: dict[int, dict[Any, Any]], edit: Edit) -> None:
    """Change the rows of the cells of an edit."""
    if isinstance(edit, Merge):
        kept, *others = edit.cells
        reason = f"merged into cell {kept} by {edit.by}{f' on {edit.on}' if edit.on else ''}"
        for label in others:
            rows[label] |= {"status": JOINED, "reason": reason}
    elif isinstance(edit, Split):
        parent = rows[edit.cell]
        for label, point in zip(edit.cells[1:], edit.points[1:], strict=True):
            rows[label] = {
                **parent,
                **dict(zip(_PLACE, point, strict=True)),
                "label": label,
                "height": np.nan,
                "n_detections": 0,
                "flags": "",
                "seconds": np.nan,
                "peak_memory": np.nan,
            }
    elif isinstance(edit, Remove):
        rows.pop(edit.cell, None)
