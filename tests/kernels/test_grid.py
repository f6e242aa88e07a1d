"""Coarser pixels are means, and back again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hela_dask.kernels.grid import block_mean, block_shares, factors_for, refine


@pytest.mark.parametrize(
    ("pixel", "factors"),
    [
        ((40.0, 40.0), (1, 1)),
        ((10.0, 10.0), (4, 4)),
        ((10.0, 20.0), (4, 2)),
        ((15.0, 15.0), (2, 2)),
        ((60.0, 60.0), (1, 1)),
        ((40.0 / 3, 40.0 / 3), (3, 3)),
    ],
)
def test_no_coarser_than_asked_for(pixel: tuple[float, float], factors: tuple[int, int]) -> None:
    assert factors_for(pixel, 40.0) == factors


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(st.integers(1, 4), st.integers(1, 5)),
    st.tuples(st.integers(1, 13), st.integers(1, 13)),
    st.sampled_from([np.bool_, np.uint8, np.uint16, np.int16, np.float32]),
    st.integers(0, 99),
)
def test_each_block_is_the_mean_of_what_there_is_of_it(
    factors: tuple[int, int], shape: tuple[int, int], kind: type[np.generic], seed: int
) -> None:
    image = (np.random.default_rng(seed).random(shape) * 200).astype(kind)
    found = block_mean(image, factors)
    assert found.dtype == np.float32
    assert found.shape == tuple(-(-n // by) for n, by in zip(shape, factors, strict=True))
    (height, width) = factors
    for y, x in np.ndindex(found.shape):
        block = image[y * height : (y + 1) * height, x * width : (x + 1) * width]
        assert found[y, x] == pytest.approx(float(block.astype(np.float64).mean()), rel=1e-6)


@pytest.mark.parametrize("factors", [(1, 1), (2, 2), (3, 4), (20, 30)])
def test_pixels_of_a_block_are_added_by_columns(factors: tuple[int, int]) -> None:
    image = np.random.default_rng(3).normal(0, 1, (11, 14)).astype(np.float32)
    height, width = factors
    found = block_mean(image, factors)
    for y, x in np.ndindex(found.shape):
        block = image[y * height : (y + 1) * height, x * width : (x + 1) * width]
        total = 0.0
        for column in block.T.astype(np.float64):
            total += sum(column, 0.0)
        assert found[y, x] == np.float32(total / block.size)


def test_the_mean_of_bright_pixels_does_not_overflow() -> None:
    np.testing.assert_array_equal(block_mean(np.full((8, 8), 65535, np.uint16), (4, 4)), 65535)


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(1, 13), st.integers(1, 13)),
    st.integers(0, 99),
)
def test_coarser_undoes_finer(factors: tuple[int, int], shape: tuple[int, int], seed: int) -> None:
    blocks = tuple(-(-n // by) for n, by in zip(shape, factors, strict=True))
    coarse = np.random.default_rng(seed).random(blocks) < 0.5
    fine = refine(coarse, factors, shape)
    assert fine.shape == shape
    assert fine.dtype == bool
    np.testing.assert_array_equal(block_mean(fine, factors), coarse)


@pytest.mark.parametrize("factors", [(1, 1), (2, 2), (3, 4), (20, 30)])
def test_shares_of_blocks_are_the_means_of_their_masks(factors: tuple[int, int]) -> None:
    random = np.random.default_rng(2)
    resin = random.random((3, 11, 14)) < 0.4
    free = (random.random(resin.shape) < 0.5) & ~resin
    dense, tissue = block_shares(free, resin, factors)
    height, width = factors
    for z, y, x in np.ndindex(dense.shape):
        part = np.s_[z, y * height : (y + 1) * height, x * width : (x + 1) * width]
        assert dense[z, y, x] == np.float32((~(resin | free)[part]).mean())
        assert tissue[z, y, x] == np.float32((~resin[part]).mean())
        assert tissue[z, y, x] == block_mean(~resin[z], factors)[y, x]
