"""Surfaces in depth buffers: area, order in depth, opacity, and no dependence on order."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from hela_dask.kernels.marching import march
from hela_dask.kernels.packed_layers import pack_layers, unpack_layers
from hela_dask.kernels.raster import (
    THICKNESS,
    Layers,
    draw_flat,
    draw_membrane,
    draw_opaque,
    empty_layers,
)
from hela_dask.kernels.shading import Camera, Frame, light, project, vertex_normals
from hela_dask.types import Floats

Faces = NDArray[np.int32]
RADIUS, SAMPLE = 20.0, 0.5


def sphere() -> tuple[Floats, Faces]:
    z, y, x = np.ogrid[-24:25, -24:25, -24:25]
    vertices, faces = march((RADIUS - np.sqrt(z**2 + y**2 + x**2)).astype(np.float32), 0.0)
    return vertices - 24, faces


def cube(side: float, centre: float = 0.0) -> tuple[Floats, Faces]:
    vertices = (np.array(list(np.ndindex(2, 2, 2))) - 0.5) * side + [centre, 0, 0]
    sides = [(0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5)]
    faces = [part for a, b, c, d in sides for part in ((a, b, c), (a, c, d))]
    return vertices, np.array(faces, np.int32)


def frame(camera: Camera) -> Frame:
    return Frame(camera.axes, SAMPLE, np.array([-25.0, -25.0]))


def drawn(
    mesh: tuple[Floats, Faces], camera: Camera, layers: Layers | None = None, *, opaque: bool
) -> Layers:
    layers = empty_layers(100, 100) if layers is None else layers
    vertices, faces = mesh
    points, tones, film = project(vertices, vertex_normals(vertices, faces), frame(camera))
    if opaque:
        draw_opaque(layers, points, tones, faces)
    else:
        draw_membrane(layers, points, tones, film, faces)
    return layers


@pytest.mark.parametrize("camera", [Camera(0, 90), Camera(30, 25), Camera(215, -25)])
def test_the_silhouette_of_a_sphere_is_a_disk(camera: Camera) -> None:
    height = drawn(sphere(), camera, opaque=True)["height"]
    area = np.isfinite(height).sum() * SAMPLE**2
    assert area == pytest.approx(math.pi * RADIUS**2, rel=0.01)
    assert height.max() == pytest.approx(RADIUS, rel=0.01)


def test_a_cube_has_the_area_of_its_view_and_no_gap_between_triangles() -> None:
    camera = Camera(30, 25)
    layers = drawn(cube(20), camera, opaque=False)
    area = np.isfinite(layers["front"]).sum() * SAMPLE**2
    assert area == pytest.approx(400 * np.abs(camera.axes[2]).sum(), rel=0.01)
    # Every sample is in exactly one triangle of the front and one of the back.
    from_above = np.zeros((100, 100), np.int32)
    points = np.array([[10.0, 10, 0], [10, 60, 0], [60, 10, 0], [60, 60, 0]], np.float32)
    flat, ones = empty_layers(100, 100), np.ones(4, np.float32)
    draw_membrane(flat, points, ones, ones, np.array([[0, 1, 2], [1, 3, 2]], np.int32))
    from_above[10:60, 10:60] = THICKNESS
    np.testing.assert_array_equal(flat["thickness"], from_above)


def test_the_nearer_surface_hides_the_other_in_any_order() -> None:
    camera = Camera(0, 90)
    near, far = cube(10, 12.0), cube(30, -12.0)
    one = drawn(far, camera, drawn(near, camera, opaque=True), opaque=True)
    other = drawn(near, camera, drawn(far, camera, opaque=True), opaque=True)
    np.testing.assert_array_equal(one, other)
    assert one["height"][50, 50] == pytest.approx(17) and one["height"][25, 25] == pytest.approx(3)


def test_films_are_added_in_front_of_what_is_opaque_only() -> None:
    camera = Camera(0, 90)
    alone = drawn(sphere(), camera, opaque=False)
    core = drawn(cube(10), camera, opaque=True)
    with_core = drawn(sphere(), camera, core, opaque=False)
    # The film behind the core is within NEAR of it here: heights are a few nm.
    _, film = light(np.array([1.0, 0, 0]), camera.axes)
    assert alone["thickness"][50, 50] == pytest.approx(2 * film * THICKNESS, rel=0.02)
    assert alone["front"][50, 50] == pytest.approx(RADIUS, rel=0.02)
    assert alone["back"][50, 50] == pytest.approx(-RADIUS, rel=0.02)
    assert with_core["height"][50, 50] == pytest.approx(5)
    rim = alone["thickness"][50, np.flatnonzero(alone["thickness"][50])]
    assert rim[:3].max() > 3 * rim[len(rim) // 2]


def test_a_film_far_behind_is_not_in_front() -> None:
    layers, ones = empty_layers(4, 4), np.ones(3, np.float32)
    faces = np.array([[0, 1, 2]], np.int32)
    corners = np.array([[-9, -9], [-9, 20], [20, -9]], np.float32)
    for height, opaque in ((0.0, True), (-500.0, False), (500.0, False)):
        points = np.column_stack([corners, np.full(3, height, np.float32)]).astype(np.float32)
        if opaque:
            draw_opaque(layers, points, ones, faces)
        else:
            draw_membrane(layers, points, ones, ones, faces)
    assert (layers["thickness"] == THICKNESS).all()
    assert (layers["front"] == 500).all() and (layers["back"] == -500).all()


@pytest.mark.parametrize("opaque", [True, False])
def test_the_order_of_triangles_does_not_matter(opaque: bool) -> None:
    vertices, faces = sphere()
    shuffled = np.random.default_rng(0).permutation(faces)
    camera = Camera(30, 25)
    one = drawn((vertices, faces), camera, opaque=opaque)
    np.testing.assert_array_equal(one, drawn((vertices, shuffled), camera, opaque=opaque))


def test_a_flat_cut_lies_in_its_plane() -> None:
    camera, layers = Camera(0, 90), empty_layers(100, 100)
    place = frame(camera).place(np.array([[7.0, -10, -10], [7, -9, -10], [7, -10, -9]]))
    place[1:] -= place[0]
    draw_flat(layers, np.ones((21, 11), bool), place, tone=0.5, thickness=None, faces_viewer=True)
    there = layers["cut"] > 0
    assert there.sum() * SAMPLE**2 == pytest.approx(21 * 11)
    assert (layers["height"][there] == 7).all()


def test_packed_layers_are_near_the_layers() -> None:
    camera = Camera(30, 25)
    layers = drawn(sphere(), camera, drawn(cube(15), camera, opaque=True), opaque=False)
    back = unpack_layers(pack_layers(layers, (-30.0, 30.0)), (-30.0, 30.0))
    for name, within in (("height", 0.001), ("front", 0.001), ("tone", 0.005)):
        there = np.isfinite(layers[name])
        np.testing.assert_array_equal(np.isfinite(back[name]), there)
        assert np.abs(back[name][there] - layers[name][there]).max() < within
    films = [1 - np.exp(-part["thickness"] / THICKNESS) for part in (layers, back)]
    assert np.abs(films[0] - films[1]).max() < 0.005
