"""The Gaussian: its sum, its reach, its indifference to place."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.filters import gaussian as skimage_gaussian

from hela_dask.kernels.filters import gaussian, gaussian_halo


def test_it_is_the_gaussian_of_scikit_image() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 50)).astype(np.uint8)
    expected = skimage_gaussian(
        image.astype(float), sigma=(2.0, 1.3), mode="reflect", truncate=4.0, preserve_range=True
    )
    assert np.abs(gaussian(image, (2.0, 1.3)) - expected).max() < 1e-4


@pytest.mark.parametrize("sigma", [(2.25, 2.25), (0.5, 3.0), (0.0, 1.0)])
def test_an_impulse_reaches_exactly_as_far_as_the_halo(sigma: tuple[float, float]) -> None:
    image = np.zeros((61, 61), dtype=np.float32)
    image[30, 30] = 1e6
    rows, columns = np.nonzero(gaussian(image, sigma))
    assert [np.ptp(rows) // 2, np.ptp(columns) // 2] == list(gaussian_halo(sigma))
    assert gaussian(image, sigma).sum() == pytest.approx(1e6, rel=1e-5)


def test_planes_of_a_stack_do_not_mix() -> None:
    stack = np.random.default_rng(1).normal(size=(3, 20, 20))
    blurred = gaussian(stack, (1.0, 1.0))
    assert blurred.dtype == np.float32
    for plane, expected in zip(stack, blurred, strict=True):
        np.testing.assert_array_equal(gaussian(plane, (1.0, 1.0)), expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, np.bool_])
def test_a_constant_stays_whatever_its_type(dtype: type) -> None:
    np.testing.assert_allclose(gaussian(np.ones((9, 9), dtype), (2.0, 2.0)), 1.0, rtol=1e-6)


def test_the_place_in_the_array_changes_no_bit() -> None:
    image = np.random.default_rng(2).normal(150, 30, (70, 90)).astype(np.float32)
    whole = gaussian(image, (2.25, 2.25))
    for top, left in ((0, 1), (3, 0), (7, 13)):
        part = gaussian(image[top:, left:], (2.25, 2.25))
        np.testing.assert_array_equal(part[9:, 9:], whole[top + 9 :, left + 9 :])
