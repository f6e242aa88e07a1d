"""Phantoms: the plan, the same bits for any window, the truth, and what a store of one holds."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import euler_number

from hela_dask.errors import ExistsError, ParameterError
from hela_dask.phantom import PhantomSpec, make_phantom, phantom_block, plan_phantom
from hela_dask.phantom.block import Block
from hela_dask.phantom.lattice import TILE, Grid, grain, normal, uniform
from hela_dask.storage.metadata import read_image

SHAPE = (80, 220, 300)


@pytest.fixture(scope="module")
def spec() -> PhantomSpec:
    return plan_phantom(SHAPE, 3, 3.4, seed=5)


@pytest.fixture(scope="module")
def whole(spec: PhantomSpec) -> Block:
    return phantom_block(spec, 0, SHAPE[0], 0, SHAPE[1], 0, SHAPE[2])


# --- the plan ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("shape", "cells", "diameter", "voxel"),
    [
        ((200, 768, 768), 6, 9.0, (50.0, 40.0, 40.0)),
        ((96, 256, 256), 3, 4.0, (50.0, 40.0, 40.0)),
        ((518, 8192, 8192), 24, 17.0, (50.0, 10.0, 10.0)),
    ],
)
def test_plan_keeps_its_promises(
    shape: tuple[int, int, int],
    cells: int,
    diameter: float,
    voxel: tuple[float, float, float],
    seed: int,
) -> None:
    plan = plan_phantom(shape, cells, diameter, seed, voxel)
    extent = (np.array(shape) - 1) * np.array(voxel)
    assert [cell.label for cell in plan.cells] == list(range(1, cells + 1))
    assert sorted(cell.centre for cell in plan.cells) == [cell.centre for cell in plan.cells]
    widths = [2 * cell.radius for cell in plan.cells]
    assert np.mean(widths) == pytest.approx(1000 * diameter, rel=0.01)
    complete = [cell for cell in plan.cells if cell.complete]
    assert cells > len(complete) >= math.ceil(cells / 2)
    for cell in plan.cells:
        away = min(np.minimum(cell.centre, extent - np.array(cell.centre)))
        assert cell.complete == (away > cell.radius)
    assert sum(bool(cell.touching) for cell in plan.cells) * 3 >= cells
    pairs = {(cell.label, other) for cell in plan.cells for other in cell.touching}
    assert pairs == {(b, a) for a, b in pairs}
    assert [cell.complete for cell in plan.cells if cell.hole] == [True]


def test_demo_holds_five_complete_cells() -> None:
    assert sum(cell.complete for cell in plan_phantom((200, 768, 768), 6, 9).cells) == 5


def test_plan_depends_on_the_seed_alone() -> None:
    first = plan_phantom(SHAPE, 3, 3.6, seed=1)
    assert first == plan_phantom(SHAPE, 3, 3.6, seed=1)
    assert first.cells != plan_phantom(SHAPE, 3, 3.6, seed=2).cells


def test_single_cell_is_complete() -> None:
    (cell,) = plan_phantom((60, 90, 90), 1, 2.5).cells
    assert cell.complete
    assert cell.touching == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"diameter": 12.0}, "at least 246 voxels long in z, or the diameter at most 9.8"),
        ({"cells": 40}, "fewer cells, a smaller diameter or a larger shape"),
        ({"shape": (200, 768)}, "three whole numbers"),
        ({"shape": (200, 0, 768)}, "three whole numbers"),
        ({"cells": 0}, "at least 1 cell"),
        ({"diameter": float("nan")}, "above 0"),
        ({"diameter": -3.0}, "above 0"),
        ({"diameter": 0.5}, "under 24 voxels"),
        ({"seed": -1}, "seed"),
        ({"voxel_size": (50.0, 0.0, 40.0)}, "voxel size"),
    ],
)
def test_impossible_phantoms_say_what_to_change(changes: dict[str, object], words: str) -> None:
    wanted: dict[str, Any] = {"shape": (200, 768, 768), "cells": 6, "diameter": 9.0, **changes}
    with pytest.raises(ParameterError, match=words):
        plan_phantom(**wanted)


def test_advised_depth_and_diameter_are_enough() -> None:
    plan_phantom((246, 768, 768), 3, 12.0)
    plan_phantom((200, 768, 768), 6, 9.8)


# --- the same bits ----------------------------------------------------------------------------


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_windows_are_parts_of_the_whole(
    spec: PhantomSpec, whole: Block, data: st.DataObject
) -> None:
    ends: list[int] = []
    for size, most in zip(SHAPE, (10, 90, 90), strict=True):
        start = data.draw(st.integers(0, size - 1))
        ends += [start, data.draw(st.integers(start + 1, min(size, start + most)))]
    z0, z1, y0, y1, x0, x1 = ends
    part = phantom_block(spec, z0, z1, y0, y1, x0, x1)
    pairs: list[tuple[NDArray[Any], NDArray[Any]]] = list(zip(part, whole, strict=True))
    for window, everything in pairs:
        np.testing.assert_array_equal(window, everything[z0:z1, y0:y1, x0:x1])


def test_a_larger_volume_of_the_same_cells_has_the_same_bits(
    spec: PhantomSpec, whole: Block
) -> None:
    again = phantom_block(dataclasses.replace(spec, shape=(99, 400, 400)), 40, 44, 10, 99, 200, 290)
    np.testing.assert_array_equal(again.image, whole.image[40:44, 10:99, 200:290])


@pytest.mark.parametrize("window", [(0, 0, 0, 9, 0, 9), (0, 9, 5, 301, 0, 9), (-1, 9, 0, 9, 0, 9)])
def test_windows_outside_are_refused(
    spec: PhantomSpec, window: tuple[int, int, int, int, int, int]
) -> None:
    with pytest.raises(ParameterError, match="not inside the phantom"):
        phantom_block(spec, *window)


def test_fields_go_on_across_tiles_without_a_seam() -> None:
    voxel = (50.0, 40.0, 40.0)
    left = Grid((8, 256, 256), voxel).field(400.0, 1, 2)
    right = Grid((8, 256, 256 + TILE[2]), voxel).field(400.0, 1, 2)
    steps = np.abs(np.diff(np.concatenate([left, right], axis=2), axis=2)).mean((0, 1))
    assert steps[TILE[2] - 1] < 1.5 * steps.mean()
    assert left.mean() == pytest.approx(0.0, abs=0.15)
    assert left.std() == pytest.approx(1.0, abs=0.15)


def test_image_shows_no_border_of_a_tile(whole: Block) -> None:
    image = whole.image.astype(float)
    steps = np.abs(np.diff(image, axis=2)).mean((0, 1))
    assert abs(steps[TILE[2] - 1] - steps[200:].mean()) < 4 * steps[200:].std()
    # Slices differ in brightness; borders of tiles in z differ no more than others.
    level = image - np.median(image, axis=(1, 2), keepdims=True)
    jumps = np.abs(np.diff(level, axis=0)).mean((1, 2))
    at_borders = np.arange(len(jumps)) % TILE[0] == TILE[0] - 1
    assert jumps[at_borders].mean() < 1.1 * jumps[~at_borders].mean()


def test_part_of_a_grid_has_the_fields_of_its_tile() -> None:
    grid = Grid((16, 0, 512), (50.0, 40.0, 40.0))
    found = grid.within((900.0, 4000.0, 26000.0), (900.0, 1500.0, 2500.0))
    assert found is not None
    part, where = found
    np.testing.assert_array_equal(part.field(700.0, 3), grid.field(700.0, 3)[where])
    assert grid.within((900.0, 4000.0, 90000.0), (900.0, 1500.0, 2500.0)) is None


def test_slope_of_a_field_is_its_gradient() -> None:
    grid = Grid((0, 0, 0), (50.0, 40.0, 40.0))
    value, slope = grid.sloped_field(800.0, 7)
    by_y, by_x = np.gradient(value, 40.0, axis=(0, 2))
    measured = np.hypot(by_y, by_x)[2:-2, :, 2:-2]
    np.testing.assert_allclose(slope[2:-2, :, 2:-2], measured, atol=2e-4)


def test_random_numbers_have_the_promised_moments() -> None:
    index = np.arange(40000)
    assert normal(3, index).mean() == pytest.approx(0.0, abs=0.02)
    assert normal(3, index).std() == pytest.approx(1.0, abs=0.02)
    assert uniform(3, index).mean() == pytest.approx(0.5, abs=0.01)
    assert np.corrcoef(normal(3, index)[1:], normal(3, index)[:-1])[0, 1] < 0.02
    noise = grain(Grid((0, 0, 0), (50.0, 40.0, 40.0)), 1, 0.5)
    assert noise.std() == pytest.approx(1.0, abs=0.02)
    assert abs(np.corrcoef(noise[:, 0].ravel(), noise[:, 1].ravel())[0, 1]) < 0.02


# --- the truth --------------------------------------------------------------------------------


def test_truth_agrees_with_itself_and_with_the_plan(spec: PhantomSpec, whole: Block) -> None:
    image, nuclei, cells, classes = whole
    assert image.dtype == np.uint8
    assert np.unique(cells).tolist() == [0, 1, 2, 3]
    assert np.unique(nuclei).tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(cells[nuclei > 0], nuclei[nuclei > 0])
    complete = np.isin(cells, [cell.label for cell in spec.cells if cell.complete])
    np.testing.assert_array_equal(np.isin(classes, (1, 2, 5)), complete)
    np.testing.assert_array_equal(classes == 2, complete & (nuclei > 0))
    assert set(np.unique(classes[(cells > 0) & ~complete])) == {3}
    assert set(np.unique(classes[cells == 0])) == {3, 4}
    # The envelope lies around the nucleus, and hides it from the cytoplasm.
    around = ndimage.binary_dilation(classes == 2) & (classes != 2)
    assert (classes[around] == 1).mean() > 0.97


def _faces(mask: NDArray[np.bool_]) -> bool:
    return any(mask.take(side, axis).any() for axis in range(3) for side in (0, -1))


def test_complete_cells_are_whole_and_others_are_cut(spec: PhantomSpec, whole: Block) -> None:
    for cell in spec.cells:
        mask = whole.cells == cell.label
        assert _faces(mask) != cell.complete
        pieces, _ = ndimage.label(mask)
        assert np.bincount(pieces[mask]).max() > 0.98 * mask.sum()
        if cell.complete:
            width = 2 * math.sqrt(mask.sum((1, 2)).max() * 1.6e-3 / math.pi)
            assert width == pytest.approx(2e-3 * cell.radius, rel=0.12)
            assert 0.75 < mask.any((1, 2)).sum() * 0.05 / width < 1.15


def test_touching_cells_touch_by_a_dark_membrane_without_resin(
    spec: PhantomSpec, whole: Block
) -> None:
    cells = whole.cells
    pair = next(cell for cell in spec.cells if cell.touching)
    first, second = cells == pair.label, np.isin(cells, pair.touching)
    contact = ndimage.binary_dilation(first) & second
    assert contact.sum() > 300
    inside = ndimage.binary_erosion((cells > 0) & (whole.nuclei == 0), iterations=3)
    assert whole.image[contact & inside].mean() < whole.image[inside].mean() - 8


def test_holed_nucleus_is_a_ring_and_poles_are_islands(spec: PhantomSpec, whole: Block) -> None:
    for cell in spec.cells:
        mask = whole.nuclei == cell.label
        (box,) = ndimage.find_objects(mask.astype(np.uint8))
        assert box is not None
        nucleus = np.pad(mask[box], 1)
        slices = nucleus[1:-1]
        quarter = len(slices) // 4
        rings = [
            (ndimage.binary_fill_holes(plane) & ~plane).sum() * 1.6e-3 > 0.02
            for plane in slices[quarter:-quarter]
        ]
        if cell.hole:
            outside, _ = ndimage.label(~nucleus)
            assert euler_number(outside != outside[0, 0, 0], connectivity=3) <= 0
            assert np.mean(rings) > 0.8
        elif cell.complete:
            assert np.mean(rings) < 0.2
        planes = [ndimage.label(plane)[1] for plane in slices]
        if cell.complete:
            third = len(planes) // 3
            assert max(planes[:third]) >= 2
            assert max(planes[-third:]) >= 2


def test_envelope_is_dark_and_nucleus_smooth(whole: Block) -> None:
    image, classes = whole.image.astype(float), whole.classes
    core = ndimage.binary_erosion(classes == 2, iterations=3)
    spread = [image[classes == 5].std(), image[core].std()]
    assert spread[0] > 1.4 * spread[1]
    line = ndimage.binary_dilation(classes == 2) & (classes == 1)
    assert image[line].mean() < image[core].mean() - 15


# --- on disk ----------------------------------------------------------------------------------


def test_store_holds_the_phantom_and_its_truth(tmp_path: Path) -> None:
    shape = (48, 262, 130)
    seen: list[tuple[int, int]] = []
    image = make_phantom(
        tmp_path / "phantom.ome.zarr",
        shape=shape,
        cells=2,
        diameter=2.0,
        seed=3,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert image.complete
    assert image.levels[0].voxel_size == (50.0, 40.0, 40.0)
    assert len(image.levels) == 2
    assert seen == [(0, 48), (16, 48), (32, 48), (48, 48)]
    assert set(image.labels) == {"true_nuclei", "true_cells", "true_classes"}
    block = phantom_block(plan_phantom(shape, 2, 2.0, 3), 0, 48, 0, 262, 0, 130)
    np.testing.assert_array_equal(zarr.open_array(image.path / "0", mode="r")[...], block.image)
    truth = (block.nuclei, block.cells, block.classes)
    for name, expected in zip(("true_nuclei", "true_cells", "true_classes"), truth, strict=True):
        labels = read_image(image.path / "labels" / name)
        assert labels.complete
        np.testing.assert_array_equal(zarr.open_array(labels.path / "0", mode="r")[...], expected)
    with pytest.raises(ExistsError):
        make_phantom(image.folder, shape=shape, cells=2, diameter=2.0)


def test_impossible_phantom_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ParameterError):
        make_phantom(tmp_path / "phantom.ome.zarr", shape=(20, 99, 99), cells=2, diameter=9)
    assert list(tmp_path.iterdir()) == []


def test_the_smallest_shape_of_the_help_is_enough() -> None:
    plan_phantom((185, 231, 231), 1, 9.0)
    for axis in range(3):
        less = [185, 231, 231]
        less[axis] -= 4
        with pytest.raises(ParameterError, match="cannot hold a complete cell"):
            plan_phantom(less, 1, 9.0)
