"""Places in nm and voxels of one grid belong to each other, at any level and in any part."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from hela_dask.box import Box
from hela_dask.errors import InputError
from hela_dask.geometry import Geometry

lengths = st.tuples(st.integers(1, 12), st.integers(1, 60), st.integers(1, 60))
sizes = st.tuples(*[st.floats(0.5, 200)] * 3)
starts = st.tuples(*[st.floats(-1e5, 1e5)] * 3)
geometries = st.builds(Geometry, lengths, sizes, starts)
factors_of = st.tuples(st.integers(1, 8), st.integers(1, 8))


def volume(geometry: Geometry) -> xr.DataArray:
    return xr.DataArray(
        np.zeros(geometry.shape),
        dims=("z", "y", "x"),
        coords=geometry.coordinates(),
        attrs={"voxel_size": geometry.voxel_size},
    )


def part_of(data: st.DataObject, shape: tuple[int, ...]) -> Box:
    pairs = [
        sorted(data.draw(st.lists(st.integers(0, n), min_size=2, max_size=2, unique=True)))
        for n in shape
    ]
    return Box.of(pairs)


@given(geometries)
def test_a_volume_has_the_geometry_of_its_coordinates(geometry: Geometry) -> None:
    assert Geometry.of(volume(geometry)) == geometry
    for axis, (low, high), at, size in zip(
        "zyx", geometry.bounds, geometry.extent, geometry.voxel_size, strict=True
    ):
        places = geometry.positions(axis)
        assert low == places[0] - size / 2 and high == places[-1] + size / 2
        assert high - low == pytest.approx(at, rel=1e-6, abs=1e-6)


@given(geometries, st.data())
def test_a_part_of_a_volume_has_the_geometry_of_that_part(
    geometry: Geometry, data: st.DataObject
) -> None:
    box = part_of(data, geometry.shape)
    part = geometry.part(box)
    seen = Geometry.of(volume(geometry)[box])
    assert seen.shape == part.shape == box.shape
    assert seen.voxel_size == part.voxel_size == geometry.voxel_size
    assert seen.origin == part.origin
    np.testing.assert_allclose(part.bounds, geometry.bounds_of(box), rtol=1e-9, atol=1e-6)


@given(geometries, st.data())
def test_the_voxels_of_bounds_have_these_bounds(geometry: Geometry, data: st.DataObject) -> None:
    box = part_of(data, geometry.shape)
    assert geometry.box(geometry.bounds_of(box)) == box
    z, y, x = (
        (low + size / 4, high - size / 4)
        for (low, high), size in zip(geometry.bounds_of(box), geometry.voxel_size, strict=True)
    )
    assert geometry.box((z, y, x)) == box  # a voxel that is cut counts
    everything = ((-1e9, 1e9),) * 3
    assert geometry.box(everything) == Box.whole(geometry.shape)


@given(geometries, st.data())
def test_a_point_lies_in_the_voxel_of_its_index(geometry: Geometry, data: st.DataObject) -> None:
    z, y, x = (data.draw(st.integers(0, n - 1)) for n in geometry.shape)
    centre = tuple(
        float(geometry.positions(axis)[at]) for axis, at in zip("zyx", (z, y, x), strict=True)
    )
    assert geometry.index((centre[0], centre[1], centre[2])) == (z, y, x)
    last = tuple(n - 1 for n in geometry.shape)
    assert geometry.index((1e9, 1e9, 1e9)) == last and geometry.index((-1e9, -1e9, -1e9)) == (
        0,
        0,
        0,
    )


@given(geometries, factors_of)
def test_a_coarser_grid_begins_at_the_same_edge_and_covers_the_volume(
    geometry: Geometry, factors: tuple[int, int]
) -> None:
    coarse = geometry.coarser(factors)
    assert geometry.factors(coarse) == factors
    for fine, other, size in zip(geometry.bounds, coarse.bounds, coarse.voxel_size, strict=True):
        assert other[0] == pytest.approx(fine[0], abs=1e-6)
        assert fine[1] - 1e-6 <= other[1] < fine[1] + size
    assert coarse.shape[0] == geometry.shape[0] and coarse.voxel_size[0] == geometry.voxel_size[0]
    assert geometry.coarser((1, 1)) == geometry


@given(geometries, st.floats(1, 500))
def test_the_working_grid_is_halved_as_often_as_pixels_fit(
    geometry: Geometry, resolution: float
) -> None:
    working = geometry.working(resolution)
    largest = max(geometry.pixel)
    assert working == geometry or max(working.pixel) <= resolution * (1 + 2e-6)
    assert 2 * max(working.pixel) > resolution or largest > resolution


def test_the_size_along_an_axis_of_one_voxel_may_be_missing() -> None:
    plane = xr.DataArray(np.zeros((1, 2, 3)), dims=("z", "y", "x"))
    plane_nm = plane.assign_coords(y=[0.0, 10.0], x=[5.0, 25.0, 45.0])
    found = Geometry.of(plane_nm)
    assert found == Geometry((1, 2, 3), (20.0, 10.0, 20.0), (0.0, 0.0, 5.0))
    assert Geometry.of(plane_nm.assign_coords(z=[400.0])).origin == (400.0, 0.0, 5.0)
    with pytest.raises(InputError, match="voxel size along y"):
        Geometry.of(plane_nm.drop_vars("y"))
    with pytest.raises(InputError, match="voxel size along z"):
        Geometry.of(plane[:, :1, :1])
