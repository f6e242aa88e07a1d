"""Membrane strength of a region: the same in any slabs, with and without sheets, its scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from hela_dask.kernels.membrane import ridge_halo, ridge_plane
from hela_dask.methods import membranes
from hela_dask.methods.membranes import Membranes
from hela_dask.parameters import MethodParameters, PropagateParameters

DEFAULTS: MethodParameters = PropagateParameters()
VOXEL = (50.0, 40.0, 40.0)
PIXEL = VOXEL[1:]


def tissue(slices: int = 21, size: int = 40) -> NDArray[np.uint8]:
    """Noise without resin."""
    return np.random.default_rng(0).integers(90, 180, (slices, size, size)).astype(np.uint8)


def of(image: NDArray[np.uint8], p: MethodParameters = DEFAULTS) -> Membranes:
    """Membranes where there is no resin."""
    return Membranes(image, np.zeros(image.shape, dtype=bool), VOXEL, p)


def test_slabs_of_membranes_are_as_of_the_whole_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    image = tissue()
    assert ridge_halo(DEFAULTS.sheet_sigma, VOXEL) == 4
    assert len(image) > membranes.SLAB
    slabs = of(image)
    expected = [tuple(ridge.copy() for ridge in slabs.ridges(z)) for z in range(21)]
    monkeypatch.setattr(membranes, "SLAB", 100)
    whole = of(image)
    for z in range(21):
        for one, other in zip(whole.ridges(z), expected[z], strict=True):
            np.testing.assert_array_equal(one, other)


def test_slices_in_any_order_are_the_same() -> None:
    image = tissue()
    upwards = of(image)
    expected = [upwards.ridges(z)[1].copy() for z in range(21)]
    mixed = of(image)
    for z in (20, 0, 15, 16, 3):
        np.testing.assert_array_equal(mixed.ridges(z)[1], expected[z])


@pytest.mark.parametrize(("sigma", "slices"), [(0.0, 5), (60.0, 1)])
def test_without_sheets_or_slices_beside_it_there_are_lines_only(sigma: float, slices: int) -> None:
    image = tissue(slices)
    found = of(image, replace(DEFAULTS, sheet_sigma=sigma))
    lines, sheets = found.ridges(0)
    np.testing.assert_array_equal(lines, sheets)
    np.testing.assert_allclose(lines, ridge_plane(image[0], DEFAULTS.line_sigma, PIXEL), atol=1e-2)
    found.calibrate_ball((0, 20, 20), 500.0)
    assert np.corrcoef(found.strength(0).ravel(), lines.ravel())[0, 1] > 0.99999
    # With them, what is known of the slices beside it counts.
    full = of(tissue(5)).ridges(2)
    assert not np.allclose(full[0], full[1])


def test_a_sheet_that_lies_flat_is_a_membrane_only_across_slices() -> None:
    image = tissue(11)
    image[:] = 150 + (image.astype(int) - 135) // 15
    image[5] -= 25
    # So that the slice as a whole is not merely darker: its surroundings are as they were.
    image[5, :8], image[5, -8:], image[5, :, :8], image[5, :, -8:] = 150, 150, 150, 150
    spot = (1, 20, 20)
    with_sheets, without = of(image), of(image, replace(DEFAULTS, sheet_sigma=0.0))
    for found in (with_sheets, without):
        found.calibrate_ball(spot, 300.0)
    middle = np.s_[18:22, 18:22]
    assert with_sheets.free(5)[1][middle].mean() < without.free(5)[1][middle].mean()
    assert not with_sheets.free(5)[1][middle].any()


@pytest.mark.parametrize("lost", [[4], [2, 3, 4, 5, 6]])
def test_blank_slices_are_not_measured(lost: list[int]) -> None:
    image = tissue(9)
    image[lost] = 0
    found = of(image, replace(DEFAULTS, sheet_sigma=0.0))
    found.calibrate_ball((4, 20, 20), 500.0)
    # Up to half of the ball's slices are blank, and not measured: what is left has unit spread.
    inside = np.concatenate([found.strength(z)[10:30, 10:30].ravel() for z in (0, 1, 7, 8)])
    assert abs(np.median(inside)) < 0.15
    assert np.median(np.abs(inside - np.median(inside))) == pytest.approx(1, abs=0.15)


def test_resin_is_not_measured() -> None:
    image = tissue(9, 60)
    resin = np.zeros(image.shape, dtype=bool)
    resin[:, :, 30:] = True
    rough = image.copy()
    rough[:, :, 36:] = 255 - rough[:, :, 36:] // 4
    strengths = []
    for mask in (resin, np.zeros_like(resin)):
        for grey in (image, rough):
            found = Membranes(grey, mask, VOXEL, DEFAULTS)
            found.calibrate_ball((4, 30, 30), 800.0)
            strengths.append(found.strength(4)[:, :24])
    np.testing.assert_allclose(strengths[0], strengths[1], atol=1e-4)
    assert np.abs(strengths[2] - strengths[3]).max() > 0.1


def test_resin_is_not_free() -> None:
    image = tissue(5)
    resin = np.zeros(image.shape, dtype=bool)
    resin[:, :, 25:] = True
    found = Membranes(image, resin, VOXEL, replace(DEFAULTS, membrane=1.0))
    found.calibrate_ball((2, 20, 12), 400.0)
    strength, free = found.free(2)
    assert not free[:, 25:].any()
    np.testing.assert_array_equal(free[:, :25], strength[:, :25] < 1.0)
    assert 0.5 < free[:, :25].mean() < 0.95
