"""Distances between drawn surfaces, and that they do not depend on how the slices arrive."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from hela_dask.evaluation.surfaces import SurfaceCollector, SurfaceDistance, surface_distances

SIZE = (50.0, 40.0, 10.0)


def surface(
    mask: np.ndarray, slabs: int = 1, size: tuple[float, float, float] = SIZE
) -> np.ndarray:
    collector = SurfaceCollector(size)
    for part in np.array_split(mask, slabs):
        collector.add(part)
    return collector.points()


def cube(corner: tuple[int, int, int], side: int = 3) -> np.ndarray:
    mask = np.zeros((9, 12, 14), bool)
    mask[tuple(slice(c, c + side) for c in corner)] = True
    return mask


def test_the_surface_of_a_cube_is_all_but_its_middle() -> None:
    points = surface(cube((2, 3, 4)))
    assert len(points) == 26
    assert not (points == np.array(SIZE) * (3, 4, 5)).all(axis=1).any()


def test_the_face_cut_by_the_volume_is_no_surface() -> None:
    # A 3 x 3 column through all nine slices: 8 of 9 voxels a slice, and none for its two ends.
    column = np.zeros((9, 12, 14), bool)
    column[:, 3:6, 4:7] = True
    assert len(surface(column)) == 9 * 8
    assert len(surface(np.ones((2, 3, 3), bool))) == 0


@pytest.mark.parametrize(("axis", "distance"), [(0, 50.0), (1, 40.0), (2, 10.0)])
def test_a_shift_by_one_voxel_is_one_voxel_size(axis: int, distance: float) -> None:
    # Of the 26 surface voxels, the 9 of the face left behind are one voxel away; 16 lie on the
    # other surface; the middle of the leading face lies on the other cube's hidden middle, whose
    # nearest surface voxel is 10 nm away, in x. The way back is the mirror image.
    moved = tuple(c + (k == axis) for k, c in enumerate((2, 3, 4)))
    a, b = surface(cube((2, 3, 4))), surface(cube((moved[0], moved[1], moved[2])))
    result = surface_distances(a, b).summary()
    assert result.maximum == distance
    assert result.mean == pytest.approx((9 * distance + 10) / 26)


def test_two_flat_plates_are_their_gap_apart() -> None:
    # One-voxel plates across the whole plane, three slices apart: every distance is 150 nm.
    low, high = np.zeros((2, 7, 6, 5), bool)
    low[1], high[4] = True, True
    found = surface_distances(surface(low), surface(high)).summary()
    assert found == SurfaceDistance(150.0, 150.0, 150.0)


def test_the_larger_direction_counts() -> None:
    # One voxel of five is 40 nm away from the other surface (5 single voxels in a row of y).
    row, part = np.zeros((2, 1, 5, 3), bool)
    row[0, :, 1], part[0, :4, 1] = True, True
    result = surface_distances(surface(row), surface(part)).summary()
    # There: (0, 0, 0, 0, 40), mean 8, 95th percentile 40 * 0.8 = 32; back: all 0.
    assert (result.mean, result.maximum) == (8.0, 40.0)
    assert result.p95 == pytest.approx(32.0)


@pytest.mark.parametrize("slabs", [2, 3, 9])
def test_slabs_do_not_change_the_surface(slabs: int) -> None:
    mask = np.random.default_rng(0).random((9, 12, 14)) > 0.3
    wanted = (
        mask
        & ~ndimage.binary_erosion(
            np.pad(mask, 1, mode="edge"), ndimage.generate_binary_structure(3, 1)
        )[1:-1, 1:-1, 1:-1]
    )
    assert np.array_equal(surface(mask, slabs), np.argwhere(wanted) * SIZE)


def test_nothing_has_no_distance() -> None:
    nothing = surface(np.zeros((3, 4, 4), bool))
    assert nothing.shape == (0, 3)
    assert math.isnan(surface_distances(nothing, surface(cube((1, 1, 1)))).summary().mean)


def test_some_slices_of_a_surface_are_compared_with_all_of_the_other() -> None:
    # One-voxel plates at slices 2 and 5 against one at slice 4: 100 nm below it, 50 nm above.
    plates, one = np.zeros((2, 7, 6, 5), bool)
    plates[[1, 4]], one[3] = True, True
    surfaces = surface_distances(surface(plates), surface(one))
    assert surfaces.between(150.0, 200.0).summary() == SurfaceDistance(50.0, 50.0, 50.0)
    assert math.isnan(surfaces.between(0.0, 100.0).summary().mean)  # no truth there
    assert surfaces.between(0.0, 300.0).summary() == surfaces.summary()
