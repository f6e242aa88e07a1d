"""A drawn nucleus: where it is looked for, gaps in its envelope, islands, its outline."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from hela_dask.kernels.membrane import ridge_plane
from hela_dask.kernels.nucleus import (
    outline_nucleus,
    propagate_nucleus,
    smoothest_spot,
    start_nucleus,
)
from hela_dask.parameters import PropagateParameters

Mask = NDArray[np.bool_]
Grey = NDArray[np.float32]

PIXEL = (40.0, 40.0)
DEFAULTS = PropagateParameters()
SHAPE = (200, 200)


def disc(y: float, x: float, radius: float, pixel: tuple[float, float] = PIXEL) -> Mask:
    """Of the middle y, x and the radius, nm; the plane is 8 x 8 µm."""
    shape = (round(8000 / pixel[0]), round(8000 / pixel[1]))
    rows, columns = (np.indices(shape) + 0.5) * np.reshape(pixel, (2, 1, 1))
    found: Mask = np.hypot(rows - y, columns - x) < radius
    return found


def ring(gap: float = 0.0, pixel: tuple[float, float] = PIXEL) -> Mask:
    """An envelope 120 nm wide, its outer radius 2 µm, open to the right by `gap` nm."""
    wall = disc(4000, 4000, 2000, pixel) & ~disc(4000, 4000, 1880, pixel)
    rows, columns = (np.indices(wall.shape) + 0.5) * np.reshape(pixel, (2, 1, 1))
    return np.asarray(wall & ~((abs(rows - 4000) < gap / 2) & (columns > 4000)))


def iou(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / (one | other).sum())


# -- the spot


def membranes_outside(y: float, x: float) -> Grey:
    """Ridges of a plane full of dark lines but for a disc of 1.8 µm."""
    rows, _ = np.indices(SHAPE)
    image = np.where((rows % 6 < 2) & ~disc(y, x, 1800), 110.0, 150.0)
    return ridge_plane(image + np.random.default_rng(0).normal(0, 3, SHAPE), 50.0, PIXEL)


@pytest.mark.parametrize("place", [(4000, 4000), (2800, 5000), (5300, 2900)])
def test_the_smoothest_spot_is_in_the_nucleus(place: tuple[int, int]) -> None:
    tissue = np.ones(SHAPE, dtype=bool)
    spot = smoothest_spot(membranes_outside(*place), tissue, (100, 100), PIXEL, DEFAULTS)
    assert spot is not None
    assert np.hypot(spot[0] * 40 - place[0], spot[1] * 40 - place[1]) < 500


def test_the_spot_is_within_the_search_and_never_in_the_resin() -> None:
    near = dataclasses.replace(DEFAULTS, search=600.0)
    ridge, tissue = membranes_outside(2500, 5500), disc(4000, 4000, 2500)
    spot = smoothest_spot(ridge, tissue, (100, 100), PIXEL, near)
    assert spot is not None
    assert np.hypot(spot[0] - 100, spot[1] - 100) * 40 <= 600
    # The resin is smoother than any nucleus.
    ridge[~tissue] = 0
    away = smoothest_spot(ridge, tissue, (100, 100), PIXEL, DEFAULTS)
    assert away is not None
    assert tissue[away]


def test_no_spot_without_tissue_near_the_centre() -> None:
    near = dataclasses.replace(DEFAULTS, search=1000.0)
    ridge = np.zeros(SHAPE, dtype=np.float32)
    nothing = np.zeros(SHAPE, dtype=bool)
    assert smoothest_spot(ridge, nothing, (100, 100), PIXEL, near) is None
    assert smoothest_spot(ridge, disc(1500, 1500, 1000), (150, 150), PIXEL, near) is None


def test_gain_does_not_move_the_spot() -> None:
    ridge, tissue = membranes_outside(2800, 5000), np.ones(SHAPE, dtype=bool)
    spot = smoothest_spot(ridge, tissue, (100, 100), PIXEL, DEFAULTS)
    assert smoothest_spot(ridge * 256, tissue, (100, 100), PIXEL, DEFAULTS) == spot


# -- the first slice


def begin(
    free: Mask,
    spot: tuple[int, int],
    pixel: tuple[float, float] = PIXEL,
    parameters: PropagateParameters = DEFAULTS,
) -> tuple[Mask, float]:
    """Where all of the slice is the cell's own."""
    return start_nucleus(free, np.ones_like(free), spot, pixel, parameters)


