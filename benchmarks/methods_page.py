"""docs/methods.md, from what ``benchmarks.methods`` found: tables, and what they show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.markdown import number, page, table
from benchmarks.page import NAMES
from benchmarks.page import PUBLISHED as PUBLISHED_SCORES
from benchmarks.results import read
from benchmarks.stacks import UNSEEN

__all__ = ["ALONE", "PUBLISHED", "UNTAUGHT", "drawn", "held_out", "render"]

PUBLISHED = ", published numbers"  # after the name of a row that uses them
ALONE = ", network alone"  # and of one that does without membranes
UNTAUGHT = "without ImageNet weights"
CONTROL = "volumetric"  # it learned from no slice
SEED = "0"  # of the demo's phantom

CLASSES = ("nucleus", "cell")

INTRO = """All methods on the same labelled slices of one real cell (40 nm pixels), with default
parameters; each cell in one window, without the neighbours of a whole run as in
[accuracy](accuracy.md). JI and AC are pooled over the slices, and computed slice by slice over
those with truth or prediction: mean / median / SD. The nucleus is the
published class 2, the cell is 1, 2 and 5. *Learned from* is the share of the slices that a network
was trained on: if it is not 0 %, the score is a training score, not a test score.
*Network alone* does not use the outline from membranes (`membranes = 0`), like the networks
of the papers."""

HELD = f"""A split holds slices out, which stop the training and select the best weights.
Slices held out at random have training slices 50 nm away, and look like
them. The last columns are of slices that neither split touched: the performance in the rest of
a volume. Some slices are harder than others, for every method: beside each figure is that of
`{CONTROL}`, which has no training, on the same slices. Mean over slices."""

AGAINST = f"""Difference to the slices that neither split touched, each relative to
`{CONTROL}` on the same slices. A better score on held-out slices does not hold further away, also
for a block next to the training slices: use the figures of no split."""

DRAWN = f"""Without the networks trained {UNTAUGHT}, and one line for each network."""

PHANTOM = """The phantom of `make demo`: its complete cells, each found once or not, with the
shipped network."""

RESERVED = """**not comparable**: trained for less than the published schedule, or without the
initial weights, as noted beside it. Such a row shows that a network of this architecture
can be trained and used here, and its cost, not its quality."""


def render(found: Mapping[str, Any], phantoms: Mapping[str, Any] | None = None) -> str:
    """The page as Markdown.

    Parameters
    ----------
    found : mapping
        The section ``methods`` of the JSON: ``rows``, by name, ``shipped``, and ``command``.
    phantoms : mapping, optional
        Whole runs on phantoms, by method and seed, as accuracy.json has them.
    """
    rows = found["rows"]
    reserved = any(row.get("reservations") for row in rows.values())
    parts = [
        ["# Methods compared", "", INTRO, *(["", RESERVED] if reserved else [])],
        *([f"## {NAMES[name].capitalize()}", "", *_scores(rows, name)] for name in CLASSES),
        _shipped(found.get("shipped", {})),
        _splits(rows),
        _phantom(phantoms or {}),
        _costs(rows),
        [
            "## Slice by slice",
            "",
            *([DRAWN, ""] if len(drawn(rows)) < len(rows) else []),
            "![JI of the nucleus over the slice number](methods/curves_nucleus.png)",
            "",
            "![JI of the cell over the slice number](methods/curves_cell.png)",
        ],
        ["## Reproduce it", "", "```", found["command"], "```", "", _measured(found)],
    ]
    return page(parts)


def drawn(rows: Mapping[str, Any]) -> dict[str, Any]:
    """What is drawn slice by slice: not one network twice, and none without what it starts from."""
    return {
        title: row
        for title, row in rows.items()
        if not title.endswith((PUBLISHED, ALONE))
        and row.get("split") != "random"
        and UNTAUGHT not in row.get("reservations", ())
    }


def _title(name: str, row: Mapping[str, Any]) -> str:
    kind = f", {row['method']}" if row["method"] != name else ""
    reserved = row.get("reservations")
    why = f" **not comparable** ({', '.join(reserved)})" if reserved else ""
    return f"`{name}`{kind}{why}"


def _scores(rows: Mapping[str, Any], name: str) -> list[str]:
    """All ranges of slices of one class."""
    lines = []
    for title, row in rows.items():
        for at, (part, classes) in enumerate(row["ranges"].items()):
            figures, learned = classes[name], _learned(row, part)
            lines.append(
                [
                    _title(title, row) if at == 0 else "",
                    part,
                    "" if learned is None else f"{learned:.0%}",
                    number(figures["ji"]),
                    _spread(figures, "ji"),
                    number(figures["ac"]),
                    _spread(figures, "ac"),
                    _reported(name, row.get("architecture", title)),
                ]
            )
    head = [
        "method", "slices", "learned from", "JI", "JI of slices", "AC", "AC of slices",
        "reported: JI / AC of slices",
    ]  # fmt: skip
    return table(head, lines)


def _reported(name: str, method: str) -> str:
    """Mean JI and AC over slices that the authors of a method report, each on their own slices."""
    reported = read(PUBLISHED_SCORES)["slices"][name].get(method)
    if reported is None:
        return ""
    return " / ".join(reported.get(ratio, "") for ratio in ("ji", "ac")).rstrip()


def _spread(figures: Mapping[str, Any], ratio: str) -> str:
    return " / ".join(number(figures[f"{ratio}_{kind}"]) for kind in ("mean", "median", "sd"))


def _learned(row: Mapping[str, Any], part: str) -> float | None:
    """Which share of a range of slices a network learned from; None where there is no network."""
    if "learned" not in row:
        return None
    first, last = (int(end) for end in part.split("-"))
    both = (min(high, last) - max(low, first) + 1 for low, high in row["learned"])
    return float(sum(max(0, count) for count in both)) / (last - first + 1)


def _shipped(found: Mapping[str, Any]) -> list[str]:
    """How the network that ships was judged, in its card's own words."""
    if not found:
        return []
    unseen = "-".join(map(str, UNSEEN))
    lines = [[NAMES[name], number(found["judged"][f"ji_{name}"])] for name in CLASSES]
    return [
        "## The network that ships",
        "",
        f"`shipped` above, a `{found['architecture']}`. {found['note']}",
        "",
        *table(["class", f"JI of the same recipe, trained before them, on slices {unseen}"], lines),
        "",
        f"`{found['command']}`",
    ]


