"""``review.csv``: which cells of a run a person has accepted or rejected."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Literal

import pandas as pd

from hela_dask.documents.reading import read_text
from hela_dask.editing.kinds import now
from hela_dask.errors import InputError, MissingInputError
from hela_dask.storage.files import write_csv

__all__ = ["DECISIONS", "REVIEW_FILE", "Decision", "read_review", "set_review"]

REVIEW_FILE = "review.csv"
"""The name in a run folder."""

Decision = Literal["accepted", "rejected", ""]
DECISIONS: tuple[Decision, ...] = ("accepted", "rejected", "")
"""Of a cell; empty: none, as for a cell without a row."""

_COLUMNS = ["label", "decision", "note", "by", "date"]


def read_review(run: str | Path) -> pd.DataFrame:
    """The review of the cells of a run.

    Parameters
    ----------
    run : path
        The run folder.

    Returns
    -------
    pandas.DataFrame
        ``label`` (int), ``decision`` (``accepted``, ``rejected`` or empty), ``note``, ``by`` and
        ``date``, and further columns of the file as texts; by label. Without rows where there is
        no file.

    Raises
    ------
    InputError
        For a file without these columns, a label that is no number or stands twice, and an unknown
        decision.
    """
    path = Path(run) / REVIEW_FILE
    _, rows = _read(path)
    table = pd.DataFrame(rows, columns=list(rows[0]) if rows else _COLUMNS, dtype=str)
    labels = [_label(path, number, row) for number, row in enumerate(rows, 1)]
    table["label"] = pd.Series(labels, dtype="int64")
    if table["label"].duplicated().any():
        label = table["label"][table["label"].duplicated()].iloc[0]
        raise InputError(f"{path}: cell {label} has two rows: keep one")
    for number, decision in enumerate(table["decision"], 1):
        if decision not in DECISIONS:
            raise InputError(
                f"{path}, row {number}: the decision is accepted, rejected or empty, not "
                f"{decision[:40]!r}"
            )
    return table.sort_values("label", ignore_index=True)


def set_review(
    run: str | Path, label: int, decision: Decision, note: str = "", by: str = ""
) -> None:
    """Write the decision on a cell of a run, with the time; other rows and columns stay.

    Parameters
    ----------
    run : path
        The run folder.
    label : int
        Of the cell.
    decision : str
        ``accepted``, ``rejected``, or empty for none.
    note, by : str
        A remark, and the name of the reviewer.

    Raises
    ------
    InputError
        For another decision, or a file that :func:`read_review` refuses.
    StorageError
        When it cannot be written.
    """
    if decision not in DECISIONS:
        raise InputError(f"a decision is accepted, rejected or empty, not {decision!r}")
    path = Path(run) / REVIEW_FILE
    read_review(run)
    names, rows = _read(path)
    new = {"label": str(label), "decision": decision, "note": note, "by": by, "date": now()}
    kept = next((row for row in rows if int(row["label"]) == label), None)
    if kept is None:
        rows.append({**dict.fromkeys(names, ""), **new})
    else:
        kept.update(new)
    rows.sort(key=lambda row: int(row["label"]))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_csv(path, text.getvalue())


def _read(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """The names of the columns, and the rows as texts."""
    try:
        content = read_text(path)
    except MissingInputError:
        return list(_COLUMNS), []
    try:
        lines = list(csv.reader(io.StringIO(content, newline=""), strict=True))
    except csv.Error as error:
        raise InputError(f"{path} is no CSV table: {error}") from error
    names = [name.strip() for name in lines[0]] if lines else []
    if missing := [name for name in _COLUMNS if name not in names]:
        raise InputError(f"{path} has no column {missing[0]!r}, but {', '.join(names)[:200]}")
    if len(set(names)) < len(names):
        raise InputError(f"{path} has two columns with one name: {', '.join(names)[:200]}")
    filled = [line for line in lines[1:] if any(field.strip() for field in line)]
    for number, line in enumerate(filled, 1):
        if len(line) > len(names):
            raise InputError(f"{path}, row {number} has more fields than there are columns")
    return names, [
        dict(zip(names, [*line, *[""] * (len(names) - len(line))], strict=True)) for line in filled
    ]


def _label(path: Path, number: int, row: dict[str, str]) -> int:
    """The label of a row."""
    text = row["label"].strip()
    if not text.isdecimal() or not 1 <= int(text) < 2**16:
        raise InputError(f"{path}, row {number}: label is {text[:40]!r}, not the number of a cell")
    return int(text)
