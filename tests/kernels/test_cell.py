"""Touching discs are parted at their waist, blebs stay, necks are cut."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hela_dask.kernels.cell import basins, cell_slice
from hela_dask.parameters import PropagateParameters
from hela_dask.types import Labels, Mask

PIXEL = (40.0, 40.0)
DEFAULTS = PropagateParameters()


def discs(
    *places: tuple[float, float, float],
    shape: tuple[int, int] = (200, 300),
    pixel: tuple[float, float] = PIXEL,
) -> Mask:
    """Discs of tissue: row, column and radius in nm."""
    rows, columns = np.indices(shape)
    tissue = np.zeros(shape, dtype=bool)
    for y, x, radius in places:
        tissue |= np.hypot(rows * pixel[0] - y, columns * pixel[1] - x) < radius
    return tissue


def pair(distance: float, pixel: tuple[float, float] = PIXEL) -> Mask:
    """Two equal discs of radius 3 µm; they meet in the middle column, at 6 µm."""
    shape = (round(8000 / pixel[0]), round(12000 / pixel[1]))
    left, right = (4000, 6000 - distance / 2, 3000), (4000, 6000 + distance / 2, 3000)
    return discs(left, right, shape=shape, pixel=pixel)


@pytest.mark.parametrize("pixel", [(40.0, 40.0), (20.0, 20.0), (10.0, 40.0)])
def test_touching_discs_are_parted_at_their_waist(pixel: tuple[float, float]) -> None:
    tissue = pair(5000.0, pixel)
    found = basins(tissue, pixel, DEFAULTS)
    np.testing.assert_array_equal(found > 0, tissue)
    columns = np.arange(tissue.shape[1]) * pixel[1]
    left = found[:, columns < 6000 - 100]
    right = found[:, columns > 6000 + 100]
    assert len(np.unique(left[left > 0])) == len(np.unique(right[right > 0])) == 1
    assert left.max() != right.max()


@pytest.mark.parametrize(
    ("distance", "count"),
    [(0.0, 1), (800.0, 1), (2000.0, 1), (3200.0, 2), (5000.0, 2), (7000.0, 2)],
)
def test_equal_discs_are_two_where_the_waist_is_deep(distance: float, count: int) -> None:
    # The waist of discs at 2000 is 172 nm lower than they are, at 3200 462 nm.
    found = basins(pair(distance), PIXEL, DEFAULTS)
    assert len(np.unique(found)) - 1 == count


@pytest.mark.parametrize(("saddle", "count"), [(100.0, 2), (170.0 + 40, 1)])
def test_the_saddle_is_a_depth_in_nm(saddle: float, count: int) -> None:
    parameters = dataclasses.replace(DEFAULTS, saddle=saddle)
    assert len(np.unique(basins(pair(2000.0), PIXEL, parameters))) - 1 == count


def test_a_bleb_stays_with_its_cell() -> None:
    cell, bleb = (4000, 4000, 3000), (4000, 7100, 500)
    found = basins(discs(cell, bleb), PIXEL, DEFAULTS)
    assert len(np.unique(found)) == 2


def test_small_pieces_in_the_resin_are_basins_of_their_own() -> None:
    found = basins(discs((4000, 4000, 3000), (4000, 8000, 200), (1000, 9000, 130)), PIXEL, DEFAULTS)
    assert len(np.unique(found)) == 4


def test_the_outline_is_the_tissue_at_its_own_pixels() -> None:
    random = np.random.default_rng(0)
    tissue = discs((4000, 4000, 3000), (4000, 9000, 2500)) & (random.random((200, 300)) > 0.02)
    tissue[:2] = random.random((2, 300)) > 0.5
    np.testing.assert_array_equal(basins(tissue, PIXEL, DEFAULTS) > 0, tissue)
    odd = tissue[:199, :297]
    np.testing.assert_array_equal(basins(odd, (13.0, 25.0), DEFAULTS) > 0, odd)


def test_without_resin_all_is_one_and_without_tissue_nothing() -> None:
    whole = np.ones((30, 40), dtype=bool)
    np.testing.assert_array_equal(basins(whole, PIXEL, DEFAULTS), 1)
    np.testing.assert_array_equal(basins(~whole, PIXEL, DEFAULTS), 0)
    speck = np.zeros((30, 40), dtype=bool)
    speck[4, 4] = True  # between the pixels of the coarse grid
    assert (basins(speck, PIXEL, DEFAULTS) > 0).sum() == 1


@settings(max_examples=10, deadline=None)
@given(down=st.integers(0, 12), right=st.integers(0, 12))
def test_moving_the_cells_by_whole_steps_moves_their_basins(down: int, right: int) -> None:
    tissue = np.pad(pair(4400.0)[::2, ::2], 14)
    pixel = (80.0, 80.0)
    moved = basins(np.roll(tissue, (down, right), (0, 1)), pixel, DEFAULTS)
    expected = np.roll(basins(tissue, pixel, DEFAULTS), (down, right), (0, 1))
    np.testing.assert_array_equal(moved > 0, expected > 0)
    both = np.unique(np.stack([moved[expected > 0], expected[expected > 0]]), axis=1)
    assert both.shape == (2, 2)


# -- the cell of a slice


def two_pieces() -> tuple[Labels, Mask, Mask]:
    """Two basins that touch, and the masks of both."""
    pieces = basins(pair(5000.0), PIXEL, DEFAULTS)
    left, right = pieces == pieces[100, 90], pieces == pieces[100, 210]
    return pieces, left, right


def iou(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_the_basin_with_the_nucleus_is_the_cell() -> None:
    pieces, left, right = two_pieces()
    nothing = np.zeros(pieces.shape, dtype=bool)
    nucleus = discs((4000, 3400, 1500))
    cell = cell_slice(pieces, nucleus, None, (100, 210), PIXEL, DEFAULTS)
    assert iou(cell, left) > 0.99
    # Without a nucleus, what is at the centre is the cell.
    cell = cell_slice(pieces, nothing, None, (100, 210), PIXEL, DEFAULTS)
    assert iou(cell, right) > 0.99


def test_a_basin_with_too_little_of_the_nucleus_is_another_cell() -> None:
    pieces, left, _ = two_pieces()
    mostly_left = discs((4000, 4700, 1500))  # it reaches 0.2 µm over the border
    assert 0 < (mostly_left & ~left).sum() / mostly_left.sum() < 0.05
    cell = cell_slice(pieces, mostly_left, None, (100, 90), PIXEL, DEFAULTS)
    assert iou(cell, left | mostly_left) > 0.99
    both = discs((4000, 5600, 1500))
    assert (both & ~left).sum() / both.sum() > 0.05
    assert iou(cell_slice(pieces, both, None, (100, 90), PIXEL, DEFAULTS), pieces > 0) > 0.99


def test_the_slice_before_carries_the_cell_on() -> None:
    pieces, left, right = two_pieces()
    nothing = np.zeros(pieces.shape, dtype=bool)
    before = right & (np.indices(right.shape)[0] > 90)  # 60 % of it
    cell = cell_slice(pieces, nothing, before, (100, 90), PIXEL, DEFAULTS)
    assert iou(cell, right) > 0.99
    less = right & (np.indices(right.shape)[0] > 110)  # 40 %
    assert not cell_slice(pieces, nothing, less, (100, 90), PIXEL, DEFAULTS).any()
    assert not cell_slice(pieces, nothing, nothing, (100, 90), PIXEL, DEFAULTS).any()
    nucleus = discs((4000, 3400, 1500))
    assert iou(cell_slice(pieces, nucleus, less, (100, 90), PIXEL, DEFAULTS), left) > 0.99


@pytest.mark.parametrize(("width", "kept"), [(3, False), (9, True)])
def test_what_hangs_on_by_a_thin_neck_goes(width: int, kept: bool) -> None:
    tissue = discs((4000, 4000, 2000), (4000, 8000, 600))
    tissue[100 - width // 2 : 101 + width // 2, 100:200] = True
    nucleus = discs((4000, 4000, 1000))
    cell = cell_slice(tissue.astype(np.int32), nucleus, None, (100, 100), PIXEL, DEFAULTS)
    assert cell[100, 200] == kept
    assert iou(cell[:, :145], tissue[:, :145]) > 0.99
    assert not (cell & ~tissue).any()


def test_ruffles_narrower_than_a_neck_stay_as_far_as_a_disc_reaches() -> None:
    tissue = discs((4000, 4000, 2000))
    tissue[99:101, 145:160] = True  # a protrusion two pixels wide, 10 pixels long
    cell = cell_slice(tissue.astype(np.int32), tissue, None, (100, 100), PIXEL, DEFAULTS)
    assert cell[99, 150]
    assert not cell[99, 158]
    body = discs((4000, 4000, 2000))
    np.testing.assert_array_equal(cell[body], True)


def test_no_centre_in_the_resin() -> None:
    pieces, _, _ = two_pieces()
    nothing = np.zeros(pieces.shape, dtype=bool)
    assert not cell_slice(pieces, nothing, None, (0, 0), PIXEL, DEFAULTS).any()
