"""Known brightness steps between slices are found, whatever else is in the image."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hela_dask.kernels.levelling import brightness_offsets

VOXEL = (50.0, 40.0, 40.0)
SLOW = 750.0


def stack(depth: int = 80, size: int = 40, seed: int = 0) -> NDArray[np.float64]:
    """The same texture in each slice, with grain of its own: grey 150."""
    random = np.random.default_rng(seed)
    texture = random.normal(150, 15, (size, size))
    drawn: NDArray[np.float64] = texture + random.normal(0, 3, (depth, size, size))
    return drawn


def test_jumps_of_single_slices_are_found() -> None:
    jumps = np.zeros(80)
    jumps[[10, 33, 34, 61]] = [12, -8, 9, -20]
    image = stack() + jumps[:, None, None]
    none = np.zeros(image.shape, dtype=bool)
    found = brightness_offsets(image, none, VOXEL, SLOW)
    assert found.dtype == np.float32
    rest = jumps - found
    # What remains is slow: no step between adjacent slices is left, whatever it was.
    assert abs(np.diff(rest)).max() < 0.8
    assert abs(np.diff(jumps)).max() == 20


def test_jitter_of_every_slice_is_removed() -> None:
    jitter = np.random.default_rng(1).normal(0, 6, 120)
    image = stack(120) + jitter[:, None, None]
    found = brightness_offsets(image, np.zeros(image.shape, dtype=bool), VOXEL, SLOW)
    left = np.diff(jitter - found)
    assert left.std() < 0.05 * np.diff(jitter).std()


def test_what_is_slow_stays_in() -> None:
    slow = 40 * np.sin(np.arange(400) / 400 * 2 * np.pi)
    image = stack(400, 12) + slow[:, None, None]
    found = brightness_offsets(image, np.zeros(image.shape, dtype=bool), VOXEL, SLOW)
    assert abs(found[60:-60]).max() < 3


def test_the_resin_has_no_say() -> None:
    image = stack()
    resin = np.zeros(image.shape, dtype=bool)
    resin[:, :, 12:] = True
    jumps = np.random.default_rng(2).normal(0, 30, 80)
    flickering = np.where(resin, 220 + jumps[:, None, None], image)
    found = brightness_offsets(flickering, resin, VOXEL, SLOW)
    assert abs(found).max() < 2


def test_tissue_of_one_slice_only_is_not_compared() -> None:
    image = np.full((10, 20, 20), 100.0)
    image[:, 10:] = 200.0
    resin = np.zeros(image.shape, dtype=bool)
    resin[::2, :10] = resin[1::2, 10:] = True  # no tissue in common anywhere
    np.testing.assert_array_equal(brightness_offsets(image, resin, VOXEL, SLOW), 0)


def test_membranes_that_move_do_not_look_like_steps() -> None:
    image = stack()
    for z in range(80):
        image[z, :, z // 4 : z // 4 + 6] -= 80  # a dark band of 15 % that wanders
    found = brightness_offsets(image, np.zeros(image.shape, dtype=bool), VOXEL, SLOW)
    assert abs(found).max() < 3


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_whole_numbers_do_not_wrap_around(dtype: type[np.generic]) -> None:
    image = np.full((9, 8, 8), 100, dtype=dtype)
    image[4] = 60
    found = brightness_offsets(image, np.zeros(image.shape, dtype=bool), VOXEL, 1e6)
    np.testing.assert_allclose(found[4] - found[3], -40, atol=0.01)
    np.testing.assert_allclose(found[5] - found[4], 40, atol=0.01)


def test_bytes_have_the_medians_of_any_numbers() -> None:
    image = np.clip(np.rint(stack()), 0, 255)
    resin = np.random.default_rng(1).random(image.shape) < 0.3
    for count in (1, 2, 399, 400):  # pixels that two slices share
        resin[20:22] = np.arange(1600).reshape(40, 40) >= count
        expected = brightness_offsets(image, resin, VOXEL, SLOW)
        found = brightness_offsets(image.astype(np.uint8), resin, VOXEL, SLOW)
        np.testing.assert_array_equal(found, expected)


def test_fine_pixels_are_sampled_and_give_the_same() -> None:
    jumps = np.zeros((20, 1, 1))
    jumps[7] = 25
    coarse = stack(20, 20) + jumps
    fine = coarse.repeat(4, axis=1).repeat(4, axis=2)
    expected = brightness_offsets(coarse, np.zeros(coarse.shape, bool), VOXEL, SLOW)
    found = brightness_offsets(fine, np.zeros(fine.shape, bool), (50.0, 10.0, 10.0), SLOW)
    np.testing.assert_array_equal(found, expected)


def test_gain_and_offset() -> None:
    image = np.round(stack())
    none = np.zeros(image.shape, dtype=bool)
    expected = brightness_offsets(image, none, VOXEL, SLOW)
    found = brightness_offsets(4 * image + 1000, none, VOXEL, SLOW)
    np.testing.assert_allclose(found, 4 * expected, atol=1e-4)


def test_one_slice_has_nothing_to_compare() -> None:
    image = stack(1)
    found = brightness_offsets(image, np.zeros(image.shape, dtype=bool), VOXEL, SLOW)
    np.testing.assert_array_equal(found, [0])
