"""The table of a comparison: each measure of each group against the reference group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from hela_dask.columns import COLUMNS
from hela_dask.kernels.comparison import RESAMPLES, compare_samples

__all__ = ["compare_measures"]


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
        One row per measure and group, with the columns that :data:`hela_dask.columns.COLUMNS`
        describes. ``p_adjusted`` is corrected over all rows (Benjamini and Hochberg, J. R. Stat.
        Soc. B 57, 1995), which bounds the share of false ones among the differences found. It
        holds for measures that rise and fall together, as the volume and the diameter of a
        nucleus do.
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
