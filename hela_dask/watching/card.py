"""The status of a run as a card for notebooks."""

from __future__ import annotations

from hela_dask.formatting import counted, size_text, time_text
from hela_dask.pages import Card, Frame, make_card
from hela_dask.statuses import count_words
from hela_dask.tasks.process import process_text
from hela_dask.watching.state import STATES, RunState

__all__ = ["status_card"]

_KINDS = {"running": "good", "finished": "good", "interrupted": "fair", "silent": "fair"}
_MOST = 8  # failures and warnings
_LONGEST = 300  # characters of one


def status_card(found: RunState) -> Card:
    """The stages, failures and the way to continue."""
    progress = found.progress
    seconds, process = progress.get("seconds"), found.process
    running = found.state == "running"
    facts = {
        "state": STATES[found.state],
        "error": found.error,
        "process": process_text(process) if process and running else "",
        "time": "" if seconds is None else time_text(seconds),
        "workers": _workers(found) if running else "",
        "waiting for": progress.get("waiting_for") if running else "",
        "cells": count_words(found.statuses) if found.statuses else "",
        "continue with": "" if found.state == "finished" or running else found.command,
        "report": found.report,
    }
    warnings = [*found.notes, *(progress.get("warnings") or [])]
    return make_card(
        f"Run {found.path}",
        facts,
        state=_KINDS.get(found.state, "poor"),
        badge=found.state,
        warnings=tuple(str(text)[:_LONGEST] for text in warnings[-_MOST:]),
        tables=(("", _stages(found)), ("failed", _failed(found))),
    )


def _stages(found: RunState) -> Frame:
    rows = []
    for stage in found.progress.get("stages") or ():
        left = "" if stage["ended"] else time_text(stage["left_seconds"])
        count = f"{stage['done']}/{stage['total']} {stage['unit']}".rstrip()
        failed = str(stage["failed"] or "")
        rows.append((str(stage["name"]), count, time_text(stage["seconds"]), left, failed))
    if found.state != "finished":
        rows += [(str(name), "to come", "", "", "") for name in _to_come(found)]
    return Frame(("stage", "done", "time", "left", "failed"), tuple(rows))


def _to_come(found: RunState) -> list[object]:
    return list(found.progress.get("stages_to_come") or ())


def _workers(found: RunState) -> str:
    workers = found.progress.get("workers")
    if not workers:
        return ""
    held, limit = workers["memory_bytes"], workers["memory_limit_bytes"]
    memory = size_text(held) + (f" of {size_text(limit)}" if limit else "")
    return f"{counted(workers['alive'], 'worker')}, memory {memory}"


def _failed(found: RunState) -> Frame:
    """Failed cells, or failed units of any stage."""
    rows = [(f"cell {label}", reason) for label, reason in found.failed_cells]
    if not rows:
        failures = found.progress.get("failures") or ()
        rows = [(f"{item['stage']} {item['unit']}", str(item["error"])) for item in failures]
    shown = tuple((name, text[:_LONGEST]) for name, text in rows[-_MOST:])
    return Frame(("unit", "reason"), shown, max(0, len(rows) - _MOST))
