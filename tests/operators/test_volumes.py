"""Lazy operators: what they are lifted from, how they block, and what they refuse.

That they give the same bits for any chunking is shown in ``tests/exactness``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from dask_image import ndfilters

import hela_dask as operators
from hela_dask.errors import InputError, ParameterError
from hela_dask.volume.greys import grey_levels
from tests.volumes import make_volume

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (4, 23, 31)).astype(np.uint8)


def test_gaussian_is_that_of_dask_image() -> None:
    volume = make_volume(GREY.astype(np.float64), (50.0, 40.0, 20.0))
    theirs = ndfilters.gaussian_filter(volume.data, (0.0, 2.0, 4.0), mode="reflect")
    np.testing.assert_allclose(operators.gaussian(volume, 80.0), theirs, rtol=1e-6)


def cells_in_slices(count: int) -> np.ndarray:
    """A cell on resin, of other brightness in every slice; the last slice but one is black."""
    rows, columns = np.indices((64, 96))
    cell = np.hypot(rows - 30, columns - 50) < 24
    grey = np.where(cell, 120, 210) + RNG.normal(0, 4, (count, 64, 96))
    grey += RNG.integers(-20, 20, (count, 1, 1))
    grey[-2] = 0
    return grey.astype(np.uint8)


def test_background_finds_the_grey_levels_by_itself() -> None:
    volume = make_volume(cells_in_slices(9), chunks=(2, 64, 50))
    levels = grey_levels(volume)
    expected = operators.background(volume, grey_levels=levels).compute(scheduler="synchronous")
    found = operators.background(volume).compute(scheduler="synchronous")
    np.testing.assert_array_equal(found, expected)


OPERATORS: dict[str, Callable[[xr.DataArray], xr.DataArray]] = {
    "gaussian": lambda volume: operators.gaussian(volume, 90.0),
    "background": operators.background,
    "distance": lambda volume: operators.distance(volume > 128),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_nothing_is_computed_and_coordinates_stay(name: str) -> None:
    def fail(block: Any) -> Any:
        raise AssertionError("computed")

    lazy = da.zeros((6, 40, 50), dtype=np.uint8, chunks=(2, 20, 25)).map_blocks(
        fail, dtype=np.uint8, meta=np.empty((0, 0, 0), np.uint8)
    )
    volume = make_volume(lazy, translation=(100.0, 15.0, 15.0))
    result = OPERATORS[name](volume)
    assert result.dims == ("z", "y", "x")
    for axis in "zyx":
        np.testing.assert_array_equal(result[axis], volume[axis])
    if name != "distance":  # whose input is the comparison, not the volume
        assert result.attrs == {**volume.attrs, "long_name": str(result.name)}
    with pytest.raises(AssertionError, match="computed"):
        result.compute(scheduler="synchronous")


def test_a_block_is_at_most_the_limit_and_at_least_one_slice() -> None:
    volume = make_volume(da.zeros((70, 2048, 2048), dtype=bool, chunks=(32, 512, 512)))
    chunks = operators.distance(volume).chunks
    assert chunks is not None
    assert max(chunks[0]) * 2048 * 2048 * 4 <= 64 * 2**20
    assert chunks == ((4,) * 17 + (2,), (2048,), (2048,))
    large = make_volume(da.zeros((3, 8192, 8192), dtype=bool, chunks=(2, 4096, 4096)))
    assert operators.distance(large).chunks == ((1, 1, 1), (8192,), (8192,))
    small = make_volume(da.zeros((30, 64, 64), dtype=bool, chunks=(1, 64, 64)))
    assert operators.distance(small).chunks == ((30,), (64,), (64,))


def test_what_is_not_a_volume_is_refused() -> None:
    volume = make_volume(np.zeros((2, 8, 8), np.uint8))
    with pytest.raises(ParameterError, match="sigma"):
        operators.gaussian(volume, -1.0)
    with pytest.raises(ParameterError, match="sigma"):
        operators.gaussian(volume, float("nan"))
    with pytest.raises(InputError, match="booleans"):
        operators.distance(volume)
    with pytest.raises(InputError, match="grey values"):
        operators.background(volume > 0)
    with pytest.raises(InputError, match="dims"):
        operators.gaussian(volume[0], 10.0)
