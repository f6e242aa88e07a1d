"""Slices of a region: which show something, coarser and finer ones, discs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hela_dask.methods.slices import (
    blank,
    coarser,
    coarser_by,
    disc_around,
    finer,
    nearest_shown,
    odd,
    outwards,
)


def test_a_slice_of_one_value_is_blank() -> None:
    plane = np.full((4, 5), 7, np.uint8)
    assert blank(plane)
    plane[3, 4] = 8
    assert not blank(plane)


def test_the_nearest_slice_that_shows_something() -> None:
    image = np.zeros((7, 2, 2), np.uint8)
    assert nearest_shown(image, 3) == 3  # none does
    image[[0, 5, 6], 0, 0] = 1
    assert [nearest_shown(image, start) for start in range(7)] == [0, 0, 0, 5, 5, 5, 6]


def test_outwards_leaves_out_the_start_and_reaches_both_ends() -> None:
    assert list(outwards(2, 1, 5)) == [3, 4]
    assert list(outwards(2, -1, 5)) == [1, 0]
    assert not list(outwards(4, 1, 5))
    assert not list(outwards(0, -1, 5))


@pytest.mark.parametrize(
    ("number", "expected"), [(0.0, 1), (1.0, 1), (2.9, 1), (3.0, 3), (4.9, 3), (5.0, 5)]
)
def test_the_largest_odd_number_up_to_one(number: float, expected: int) -> None:
    assert odd(number) == expected


def test_a_disc_is_round_in_nm() -> None:
    disc = disc_around((41, 81), (20, 30), 200.0, (20.0, 10.0))
    rows, columns = np.nonzero(disc)
    assert (rows.min(), rows.max()) == (10, 30)
    assert (columns.min(), columns.max()) == (10, 50)
    assert disc.sum() * 200 == pytest.approx(np.pi * 200**2, rel=0.02)
    assert not disc_around((5, 5), (40, 40), 100.0, (10.0, 10.0)).any()


@pytest.mark.parametrize(
    ("pixel", "factors"),
    [
        ((40.0, 40.0), (1, 1)),
        ((10.0, 10.0), (4, 4)),
        ((10.0, 20.0), (4, 2)),
        ((15.0, 15.0), (2, 2)),
        ((60.0, 60.0), (1, 1)),
        ((40.0 / 3, 40.0 / 3), (3, 3)),
    ],
)
def test_no_coarser_than_asked_for(pixel: tuple[float, float], factors: tuple[int, int]) -> None:
    found, voxel = coarser_by((50.0, *pixel), 40.0)
    assert found == factors
    assert voxel[0] == 50.0
    assert voxel[1:] == pytest.approx((pixel[0] * factors[0], pixel[1] * factors[1]))


def test_coarser_pixels_are_means_and_what_fills_no_block_is_left_out() -> None:
    image = np.arange(2 * 5 * 7, dtype=np.uint8).reshape(2, 5, 7)
    found = coarser(image, (2, 3))
    assert found.shape == (2, 2, 2)
    for z, y, x in np.ndindex(found.shape):
        assert found[z, y, x] == image[z, 2 * y : 2 * y + 2, 3 * x : 3 * x + 3].mean()
    np.testing.assert_array_equal(coarser(image, (1, 1)), image)


def test_the_mean_of_bright_pixels_does_not_overflow() -> None:
    np.testing.assert_array_equal(coarser(np.full((1, 8, 8), 65535, np.uint16), (4, 4)), 65535)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 4), st.integers(1, 4), st.integers(4, 13), st.integers(4, 13), st.integers(0, 99)
)
def test_finer_undoes_coarser(y: int, x: int, height: int, width: int, seed: int) -> None:
    coarse = np.random.default_rng(seed).random((height // y, width // x)) < 0.5
    fine = finer(coarse, (y, x), (height, width))
    assert fine.shape == (height, width)
    assert fine.dtype == bool
    again = coarser(fine[None], (y, x))[0]
    np.testing.assert_array_equal(again, coarse)
    # The last ones go on to the border.
    np.testing.assert_array_equal(fine[-1], fine[-1 - height % y])
    np.testing.assert_array_equal(fine[:, -1], fine[:, -1 - width % x])
