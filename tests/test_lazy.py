"""Lazy operators: the same bits for any chunking, and tasks that do not grow with the volume."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from dask_image import ndfilters
from hypothesis import given, settings
from hypothesis import strategies as st

import hela_dask.lazy as operators
from hela_dask.errors import InputError, ParameterError
from hela_dask.greys import GreyLevels, grey_levels
from hela_dask.kernels.background import background_block
from hela_dask.kernels.distance import distance_slice
from hela_dask.kernels.filters import gaussian as gaussian_kernel
from hela_dask.parameters import BackgroundParameters
from tests.volumes import LargestInput, make_volume

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (4, 23, 31)).astype(np.uint8)
SHAPES = [(4, 23, 31), (1, 23, 31), (3, 4, 31), (2, 23, 1), (1, 1, 1)]


@st.composite
def splits(draw: st.DrawFn, length: int) -> tuple[int, ...]:
    """Uneven chunk lengths that make up `length`."""
    parts = []
    while length:
        parts.append(draw(st.integers(1, length)))
        length -= parts[-1]
    return tuple(parts)


@st.composite
def chunked(draw: st.DrawFn) -> tuple[tuple[int, int, int], Any]:
    shape = draw(st.sampled_from(SHAPES))
    uneven = st.tuples(*(splits(length) for length in shape))
    return shape, draw(uneven | st.sampled_from([(2, 7, 9), (1, 5, 4), (64, 64, 64)]))


@given(case=chunked(), sigma=st.sampled_from([0.0, 20.0, 90.0, 300.0]))
@settings(max_examples=40, deadline=None)
def test_gaussian_has_the_same_bits_for_any_chunking(
    case: tuple[tuple[int, int, int], Any], sigma: float
) -> None:
    shape, chunks = case
    grey = GREY[: shape[0], : shape[1], : shape[2]]
    volume = make_volume(grey, (50.0, 40.0, 20.0), chunks=chunks)
    blurred = operators.gaussian(volume, sigma)
    assert blurred.chunks == volume.chunks
    expected = gaussian_kernel(grey, (sigma / 40.0, sigma / 20.0))
    np.testing.assert_array_equal(blurred.compute(scheduler="synchronous"), expected)


def test_gaussian_is_that_of_dask_image() -> None:
    volume = make_volume(GREY.astype(np.float64), (50.0, 40.0, 20.0))
    theirs = ndfilters.gaussian_filter(volume.data, (0.0, 2.0, 4.0), mode="reflect")
    np.testing.assert_allclose(operators.gaussian(volume, 80.0), theirs, rtol=1e-6)


@given(case=chunked())
@settings(max_examples=25, deadline=None)
def test_distance_has_the_same_bits_for_any_chunking(
    case: tuple[tuple[int, int, int], Any],
) -> None:
    shape, chunks = case
    mask = GREY[: shape[0], : shape[1], : shape[2]] > 250
    volume = make_volume(mask, (50.0, 40.0, 20.0), chunks=chunks)
    for border in (True, False):
        result = operators.distance(volume, border=border).compute(scheduler="synchronous")
        for plane, expected in zip(result.to_numpy(), mask, strict=True):
            np.testing.assert_array_equal(
                plane, distance_slice(expected, (40.0, 20.0), border=border)
            )


def cells_in_slices(count: int) -> np.ndarray:
    """A cell on resin, of other brightness in every slice; the last slice but one is black."""
    rows, columns = np.indices((64, 96))
    cell = np.hypot(rows - 30, columns - 50) < 24
    grey = np.where(cell, 120, 210) + RNG.normal(0, 4, (count, 64, 96))
    grey += RNG.integers(-20, 20, (count, 1, 1))
    grey[-2] = 0
    return grey.astype(np.uint8)


@given(depths=splits(11), rows=splits(64), limit=st.sampled_from([1, 3, 50]))
@settings(max_examples=6, deadline=None)
def test_background_has_the_same_bits_for_any_chunking(
    depths: tuple[int, ...], rows: tuple[int, ...], limit: int
) -> None:
    grey, parameters = cells_in_slices(11), BackgroundParameters()
    voxel = (50.0, 40.0, 40.0)
    levels = GreyLevels(cell=120.0, resin=210.0)
    expected = background_block(grey, voxel, parameters, levels)
    assert 0.5 < expected.mean() < 0.9
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operators, "BLOCK_BYTES", limit * 64 * 96 * 4)
        volume = make_volume(grey, voxel, chunks=(depths, rows, (50, 46)))
        result = operators.background(volume, levels=levels)
        computed = result.compute(scheduler="synchronous")
    assert computed.dtype == bool
    assert computed.name == "background"
    np.testing.assert_array_equal(computed, expected)


def test_background_finds_the_grey_levels_by_itself() -> None:
    volume = make_volume(cells_in_slices(9), chunks=(2, 64, 50))
    levels = grey_levels(volume)
    expected = operators.background(volume, levels=levels).compute(scheduler="synchronous")
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
        assert result.attrs == volume.attrs
    with pytest.raises(AssertionError, match="computed"):
        result.compute(scheduler="synchronous")


@pytest.mark.parametrize("name", OPERATORS)
def test_the_largest_input_of_a_task_does_not_grow_with_the_slices(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operators, "BLOCK_BYTES", 4 * 64 * 48 * 4)  # four slices
    largest = []
    for count in (24, 96):
        source = da.random.default_rng(0).integers(
            0, 256, (count, 64, 48), chunks=(6, 16, 48), dtype=np.uint8
        )
        with LargestInput() as record, dask.config.set(scheduler="synchronous"):
            # Chunk by chunk: compute() would join them all in one more task.
            chunks = OPERATORS[name](make_volume(source)).data.to_delayed(optimize_graph=False)
            dask.compute(*chunks.ravel())  # type: ignore[attr-defined,no-untyped-call]
        largest.append(record.bytes)
    assert largest[0] == largest[1]
    assert 0 < largest[0] <= 2 * 6 * 64 * 48 * 4


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
