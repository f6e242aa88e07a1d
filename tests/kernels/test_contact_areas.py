"""Areas of contact and least distances of drawn labels."""

from __future__ import annotations

import numpy as np
import pytest

from hela_dask.kernels.contact_areas import (
    AREA_UNIT,
    contact_areas,
    contact_halo,
)
from hela_dask.kernels.label_distances import least_distances
from tests.shapes import ball

VOXEL = (50.0, 40.0, 40.0)
FAR = 10**6


def area(labels: np.ndarray) -> float:
    return contact_areas(labels, VOXEL, -FAR, FAR)[1, 2] * AREA_UNIT


def halves(normal: tuple[float, float, float], radius: float = 1500.0) -> np.ndarray:
    """A ball of two labels that touch in a plane through its middle."""
    places = [np.arange(-radius - 2 * size, radius + 2 * size, size) for size in VOXEL]
    z, y, x = np.meshgrid(*places, indexing="ij")
    side = (normal[0] * z + normal[1] * y + normal[2] * x) > 7
    return np.where(z**2 + y**2 + x**2 < radius**2, 1 + side, 0)


@pytest.mark.parametrize("normal", [(1, 0, 0), (0, 1, 0), (1, 1, 1), (0.3, 1, 0.2), (1, 0.1, 0.05)])
def test_area_of_a_plane_of_any_orientation(normal: tuple[float, float, float]) -> None:
    assert area(halves(normal)) == pytest.approx(np.pi * 1500.0**2, rel=0.02)


def test_area_of_a_ball_in_another_label() -> None:
    shape = ball(1000.0)
    drawn = shape.draw(VOXEL, 1) > 0.5
    assert area(np.where(drawn, 1, 2)) == pytest.approx(shape.area, rel=0.015)
    assert contact_areas(np.where(drawn, 1, 0), VOXEL, -FAR, FAR) == {}


def test_flips_and_transposes_have_the_same_area() -> None:
    labels = halves((0.5, 1, 0.3), 600.0)
    expected = area(labels)
    for same in (labels[::-1], labels[:, ::-1], labels[..., ::-1], np.pad(labels, 2)):
        assert area(same) == pytest.approx(expected, rel=1e-9)
    assert area(labels.transpose(0, 2, 1)) == pytest.approx(expected, rel=1e-9)
    assert area(np.array([0, 2, 1])[labels]) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("depth", [1, 5, 16])
def test_slabs_add_up_to_the_same_bits(depth: int) -> None:
    labels, halo = halves((1, 0.4, 0.3), 800.0), contact_halo(VOXEL)
    count, total = len(labels), 0
    for first in range(0, count, depth):
        last = min(count, first + depth)
        low, high = max(0, first - halo), min(count, last + halo)
        begin, end = first - low if first else -FAR, last - low if last < count else FAR
        total += contact_areas(labels[low:high], VOXEL, begin, end).get((1, 2), 0)
    assert total == contact_areas(labels, VOXEL, -FAR, FAR)[1, 2]


def test_least_distances() -> None:
    labels = np.zeros((10, 20, 60), np.uint16)
    labels[2:5, 5:10, 5:10] = 7
    labels[2:5, 5:10, 15:20] = 3  # 5 pixels of 40 nm apart in x
    labels[8:, 13:16, 20:25] = 9  # from 3: 3 slices, 3 rows
    labels[2:5, 5:10, 10] = 4  # beside 7
    found = least_distances(labels, VOXEL, 430.0)
    assert found[3, 7] == pytest.approx(200.0)
    assert found[4, 7] == 0
    assert found[3, 9] == pytest.approx(np.hypot(150.0, 120.0))
    assert (7, 9) not in found  # 10 pixels, 3 slices and 3 rows
    assert least_distances(labels, VOXEL, 180.0) == {(4, 7): 0, (3, 4): pytest.approx(160.0)}
