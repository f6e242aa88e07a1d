"""The cells table, stage by stage: from regions, through the segmentation, to measurements."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from hela_dask.errors import InputError, NothingToDoError
from hela_dask.formatting import listed, number_runs
from hela_dask.parameters import QualityParameters
from hela_dask.running.shapes import Measures
from hela_dask.statuses import (
    CHAIN_TOO_SHORT,
    CUT_BY_VOLUME,
    FAILED,
    JOINED,
    NOT_SELECTED,
    SEGMENTED,
    with_flag,
)
from hela_dask.steps.confidence import (
    CONFIDENCE_FLAGS,
    NUMBERS,
    compute_confidence,
    nucleus_withheld,
    slice_ranges,
)

__all__ = [
    "add_measurements",
    "add_quality",
    "add_segments",
    "add_shapes",
    "segmented_cells",
    "select_cells",
]

_EMPTY = "no tissue is left for it: its masks are empty, or neighbours hold all of them"

_TOUCHES = ["touches_first_slice", "touches_last_slice", "touches_side"]


def select_cells(
    cells: pd.DataFrame,
    labels: Collection[int] | None,
    box: tuple[tuple[float, float], ...] | None,
) -> set[int]:
    """Labels of the requested cells: by label, by their centre's place, or all.

    InputError for a label that no cell has, or a box in which there is no centre.
    """
    chosen = set(cells["label"].tolist())
    if labels is not None:
        if unknown := sorted(set(labels) - chosen):
            named = listed([str(label) for label in unknown])
            runs = number_runs(sorted(chosen))
            known = listed([f"{a}" if a == b else f"{a} to {b}" for a, b in runs])
            are = "is no cell" if len(unknown) == 1 else "are no cells"
            raise InputError(f"there {are} {named}: the cells are {known}")
        chosen &= set(labels)
    if box is not None:
        inside = np.ones(len(cells), bool)
        for name, (low, high) in zip("zyx", box, strict=True):
            inside &= ((cells[name] >= low) & (cells[name] < high)).to_numpy()
        chosen &= set(cells["label"][inside].tolist())
        if not chosen:
            raise InputError(f"no cell's centre lies in the box {_text(box)} nm (z, y, x)")
    return chosen


def segmented_cells(cells: pd.DataFrame) -> pd.DataFrame:
    """The rows of cells that have a nucleus or a cell in the labels."""
    names = [name for name in ("nucleus_volume", "cell_volume") if name in cells]
    return cells[cells[names].notna().any(axis=1)] if names else cells.iloc[:0]


def check_segmented(cells: pd.DataFrame, chosen: Collection[int]) -> None:
    """NothingToDoError with the reason where a chosen cell of the table has no labels."""
    known = set(segmented_cells(cells)["label"].tolist())
    if without := sorted(set(chosen) - known):
        row = cells.set_index("label").loc[without[0]]
        why = f": {row['reason']}" if row["reason"] else ""
        raise NothingToDoError(
            f"cell {without[0]} has no labels, its status is {row['status']}{why}"
        )


def _text(box: tuple[tuple[float, float], ...]) -> str:
    return ",".join(f"{low:g}:{high:g}" for low, high in box)


def add_segments(
    cells: pd.DataFrame, rows: Mapping[int, Mapping[str, Any]], chosen: Collection[int]
) -> pd.DataFrame:
    """The rows of the segmentation, joined to the table of regions.

    A cell that was not requested and has no masks gets the status ``not_selected``. Whether the
    volume cuts a cell is seen in its labels, by :func:`add_measurements`.
    """
    table = cells.copy()
    for name in ("seconds", "peak_memory"):
        table[name] = [
            float(rows.get(label, {}).get(name, np.nan)) for label in table["label"].tolist()
        ]
    for at, name in enumerate(f"box_{axis}{end}" for axis in "zyx" for end in (0, 1)):
        if name in table:  # windows may have grown since detection
            pairs = zip(table["label"].tolist(), table[name].tolist(), strict=True)
            table[name] = [_box(rows.get(label), at, old) for label, old in pairs]
    merged = [_status(cell, rows, chosen) for cell in table.to_dict("records")]
    for position, name in enumerate(("status", "reason", "flags")):
        table[name] = [item[position] for item in merged]
    return table


def _box(row: Mapping[str, Any] | None, at: int, known: float) -> float:
    """One of the six ends of a cell's window."""
    if row is None or row.get("box") is None:
        return known
    return float(row["box"][at // 2][at % 2])


def _status(
    cell: Mapping[Any, Any], rows: Mapping[int, Mapping[str, Any]], chosen: Collection[int]
) -> tuple[str, str, str]:
    """Status, reason and flags of one cell."""
    status, reason = str(cell["status"]), str(cell["reason"])
    flags = [flag for flag in str(cell["flags"]).split(",") if flag]
    row = rows.get(cell["label"])
    if row is None:
        if status != CHAIN_TOO_SHORT and cell["label"] not in chosen:
            status, reason = NOT_SELECTED, ""
    else:
        status, reason = str(row["status"]), str(row["reason"])
        flags += [flag for flag in str(row["flags"]).split(",") if flag]
    return status, reason, ",".join(dict.fromkeys(flags))


def add_quality(
    cells: pd.DataFrame,
    rows: Mapping[int, Mapping[str, Any]],
    parameters: QualityParameters,
    measured: pd.DataFrame | None = None,
    relabelled: Collection[int] = (),
) -> pd.DataFrame:
    """Confidence of each cell, with the current limits.

    `cells` are from :func:`add_segments`, `rows` those of the segmentation, by label. `measured`
    are the assembled labels: a slice that the cell has lost to a neighbour there does not count.
    Cells that are part of another have no confidence, nor do the `relabelled` ones: a person has
    changed their labels, and the numbers are of the segmentation. One that got a nucleus so has
    no flag that it lacks one.

    Adds the columns ``confidence``, :data:`~hela_dask.steps.confidence.NUMBERS` and
    ``doubtful_slices``, the flags of numbers over their limits, and ``nucleus_withheld`` with its
    reason where the labels therefore have no nucleus.
    """
    table, flags, reasons = cells.copy(), [], []
    found: dict[str, list[Any]] = {name: [] for name in ("confidence", *NUMBERS)}
    doubtful = []
    spans: dict[int, tuple[int, int]] = {}
    if measured is not None and not measured.empty:
        parts = (measured[name].tolist() for name in ("label", "first_slice", "last_slice"))
        spans = {label: (first, last) for label, first, last in zip(*parts, strict=True)}
    filled = _with_nucleus(measured, relabelled)
    columns = (table[name].tolist() for name in ("label", "status", "flags", "reason"))
    for label, status, flags_text, given in zip(*columns, strict=True):
        segmented = {} if status == JOINED else rows.get(label, {})
        row = {} if label in relabelled else segmented
        own = [flag for flag in str(flags_text).split(",") if flag and flag not in CONFIDENCE_FLAGS]
        reason = "" if label in filled and "no_nucleus" in own else given
        if label in filled:
            own = [flag for flag in own if flag != "no_nucleus"]
        confidence, over = compute_confidence(
            segmented, parameters, flags=str(segmented.get("flags", "")).split(",")
        )
        if nucleus_withheld(segmented, parameters) and label not in filled:
            own.append("nucleus_withheld")
            why = (
                f"the nucleus is withheld: confidence {confidence:.2f}, "
                f"under {parameters.withhold:g} ([quality] withhold)"
            )
            reasons.append(f"{reason}; {why}" if reason else why)
        else:
            reasons.append(reason)
        if label in relabelled:
            confidence, over = np.nan, []
        found["confidence"].append(confidence)
        for name in NUMBERS:
            value = row.get(name)
            found[name].append(np.nan if value is None else float(value))
        flags.append(",".join(dict.fromkeys((*own, *over))))
        doubt, first = row.get("instability", []), int(row.get("first", 1))
        doubtful.append(slice_ranges(doubt, first, parameters, spans.get(label)))
    table["flags"], table["reason"] = flags, reasons
    for name, values in found.items():
        table[name] = np.array(values, float)
    table["doubtful_slices"] = doubtful
    return table


def _with_nucleus(measured: pd.DataFrame | None, relabelled: Collection[int]) -> set[int]:
    """Of the relabelled cells those with a nucleus in the labels."""
    if measured is None or "nucleus_volume" not in measured:
        return set()
    return set(relabelled) & set(measured["label"][measured["nucleus_volume"].notna()].tolist())


def add_measurements(cells: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Volumes, and contacts of the labels with the volume's sides, joined to the table.

    A cell without labels has NaN, and one that is part of another touches nothing.

    A segmented cell with labels that touch the first or the last slice or a side gets the status
    ``cut_by_volume``; one without voxels in the labels has ``failed``. ``complete`` is true for the
    cells that are left with the status ``segmented``.
    """
    joined = cells.merge(measured, on="label", how="left", suffixes=("", "_labels"))
    for name in ["first_slice", "last_slice", *_TOUCHES, "complete"]:
        found = joined.pop(f"{name}_labels") if f"{name}_labels" in joined else joined.get(name)
        if found is None:
            continue
        earlier = cells[name] if name in cells else pd.Series(False, index=cells.index)
        values = [old if pd.isna(new) else new for old, new in zip(earlier, found, strict=True)]
        whole = name in ("first_slice", "last_slice")
        joined[name] = np.array(values, np.int64) if whole else np.array(values, bool)
    touching = joined[_TOUCHES].any(axis=1)
    empty = (joined["status"] == SEGMENTED) & joined["cell_volume"].isna()
    joined.loc[empty, "reason"] = _EMPTY
    joined.loc[empty, "status"] = FAILED
    joined.loc[(joined["status"] == SEGMENTED) & touching, "status"] = CUT_BY_VOLUME
    joined.loc[joined["status"] == JOINED, _TOUCHES] = False
    joined["complete"] = (joined["status"] == SEGMENTED).to_numpy()
    return joined


def add_shapes(cells: pd.DataFrame, measures: Measures) -> pd.DataFrame:
    """Measures of shape, and the number of neighbours, joined to the table.

    A cell without labels has NaN. One with a nucleus in several pieces gets the flag
    ``two_nuclei``. The table stays as it is where nothing was measured.
    """
    shapes, contacts = measures.shapes, measures.contacts
    if shapes is None or contacts is None:
        return cells
    touching = contacts[contacts["contact_area"] > 0]
    pairs = pd.concat([touching["label"], touching["other"]])
    counts = shapes["label"].map(pairs.value_counts()).fillna(0).astype("Int64")
    table = cells.merge(shapes.assign(n_neighbours=counts), on="label", how="left")
    several = (table["nucleus_pieces"] > 1).fillna(False).to_numpy(bool)
    table.loc[several, "flags"] = [
        with_flag(flags, "two_nuclei") for flags in table["flags"][several]
    ]
    return table
