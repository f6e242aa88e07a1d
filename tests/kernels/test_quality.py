"""Drawn masks whose jitter, leaps, contact and cut faces are known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hela_dask.kernels.quality import FACES, beside, face_areas, surface_profile
from hela_dask.parameters import QualityParameters

Mask = NDArray[np.bool_]

VOXEL = (50.0, 40.0, 40.0)
P = QualityParameters()


def discs(
    radii: NDArray[np.floating], moved: NDArray[np.floating] | None = None, size: int = 160
) -> Mask:
    """A disc a slice: its radius, and by how much (y, x) it is away from the middle, nm."""
    rows, columns = np.ogrid[:size, :size]
    moved = np.zeros((len(radii), 2)) if moved is None else moved
    middle = size / 2 - 0.5
    return np.stack(
        [
            np.hypot(
                (rows - middle) * VOXEL[1] - at[0],
                (columns - middle) * VOXEL[2] - at[1],
            )
            < radius
            for radius, at in zip(radii, moved, strict=True)
        ]
    )


def ball(radius: float = 2000.0, depth: int = 100) -> Mask:
    heights = (np.arange(depth) - depth / 2 + 0.5) * VOXEL[0]
    return discs(np.sqrt(np.maximum(radius**2 - heights**2, 0)))


def test_areas_and_outlines_are_those_of_a_disc() -> None:
    found = surface_profile(discs(np.full(5, 2000.0)), VOXEL, P)
    np.testing.assert_allclose(found.area, np.pi * 2.0**2, rtol=0.01)
    np.testing.assert_allclose(found.length, 2 * np.pi * 2.0, rtol=0.03)


def test_a_cylinder_does_not_jitter() -> None:
    found = surface_profile(discs(np.full(60, 2000.0)), VOXEL, P)
    assert found.jitter == 0.0
    assert found.jump == 0.0
    assert not found.instability.any()


@pytest.mark.parametrize("steep", [10.0, 40.0])
def test_a_cone_and_a_leaning_cylinder_are_not_punished(steep: float) -> None:
    radii = 600.0 + steep * np.arange(60)
    cone = surface_profile(discs(radii, size=200), VOXEL, P)
    assert cone.jitter == 0.0
    assert cone.jump < 0.03
    along = steep * np.arange(60)[:, None] * np.array([[1.0, 0.5]]) - 30 * steep
    leaning = surface_profile(discs(np.full(60, 1500.0), along, size=200), VOXEL, P)
    assert leaning.jitter < 2.0
    assert leaning.jump < 0.03


def test_a_ball_is_steady_and_its_poles_are_in_doubt() -> None:
    found = surface_profile(ball(), VOXEL, P)
    assert found.jitter < 8.0
    assert found.jump < 0.03
    held = np.flatnonzero(found.area)
    assert (found.instability[held[[0, 1, -2, -1]]] > 0.25).all()
    assert (found.instability[held[20:-20]] < 0.06).all()
    assert not found.instability[found.area == 0].any()


@pytest.mark.parametrize("moved", [60.0, 120.0, 240.0])
def test_jitter_is_about_the_displacement(moved: float) -> None:
    away = np.random.default_rng(3).normal(0, moved, (120, 2))
    found = surface_profile(discs(np.full(120, 2000.0), away), VOXEL, P)
    # Of a displacement d, the band along the outline is |d cos| wide, on average 0.8 of its sd.
    assert found.jitter == pytest.approx(0.8 * moved, rel=0.2)


def test_jitter_is_the_same_at_finer_pixels() -> None:
    away = np.random.default_rng(4).normal(0, 100, (40, 2))
    coarse = discs(np.full(40, 1500.0), away)
    fine = coarse.repeat(4, axis=1).repeat(4, axis=2)
    first = surface_profile(coarse, VOXEL, P)
    second = surface_profile(fine, (50.0, 10.0, 10.0), P)
    np.testing.assert_array_equal(first.area, second.area)
    assert second.jitter == pytest.approx(first.jitter)


def test_one_slice_that_is_off_shows_where_it_is() -> None:
    away = np.zeros((60, 2))
    away[25] = (400.0, 0.0)
    found = surface_profile(discs(np.full(60, 2000.0), away), VOXEL, P)
    assert int(found.unsteady.argmax()) == 25
    assert set(np.flatnonzero(found.leap)) == {25, 26}
    # 2 r d of pi r² leave one side and as much comes in on the other.
    assert found.jump == pytest.approx(4 * 400 / (np.pi * 2000), rel=0.05)


def test_a_lasting_step_leaps_but_does_not_jitter() -> None:
    radii = np.where(np.arange(60) < 30, 1500.0, 2000.0)
    found = surface_profile(discs(radii), VOXEL, P)
    assert found.jitter == 0.0
    assert np.flatnonzero(found.leap).tolist() == [30]
    assert found.jump == pytest.approx((2.0**2 - 1.5**2) / ((1.5**2 + 2.0**2) / 2), rel=0.02)


def test_a_mask_that_ends_abruptly_leaps() -> None:
    radii = np.where(np.arange(60) < 30, 0.0, 2000.0)
    assert surface_profile(discs(radii), VOXEL, P).jump == pytest.approx(1.0)


def test_an_empty_mask_has_no_numbers() -> None:
    found = surface_profile(np.zeros((5, 20, 20), bool), VOXEL, P)
    assert np.isnan([found.jitter, found.jump]).all()
    assert not found.area.any()
    assert np.isnan(beside(np.zeros((5, 20, 20), bool), np.ones((5, 20, 20), bool), VOXEL, P))


def test_one_slice_alone_can_be_measured() -> None:
    found = surface_profile(discs(np.array([2000.0])), VOXEL, P)
    assert found.jitter == 0.0
    assert found.jump == 0.0


def test_the_share_with_resin_beside() -> None:
    cell = discs(np.full(3, 2000.0))
    resin = ~discs(np.full(3, 2000.0 + 100.0))
    assert beside(cell, resin, VOXEL, P) == 1.0
    far = ~discs(np.full(3, 2000.0 + 400.0))
    assert beside(cell, far, VOXEL, P) == 0.0
    half = resin.copy()
    half[:, :, :80] = False
    assert beside(cell, half, VOXEL, P) == pytest.approx(0.5, abs=0.03)
    assert beside(cell, np.zeros_like(cell), VOXEL, P) == 0.0


def test_what_a_window_cuts_is_no_outline() -> None:
    cell = discs(np.full(3, 2000.0))[:, :, 80:]
    resin = ~cell
    assert beside(cell, resin, VOXEL, P) == 1.0
    found = surface_profile(cell, VOXEL, P)
    np.testing.assert_allclose(found.length, np.pi * 2.0, rtol=0.03)


def test_areas_on_the_faces_of_a_window() -> None:
    box = np.zeros((10, 20, 30), bool)
    box[2:, 5:15, :12] = True
    found = face_areas(box, (50.0, 40.0, 20.0))
    assert tuple(found) == FACES
    assert found == {
        "first slice": 0.0,
        "last slice": pytest.approx(10 * 12 * 40 * 20 * 1e-6),
        "lowest y": 0.0,
        "highest y": 0.0,
        "lowest x": pytest.approx(8 * 10 * 50 * 40 * 1e-6),
        "highest x": 0.0,
    }
