"""Lifted operators and detection: the bits of the kernel on the whole array, however it is cut."""

from __future__ import annotations

from typing import Any

import dask
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import hela_dask as operators
from hela_dask.kernels.background import background_block, background_halo
from hela_dask.kernels.distance import distance_slice
from hela_dask.kernels.filters import gaussian
from hela_dask.kernels.grey_levels import GreyLevels, apply_polarity, slice_votes, volume_levels
from hela_dask.kernels.grid import factors_for
from hela_dask.parameters import BackgroundParameters, DetectParameters
from hela_dask.steps.detect import analysed_slices, detect_cells
from hela_dask.volume.greys import grey_levels
from tests.exactness.strategies import DTYPES, chunkings, cut, tissue, values, voxels
from tests.planes import detect_slice

SHAPES = [(4, 23, 31), (3, 5, 6), (1, 23, 31), (3, 4, 31), (2, 23, 1), (1, 1, 1), (7, 40, 9)]
Voxel = tuple[float, float, float]

backgrounds = st.builds(
    BackgroundParameters,
    polarity=st.sampled_from([0, 1, -1]),
    blur=st.sampled_from([0.0, 30.0, 100.0]),
    contrast=st.sampled_from([0.2, 0.33, 0.6]),
    levels=st.sampled_from([0.0, 250.0, 900.0]),
    rim=st.sampled_from([150.0, 325.0]),
    contact=st.sampled_from([0.1, 0.3]),
    neck=st.sampled_from([60.0, 120.0]),
    smallest_fragment=st.sampled_from([0.0, 0.25]),
    smallest_gap=st.sampled_from([0.0, 0.12, 1.0]),
    smoothing=st.sampled_from([0.0, 150.0, 500.0]),
)


def computed(volume: Any) -> NDArray[Any]:
    found: NDArray[Any] = volume.compute(scheduler="synchronous").to_numpy()
    return found


@given(
    shape=st.sampled_from(SHAPES),
    kind=st.sampled_from([*DTYPES, "bool"]),
    voxel=voxels,
    sigma=st.sampled_from([0.0, 20.0, 90.0, 300.0]) | st.floats(0.0, 400.0),
    data=st.data(),
)
@settings(max_examples=120, deadline=None)
def test_gaussian(
    shape: tuple[int, int, int], kind: str, voxel: Voxel, sigma: float, data: st.DataObject
) -> None:
    grey = data.draw(values(shape, kind))
    volume = cut(grey, data.draw(chunkings(shape)), voxel)
    blurred = operators.gaussian(volume, sigma)
    assert blurred.chunks == volume.chunks
    expected = gaussian(grey.astype(np.float32), (sigma / voxel[1], sigma / voxel[2]))
    np.testing.assert_array_equal(computed(blurred), expected)