def held_out(row: Mapping[str, Any], ranges: Sequence[Sequence[int]], name: str) -> float | None:
    """Mean JI of a class over ranges of slices, as far as they were measured."""
    curve = row["curves"][name]
    places = [z - row["first"] for low, high in ranges for z in range(low, high + 1)]
    values = [curve[at] for at in places if 0 <= at < len(curve) and curve[at] is not None]
    return sum(values) / len(values) if values else None


def _apart(rows: Mapping[str, Any], unseen: str) -> dict[str, Any]:
    """Models of the architectures that were trained with both splits, and without some slices."""
    fit = {
        title: row
        for title, row in rows.items()
        if row.get("held_slices")
        and not title.endswith((PUBLISHED, ALONE))
        and _learned(row, unseen) == 0
    }
    kinds = {(row["architecture"], row["split"]) for row in fit.values()}
    return {
        title: row
        for title, row in fit.items()
        if {(row["architecture"], split) for split in ("random", "blocks")} <= kinds
    }


def _splits(rows: Mapping[str, Any]) -> list[str]:
    """What models reach on the slices that their split held out, and on those of no split."""
    unseen = "-".join(map(str, UNSEEN))
    lines: list[list[str]] = []
    told: dict[tuple[str, str], dict[str, float]] = {}
    for title, row in _apart(rows, unseen).items():
        held = row["held_slices"]
        for name in CLASSES:
            pairs = [
                (held_out(row, ranges, name), _control(rows, ranges, name))
                for ranges in (held, [UNSEEN])
            ]
            if any(own is None for own, _ in pairs):
                continue
            split = row["split"]
            figures = ["" if value is None else number(value) for pair in pairs for value in pair]
            lines.append([_title(title, row), split, NAMES[name], *figures])
            gaps = [own - other for own, other in pairs if own is not None and other is not None]
            if len(gaps) == len(pairs):
                told.setdefault((row["architecture"], name), {})[split] = gaps[0] - gaps[1]
    if not lines:
        return []
    shown = [
        _shown(architecture, name, gaps["random"], gaps["blocks"])
        for (architecture, name), gaps in told.items()
    ]
    head = [
        "model", "split", "class", "JI, held out by the split", f"`{CONTROL}` there",
        f"JI, slices {unseen}", f"`{CONTROL}` there",
    ]  # fmt: skip
    return [
        "## Slices held out",
        "",
        HELD,
        "",
        *table(head, lines),
        *(["", AGAINST, "", *shown] if shown else []),
    ]


def _control(rows: Mapping[str, Any], ranges: Sequence[Sequence[int]], name: str) -> float | None:
    """The same of the method that learned from no slice."""
    return held_out(rows[CONTROL], ranges, name) if CONTROL in rows else None


def _shown(architecture: str, name: str, random: float, blocks: float) -> str:
    """What the two splits of one architecture show; each is how much more was promised."""
    return (
        f"- `{architecture}`, {NAMES[name]}: {_better(random)} on slices held out at random, "
        f"{_better(blocks)} on a block of them."
    )


def _better(gap: float) -> str:
    return f"{abs(gap):.3f} {'better' if gap >= 0 else 'worse'}"


def _phantom(found: Mapping[str, Any]) -> list[str]:
    """How many of the phantom's cells each method finds, and how well."""
    if not found:
        return []
    lines = [
        [
            f"`{method}`",
            f"{row['found']:g} of {row['complete_cells']:g}",
            number(row["instance_f1"]),
            number(row["mean_cell_iou"]),
            number(row["mean_nucleus_iou"]),
        ]
        for method, row in ((method, seeds.get(SEED)) for method, seeds in found.items())
        if row is not None
    ]
    head = ["method", "cells found", "F1 at IoU 0.5", "mean IoU, cell", "mean IoU, nucleus"]
    return ["## Whole runs on the phantom", "", PHANTOM, "", *table(head, lines)]


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


def _measured(found: Mapping[str, Any]) -> str:
    """When and by which code the rows were measured."""
    days: dict[tuple[str, str], list[str]] = {}
    for name, row in found["rows"].items():
        days.setdefault((row["measured"], row["commit"]), []).append(f"`{name}`")
    lines = [
        f"- {day}, commit `{commit}`: {', '.join(names)}."
        for (day, commit), names in sorted(days.items())
    ]
    machine = found["machine"]
    where = f"{machine['cores']} cores of {machine['processor']}"
    intro = f"Measured on {where}, networks one after another (`--only NAME`):"
    return "\n".join([intro, "", *lines])
