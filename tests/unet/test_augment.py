"""Augmentation: image and target stay together, values keep to what was there, seeds repeat."""

from __future__ import annotations

import numpy as np
import pytest

from hela_dask.unet.augment import AUGMENTATIONS, false_band, greys, shifts


def _pair(size: int = 48, slices: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """A slanted pattern that no turn or mirror leaves as it is, and the same as target."""
    y, x = np.indices((size, size))
    target = ((y > size // 3) * 1 + (x > size // 2) * 2).astype(np.uint8)[..., None]
    return np.repeat(target, slices, -1).astype(np.float32), target


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_seed_repeats_and_the_input_is_left_alone(name: str) -> None:
    image, target = _pair()
    before = image.copy(), target.copy()
    one, two, other = (
        AUGMENTATIONS[name](image, target, np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])
    assert (one[0] != other[0]).any()
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(target, before[1])
    assert one[0].dtype == np.float32
    assert one[1].dtype == np.uint8
    assert one[0].shape == image.shape
    assert one[1].shape == target.shape


def test_shifts_move_image_and_target_alike() -> None:
    image, target = _pair(slices=1)
    moved = set()
    for seed in range(12):
        seen, predicted = shifts(image, target, np.random.default_rng(seed))
        np.testing.assert_array_equal(seen[..., 0], predicted[..., 0])
        moved.add(seen.tobytes())
    assert len(moved) == 12


@pytest.mark.parametrize("seed", range(8))
def test_the_middle_slice_is_never_lost(seed: int) -> None:
    image = np.broadcast_to(np.arange(5, dtype=np.float32), (32, 32, 5)).copy()
    seen = greys(image, np.random.default_rng(seed))
    levels = seen.mean(axis=(0, 1))
    assert (np.diff(levels) > -0.3).all()  # still in their order, though some are repeated
    assert np.isfinite(seen).all()


def test_a_false_band_is_thin_and_leaves_the_rest() -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(0.5, 0.2, (128, 128, 3)).astype(np.float32)
    changed = [
        np.mean(false_band(image, np.random.default_rng(seed)) != image) for seed in range(10)
    ]
    assert 0.003 < np.median(changed) < 0.2
