"""The content of ``comparison.html``; the template of the same name draws it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hela_dask import pages
from hela_dask.columns import COLUMNS
from hela_dask.comparing.caveats import ALPHA
from hela_dask.comparing.reading import ComparedRun, all_runs
from hela_dask.comparing.words import measure_name, name_and_unit, unit_after
from hela_dask.formatting import by_axis, counted
from hela_dask.kernels.comparison import RESAMPLES

__all__ = ["finding_text", "render"]

Row = Mapping[Any, Any]

LISTED = 4
"""Groups with fewer volumes have the median of each volume on the page.

So have both groups of a comparison with too few volumes to find a difference.
"""


def render(
    runs: Mapping[str, Sequence[ComparedRun]],
    table: pd.DataFrame,
    volumes: pd.DataFrame,
    pictures: Mapping[str, Path],
    warnings: Sequence[str],
    methods: Sequence[str],
    *,
    seed: int,
) -> str:
    """The page as one text, with its pictures.

    `volumes` are the values of each volume, `pictures` the plot of each measure, and `methods`
    paragraphs for a paper.
    """
    reference = next(iter(runs))
    rows = table.to_dict("records")
    members = all_runs(runs)
    summaries, cut = _summaries(rows, volumes), sum(run.cut for run in members)
    number = sum(len(run.complete) > 0 for run in members)
    return pages.render(
        "comparison.html",
        title=" and ".join(runs) if len(runs) == 2 else f"{len(runs)} groups of cells",
        subtitle=f"complete cells of {number} volumes, compared with the group {reference}",
        tiles=_tiles(runs, table),
        warnings=warnings,
        results=[_result(group, reference, rows) for group in list(runs)[1:]],
        reference=reference,
        rows=[_row(row) for row in rows],
        groups=list(runs),
        summaries=summaries,
        few=any(row["listed"] for row in summaries),
        listed=LISTED - 1,
        methods=methods,
        pictures=[
            pages.as_figure(path.read_bytes(), COLUMNS[name].meaning, measure_name(name))
            for name, path in pictures.items()
        ],
        runs=[_run(run, number) for group in runs.values() for run, number in _numbered(group)],
        cut=f"{counted(cut, 'cell')} that the volume cuts {'is' if cut == 1 else 'are'} left out",
        complete=counted(sum(len(run.complete) for run in members), "cell"),
        exact=all(row["smallest_p"] > 2 / (RESAMPLES + 1) for row in rows),
        resamples=RESAMPLES,
        alpha=f"{ALPHA:g}",
        seed=seed,
    )


def finding_text(row: Row) -> str:
    """One row of the comparison as a sentence."""
    direction = "larger" if row["cliffs_delta"] > 0 else "smaller"
    unit = unit_after(row["measure"])
    return (
        f"{measure_name(row['measure'])} is {direction} in {row['group']} than in "
        f"{row['reference']}: median {_number(row['group_median'])} against "
        f"{_number(row['reference_median'])}{unit}, difference "
        f"{_number(row['difference'])}{unit} ({_interval(row, 'difference')}), Cliff's delta "
        f"{row['cliffs_delta']:.2f} ({_interval(row, 'cliffs_delta')}), adjusted p "
        f"{_probability(row['p_adjusted'])}"
        f"{' (of cells as if they were independent)' if row['permuted'] == 'cells' else ''}"
    )


def _tiles(runs: Mapping[str, Sequence[ComparedRun]], table: pd.DataFrame) -> list[tuple[str, str]]:
    tiles = []
    for name, members in runs.items():
        count = sum(len(run.complete) for run in members)
        text = f"complete cell{'' if count == 1 else 's'} of {name}"
        volumes = sum(len(run.complete) > 0 for run in members)
        tiles.append((str(count), f"{text} in {counted(volumes, 'volume')}"))
    found = int(((table["p_adjusted"] <= ALPHA) & (table["permuted"] == "volumes")).sum())
    noun, verb = "comparison" + "s" * (len(table) != 1), "show" + "s" * (found == 1)
    text = f"{noun} of a measure {verb} a difference between groups"
    tiles.append((f"{found} of {len(table)}", text))
    return tiles


def _result(group: str, reference: str, rows: Sequence[Row]) -> dict[str, Any]:
    """The result of one group in words."""
    own = [row for row in rows if row["group"] == group]
    found = [row for row in own if row["p_adjusted"] <= ALPHA]
    rest = [row for row in own if row["p_adjusted"] > ALPHA]
    return {
        "group": group,
        "reference": reference,
        "found": [finding_text(row) for row in found],
        "rest": ", ".join(measure_name(row["measure"]) for row in rest),
        "cells_only": any(row["permuted"] == "cells" for row in own),
        "possible": any(row["smallest_p"] <= ALPHA for row in own),
    }


def _row(row: Row) -> dict[str, Any]:
    """A row of the table of measures: values to sort by, and their texts."""
    shown: dict[str, Any] = {"measure": name_and_unit(row["measure"]), "group": row["group"]}
    texts = {"difference": _number(row["difference"]), "cliffs_delta": f"{row['cliffs_delta']:.2f}"}
    for name, text in texts.items():
        shown[name] = row[name], f"{text} ({_interval(row, name)})"
    text = f"{_number(row['volumes_difference'])} ({_interval(row, 'volumes_difference')})"
    shown["volumes_difference"] = row["volumes_difference"], text
    for name in ("p_value", "p_adjusted"):
        shown[name] = row[name], _probability(row[name])
    found = row["p_adjusted"] <= ALPHA
    if found and row["permuted"] == "cells":
        shown["found"] = "fair", "of these cells"
    else:
        shown["found"] = ("good", "found") if found else ("", "not found")
    return shown


def _summaries(rows: Sequence[Row], volumes: pd.DataFrame) -> list[dict[str, Any]]:
    """Median, spread and numbers of each measure, a row per measure, a column per group.

    The median of each volume follows where a group has few volumes, and in both groups of a
    comparison with so few volumes that no difference can be found.
    """
    needed = {
        (row["measure"], row[side])
        for row in rows
        for side in ("reference", "group")
        if row["smallest_p"] > ALPHA
    }
    medians = volumes.groupby(["measure", "group"])["median"].agg(list).to_dict()
    shown: dict[str, dict[str, Any]] = {}
    for row in rows:
        line = shown.setdefault(
            row["measure"],
            {"measure": name_and_unit(row["measure"]), "groups": {}, "listed": False},
        )
        for side in ("reference", "group"):
            median, spread = row[f"{side}_median"], row[f"{side}_iqr"]
            numbers = f"{row[f'{side}_cells']} in {row[f'{side}_volumes']}"
            text = f"{_number(median)} ({_number(spread)}), {numbers}"
            each = medians[row["measure"], row[side]]
            few = len(each) < LISTED or (row["measure"], row[side]) in needed
            if few and len(each) > 1:
                text += f": {', '.join(map(_number, each))}"
                line["listed"] = True
            line["groups"][row[side]] = median, text
    return list(shown.values())


def _numbered(members: Sequence[ComparedRun]) -> list[tuple[ComparedRun, str]]:
    """The runs of a group with the numbers of their volumes in the plots; empty without cells."""
    number, found = 0, []
    for run in members:
        number += len(run.complete) > 0
        found.append((run, str(number) if len(run.complete) else ""))
    return found


def _run(run: ComparedRun, number: str) -> dict[str, Any]:
    image = run.facts.get("image") or {}
    size, extent = image.get("voxel_size"), image.get("extent")
    texts = {
        "method": str(run.facts.get("method", "–")),
        "voxel": by_axis(size) if size else "–",
        "extent": by_axis([round(side / 1000, 1) for side in extent]) if extent else "–",
        "version": str((run.facts.get("versions") or {}).get("hela_dask", "–")),
    }
    return {
        "group": run.group,
        "number": number,
        "volume": run.volume,
        "run": str(run.path),
        "complete": len(run.complete),
        "cut": run.cut,
        "others": len(run.cells) - len(run.complete) - run.cut,
        **{name: (text, text) for name, text in texts.items()},
    }


def _interval(row: Row, name: str) -> str:
    """A bootstrap interval; Cliff's delta has two decimals."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    if math.isnan(low):
        return "no interval"
    if name == "cliffs_delta":
        return f"{low:.2f} to {high:.2f}"
    return f"{_number(low)} to {_number(high)}"


def _number(value: float) -> str:
    """Three digits at least, never as a power of ten."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}"


def _probability(value: float) -> str:
    return f"{value:.2g}" if value >= 0.001 else f"{value:.1g}"
