"""The core of a nucleus in drawn free space: leaks, lobes, further nuclei, resin, odd slices."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.kernels.core import MAX_RESIN_SHARE, Core, fill_holes, find_core
from hela_dask.kernels.levelling import equalise_slices
from hela_dask.parameters import VolumetricParameters

Mask = NDArray[np.bool_]
Voxel = tuple[float, float, float]

VOXEL = (50.0, 40.0, 40.0)
PIXEL = VOXEL[1:]
# Small nuclei: the smooth spot is small too.
PARAMETERS = replace(VolumetricParameters(), spot=300.0, density=0.15)
WALL = 60.0
NECK = 240.0
"""Width of the neck between two lobes, nm: a clearance of less than half of it passes."""


@dataclass
class Space:
    """Free space, tissue, and the two lobes, of which the left one has the spot."""

    free: Mask
    tissue: Mask
    left: Mask
    right: Mask
    spot: tuple[int, int, int]
    voxel: Voxel

    def core(self, parameters: VolumetricParameters = PARAMETERS) -> Core:
        return find_core(self.free, ~self.tissue, self.spot, self.voxel, parameters)


def lobes(
    voxel: Voxel = VOXEL,
    *,
    radii: tuple[float, float] = (800.0, 800.0),
    neck: float = 0.0,
    walls: bool = False,
    resin: bool = True,
    height: float = 2000.0,
) -> Space:
    """Two balls with membranes around them in resin, or in tissue, along x.

    With `walls` the right one is full of upright membranes, 400 nm apart, but for a passage
    across its middle that joins what is between them. Without a second radius there is one ball.
    """
    middles = (1000.0, 1000.0 + radii[0] + radii[1] + 200.0)
    width = 2000.0 if radii[1] == 0 else middles[1] + radii[1] + 200.0
    sizes = (height, 2000.0, width)
    shape = tuple(round(length / size) for length, size in zip(sizes, voxel, strict=True))
    z, y, x = ((np.indices(shape).T + 0.5) * voxel).T
    z -= height / 2
    y -= 1000.0
    left, right = (np.sqrt(z**2 + y**2 + (x - middle) ** 2) for middle in middles)
    inside = (left < radii[0]) | (right < radii[1])
    wall = ((left < radii[0] + WALL) | (right < radii[1] + WALL)) & ~inside
    passage = (np.hypot(z, y) < neck / 2) & (x > middles[0]) & (x < middles[1])
    tissue = np.full(shape, not resin) | inside | wall | passage
    free = (tissue & ~wall) | passage
    # What is around the balls is cut off from the neck, by a wall along it.
    sleeve = (np.hypot(z, y) < neck / 2 + 2 * WALL) & (x > middles[0]) & (x < middles[1])
    if neck:
        free &= ~(sleeve & ~passage & ~inside)
        tissue |= sleeve
    if walls:
        free &= ~(
            (right < radii[1])
            & (np.abs(x - middles[1]) > 160)
            & (np.abs((y + 200) % 400 - 200) > 140)
        )
    middle = (shape[0] // 2, shape[1] // 2, round(middles[0] / voxel[2]))
    return Space(free, tissue, left < radii[0], right < radii[1], middle, voxel)


def resin_behind_the_right_lobe(space: Space, part: tuple[slice, ...]) -> Mask:
    """The tissue, with resin beyond the wall of the right lobe in a part of the space."""
    tissue = space.tissue.copy()
    away = ndimage.distance_transform_edt(~space.right, sampling=VOXEL)
    tissue[part] &= (away <= WALL)[part]
    return tissue


def share(mask: Mask, of: Mask) -> float:
    """Part of `of` that the mask covers."""
    return float((mask & of).sum() / of.sum())


def test_a_gap_does_not_leak_into_a_reticular_space() -> None:
    space = lobes(neck=NECK, resin=False, walls=True)
    core = space.core()
    # It is a leak that could be: through the gap and on, at a clearance that is tried.
    reached, _ = ndimage.label(space.free)
    assert share(reached == reached[space.spot], space.right & space.free) > 0.9
    assert share(core.mask, space.left) > 0.95
    assert share(core.mask, space.right) < 0.05


def test_lobes_with_few_membranes_stay_one_through_a_neck_as_wide() -> None:
    space = lobes(neck=NECK, resin=False)
    core = space.core()
    assert share(core.mask, space.left) > 0.95
    assert share(core.mask, space.right) > 0.95
    assert not any(space.right[tuple(place)] for place in core.others.astype(int))
    assert not (core.mask & ~space.free).any()
    assert ndimage.label(core.mask)[1] == 1


def test_the_clearance_is_the_smallest_that_does_not_leak() -> None:
    leaky, whole = (
        lobes(neck=NECK, resin=False, walls=walls).core().clearance for walls in (True, False)
    )
    assert NECK / 2 - VOXEL[2] < leaky <= PARAMETERS.widest
    assert PARAMETERS.narrowest - 1e-6 <= whole < NECK / 2 + VOXEL[2]
    assert whole < leaky


def test_a_leak_into_a_smooth_space_that_ends_at_resin_is_not_taken() -> None:
    space = lobes(neck=NECK, resin=False)
    # As it is the right lobe is taken; with resin behind its wall it is not inside a cell.
    begins = np.flatnonzero(space.right.any(axis=(0, 1)))[0]
    bared = resin_behind_the_right_lobe(space, np.s_[:, :, begins:])
    core = find_core(space.free & bared, ~bared, space.spot, VOXEL, PARAMETERS)
    assert share(core.mask, space.left) > 0.95
    assert share(core.mask, space.right) < 0.05
    assert core.resin < MAX_RESIN_SHARE


def test_a_leak_that_brings_much_resin_near_at_once_is_not_taken() -> None:
    space = lobes(neck=NECK, resin=False)
    begins = np.flatnonzero(space.right.any(axis=(0, 1)))[0] + 5
    bared = resin_behind_the_right_lobe(space, np.s_[:, : space.spot[1], begins:])
    # Resin on one side of the right lobe: a fifth of what lies around both.
    both = find_core(
        space.free & bared, ~bared, space.spot, VOXEL, replace(PARAMETERS, narrowest=200.0)
    )
    core = find_core(space.free & bared, ~bared, space.spot, VOXEL, PARAMETERS)
    assert both.resin < 0.05
    assert share(core.mask, space.left) > 0.95
    assert share(core.mask, space.right) < 0.05


def test_a_neck_that_is_narrower_than_all_that_is_tried_parts() -> None:
    space = lobes(neck=NECK, resin=False)
    core = space.core(replace(PARAMETERS, narrowest=200.0))
    assert core.clearance >= 200.0 - 1e-6
    assert share(core.mask, space.left) > 0.9
    assert share(core.mask, space.right) < 0.05


def test_no_free_space_gives_an_empty_core() -> None:
    space = lobes(radii=(800.0, 0.0))
    for free in (np.zeros_like(space.free), space.free & ~space.left):
        core = find_core(free, ~space.tissue, space.spot, VOXEL, PARAMETERS)
        assert core.mask.shape == free.shape
        assert not core.mask.any()
        assert core.clearance == 0.0
        assert core.resin == 0.0
        assert core.others.shape == (0, 3)


@pytest.mark.parametrize("walls", [False, True])
def test_a_second_ball_is_reported_unless_it_is_full_of_membranes(walls: bool) -> None:
    space = lobes(walls=walls)
    core = space.core()
    assert share(core.mask, space.left) > 0.95
    assert not (core.mask & space.right).any()
    assert len(core.others) == (0 if walls else 1)
    alone = find_core(space.free, ~space.tissue, space.spot, space.voxel, PARAMETERS, others=False)
    np.testing.assert_array_equal(alone.mask, core.mask)
    assert alone.others.shape == (0, 3)
    for place in core.others:
        z, y, x = place.astype(int)
        assert space.right[z, y, x]


@pytest.mark.parametrize(("radius", "others"), [(450.0, 0), (700.0, 1)])
def test_a_second_ball_is_reported_if_it_is_large(radius: float, others: int) -> None:
    space = lobes(radii=(800.0, radius))  # a sixth and two thirds of the volume
    core = space.core(replace(PARAMETERS, density=0.4))
    assert share(core.mask, space.left) > 0.95
    assert len(core.others) == others


def test_the_share_that_faces_resin() -> None:
    inside = lobes(radii=(800.0, 0.0), resin=False)
    assert inside.core().resin == 0.0
    bare = inside.left
    core = find_core(bare, ~bare, inside.spot, VOXEL, PARAMETERS)
    assert share(core.mask, bare) > 0.95
    assert core.resin > 0.95
    half = bare | (np.arange(bare.shape[2]) < inside.spot[2])
    core = find_core(bare, ~half, inside.spot, VOXEL, PARAMETERS)
    assert core.resin == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("walls", [False, True])
def test_moved_space_has_a_moved_core(walls: bool) -> None:
    space = lobes(neck=NECK, resin=False, walls=walls)
    core = space.core()
    shift = (2, 4, -2)
    free, tissue = (np.roll(mask, shift, (0, 1, 2)) for mask in (space.free, space.tissue))
    z, y, x = (at + by for at, by in zip(space.spot, shift, strict=True))
    moved = find_core(free, ~tissue, (z, y, x), VOXEL, PARAMETERS)
    assert moved.clearance == core.clearance
    np.testing.assert_array_equal(np.roll(moved.mask, (-2, -4, 2), (0, 1, 2)), core.mask)


@pytest.mark.parametrize("walls", [False, True])
def test_upside_down_is_upside_down(walls: bool) -> None:
    space = lobes(neck=NECK, resin=False, walls=walls)
    # Not its own mirror image: a lid of membrane near the top.
    space.free[14, 26:] = False
    core = space.core()
    assert not np.array_equal(core.mask, core.mask[::-1])
    z, y, x = space.spot
    turned = find_core(
        space.free[::-1], ~space.tissue[::-1], (len(space.free) - 1 - z, y, x), VOXEL, PARAMETERS
    )
    assert turned.clearance == core.clearance
    assert turned.resin == core.resin
    np.testing.assert_array_equal(turned.mask[::-1], core.mask)


@pytest.mark.parametrize("walls", [False, True])
def test_one_slice_is_enough(walls: bool) -> None:
    space = lobes(neck=NECK, resin=False, walls=walls, height=VOXEL[0])
    assert space.free.shape[0] == 1
    core = space.core()
    assert core.mask.shape == space.free.shape
    assert share(core.mask, space.left) > 0.95
    assert (share(core.mask, space.right) > 0.9) is not walls


def test_fine_pixels_find_the_same_up_to_a_pixel() -> None:
    fine = lobes((50.0, 10.0, 10.0), radii=(700.0, 0.0)).core()
    coarse = lobes(radii=(700.0, 0.0)).core()
    assert fine.clearance == pytest.approx(coarse.clearance, rel=0.25)
    blocks = fine.mask.reshape(40, 50, 4, 50, 4)
    square = ndimage.generate_binary_structure(3, 1)
    assert not (blocks.any(axis=(2, 4)) & ~ndimage.binary_dilation(coarse.mask, square)).any()
    assert not (ndimage.binary_erosion(coarse.mask, square) & ~blocks.all(axis=(2, 4))).any()


def ring_of(line: float) -> tuple[Mask, NDArray[np.float32], Mask]:
    """Three slices of a disc with a hole of 20 pixels, a line along its rim, and the hole."""
    _, rows, columns = np.ogrid[:3, -50:51, -50:51]
    away = np.hypot(rows, columns).repeat(3, axis=0)
    hole = away < 20
    strength = np.where(np.abs(away - 18) < 1, line, 0.5).astype(np.float32)
    return (away < 45) & ~hole, strength, hole


def test_a_hole_with_a_faint_rim_is_filled() -> None:
    core, strength, hole = ring_of(1.5)
    np.testing.assert_array_equal(fill_holes(core, strength, VOXEL, 2.0), core | hole)


def test_a_hole_with_a_strong_rim_is_kept() -> None:
    core, strength, _ = ring_of(2.5)
    np.testing.assert_array_equal(fill_holes(core, strength, VOXEL, 2.0), core)


def test_a_channel_is_kept_in_the_slices_where_its_rim_is_faint() -> None:
    core, strength, _ = ring_of(2.5)
    strength[0] = 0.5
    np.testing.assert_array_equal(fill_holes(core, strength, VOXEL, 2.0), core)


def test_each_hole_is_judged_by_its_own_rim() -> None:
    strong, faint = ring_of(2.5), ring_of(1.5)
    core, strength = (np.concatenate([strong[at], faint[at]], axis=2) for at in (0, 1))
    filled = np.concatenate([strong[0], faint[0] | faint[2]], axis=2)
    np.testing.assert_array_equal(fill_holes(core, strength, VOXEL, 2.0), filled)


def test_what_is_open_is_no_hole() -> None:
    core, strength, _ = ring_of(0.6)
    core[:, 50, :50] = False  # a slit
    np.testing.assert_array_equal(fill_holes(core, strength, VOXEL, 2.0), core)


@pytest.mark.parametrize("full", [False, True])
def test_without_holes_there_is_nothing_to_fill(full: bool) -> None:
    core = np.full((2, 5, 5), full)
    strength = np.zeros(core.shape, np.float32)
    np.testing.assert_array_equal(fill_holes(core, strength, VOXEL, 2.0), core)


# Threshold of membranes, in deviations, and what one deviation is in the numbers of strength.
MEMBRANE, UNIT = 3.4, 10.0


def noisy(slices: int = 15) -> tuple[NDArray[np.uint8], Mask]:
    """Membrane strength as it is inside a nucleus, and a core of 2.6 µm² in each slice."""
    values = np.random.default_rng(5).normal(40, 10, (slices, 60, 60))
    core = np.zeros(values.shape, dtype=bool)
    core[:, 10:50, 10:50] = True
    return np.clip(np.rint(values), 0, 255).astype(np.uint8), core


def level(strength: NDArray[np.uint8], core: Mask) -> NDArray[np.float64]:
    """Median of each slice of the core, and from there to the eighth decile."""
    pairs = (
        np.percentile(plane[here], (50, 80)) for plane, here in zip(strength, core, strict=True)
    )
    numbers = np.array(list(pairs))
    numbers[:, 1] -= numbers[:, 0]
    return numbers


def test_a_gain_and_offset_that_drift_are_undone() -> None:
    plain, core = noisy()
    gain = np.linspace(0.6, 1.6, len(plain)).reshape(-1, 1, 1)
    drifting = np.rint(plain * gain + 20 * gain).astype(np.uint8)
    assert np.ptp(level(drifting, core), axis=0).min() > 5
    equalise_slices(drifting, core, VOXEL, 250.0, MEMBRANE, UNIT)
    middles, spreads = level(drifting, core)[2:-2].T
    assert np.ptp(middles) <= 2
    assert np.ptp(spreads) <= 2


def test_one_odd_slice_stays_odd_and_does_not_move_its_neighbours() -> None:
    plain, core = noisy()
    odd = plain.copy()
    odd[7] = np.clip(odd[7].astype(int) * 2, 0, 255)
    equalise_slices(plain, core, VOXEL, 250.0, MEMBRANE, UNIT)
    equalise_slices(odd, core, VOXEL, 250.0, MEMBRANE, UNIT)
    neighbours = np.arange(len(plain)) != 7
    change = np.abs(odd.astype(int) - plain)[neighbours]
    assert change.mean() < 1
    assert level(odd, core)[7, 0] > 1.7 * level(odd, core)[6, 0]


def test_slices_without_core_are_brought_where_the_nearest_one_is() -> None:
    plain, core = noisy()
    plain[8:] = np.clip(np.rint(plain[8:] * 1.5), 0, 255)
    core[11:] = False
    equalise_slices(plain, core, VOXEL, 250.0, MEMBRANE, UNIT)
    everywhere = np.ones_like(core)
    middles = level(plain, everywhere)[:, 0]
    assert np.ptp(middles[[2, 3, 4, 12, 13, 14]]) <= 2


def test_the_ends_of_a_nucleus_do_not_tell_what_its_inside_looks_like() -> None:
    plain, core = noisy()
    ends = plain.copy()
    ends[:4] = np.clip(ends[:4] * 3.0, 0, 255)  # mostly envelope
    core[:4, :, 28:] = False  # 1.2 µm² of 2.6
    equalise_slices(plain, core, VOXEL, 250.0, MEMBRANE, UNIT)
    equalise_slices(ends, core, VOXEL, 250.0, MEMBRANE, UNIT)
    np.testing.assert_array_equal(ends[4:], plain[4:])
    assert np.median(ends[:4]) > 3 * np.median(plain[:4])


def test_without_core_nothing_changes() -> None:
    plain, core = noisy()
    before = plain.copy()
    equalise_slices(plain, np.zeros_like(core), VOXEL, 250.0, MEMBRANE, UNIT)
    np.testing.assert_array_equal(plain, before)


@pytest.mark.parametrize("slices", [1, 15])
def test_any_volume_gets_the_same_inside(slices: int) -> None:
    plain, core = noisy()
    core[slices:] = False
    for gain, offset in ((1.0, 0), (1.7, 0), (1.0, 50)):
        strength = np.clip(np.rint(plain * gain + offset), 0, 255).astype(np.uint8)
        equalise_slices(strength, core, VOXEL, 250.0, MEMBRANE, UNIT)
        inside = level(strength, np.ones_like(core))
        np.testing.assert_allclose(inside, np.broadcast_to([9, 8], inside.shape), atol=1)


def test_a_smooth_inside_does_not_lower_the_threshold() -> None:
    plain, core = noisy()
    smooth = np.clip(np.rint((plain - 40.0) / 4 + 5), 0, 255).astype(np.uint8)
    smooth[:, :8] = 33
    smooth[:, -8:] = 36
    equalise_slices(smooth, core, VOXEL, 250.0, MEMBRANE, UNIT)
    assert (smooth[:, :8] < 34).all()
    assert (smooth[:, -8:] >= 34).all()


def test_a_slice_with_little_core_tells_nothing() -> None:
    plain, core = noisy()
    core[:, :, 25:] = False  # under 1 µm²
    assert core[0].sum() * PIXEL[0] * PIXEL[1] < 1e6
    drifting = np.rint(plain * np.linspace(0.6, 1.6, 15).reshape(-1, 1, 1)).astype(np.uint8)
    before = drifting.copy()
    equalise_slices(drifting, core, VOXEL, 250.0, MEMBRANE, UNIT)
    np.testing.assert_array_equal(drifting, before)
