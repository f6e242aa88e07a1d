"""Meshes of drawn solids: closed, oriented, of the right topology, close to the true surface."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.geometry import Geometry
from hela_dask.kernels.mesh import Mesh
from hela_dask.kernels.mesh_distance import mesh_distance, point_distances
from hela_dask.meshing.building import ObjectMesh, build_mesh
from hela_dask.types import Floats, Mask

pytest.importorskip("zmesh", reason="the extra [meshes] is not installed")

ERROR = 40.0
VOXEL = (50.0, 20.0, 20.0)
SHAPE = (48, 120, 120)
GEOMETRY = Geometry(SHAPE, VOXEL)
CENTRE = np.array([1200.0, 1200.0, 1200.0])


def places() -> NDArray[np.float64]:
    axes = [np.arange(length) * size for length, size in zip(SHAPE, VOXEL, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def ball(points: Floats, centre: Floats = CENTRE, radius: float = 900.0) -> Floats:
    distance: Floats = np.linalg.norm(points - centre, axis=-1) - radius
    return distance


def torus(points: Floats) -> Floats:
    z, y, x = np.moveaxis(points - CENTRE, -1, 0)
    distance: Floats = np.hypot(np.hypot(y, x) - 650, z) - 350
    return distance


def built(mask: Mask, geometry: Geometry = GEOMETRY) -> ObjectMesh:
    inside = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    box = Box.of([(int(part[0]), int(part[-1]) + 1) for part in inside])
    found = build_mesh(lambda box: mask[box].astype(np.uint16), 1, box, geometry, ERROR)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("solid", "euler", "volume"),
    [(ball, 2, 4 / 3 * np.pi * 0.9**3), (torus, 0, 2 * np.pi**2 * 0.65 * 0.35**2)],
)
def test_solids(solid: Callable[[Floats], Floats], euler: int, volume: float) -> None:
    found = built(solid(places()) < 0)
    mesh = found.mesh
    assert mesh.is_closed()
    assert mesh.euler_number() == euler
    assert found.measures["volume"] == pytest.approx(volume, rel=0.03)  # the voxels
    assert abs(found.measures["volume_difference"]) < 0.01
    centres = mesh.vertices[mesh.faces].mean(axis=1)
    assert np.abs(solid(np.concatenate([mesh.vertices, centres]))).max() < ERROR
    assert found.measures["distance"] <= ERROR
    assert len(mesh.faces) < 3000  # the contour has 40,000


def test_a_cut_ball_has_a_flat_cap_on_the_side() -> None:
    centre = np.array([0.0, 1200.0, 2380.0])  # on an edge of the volume
    found = built(ball(places(), centre) < 0)
    mesh = found.mesh
    assert found.measures["flat_sides"] == "first slice, highest x"
    assert mesh.is_closed()
    assert mesh.euler_number() == 2
    assert mesh.vertices[:, 0].min() == pytest.approx(-25, abs=0.1)
    assert mesh.vertices[:, 2].max() == pytest.approx(2390, abs=0.1)
    assert abs(found.measures["volume_difference"]) < 0.01
    flat = (np.abs(mesh.vertices[mesh.faces][:, :, 0] + 25) < 1).all(axis=1)
    area = Mesh(mesh.vertices, mesh.faces[flat]).area()
    assert area == pytest.approx(np.pi * 900**2 / 2, rel=0.05)


def test_half_blocks_at_the_end_of_the_volume() -> None:
    geometry = Geometry((48, 119, 119), VOXEL)
    found = built((ball(places(), np.array([1200.0, 1200.0, 2360.0])) < 0)[:, :119, :119], geometry)
    assert found.mesh.is_closed()
    assert found.mesh.vertices[:, 2].max() == pytest.approx(2370, abs=0.1)
    assert abs(found.measures["volume_difference"]) < 0.01


def test_nothing_half_a_block_wide() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[4, 6, 6] = True
    assert (
        build_mesh(lambda box: mask[box], 1, Box.of([(4, 5), (6, 7), (6, 7)]), GEOMETRY, 90) is None
    )


def test_distances_of_points_and_meshes() -> None:
    square = np.array([[0, 0, 0], [0, 0, 500], [0, 500, 0], [0, 500, 500]], float)
    flat = Mesh(square, np.array([[0, 1, 2], [1, 3, 2]], np.int32))
    points = np.array([[30, 250, 250], [0, -40, 250], [0, -30, -40], [0, 10, 10]], float)
    np.testing.assert_allclose(point_distances(points, flat, 20), [30, 40, 50, 0], atol=1e-9)
    lifted = Mesh(square + np.array([70.0, 0, 0]), flat.faces)
    assert mesh_distance(flat, lifted, 20) == pytest.approx(70)


def test_an_open_mesh_is_not_closed() -> None:
    mesh = built(ball(places()) < 0).mesh
    assert not Mesh(mesh.vertices, mesh.faces[1:]).is_closed()
    turned = mesh.faces.copy()
    turned[0] = turned[0, ::-1]
    assert not Mesh(mesh.vertices, turned).is_closed()
