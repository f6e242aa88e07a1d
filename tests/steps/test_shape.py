"""Measures of drawn cells: names, units, resolutions, cut cells, and missing nuclei."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hela_dask.columns import OBJECT_MEASURES, SHAPE_COLUMNS
from hela_dask.errors import InputError
from hela_dask.kernels.surface import crop_fraction
from hela_dask.parameters import MeasureParameters
from hela_dask.steps.shape import (
    WHOLE,
    _fractions,
    measure_object,
    measure_shape,
    measured_voxels,
)
from hela_dask.types import Voxel
from tests.shapes import ball, ellipsoid, torus

VOXEL = (50.0, 40.0, 40.0)


def drawn(voxel: Voxel = VOXEL, offset: float = 200.0) -> tuple[np.ndarray, np.ndarray]:
    """A ball of radius 1000 nm with label 3, and a nucleus of 500 nm displaced along x."""
    half = [round(1200 / size) for size in voxel]
    places = [(np.arange(2 * n) + 0.5 - n) * size for n, size in zip(half, voxel, strict=True)]
    z, y, x = np.meshgrid(*places, indexing="ij", sparse=True)
    cells = (z**2 + y**2 + x**2 < 1000**2) * np.uint16(3)
    nuclei = (z**2 + y**2 + (x - offset) ** 2 < 500**2) * np.uint16(3)
    return cells, nuclei


def test_every_measure_has_a_column() -> None:
    found = measure_shape(*drawn(), 3, VOXEL)
    assert list(found) == list(SHAPE_COLUMNS)
    assert not any(math.isnan(value) for value in found.values())


@pytest.mark.parametrize("voxel", [VOXEL, (50.0, 10.0, 10.0), (20.0, 20.0, 20.0)])
def test_a_ball_with_a_displaced_nucleus(voxel: Voxel) -> None:
    found = measure_shape(*drawn(voxel), 3, voxel)
    assert found["cell_area"] == pytest.approx(4 * np.pi, rel=0.01)
    assert found["nucleus_area"] == pytest.approx(4 * np.pi * 0.5**2, rel=0.015)
    for name in ("sphericity", "solidity", "ruffling"):
        assert found[f"cell_{name}"] == pytest.approx(1, abs=0.01)
    assert [found[f"cell_axis_{n}"] for n in (1, 2, 3)] == pytest.approx([2000] * 3, rel=0.01)
    assert found["nucleus_max_diameter"] == pytest.approx(1000, rel=0.02)
    assert found["cell_protrusions"] == pytest.approx(0, abs=0.001)
    assert found["nucleus_handles"] == 0
    assert found["nucleus_invagination"] == 0
    offsets = [found[f"nucleus_offset_{axis}"] for axis in "zyx"]
    assert offsets == pytest.approx([0, 0, 200], abs=5)
    assert found["polarisation"] == pytest.approx(0.2, abs=0.005)
    assert found["cytoplasm_thickness_least"] == pytest.approx(300, abs=25)
    # Over the nucleus' surface the distance to the centre has the median (200² + 500²) ** 0.5.
    expected = 1000 - math.hypot(200, 500)
    assert found["cytoplasm_thickness_median"] == pytest.approx(expected, abs=25)


def test_directions_are_unit_vectors() -> None:
    long = ellipsoid(1500.0, 1000.0, 700.0).draw(VOXEL, 1) > 0.5
    found = measure_shape(long.astype(np.uint8), None, 1, VOXEL)
    axes = np.array(
        [[found[f"cell_axis_{n}_direction_{axis}"] for axis in "zyx"] for n in (1, 2, 3)]
    )
    assert axes @ axes.T == pytest.approx(np.eye(3), abs=1e-9)
    assert math.isnan(found["nucleus_area"]) and math.isnan(found["polarisation"])


def test_other_labels_and_whole_voxels_do_not_matter() -> None:
    cells, nuclei = drawn()
    expected = measure_shape(cells, nuclei, 3, VOXEL)
    wide = [(2, 1), (0, 4), (3, 3)]
    cells, nuclei = (np.pad(part, wide, constant_values=9) for part in (cells, nuclei))
    assert measure_shape(cells, nuclei, 3, VOXEL) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_a_cut_cell_has_only_its_area() -> None:
    cells, nuclei = drawn()
    cells, nuclei = cells[len(cells) // 2 :], nuclei[len(nuclei) // 2 :]
    side = ((True, False), (False, False), (False, False))
    found = measure_shape(cells, nuclei, 3, VOXEL, cut=side)
    assert {name for name, value in found.items() if not math.isnan(value)} == {
        "cell_area",
        "nucleus_area",
    }
    assert found["cell_area"] == pytest.approx(2 * np.pi, rel=0.01)
    closed = measure_shape(cells, nuclei, 3, VOXEL)
    assert closed["cell_area"] > 1.4 * found["cell_area"]
    assert closed["cell_solidity"] == pytest.approx(1, abs=0.02)
    inside = measure_shape(*drawn(), 3, VOXEL, cut=((True, True),) * 3)  # reaches no side
    assert inside == measure_shape(*drawn(), 3, VOXEL)


def test_a_whole_nucleus_of_a_cut_cell_is_measured() -> None:
    cells, nuclei = drawn(offset=400.0)
    first = cells.shape[2] // 2 - 5
    cut = ((False, False), (False, False), (True, False))
    found = measure_shape(cells[..., first:], nuclei[..., first:], 3, VOXEL, cut=cut)
    assert found["nucleus_sphericity"] == pytest.approx(1, abs=0.01)
    assert math.isnan(found["cell_sphericity"]) and math.isnan(found["polarisation"])


class Slices:
    """An array that is read in slabs, such as one of zarr, and the shape of each read."""

    def __init__(self, labels: np.ndarray) -> None:
        self.shape = labels.shape
        self.read: list[tuple[int, ...]] = []
        self._labels = labels

    def __getitem__(self, part: tuple[slice, ...]) -> np.ndarray:
        found = self._labels[part]
        self.read.append(found.shape)
        return found


class Tiles(Slices):
    """An array that states how many voxels are read at a time."""

    tile = (5, 10, 7)


def test_labels_are_read_once_in_slabs_of_slices() -> None:
    cells, nuclei = drawn()
    lazy = Slices(cells)
    assert measure_shape(lazy, nuclei, 3, VOXEL) == measure_shape(cells, nuclei, 3, VOXEL)
    assert {shape[1:] for shape in lazy.read} == {cells.shape[1:]}
    assert max(shape[0] for shape in lazy.read) <= 16
    assert len(lazy.read) == math.ceil(len(cells) / 16)


@pytest.mark.parametrize("voxel", [VOXEL, (15.0, 20.0, 10.0)])
def test_labels_of_tiles_are_read_in_tiles(voxel: Voxel) -> None:
    cells, _ = drawn(voxel)
    cells[cells > 0] = 3
    lazy = Tiles(cells)
    assert measure_object(lazy, 3, voxel) == measure_object(cells, 3, voxel)
    assert max(lazy.read) <= (5, 12, 8)  # whole voxels of 40 nm


def test_an_object_of_any_kind_has_the_measures_of_a_cell() -> None:
    cells, _ = drawn()
    found, expected = measure_object(cells, 3, VOXEL), measure_shape(cells, None, 3, VOXEL)
    assert list(found) == list(OBJECT_MEASURES)
    for name in found.keys() - {"pieces", "handles", "invagination", "resolved"}:
        assert found[name] == expected[f"cell_{name}"]
    assert (found["handles"], found["invagination"], found["resolved"]) == (0, 0, 1)
    assert found["pieces"] == 1
    ring = torus(1000.0, 300.0).draw(VOXEL, 1) > 0.5
    assert measure_object(ring, 1, VOXEL)["handles"] == 1


def test_pieces_are_counted_without_crumbs() -> None:
    ball = ellipsoid(1000.0, 1000.0, 1000.0).draw(VOXEL, 1) > 0.5
    for radius, pieces in ((350.0, 1), (500.0, 2), (1000.0, 2)):  # 4 %, 12 % and all of the volume
        other = ellipsoid(radius, radius, radius).draw(VOXEL, 1) > 0.5
        room = [(0, big - small) for big, small in zip(ball.shape, other.shape, strict=True)]
        room[0] = (0, 0)
        labels = np.concatenate([ball, np.pad(other, room)])
        assert measure_object(labels, 1, VOXEL)["pieces"] == pieces
        assert measure_object(np.flip(labels), 1, VOXEL)["pieces"] == pieces


def test_a_bent_object_has_less_area_than_its_hull() -> None:
    ring = torus(1500.0, 400.0).draw((40.0, 40.0, 40.0), 1) > 0.5
    middle = ring.shape[2] // 2
    bent = ring & (np.arange(ring.shape[2]) < middle)
    for item, low, high in ((bent, 0.7, 0.8), (drawn()[0] == 3, 0.99, 1.01)):
        assert low < measure_object(item, 1, (40.0, 40.0, 40.0))["ruffling"] < high


@pytest.mark.parametrize(("least", "resolved"), [(80.0, 0), (120.0, 1)])
def test_thin_objects_are_not_resolved(least: float, resolved: int) -> None:
    shape, voxel = ellipsoid(300.0, 200.0, least), (25.0, 20.0, 20.0)
    found = measure_object(shape.draw(voxel, 1) > 0.5, 1, voxel)
    assert found["resolved"] == resolved
    assert (abs(found["area"] * 1e6 / shape.area - 1) < 0.06) == resolved


def test_the_voxels_of_a_fraction_image_are_known_before() -> None:
    cells, _ = drawn((50.0, 10.0, 10.0))
    sides = [math.ceil(2000 / size) for size in (50.0, 10.0, 10.0)]
    count = measured_voxels(sides, (50.0, 10.0, 10.0))
    box = tuple(slice(at.min(), at.max() + 1) for at in np.nonzero(cells))
    fraction, voxel = _fractions(cells[box], 3, (50.0, 10.0, 10.0), WHOLE, 40.0)
    padded, _ = crop_fraction(fraction, voxel, 50.0, WHOLE)
    assert padded.size <= count <= 3 * padded.size


def test_absent_labels_and_small_ones() -> None:
    cells, nuclei = drawn()
    assert all(math.isnan(value) for value in measure_shape(cells, nuclei, 7, VOXEL).values())
    dot = np.zeros((3, 3, 3), np.uint8)
    dot[1, 1, 1] = 1
    found = measure_shape(dot, dot, 1, VOXEL)
    assert 0 < found["cell_area"] < 0.1
    with pytest.raises(InputError, match="one box of both"):
        measure_shape(cells, nuclei[1:], 3, VOXEL)


def test_parameters_are_used() -> None:
    cells = (ball(800.0).draw(VOXEL, 0) > 0.5).astype(np.uint8)
    small, large = (
        measure_shape(cells, None, 1, VOXEL, parameters=MeasureParameters(protrusion=radius))
        for radius in (300.0, 1200.0)
    )
    assert small["cell_protrusions"] < 0.01
    assert large["cell_protrusions"] == 1
