"""The result for each cell: the statuses of the cells table, their sentences and counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hela_dask.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CHAIN_TOO_SHORT",
    "CUT_BY_VOLUME",
    "DETECTED",
    "FAILED",
    "JOINED",
    "NOT_SELECTED",
    "NO_RESIN",
    "OUTLINED",
    "SEGMENTED",
    "STATUSES",
    "check_statuses",
    "count_flag",
    "count_text",
    "count_words",
    "status_text",
    "with_flag",
]

SEGMENTED: Final = "segmented"
CUT_BY_VOLUME: Final = "cut_by_volume"
NO_RESIN: Final = "no_resin"
CHAIN_TOO_SHORT: Final = "chain_too_short"
NOT_SELECTED: Final = "not_selected"
JOINED: Final = "joined"
FAILED: Final = "failed"
DETECTED: Final = "detected"

STATUSES: Final[Mapping[str, tuple[str, str]]] = {
    SEGMENTED: (
        "whole",
        "outlined and whole: no part of it lies outside the volume",
    ),
    CUT_BY_VOLUME: (
        "cut by the volume",
        "outlined, labelled and measured, but a part of it lies outside the volume: leave it out "
        "of statistics",
    ),
    NO_RESIN: (
        "without resin in view",
        "no resin is visible around it: its nucleus is outlined, the cell is not",
    ),
    CHAIN_TOO_SHORT: (
        "seen in too few slices",
        "detected in too few slices, or too small there, to be a cell",
    ),
    NOT_SELECTED: ("not selected", "not among the cells that --cells or --box selects"),
    JOINED: (
        "part of another cell",
        "a part of another cell, which has its voxels: no boundary separates them, or a person has "
        "merged them",
    ),
    FAILED: ("failed", "segmentation failed, see the reason"),
    DETECTED: ("detected", "detected, and not segmented so far"),
}
"""Of each status: the words of a count, and a sentence. In the order in which they are counted."""

OUTLINED: Final = (SEGMENTED, CUT_BY_VOLUME)
"""Statuses of cells that are in ``labels/cells``."""


_WITHOUT_NUCLEUS = {"no_nucleus": "no nucleus found", "nucleus_withheld": "nucleus withheld"}


def status_text(status: str) -> str:
    """A status as words for people."""
    return STATUSES[status][0] if status in STATUSES else status.replace("_", " ")


def count_text(cells: pd.DataFrame) -> str:
    """One sentence that counts all cells of a table; its numbers add up.

    Parameters
    ----------
    cells : DataFrame
        With ``status`` and ``flags``, as in ``cells.parquet``.

    Returns
    -------
    str
        As ``14 cells outlined: 6 whole, 8 cut by the volume; 5 not segmented: 5 seen in too few
        slices``; then how many of the outlined cells have no nucleus, if any.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"status": ["segmented", "failed"], "flags": ["no_nucleus", ""]})
    >>> count_text(table)
    '1 cell outlined: 1 whole; 1 not segmented: 1 failed; no nucleus found in 1 outlined cell'
    """
    parts = [count_words(Counter(map(str, cells["status"])))]
    shown = cells[cells["status"].isin(OUTLINED)]
    for flag, words in _WITHOUT_NUCLEUS.items():
        if number := count_flag(shown, flag):
            parts.append(f"{words} in {number} outlined cell{'' if number == 1 else 's'}")
    return "; ".join(parts)


def count_words(numbers: Mapping[str, int]) -> str:
    """One sentence that counts cells by their statuses, as :func:`count_text` without flags.

    Examples
    --------
    >>> count_words({"segmented": 2, "cut_by_volume": 1, "chain_too_short": 5})
    '3 cells outlined: 2 whole, 1 cut by the volume; 5 not segmented: 5 seen in too few slices'
    """
    counts = Counter(numbers)
    outlined = sum(counts[status] for status in OUTLINED)
    parts = []
    if outlined or not counts[DETECTED]:
        parts.append(_counted("outlined", outlined, {name: counts[name] for name in OUTLINED}))
    if counts[DETECTED]:
        parts.append(f"{_cells(counts[DETECTED])} detected")
    rest = {
        name: counts[name]
        for name in (*STATUSES, *sorted(set(counts) - set(STATUSES)))
        if name not in (*OUTLINED, DETECTED)
    }
    if missing := sum(rest.values()):
        parts.append(f"{missing} not segmented: {_listed(rest)}")
    return "; ".join(parts)


def count_flag(cells: pd.DataFrame, flag: str) -> int:
    """How many cells have a flag."""
    if "flags" not in cells:
        return 0
    return sum(flag in str(flags).split(",") for flags in cells["flags"])


def with_flag(flags: object, flag: str) -> str:
    """The flags of a cell with one more, once."""
    return ",".join(dict.fromkeys([*filter(None, str(flags).split(",")), flag]))


def _counted(what: str, number: int, parts: Mapping[str, int]) -> str:
    listed = _listed(parts)
    return f"{_cells(number)} {what}{f': {listed}' if listed else ''}"


def _listed(parts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {status_text(name)}" for name, number in parts.items() if number)


def _cells(number: int) -> str:
    return f"{number} cell{'' if number == 1 else 's'}"


def check_statuses(cells: pd.DataFrame, path: str | Path) -> None:
    """Refuse a table of cells with statuses that this version does not write.

    Raises
    ------
    InputError
        For a status that is not one of :data:`STATUSES`, as earlier versions wrote.
    """
    if "status" not in cells:
        return
    unknown = [status for status in map(str, cells["status"]) if status not in STATUSES]
    if unknown:
        raise InputError(
            f"{path} has the status {unknown[0]!r}, which is none of {', '.join(STATUSES)}: "
            "another version of hela_dask wrote it; start hela-dask run again"
        )
