"""Meshes of drawn solids: closed, oriented, of the right topology, close to the true surface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.geometry import Geometry
from hela_dask.kernels.label_distance import farthest_from_labels, side_centres
from hela_dask.kernels.mesh import Mesh, contour
from hela_dask.kernels.mesh_distance import TriangleIndex, surface_points
from hela_dask.kernels.mesh_simplify import simplify_mesh
from hela_dask.kernels.voxel_bits import Bits, count_blocks, empty_bits, mark_voxels
from hela_dask.meshing import building
from hela_dask.meshing.building import ObjectMesh, build_mesh
from hela_dask.meshing.checking import LabelSurface
from hela_dask.meshing.voxels import ObjectVoxels
from hela_dask.types import Floats, Mask

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


def voxels_of(mask: Mask, box: Box) -> ObjectVoxels:
    return ObjectVoxels(lambda box: mask[box].astype(np.uint16), 1, box, (5, 50, 30))


def bits_of(mask: Mask) -> Bits:
    bits = empty_bits((mask.shape[0], mask.shape[1], mask.shape[2]))
    mark_voxels(bits, mask.astype(np.uint16), 1, (0, 0, 0))
    return bits


def built(mask: Mask, geometry: Geometry = GEOMETRY) -> ObjectMesh:
    inside = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    box = Box.of([(int(part[0]), int(part[-1]) + 1) for part in inside])
    found = build_mesh(voxels_of(mask, box), geometry, ERROR)
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
    assert found.measures["mesh_volume"] == pytest.approx(volume, rel=0.03)  # the voxels
    assert abs(found.measures["volume_difference"]) < 0.01
    centres = mesh.vertices[mesh.faces].mean(axis=1)
    assert np.abs(solid(np.concatenate([mesh.vertices, centres]))).max() < ERROR
    assert found.measures["mesh_distance"] <= ERROR
    assert found.measures["labels_distance"] <= ERROR
    assert found.measures["labels_beyond"] == 0
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
    voxels = voxels_of(mask, Box.of([(4, 5), (6, 7), (6, 7)]))
    assert build_mesh(voxels, GEOMETRY, 90) is None


SQUARE = Mesh(
    np.array([[0, 0, 0], [0, 0, 500], [0, 500, 0], [0, 500, 500]], float),
    np.array([[0, 1, 2], [1, 3, 2]], np.int32),
)


@pytest.mark.parametrize("side", [20.0, 80.0, 1000.0])
def test_distances_from_triangles(side: float) -> None:
    index = TriangleIndex.of(SQUARE, side)
    for point, distance in [
        ([30, 250, 250], 30),
        ([0, -40, 250], 40),
        ([0, -30, -40], 50),
        ([0, 10, 10], 0),
        ([900, 250, 250], 900),
    ]:
        largest, beyond = index.farthest(np.array([point], float), 35)
        assert largest == pytest.approx(distance)
        assert beyond[0] == (distance > 35)
    many = np.random.default_rng(0).uniform(-200, 700, (500, 3))
    single = [index.farthest(many[at : at + 1], 40)[0] for at in range(len(many))]
    largest, beyond = index.farthest(many, 40)
    assert largest == max(single)
    np.testing.assert_array_equal(beyond, np.array(single) > 40)


def test_points_of_a_surface_are_close_to_each_other() -> None:
    points = surface_points(SQUARE, 100)
    grid = np.stack(np.meshgrid([0], np.arange(501.0), np.arange(501.0)), axis=-1).reshape(-1, 3)
    away = np.linalg.norm(grid[::2997, None] - points[None], axis=-1).min(axis=1)
    assert away.max() <= 100


def test_distances_from_labels() -> None:
    mask = np.zeros((4, 10, 10), bool)
    mask[1:3, 2:8, 2:8] = True  # 50 to 150, 40 to 160, 40 to 160 nm
    centres = side_centres(bits_of(mask), -1, 4, (50, 20, 20))
    assert len(centres) == 2 * 36 + 4 * 12
    assert centres.min(axis=0).tolist() == [50, 40, 40]
    assert centres.max(axis=0).tolist() == [150, 160, 160]
    parts = [side_centres(bits_of(mask), first, first + 1, (50, 20, 20)) for first in range(-1, 4)]
    assert sorted(map(tuple, np.concatenate(parts))) == sorted(map(tuple, centres))
    for point, distance in [
        ((100.0, 100.0, 100.0), 50),
        ((100.0, 100.0, 50.0), 10),
        ((170.0, 100.0, 100.0), 20),
        ((100.0, 10.0, 0.0), 50),
        ((150.0, 160.0, 160.0), 0),
        ((600.0, 100.0, 100.0), np.inf),
    ]:
        points = np.array([point])
        largest, beyond = farthest_from_labels(points, bits_of(mask), (50, 20, 20), 40, 0, 80)
        assert largest == pytest.approx(distance)
        assert beyond[0] == (distance > 40)


def test_simplification_keeps_the_topology_and_locked_places() -> None:
    mesh = built(torus(places()) < 0).mesh
    sides = np.zeros(len(mesh.vertices), np.uint8)
    small = simplify_mesh(mesh, 1000, sides)
    assert small.is_closed()
    assert small.euler_number() == 0
    assert len(small.faces) < 200
    same = simplify_mesh(mesh, 0, sides)
    np.testing.assert_array_equal(same.faces, mesh.faces)
    upper = np.where(mesh.vertices[:, 2] > 1200, 0, 1000).astype(np.float32)
    half = simplify_mesh(mesh, upper, sides)
    assert (half.vertices[:, 2] > 1200).sum() == (upper == 0).sum()
    assert len(simplify_mesh(mesh, 1000, sides, least=300).faces) in range(290, 301)


def test_a_wrong_mesh_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = ball(places()) < 0

    def opened(*args: Any) -> Mesh:
        whole = contour(*args)
        return Mesh(whole.vertices, whole.faces[1:])

    monkeypatch.setattr("hela_dask.meshing.building.contour", opened)
    with pytest.raises(building.MeshError, match="not closed"):
        built(mask)


def test_a_volume_that_cannot_be_met_is_an_error() -> None:
    mask = ball(places(), radius=300) < 0
    mask[10:40, ::4, ::4] = True  # single voxels, a quarter of their blocks
    with pytest.raises(building.MeshError, match=r"differs by -.*: give an --error of less"):
        built(mask)


def test_an_open_mesh_is_not_closed() -> None:
    mesh = built(ball(places()) < 0).mesh
    assert not Mesh(mesh.vertices, mesh.faces[1:]).is_closed()
    turned = mesh.faces.copy()
    turned[0] = turned[0, ::-1]
    assert not Mesh(mesh.vertices, turned).is_closed()


def test_distances_are_the_same_slab_by_slab(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = torus(places()) < 0
    box = Box.of([(9, 40), (8, 112), (8, 112)])
    mesh = simplify_mesh(built(mask).mesh, 30, np.zeros(1, np.uint8).repeat(10_000), least=200)
    found = []
    for most in (2**30, 1):
        monkeypatch.setattr("hela_dask.meshing.checking._SLAB_VOXELS", most)
        monkeypatch.setattr("hela_dask.meshing.voxels._KEPT", most)
        surface = LabelSurface(voxels_of(mask, box), GEOMETRY, ERROR)
        found.append(surface.measure(mesh))
    whole, slabs = found
    assert whole.largest > ERROR
    assert (whole.to_labels, whole.from_labels) == (slabs.to_labels, slabs.from_labels)
    assert whole.beyond_share == slabs.beyond_share
    assert len(whole.places) == len(slabs.places)
    assert len(whole.sides) == len(slabs.sides) > 0


@pytest.mark.parametrize("sides", [(1, 1, 1), (2, 3, 5), (1, 4, 4)])
def test_blocks_are_counted_from_bits(sides: tuple[int, int, int]) -> None:
    mask = np.random.default_rng(1).random((5, 9, 21)) < 0.4
    corner = (1, 2, 3)
    shape = tuple(-(-(n + at) // by) for n, at, by in zip(mask.shape, corner, sides, strict=True))
    padded = np.zeros([n * by for n, by in zip(shape, sides, strict=True)], int)
    padded[Box.at(corner, mask.shape)] = mask
    blocks = padded.reshape([n for pair in zip(shape, sides, strict=True) for n in pair])
    found = count_blocks(bits_of(mask), sides, corner, (shape[0], shape[1], shape[2]))
    np.testing.assert_array_equal(found, blocks.sum(axis=(1, 3, 5)))