def test_a_neighbours_nucleus_is_not_taken_though_it_is_nearer() -> None:
    mine, other = disc(4000, 2500, 1200), disc(4000, 5500, 1200)
    own = np.indices(SHAPE)[1] < 100
    core, _ = start_nucleus(mine | other, own, (100, 120), PIXEL, DEFAULTS)
    assert iou(core, mine) > 0.95
    core, _ = start_nucleus(mine | other, np.ones_like(own), (100, 120), PIXEL, DEFAULTS)
    assert iou(core, other) > 0.95


@pytest.mark.parametrize("pixel", [(40.0, 40.0), (20.0, 20.0), (10.0, 40.0)])
def test_the_inside_of_a_whole_ring_is_the_nucleus(pixel: tuple[float, float]) -> None:
    wall = ring(pixel=pixel)
    spot = (wall.shape[0] // 2, wall.shape[1] // 2)
    core, clearance = begin(~wall, spot, pixel, DEFAULTS)
    assert clearance == 100
    assert iou(core, disc(4000, 4000, 1880, pixel)) > 0.96
    assert not (core & wall).any()


@pytest.mark.parametrize(("gap", "clearance"), [(160.0, 100.0), (240.0, 130.0), (400.0, 200.0)])
def test_the_core_does_not_leak_through_a_gap(gap: float, clearance: float) -> None:
    core, used = begin(~ring(gap), (100, 100), PIXEL, DEFAULTS)
    assert used == pytest.approx(clearance)
    assert iou(core, disc(4000, 4000, 1880)) > 0.95
    assert not (core & ~disc(4000, 4000, 2000 + used)).any()


def test_a_gap_too_wide_for_any_clearance_leaves_it_as_it_is() -> None:
    core, used = begin(~ring(1500.0), (100, 100), PIXEL, DEFAULTS)
    assert used == 100
    assert core.sum() > 1.5 * disc(4000, 4000, 1880).sum()


def test_the_piece_nearest_to_the_spot_of_those_large_enough() -> None:
    large, other, small = disc(2000, 2000, 1300), disc(6000, 6000, 1300), disc(3700, 3700, 500)
    free = large | other | small
    core, _ = begin(free, (90, 90), PIXEL, DEFAULTS)
    assert iou(core, large) > 0.95
    core, _ = begin(free, (110, 120), PIXEL, DEFAULTS)
    assert iou(core, other) > 0.95


def test_nucleoli_are_holes_and_are_filled() -> None:
    free = disc(4000, 4000, 1800) & ~disc(4200, 3800, 500)
    core, _ = begin(free, (120, 100), PIXEL, DEFAULTS)
    assert iou(core, disc(4000, 4000, 1800)) > 0.97


def test_nothing_under_the_smallest_area() -> None:
    small = disc(4000, 4000, 900)  # 2.5 µm²
    assert not begin(small, (100, 100), PIXEL, DEFAULTS)[0].any()
    smaller = dataclasses.replace(DEFAULTS, smallest_nucleus=2.0)
    assert begin(small, (100, 100), PIXEL, smaller)[0].any()
    assert not begin(np.zeros(SHAPE, dtype=bool), (100, 100), PIXEL, DEFAULTS)[0].any()


# -- the slices after it


def follow(free: Mask, previous: Mask) -> Mask:
    return propagate_nucleus(free, previous, 100.0, PIXEL, DEFAULTS)


def test_an_island_over_the_slice_before_is_kept_and_another_goes() -> None:
    previous = disc(4000, 3000, 1000) | disc(4000, 5200, 600)
    islands = disc(4000, 3000, 900), disc(4000, 5200, 500)
    stranger = disc(6500, 6500, 900)
    found = follow(islands[0] | islands[1] | stranger, previous)
    assert iou(found, islands[0] | islands[1]) > 0.97
    assert not (found & stranger).any()


def test_a_piece_that_lies_mostly_beside_the_slice_before_goes() -> None:
    previous = disc(4000, 3000, 1000)
    for shift, kept in ((300, True), (900, False)):
        found = follow(disc(4000, 3000 + shift, 900), previous)
        assert found.any() == kept


def test_a_leak_ends_where_the_reach_ends() -> None:
    found = follow(np.ones(SHAPE, dtype=bool), disc(4000, 4000, 2600))
    assert iou(found, disc(4000, 4000, 3000)) > 0.97
    # A smaller one would more than double, so it has leaked: it ends.
    assert not follow(np.ones(SHAPE, dtype=bool), disc(4000, 4000, 900)).any()


def test_a_gap_in_the_envelope_is_no_leak_under_the_clearance() -> None:
    found = follow(~ring(160.0), disc(4000, 4000, 1800))
    assert iou(found, disc(4000, 4000, 1880)) > 0.95
    assert not (found & ~disc(4000, 4000, 2000)).any()


def test_nothing_to_carry_on() -> None:
    assert not follow(np.zeros(SHAPE, dtype=bool), disc(4000, 4000, 1500)).any()
    assert not follow(disc(2000, 2000, 900), disc(6000, 6000, 900)).any()
    assert not follow(np.ones(SHAPE, dtype=bool), np.zeros(SHAPE, dtype=bool)).any()


def test_a_specks_overlap_is_not_enough() -> None:
    # 0.0064 µm² of it is shared.
    previous = np.zeros(SHAPE, dtype=bool)
    previous[100:102, 100:102] = True
    tight = dataclasses.replace(DEFAULTS, reach=120.0)
    free = np.ones(SHAPE, dtype=bool)
    assert not propagate_nucleus(free, previous, 10.0, PIXEL, tight).any()
    loose = dataclasses.replace(tight, overlap=0.005, share=0.0)
    assert propagate_nucleus(free, previous, 10.0, PIXEL, loose).any()


# -- the outline


def strength(radius: float, pixel: tuple[float, float] = PIXEL) -> Grey:
    """Membrane strength with a smooth crest at a radius around the middle."""
    shape = (round(8000 / pixel[0]), round(8000 / pixel[1]))
    rows, columns = (np.indices(shape) + 0.5) * np.reshape(pixel, (2, 1, 1))
    away = np.hypot(rows - 4000, columns - 4000) - radius
    crest: Grey = (10 * np.exp(-(away**2) / (2 * 60.0**2))).astype(np.float32)
    return crest


@pytest.mark.parametrize("pixel", [(40.0, 40.0), (20.0, 20.0)])
@pytest.mark.parametrize("short", [-60.0, 0.0, 80.0])
def test_the_outline_is_the_crest_wherever_the_core_ends_near_it(
    pixel: tuple[float, float], short: float
) -> None:
    core = disc(4000, 4000, 2000 - short, pixel)
    nothing = np.zeros(core.shape, dtype=bool)
    found = outline_nucleus(strength(2000, pixel), core, nothing, pixel, DEFAULTS)
    area = found.sum() * pixel[0] * pixel[1]
    assert np.sqrt(area / np.pi) == pytest.approx(2000, abs=pixel[0] / 2)


def test_the_outline_ends_at_the_resin() -> None:
    resin = np.indices(SHAPE)[1] >= 130
    core = disc(4000, 4000, 1900) & ~resin
    found = outline_nucleus(strength(2000), core, resin, PIXEL, DEFAULTS)
    assert not (found & resin).any()
    assert iou(found, disc(4000, 4000, 2000) & ~resin) > 0.95


def test_thin_islands_stay_and_holes_are_filled() -> None:
    core = disc(4000, 4000, 1900) & ~disc(4000, 4000, 600)
    island = np.zeros(SHAPE, dtype=bool)
    island[20:60, 170:174] = True  # 160 nm wide
    nothing = np.zeros(SHAPE, dtype=bool)
    found = outline_nucleus(strength(2000), core | island, nothing, PIXEL, DEFAULTS)
    assert found[disc(4000, 4000, 600)].all()
    assert found[island].all()


def test_no_core_no_outline() -> None:
    nothing = np.zeros(SHAPE, dtype=bool)
    assert not outline_nucleus(strength(2000), nothing, nothing, PIXEL, DEFAULTS).any()
