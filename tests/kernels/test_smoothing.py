"""The Gaussian of volumes is scipy's; the value of a rank is that of a partition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from hela_dask.kernels.smoothing import smooth_volume, value_of_rank


@pytest.mark.parametrize("sigma", [(1.0, 1.25, 1.25), (0.4, 2.0, 5.0)])
@pytest.mark.parametrize("shape", [(9, 14, 17), (1, 5, 3), (3, 1, 40)])
def test_the_gaussian_is_that_of_scipy(sigma: tuple[float, ...], shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    image[:, : shape[1] // 2] = 0
    expected = ndimage.gaussian_filter(image.astype(float), sigma, mode="nearest")
    np.testing.assert_allclose(smooth_volume(image, sigma), expected, atol=1e-6)


def test_flipped_volumes_have_the_same_bits() -> None:
    image = np.random.default_rng(0).random((9, 14, 17)).astype(np.float32)
    expected = smooth_volume(image, (1.0, 1.25, 1.25))
    for axis in range(3):
        flipped = smooth_volume(np.flip(image, axis), (1.0, 1.25, 1.25))
        np.testing.assert_array_equal(np.flip(flipped, axis), expected)


@pytest.mark.parametrize("rank", [1, 17, 500, 899])
def test_so_many_values_lie_above(rank: int) -> None:
    values = np.random.default_rng(rank).random((10, 10, 9)).astype(np.float32) + 1e-2
    level = value_of_rank(values, rank, 1e-3)
    assert np.count_nonzero(values > level) == rank
    ordered = np.sort(values.ravel())
    assert level == float(ordered[-rank] + ordered[-rank - 1]) / 2


def test_a_rank_of_none_or_of_all_has_no_value_between() -> None:
    values = np.full((2, 3, 4), 0.5, np.float32)
    assert value_of_rank(values, 0, 1e-3) == math.inf
    assert value_of_rank(values, 24, 1e-3) == 1e-3
    assert value_of_rank(np.zeros((2, 2, 2), np.float32), 3, 1e-3) == math.inf