@given(
    shape=st.sampled_from(SHAPES),
    voxel=voxels,
    border=st.booleans(),
    planes=st.sampled_from([0.5, 1, 2.5, 100]),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_distance(
    shape: tuple[int, int, int], voxel: Voxel, border: bool, planes: float, data: st.DataObject
) -> None:
    mask = data.draw(values(shape, "bool"))
    volume = cut(mask, data.draw(chunkings(shape)), voxel)
    expected = np.stack([distance_slice(plane, voxel[1:], border=border) for plane in mask])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hela_dask.operators.slabs.SLAB_BYTES", planes * shape[1] * shape[2] * 4)
        found = operators.distance(volume, border=border)
        np.testing.assert_array_equal(computed(found), expected)


@given(
    shape=st.sampled_from([(4, 23, 31), (1, 40, 9), (7, 12, 12)]),
    kind=st.sampled_from([*DTYPES, "bool"]),
    axes=st.sets(st.sampled_from("zyx")),
    turn=st.booleans(),
    data=st.data(),
)
@settings(max_examples=40, deadline=None)
def test_gaussian_and_distance_of_a_flipped_or_transposed_volume(
    *, shape: tuple[int, int, int], kind: str, axes: set[str], turn: bool, data: st.DataObject
) -> None:
    grey = data.draw(values(shape, kind))
    flips = tuple(slice(None, None, -1) if axis in axes else slice(None) for axis in "zyx")

    def other(array: NDArray[Any]) -> NDArray[Any]:
        return array[flips].swapaxes(1, 2) if turn else array[flips]

    voxel, turned = (50.0, 30.0, 40.0), (50.0, 40.0, 30.0) if turn else (50.0, 30.0, 40.0)
    one = cut(grey, data.draw(chunkings(shape)), voxel)
    mirrored = np.ascontiguousarray(other(grey))
    two = cut(mirrored, data.draw(chunkings(mirrored.shape)), turned)
    far = [operators.distance(volume > 0) for volume in (one, two)]
    np.testing.assert_array_equal(other(computed(far[0])), computed(far[1]))
    if not turn:  # rows are blurred before columns
        smooth = [operators.gaussian(volume, 70.0) for volume in (one, two)]
        np.testing.assert_array_equal(other(computed(smooth[0])), computed(smooth[1]))


def whole_levels(grey: NDArray[Any], voxel: Voxel, polarity: int) -> GreyLevels:
    """Of sixteen slices, each in the middle of a sixteenth of the volume."""
    count = min(16, len(grey))
    chosen = [int((k + 0.5) * len(grey) / count) for k in range(count)]
    return volume_levels([slice_votes(grey[z], voxel[1:]) for z in chosen], polarity)


@given(
    shape=st.sampled_from([(11, 64, 96), (20, 50, 61), (3, 70, 45), (1, 64, 64)]),
    kind=st.sampled_from(DTYPES),
    voxel=voxels,
    parameters=backgrounds,
    inverted=st.booleans(),
    given_levels=st.booleans(),
    planes=st.sampled_from([1, 3, 7, 50]),
    seed=st.integers(0, 99),
    data=st.data(),
)
@settings(max_examples=25, deadline=None)
def test_background(
    *,
    shape: tuple[int, int, int],
    kind: str,
    voxel: Voxel,
    parameters: BackgroundParameters,
    inverted: bool,
    given_levels: bool,
    planes: int,
    seed: int,
    data: st.DataObject,
) -> None:
    grey = tissue(shape, kind, seed=seed, inverted=inverted)
    volume = cut(grey, data.draw(chunkings(shape)), voxel)
    levels = whole_levels(grey, voxel, parameters.polarity)
    assert dask.config.get("scheduler", None) is None
    with dask.config.set(scheduler="synchronous"):
        assert grey_levels(volume, parameters) == levels
    expected = background_block(apply_polarity(grey, levels.inverted), voxel, parameters, levels)[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hela_dask.operators.background.SLAB", planes)
        found = operators.background(
            volume, parameters, grey_levels=levels if given_levels else None
        )
        np.testing.assert_array_equal(computed(found), expected)


def test_the_drawn_tissue_has_both_resin_and_cells() -> None:
    voxel = (50.0, 40.0, 40.0)
    for seed in range(6):
        grey = tissue((11, 64, 96), seed=seed, inverted=seed % 2 == 1)
        resin = computed(operators.background(cut(grey, (4, 30, 40), voxel)))
        assert 0.2 < resin.mean() < 0.95


def detect_whole(
    grey: NDArray[Any], voxel: Voxel, detect: DetectParameters, background: BackgroundParameters
) -> list[tuple[int, float, float, float]]:
    """Slice (1-based), y, x and height: each analysed slice, read and computed by itself."""
    factors = factors_for(voxel[1:], detect.resolution)
    pixel = (voxel[1] * factors[0], voxel[2] * factors[1])
    is_grey = grey.dtype != bool
    levels = whole_levels(grey, voxel, background.polarity) if is_grey else GreyLevels()
    up = apply_polarity(grey, levels.inverted) if is_grey else grey
    halo = background_halo(background, voxel[0]) if is_grey else 0
    found = []
    for z in analysed_slices(len(grey), voxel[0], detect):
        first = max(0, z - halo)
        block = np.stack([averaged(plane, factors) for plane in up[first : z + halo + 1]])
        if is_grey:
            size = (voxel[0], *pixel)
            resin = background_block(block.astype(np.float32), size, background, levels)[0][
                z - first
            ]
        else:
            resin = block[0] >= 0.5
        for row, column, height in detect_slice(resin, pixel, detect):
            y = voxel[1] / 2 + voxel[1] * (row * factors[0] + (factors[0] - 1) / 2)
            x = 11.0 + voxel[2] * (column * factors[1] + (factors[1] - 1) / 2)
            found.append((z + 1, y, x, height))
    return found


def averaged(plane: NDArray[Any], factors: tuple[int, int]) -> NDArray[Any]:
    """Means over whole blocks, each by itself in double precision."""
    if factors == (1, 1):
        return plane
    rows, columns = (length // by for length, by in zip(plane.shape, factors, strict=True))
    blocks = plane[: rows * factors[0], : columns * factors[1]].astype(np.float64)
    means: NDArray[Any] = blocks.reshape(rows, factors[0], columns, factors[1]).mean(axis=(1, 3))
    return means


@given(
    kind=st.sampled_from([*DTYPES, "bool"]),
    voxel=st.sampled_from(
        [(50.0, 40.0, 40.0), (50.0, 40.0, 20.0), (100.0, 10.0, 10.0), (60.0, 13.0, 40.0)]
    ),
    spacing=st.sampled_from([100.0, 300.0]),
    cells_per_slice=st.sampled_from([0, 2]),
    levels=st.sampled_from([0.0, 250.0]),
    inverted=st.booleans(),
    seed=st.integers(0, 99),
    data=st.data(),
)
@settings(max_examples=20, deadline=None)
def test_detection(
    *,
    kind: str,
    voxel: Voxel,
    spacing: float,
    cells_per_slice: int,
    levels: float,
    inverted: bool,
    seed: int,
    data: st.DataObject,
) -> None:
    shape = (9, 122, 161)
    low = 6 * max(voxel[1:])
    detect = DetectParameters(
        spacing=spacing,
        cells_per_slice=cells_per_slice,
        smallest_height=low,
        smallest_resin=0.0,
        beyond=low,
        fewest_slices=3,
    )
    background = BackgroundParameters(levels=levels)
    grey = tissue(shape, "uint8" if kind == "bool" else kind, seed=seed, inverted=inverted)
    grey = grey > 170 if kind == "bool" else grey
    with dask.config.set(scheduler="synchronous"):
        table = detect_cells(
            cut(grey, data.draw(chunkings(shape)), voxel),
            detect,
            background_parameters=background,
        )
    expected = pd.DataFrame(
        detect_whole(grey, voxel, detect, background), columns=["slice", "y", "x", "height"]
    )
    found = table[["slice", "y", "x", "height"]]
    pd.testing.assert_frame_equal(
        found, expected.astype(found.dtypes.to_dict()), check_exact=False, rtol=1e-12
    )
    np.testing.assert_array_equal(found["height"], expected["height"])
