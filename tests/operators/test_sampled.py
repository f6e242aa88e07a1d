"""Outputs of a network in every n-th slice: those of the whole volume, for any chunks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from hela_dask.geometry import Geometry
from hela_dask.kernels.grey_levels import GreyLevels
from hela_dask.operators.classify import classify, sampled_outputs, sampling

LEVELS = GreyLevels(False, 175.0, 225.0, 50.0, 250.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.unet.networks import by_grey

    return by_grey(tmp_path_factory.mktemp("model") / "grey", slices=3, channel=0).folder


def volume(depth: int, thickness: float, chunks: tuple[int, int, int]) -> xr.DataArray:
    grey = np.random.default_rng(0).integers(0, 256, (depth, 20, 24)).astype(np.uint8)
    coords = {
        axis: np.arange(length) * step + step / 2
        for axis, length, step in zip("zyx", grey.shape, (thickness, 40.0, 40.0), strict=True)
    }
    return xr.DataArray(grey, dims=("z", "y", "x"), coords=coords).chunk(
        dict(zip("zyx", chunks, strict=True))
    )


@pytest.mark.parametrize(("thickness", "every"), [(50.0, 2), (30.0, 3), (100.0, 1), (120.0, 1)])
@pytest.mark.parametrize("depth", [1, 16, 35])
def test_every_nth_slice_is_that_of_all_every_other_one_seen_turned(
    model: Path, thickness: float, every: int, depth: int
) -> None:
    given = volume(depth, thickness, (5, 7, 24))
    whole = classify(given, model, grey_levels=LEVELS)
    names = ("nucleus", "boundary")
    plain = np.stack([whole[name].values for name in names], axis=-1)
    seen = given.transpose("z", "x", "y").data[::-1]
    coords = {"z": given["z"], "y": given["x"].values, "x": given["y"].values}
    other = classify(
        xr.DataArray(seen, dims=("z", "y", "x"), coords=coords), model, grey_levels=LEVELS
    )
    back = np.stack([other[name].values[::-1].swapaxes(1, 2) for name in names], axis=-1)
    assert depth == 1 or (plain != back).any()
    wanted = plain.copy()
    wanted[every :: 2 * every] = back[every :: 2 * every]
    for chunks in ((5, 7, 24), (1, 20, 24), (64, 20, 11)):
        given = volume(depth, thickness, chunks)
        assert sampling(Geometry.of(given), 100.0).slices == range(0, depth, every)
        found = sampled_outputs(given, model, LEVELS, names, 100.0)
        np.testing.assert_array_equal(found.compute(), wanted[::every])


@pytest.mark.parametrize("start", range(4))
@pytest.mark.parametrize("origin", [0.0, 15.0, 1000.0])
def test_the_slices_are_the_same_in_any_part_of_a_volume(
    model: Path, start: int, origin: float
) -> None:
    whole = volume(35, 30.0, (5, 7, 24))
    whole = whole.assign_coords(z=whole["z"] - float(whole["z"][0]) + origin)
    part = whole[start:30].chunk({"z": 5})
    for view in range(2):
        places = [
            each["z"].values[list(sampling(Geometry.of(each), 100.0).views[view])]
            for each in (whole[:30], part)
        ]
        np.testing.assert_allclose(places[1], places[0][places[0] >= part["z"].values[0]])
    found = sampled_outputs(part, model, LEVELS, ("nucleus",), 100.0)
    wanted = sampled_outputs(part.compute().chunk(), model, LEVELS, ("nucleus",), 100.0)
    assert len(found) == len(sampling(Geometry.of(part), 100.0).slices)
    np.testing.assert_array_equal(found.compute(), wanted.compute())


def test_a_volume_without_a_slice_at_a_multiple_has_one_all_the_same(model: Path) -> None:
    whole = volume(4, 30.0, (5, 7, 24))
    for z in range(4):
        found = sampled_outputs(whole[z : z + 1], model, LEVELS, ("nucleus",), 100.0)
        assert found.compute().shape == (1, 20, 24, 1)
