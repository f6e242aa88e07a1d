"""Canny edges with relative thresholds: where they lie, and that contrast does not matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hela_dask.kernels.edges import edges

SIGMA = (2.0, 2.0)


def scene(seed: int = 0) -> NDArray[np.float64]:
    """A disc of 140 in 200, with grain of 2."""
    rows, columns = np.indices((120, 120))
    grain = np.random.default_rng(seed).normal(0, 2, (120, 120))
    dark = np.hypot(rows - 60, columns - 55) < 35
    drawn: NDArray[np.float64] = np.where(dark, 140.0, 200.0) + grain
    return drawn


def test_a_disc_has_one_round_edge_where_it_ends() -> None:
    found = edges(scene(), SIGMA, 0.9, 0.4)
    rows, columns = np.nonzero(found)
    radius = np.hypot(rows - 60, columns - 55)
    assert abs(radius - 35).max() < 1.5
    bearings = np.unique(np.round(np.degrees(np.arctan2(rows - 60, columns - 55)) / 10))
    assert len(bearings) >= 36


def test_a_straight_step_is_one_pixel_wide_in_every_row() -> None:
    step = np.where(np.arange(60) < 23, 10.0, 50.0) * np.ones((40, 1))
    found = edges(step, (3.0, 3.0), 0.7, 0.4)
    np.testing.assert_array_equal(found.sum(axis=1)[4:-4], 1)
    assert set(np.nonzero(found)[1]) <= {22, 23}


@settings(max_examples=15, deadline=None)
@given(gain=st.sampled_from([0.125, 0.5, 2.0, 16.0, 256.0]), offset=st.integers(-500, 500))
def test_gain_and_offset_change_nothing(gain: float, offset: int) -> None:
    grey = np.round(scene())
    expected = edges(grey, SIGMA, 0.7, 0.4)
    found = edges(gain * grey + offset, SIGMA, 0.7, 0.4)
    assert (found != expected).mean() < 1e-3


def test_the_quantile_sets_how_many_edges_there_are() -> None:
    noise = np.random.default_rng(1).normal(150, 10, (200, 200))
    counts = [edges(noise, SIGMA, quantile, 0.4).sum() for quantile in (0.5, 0.9, 0.99, 0.999)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 10 * counts[-1] > 0


def test_a_strong_edge_hides_weak_ones_only_by_the_quantile() -> None:
    grey = scene()
    grey[:, 110:] = 2000.0
    found = edges(grey, SIGMA, 0.9, 0.4)
    rows, columns = np.nonzero(found & (np.arange(120) < 95))
    assert len(rows) > 150
    assert abs(np.hypot(rows - 60, columns - 55) - 35).max() < 3


@pytest.mark.parametrize("sigma", [(1.0, 4.0), (4.0, 1.0)])
def test_the_two_sigmas_go_to_their_axes(sigma: tuple[float, float]) -> None:
    # Stripes of four pixels across one axis: a Gaussian of 4 wipes them out, one of 1 does not.
    rows, _ = np.indices((80, 80))
    stripes = np.where(rows // 4 % 2, 100.0, 120.0)
    grey = stripes if sigma[0] == 4 else stripes.T
    grey[:40, :40] += 40 * (np.hypot(*np.indices((40, 40))) < 25)
    gone = edges(grey, sigma, 0.95, 0.9)
    seen = edges(grey, sigma[::-1], 0.95, 0.9)
    assert seen.sum() > 3 * gone.sum()


def test_a_flat_plane_has_no_edges() -> None:
    for grey in (np.zeros((30, 40), np.uint8), np.full((30, 40), 60000, np.uint16)):
        found = edges(grey, SIGMA, 0.7, 0.4)
        assert found.shape == grey.shape
        assert found.dtype == bool
        assert not found.any()
