"""Drawn pieces of tissue without an owner: which of them are a cell's, and which stay free."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hela_dask.kernels.unclaimed import NearbyMasks, assign_unclaimed, pack_claims, unclaimed_halo
from hela_dask.parameters import AssembleParameters

PIXEL = (40.0, 40.0)
PARAMETERS = AssembleParameters()


def join(
    drawn: str,
    *near: str,
    above: int = 0,
    parameters: AssembleParameters = PARAMETERS,
    pixel: tuple[float, float] = PIXEL,
) -> str:
    """The plane drawn with digits (cells), o (tissue without an owner) and . (resin).

    `near` are slices within reach in which digits are what regions claim: `above` of them above
    the plane, the others below it.
    """
    plane = [list(row) for row in drawn.split("/")]
    cells = np.array([[int(c) if c.isdigit() else 0 for c in row] for row in plane], np.uint16)
    free = np.array([[c == "o" for c in row] for row in plane])
    order = (*near[:above], drawn, *near[above:])
    stack = np.array([[list(row) for row in text.split("/")] for text in order])
    around = {
        int(label): NearbyMasks((0, 0), pack_claims(stack == str(label)), above)
        for label in np.unique(cells[cells > 0])
    }
    joined = assign_unclaimed(cells, free, around, pixel, len(near), parameters)
    rows = zip(joined.tolist(), plane, strict=True)
    return "/".join(
        "".join(str(label) if label else mark for label, mark in zip(*row, strict=True))
        for row in rows
    )


@pytest.mark.parametrize("above", [0, 1, 2])
def test_what_the_cell_covers_nearby_is_the_cells(above: int) -> None:
    assert join("11ooo...", "11111...", "........", above=above) == "11111..."
    assert join("11ooo...", "........", "..111...", above=above) == "11111..."


def test_what_comes_out_of_nowhere_stays_free() -> None:
    assert join("11ooo...") == "11ooo..."
    assert join("11oooooooooo", "1111........") == "11oooooooooo"


def test_nine_tenths_of_a_piece_are_enough_on_one_side() -> None:
    drawn = "1oooooooooo."
    assert join(drawn, "1111111111..") == "11111111111."
    assert join(drawn, "111111111...") == drawn
    # Several slices of one side together are enough, those of both sides are not.
    assert join(drawn, "111111......", "......11111.") == "11111111111."
    assert join(drawn, "111111......", "......11111.", above=1) == drawn


def test_half_of_a_piece_between_claims_is_enough() -> None:
    drawn = "1oooooooooo."
    half, less = "111111......", "11111......."
    assert join(drawn, half, half, above=1) == "11111111111."
    assert join(drawn, half, "1111111.....", above=1) == "11111111111."
    assert join(drawn, half, less, above=1) == drawn
    assert join(drawn, half, half) == drawn


def test_a_piece_between_claims_may_be_large_and_touch_other_cells_or_none() -> None:
    few = AssembleParameters(largest_piece=0.0)
    claims = ("1.11111...2", "1.11111...2")
    assert join("1.ooooooooo2", *(c + "2" for c in claims), above=1, parameters=few) == (
        "1.1111111112"
    )
    assert join("1.ooooo...2", *claims, above=1) == "1.11111...2"


def test_the_cell_with_the_largest_share_between_its_claims_gets_the_piece() -> None:
    both = ("1111112222222", "1111112222222")
    assert join("11oooooooooo2", *both, above=1) == "1122222222222"
    # Of equal shares the lower label's.
    assert join("22oooo11", "22221111", "22221111", above=1) == "22111111"


def test_a_vesicle_that_touches_no_cell_stays_free() -> None:
    assert join("11..oo../........", "111111../........") == "11..oo../........"
    # A shared corner is no contact.
    assert join("11....../..oo....", "1111..../1111....") == "11....../..oo...."


def test_a_protrusion_that_hangs_together_with_a_neighbour_without_a_label_stays_free() -> None:
    drawn = "11ooo.../....oooo/....oooo"
    assert join(drawn, "11111.../......../........") == drawn


def test_tissue_between_two_cells_is_parted_in_the_middle() -> None:
    assert join("11oooo22") == "11112222"
    # Of equal distances the lower label's.
    assert join("11ooo22.") == "1111222."
    assert join("22ooo11.") == "2221111."
    # Rows are three times as far as columns.
    assert join("1.2/ooo/...", pixel=(120.0, 40.0)) == "1.2/112/..."


def test_a_large_piece_may_be_a_cell_without_a_label() -> None:
    drawn = "1oooooooo2"
    few = AssembleParameters(largest_piece=0.0127)  # 8 pixels are 0.0128 µm²
    enough = AssembleParameters(largest_piece=0.0129)
    assert join(drawn, parameters=few) == drawn
    assert join(drawn, parameters=enough) == "1111122222"
    # Even where a cell goes on.
    assert join("1oooooooo.", "111111111.", parameters=few) == "1oooooooo."
    assert join("1oooooooo.", "111111111.", parameters=enough) == "111111111."


def test_masks_need_not_reach_as_far_as_the_piece() -> None:
    cells, free = np.zeros((2, 6, 8), np.uint16)
    cells[2:4, 1:3], free[2:4, 3:6] = 5, 1
    masks = np.zeros((3, 2, 5), np.bool_)
    masks[2], masks[0, :, :2] = True, True
    for end, found in ((5, True), (4, False)):
        near = NearbyMasks((2, 1), pack_claims(masks[:, :, :end]), 1)
        joined = assign_unclaimed(cells, free > 0, {5: near}, PIXEL, 1, PARAMETERS)
        assert (joined == 5).sum() == (10 if found else 4)


def test_claims_beyond_reach_do_not_count() -> None:
    cells, free = np.zeros((2, 1, 6), np.uint16)
    cells[0, :2], free[0, 2:5] = 3, 1
    masks = np.zeros((7, 1, 6), np.bool_)
    masks[0] = masks[6] = True
    for halo, found in ((2, False), (3, True)):
        near = NearbyMasks((0, 0), pack_claims(masks), 3)
        joined = assign_unclaimed(cells, free > 0, {3: near}, PIXEL, halo, PARAMETERS)
        assert (joined[0, 2] == 3) == found
    beside = NearbyMasks((0, 0), pack_claims(masks), -3)  # the plane is not among them
    joined = assign_unclaimed(cells, free > 0, {3: beside}, PIXEL, 3, PARAMETERS)
    assert joined[0, 2] == 3


def test_the_halo_is_what_is_within_reach() -> None:
    assert unclaimed_halo(50.0, AssembleParameters(reach=300.0)) == 6
    assert unclaimed_halo(60.0, AssembleParameters(reach=300.0)) == 5
    assert unclaimed_halo(400.0, AssembleParameters(reach=300.0)) == 0


@pytest.mark.parametrize("drawn", ["....", "oooo", "1111", "1.22"])
def test_nothing_to_join_is_nothing_changed(drawn: str) -> None:
    assert join(drawn) == drawn


@given(st.integers(0, 2**32 - 1), st.integers(0, 3), st.integers(0, 3))
def test_owners_stay_and_the_place_does_not_matter(seed: int, down: int, right: int) -> None:
    rng = np.random.default_rng(seed)
    cells: npt.NDArray[np.uint16] = rng.choice(
        np.array([0, 0, 0, 1, 2, 3], np.uint16), size=(9, 10)
    )
    free = (cells == 0) & (rng.random(cells.shape) < 0.6)
    near = rng.random((4, 3, *cells.shape)) < 0.5
    around = {label: NearbyMasks((0, 0), pack_claims(near[label]), 1) for label in (1, 2, 3)}
    joined = assign_unclaimed(cells, free, around, PIXEL, 2, PARAMETERS)
    np.testing.assert_array_equal(joined[cells > 0], cells[cells > 0])
    assert not joined[(cells == 0) & ~free].any()
    pad = ((down, 2), (right, 1))
    moved = {
        label: NearbyMasks((down, right), item.claims.copy(), 1)
        for label, item in sorted(around.items())
    }
    again = assign_unclaimed(np.pad(cells, pad), np.pad(free, pad), moved, PIXEL, 2, PARAMETERS)
    np.testing.assert_array_equal(again, np.pad(joined, pad))
