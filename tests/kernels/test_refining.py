"""Decisions on fine pixels: resin at its grey value, nuclei at the strongest line, tiles alike."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.kernels.flooding import INSIDE, OPEN, OUTSIDE, flood
from hela_dask.kernels.grid import block_mean
from hela_dask.kernels.painting import expand_labels, paint_cells, repeat_pixels
from hela_dask.kernels.refining import border_pixels, refine_nucleus, refine_resin, resin_halo
from hela_dask.kernels.subpixel import inset
from tests.drawn import iou

Mask = NDArray[np.bool_]

FINE = (10.0, 10.0)
FACTORS = (4, 4)
RADIUS = 800.0
SIZE = 240


def away() -> NDArray[np.float64]:
    """Distance in nm from the middle of a plane of 2.4 µm."""
    axis = (np.arange(SIZE) - (SIZE - 1) / 2) * FINE[0]
    distance: NDArray[np.float64] = np.hypot(axis[:, None], axis[None])
    return distance


def crest(distance: NDArray[np.float64], radius: float) -> NDArray[np.float32]:
    """Membrane strength of a ring, and faint grain everywhere."""
    grain = np.random.default_rng(1).integers(0, 8, distance.shape)
    line = 150 * np.exp(-((distance - radius) ** 2) / (2 * 45.0**2))
    lines: NDArray[np.float32] = (grain + line).astype(np.float32)
    return lines


def rough(mask: Mask) -> Mask:
    return block_mean(mask, FACTORS) >= 0.5


def refine(
    lines: NDArray[np.float32], outline: Mask, nucleus: Mask, resin: Mask, envelope: float
) -> Mask:
    voxels = FACTORS, FINE
    hidden = np.float32(np.nan)  # pixels that are not asked for count nowhere
    return refine_nucleus(
        lambda wanted: np.where(wanted, lines, hidden), outline, nucleus, resin, voxels, envelope
    )


def refined(lines: NDArray[np.float32], outline: Mask, resin: Mask | None = None) -> Mask:
    none = np.zeros(lines.shape, dtype=bool)
    resin = none if resin is None else resin
    return refine(lines, rough(outline), rough(outline), resin, 0)


@pytest.mark.parametrize("off", [-40.0, -20.0, 0.0, 20.0, 40.0])
def test_a_rough_outline_moves_to_the_crest_within_reach(off: float) -> None:
    found = refined(crest(away(), RADIUS), away() < RADIUS + off)
    assert found[away() < RADIUS - 2 * FINE[0]].all()
    assert not found[away() > RADIUS + 2 * FINE[0]].any()


@pytest.mark.parametrize("side", [-1, 1])
def test_it_moves_no_further_than_one_and_a_half_coarse_pixels(side: int) -> None:
    outline = away() < RADIUS
    found = refined(crest(away(), RADIUS + side * 200), outline)
    room = 60 + FACTORS[0] * FINE[0] * math.sqrt(2)
    assert found[away() < RADIUS - room].all()
    assert not found[away() > RADIUS + room].any()
    assert (found.sum() - outline.sum()) * side > 0  # it has moved there


def test_an_island_without_inside_survives() -> None:
    island = np.zeros((SIZE, SIZE), dtype=bool)
    island[212:220, 100:108] = True
    lines = crest(away(), 600)
    assert refined(lines, (away() < 600) | island)[island].all()
    assert not refined(lines, away() < 600)[island].any()


def test_resin_is_never_nucleus() -> None:
    outline = away() < RADIUS
    resin = np.broadcast_to(np.arange(SIZE) > 150, outline.shape)
    found = refined(crest(away(), RADIUS), outline, resin)
    assert not (found & resin).any()
    assert iou(found, outline & ~resin) > 0.95


@pytest.mark.parametrize("depth", [30.0, 45.0, 60.0, 75.0])
def test_a_nucleus_has_the_area_that_it_has_on_coarse_pixels(depth: float) -> None:
    lines, outline = crest(away(), RADIUS), away() < RADIUS
    none, nucleus = np.zeros_like(outline), rough(away() < RADIUS - depth)
    found = refine(lines, rough(outline), nucleus, none, 50.0)
    assert found.sum() == pytest.approx(nucleus.sum() * math.prod(FACTORS), rel=2e-3)
    assert not (found & (away() > RADIUS)).any()
    assert iou(found, away() < RADIUS - depth) > 0.985


def test_pieces_without_a_nucleus_go_and_take_nothing_from_others() -> None:
    lines, outline = crest(away(), 600), away() < 600
    none, nucleus = np.zeros_like(outline), rough(away() < 555)
    island = none.copy()
    island[212:232, 100:120] = True
    found = refine(lines, rough(outline | island), nucleus, none, 50.0)
    alone = refine(lines, rough(outline), nucleus, none, 50.0)
    np.testing.assert_array_equal(found, alone)
    assert not refine(lines, rough(outline), rough(none), none, 50.0).any()


def test_a_partial_row_of_coarse_pixels_counts_as_it_is() -> None:
    lines, outline = crest(away(), RADIUS), away() < RADIUS
    nucleus = rough(away() < RADIUS - 45)
    rows = 4 * (SIZE // 8) + 1  # the last coarse row has one fine row
    part, none = slice(0, rows), np.zeros((rows, SIZE), dtype=bool)
    coarse = slice(0, -(-rows // FACTORS[0]))
    found = refine(lines[part], rough(outline)[coarse], nucleus[coarse], none, 50.0)
    wanted = np.kron(nucleus, np.ones(FACTORS, dtype=bool))[part]
    assert found.sum() == pytest.approx(wanted.sum(), rel=3e-3)


def test_no_more_than_twice_the_envelope_is_taken_off() -> None:
    lines, outline = crest(away(), RADIUS), away() < RADIUS
    none, nucleus = np.zeros_like(outline), rough(away() < RADIUS - 300)
    found = refine(lines, rough(outline), nucleus, none, 30.0)
    np.testing.assert_array_equal(found, inset(refined(lines, outline), 60.0, FINE))


@settings(deadline=None)
@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_a_border_has_both_sides_within_a_pixel(resin: Mask) -> None:
    around = np.pad(resin, 1, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(around, (3, 3))
    expected = windows.any(axis=(2, 3)) & ~windows.all(axis=(2, 3))
    np.testing.assert_array_equal(border_pixels(resin), expected)


@settings(deadline=None)
@given(
    arrays(np.uint16, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.integers(0, 2)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.data(),
)
def test_fine_pixels_have_the_value_of_their_coarse_one(
    plane: NDArray[np.uint16], factors: tuple[int, int], data: st.DataObject
) -> None:
    # The fine plane may be up to a coarse pixel larger or smaller.
    places, parts = [], []
    for size, by in zip(plane.shape, factors, strict=True):
        length = size * by + data.draw(st.integers(1 - by, by - 1))
        first = data.draw(st.integers(0, length - 1))
        parts.append(slice(first, data.draw(st.integers(first + 1, length))))
        places.append(np.minimum(np.arange(length) // by, size - 1)[parts[-1]])
    rows, columns = parts
    expected = plane[np.ix_(*places)]
    np.testing.assert_array_equal(repeat_pixels(plane, rows, columns, factors), expected)
    resin = np.random.default_rng(0).random(expected.shape) < 0.3
    cells = np.full(expected.shape, 9, np.uint16)
    paint_cells(cells, resin, plane, (rows.start, columns.start, *factors))
    np.testing.assert_array_equal(cells, np.where(resin, 0, expected))


def scene(seed: int, shape: tuple[int, int]) -> tuple[NDArray[np.uint8], Mask]:
    """Grey values of blobs of tissue in resin, and where the resin is."""
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 9)
    resin = smooth > np.median(smooth)
    noise = np.random.default_rng(seed + 1).normal(0, 10, shape)
    return np.clip(np.where(resin, 200, 120) + noise, 0, 255).astype(np.uint8), resin


def refined_plane(
    grey: NDArray[np.uint8], resin: Mask, tile: tuple[slice, slice], threshold: float = 160.0
) -> Mask:
    """Resin of a tile, from no more of the plane than its halo."""
    halo = resin_halo(30.0, FINE)
    outer = Box(tile).grow(halo).clip(grey.shape)
    return refine_resin(
        grey[outer],
        outer.low,
        Box(tile),
        resin,
        border_pixels(resin),
        threshold,
        factors=FACTORS,
        pixel=FINE,
        blur=30.0,
    )


def whole(shape: tuple[int, ...]) -> tuple[slice, slice]:
    return slice(0, shape[0]), slice(0, shape[1])


def test_the_border_of_the_resin_is_the_fine_one() -> None:
    grey, resin = scene(0, (400, 360))
    coarse = rough(resin)
    found = refined_plane(grey, coarse, whole(grey.shape))
    assert iou(found, resin) > 0.965  # the low-pass rounds its corners
    blocky = repeat_pixels(coarse, *whole(grey.shape), FACTORS)
    assert (found != resin).sum() < (blocky != resin).sum() / 2


def test_coarse_labels_against_the_grey_values_stay() -> None:
    grey, resin = scene(1, (400, 360))
    smeared = rough(resin)
    smeared[20:60, 10:60] = True  # a smear of charge: dark, and resin all the same
    found = refined_plane(grey, smeared, whole(grey.shape))
    inside = repeat_pixels(smeared, *whole(grey.shape), FACTORS)
    inner = np.zeros_like(inside)
    inner[88:232, 48:232] = True
    assert found[inner].all()


def test_a_slice_without_levels_is_not_refined() -> None:
    grey, resin = scene(2, (200, 200))
    found = refined_plane(grey, rough(resin), whole(grey.shape), math.nan)
    np.testing.assert_array_equal(found, repeat_pixels(rough(resin), *whole(grey.shape), FACTORS))


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.integers(30, 210), st.integers(30, 210)),
    st.lists(st.integers(1, 50), max_size=3),
    st.lists(st.integers(1, 50), max_size=3),
    st.integers(0, 9),
)
def test_tiles_are_parts_of_the_whole(
    shape: tuple[int, int], rows: list[int], columns: list[int], seed: int
) -> None:
    grey, resin = scene(seed, shape)
    coarse = rough(resin)
    found = np.zeros(shape, dtype=bool)
    cuts = [
        sorted({0, length, *(at * 4 for at in places if at * 4 < length)})
        for length, places in zip(shape, (rows, columns), strict=True)
    ]
    for top, bottom in zip(cuts[0][:-1], cuts[0][1:], strict=True):
        for left, right in zip(cuts[1][:-1], cuts[1][1:], strict=True):
            tile = slice(top, bottom), slice(left, right)
            found[tile] = refined_plane(grey, coarse, tile)
    np.testing.assert_array_equal(found, refined_plane(grey, coarse, whole(shape)))


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.integers(0, 99),
)
def test_spread_repeats_coarse_pixels(
    factors: tuple[int, int], shape: tuple[int, int], seed: int
) -> None:
    size = tuple(-(-length // by) for length, by in zip(shape, factors, strict=True))
    plane = np.random.default_rng(seed).integers(0, 9, size).astype(np.uint16)
    expected = plane.repeat(factors[0], 0).repeat(factors[1], 1)[: shape[0], : shape[1]]
    np.testing.assert_array_equal(repeat_pixels(plane, *whole(shape), factors), expected)
    part = slice(shape[0] // 2, shape[0]), slice(shape[1] // 3, shape[1])
    np.testing.assert_array_equal(repeat_pixels(plane, *part, factors), expected[part])


def test_labels_grow_by_one_pixel_into_resin_alone() -> None:
    cells = np.zeros((5, 9), np.uint16)
    cells[2, 1], cells[2, 5], cells[2, 7] = 3, 9, 4
    resin = cells == 0
    resin[1, :] = False  # tissue of nobody
    found = expand_labels(cells, resin)
    assert found[2, 6] == 4  # of two the lower
    assert found[3, 0] == 3
    assert not found[1].any()
    assert not found[0].any()
    np.testing.assert_array_equal(found[cells > 0], cells[cells > 0])


def test_the_largest_label_grows_as_others_do() -> None:
    cells = np.zeros((3, 4), np.uint16)
    cells[1, 1] = 65535
    found = expand_labels(cells, cells == 0)
    np.testing.assert_array_equal(found, [[65535, 65535, 65535, 0]] * 3)
    with pytest.raises(ValueError, match="shape"):
        expand_labels(cells, np.ones((3, 5), np.bool_))


def test_a_flood_meets_on_the_ridge_and_leaves_the_markers() -> None:
    rows, columns = np.mgrid[:40, :60]
    height = np.exp(-((columns - 33 - 4 * np.sin(rows / 5)) ** 2) / 8).astype(np.float32)
    markers = np.full(height.shape, OPEN, np.int8)
    markers[:, :5], markers[:, 55:] = INSIDE, OUTSIDE
    flood(height, markers)
    expected = columns < 33 + 4 * np.sin(rows / 5)
    assert ((markers == INSIDE) != expected).mean() < 0.03
    assert not (markers == OPEN).any()
    assert (markers[:, :5] == INSIDE).all()


def test_what_no_marker_reaches_is_outside() -> None:
    markers = np.full((6, 6), OPEN, np.int8)
    flood(np.zeros((6, 6), np.float32), markers)
    assert (markers == OUTSIDE).all()
