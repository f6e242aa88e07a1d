"""Edges of masks moved by a length between pixels: the same for any pixel size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from hela_dask.kernels.subpixel import inset, inset_to_size, outset
from hela_dask.types import Mask

RADIUS = 2000.0  # nm


def ellipse(pixel: tuple[float, float], *, stretch: float = 1.3, shift: float = 7.0) -> Mask:
    """Of the pixels whose centre is in it, half axes RADIUS and `stretch` as much."""
    y, x = _places(pixel)
    return ((y - 3500 - shift) / RADIUS) ** 2 + ((x - 3500) / (RADIUS * stretch)) ** 2 < 1


def _places(pixel: tuple[float, float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y, x = np.indices([int(7000 / size) for size in pixel])
    return (y + 0.5) * pixel[0], (x + 0.5) * pixel[1]


def area(mask: Mask, pixel: tuple[float, float]) -> float:
    return float(np.count_nonzero(mask)) * pixel[0] * pixel[1]


@pytest.mark.parametrize("move", [inset, outset])
@pytest.mark.parametrize("length", [35.0, 50.0, 80.0])
def test_the_area_does_not_depend_on_the_pixel(move: Callable[..., Mask], length: float) -> None:
    sizes = [(10.0, 10.0), (20.0, 20.0), (40.0, 40.0), (40.0, 10.0)]
    areas = [area(move(ellipse(pixel), length, pixel), pixel) for pixel in sizes]
    perimeter = 2 * np.pi * RADIUS * 1.15
    assert (max(areas) - min(areas)) / perimeter < 8.0  # nm, a fifth of the largest pixel


@pytest.mark.parametrize("length", [15.0, 50.0, 100.0])
def test_the_edge_moves_by_the_length(length: float) -> None:
    pixel = (10.0, 10.0)
    y, x = _places(pixel)
    away = np.hypot(y - 3500, x - 3500)
    disc = away < RADIUS
    for moved, wanted in (
        (inset(disc, length, pixel), RADIUS - length),
        (outset(disc, length, pixel), RADIUS + length),
    ):
        differs = moved != (away < wanted)
        assert np.abs(away[differs] - wanted).max(initial=0) < 4.0  # less than half a pixel


def test_it_does_not_depend_on_how_the_plane_lies() -> None:
    mask = np.random.default_rng(0).random((60, 60)) < 0.5
    mask[10:50, 20:45] = True
    for move in (inset, outset):
        found = move(mask, 50.0, (40.0, 40.0))
        np.testing.assert_array_equal(move(mask[::-1].T, 50.0, (40.0, 40.0)), found[::-1].T)


def test_the_border_of_the_plane_is_no_edge() -> None:
    mask = np.zeros((20, 20), dtype=bool)
    mask[:, 8:] = True
    assert inset(mask, 60.0, (40.0, 40.0))[:, 10:].all()
    assert inset(np.ones_like(mask), 60.0, (40.0, 40.0)).all()
    assert not outset(np.zeros_like(mask), 60.0, (40.0, 40.0)).any()


def test_no_length_moves_nothing_and_thin_parts_go() -> None:
    mask = np.zeros((30, 30), dtype=bool)
    mask[5:25, 5:25] = mask[15, :] = True
    for move in (inset, outset):
        np.testing.assert_array_equal(move(mask, 0.0, (40.0, 40.0)), mask)
    left = inset(mask, 30.0, (40.0, 40.0))
    assert left[7:23, 7:23].all()
    assert not left[15, :5].any()
    assert (outset(mask, 50.0, (40.0, 40.0)) & mask).sum() == mask.sum()


@pytest.mark.parametrize("pixel", [(10.0, 10.0), (20.0, 20.0), (40.0, 10.0)])
def test_a_mask_is_made_as_small_as_wanted_from_its_edge_inwards(
    pixel: tuple[float, float],
) -> None:
    mask = ellipse(pixel)
    for length in (5.0, 30.0, 61.0):
        size = int(np.count_nonzero(inset(mask, length, pixel)))
        found = inset_to_size(mask, size, 100.0, pixel)
        np.testing.assert_array_equal(found, inset(mask, length, pixel))
    for share in (0.999, 0.98, 0.95):
        found = inset_to_size(mask, int(share * mask.sum()), 200.0, pixel)
        assert np.count_nonzero(found) == pytest.approx(share * mask.sum(), rel=3e-3)
        assert not (found & ~mask).any()


def test_a_mask_that_is_small_enough_stays_and_no_more_than_allowed_goes() -> None:
    pixel = (20.0, 20.0)
    mask = ellipse(pixel)
    for size, most in ((mask.sum(), 80.0), (mask.sum() + 9, 80.0), (0, 0.0)):
        np.testing.assert_array_equal(inset_to_size(mask, int(size), most, pixel), mask)
    np.testing.assert_array_equal(inset_to_size(mask, 0, 80.0, pixel), inset(mask, 80.0, pixel))
    empty = np.zeros_like(mask)
    assert not inset_to_size(empty, 5, 80.0, pixel).any()


def test_pixels_as_far_inside_stay_or_go_together() -> None:
    mask = np.zeros((40, 40), dtype=bool)
    mask[8:32, 8:32] = True
    for size in (560, 500, 484, 440):
        found = inset_to_size(mask, size, 500.0, (40.0, 40.0))
        np.testing.assert_array_equal(found, found[::-1].T)
