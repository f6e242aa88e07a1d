"""Rows of a check: a property, its state, and the change that repairs it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hela_dask.pages import Card, Frame, make_card

__all__ = ["Row", "row_card", "row_lines"]

_WIDTH = 78  # characters of a line


@dataclass(frozen=True)
class Row:
    """A property of a cluster or a machine.

    Attributes
    ----------
    name : str
        The property.
    state : {"ok", "warning", "failed", "skipped"}
        Runs work with a warning, but may be slow or end early.
    found : str
        The measurement, or the fault.
    advice : str
        The change that repairs it; empty where none is needed.
    """

    name: str
    state: Literal["ok", "warning", "failed", "skipped"]
    found: str
    advice: str = ""


def row_card(title: str, rows: Sequence[Row], seconds: float, good: str) -> Card:
    """Rows as a card for a notebook; its badge is `good` where nothing failed."""
    failed = sum(row.state == "failed" for row in rows)
    warned = any(row.state == "warning" for row in rows)
    cells = tuple((row.name, row.state, row.found, row.advice) for row in rows)
    return make_card(
        title,
        {"time": f"{seconds:.0f} s"},
        state="poor" if failed else "fair" if warned else "good",
        badge=f"{failed} failed" if failed else good,
        tables=(("", Frame(("property", "state", "found", "advice"), cells)),),
    )


def row_lines(rows: Sequence[Row]) -> list[str]:
    """Rows as lines of a table, with their states and advice."""
    width = max((len(row.name) for row in rows), default=0)
    return [line for row in rows for line in _lines(row, width)]


def _lines(row: Row, width: int) -> list[str]:
    """A row as lines: its text is wrapped beside its name."""
    head = f"{row.state:<7}  {row.name:<{width}}  "
    room = max(40, _WIDTH - len(head))
    texts = textwrap.wrap(row.found, room, break_on_hyphens=False) or [""]
    if row.advice:
        texts += textwrap.wrap(f"-> {row.advice}", room, break_on_hyphens=False)
    return [f"{head if at == 0 else ' ' * len(head)}{text}" for at, text in enumerate(texts)]
