"""Resin in drawn slices: clefts, fragments, smears, odd slices, grey levels, pixels, no resin."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.kernels.background import background_block, background_slice
from hela_dask.kernels.grey_levels import GreyLevels
from hela_dask.parameters import BackgroundParameters

Mask = NDArray[np.bool_]

PIXEL = (40.0, 40.0)
DEFAULTS = BackgroundParameters()
EXTENT = 16000.0  # nm, of a drawn plane


def plane(size: float = 40.0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and columns in nm, at pixels of that size."""
    length = round(EXTENT / size)
    rows, columns = (np.indices((length, length)) + 0.5) * size
    return rows, columns


def grain(size: float, scale: float, strength: float, seed: int) -> NDArray[np.float64]:
    """Grain with a length in nm, the same drawing at any pixel size."""
    coarse = np.random.default_rng(seed).normal(size=(round(EXTENT / 40),) * 2)
    coarse = ndimage.gaussian_filter(coarse, scale / 40, mode="wrap")
    factor = round(40 / size)
    drawn: NDArray[np.float64] = strength / coarse.std() * coarse
    return drawn.repeat(factor, axis=0).repeat(factor, axis=1)


def draw(tissue: Mask, size: float = 40.0, seed: int = 0) -> NDArray[np.uint8]:
    """Textured tissue of 145 in resin of 210."""
    inside = 145 + grain(size, 80.0, 12.0, seed)
    outside = 210 + grain(size, 60.0, 4.0, seed + 1)
    return np.clip(np.round(np.where(tissue, inside, outside)), 0, 255).astype(np.uint8)


def iou(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / (one | other).sum())


def two_cells(size: float = 40.0, gap: float = 400.0) -> Mask:
    """Two cells with flat sides that face each other over a cleft."""
    rows, columns = plane(size)
    left = (np.hypot(rows - 8000, columns - 5000) < 4500) & (columns < 8000 - gap / 2)
    right = (np.hypot(rows - 8000, columns - 11000) < 4500) & (columns > 8000 + gap / 2)
    return np.asarray(left | right)


def test_what_is_not_tissue_is_resin() -> None:
    tissue = two_cells()
    found = background_slice(draw(tissue), PIXEL, DEFAULTS)
    assert found.dtype == bool
    assert found.shape == tissue.shape
    assert iou(found, ~tissue) > 0.97


@pytest.mark.parametrize("gap", [160.0, 240.0, 400.0])
def test_a_bright_cleft_is_followed_between_cells(gap: float) -> None:
    # The cleft's mouths are 6.7 µm apart: its middle is as far from open resin as it can be that
    # bright pixels are still added within 1.5 µm of it, from both ends.
    rows, columns = plane()
    tissue = two_cells(gap=gap)
    cleft = ~tissue & (abs(columns - 8000) < gap / 2) & (abs(rows - 8000) > 2000)
    cleft &= abs(rows - 8000) < 3300
    found = background_slice(draw(tissue), PIXEL, DEFAULTS)
    assert found[cleft].mean() > 0.85
    without = background_slice(draw(two_cells(gap=-200.0)), PIXEL, DEFAULTS)
    assert without[cleft].mean() < 0.02


def test_small_fragments_are_resin_and_larger_ones_are_not() -> None:
    rows, columns = plane()
    small = np.hypot(rows - 1500, columns - 8000) < 250  # 0.2 µm²
    large = np.hypot(rows - 14500, columns - 8000) < 500  # 0.8 µm²
    found = background_slice(draw(two_cells() | small | large), PIXEL, DEFAULTS)
    assert found[small].all()
    assert found[large].mean() < 0.1


def test_bright_spots_in_a_cell_are_cell() -> None:
    rows, columns = plane()
    spots = np.zeros(rows.shape, dtype=bool)
    for y in range(6000, 10001, 1000):
        spots |= np.hypot(rows - y, columns - 3500) < 160  # 0.08 µm² each
    tissue = two_cells()
    found = background_slice(draw(tissue & ~spots), PIXEL, DEFAULTS)
    assert not found[spots].any()


def test_a_smear_of_charge_is_resin_though_it_is_grey() -> None:
    rows, columns = plane()
    tissue = two_cells()
    image = draw(tissue).astype(float)
    # As grey as the tissue in its middle, but without a rim.
    far = np.exp(-(((rows - 1000) / 900) ** 2) - ((columns - 8000) / 2500) ** 2)
    smeared = np.where(tissue, image, image - 50 * far)
    heart = ~tissue & (far > 0.8)
    assert heart.sum() > 500
    assert (smeared[heart] < 175).mean() > 0.6
    assert background_slice(smeared, PIXEL, DEFAULTS)[heart].mean() > 0.9


@settings(max_examples=5, deadline=None)
@given(gain=st.sampled_from([0.01, 0.5, 3.0, 257.0]), offset=st.integers(-300, 3000))
def test_gain_and_offset_change_nothing(gain: float, offset: int) -> None:
    image = draw(two_cells())
    expected = background_slice(image, PIXEL, DEFAULTS)
    found = background_slice(gain * image.astype(np.float64) + offset, PIXEL, DEFAULTS)
    assert (found != expected).mean() < 1e-3


def test_the_type_of_the_grey_values_changes_nothing() -> None:
    image = draw(two_cells())
    expected = background_slice(image, PIXEL, DEFAULTS)
    for dtype in (np.uint16, np.int16, np.float32, np.float64):
        found = background_slice(image.astype(dtype), PIXEL, DEFAULTS)
        assert (found != expected).mean() < 1e-4
    wide = background_slice(image.astype(np.uint16) * 257, PIXEL, DEFAULTS)
    assert (wide != expected).mean() < 1e-3


