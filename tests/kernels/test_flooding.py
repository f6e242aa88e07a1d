"""A watershed of a band from two sides, in the plane and in space."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.kernels.flooding import INSIDE, OPEN, OUTSIDE, flood

Shape = tuple[int, ...]


def ball(shape: Shape) -> NDArray[np.float64]:
    """Distance from the middle, in pixels."""
    places = np.moveaxis(np.indices(shape), 0, -1) - np.array(shape) // 2
    away: NDArray[np.float64] = np.sqrt((places**2).sum(axis=-1))
    return away


def band(away: NDArray[np.float64], inner: float, outer: float) -> NDArray[np.int8]:
    markers = np.where(away < inner, INSIDE, np.where(away > outer, OUTSIDE, OPEN))
    return markers.astype(np.int8)


@pytest.mark.parametrize("shape", [(41, 51), (31, 41, 43)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_both_sides_meet_on_the_crest(shape: Shape, dtype: type[np.generic]) -> None:
    away = ball(shape)
    height = (200 * np.exp(-((away - 11) ** 2) / 4)).astype(dtype)
    markers = band(away, 7, 15)
    flood(height, markers)
    assert (markers[away < 10] == INSIDE).all()
    assert (markers[away > 12] == OUTSIDE).all()


def lowest_crest(height: NDArray[np.uint8], marked: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The least maximum along any path to the marked pixels: by thresholds."""
    found = np.full(height.shape, 255, np.uint8)
    for level in range(254, -1, -1):
        pieces, _ = ndimage.label((height <= level) | marked)
        found[np.isin(pieces, np.unique(pieces[marked])) & (pieces > 0)] = level
    return found


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), depth=st.integers(1, 4), levels=st.sampled_from([3, 40]))
def test_each_pixel_goes_to_the_side_over_the_lowest_crest(
    seed: int, depth: int, levels: int
) -> None:
    rng = np.random.default_rng(seed)
    shape = (depth, 9, 11)
    height = rng.integers(0, levels, shape).astype(np.uint8)
    markers = np.full(shape, OPEN, np.int8)
    markers[:, :2, :2], markers[:, -2:, -2:] = INSIDE, OUTSIDE
    opened = markers == OPEN
    to = {side: lowest_crest(height, markers == side) for side in (INSIDE, OUTSIDE)}
    flood(height, markers)
    assert (markers != OPEN).all()
    for side, other in ((INSIDE, OUTSIDE), (OUTSIDE, INSIDE)):
        clear = opened & (to[side] < to[other])
        assert (markers[clear] == side).all()


@pytest.mark.parametrize("levels", [2, 200])
def test_it_does_not_depend_on_how_the_volume_lies(levels: int) -> None:
    rng = np.random.default_rng(3)
    height = rng.integers(0, levels, (6, 17, 17)).astype(np.uint8)
    markers = band(ball(height.shape), 3, 7)
    found = markers.copy()
    flood(height, found)
    for turn in (np.s_[::-1], np.s_[:, ::-1], np.s_[:, :, ::-1]):
        other = markers[turn]
        flood(height[turn], other := other.copy())
        np.testing.assert_array_equal(other, found[turn])
    other = markers.transpose(0, 2, 1).copy(order="F")  # in another order in memory
    flood(height.transpose(0, 2, 1), other)
    np.testing.assert_array_equal(other, found.transpose(0, 2, 1))


def test_what_no_marker_reaches_is_outside() -> None:
    markers = np.full((9, 9), OUTSIDE, np.int8)
    markers[:3] = OPEN
    markers[3] = INSIDE
    apart = np.full((3, 5), OPEN, np.int8)
    flood(np.zeros((9, 9), np.float32), markers)
    assert (markers[:4] == INSIDE).all() and (markers[4:] == OUTSIDE).all()
    flood(np.zeros((3, 5), np.uint8), apart)
    assert (apart == OUTSIDE).all()
    whole = np.full((3, 5), INSIDE, np.int8)
    flood(np.zeros((3, 5), np.uint8), whole)
    assert (whole == INSIDE).all()
