"""Finished units with missing or changed files: found when a run starts, and named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from hela_dask.storage.scratch import read_scratch
from hela_dask.tasks.markers import Marker, Markers
from hela_dask.tasks.units import Row, Unit

__all__ = ["count_changed", "forget_damaged", "is_scratch", "read_finished"]


def forget_damaged(
    markers: Markers,
    units: Sequence[Unit],
    files: str,
    consequence: str,
    info: Callable[[str], None],
) -> list[Marker]:
    """Declare finished `units` of a stage unfinished if their files are not as written.

    `files` is the kind of the files for the message (``"files of the labels"``), `consequence` what
    follows (``"their slabs are written again"``); `info` gets one sentence, where there is any
    damage. Returns the markers that stay finished.
    """
    damaged, kept = [], []
    for unit in units:
        marker = markers.finished(unit.stage, unit.name, unit.fingerprint)
        found = [] if marker is None else markers.mismatches(marker)
        if found:
            damaged += found
            markers.forget(unit.stage, unit.name)
        elif marker is not None:
            kept.append(marker)
    if damaged:
        path, problem = damaged[0]
        more = f", and {len(damaged) - 1} more" if damaged[1:] else ""
        info(f"{files} are missing or changed ({path} {problem}{more}): {consequence}")
    return kept


def read_finished(markers: Markers, units: Sequence[Unit]) -> dict[str, Row] | None:
    """Rows of units by name; None where one is unfinished, or a file missing or changed."""
    rows = {}
    for unit in units:
        marker = markers.finished(unit.stage, unit.name, unit.fingerprint)
        if marker is None or markers.mismatches(marker):
            return None
        rows[unit.name] = marker.result
    return rows


def count_changed(markers: Markers, units: Sequence[Unit]) -> int:
    """How many units were finished by an earlier call that asked for something else."""
    found = (markers.read(unit.stage, unit.name) for unit in units)
    return sum(
        marker is not None and marker.fingerprint != unit.fingerprint
        for marker, unit in zip(found, units, strict=True)
    )


def is_scratch(path: Path, shape: tuple[int, ...]) -> bool:
    """Whether there is a scratch array of this shape that can be opened."""
    try:
        return read_scratch(path).shape == shape
    except (OSError, ValueError, KeyError, TypeError):
        return False
