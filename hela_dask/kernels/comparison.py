"""Two groups of cells from several volumes: effect size, bootstrap interval, permutation test.

Cells of one volume share preparation, imaging and neighbours, so they are no independent samples.
The bootstrap therefore resamples volumes, with all their cells (cluster bootstrap: Davison and
Hinkley, Bootstrap Methods and their Application, 1997, section 3.8), and the permutation test
assigns volumes, not cells, to the groups.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = ["RESAMPLES", "Difference", "Interval", "Unit", "compare_samples", "compare_volumes"]

Floats: TypeAlias = NDArray[np.float64]
Units: TypeAlias = NDArray[np.int64]
Interval: TypeAlias = tuple[float, float]
Unit: TypeAlias = Literal["volumes", "cells"]

RESAMPLES = 9999
"""Resamples of the bootstrap, and permutations if there are more than that."""
_BATCH = 2**21  # weights of cells that are held at once


@dataclass(frozen=True)
class Difference:
    """The difference of a measure between a reference and another group.

    Attributes
    ----------
    delta : float
        Cliff's delta: the probability that a cell of the group has a larger value than a cell of
        the reference, minus the probability of a smaller one; from -1 to 1, 0 without difference.
    shift : float
        Median of the group minus median of the reference.
    delta_interval, shift_interval : (float, float)
        Percentile bootstrap intervals of 95 %; NaN where a group has a single cell.
    p_value : float
        Two-sided, of the permutation test of `delta`.
    smallest_p : float
        The smallest p-value that so many units can have.
    resampled : (Unit, Unit)
        The units that the bootstrap resamples in the reference and in the group.
    permuted : Unit
        The units that the test assigns to the groups.
    """

    delta: float
    shift: float
    delta_interval: Interval
    shift_interval: Interval
    p_value: float
    smallest_p: float
    resampled: tuple[Unit, Unit]
    permuted: Unit


def compare_samples(
    reference: Sequence[Floats], group: Sequence[Floats], *, seed: int, resamples: int = RESAMPLES
) -> Difference:
    """Compare the values of two groups of cells.

    Parameters
    ----------
    reference, group : sequence of (cells,) float
        Finite values of the cells of each volume; at least one volume each, none without cells.
    seed : int
        Of the random numbers; the same seed gives the same bits.
    resamples : int
        Of the bootstrap, and permutations at most. With fewer possible permutations the test is
        exact: it computes them all.
    """
    resampled = _resampled(reference), _resampled(group)
    drawn = _Pooled(_split(reference, resampled[0]), _split(group, resampled[1]))
    permuted: Unit = "volumes" if min(len(reference), len(group)) > 1 else "cells"
    assigned = _Pooled(_split(reference, permuted), _split(group, permuted))
    possible = math.comb(sum(map(len, assigned.samples)), len(assigned.samples[0]))
    return Difference(
        delta=float(drawn.delta(*drawn.samples)),
        shift=float(drawn.shift(*drawn.samples)),
        delta_interval=_interval(drawn, drawn.delta, seed, resamples),
        shift_interval=_interval(drawn, drawn.shift, seed, resamples),
        p_value=_p_value(assigned, seed, resamples),
        smallest_p=min(1.0, 2 / min(possible, resamples + 1)),
        resampled=resampled,
        permuted=permuted,
    )


def compare_volumes(reference: Sequence[Floats], group: Sequence[Floats]) -> tuple[float, Interval]:
    """Compare two groups by one number per volume, the median of its cells.

    The interval is Welch's (Biometrika 34, 1947), of the t distribution, as for the means of
    replicates in a SuperPlot (Lord et al., J. Cell Biol. 219, e202001064, 2020). It holds for two
    or three volumes too, where their medians are about normally distributed, and is wide then.

    Parameters
    ----------
    reference, group : sequence of (cells,) float
        Finite values of the cells of each volume; at least one volume each, none without cells.

    Returns
    -------
    difference : float
        Mean of the medians of the group's volumes minus that of the reference's.
    interval : (float, float)
        Of 95 %; NaN where a group has a single volume, or no median differs from the others of its
        group: the spread between volumes is not known then.
    """
    sides = [np.array([np.median(values) for values in side]) for side in (reference, group)]
    difference = float(sides[1].mean() - sides[0].mean())
    if min(map(len, sides)) < 2:
        return difference, (math.nan, math.nan)
    errors = [float(side.var(ddof=1)) / len(side) for side in sides]
    squares = sum(error**2 / (len(side) - 1) for error, side in zip(errors, sides, strict=True))
    if not squares > 0:
        return difference, (math.nan, math.nan)
    reach = float(stats.t.ppf(0.975, sum(errors) ** 2 / squares)) * math.sqrt(sum(errors))
    return difference, (difference - reach, difference + reach)


def _resampled(volumes: Sequence[Floats]) -> Unit:
    return "volumes" if len(volumes) > 1 else "cells"


def _split(volumes: Sequence[Floats], unit: Unit) -> list[Floats]:
    """The values of each unit: of volumes, or of single cells."""
    return list(volumes) if unit == "volumes" else list(np.concatenate(volumes)[:, None])


def _p_value(pooled: _Pooled, seed: int, resamples: int) -> float:
    if min(map(len, pooled.samples)) < 2:
        return 1.0  # a single cell
    found = stats.permutation_test(
        pooled.samples,
        pooled.delta,
        vectorized=True,
        n_resamples=resamples,
        batch=pooled.batch,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def _interval(
    pooled: _Pooled, statistic: Callable[..., Floats], seed: int, resamples: int
) -> Interval:
    if min(map(len, pooled.samples)) < 2:
        return math.nan, math.nan
    found = stats.bootstrap(
        pooled.samples,
        statistic,
        vectorized=True,
        n_resamples=resamples,
        batch=pooled.batch,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)


class _Pooled:
    """All values in order, so that a statistic of many resamples is a sum of weights.

    A resample is the numbers of its units; the weight of a cell is how often its unit is drawn.
    """

    def __init__(self, reference: list[Floats], group: list[Floats]) -> None:
        units = [*reference, *group]
        values = np.concatenate(units)
        order = np.argsort(values, kind="stable")
        self._values = values[order]
        self._unit = np.repeat(np.arange(len(units)), [len(unit) for unit in units])[order]
        self._n_units = len(units)
        self._below = np.searchsorted(self._values, self._values, side="left")
        self._up_to = np.searchsorted(self._values, self._values, side="right")
        numbers = np.arange(len(units))
        self.samples = (numbers[: len(reference)], numbers[len(reference) :])
        self.batch = max(1, _BATCH // len(values))

    def delta(self, reference: Units, group: Units, axis: int = -1) -> Floats:
        """Cliff's delta of resamples (..., units)."""
        weights, sums = self._weights(group), self._sums(reference)
        total = sums[:, -1:]
        # Reference cells that are smaller, minus those that are larger
        balance = sums[:, self._below] + sums[:, self._up_to] - total
        pairs = total[:, 0] * weights.sum(axis=1)
        return np.asarray((weights * balance).sum(axis=1) / pairs).reshape(group.shape[:-1])

    def shift(self, reference: Units, group: Units, axis: int = -1) -> Floats:
        """Difference of the medians of resamples (..., units)."""
        difference = self._median(group) - self._median(reference)
        return difference.reshape(group.shape[:-1])

    def _median(self, units: Units) -> Floats:
        sums = self._sums(units)
        middle = [
            (sums[:, 1:] <= place[:, None]).sum(axis=1)
            for place in ((sums[:, -1] - 1) // 2, sums[:, -1] // 2)
        ]
        return np.asarray(self._values[middle].mean(axis=0))

    def _sums(self, units: Units) -> Units:
        """Cells of a resample before each position of the sorted values."""
        weights = self._weights(units)
        sums = np.zeros((weights.shape[0], weights.shape[1] + 1), np.int64)
        np.cumsum(weights, axis=1, out=sums[:, 1:])
        return sums

    def _weights(self, units: Units) -> Units:
        rows = units.reshape(-1, units.shape[-1]).astype(np.int64)
        places = rows + self._n_units * np.arange(len(rows))[:, None]
        counts = np.bincount(places.ravel(), minlength=len(rows) * self._n_units)
        return counts.reshape(len(rows), self._n_units)[:, self._unit]
