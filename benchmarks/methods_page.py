"""docs/methods.md, from what ``benchmarks.methods`` found: tables, and what they show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.markdown import number, page, table
from benchmarks.page import NAMES

__all__ = ["render"]

# Mean over slices, as reported: JI and AC of the nucleus (PLoS ONE 2020), JI of the cell and of the
# nucleus (Hosangadi et al.), each on the authors' own slices.
REPORTED: dict[str, dict[str, str]] = {
    "nucleus": {
        "propagate": "0.93 / 0.99",
        "vgg16": "0.90 / 0.93",
        "resnet18": "0.88 / 0.94",
        "inception-resnet-v2": "0.89 / 0.94",
        "unet": "0.56 / 0.92",
        "hybrid": "0.895 /",
    },
    "cell": {"hybrid": "0.958 / 0.992"},
}

INTRO = """All methods on the same labelled slices of one real cell (40 nm pixels), with default
parameters. JI and AC are pooled over the slices, and taken slice by slice over those where the
truth or the prediction has anything: mean / median / SD. The nucleus is the published class 2, the
cell is 1, 2 and 5. Networks that learned from these slices have seen much of what they are scored
on: what they reach on slices held out is in a table of its own."""

RESERVED = """**not comparable**: trained for less than the published schedule, or without the
weights that it starts from; the card of the model says so."""


def render(found: Mapping[str, Any]) -> str:
    """The page as Markdown.

    Parameters
    ----------
    found : mapping
        The section ``methods`` of the JSON: ``rows``, by name, and ``command``.
    """
    rows = found["rows"]
    reserved = any(row.get("reservations") for row in rows.values())
    parts = [
        ["# Methods compared", "", INTRO, *(["", RESERVED] if reserved else [])],
        *([f"## {NAMES[name].capitalize()}", "", *_scores(rows, name)] for name in REPORTED),
        _splits(rows),
        _costs(rows),
        [
            "## Slice by slice",
            "",
            "![JI of the nucleus over the slice number](methods/curves_nucleus.png)",
            "",
            "![JI of the cell over the slice number](methods/curves_cell.png)",
        ],
        ["## Reproduce it", "", "```", found["command"], "```", "", _machine(found)],
    ]
    return page(parts)


def _title(name: str, row: Mapping[str, Any]) -> str:
    kind = f", {row['method']}" if row["method"] != name else ""
    reserved = row.get("reservations")
    why = f" **not comparable** ({', '.join(reserved)})" if reserved else ""
    return f"`{name}`{kind}{why}"


def _scores(rows: Mapping[str, Any], name: str) -> list[str]:
    """All ranges of slices of one class."""
    lines = []
    for title, row in rows.items():
        for part, classes in row["ranges"].items():
            figures = classes[name]
            lines.append(
                [
                    _title(title, row),
                    part,
                    number(figures["ji"]),
                    _spread(figures, "ji"),
                    number(figures["ac"]),
                    _spread(figures, "ac"),
                    REPORTED[name].get(row.get("architecture", title), ""),
                ]
            )
    head = [
        "method", "slices", "JI", "JI of slices", "AC", "AC of slices",
        "reported: JI / AC of slices",
    ]  # fmt: skip
    return table(head, lines)


def _spread(figures: Mapping[str, Any], ratio: str) -> str:
    return " / ".join(number(figures[f"{ratio}_{kind}"]) for kind in ("mean", "median", "sd"))


def _splits(rows: Mapping[str, Any]) -> list[str]:
    """What the same architecture reaches on slices held out at random, and in blocks."""
    by: dict[str, dict[str, dict[str, float]]] = {}
    for row in rows.values():
        if row.get("held"):
            by.setdefault(row["architecture"], {})[row["split"]] = row["held"]
    if not by:
        return []
    lines, shown = [], []
    for architecture, splits in by.items():
        for name in REPORTED:
            random, blocks = (splits.get(kind, {}).get(name) for kind in ("random", "blocks"))
            lines.append([f"`{architecture}`", NAMES[name], number(random), number(blocks)])
            if random is not None and blocks is not None:
                shown.append(_shown(architecture, name, random, blocks))
    head = ["architecture", "class", "held out at random", "held out in blocks"]
    return ["## Slices held out", "", *table(head, lines), *(["", *shown] if shown else [])]


def _shown(architecture: str, name: str, random: float, blocks: float) -> str:
    """What the two splits of one architecture show."""
    if random > blocks:
        return (
            f"- `{architecture}`, {NAMES[name]}: a random split flatters by "
            f"{random - blocks:.3f}; the slices that it holds out lie between learned ones, and "
            f"{blocks:.3f} is the honest figure."
        )
    return (
        f"- `{architecture}`, {NAMES[name]}: a random split does not flatter here, the blocks held "
        f"out are {blocks - random:.3f} better; they may be easier slices."
    )


def _costs(rows: Mapping[str, Any]) -> list[str]:
    """Time to learn, speed and size."""
    lines = []
    for name, row in rows.items():
        seconds = row.get("training_seconds")
        lines.append(
            [
                _title(name, row),
                "" if seconds is None else number(seconds / 3600, 2),
                number(row.get("network_megavoxels"), 2),
                number(row["megavoxels"], 2),
                number(row.get("size_mb"), 1),
            ]
        )
    head = [
        "method", "training, hours", "network, megavoxels a second and core",
        "whole method, megavoxels a second and core", "size, MB",
    ]  # fmt: skip
    return ["## Costs", "", *table(head, lines)]


def _machine(found: Mapping[str, Any]) -> str:
    machine, versions = found.get("machine", {}), found.get("versions", {})
    return (
        f"Measured on {found.get('date', '')} on {machine.get('processor', 'one machine')}, "
        f"hela_dask {versions.get('hela_dask', '')}. The command is the last one; rows of earlier "
        "ones are kept."
    )
