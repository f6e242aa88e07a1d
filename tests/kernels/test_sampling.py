"""Linear interpolation in space: that of scipy, in blocks of any shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.kernels.sampling import sample_linear


@pytest.mark.parametrize("shape", [(4, 7, 9), (1, 5, 5), (3, 1, 1), (1, 1, 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_it_is_that_of_scipy(shape: tuple[int, ...], dtype: type) -> None:
    rng = np.random.default_rng(0)
    block: NDArray[Any] = rng.integers(0, 250, shape).astype(dtype)
    ends = np.reshape(shape, (3, 1)) - 1
    at = np.concatenate([rng.random((3, 200)) * ends, np.zeros((3, 1)), ends], axis=1)
    expected = ndimage.map_coordinates(block, at, output=np.float64, order=1, mode="nearest")
    np.testing.assert_allclose(sample_linear(block, at), expected, atol=1e-3)


def test_voxel_centres_are_exact() -> None:
    block = np.random.default_rng(1).integers(0, 255, (3, 6, 5)).astype(np.uint8)
    at = np.indices(block.shape, dtype=np.float64).reshape(3, -1)
    np.testing.assert_array_equal(sample_linear(block, at), block.ravel())
