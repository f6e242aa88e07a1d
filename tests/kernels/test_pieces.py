"""Pieces by runs: their number, and cavities, as scipy.ndimage finds them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from hela_dask.kernels.pieces import (
    Pieces,
    count_pieces,
    fill_cavities,
    fill_plane,
    keep_piece,
    large_pieces,
    piece_sizes,
    unmarked_pieces,
)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("seed", range(3))
def test_noise_has_the_pieces_and_cavities_of_scipy(share: float, seed: int) -> None:
    mask = np.random.default_rng(seed).random((7, 11, 13)) < share
    labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
    assert count_pieces(mask) == count
    assert piece_sizes(mask).tolist() == sorted(np.bincount(labels.ravel())[1:], reverse=True)
    np.testing.assert_array_equal(fill_cavities(mask), ndimage.binary_fill_holes(mask))


def test_nothing_and_everything() -> None:
    empty, full = np.zeros((2, 3, 4), bool), np.ones((2, 3, 4), bool)
    assert (count_pieces(empty), count_pieces(full)) == (0, 1)
    assert piece_sizes(empty).tolist() == [] and piece_sizes(full).tolist() == [24]
    assert fill_cavities(empty) is empty and fill_cavities(full) is full


@pytest.mark.parametrize("seed", range(6))
def test_large_pieces_are_those_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((40, 57)) < rng.uniform(0.3, 0.8)
    mask = (mask, mask[::-1, ::2], np.zeros_like(mask), np.ones_like(mask))[seed % 4]
    labels, _ = ndimage.label(mask)
    pixels = np.bincount(labels.ravel())
    for area in (0.0, 0.5, 2.5, 3.0, 40.0, 1e9):
        expected = mask & (0.5 * pixels[labels] >= area)
        found = large_pieces(mask, area, 0.5)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(large_pieces(mask.T, area, 0.5), expected.T)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4, 0.8, 1.0])
def test_pieces_are_those_of_scipy(share: float) -> None:
    rng = np.random.default_rng(int(100 * share))
    mask, other = rng.random((6, 9, 14)) < share, rng.random((6, 9, 14)) < 0.2
    labels, count = ndimage.label(mask)
    pieces = Pieces(mask)
    assert pieces.sizes.tolist() == np.bincount(labels.ravel(), minlength=1)[1:].tolist()
    shared = np.bincount(labels[other], minlength=count + 1)[1:]
    assert pieces.shared(other).tolist() == shared.tolist()
    for number in range(count):
        np.testing.assert_array_equal(pieces.mask(number), labels == number + 1)
        places = np.argwhere(labels == number + 1)
        assert pieces.middle(number) == tuple(places[len(places) // 2])


@pytest.mark.parametrize("seed", range(6))
def test_holes_and_unmarked_pieces_of_a_plane_are_those_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((30, 41)) < (0.75 if seed < 3 else 0.4)
    mask = (mask, mask[::-1, ::2], mask.T)[seed % 3]
    filled = fill_plane(mask)
    np.testing.assert_array_equal(filled, ndimage.binary_fill_holes(mask))
    assert (filled != mask).any()
    marks = mask & (rng.random(mask.shape) < 0.03)
    labels, count = ndimage.label(mask)
    without = np.bincount(labels[marks], minlength=count + 1) == 0
    without[0] = False
    assert 0 < np.count_nonzero(without) < count
    np.testing.assert_array_equal(unmarked_pieces(mask, marks), without[labels])


def test_planes_of_one_value_have_no_holes() -> None:
    for mask in (np.zeros((3, 4), bool), np.ones((3, 4), bool)):
        np.testing.assert_array_equal(fill_plane(mask), mask)
        np.testing.assert_array_equal(unmarked_pieces(mask, ~mask & mask), mask)


@pytest.mark.parametrize("seed", range(4))
def test_the_piece_that_is_kept_is_that_of_scipy(seed: int) -> None:
    mask = np.random.default_rng(seed).random((5, 12, 14)) < 0.25
    structure = np.zeros((3, 3, 3), dtype=bool)
    structure[1] = structure[:, 1, 1] = True
    labels, _ = ndimage.label(mask, structure)
    kept = mask.copy()
    keep_piece(kept, None)
    np.testing.assert_array_equal(kept, labels == np.bincount(labels[mask]).argmax())
    for place in map(tuple, np.argwhere(mask)[::20]):
        kept = mask.copy()
        keep_piece(kept, place)
        np.testing.assert_array_equal(kept, labels == labels[place])
