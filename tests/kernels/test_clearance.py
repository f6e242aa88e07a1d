"""Counts of limits below a distance: those of the bounded distances, and of scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from hela_dask.kernels.bounded_distance import bounded_depth_volume
from hela_dask.kernels.clearance import count_limits

SIZES = st.sampled_from([10.0, 40.0, 50.0, 33.3, 7.5])


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 9), st.integers(1, 35), st.integers(1, 12)),
    st.tuples(SIZES, SIZES, SIZES),
    st.lists(st.sampled_from([0.0, 5.0, 40.0, 50.0, 64.0, 70.0, 122.2, 300.0]), min_size=1),
    st.floats(0.0, 0.4),
    st.integers(0, 999),
)
def test_limits_are_counted_below_each_distance(
    shape: tuple[int, int, int],
    voxel: tuple[float, float, float],
    limits: list[float],
    share: float,
    seed: int,
) -> None:
    mask = np.random.default_rng(seed).random(shape) >= share
    depths = bounded_depth_volume(mask, voxel, max(limits))
    depth = np.concatenate([part for _, part in depths])
    expected = sum((depth > np.float32(limit)).astype(np.uint8) for limit in limits)
    found = count_limits(mask, voxel, limits)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("voxel", [(50.0, 40.0, 40.0), (48.5, 40.25, 41.0)])
def test_they_are_those_of_the_distance_transform(voxel: tuple[float, float, float]) -> None:
    mask = np.random.default_rng(3).random((20, 40, 50)) > 0.01
    limits = [75.0, 135.0, 255.0]
    depth = ndimage.distance_transform_edt(mask, sampling=voxel)
    expected = sum((depth > limit).astype(int) for limit in limits)
    found = count_limits(mask, voxel, limits)
    assert set(np.unique(found)) == {0, 1, 2, 3}
    np.testing.assert_array_equal(found, expected)


def test_a_distance_that_is_a_limit_does_not_exceed_it() -> None:
    mask = np.ones((1, 1, 9), dtype=bool)
    mask[..., 0] = False
    found = count_limits(mask, (50.0, 40.0, 40.0), [80.0, 200.0])
    np.testing.assert_array_equal(found, [[[0, 0, 0, 1, 1, 1, 2, 2, 2]]])


@pytest.mark.parametrize("size", [40.0, 40.5])
def test_without_false_voxels_all_limits_are_below(size: float) -> None:
    assert (count_limits(np.ones((3, 4, 5), dtype=bool), (50.0, size, size), [10, 90]) == 2).all()


def test_nothing_in_nothing_out() -> None:
    for shape in [(0, 3, 3), (0, 0, 0), (2, 0, 3)]:
        mask = np.ones(shape, dtype=bool)
        assert count_limits(mask, (50.0, 40.0, 40.0), [90.0]).shape == shape