def test_mirrored_and_turned_planes_give_mirrored_and_turned_resin() -> None:
    image = draw(two_cells(), seed=3)
    expected = background_slice(image, PIXEL, DEFAULTS)
    for turn in (np.fliplr, np.flipud, np.transpose):
        assert (background_slice(turn(image), PIXEL, DEFAULTS) != turn(expected)).mean() < 0.002


def test_twice_finer_pixels_show_the_same_resin() -> None:
    coarse = background_slice(draw(two_cells()), PIXEL, DEFAULTS)
    fine = background_slice(draw(two_cells(20.0), 20.0), (20.0, 20.0), DEFAULTS)
    assert iou(fine, ~two_cells(20.0)) > 0.97
    assert iou(fine, coarse.repeat(2, axis=0).repeat(2, axis=1)) > 0.97


def test_a_slice_without_resin_has_no_background() -> None:
    tissue = np.ones((400, 400), dtype=bool)
    image = draw(tissue).astype(float)
    assert not background_slice(image, PIXEL, DEFAULTS).any()
    rows, columns = plane()
    nucleoli = np.hypot(rows - 7000, columns - 7000) < 1000
    image[nucleoli] -= 25
    assert not background_slice(image, PIXEL, DEFAULTS).any()


@pytest.mark.parametrize("value", [0, 137, 255])
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_a_plane_of_one_grey_value_has_no_background_and_no_warnings(
    value: int, dtype: type[np.generic]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = background_slice(np.full((90, 70), value, dtype), PIXEL, DEFAULTS)
    assert found.shape == (90, 70)
    assert not found.any()


VOXEL = (50.0, *PIXEL)


def test_a_smear_that_hangs_on_to_a_cell_is_parted_from_it() -> None:
    rows, columns = plane()
    tissue = two_cells()
    dark = np.exp(-(((rows - 1800) / 1100) ** 2) - ((columns - 8000) / 4500) ** 2)
    smeared = np.where(tissue, draw(tissue), draw(tissue) - 75 * dark)
    found = background_slice(smeared, PIXEL, DEFAULTS)
    heart = ~tissue & (dark > 0.8)
    assert (smeared[heart] < 165).mean() > 0.9
    assert found[heart].mean() > 0.9
    assert found[tissue].mean() < 0.03


def test_a_slow_gradient_changes_little() -> None:
    tissue = two_cells()
    # A fifth of the contrast from side to side, in cells and resin alike.
    image = draw(tissue) + np.linspace(-6.5, 6.5, tissue.shape[1])
    assert iou(background_slice(image, PIXEL, DEFAULTS), ~tissue) > 0.96


def test_a_dark_or_bright_slice_is_read_by_its_own_levels() -> None:
    tissue = two_cells()
    stack = np.stack([draw(tissue, seed=seed) for seed in range(5)]).astype(float)
    stack[2] += 40
    stack[3] *= 0.8
    found = background_block(stack, VOXEL, DEFAULTS)[0]
    assert min(iou(one, ~tissue) for one in found) > 0.97


def test_a_black_slice_is_what_its_neighbours_are() -> None:
    tissue = two_cells()
    stack = np.stack([draw(tissue, seed=seed) for seed in range(3)])
    stack[1] = 0
    found = background_block(stack, VOXEL, DEFAULTS)[0]
    assert min(iou(one, ~tissue) for one in found) > 0.97


def test_what_one_slice_alone_shows_is_outvoted() -> None:
    tissue = two_cells()
    stack = np.stack([draw(tissue, seed=seed) for seed in range(5)])
    stack[2, 150:170, 180:220] = 145
    expected = background_block(stack[[0, 1, 1, 3, 4]], VOXEL, DEFAULTS)[0][2]
    assert (background_block(stack, VOXEL, DEFAULTS)[0][2] != expected).mean() < 0.003
    alone = background_block(stack, VOXEL, dataclasses.replace(DEFAULTS, smoothing=0.0))[0]
    assert (alone[2] != expected).sum() > 20 * 30


@pytest.mark.parametrize(("kind", "share"), [(True, 0.0), (False, 1.0)])
def test_neighbours_and_the_volume_tell_what_a_slice_of_one_kind_is(
    kind: bool, share: float
) -> None:
    pure = draw(np.full(plane()[0].shape, kind))
    near = draw(two_cells())
    beside = background_block(np.stack([near, near, pure, pure, pure]), VOXEL, DEFAULTS)[0]
    assert abs(beside[3].mean() - share) < 0.02
    far = background_block(pure[None], VOXEL, DEFAULTS, GreyLevels(cell=145.0, resin=210.0))[0]
    assert abs(far.mean() - share) < 0.02
    resin, thresholds = background_block(pure[None], VOXEL, DEFAULTS)
    assert not resin.any() and np.isnan(thresholds).all()


def test_a_black_frame_counts_as_resin_and_changes_nothing_inside() -> None:
    tissue = two_cells()
    image = draw(tissue)
    framed = np.pad(image, ((100, 0), (50, 150)))
    found = background_slice(framed, PIXEL, DEFAULTS)
    inside = found[100:, 50:-150]
    assert iou(inside, ~tissue) > 0.97
    found[100:, 50:-150] = True
    assert found.all()


@pytest.mark.parametrize("power", [0.7, 1.4])
def test_gamma_changes_little(power: float) -> None:
    image = 255 * (draw(two_cells()) / 255) ** power
    assert iou(background_slice(image, PIXEL, DEFAULTS), ~two_cells()) > 0.965
