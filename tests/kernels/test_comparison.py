"""Effect size, interval and permutation test: known values, and what units are exchanged."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hela_dask.kernels.comparison import RESAMPLES, Floats, compare_samples, compare_volumes

VALUES = st.lists(st.integers(0, 9), min_size=1, max_size=6).map(lambda x: np.array(x, float))
VOLUMES = st.lists(VALUES, min_size=1, max_size=4)


def volumes(
    rng: np.random.Generator, count: int, larger: float = 0.0, cells: int = 10
) -> list[Floats]:
    """Cells of some volumes; half of their variance is that of the volumes."""
    return [rng.normal(rng.normal(larger), 1, cells) for _ in range(count)]


@given(VOLUMES, VOLUMES)
def test_delta_and_shift_are_those_of_all_pairs_and_medians(
    reference: list[Floats], group: list[Floats]
) -> None:
    found = compare_samples(reference, group, seed=0, resamples=20)
    one, other = np.concatenate(reference), np.concatenate(group)
    assert found.delta == pytest.approx(np.sign(other[:, None] - one).mean())
    assert found.shift == np.median(other) - np.median(one)
    mirrored = compare_samples(group, reference, seed=0, resamples=20)
    assert mirrored.delta == pytest.approx(-found.delta)
    if min(len(one), len(other)) > 1:
        assert -1 <= found.delta_interval[0] <= found.delta_interval[1] <= 1
    else:
        assert len(reference) > 1 < len(group) or math.isnan(found.delta_interval[0])


def test_single_cells_have_the_p_value_of_the_rank_test() -> None:
    # Volumes of one cell: the permutation test of Cliff's delta is the exact test of Mann-Whitney.
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=6), rng.normal(1, size=7)
    found = compare_samples(list(one[:, None]), list(other[:, None]), seed=0)
    known = stats.mannwhitneyu(other, one, method="exact").pvalue
    assert found.p_value == pytest.approx(known)
    assert found.permuted == "volumes"


@pytest.mark.parametrize(
    ("counts", "resampled", "permuted", "smallest"),
    [
        ((1, 1), ("cells", "cells"), "cells", 2 / math.comb(20, 10)),
        ((1, 2), ("cells", "volumes"), "cells", 2 / math.comb(30, 10)),
        ((3, 3), ("volumes", "volumes"), "volumes", 2 / 20),
        ((4, 4), ("volumes", "volumes"), "volumes", 2 / 70),
    ],
)
def test_volumes_are_the_units_wherever_there_are_several(
    counts: tuple[int, int], resampled: tuple[str, str], permuted: str, smallest: float
) -> None:
    # Values of the two groups do not overlap at all.
    one, other = (
        [np.arange(10.0) + 100 * group + k for k in range(count)]
        for group, count in enumerate(counts)
    )
    found = compare_samples(one, other, seed=0, resamples=RESAMPLES)
    assert (found.resampled, found.permuted) == (resampled, permuted)
    assert found.smallest_p == pytest.approx(max(smallest, 2 / (RESAMPLES + 1)))
    assert found.p_value == pytest.approx(found.smallest_p)
    assert found.delta == 1


def test_the_test_keeps_its_level_where_cells_of_a_volume_are_alike() -> None:
    rng = np.random.default_rng(0)
    by_volumes = by_cells = 0
    for seed in range(200):
        groups = [volumes(rng, 5) for _ in range(2)]
        by_volumes += compare_samples(*groups, seed=seed, resamples=999).p_value <= 0.05
        one, other = (np.concatenate(group) for group in groups)
        by_cells += bool(stats.mannwhitneyu(one, other).pvalue <= 0.05)
    assert by_volumes <= 10  # 5 %
    assert by_cells > 60  # as if the cells were independent


@pytest.mark.parametrize(("count", "low", "high"), [(3, 0.7, 0.88), (8, 0.9, 0.98)])
def test_the_interval_covers_as_documented(count: int, low: float, high: float) -> None:
    rng = np.random.default_rng(1)
    tries, covered = 200, 0
    for seed in range(tries):
        groups = [volumes(rng, count) for _ in range(2)]
        found = compare_samples(*groups, seed=seed, resamples=499).delta_interval
        covered += found[0] <= 0 <= found[1]
    assert low <= covered / tries <= high


@pytest.mark.parametrize("counts", [(2, 2), (2, 3), (3, 3), (8, 8)])
def test_the_interval_of_volumes_covers_with_few_volumes_too(counts: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    tries, covered = 1000, 0
    for _ in range(tries):
        difference, (low, high) = compare_volumes(*(volumes(rng, count) for count in counts))
        assert low < difference < high
        covered += low <= 0 <= high
    assert 0.93 <= covered / tries <= 1


def test_the_interval_of_volumes_is_that_of_welch() -> None:
    rng = np.random.default_rng(3)
    one, other = volumes(rng, 3), volumes(rng, 4, 1.0)
    medians = [[float(np.median(values)) for values in side] for side in (one, other)]
    known = stats.ttest_ind(medians[1], medians[0], equal_var=False).confidence_interval()
    difference, interval = compare_volumes(one, other)
    assert interval == pytest.approx((known.low, known.high))
    assert difference == pytest.approx(np.mean(medians[1]) - np.mean(medians[0]))


def test_one_volume_has_no_interval_of_volumes() -> None:
    one, several = [np.arange(9.0)], [np.arange(9.0), np.arange(5.0)]
    assert compare_volumes(several, one)[0] == pytest.approx(1)
    for sides in ((one, several), (one, one), (several[:1] * 2, several[:1] * 2)):
        assert all(map(math.isnan, compare_volumes(*sides)[1]))


def test_the_same_seed_gives_the_same_bits() -> None:
    rng = np.random.default_rng(2)
    groups = volumes(rng, 9), volumes(rng, 9, 0.5)  # 48620 permutations: random ones
    first, second = (compare_samples(*groups, seed=3, resamples=999) for _ in range(2))
    assert first == second
    assert first != compare_samples(*groups, seed=4, resamples=999)
