"""The status of a run as text: lines for files and pipes, the same with colours on a terminal."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hela_dask.formatting import counted, size_text, time_text
from hela_dask.statuses import count_words
from hela_dask.tasks.process import process_text
from hela_dask.watching.state import RunState
from hela_dask.watching.times import local_time

if TYPE_CHECKING:
    from rich.text import Text


__all__ = ["coloured", "status_lines", "summary"]

_BAR = 24  # characters
_SHOWN = 8  # failures and warnings
_LONGEST = 300  # characters of a failure; --json has all
_COLOURS = {"running": "cyan", "finished": "green", "interrupted": "yellow"}
_STYLES = {"warning": "yellow", "note": "yellow", "error": "red"}
_WORDS = {
    "running": "runs",
    "finished": "is finished",
    "failed": "has failed",
    "interrupted": "was interrupted",
    "killed": "was killed",
    "silent": "is silent",
}


def status_lines(found: RunState, *, unicode: bool = False) -> list[str]:
    """The lines of the screen; `unicode`: bars and ticks of block characters."""
    lines = [_head(found), *_explained(found)]
    if stages := found.progress.get("stages"):
        running = found.state == "running"
        to_come = found.progress["stages_to_come"] if found.state != "finished" else ()
        lines += ["", *_stages(stages, to_come, running, unicode)]
    elif found.units:
        done = ", ".join(f"{name} {number}" for name, number in sorted(found.units.items()))
        lines.append(f"finished units by stage: {done}")
    lines += _work(found) if found.state in ("running", "silent") else []
    if found.statuses:
        lines += ["", count_words(found.statuses)]
    lines += _failures(found)
    lines += [f"note: {text}" for text in found.notes]
    if warnings := found.progress.get("warnings"):
        lines += ["", *(f"warning: {text}" for text in warnings[-_SHOWN:])]
    lines += _end(found)
    return lines


def summary(found: RunState) -> str:
    """One line: the state, and the stage that is under way."""
    text = f"{found.path} {_WORDS[found.state]}"
    stages = found.progress.get("stages")
    if not stages:
        return text
    last = stages[-1]
    text += f": {last['name']} {last['done']}/{last['total']} {last['unit']}".rstrip()
    if last["failed"]:
        text += f", {last['failed']} failed"
    if not last["ended"] and last["left_seconds"] is not None:
        text += f", left {time_text(last['left_seconds'])}"
    waiting = found.progress.get("waiting_for")
    return f"{text}; waiting for {waiting}" if waiting else text


def coloured(found: RunState, *, unicode: bool) -> Text:
    """The lines for a terminal."""
    from rich.text import Text

    lines = status_lines(found, unicode=unicode)
    text = Text().append(lines[0], style=f"bold {_COLOURS.get(found.state, 'red')}")
    for line in lines[1:]:
        start = line.partition(":")[0]
        text.append(f"\n{line}", style=_STYLES.get(start, ""))
    text.highlight_regex("[━#]+", "green")
    text.highlight_regex(r"[╌.]{6,}", "dim")
    return text


def _head(found: RunState) -> str:
    """One line: the run, its state, its time."""
    text = f"{found.path} {_WORDS[found.state]}"
    seconds = found.progress.get("seconds")
    if seconds is None:
        ended = str(found.record.get("finished") or "")
        return f"{text}: ended {local_time(ended)}" if ended else text
    begun = local_time(str(found.progress.get("started")))
    return f"{text}: started {begun}, {time_text(seconds)}"


def _explained(found: RunState) -> list[str]:
    """The reason of a state that is neither running nor finished, and the way to continue."""
    process, last = found.process, local_time(str(found.progress.get("written") or ""))
    who = process_text(process) if process else "its process"
    if found.state == "running":
        return [f"{who}, hela_dask {found.progress.get('version') or ''}".rstrip(" ,")]
    lines = {
        "finished": [],
        "failed": [f"error: {found.error or 'not known'}"],
        "interrupted": ["by Ctrl-C or SIGTERM" + (f", at {last}" if last else "")],
        "killed": [
            f"{who} has ended without an error message" + (f", after {last}" if last else ""),
            "likely: it was killed, its job reached its wall time, or the machine went down",
        ],
        "silent": [
            f"{who} cannot be looked at from here, and its heartbeat does not move"
            + (f": the last one is of {last}, by the clock there" if last else ""),
        ],
    }[found.state]
    if found.state != "finished":
        if found.command:
            how = ", in an allocation after srun or mpirun" if found.in_allocation else ""
            lines += [f"finished work is kept; this command continues{how}:", f"  {found.command}"]
        else:
            lines.append("finished work is kept; the same command as before continues")
    return lines


def _stages(
    stages: Sequence[Mapping[str, Any]], to_come: Sequence[str], running: bool, unicode: bool
) -> list[str]:
    """A line per stage."""
    width = max(len(name) for name in (*(stage["name"] for stage in stages), *to_come))
    lines = []
    for stage in stages:
        total, done = stage["total"], stage["done"]
        share = done / total if total else 1.0
        text = f"{stage['name']:<{width}}  {_bar(share, unicode)}  {done}/{total} {stage['unit']}"
        more = [time_text(stage["seconds"])]
        if stage["done_before"]:
            more.append(f"{stage['done_before']} done before")
        if stage["failed"]:
            more.append(f"{stage['failed']} failed")
        if running and not stage["ended"]:
            if stage["in_flight"]:
                more.append(f"{stage['in_flight']} submitted")
            left = stage["left_seconds"]
            more.append(f"left {time_text(left)}")
        lines.append(f"{text.rstrip():<{width + _BAR + 24}}  {', '.join(more)}")
    return lines + [f"{name:<{width}}  {_bar(0.0, unicode)}  to come" for name in to_come]


def _bar(share: float, unicode: bool) -> str:
    full = min(_BAR, int(share * _BAR))
    return ("━" if unicode else "#") * full + ("╌" if unicode else ".") * (_BAR - full)


def _work(found: RunState) -> list[str]:
    """Workers, memory, the dashboard, and the reason of a wait."""
    lines = []
    if workers := found.progress.get("workers"):
        held, limit = workers["memory_bytes"], workers["memory_limit_bytes"]
        text = counted(workers["alive"], "worker")
        text += f", {counted(workers['executing'], 'task')} in progress"
        text += f", memory {size_text(held)}" + (f" of {size_text(limit)}" if limit else "")
        if workers["spilled_bytes"]:
            text += f", {size_text(workers['spilled_bytes'])} moved to disk"
        if workers["lost"]:
            text += f"; {counted(workers['lost'], 'worker')} lost so far"
        lines.append(text)
    if waiting := found.progress.get("waiting_for"):
        lines.append(f"waiting for {waiting}")
    if dashboard := found.progress.get("dashboard"):
        if dashboard["ssh"]:
            lines.append(f"dashboard: {dashboard['ssh']}")
            lines.append(f"           then open {dashboard['address']}")
        else:
            lines.append(f"dashboard: {dashboard['address']}")
    return ["", *lines] if lines else []


def _failures(found: RunState) -> list[str]:
    """Failed cells and units with their reasons."""
    if found.failed_cells:
        texts = [f"cell {label}: {reason}" for label, reason in found.failed_cells]
        number = found.statuses.get("failed", len(texts))
    else:
        failures = found.progress.get("failures") or []
        texts = [f"{item['stage']} {item['unit']}: {item['error']}" for item in failures]
        number = found.progress.get("n_failures") or 0
    texts = [text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..." for text in texts]
    if not texts:
        return []
    lines = ["", f"{number} failed:", *(f"  {text}" for text in texts[-_SHOWN:])]
    return [*lines, f"  and {number - _SHOWN} more"] if number > _SHOWN else lines


def _end(found: RunState) -> list[str]:
    """Where the results of a finished run are."""
    if found.state != "finished":
        return []
    lines = [f"report: {found.report}"] if found.report else []
    if (found.path / "cells.csv").is_file():
        lines.append(f"table: {found.path / 'cells.csv'}")
    labels = found.record.get("labels")
    if isinstance(labels, dict) and labels:
        way = Path(os.path.normpath(Path(found.path, str(next(iter(labels.values())))).parent))
        if way.is_dir():  # a folder may have been copied alone
            lines.append(f"labels: {way}")
    return ["", *lines] if lines else []
