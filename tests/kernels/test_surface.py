"""The sub-voxel surface: areas of known shapes, sides that cut an object, and cavities."""

from __future__ import annotations

import numpy as np
import pytest

from hela_dask.kernels.pieces import fill_cavities
from hela_dask.kernels.surface import crop_fraction, find_surface
from hela_dask.types import Grey, Sides, Voxel
from tests.shapes import Shape, ball, ellipsoid, torus

VOXEL = (50.0, 40.0, 40.0)
WHOLE: Sides = ((False, False), (False, False), (False, False))


def area(fraction: Grey, voxel: Voxel = VOXEL, cut: Sides = WHOLE) -> float:
    sigma = max(voxel)
    return find_surface(crop_fraction(fraction, voxel, sigma, cut)[0], voxel, sigma).area()


@pytest.mark.parametrize("voxel", [(25.0, 40.0, 40.0), VOXEL, (100.0, 40.0, 40.0)])
@pytest.mark.parametrize(
    "shape", [ball(1000.0), ellipsoid(1000.0, 700.0, 500.0), torus(1000.0, 400.0)]
)
@pytest.mark.parametrize("seed", [0, 1])
def test_area_of_known_shapes_is_within_one_percent(shape: Shape, voxel: Voxel, seed: int) -> None:
    assert area(shape.draw(voxel, seed), voxel) == pytest.approx(shape.area, rel=0.01)


def test_pixels_a_fifth_of_the_slices_leave_no_terraces() -> None:
    shape = ball(1000.0)
    assert area(shape.draw((50.0, 10.0, 10.0)), (50.0, 10.0, 10.0)) == pytest.approx(
        shape.area, rel=0.002
    )


def test_area_does_not_depend_on_flips_transposes_and_whole_voxels() -> None:
    drawn = torus(700.0, 300.0).draw(VOXEL, 3, (1, 2, 2))
    expected = area(drawn)
    for same in (drawn[::-1], drawn[:, ::-1], drawn[:, :, ::-1], drawn.transpose(0, 2, 1)):
        assert area(same) == pytest.approx(expected, rel=1e-6)
    assert area(np.pad(drawn, [(3, 0), (0, 5), (2, 2)])) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("end", [0, 1])
def test_a_side_that_cuts_an_object_has_no_surface(axis: int, end: int) -> None:
    voxel = (40.0, 40.0, 40.0)
    half = round(1200 / 40)
    z, y, x = (np.arange(-half, half) + 0.5 for _ in range(3))
    drawn = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 < 25**2
    part = np.take(drawn, range(half, 2 * half) if end == 0 else range(half), axis)
    cut = [[False, False] for _ in range(3)]
    cut[axis][end] = True
    sides: Sides = tuple((low, high) for low, high in cut)  # type: ignore[assignment]
    hemisphere = 2 * np.pi * 1000.0**2
    assert area(part.astype(np.float32), voxel, sides) == pytest.approx(hemisphere, rel=0.01)
    assert area(part.astype(np.float32), voxel) > 1.4 * hemisphere  # a closed half ball


def test_the_surface_encloses_the_volume() -> None:
    shape = torus(700.0, 300.0)
    fraction, first = crop_fraction(shape.draw(VOXEL, 1), VOXEL, 50.0, WHOLE)
    surface = find_surface(fraction, VOXEL, 50.0)
    corners = surface.vertices[surface.faces]
    # Of the pyramids from the triangles to the origin; all triangles have the same sense.
    assert np.abs(np.linalg.det(corners).sum() / 6) == pytest.approx(
        fraction.sum() * np.prod(VOXEL), rel=0.01
    )
    assert surface.vertex_areas().sum() == pytest.approx(surface.area())
    assert min(first) < 0


def test_nothing_and_everything_have_no_surface() -> None:
    assert area(np.zeros((3, 4, 5), np.float32)) == 0
    assert area(np.ones((3, 4, 5), np.float32), cut=((True, True),) * 3) == 0
    assert area(np.ones((1, 1, 1), np.float32)) > 0  # one voxel


def test_cavities_are_filled_and_pits_are_not() -> None:
    fraction = np.zeros((9, 9, 9), np.float32)
    fraction[1:8, 1:8, 1:8] = 1
    fraction[3:5, 3:5, 3:5] = 0.2  # a cavity
    fraction[:6, 6, 6] = 0  # a pit
    filled = fill_cavities(fraction)
    assert (filled[3:5, 3:5, 3:5] == 1).all()
    assert (filled[:6, 6, 6] == 0).all()
    assert filled.sum() == pytest.approx(fraction.sum() + 8 * 0.8)
    assert fill_cavities(filled) is filled
