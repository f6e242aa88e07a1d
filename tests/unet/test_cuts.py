"""Cuts in any direction: values at the right places, the frame they claim, labels that belong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hela_dask.unet.cuts import Cut, nearest_values, random_cut
from hela_dask.unet.labelled import Blocks, Cache
from hela_dask.unet.patches import Patches
from hela_dask.unet.training_data import DataRequest, open_training_data
from tests.unet.scene import SHAPE, labelled, tiny, volume

VOXEL = (50.0, 40.0, 40.0)
BIG = (40, 60, 70)


def _blocks(array: NDArray[Any]) -> Blocks:
    return Blocks("x", array.shape, (8, 32, 32), lambda box: array[box], Cache())


def _cut(seed: int, **changes: Any) -> Cut:
    options = {"shape": BIG, "voxel": VOXEL, "slices": np.arange(40), "patch": (16, 24)}
    return random_cut(np.random.default_rng(seed), **{**options, **changes})


def test_greys_of_a_linear_image_are_its_values_at_the_positions() -> None:
    z, y, x = np.indices(BIG)
    image = (3.0 * z + 2.0 * y - x).astype(np.float32)
    inside = 0
    for seed in range(40):
        cut = _cut(seed)
        planes = np.stack([cut.middle + k * np.reshape(cut.step, (3, 1, 1)) for k in (-1, 0, 1)])
        if all(
            planes[:, axis].min() >= 0 and planes[:, axis].max() <= BIG[axis] - 1
            for axis in range(3)
        ):
            inside += 1
            found = cut.greys(_blocks(image), 3)
            expected = 3 * planes[:, 0] + 2 * planes[:, 1] - planes[:, 2]
            np.testing.assert_allclose(found, np.moveaxis(expected, 0, -1), atol=1e-3)
    assert inside > 5


def test_planes_lie_one_slice_apart_and_across_their_rows_and_columns() -> None:
    straight = oblique = vertical = 0
    for seed in range(200):
        cut = _cut(seed)
        size = np.asarray(VOXEL)
        across = cut.step * size
        assert np.linalg.norm(across) == pytest.approx(VOXEL[0])
        middle = cut.middle * size[:, None, None]
        down, right = middle[:, -1, 0] - middle[:, 0, 0], middle[:, 0, -1] - middle[:, 0, 0]
        assert abs(across @ down) < 1e-6 * np.linalg.norm(down) * VOXEL[0] + 1e-6
        assert abs(across @ right) < 1e-6 * np.linalg.norm(right) * VOXEL[0] + 1e-6
        height = abs(across[0]) / VOXEL[0]
        straight += height > 0.999
        vertical += height < 0.001
        oblique += 0.7 < height < 0.99
    assert straight > 100 and oblique > 30 and vertical > 8
    assert straight + oblique + vertical == 200


def test_a_straight_cut_is_a_window_turned_by_quarters_at_most() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, BIG).astype(np.uint8)
    exact = 0
    for seed in range(60):
        cut = _cut(seed, patch=(16, 16))
        if (cut.middle % 1 == 0).all():
            exact += 1
            z, y, x = cut.middle.astype(int)
            np.testing.assert_array_equal(cut.greys(_blocks(image), 1)[..., 0], image[z, y, x])
    assert exact > 5


def test_a_margin_adds_pixels_and_moves_none() -> None:
    for seed in range(20):
        # Deformed ones have a field of their own size, so only the frame and the centre are equal.
        wide, plain = _cut(seed, margin=(3, 5)), _cut(seed)
        assert wide.middle.shape == (3, 22, 34)
        assert wide.inner((3, 5)).middle.shape == plain.middle.shape
        np.testing.assert_allclose(wide.step, plain.step)


def test_labels_of_slices_that_are_not_learned_from_count_nothing() -> None:
    architecture = tiny("residual")
    request = DataRequest(volume(), labelled()[1], slices=(1, 12), validation=(5, 8))
    data = open_training_data(architecture, request)
    learned = data.labelled_volumes[0]
    assert not set(learned.slices) & {4, 5, 6, 7}
    seen = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        wide = random_cut(
            rng,
            shape=learned.image.shape,
            voxel=learned.voxel,
            slices=np.asarray(learned.slices),
            patch=architecture.patch,
            margin=(26, 26),
        )
        z = np.rint(wide.inner((26, 26)).middle[0])
        _, target = learned.cut(architecture, np.random.default_rng(seed))
        held = (z >= 4) & (z <= 7) | (z < 0) | (z >= SHAPE[0])
        assert not target[..., 1][held].any() and not target[..., 4][held].any()
        assert (target[..., 1][~held] == 100).all()
        seen += held.any()
    assert seen > 10


def test_cells_of_slices_that_are_not_learned_from_change_no_target() -> None:
    architecture, changed = tiny("residual"), labelled()[1].copy()
    changed[4:8] = np.where(changed[4:8] == 4, 5, 4)  # tissue and resin change places
    one, other = (
        open_training_data(
            architecture, DataRequest(volume(), labels, slices=(1, 12), validation=(5, 8))
        ).labelled_volumes[0]
        for labels in (labelled()[1], changed)
    )
    known = 0
    for seed in range(60):
        target, same = (of.cut(architecture, np.random.default_rng(seed))[1] for of in (one, other))
        counts = target[..., 1] > 0
        np.testing.assert_array_equal(target[..., 4], same[..., 4])
        np.testing.assert_array_equal(target[counts, :2], same[counts, :2])
        cells = target[..., 4] > 0
        np.testing.assert_array_equal(target[cells], same[cells])
        known += cells.mean() / 60
    assert known > 0.2


def test_image_and_target_show_the_same_place() -> None:
    """Grey values of the scene tell the class, whatever the direction."""
    architecture = tiny("residual")
    data = open_training_data(architecture, DataRequest(volume(), labelled()[1]))
    learned, wrong = data.labelled_volumes[0], []
    low, high = learned.greys
    for seed in range(30):
        image, target = learned.cut(architecture, np.random.default_rng(seed))
        grey = image[..., 2] * (high - low) + low
        resin = (target[..., 0] == 0) & (target[..., 1] > 0)
        tissue = (target[..., 0] != 0) & (target[..., 1] > 0)
        wrong.append(np.mean(grey[resin] < 180) if resin.any() else 0.0)
        wrong.append(np.mean(grey[tissue] > 180) if tissue.any() else 0.0)
    assert np.mean(wrong) < 0.05


def test_nearest_values_name_their_slice() -> None:
    array = np.arange(np.prod(BIG)).reshape(BIG)
    cut = _cut(3)
    values, z = nearest_values(cut, _blocks(array))
    inside = (z >= 0) & (z < BIG[0])
    np.testing.assert_array_equal(values[inside] // (BIG[1] * BIG[2]), z[inside])


def test_patches_of_a_seed_repeat() -> None:
    architecture = tiny("residual")
    data = open_training_data(architecture, DataRequest(volume(), labelled()[1]))
    one, two, other = (
        Patches(architecture, data.labelled_volumes, batch=4, seed=seed).one(0, 1)[0]
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()
