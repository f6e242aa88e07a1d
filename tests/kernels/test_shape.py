"""Axes, hulls, hollows, protrusions and layers of drawn shapes."""

from __future__ import annotations

import numpy as np
import pytest

from hela_dask.kernels.morphology import depth_inside
from hela_dask.kernels.shape import (
    convex_hull,
    find_moments,
    invagination_depth,
    layer_thickness,
    protruding_share,
    sphericity,
)
from hela_dask.kernels.surface import Surface, crop_fraction, find_surface
from hela_dask.types import Grey, Sides
from tests.shapes import Shape, ball, ellipsoid, torus

VOXEL = (50.0, 40.0, 40.0)
SHAPES = [ball(1000.0), ellipsoid(1200.0, 800.0, 500.0), torus(900.0, 350.0)]
WHOLE: Sides = ((False, False), (False, False), (False, False))


def surface_of(fraction: Grey) -> tuple[Grey, Surface]:
    cropped, _ = crop_fraction(fraction, VOXEL, 50.0, WHOLE)
    return cropped, find_surface(cropped, VOXEL, 50.0)


@pytest.mark.parametrize("shape", SHAPES)
def test_volume_and_axes_are_within_one_percent(shape: Shape) -> None:
    moments = find_moments(shape.draw(VOXEL, 2), VOXEL)
    assert moments.volume == pytest.approx(shape.volume, rel=0.01)
    assert moments.axes == pytest.approx(shape.axes, rel=0.01)
    assert moments.directions @ moments.directions.T == pytest.approx(np.eye(3), abs=1e-9)


def test_the_longest_axis_has_its_direction() -> None:
    z, y, x = np.ogrid[-20:21, -40:41, -40:41]
    along, across = (x + y) / np.sqrt(2), (x - y) / np.sqrt(2)
    drawn = (z / 10) ** 2 + (along / 36) ** 2 + (across / 12) ** 2 < 1
    moments = find_moments(drawn.astype(np.float32), (40.0, 40.0, 40.0))
    assert moments.directions[0] == pytest.approx([0, np.sqrt(0.5), np.sqrt(0.5)], abs=0.01)
    assert moments.centroid == pytest.approx([800.0, 1600.0, 1600.0])
    assert moments.axes[0] == pytest.approx(72 * 40, rel=0.01)


@pytest.mark.parametrize("shape", SHAPES)
def test_hull_of_known_shapes(shape: Shape) -> None:
    _, surface = surface_of(shape.draw(VOXEL, 4))
    hull = convex_hull(surface)
    assert hull is not None
    assert (hull.volume, hull.area) == pytest.approx(shape.hull, rel=0.01)
    assert hull.diameter == pytest.approx(2 * shape.reach, rel=0.015)
    depth = shape.radii[1] if shape.is_torus else 0.0
    assert invagination_depth(surface, hull, 50.0) == pytest.approx(depth, abs=5.0)


def test_invagination_is_the_largest_distance_to_all_facets() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(500, 3)) * 1000
    surface = Surface(points, np.empty((0, 3), np.int32), np.zeros((1, 1, 1), bool))
    hull = convex_hull(surface)
    assert hull is not None
    every = -(points @ hull.planes[:, :3].T + hull.planes[:, 3]).max(axis=1)
    assert invagination_depth(surface, hull, 0.0) == pytest.approx(every.max())
    assert invagination_depth(surface, hull, every.max() + 1) == 0


def test_points_in_a_plane_have_no_hull() -> None:
    flat = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1]], float)
    for points in (flat, flat[:0]):
        none = np.empty((0, 3), np.int32)
        assert convex_hull(Surface(points, none, np.zeros((1, 1, 1), bool))) is None


def test_sphericity() -> None:
    assert sphericity(4 / 3 * np.pi * 8, 4 * np.pi * 4) == pytest.approx(1)
    assert sphericity(1, 6) == pytest.approx((np.pi / 6) ** (1 / 3))  # a cube


def test_a_rod_on_a_ball_is_a_protrusion() -> None:
    drawn = ball(1000.0).draw(VOXEL, 0, margin=1000.0)
    depth = depth_inside(drawn > 0.5, VOXEL)
    assert protruding_share(drawn, depth, VOXEL, 500.0) < 0.001
    rod = drawn.copy()
    middle = [n // 2 for n in drawn.shape]
    rod[middle[0] - 2 : middle[0] + 2, middle[1] - 2 : middle[1] + 2, middle[2] :] = 1
    added = (rod.sum() - drawn.sum()) / rod.sum()
    share = protruding_share(rod, depth_inside(rod > 0.5, VOXEL), VOXEL, 500.0)
    assert share == pytest.approx(added, rel=0.1)
    assert protruding_share(rod, depth_inside(rod > 0.5, VOXEL), VOXEL, 1500.0) == 1


def test_layer_between_two_balls() -> None:
    outer, around = surface_of(ball(1500.0).draw(VOXEL, 5))
    _, inner = surface_of(ball(700.0).draw(VOXEL, 5))
    # Both are drawn at the same position below the middle of their arrays, which are even.
    middles = [
        (surface.vertices.max(0) + surface.vertices.min(0)) / 2 for surface in (around, inner)
    ]
    shift = middles[0] - middles[1] + np.array([200.0, 0.0, 0.0])
    depth = depth_inside(around.inside, VOXEL)
    found = layer_thickness(inner, around, depth, VOXEL, shift)
    assert found.least == pytest.approx(600.0, abs=25.0)
    assert found.median == pytest.approx(790.0, abs=30.0)  # 800 where it is not displaced
    assert outer.shape == depth.shape
