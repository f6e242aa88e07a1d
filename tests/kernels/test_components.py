"""The piece that seeds lie in, against all pieces labelled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from hela_dask.kernels.components import GrowingComponent, seeded_component


@settings(max_examples=100, deadline=None)
@given(
    st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(1, 9)),
    st.floats(0.1, 0.9),
    st.floats(0.0, 0.4),
    st.integers(0, 999),
)
def test_it_is_the_labelled_piece_with_most_seeds(
    shape: tuple[int, int, int], full: float, seeded: float, seed: int
) -> None:
    values = np.random.default_rng(seed).random((2, *shape))
    mask, seeds = values[0] < full, values[1] < seeded
    found = seeded_component(mask, seeds)
    pieces, count = ndimage.label(mask)
    held = np.bincount(pieces[seeds], minlength=count + 1)
    held[0] = 0
    if not held.any():
        assert not found.any()
        return
    piece = np.unique(pieces[found])
    assert len(piece) == 1
    assert held[piece[0]] == held.max()
    np.testing.assert_array_equal(found, pieces == piece[0])


@pytest.mark.parametrize("length", [5, 40])
def test_a_piece_with_a_wide_front_is_reached_whole(length: int) -> None:
    mask = np.ones((length, length, length), dtype=bool)
    seeds = np.zeros_like(mask)
    seeds[0, 0, 0] = True
    assert seeded_component(mask, seeds).all()


def test_of_two_alike_it_is_the_first() -> None:
    mask = np.array([[[True, True, False, True]]])
    np.testing.assert_array_equal(
        seeded_component(mask, mask & [True, False, True, True]).ravel(), [True, True, False, False]
    )


@settings(max_examples=100, deadline=None)
@given(
    st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(1, 9)),
    st.floats(0.0, 0.4),
    st.integers(0, 999),
)
def test_a_growing_component_is_the_labelled_piece_of_each_level(
    shape: tuple[int, int, int], seeded: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    levels, seeds = rng.integers(0, 5, shape).astype(np.uint8), rng.random(shape) < seeded
    growing = GrowingComponent(levels)
    before = np.zeros(shape, dtype=bool)
    for step, level in enumerate((4, 3, 2, 1), start=1):
        added = growing.lower(level, seeds)
        wanted = (
            seeded_component(levels >= level, before)
            if before.any()
            else seeded_component(levels >= level, seeds)
        )
        np.testing.assert_array_equal(growing.mask(step), wanted)
        np.testing.assert_array_equal(growing.joined == step, wanted & ~before)
        assert added == np.count_nonzero(wanted) - np.count_nonzero(before)
        if wanted.any():
            np.testing.assert_array_equal(growing.box, ndimage.find_objects(wanted.astype(int))[0])
            np.testing.assert_array_equal(growing.mask(step, growing.box), wanted[growing.box])
        before = wanted
