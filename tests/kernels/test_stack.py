"""Masks along z: against the same on whole arrays, and drawn cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.kernels.stack import bridge_gaps, interpolate_planes, keep_component, majority


def noise(seed: int, shape: tuple[int, int, int], share: float = 0.5) -> NDArray[np.bool_]:
    return np.asarray(np.random.default_rng(seed).random(shape) < share)


@given(st.integers(0, 99), st.integers(1, 9), st.sampled_from([1, 3, 5, 7]))
@settings(deadline=None, max_examples=30)
def test_majority_is_the_median_along_z(seed: int, depth: int, width: int) -> None:
    mask = noise(seed, (depth, 4, 5))
    half = width // 2
    padded = np.concatenate([mask[:1]] * half + [mask] + [mask[-1:]] * half)
    votes = sum(padded[shift : shift + depth].astype(int) for shift in range(width))
    wanted = votes > half if depth >= width else mask.copy()
    majority(mask, width)
    np.testing.assert_array_equal(mask, wanted)


def test_gaps_take_what_both_sides_share() -> None:
    mask = np.zeros((6, 1, 4), dtype=bool)
    mask[1, 0] = [True, True, True, False]
    mask[4, 0] = [False, True, True, True]
    bridge_gaps(mask)
    assert mask[:, 0].astype(int).tolist() == [
        [0, 0, 0, 0],
        [1, 1, 1, 0],
        [0, 1, 1, 0],
        [0, 1, 1, 0],
        [0, 1, 1, 1],
        [0, 0, 0, 0],
    ]


def fork() -> NDArray[np.bool_]:
    """Two columns that meet in the last slice, and a larger block that touches neither."""
    mask = np.zeros((4, 6, 12), dtype=bool)
    mask[:, 1, 1] = mask[:, 1, 4] = True
    mask[3, 1, 1:5] = True
    mask[:3, 3:6, 7:11] = True
    return mask


@pytest.mark.parametrize("spot", [(0, 1, 1), (0, 1, 4), (3, 1, 2)])
def test_islands_that_are_connected_in_z_stay(spot: tuple[int, int, int]) -> None:
    mask = fork()
    keep_component(mask, spot)
    wanted = fork()
    wanted[:, 3:] = False
    np.testing.assert_array_equal(mask, wanted)


def test_a_spot_after_an_empty_slice_is_in_its_own_piece() -> None:
    mask = np.zeros((5, 6, 8), dtype=bool)
    mask[0, 1, 1:3] = mask[0, 4, 5:7] = mask[1, 1, 1] = True
    mask[3:, 1, 5] = mask[3, 4, 1] = True
    lone = mask.copy()
    keep_component(lone, (3, 4, 1))
    assert np.argwhere(lone).tolist() == [[3, 4, 1]]
    column = mask.copy()
    keep_component(column, (4, 1, 5))
    assert np.argwhere(column).tolist() == [[3, 1, 5], [4, 1, 5]]


@pytest.mark.parametrize("spot", [None, (0, 0, 0), (2, 2, 2)])
def test_without_a_spot_in_the_mask_the_largest_is_kept(
    spot: tuple[int, int, int] | None,
) -> None:
    mask = fork()
    keep_component(mask, spot)
    assert mask.sum() == 3 * 12
    assert mask[:3, 3:6, 7:11].all()


def test_pieces_that_meet_at_a_corner_are_one_in_a_slice_and_two_across_slices() -> None:
    within = np.zeros((1, 3, 3), dtype=bool)
    within[0, 0, 0] = within[0, 1, 1] = True
    keep_component(within)
    assert within.sum() == 2
    across = np.zeros((2, 3, 3), dtype=bool)
    across[0, 0, 0] = across[1, 1, 1] = across[1, 1, 2] = True
    keep_component(across)
    assert across.sum() == 2
    assert not across[0].any()


@pytest.mark.parametrize("seed", range(5))
def test_components_are_those_of_the_whole_array(seed: int) -> None:
    from scipy import ndimage

    mask = noise(seed, (6, 12, 12), 0.3)
    structure = np.zeros((3, 3, 3), dtype=bool)
    structure[1] = True
    structure[:, 1, 1] = True
    labels, _ = ndimage.label(mask, structure)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    keep_component(mask)
    assert mask.sum() == sizes.max()
    assert np.unique(labels[mask]).size == 1


def test_nothing_stays_nothing() -> None:
    mask = np.zeros((3, 4, 4), dtype=bool)
    keep_component(mask, (1, 1, 1))
    majority(mask, 3)
    bridge_gaps(mask)
    assert not mask.any()


@given(
    *(st.integers(1, 5), st.integers(0, 4), st.integers(0, 12), st.integers(1, 8)),
    *(st.integers(1, 3), st.integers(0, 9)),
)
@settings(deadline=None, max_examples=60)
def test_slices_between_known_ones_are_interpolated_and_views_averaged(
    every: int, first: int, start: int, count: int, number: int, seed: int
) -> None:
    stop = start + count
    depth, step = max(stop, every), every * number
    first = min(first, every - 1)
    views = [range(first + at * every, depth, step) for at in range(number)]
    slices = range(first, depth, every)
    known = np.random.default_rng(seed).integers(0, 256, (len(slices), 2, 3))
    window = Box.of([(start, stop), (0, 2), (1, 3)])
    found = interpolate_planes(known.astype(np.uint8), views, window)
    of_view = [known[at::number] for at in range(number)]
    wanted = [
        [
            [
                np.mean(
                    [
                        np.interp(z, v, of[:, y, x])
                        for v, of in zip(views, of_view, strict=True)
                        if len(v)
                    ]
                )
                for x in (1, 2)
            ]
            for y in (0, 1)
        ]
        for z in range(start, stop)
    ]
    assert found.dtype == np.uint8
    np.testing.assert_allclose(found, wanted, atol=0.501)
