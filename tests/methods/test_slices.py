"""Slices of a region: which show something, in what order, boxes and discs."""

from __future__ import annotations

import numpy as np
import pytest

from hela_dask.methods.slices import (
    disc_around,
    is_blank,
    largest_odd,
    nearest_filled_slice,
    outwards,
)


def test_a_slice_of_one_value_is_blank() -> None:
    plane = np.full((4, 5), 7, np.uint8)
    assert is_blank(plane)
    plane[3, 4] = 8
    assert not is_blank(plane)


def test_the_nearest_slice_that_shows_something() -> None:
    image = np.zeros((7, 2, 2), np.uint8)
    assert nearest_filled_slice(image, 3) == 3  # none does
    image[[0, 5, 6], 0, 0] = 1
    assert [nearest_filled_slice(image, start) for start in range(7)] == [0, 0, 0, 5, 5, 5, 6]


def test_outwards_leaves_out_the_start_and_reaches_both_ends() -> None:
    assert list(outwards(2, 1, 5)) == [3, 4]
    assert list(outwards(2, -1, 5)) == [1, 0]
    assert not list(outwards(4, 1, 5))
    assert not list(outwards(0, -1, 5))


@pytest.mark.parametrize(
    ("number", "expected"), [(0.0, 1), (1.0, 1), (2.9, 1), (3.0, 3), (4.9, 3), (5.0, 5)]
)
def test_the_largest_odd_number_up_to_one(number: float, expected: int) -> None:
    assert largest_odd(number) == expected


def test_a_disc_is_round_in_nm() -> None:
    disc = disc_around((41, 81), (20, 30), 200.0, (20.0, 10.0))
    rows, columns = np.nonzero(disc)
    assert (rows.min(), rows.max()) == (10, 30)
    assert (columns.min(), columns.max()) == (10, 50)
    assert disc.sum() * 200 == pytest.approx(np.pi * 200**2, rel=0.02)
    assert not disc_around((5, 5), (40, 40), 100.0, (10.0, 10.0)).any()
