"""Discs, holes and pieces against what can be counted by hand or by brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.kernels import morphology

Mask = NDArray[np.bool_]

PIXELS = ((40.0, 40.0), (10.0, 40.0), (50.0, 17.0))
masks = npst.arrays(bool, npst.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14))
pixels = st.sampled_from(PIXELS)
radii = st.sampled_from([0.0, 25.0, 60.0, 95.0, 150.0])


def brute_distance(mask: Mask, pixel: tuple[float, ...]) -> NDArray[np.float64]:
    """From every pixel to every true one, the least; infinite without any."""
    everywhere = np.indices(mask.shape).reshape(mask.ndim, -1).T * np.array(pixel)
    inside = np.argwhere(mask) * np.array(pixel)
    if len(inside) == 0:
        return np.full(mask.shape, np.inf)
    apart = np.linalg.norm(everywhere[:, None] - inside[None], axis=2)
    nearest: NDArray[np.float64] = apart.min(axis=1).reshape(mask.shape)
    return nearest


def disc(radius: float, size: int = 61, pixel: tuple[float, float] = (40.0, 40.0)) -> Mask:
    """A disc in the middle of a square, radius in nm."""
    rows, columns = np.indices((size, size)) - size // 2
    found: Mask = np.hypot(rows * pixel[0], columns * pixel[1]) <= radius
    return found


@settings(max_examples=60, deadline=None)
@given(mask=masks, pixel=pixels)
def test_distances_are_those_of_brute_force(mask: Mask, pixel: tuple[float, float]) -> None:
    expected = brute_distance(mask, pixel)
    np.testing.assert_allclose(morphology.distance_to(mask, pixel), expected, rtol=1e-5)
    inside = morphology.depth_inside(mask, pixel)
    np.testing.assert_allclose(inside, brute_distance(~mask, pixel), rtol=1e-5)


@settings(max_examples=60, deadline=None)
@given(mask=masks, pixel=pixels, radius=radii)
def test_growing_is_shrinking_of_the_rest(
    mask: Mask, pixel: tuple[float, float], radius: float
) -> None:
    grown = morphology.dilate(mask, radius, pixel)
    np.testing.assert_array_equal(grown, brute_distance(mask, pixel) <= radius)
    np.testing.assert_array_equal(~morphology.erode(~mask, radius, pixel), grown)


@settings(max_examples=60, deadline=None)
@given(mask=masks, pixel=pixels, cap=st.sampled_from([20.0, 60.0, 150.0, 1e4]))
def test_with_a_cap_distances_up_to_it_are_the_same(
    mask: Mask, pixel: tuple[float, float], cap: float
) -> None:
    expected = brute_distance(mask, pixel)
    found = morphology.distance_to(mask, pixel, cap)
    near = expected <= cap
    np.testing.assert_allclose(found[near], expected[near], rtol=1e-5)
    assert (found[~near] > cap).all()


@settings(max_examples=100, deadline=None)
@given(mask=masks)
def test_what_no_way_leads_out_of_is_filled(mask: Mask) -> None:
    before = mask.copy()
    np.testing.assert_array_equal(morphology.fill(mask), ndimage.binary_fill_holes(mask))
    np.testing.assert_array_equal(mask, before)


@settings(max_examples=60, deadline=None)
@given(mask=masks, pixel=pixels, radius=radii)
def test_opening_and_closing_are_idempotent_and_bounded(
    mask: Mask, pixel: tuple[float, float], radius: float
) -> None:
    opened = morphology.open_(mask, radius, pixel)
    closed = morphology.close(mask, radius, pixel)
    assert not (opened & ~mask).any()
    assert not (mask & ~closed).any()
    np.testing.assert_array_equal(morphology.open_(opened, radius, pixel), opened)
    np.testing.assert_array_equal(morphology.close(closed, radius, pixel), closed)
    np.testing.assert_array_equal(~morphology.open_(~mask, radius, pixel), closed)


@pytest.mark.parametrize("pixel", PIXELS)
def test_a_grown_pixel_is_a_disc_in_nm(pixel: tuple[float, float]) -> None:
    point = np.zeros((41, 41), dtype=bool)
    point[20, 20] = True
    grown = morphology.dilate(point, 180.0, pixel)
    np.testing.assert_array_equal(grown, disc(180.0, 41, pixel))
    rows, columns = np.flatnonzero(grown.any(axis=1)), np.flatnonzero(grown.any(axis=0))
    assert len(rows) == 2 * int(180 / pixel[0]) + 1
    assert len(columns) == 2 * int(180 / pixel[1]) + 1


def test_distances_in_space_take_three_voxel_sizes() -> None:
    point = np.zeros((5, 5, 5), dtype=bool)
    point[2, 2, 2] = True
    away = morphology.distance_to(point, (50.0, 40.0, 10.0))
    assert away[0, 2, 2] == 100
    assert away[2, 0, 2] == 80
    assert away[2, 2, 4] == 20
    assert away[1, 1, 0] == pytest.approx(np.sqrt(50**2 + 40**2 + 20**2))


def test_the_border_is_neither_object_nor_obstacle() -> None:
    whole = np.ones((6, 9), dtype=bool)
    assert morphology.erode(whole, 1000.0, (40.0, 40.0)).all()
    assert not morphology.dilate(~whole, 1000.0, (40.0, 40.0)).any()
    assert np.isinf(morphology.depth_inside(whole, (40.0, 40.0))).all()


def test_a_gap_is_closed_and_a_bridge_opened_at_its_own_width_only() -> None:
    half = np.ones((30, 60), dtype=bool)
    half[:, 28:32] = False  # four pixels wide: two from each side
    assert not morphology.close(half, 79.0, (40.0, 40.0)).all()
    assert morphology.close(half, 80.0, (40.0, 40.0)).all()
    half[:, 28:32] = True
    half[:13, 28:32] = half[17:, 28:32] = False  # four pixels tall
    middle = (15, 30)
    assert morphology.open_(half, 40.0, (40.0, 40.0))[middle]
    assert not morphology.open_(half, 100.0, (40.0, 40.0))[middle]


def test_areas_are_in_square_micrometres_and_nothing_has_none() -> None:
    labels = np.zeros((100, 100), dtype=np.int32)
    labels[:50, :50], labels[90:, 90:] = 1, 3
    found = morphology.areas(labels, (10.0, 40.0))
    np.testing.assert_allclose(found, [0, 2500 * 400e-6, 0, 100 * 400e-6])


def test_pieces_go_below_the_area_and_stay_above_it() -> None:
    mask = np.zeros((40, 40), dtype=bool)
    mask[2:12, 2:12] = True  # 100 pixels of 0.0016 µm²
    mask[20:29, 20:31] = True  # 99
    kept = morphology.remove_pieces(mask, 0.1599, (40.0, 40.0))
    assert kept[2:12, 2:12].all()
    assert kept.sum() == 100


@pytest.mark.parametrize("seed", range(6))
def test_small_holes_are_the_small_pieces_of_what_is_outside(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = ndimage.gaussian_filter(rng.normal(size=(70, 90)), 2) > (-0.05, 0.1)[seed % 2]
    mask[(slice(30), slice(60, None))[seed % 2]] = False  # its box is not the plane
    plane = mask.copy()
    for area in (0.0, 0.05, 0.3):
        filled = morphology.fill_small(mask, area, (40.0, 40.0))
        np.testing.assert_array_equal(filled, ~morphology.remove_pieces(~mask, area, (40.0, 40.0)))
        np.testing.assert_array_equal(morphology.fill_small(mask.T, area, (40.0, 40.0)), filled.T)
    np.testing.assert_array_equal(mask, plane)


def test_what_goes_on_beyond_a_mask_is_no_hole() -> None:
    mask = np.zeros((50, 50), dtype=bool)
    mask[20:30, 20:30] = True
    mask[23:26, 24] = False
    mask[27:30, 27] = False  # a notch
    filled = morphology.fill_small(mask, 10.0, (40.0, 40.0))
    assert filled[23:26, 24].all()
    assert filled.sum() == mask.sum() + 3
    assert not morphology.fill_small(np.zeros_like(mask), 10.0, (40.0, 40.0)).any()


def test_pieces_that_meet_at_a_corner_are_two() -> None:
    mask = np.zeros((24, 24), dtype=bool)
    mask[2:12, 2:12] = mask[12:22, 12:22] = True
    assert not morphology.remove_pieces(mask, 150 * 1600e-6, (40.0, 40.0)).any()


def test_nothing_stays_nothing_and_everything_everything() -> None:
    empty = np.zeros((7, 5), dtype=bool)
    for mask in (empty, ~empty):
        for area in (0.0, 0.01):
            np.testing.assert_array_equal(morphology.remove_pieces(mask, area, (40.0, 40.0)), mask)


def test_labels_at_the_border() -> None:
    labels = np.zeros((6, 6), dtype=np.int32)
    labels[0, 2], labels[3, 5], labels[2:4, 2:4], labels[5, 0] = 7, 2, 5, 9
    np.testing.assert_array_equal(morphology.touching_border(labels), [2, 7, 9])
    assert morphology.touching_border(np.zeros((3, 3), dtype=np.int32)).size == 0


def test_diagonal_neighbours_are_one_piece_with_eight() -> None:
    assert ndimage.label(np.eye(4, dtype=bool), structure=morphology.CONNECTIVITY_8)[1] == 1


@pytest.mark.parametrize("margin", [0.0, 95.0])
def test_a_box_holds_the_mask_and_its_margin(margin: float) -> None:
    mask = np.zeros((60, 90), dtype=bool)
    mask[25, 40] = mask[30, 44] = True
    pixel = (20.0, 10.0)
    rows, columns = morphology.box_around(mask, margin, pixel)
    for part, (first, last), size in zip((rows, columns), ((25, 30), (40, 44)), pixel, strict=True):
        assert (first - part.start) * size >= margin
        assert (part.stop - 1 - last) * size >= margin
        assert (first - part.start) * size <= margin + 3 * size
    mask[0, 0] = mask[-1, -1] = True
    assert mask[morphology.box_around(mask, margin, pixel)].shape == mask.shape


def test_the_box_around_nothing_is_empty() -> None:
    nothing = np.zeros((4, 5, 6), dtype=bool)
    assert nothing[morphology.box_around(nothing, 95.0, (50.0, 20.0, 10.0))].size == 0


def test_without_a_margin_the_box_is_the_smallest() -> None:
    mask = np.zeros((4, 5, 6), dtype=bool)
    mask[1, 2, 3] = mask[2, 2, 5] = True
    expected = (slice(1, 3), slice(2, 3), slice(3, 6))
    assert morphology.box_around(mask, 0.0, (50.0, 20.0, 10.0)) == expected


@pytest.mark.parametrize("pixel", PIXELS)
def test_a_shell_is_between_two_distances(pixel: tuple[float, float]) -> None:
    mask = np.random.default_rng(1).random((60, 70)) < 0.003
    away = morphology.distance_to(mask, pixel)
    for near, far in [(0.0, 60.0), (110.0, 310.0), (20.0, 24 * min(pixel)), (90.0, 1500.0)]:
        found = morphology.shell(mask, near, far, pixel)
        assert found.any()
        np.testing.assert_array_equal(found, (away > near) & (away <= far))
