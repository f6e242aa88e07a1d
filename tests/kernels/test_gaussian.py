"""The Gaussian of a volume has the bits of scipy's."""

from __future__ import annotations

import platform

import numpy as np
import pytest
from scipy import ndimage

from hela_dask.kernels.gaussian import blur_volume


@pytest.mark.parametrize("sigma", [(4.0, 2.5, 2.5), (0.1, 0.7, 9.0), (1.0, 0.0, 2.0)])
@pytest.mark.parametrize("shape", [(9, 14, 17), (1, 5, 3), (3, 1, 40), (1, 1, 1)])
def test_the_gaussian_is_that_of_scipy_bit_for_bit(
    sigma: tuple[float, ...], shape: tuple[int, ...]
) -> None:
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    expected = ndimage.gaussian_filter(image, sigma, mode="nearest", truncate=3.0)
    assert image.size == 1 or (expected != image).any()
    blur_volume(image, sigma, 3.0)
    # Elsewhere scipy's compiler may join a product and a sum, which rounds once instead of twice.
    exact = platform.machine() in {"x86_64", "AMD64"}
    np.testing.assert_array_max_ulp(image, expected, 0 if exact else 1)
