"""The table of a comparison: each measure of each group against the reference group."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from hela_dask.columns import COLUMNS
from hela_dask.kernels.comparison import RESAMPLES, compare_samples, compare_volumes

__all__ = ["compare_measures", "summarise_volumes"]


def compare_measures(
    cells: pd.DataFrame, measures: Sequence[str], *, seed: int, resamples: int = RESAMPLES
) -> pd.DataFrame:
    """Compare each group of a table of cells with its first group.

    Parameters
    ----------
    cells : pandas.DataFrame
        One row per cell: ``group``, ``run`` and the measures; each group has at least one value of
        each measure.
    measures : sequence of str
    seed : int
        Of the bootstrap and the permutations.
    resamples : int
        Of the bootstrap, and permutations at most.

    Returns
    -------
    pandas.DataFrame
        One row per measure and group, with the columns of
        :data:`hela_dask.comparing.columns.COMPARISON_COLUMNS`. ``p_adjusted`` is corrected over
        all rows (Benjamini and Hochberg, J. R. Stat. Soc. B 57, 1995), which bounds the share of
        false ones among the differences found. It holds for measures that rise and fall together,
        as the volume and the diameter of a nucleus do.
    """
    reference, *others = pd.unique(cells["group"])
    rows = []
    for measure in measures:
        volumes = {
            group: _by_run(cells[cells["group"] == group], measure)
            for group in (reference, *others)
        }
        for group in others:
            found = compare_samples(
                volumes[reference], volumes[group], seed=seed, resamples=resamples
            )
            shift, ends = compare_volumes(volumes[reference], volumes[group])
            row: dict[str, Any] = {
                "measure": measure,
                "unit": COLUMNS[measure].unit,
                "reference": reference,
                "group": group,
            }
            row |= _summary("reference_", volumes[reference]) | _summary("group_", volumes[group])
            row |= {
                "difference": found.shift,
                "difference_low": found.shift_interval[0],
                "difference_high": found.shift_interval[1],
                "volumes_difference": shift,
                "volumes_difference_low": ends[0],
                "volumes_difference_high": ends[1],
                "cliffs_delta": found.delta,
                "cliffs_delta_low": found.delta_interval[0],
                "cliffs_delta_high": found.delta_interval[1],
                "reference_resampled": found.resampled[0],
                "group_resampled": found.resampled[1],
                "permuted": found.permuted,
                "smallest_p": found.smallest_p,
                "p_value": found.p_value,
            }
            rows.append(row)
    table = pd.DataFrame(rows)
    table["p_adjusted"] = stats.false_discovery_control(table["p_value"], method="bh")
    return table


def summarise_volumes(cells: pd.DataFrame, measures: Sequence[str]) -> pd.DataFrame:
    """The values of each volume in short: one row per measure and run.

    Parameters
    ----------
    cells : pandas.DataFrame
        One row per cell: ``group``, ``run``, ``image`` and the measures.
    measures : sequence of str

    Returns
    -------
    pandas.DataFrame
        The columns of :data:`hela_dask.comparing.columns.VOLUME_COLUMNS`; runs without a value of a
        measure have no row.
    """
    rows = []
    numbers = {
        run: number
        for _, own in cells.groupby("group", sort=False)
        for number, run in enumerate(pd.unique(own["run"]), start=1)
    }
    for measure in measures:
        known = cells[np.isfinite(cells[measure])]
        for (group, run, image), part in known.groupby(["group", "run", "image"], sort=False):
            values = part[measure].to_numpy(float)
            low, median, high = np.percentile(values, (25, 50, 75))
            rows.append(
                {
                    "measure": measure,
                    "unit": COLUMNS[measure].unit,
                    "group": group,
                    "number": numbers[run],
                    "image": image,
                    "run": run,
                    "cells": len(values),
                    "median": float(median),
                    "lower_quartile": float(low),
                    "upper_quartile": float(high),
                    "mean": float(values.mean()),
                    "sd": float(values.std(ddof=1)) if len(values) > 1 else math.nan,
                }
            )
    return pd.DataFrame(rows)


def _by_run(cells: pd.DataFrame, measure: str) -> list[NDArray[np.float64]]:
    """The values of each run's cells; runs without one are left out."""
    known = cells[np.isfinite(cells[measure])]
    return [part.to_numpy(float) for _, part in known.groupby("run", sort=False)[measure]]


def _summary(prefix: str, volumes: list[NDArray[np.float64]]) -> dict[str, Any]:
    values = np.concatenate(volumes)
    return {
        f"{prefix}cells": len(values),
        f"{prefix}volumes": len(volumes),
        f"{prefix}median": float(np.median(values)),
        f"{prefix}iqr": float(stats.iqr(values)),
    }
