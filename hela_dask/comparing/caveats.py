"""Reasons to doubt a comparison, as sentences: few volumes, runs that differ otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import combinations, product

import pandas as pd

from hela_dask.comparing.reading import (
    ComparedRun,
    all_runs,
    measuring_command,
    same_volume,
    without_shapes,
)
from hela_dask.formatting import by_axis, listed
from hela_dask.tasks.versions import numeric_versions

__all__ = ["ALPHA", "WIDE_ENOUGH", "find_caveats"]

ALPHA = 0.05
"""Largest adjusted p-value that counts as a difference."""
WIDE_ENOUGH = 8
"""Volumes per group with which a bootstrap interval of 95 % covers about 95 %.

With 3 volumes it covers about 80 % (``tests/kernels/test_comparison.py``).
"""
_LIKE = 1.1  # ratio of the shortest sides of volumes that count as alike
_NAMED = 5  # items of a list that a sentence names

Runs = Mapping[str, Sequence[ComparedRun]]


def find_caveats(runs: Runs, table: pd.DataFrame) -> list[str]:
    """Sentences for the top of the page, the gravest first; `table` is the comparison."""
    return [*_few_volumes(runs, table), *_same_volumes(runs), *_unlike(runs), *_partial(runs)]


def _few_volumes(runs: Runs, table: pd.DataFrame) -> list[str]:
    """Groups of one volume, and comparisons that cannot find anything."""
    found = []
    single = [name for name, members in runs.items() if _filled(members) == 1]
    if single:
        found.append(
            f"{listed(single, _NAMED)}: one volume{' each' * (len(single) > 1)} with complete "
            "cells. The cells of this volume are resampled as if they were independent, which they "
            "are not: the intervals understate the uncertainty. "
            "One volume does not show how much volumes of its kind differ, so there is no interval "
            "of volumes."
        )
    for group, rows in table.groupby("group", sort=False):
        row = rows.iloc[0]
        pair = f"{row['reference']} and {group}"
        if (rows["permuted"] == "cells").any():
            found.append(
                f"{pair}: a group has a single volume, so the p-values compare cells, as if they "
                "were independent. Any two volumes differ: this is no evidence of a "
                "difference between the groups."
            )
        elif rows["smallest_p"].min() > ALPHA:
            found.append(
                f"{pair}: with {row['reference_volumes']} and {row['group_volumes']} volumes no "
                f"p-value can be below {rows['smallest_p'].min():.2g}, so no difference can be "
                "found, however large. 4 volumes in each group are enough."
            )
    if any(1 < _filled(members) < WIDE_ENOUGH for members in runs.values()):
        found.append(
            f"Bootstrap intervals of groups with fewer than {WIDE_ENOUGH} volumes are too narrow: "
            "with 3 volumes in each group, an interval of 95 % contains the true value in about "
            "80 % of all cases. Use the intervals of the volumes' medians, which are wide where "
            "there are few: they hold if the medians are about normally distributed, which so few "
            "volumes cannot show. Report the median of each volume with them."
        )
    return found


def _filled(members: Sequence[ComparedRun]) -> int:
    return sum(len(run.complete) > 0 for run in members)


def _same_volumes(runs: Runs) -> list[str]:
    """One volume in two groups."""
    return [
        f"{one.path} ({one.group}) and {other.path} ({other.group}) are runs of one volume, "
        f"{one.volume}: the groups are not independent, and the p-values do not hold."
        for first, second in combinations(runs.values(), 2)
        for one, other in product(first, second)
        if same_volume(one, other)
    ]


def _unlike(runs: Runs) -> list[str]:
    """Properties of runs that differ, so that a difference may come from them."""
    found = []
    aspects: tuple[tuple[str, Callable[[ComparedRun], str]], ...] = (
        ("method", lambda run: str(run.facts.get("method", "unknown"))),
        ("network", lambda run: str(run.facts.get("network") or "none")[:12]),
        ("voxel size", _voxel_size),
    )
    for what, read in aspects:
        if text := _values(runs, read):
            found.append(f"The runs differ in {what}: {text}.")
    names = sorted({name for run in all_runs(runs) for name in _flat_parameters(run)})
    differing = [
        name
        for name in names
        if len({_flat_parameters(run).get(name) for run in all_runs(runs)}) > 1
    ]
    if differing:
        found.append(f"The runs differ in parameters: {listed(differing, _NAMED)}.")
    packages = ["hela_dask", *numeric_versions(network=True)]
    texts = {name: _values(runs, partial(_version, name)) for name in packages}
    differing = [f"{name} {text}" for name, text in texts.items() if text]
    if differing:
        found.append(f"The runs differ in versions: {listed(differing, _NAMED, '; ')}.")
    if found:
        found[-1] += " A difference between groups may come from such differences of the runs."
    sides = [min(extent) / 1000 for run in all_runs(runs) if (extent := _extent(run))]
    if sides and max(sides) > _LIKE * min(sides):
        found.append(
            f"The shortest sides of the volumes are {min(sides):.1f} to {max(sides):.1f} µm: the "
            "thinner a volume, the more of its large cells are cut and left out."
        )
    return found


def _partial(runs: Runs) -> list[str]:
    """Runs without complete cells, with rejected ones, and of a part of the cells."""
    empty = [str(run.path) for run in all_runs(runs) if run.complete.empty]
    found = []
    if all(without_shapes(run) for run in all_runs(runs)):
        found.append(
            "No run has measures of shape, so only volumes, diameters and their ratio are "
            f"compared. Add them to each run, as with {measuring_command(all_runs(runs)[0])}."
        )
    if empty:
        names = listed(empty, _NAMED)
        found.append(f"No complete cell, so no part of the comparison: {names}.")
    rejected = [f"{run.rejected} of {run.path}" for run in all_runs(runs) if run.rejected]
    if rejected:
        names = listed(rejected, _NAMED)
        found.append(f"Complete cells that a review rejects are left out: {names}.")
    selected = [
        str(run.path)
        for run in all_runs(runs)
        if run.facts.get("cells") is not None or run.facts.get("box") is not None
    ]
    if selected:
        names = listed(selected, _NAMED)
        found.append(f"Only selected cells were segmented (--cells, --box) in {names}.")
    return found


def _values(runs: Runs, read: Callable[[ComparedRun], str]) -> str:
    """The values of a property with the groups that have them; empty where all are the same."""
    groups: dict[str, list[str]] = {}
    for run in all_runs(runs):
        groups.setdefault(read(run), []).append(run.group)
    if len(groups) < 2:
        return ""
    return ", ".join(
        f"{value} ({', '.join(dict.fromkeys(names))})" for value, names in groups.items()
    )


def _voxel_size(run: ComparedRun) -> str:
    size = (run.facts.get("image") or {}).get("voxel_size")
    return f"{by_axis(size)} nm" if size else "unknown"


def _extent(run: ComparedRun) -> list[float]:
    extent: list[float] = (run.facts.get("image") or {}).get("extent") or []
    return extent


def _version(name: str, run: ComparedRun) -> str:
    return str((run.facts.get("versions") or {}).get(name, "not recorded"))


def _flat_parameters(run: ComparedRun) -> dict[str, str]:
    groups = run.facts.get("parameters") or {}
    return {
        f"[{group}] {name}": repr(value)
        for group, values in groups.items()
        for name, value in values.items()
    }
