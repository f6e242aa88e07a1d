"""Scores of small drawn cases, worked out on paper, and properties that hold for all."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.metrics import variation_of_information as skimage_variation

from hela_dask.errors import InputError, ParameterError
from hela_dask.evaluation import metrics
from hela_dask.evaluation.metrics import (
    Confusion,
    adjusted_rand_index,
    contingency,
    match_instances,
    sum_contingencies,
    summarise,
    variation_of_information,
)

labellings = st.tuples(*[arrays(np.uint8, (3, 4), elements=st.integers(0, 3))] * 2)


def draw(text: str) -> np.ndarray:
    """Rows of digits as a label image."""
    return np.array([[int(digit) for digit in row] for row in text.split()], np.uint8)


# Truth is class 2, the prediction is instance 7, drawn as 1 here:
#   truth   0220   prediction   0110
#           0220                0111
#           0220                0000
#           0000                0000
# TP = 4, FP = 1, FN = 2, TN = 9 of 16.
TRUTH = draw("0220 0220 0220 0000")
PREDICTION = draw("0110 0111 0000 0000") * np.uint8(7)


def counts() -> Confusion:
    return contingency(PREDICTION, TRUTH).confusion([7], [2])


def test_counts_of_a_drawn_case() -> None:
    assert counts() == Confusion(tp=4, fp=1, fn=2, tn=9)


def test_ratios_of_a_drawn_case() -> None:
    result = counts()
    assert result.ji == 4 / 7
    assert result.ac == 13 / 16
    assert result.dice == 8 / 11
    # po = 13/16; pe = (5 * 6 + 11 * 10) / 256 = 140/256; kappa = (208 - 140) / (256 - 140).
    assert result.kappa == pytest.approx(68 / 116, abs=1e-15)
    assert result.npr == pytest.approx((1 + 68 / 116) / 2, abs=1e-15)
    # Pairs: together in both C(4)+C(1)+C(2)+C(9) = 6+0+1+36 = 43; in the prediction
    # C(5)+C(11) = 10+55 = 65; in the truth C(6)+C(10) = 15+45 = 60; of all C(16) = 120.
    # ARI = (43 - 65*60/120) / ((65+60)/2 - 65*60/120) = 10.5 / 30.
    assert result.ari == pytest.approx(10.5 / 30, abs=1e-15)


def test_the_papers_npr_is_half_of_one_plus_kappa() -> None:
    # The reported 0.9603 is matched by a kappa of 0.9206.
    assert Confusion(50, 0, 0, 50).npr == 1.0
    assert Confusion(0, 50, 50, 0).npr == 0.0
    assert Confusion(25, 25, 25, 25).npr == 0.5


def test_slices_without_any_mask_count_nowhere() -> None:
    empty = Confusion(0, 0, 0, 16)
    assert all(math.isnan(value) for value in empty.ratios().values())
    missed = Confusion(0, 0, 4, 12)
    assert (missed.ji, missed.ac, missed.dice) == (0.0, 0.75, 0.0)
    # Mean of 1, 0 and nothing is 0.5; the sample SD of (1, 0) is sqrt(0.5).
    summary = summarise([1.0, math.nan, 0.0])
    assert summary == {"mean": 0.5, "median": 0.5, "sd": pytest.approx(math.sqrt(0.5))}
    assert math.isnan(summarise([0.3])["sd"])
    assert math.isnan(summarise([])["mean"])


def test_full_masks_agree_completely() -> None:
    assert Confusion(16, 0, 0, 0).ratios() == dict.fromkeys(Confusion(1, 0, 0, 0).ratios(), 1.0)


def test_pooling_adds_voxels_not_ratios() -> None:
    # JI 1/1 and 1/9 pooled are 2/10, not the mean 5/9.
    assert (Confusion(1, 0, 0, 9) + Confusion(1, 4, 4, 1)).ji == 0.2


@given(labellings)
@settings(max_examples=60, deadline=None)
def test_rand_index_is_the_definition_over_all_pairs(pair: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = (labels.ravel() for labels in pair)
    same = [(a[i] == a[j], b[i] == b[j]) for i, j in combinations(range(a.size), 2)]
    both = sum(p and t for p, t in same)
    left, right, total = sum(p for p, _ in same), sum(t for _, t in same), len(same)
    expected = left * right / total
    spread = (left + right) / 2 - expected
    wanted = (both - expected) / spread if spread else 1.0
    assert adjusted_rand_index(contingency(*pair)) == pytest.approx(wanted, abs=1e-12)


def test_rand_index_stays_exact_for_a_whole_plane() -> None:
    # 67 million pixels: the products of pairs (1e31) are beyond 64 bits and doubles.
    n = 2**26
    assert Confusion(n // 2, 0, 0, n // 2).ari == 1.0
    one_wrong = Confusion(n // 2 - 1, 0, 1, n // 2).ari
    assert 1 - one_wrong == pytest.approx(4 / n, rel=1e-6)


@given(labellings)
@settings(max_examples=60, deadline=None)
def test_variation_of_information_equals_scikit_image(
    pair: tuple[np.ndarray, np.ndarray],
) -> None:
    prediction, truth = pair
    wanted = skimage_variation(truth, prediction)
    assert variation_of_information(contingency(prediction, truth)) == pytest.approx(
        tuple(wanted), abs=1e-12
    )


def test_variation_tells_splits_from_merges() -> None:
    # One segment of four cut in halves: one bit for every voxel.
    whole, halves = draw("1111"), draw("1122")
    assert variation_of_information(contingency(halves, whole)) == (1.0, 0.0)
    assert variation_of_information(contingency(whole, halves)) == (0.0, 1.0)


@given(labellings)
@settings(max_examples=30, deadline=None)
def test_tables_add_up_in_any_order(pair: tuple[np.ndarray, np.ndarray]) -> None:
    whole = contingency(*pair)
    rows = [contingency(p, t) for p, t in zip(*pair, strict=True)]
    for parts in (rows, rows[::-1], [*rows[1:], rows[0]]):
        total = sum_contingencies(parts)
        assert all(
            np.array_equal(getattr(total, name), getattr(whole, name))
            for name in ("prediction", "truth", "counts")
        )


def test_a_plane_in_pieces_gives_the_same_table(monkeypatch: pytest.MonkeyPatch) -> None:
    prediction, truth = np.random.default_rng(1).integers(0, 5, (2, 30, 31)).astype(np.uint16)
    whole = contingency(prediction, truth)
    monkeypatch.setattr(metrics, "_AT_ONCE", 100)
    pieces = contingency(prediction, truth)
    assert np.array_equal(pieces.counts, whole.counts)
    assert np.array_equal(pieces.truth, whole.truth)


def test_large_ids_give_the_same_table_as_small_ones() -> None:
    ids = np.array([0, 5, 4_000_000_000, 2**40], np.int64)
    small = contingency(draw("0123 3210"), draw("0011 2233"))
    large = contingency(ids[draw("0123 3210")], ids[draw("0011 2233")])
    assert np.array_equal(large.prediction, ids[small.prediction])
    assert np.array_equal(large.truth, ids[small.truth])
    assert np.array_equal(large.counts, small.counts)


def test_instances_of_a_drawn_case() -> None:
    # truth       1111 0022 3000      prediction  5550 0066 0077
    # (one row: columns 1-4, 5-8, 9-12)
    # 5-1: 3/4 = 0.75; 6-2: 2/2 = 1; 3 is missed; 7 is spurious.
    result = match_instances(contingency(draw("555000660077"), draw("111100223000")))
    assert result.pairs == ((5, 1, 0.75), (6, 2, 1.0))
    assert (result.missed, result.spurious) == ((3,), (7,))
    at = {level.iou: level for level in result.levels}
    assert (at[0.75].tp, at[0.75].fp, at[0.75].fn) == (2, 1, 1)
    assert (at[0.8].tp, at[0.8].fp, at[0.8].fn) == (1, 2, 2)
    assert at[0.5].precision == at[0.5].recall == at[0.5].f1 == 2 / 3
    assert (at[0.5].average_precision, at[0.9].average_precision) == (2 / 4, 1 / 5)
    # Six thresholds up to 0.75 at 2/4, three above at 1/5.
    assert result.mean_average_precision == pytest.approx((6 * 0.5 + 3 * 0.2) / 9)
    assert result.mean_iou == 0.875


def test_an_instance_is_matched_once_where_two_halves_tie() -> None:
    # Two predictions of two voxels each inside a truth of four: both have IoU 0.5.
    result = match_instances(contingency(draw("1122"), draw("3333")))
    assert result.pairs == ((1, 3, 0.5),)
    assert (result.levels[0].tp, result.levels[0].fp, result.levels[0].fn) == (1, 1, 0)


def test_voxels_of_two_unmatched_instances_are_wrong_twice() -> None:
    # truth 111222, prediction 333334: 3-1 match (3/5), so column 6 is 4 in 2 (IoU 1/3: no pair)
    # and columns 4-5 are 3 in 2: both predicted wrongly and missed.
    table = contingency(draw("333334"), draw("111222"))
    assert match_instances(table).confusion(table) == Confusion(tp=3, fp=3, fn=3, tn=0)


def test_no_instances_have_no_score() -> None:
    level = match_instances(contingency(draw("0000"), draw("0000"))).levels[0]
    assert math.isnan(level.f1)
    assert math.isnan(level.precision)


def test_wrong_input_is_named() -> None:
    table = contingency(draw("1122"), draw("3333"))
    with pytest.raises(ParameterError, match=r"\[0\.5, 1\], not \[0\.3\]"):
        match_instances(table, [0.3, 0.5])
    with pytest.raises(InputError, match=r"\(1, 4\) and \(2, 2\)"):
        contingency(draw("1122"), draw("11 22"))
    with pytest.raises(InputError, match="negative, found -1"):
        contingency(np.array([-1, 2]), np.array([1, 2]))
