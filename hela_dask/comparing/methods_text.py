"""The methods of a comparison in sentences for a paper, from the facts of its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from hela_dask.comparing.caveats import ALPHA
from hela_dask.comparing.reading import ComparedRun, all_runs
from hela_dask.comparing.words import measure_name
from hela_dask.formatting import counted, were
from hela_dask.kernels.comparison import RESAMPLES
from hela_dask.report.methods_text import segmentation_text, surfaces_text
from hela_dask.version import __version__

__all__ = ["methods_text"]

Runs = Mapping[str, Sequence[ComparedRun]]


def methods_text(runs: Runs, table: pd.DataFrame, *, seed: int) -> list[str]:
    """Paragraphs on segmentation, cells, measures and statistics.

    Parameters
    ----------
    runs : mapping of str to sequence of ComparedRun
        The runs of each group.
    table : pandas.DataFrame
        The comparison.
    seed : int
        Of the bootstrap and the permutations.
    """
    members = all_runs(runs)
    return [
        segmentation_text([run.facts for run in members]),
        _cells(runs),
        _measures(members, table),
        *_tests(table, seed),
    ]


def _cells(runs: Runs) -> str:
    """The numbers of cells and volumes of each group, and of those that are left out."""
    members = all_runs(runs)
    groups = [
        f"{name}, {counted(sum(len(run.complete) for run in group), 'cell')} in "
        f"{counted(sum(len(run.complete) > 0 for run in group), 'volume')}"
        for name, group in runs.items()
    ]
    cut, rejected = sum(run.cut for run in members), sum(run.rejected for run in members)
    text = f"Only complete cells were compared: {'; '.join(groups)}."
    text += f" {counted(cut, 'cell')} cut by the sides of the volumes {were(cut)} left out"
    if rejected:
        count = counted(rejected, "cell")
        text += f", as {were(rejected)} {count} rejected in a review of the masks"
    return f"{text}."


def _measures(members: Sequence[ComparedRun], table: pd.DataFrame) -> str:
    """The compared measures, and how they were measured."""
    names = [measure_name(name) for name in pd.unique(table["measure"])]
    count = counted(len(names), "measure")
    text = f"{count} of each cell {were(len(names))} compared: {', '.join(names)}."
    if any(name in set(table["measure"]) for name in ("cell_area", "nucleus_area")):
        text += surfaces_text([run.facts for run in members])
    return text


def _tests(table: pd.DataFrame, seed: int) -> list[str]:
    """Effect sizes, intervals, tests and the correction."""
    reference = table["reference"].iloc[0]
    cells = sorted(set(table.loc[table["permuted"] == "cells", "group"]))
    resampled = set(table["reference_resampled"]) | set(table["group_resampled"])
    units = "whole volumes" if "volumes" in resampled else "cells"
    effect = (
        f"Each group was compared with {reference} by Cliff's delta and by the difference of the "
        f"medians, with percentile bootstrap intervals of 95 % ({RESAMPLES} resamples of {units}"
        f"{'; cells where a group had a single volume' if len(resampled) == 2 else ''})."
    )
    if table["volumes_difference_low"].notna().any():
        effect += (
            " Intervals of the difference between the means of the volumes' medians are Welch's "
            "(95 %), with volumes as the units."
        )
    exact = table["smallest_p"] > 2 / (RESAMPLES + 1)
    kind = "exact " if exact.all() else ""
    many = "" if exact.all() else f", with {RESAMPLES} random permutations where there are more"
    units = "volumes with all their cells" if "volumes" in set(table["permuted"]) else "cells"
    test = (
        f"p-values are of {kind}two-sided permutation tests of Cliff's delta, in which {units} "
        f"were assigned to the groups{many}"
    )
    if cells:
        test += (
            f"; for {', '.join(cells)}, where a group had a single volume, cells were assigned, so "
            "that these p-values are no evidence of a difference between groups"
        )
    count = counted(len(table), "comparison")
    test += (
        f". They were adjusted for {count} by the procedure of Benjamini and Hochberg; an adjusted "
        f"p of at most {ALPHA:g} was taken as a difference. Statistics were computed with "
        f"hela_dask {__version__} (random seed {seed})."
    )
    return [effect, test]
