"""Conclusions of the comparison of methods: shares learned from, slices held out, commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.stacks import UNSEEN

__all__ = ["ALONE", "COMPARED", "CONTROL", "PUBLISHED", "UNTAUGHT"]
__all__ += ["by_commit", "compare_splits", "drawn", "held_out", "learned"]

COMPARED: dict[str, tuple[int, ...]] = {"nucleus": (2,), "cell": (1, 2, 5)}
"""Classes that are compared, and their values in the truth."""
PUBLISHED = ", published numbers"
"""Ends the name of a row that uses the published parameters."""
ALONE = ", network alone"
"""Ends the name of a row of a network that is not combined with membranes."""
UNTAUGHT = "without ImageNet weights"
"""Reservation about a network that was trained from random weights."""
CONTROL = "volumetric"
"""The method that learned from no slice."""

Rows = Mapping[str, Mapping[str, Any]]


def drawn(rows: Rows) -> dict[str, Any]:
    """Rows that are drawn slice by slice: one per network, and none without its weights."""
    return {
        name: row
        for name, row in rows.items()
        if not name.endswith((PUBLISHED, ALONE))
        and row.get("split") != "random"
        and UNTAUGHT not in row.get("reservations", ())
    }


def by_commit(
    rows: Rows, machine: Mapping[str, Any]
) -> list[tuple[tuple[str, str, str], list[str]]]:
    """Names of rows by the day, the commit and the machine of their measurement, in that order.

    `machine` is that of rows without one.
    """
    found: dict[tuple[str, str, str], list[str]] = {}
    for name, row in rows.items():
        own = row.get("machine", machine)
        place = row["measured"], row["commit"], f"{own['cores']} cores of {own['processor']}"
        found.setdefault(place, []).append(f"`{name}`")
    return sorted(found.items())


def learned(row: Mapping[str, Any], part: str) -> float | None:
    """Share of a range of slices that a network was trained on; None without a network."""
    if "learned" not in row:
        return None
    first, last = map(int, part.split("-"))
    shared = (min(high, last) - max(low, first) + 1 for low, high in row["learned"])
    return float(sum(max(0, count) for count in shared)) / (last - first + 1)


def held_out(row: Mapping[str, Any], ranges: Sequence[Sequence[int]], name: str) -> float | None:
    """Mean JI of a class over ranges of slices, as far as they were measured."""
    curve = row["curves"][name]
    places = [z - row["first"] for low, high in ranges for z in range(low, high + 1)]
    values = [curve[at] for at in places if 0 <= at < len(curve) and curve[at] is not None]
    return sum(values) / len(values) if values else None


def compare_splits(rows: Rows) -> dict[str, list[dict[str, Any]]]:
    """JI on the slices that a split held out and on those of no split, beside the control's.

    Returns
    -------
    dict
        ``rows``: per model and class ``name``, ``split``, ``class`` and ``scores`` (JI on the
        slices held out, of the control there, JI on :data:`UNSEEN`, of the control there).
        ``gaps``: per architecture and class how much larger the lead over the control is on the
        slices held out, for the splits ``random`` and ``blocks``.
    """
    lines, gaps = [], dict[tuple[str, str], dict[str, float]]()
    for title, row in _with_both_splits(rows).items():
        for name in COMPARED:
            scores: list[float | None] = []
            for ranges in (row["held_slices"], [UNSEEN]):
                control = held_out(rows[CONTROL], ranges, name) if CONTROL in rows else None
                scores += [held_out(row, ranges, name), control]
            if scores[0] is None or scores[2] is None:
                continue
            split = row["split"]
            lines.append({"name": title, "split": split, "class": name, "scores": scores})
            if scores[1] is not None and scores[3] is not None:
                gap = (scores[0] - scores[1]) - (scores[2] - scores[3])
                gaps.setdefault((row["architecture"], name), {})[split] = gap
    return {
        "rows": lines,
        "gaps": [
            {"architecture": architecture, "class": name, **each}
            for (architecture, name), each in gaps.items()
        ],
    }


def _with_both_splits(rows: Rows) -> dict[str, Mapping[str, Any]]:
    """Models that did not learn from :data:`UNSEEN`, of architectures that have both splits."""
    unseen = "-".join(map(str, UNSEEN))
    fit = {
        name: row
        for name, row in rows.items()
        if row.get("held_slices")
        and not name.endswith((PUBLISHED, ALONE))
        and learned(row, unseen) == 0
    }
    known = {(row["architecture"], row["split"]) for row in fit.values()}
    return {
        name: row
        for name, row in fit.items()
        if {(row["architecture"], split) for split in ("random", "blocks")} <= known
    }
