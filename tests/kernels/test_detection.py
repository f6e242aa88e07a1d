"""Cells of one slice: discs at known places, spots, waists, rank and suppression."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from hela_dask.parameters import DetectParameters
from tests.planes import detect_slice

PIXEL = (40.0, 40.0)
DEFAULTS = DetectParameters()


def resin_around(
    *discs: tuple[int, int, int], shape: tuple[int, int] = (300, 400)
) -> NDArray[np.bool_]:
    """A plane of resin with discs of tissue: row, column and radius in pixels."""
    rows, columns = np.indices(shape)
    tissue = np.zeros(shape, dtype=bool)
    for row, column, radius in discs:
        tissue |= np.hypot(rows - row, columns - column) < radius
    return ~tissue


def test_discs_are_found_at_their_centres_in_order_of_size() -> None:
    found = detect_slice(
        resin_around((80, 90, 50), (200, 150, 60), (120, 300, 70)), PIXEL, DEFAULTS
    )
    np.testing.assert_array_equal(found[:, :2], [[120, 300], [200, 150], [80, 90]])
    np.testing.assert_allclose(found[:, 2], [2800, 2400, 2000], atol=40)


def test_pixels_that_are_not_square_give_the_same_heights() -> None:
    rows, columns = np.indices((300, 100))
    background = np.hypot((rows - 150) * 10.0, (columns - 50) * 40.0) >= 1200
    found = detect_slice(background, (10.0, 40.0), DEFAULTS)
    np.testing.assert_allclose(found, [[150, 50, 1200]], atol=10)


def test_moving_the_cells_moves_the_detections() -> None:
    plane = resin_around((80, 90, 50), (200, 150, 60), (190, 230, 40))
    found = detect_slice(plane, PIXEL, DEFAULTS)
    moved = detect_slice(np.roll(plane, (11, 37), axis=(0, 1)), PIXEL, DEFAULTS)
    np.testing.assert_array_equal(moved, found + np.array([11, 37, 0]))


def test_ties_go_by_row_then_column() -> None:
    plane = resin_around((220, 80, 50), (80, 300, 50), (80, 100, 50))
    found = detect_slice(plane, PIXEL, DEFAULTS)
    np.testing.assert_array_equal(found[:, :2], [[80, 100], [80, 300], [220, 80]])


def test_two_cells_that_touch_are_two() -> None:
    found = detect_slice(resin_around((150, 120, 70), (150, 235, 60)), PIXEL, DEFAULTS)
    assert len(found) == 2
    assert np.abs(found[:, 1] - [120, 235]).max() <= 3


def test_a_long_cell_is_one_although_its_ridge_is_longer_than_the_cleared_square() -> None:
    plane = resin_around(*((150, column, 50) for column in range(100, 301, 5)))
    published = dataclasses.replace(DEFAULTS, neck=2.0)
    assert len(detect_slice(plane, PIXEL, published)) > 1
    assert len(detect_slice(plane, PIXEL, DEFAULTS)) == 1


def test_pale_spots_inside_a_cell_are_not_resin_but_a_lumen_is() -> None:
    cell = resin_around((150, 200, 90))
    spots = cell.copy()
    for row, column in ((150, 200), (120, 230), (180, 170)):
        spots |= ~resin_around((row, column, 8))
    found = detect_slice(spots, PIXEL, DEFAULTS)
    assert found[:, 2] == pytest.approx([3600 - 8 * 40], abs=60)
    assert not spots[int(found[0, 0]), int(found[0, 1])]
    published = dataclasses.replace(DEFAULTS, smallest_resin=0.0)
    assert detect_slice(spots, PIXEL, published)[0, 2] < 2400
    lumen = cell | ~resin_around((150, 200, 30))
    assert detect_slice(lumen, PIXEL, DEFAULTS)[0, 2] < 1400


def test_debris_and_surplus_summits_are_left_out() -> None:
    plane = resin_around(
        (80, 90, 75), (200, 150, 50), (120, 300, 40), (240, 330, 28), (275, 30, 20)
    )
    assert len(detect_slice(plane, PIXEL, DEFAULTS)) == 4
    assert len(detect_slice(plane, PIXEL, dataclasses.replace(DEFAULTS, smallest_height=500))) == 5
    assert len(detect_slice(plane, PIXEL, dataclasses.replace(DEFAULTS, cells_per_slice=2))) == 2


def test_a_half_cell_has_one_summit_where_the_border_cuts_it() -> None:
    plane = resin_around((0, 200, 100))
    found = detect_slice(plane, PIXEL, DEFAULTS)
    assert len(found) == 1
    assert found[0, 2] == pytest.approx((found[0, 0] + 1) * 40 + DEFAULTS.beyond, abs=40)
    assert found[0, 2] == pytest.approx(3000, abs=60)  # against 1900 as published
    published = detect_slice(plane, PIXEL, dataclasses.replace(DEFAULTS, beyond=0.0))
    assert 40 <= published[0, 0] <= 50
    assert published[0, 2] == pytest.approx((published[0, 0] + 1) * 40, abs=80)


def test_half_cells_that_touch_at_the_border_are_two() -> None:
    plane = resin_around((0, 120, 80), (0, 275, 80))
    found = detect_slice(plane, PIXEL, DEFAULTS)
    assert len(found) == 2
    assert np.abs(np.sort(found[:, 1]) - [120, 275]).max() <= 10
    endless = detect_slice(plane, PIXEL, dataclasses.replace(DEFAULTS, beyond=1e6))
    assert endless[0, 0] == 0


def test_a_cell_inside_is_the_same_whatever_lies_beyond_the_border() -> None:
    plane = resin_around((150, 200, 70))
    found = detect_slice(plane, PIXEL, DEFAULTS)
    for beyond in (0.0, 1e6):
        other = detect_slice(plane, PIXEL, dataclasses.replace(DEFAULTS, beyond=beyond))
        np.testing.assert_array_equal(other, found)


def test_where_nothing_stands_out_there_are_no_rows() -> None:
    for plane in (np.ones((50, 60), bool), np.zeros((50, 60), bool)):
        assert detect_slice(plane, PIXEL, DEFAULTS).shape == (0, 3)
