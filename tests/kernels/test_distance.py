"""The distance to the resin: exact, in nm, and defined where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.kernels.distance import depth_on_grid, distance_slice


def brute_force(mask: NDArray[np.bool_], pixel: tuple[float, float]) -> NDArray[np.float64]:
    """Distance of every pixel to every background pixel, and the least of them."""
    places = np.moveaxis(np.indices(mask.shape), 0, -1) * np.array(pixel)
    steps = places[:, :, None] - places[mask]
    distances: NDArray[np.float64] = np.sqrt((steps**2).sum(axis=-1)).min(axis=-1)
    return distances


@given(
    rows=st.integers(1, 24),
    columns=st.integers(1, 24),
    pixel=st.tuples(st.floats(3.0, 80.0), st.floats(3.0, 80.0)),
    share=st.sampled_from([0.01, 0.2, 0.9]),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=60, deadline=None)
def test_it_equals_brute_force(
    rows: int, columns: int, pixel: tuple[float, float], share: float, seed: int
) -> None:
    mask = np.random.default_rng(seed).random((rows, columns)) < share
    framed = np.pad(mask, 1, constant_values=True)
    expected = brute_force(framed, pixel)[1:-1, 1:-1]
    np.testing.assert_allclose(distance_slice(mask, pixel), expected, rtol=2e-6)
    if mask.any():
        expected = brute_force(mask, pixel)
        np.testing.assert_allclose(distance_slice(mask, pixel, border=False), expected, rtol=2e-6)


def test_a_drawn_case() -> None:
    mask = np.zeros((3, 4), dtype=bool)
    mask[0, 0] = True
    expected = [[0, 40, 80, 120], [30, 50, np.hypot(30, 80), np.hypot(30, 120)]]
    result = distance_slice(mask, (30.0, 40.0), border=False)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result[:2], expected, rtol=1e-6)


def test_without_background_only_the_border_is_near() -> None:
    nothing = np.zeros((5, 7), dtype=bool)
    assert np.isinf(distance_slice(nothing, (40.0, 40.0), border=False)).all()
    assert distance_slice(nothing, (40.0, 40.0)).max() == 120.0


def test_nothing_but_background_is_zero_everywhere() -> None:
    assert not distance_slice(np.ones((5, 7), dtype=bool), (40.0, 40.0)).any()


@pytest.mark.parametrize("border", [True, False])
def test_the_order_in_memory_does_not_matter(border: bool) -> None:
    mask = np.random.default_rng(3).random((2, 20, 31)) < 0.1
    expected = distance_slice(mask[1].copy(), (10.0, 40.0), border=border)
    transposed = np.asfortranarray(mask)[1]
    np.testing.assert_array_equal(distance_slice(transposed, (10.0, 40.0), border=border), expected)


@settings(max_examples=60, deadline=None)
@given(
    mask=npst.arrays(np.bool_, npst.array_shapes(min_dims=2, max_dims=2, max_side=24)),
    pixel=st.sampled_from([(40.0, 40.0), (10.0, 35.0), (25.0, 4.0)]),
    step=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_depths_on_a_grid_are_those_of_the_plane(
    mask: NDArray[np.bool_], pixel: tuple[float, float], step: tuple[int, int]
) -> None:
    step = min(step[0], mask.shape[0]), min(step[1], mask.shape[1])
    grid = (slice(step[0] // 2, None, step[0]), slice(step[1] // 2, None, step[1]))
    found = depth_on_grid(mask, pixel, step)
    if mask.all():
        assert found.shape == mask[grid].shape and np.isinf(found).all()
    else:
        expected = ndimage.distance_transform_edt(mask, sampling=pixel)
        np.testing.assert_allclose(found, expected[grid], rtol=1e-6)
