"""Rims of dark parts of the resin, counted as numpy counts them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hela_dask.kernels.charging import smooth_rims
from hela_dask.parameters import BackgroundParameters


def by_numpy(
    likeness: NDArray[np.float32],
    pieces: NDArray[np.int32],
    pixel: tuple[float, float],
    p: BackgroundParameters,
) -> NDArray[np.bool_]:
    """Each side of two squares from either of them, one direction after the other."""
    flat = np.hypot(*np.gradient(likeness, *pixel)) * p.rim
    rim, contact, smooth = np.zeros((3, int(pieces.max()) + 1))
    for axis, length in enumerate(reversed(pixel)):
        low, high = (np.moveaxis(array, axis, 0)[:-1] for array in (pieces, flat))
        after, steep = (np.moveaxis(array, axis, 0)[1:] for array in (pieces, flat))
        fading = high + steep < 2
        for inside, outside in ((low, after), (after, low)):
            edge = (inside > 0) & (inside != outside)
            for total, counted in (
                (rim, edge),
                (contact, edge & (outside == 0)),
                (smooth, edge & (outside == 0) & fading),
            ):
                found = length * np.bincount(inside[counted], minlength=rim.size)
                np.add(total, found, out=total)
    fades: NDArray[np.bool_] = (contact > p.contact * rim) & (2 * smooth > contact)
    fades[0] = False
    return fades


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(2, 30), st.integers(2, 30)),
    st.sampled_from([(80.0, 80.0), (80.3, 73.7), (7.3, 110.0)]),
    st.integers(0, 999),
)
def test_the_loop_is_numpy_s(shape: tuple[int, int], pixel: tuple[float, float], seed: int) -> None:
    random = np.random.default_rng(seed)
    pieces = random.integers(-1, 5, shape).astype(np.int32)
    likeness = random.normal(0.5, random.choice([0.01, 0.1, 1.0]), shape).astype(np.float32)
    p = BackgroundParameters()
    found = smooth_rims(likeness, pieces, pixel, p)
    np.testing.assert_array_equal(found, by_numpy(likeness, pieces, pixel, p))


@pytest.mark.parametrize(("step", "fades"), [(1.0, False), (0.05, True)])
def test_a_piece_that_fades_is_smooth(step: float, fades: bool) -> None:
    rows, columns = np.indices((40, 40))
    away = np.hypot(rows - 20, columns - 20)
    pieces = (away < 8).astype(np.int32)
    likeness = np.clip((away - 8) * step + 0.5, 0, 1).astype(np.float32)
    found = smooth_rims(likeness, pieces, (80.0, 80.0), BackgroundParameters())
    assert found.tolist() == [False, fades]
