"""Distances in space up to a cap, against scipy and a memory that does not grow."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.kernels.bounded_distance import bounded_depth_volume

Voxel = tuple[float, float, float]


def depths(
    mask: NDArray[np.bool_], voxel: Voxel, cap: float, step: tuple[int, int] = (1, 1)
) -> NDArray[np.float32]:
    parts = list(bounded_depth_volume(mask, voxel, cap, step))
    assert [part.start for part, _ in parts] == [0, *(part.stop for part, _ in parts)][:-1]
    return np.concatenate([depth for _, depth in parts])


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 9), st.integers(1, 12), st.integers(1, 12)),
    st.tuples(*[st.sampled_from([10.0, 40.0, 50.0, 33.3])] * 3),
    st.sampled_from([5.0, 60.0, 300.0]),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.floats(0.0, 0.4),
    st.integers(0, 999),
)
def test_up_to_the_cap_it_is_the_distance(
    shape: tuple[int, int, int],
    voxel: Voxel,
    cap: float,
    step: tuple[int, int],
    share: float,
    seed: int,
) -> None:
    mask = np.random.default_rng(seed).random(shape) >= share
    found = depths(mask, voxel, cap, step)
    if mask.all():
        expected = np.full(shape, np.inf)
    else:
        expected = ndimage.distance_transform_edt(mask, sampling=voxel)
    expected = expected[:, :: step[0], :: step[1]]
    assert found.shape == expected.shape
    near = expected <= cap * 0.999999
    np.testing.assert_allclose(found[near], expected[near], rtol=1e-5)
    assert (found[expected > cap * 1.000001] > cap * 0.99999).all()


def test_it_is_the_same_whatever_the_depth() -> None:
    mask = np.random.default_rng(1).random((150, 12, 14)) > 0.02
    whole = depths(mask, (50.0, 40.0, 40.0), 300.0)
    for first in (0, 1, 63, 64, 65, 90):
        low = max(0, first - 6)
        part = depths(mask[low : first + 16], (50.0, 40.0, 40.0), 300.0)
        middle = slice(first - low, first - low + 10)
        np.testing.assert_array_equal(
            np.minimum(part[middle], 300), np.minimum(whole[first : first + 10], 300)
        )


@pytest.mark.parametrize("slices", [200, 800])
def test_memory_does_not_grow_with_the_depth(slices: int) -> None:
    mask = np.ones((slices, 64, 64), dtype=bool)
    list(bounded_depth_volume(mask[:2], (50.0, 40.0, 40.0), 300.0))  # compiled
    tracemalloc.start()
    for _, depth in bounded_depth_volume(mask, (50.0, 40.0, 40.0), 300.0):
        assert (depth > 300).all()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 64 * 64 * 64 * 4  # a few slabs of 64 slices


def test_nothing_in_nothing_out() -> None:
    assert not list(bounded_depth_volume(np.ones((0, 3, 3), dtype=bool), (50.0, 40.0, 40.0), 300.0))
