"""Ridges of analytic lines and sheets, against the closed form and against each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hela_dask.kernels.membrane import ridge_halo, ridge_plane, ridge_volume, stronger_of_two

Grey = NDArray[np.float64]


def closed_form(contrast: float, width: float, sigma: float) -> float:
    """Ridge in the middle of a dark Gaussian sheet: sigma² times the second derivative.

    Kernels that are cut at three sigmas are a little narrower, and see up to 8 % more.
    """
    return float(contrast * sigma**2 * width / (width**2 + sigma**2) ** 1.5)


def sheet(shape: tuple[int, ...], step: tuple[float, ...], normal: tuple[float, ...]) -> Grey:
    """Nothing but a Gaussian sheet 60 darker, of width 40 nm, through the middle."""
    places = [
        (np.arange(length) - length // 2) * size for length, size in zip(shape, step, strict=True)
    ]
    grids = np.meshgrid(*places, indexing="ij")
    away = sum(n * place for n, place in zip(normal, grids, strict=True))
    drawn: Grey = -60 * np.exp(-((away / np.linalg.norm(normal)) ** 2) / (2 * 40.0**2))
    return drawn


@pytest.mark.parametrize("pixel", [(10.0, 10.0), (20.0, 10.0), (40.0, 40.0)])
@pytest.mark.parametrize("normal", [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (-1.0, 2.0)])
def test_a_line_has_the_closed_form_strength(
    pixel: tuple[float, float], normal: tuple[float, float]
) -> None:
    image = sheet((101, 101), pixel, normal)
    ridge = ridge_plane(image, 50.0, pixel)
    assert ridge[50, 50] == pytest.approx(closed_form(60, 40, 50), rel=0.09)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.02, 1.0])
@pytest.mark.parametrize("shape", [(9, 5), (40, 64), (30, 300)])
def test_pixels_that_are_wanted_have_the_same_bits(shape: tuple[int, int], share: float) -> None:
    random = np.random.default_rng(0)
    image = random.normal(0, 40, shape)
    wanted = random.random(shape) < share
    found = ridge_plane(image, 50.0, (20.0, 10.0), wanted)
    np.testing.assert_array_equal(found[wanted], ridge_plane(image, 50.0, (20.0, 10.0))[wanted])
    assert wanted.any() or not found.any()


@pytest.mark.parametrize("normal", [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (1.0, 1.0, 1.0)])
def test_a_sheet_has_the_closed_form_strength_in_any_direction(
    normal: tuple[float, float, float],
) -> None:
    voxel = (25.0, 20.0, 20.0)
    block = sheet((41, 45, 45), voxel, normal)
    ridge = ridge_volume(block, 60.0, voxel)
    assert ridge[20, 22, 22] == pytest.approx(closed_form(60, 40, 60), rel=0.09)


def test_anisotropic_voxels_detect_flat_and_vertical_sheets_alike() -> None:
    voxel = (50.0, 40.0, 40.0)
    flat = ridge_volume(sheet((31, 41, 41), voxel, (1.0, 0.0, 0.0)), 60.0, voxel)[15, 20, 20]
    vertical = ridge_volume(sheet((31, 41, 41), voxel, (0.0, 0.0, 1.0)), 60.0, voxel)[15, 20, 20]
    assert flat == pytest.approx(vertical, rel=0.1)


def test_a_flat_sheet_is_seen_in_space_and_not_in_its_plane() -> None:
    voxel = (50.0, 40.0, 40.0)
    block = sheet((31, 41, 41), voxel, (1.0, 0.0, 0.0))
    expected = closed_form(60, 40, 60)
    assert ridge_volume(block, 60.0, voxel)[15, 20, 20] > 0.8 * expected
    assert abs(ridge_plane(block[15], 50.0, voxel[1:])).max() < 0.02 * expected


def test_dark_lines_are_high_and_bright_ones_and_steps_are_not() -> None:
    dark = sheet((61, 61), (20.0, 20.0), (0.0, 1.0))
    step = np.where(np.arange(61) < 30, 90.0, 150.0) * np.ones((61, 1))
    strength = ridge_plane(dark, 50.0, (20.0, 20.0))
    assert strength.argmax(axis=1).tolist() == [30] * 61
    assert ridge_plane(-dark, 50.0, (20.0, 20.0))[30, 30] < 1
    # A step has a ridge on its bright-to-dark foot, and none where the line would be.
    assert abs(ridge_plane(step, 50.0, (20.0, 20.0))[30, 29:31]).max() < 0.5 * strength.max()


@pytest.mark.parametrize("voxel", [(50.0, 40.0, 40.0), (20.0, 10.0, 30.0), (60.0, 9.0, 9.0)])
@pytest.mark.parametrize("seed", range(4))
def test_a_parabola_has_the_largest_eigenvalue_of_its_own_hessian(
    voxel: tuple[float, float, float], seed: int
) -> None:
    random = np.random.default_rng(seed)
    matrix, slope = random.normal(0, 0.01, (3, 3)), random.normal(0, 0.1, 3)
    hessian = matrix + matrix.T
    shape = tuple(2 * (int(3 * 70 / size + 0.5) + 1) + 1 for size in voxel)
    places = np.indices(shape).reshape(3, -1).T - np.array(shape) // 2
    places = places * np.array(voxel)
    values = 150 + places @ slope + (places @ hessian * places).sum(axis=1) / 2
    middle = tuple(length // 2 for length in shape)
    block = values.reshape(shape)
    expected = 70.0**2 * np.linalg.eigvalsh(hessian)[-1]
    assert ridge_volume(block, 70.0, voxel)[middle] == pytest.approx(expected, rel=2e-3, abs=0.05)
    flat = 70.0**2 * np.linalg.eigvalsh(hessian[1:, 1:])[-1]
    found = ridge_plane(block[middle[0]], 70.0, voxel[1:])[middle[1:]]
    assert found == pytest.approx(flat, rel=2e-3, abs=0.05)


def test_the_plane_is_the_space_that_does_not_change_along_z() -> None:
    plane = np.random.default_rng(3).normal(150, 20, (40, 40))
    # Where the largest eigenvalue is positive, it is not the one along z.
    space = ridge_volume(np.stack([plane] * 31), 50.0, (50.0, 40.0, 40.0))[15]
    flat = ridge_plane(plane, 50.0, (40.0, 40.0))
    strong = flat > 3
    assert strong.sum() > 300
    np.testing.assert_allclose(space[strong], flat[strong], atol=2e-3)


@pytest.mark.parametrize("sigma", [30.0, 60.0, 130.0])
def test_halo_slices_are_enough_bit_for_bit_and_one_fewer_is_not(sigma: float) -> None:
    voxel = (50.0, 40.0, 40.0)
    block = np.random.default_rng(4).integers(0, 255, (30, 24, 26)).astype(np.float32)
    whole = ridge_volume(block, sigma, voxel)
    halo = ridge_halo(sigma, voxel)
    part = ridge_volume(block[12 - halo : 15 + halo], sigma, voxel)[halo : halo + 3]
    np.testing.assert_array_equal(part, whole[12:15])
    short = ridge_volume(block[13 - halo : 14 + halo], sigma, voxel)[halo - 1 : halo + 2]
    assert (short != whole[12:15]).any()


@settings(max_examples=15, deadline=None)
@given(gain=st.floats(0.1, 200), offset=st.floats(-300, 300))
def test_gain_scales_and_offset_changes_nothing(gain: float, offset: float) -> None:
    plane = np.random.default_rng(5).normal(150, 20, (30, 30))
    ridge = ridge_plane(plane, 50.0, (40.0, 40.0))
    np.testing.assert_allclose(
        ridge_plane(gain * plane, 50.0, (40.0, 40.0)), gain * ridge, atol=1e-3 * gain
    )
    shifted = ridge_plane(plane + offset, 50.0, (40.0, 40.0))
    np.testing.assert_allclose(shifted, ridge, atol=2e-3)


def test_moving_the_image_moves_the_ridges() -> None:
    image = np.random.default_rng(6).normal(150, 20, (60, 60))
    moved = ridge_plane(np.roll(image, (7, 4), (0, 1)), 50.0, (40.0, 40.0))[17:50, 14:50]
    np.testing.assert_array_equal(moved, ridge_plane(image, 50.0, (40.0, 40.0))[10:43, 10:46])


@pytest.mark.parametrize("size", [5.0, 10.0, 40.0])
def test_a_flat_image_has_no_ridges_at_any_pixel_size(size: float) -> None:
    for value in (0, 200):
        plane = ridge_plane(np.full((30, 30), value), 50.0, (size, size))
        space = ridge_volume(np.full((9, 30, 30), value, np.uint8), 60.0, (50.0, size, size))
        assert abs(plane).max() < 1e-3
        assert abs(space).max() < 1e-3


def test_one_slice_is_its_own_neighbourhood() -> None:
    image = sheet((1, 61, 61), (50.0, 40.0, 40.0), (0.0, 0.0, 1.0))
    found = ridge_volume(image, 60.0, (50.0, 40.0, 40.0))
    assert found.shape == image.shape
    assert found[0, 30, 30] == pytest.approx(closed_form(60, 40, 60), rel=0.09)


def test_the_stronger_of_line_and_sheet_is_kept_in_tenths() -> None:
    random = np.random.default_rng(4)
    lines, sheets = random.normal(3, 12, (2, 40, 50)).astype(np.float32)
    scales = np.array([[1.5, 2.5], [0.5, 0.75]], np.float32)
    found = np.empty((40, 50), np.uint8)
    stronger_of_two(lines, sheets, scales, np.float32(10), found)
    stronger = np.maximum(
        (lines - scales[0, 0]) / scales[0, 1], (sheets - scales[1, 0]) / scales[1, 1]
    )
    assert (found == 0).any()
    assert (found == 255).any()
    np.testing.assert_array_equal(found, np.clip(stronger * 10, 0, 255).astype(np.uint8))
