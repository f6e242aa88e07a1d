"""Basins of drawn heights, against the watershed from all h-maxima."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import reconstruction

from hela_dask.kernels.basins import prominent_basins, spread_basins

Grey = NDArray[np.float32]


def hills(*summits: tuple[int, int, float], shape: tuple[int, int] = (60, 90)) -> Grey:
    """Cones of slope 1 a pixel: row, column and height; 0 beyond them."""
    rows, columns = np.indices(shape)
    cones = [height - np.hypot(rows - y, columns - x) for y, x, height in summits]
    drawn: Grey = np.maximum(np.max(cones, axis=0), 0).astype(np.float32)
    return drawn


@pytest.mark.parametrize(("saddle", "count"), [(9.0, 2), (11.0, 1)])
def test_two_cones_are_two_if_the_saddle_is_deep_enough(saddle: float, count: int) -> None:
    # Both are 20 high and 20 apart: where they meet they are 10 high.
    found = prominent_basins(hills((30, 30, 20.0), (30, 50, 20.0)), saddle)
    assert found.max() == count


@pytest.mark.parametrize(("height", "count"), [(16.0, 2), (12.5, 1)])
def test_the_lower_summit_decides(height: float, count: int) -> None:
    # At 20 apart they meet 20 - (20 + 20 - height) / 2 high: 8 and 6.3.
    found = prominent_basins(hills((30, 30, 20.0), (30, 50, height)), 7.0)
    assert found.max() == count


def test_equal_cones_part_half_way() -> None:
    height = hills((30, 30, 20.0), (30, 50, 20.0))
    found = prominent_basins(height, 5.0)
    assert set(np.unique(found[:, :39][height[:, :39] > 0])) == {1}
    assert set(np.unique(found[:, 42:][height[:, 42:] > 0])) == {2}


def test_small_hills_alone_are_basins_and_the_highest_is_first() -> None:
    height = hills((10, 10, 2.0), (30, 50, 20.0), (50, 10, 3.0))
    found = prominent_basins(height, 100.0)
    assert (found[30, 50], found[50, 10], found[10, 10]) == (1, 2, 3)
    np.testing.assert_array_equal(found > 0, height > 0)


def test_nothing_has_no_basins() -> None:
    assert not prominent_basins(np.zeros((4, 5), np.float32), 1.0).any()
    assert prominent_basins(np.zeros((0, 5), np.float32), 1.0).shape == (0, 5)


def test_a_plateau_is_one_basin() -> None:
    assert prominent_basins(np.full((7, 9), 3.0, np.float32), 1.0).max() == 1


def test_touching_at_a_corner_is_touching() -> None:
    height = np.array([[5, 0], [0, 5]], np.float32)
    assert prominent_basins(height, 6.0).max() == 1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 2.0), st.floats(0.8, 3.0))
def test_there_is_one_basin_for_each_h_maximum(seed: int, saddle: float, blur: float) -> None:
    noise = np.random.default_rng(seed).normal(size=(40, 50))
    height = ndimage.gaussian_filter(noise, blur)
    height = (height / height.std() + 1).astype(np.float32)
    found = prominent_basins(height, saddle)
    np.testing.assert_array_equal(found > 0, height > 0)
    # All h-maxima by reconstruction, and lower hills that nothing higher hangs on to.
    above = np.maximum(height, 0).astype(np.float64)
    flat = reconstruction(np.maximum(above - saddle, 0), above)
    eight = np.ones((3, 3))
    tops, count = ndimage.label(above - flat >= saddle * (1 - 1e-6), structure=eight)
    pieces, _ = ndimage.label(above > 0, structure=eight)
    low = set(np.unique(pieces)) - set(np.unique(pieces[tops > 0])) - {0}
    assert found.max() == len(np.unique(found[tops > 0])) + len(low)
    for top in range(1, count + 1):
        assert len(np.unique(found[tops == top])) == 1
    for number in range(1, int(found.max()) + 1):
        assert ndimage.label(found == number, structure=eight)[1] == 1


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 10.0))
def test_scaled_height_and_saddle_give_the_same(seed: int, scale: float) -> None:
    noise = np.random.default_rng(seed).normal(size=(20, 30))
    height = np.rint(ndimage.gaussian_filter(noise, 2) * 1024).astype(np.float32)
    power = 2.0 ** int(scale)
    scaled = prominent_basins(height * np.float32(power), 40.0 * power)
    np.testing.assert_array_equal(prominent_basins(height, 40.0), scaled)


@settings(max_examples=60, deadline=None)
@given(
    labels=npst.arrays(np.int32, (9, 11), elements=st.sampled_from([0, 0, 0, 1, 2, 3])),
    step=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    more=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    seed=st.integers(0, 99),
)
def test_thin_tissue_belongs_to_the_nearest_basin(
    labels: NDArray[np.int32], step: tuple[int, int], more: tuple[int, int], seed: int
) -> None:
    labels[4, 5] = 2
    shape = [side * by + extra for side, by, extra in zip((9, 11), step, more, strict=True)]
    tissue = np.random.default_rng(seed).random(shape) < 0.5
    pixel = (40.0, 25.0)
    found = spread_basins(labels, tissue, pixel, step)
    np.testing.assert_array_equal(found > 0, tissue)
    places, sizes = np.argwhere(labels), np.multiply(pixel, step)
    for y, x in np.argwhere(tissue):
        here = min(y // step[0], 8), min(x // step[1], 10)
        away = np.hypot(*((places - here) * sizes).T)
        near = places[np.isclose(away, away.min())]
        assert found[y, x] == min(labels[tuple(place)] for place in near)
