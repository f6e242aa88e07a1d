"""Outputs of a network in every n-th slice: those of the whole volume, for any chunks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from hela_dask.kernels.grey_levels import GreyLevels
from hela_dask.operators.classify import classify, sampled_outputs, sampling

pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
LEVELS = GreyLevels(False, 175.0, 225.0, 50.0, 250.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.unet.networks import by_grey

    return by_grey(tmp_path_factory.mktemp("model") / "grey", slices=3).folder


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
def test_every_nth_slice_is_that_of_all(
    model: Path, thickness: float, every: int, depth: int
) -> None:
    assert sampling((thickness, 40.0, 40.0), 100.0) == every
    whole = classify(volume(depth, thickness, (5, 7, 24)), model, grey_levels=LEVELS)
    wanted = np.stack([whole[name].values[::every] for name in ("nucleus", "boundary")], axis=-1)
    for chunks in ((5, 7, 24), (1, 20, 24), (64, 20, 11)):
        given = volume(depth, thickness, chunks)
        found = sampled_outputs(given, model, LEVELS, ("nucleus", "boundary"), 100.0)
        assert found.shape == wanted.shape
        np.testing.assert_array_equal(found.compute(), wanted)
