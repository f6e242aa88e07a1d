"""Slabs of whole planes and their overlap: what a kernel is given, for any chunks."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest
from dask.delayed import delayed
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hela_dask import version as package
from hela_dask.operators import slabs
from hela_dask.operators.slabs import as_slabs, lazy_slabs, map_slabs, overlap_slabs
from tests.exactness.strategies import chunkings


@given(
    shape=st.tuples(st.integers(1, 70), st.integers(1, 9), st.integers(1, 9)),
    halo=st.integers(0, 12),
    most=st.none() | st.sampled_from([1, 4, 16]),
    planes=st.sampled_from([0.5, 1, 3, 100]),
    data=st.data(),
)
def test_slabs_are_whole_planes_that_hold_a_halo(
    shape: tuple[int, int, int], halo: int, most: int | None, planes: float, data: st.DataObject
) -> None:
    array = da.zeros(shape, chunks=data.draw(chunkings(shape)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slabs, "SLAB_BYTES", planes * shape[1] * shape[2] * 4)
        found = as_slabs(array, halo, most)
    depths, *sides = found.chunks
    assert sum(depths) == shape[0]
    assert sides == [(shape[1],), (shape[2],)]
    assert len(depths) == 1 or min(depths) >= halo
    fit = max(1, int(planes))
    assert max(depths) <= max(fit if most is None else min(most, fit), halo) + halo
    if most is not None and halo <= 1:
        assert all(most % depth == 0 for depth in depths[:-2])


def window_sums(
    block: NDArray[np.int64], wanted: slice, *, reach: int, times: int = 1
) -> NDArray[np.int64]:
    """The sum of the slices within `reach` of each of those wanted."""
    slices = range(len(block))[wanted]
    return np.stack([times * block[max(0, z - reach) : z + reach + 1].sum(0) for z in slices])


@given(
    length=st.integers(1, 30),
    reach=st.integers(0, 7),
    most=st.integers(1, 9),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_the_overlap_is_exact_for_any_slabs(
    length: int, reach: int, most: int, data: st.DataObject
) -> None:
    shape = (length, 2, 3)
    grey = np.random.default_rng(length).integers(0, 99, shape)
    array = da.from_array(grey, chunks=data.draw(chunkings(shape)))
    found = overlap_slabs(
        window_sums, as_slabs(array, reach, most), reach, name="sums", dtype=int, reach=reach
    )
    expected = window_sums(grey, slice(None), reach=reach)
    np.testing.assert_array_equal(found.compute(scheduler="synchronous"), expected)
    first = data.draw(st.integers(0, length - 1))
    some = lazy_slabs(found, first, length)
    blocks = [block.compute(scheduler="synchronous") for block in some]
    np.testing.assert_array_equal(np.concatenate(blocks), expected[first:])


def test_a_kernel_may_add_an_axis() -> None:
    def powers(block: NDArray[Any], wanted: slice) -> NDArray[Any]:
        return np.stack([block[wanted] ** power for power in (1, 2, 3)], -1)

    grey = np.arange(24.0).reshape(6, 2, 2)
    found = overlap_slabs(
        powers, da.from_array(grey, chunks=(2, 2, 2)), 1, name="powers", dtype=float, outputs=3
    )
    assert found.chunks == ((2, 2, 2), (2,), (2,), (3,))
    np.testing.assert_array_equal(found.compute(scheduler="synchronous")[..., 2], grey**3)


def test_lazy_options_are_computed_first_and_others_make_another_name() -> None:
    grey = np.ones((4, 2, 2), np.int64)
    array = da.from_array(grey, chunks=(2, 2, 2))
    once, twice = (
        overlap_slabs(window_sums, array, 0, name="sums", dtype=int, reach=0, times=times)
        for times in (1, delayed(2))
    )
    assert once.name != twice.name
    np.testing.assert_array_equal(twice.compute(scheduler="synchronous"), 2 * grey)


def test_a_slab_too_thin_for_its_halo_is_refused() -> None:
    array = da.zeros((6, 2, 2), chunks=(2, 2, 2))
    with pytest.raises(ValueError, match="larger than smallest chunksize"):
        overlap_slabs(window_sums, array, 3, name="sums", dtype=int, reach=3)


def negative(block: NDArray[Any]) -> NDArray[Any]:
    return -block


def test_kernels_run_only_with_the_version_that_made_the_graph(
    here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = da.zeros((4, 2, 2), chunks=(2, 2, 2))
    found = map_slabs(negative, array, name="negative", dtype=float)
    monkeypatch.setattr(package, "__version__", "0.0.9")
    with pytest.raises(Exception, match=r"has hela_dask 0\.0\.9, the run has"):
        here.compute(found).result()
