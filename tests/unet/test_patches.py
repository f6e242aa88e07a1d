"""Patches: the same for any chunks, read in windows, and true to image and labels."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.errors import InputError
from hela_dask.evaluation.labels_input import open_labels
from hela_dask.unet.architectures import Architecture
from hela_dask.unet.labelled import Blocks, Cache, count_classes, label_blocks
from hela_dask.unet.patches import Patches
from hela_dask.unet.training_data import DataRequest, open_training_data
from tests.unet.scene import GREYS, SHAPE, labelled, tiny, volume
from tests.volumes import LargestInput, make_volume


def _patches(architecture: Architecture, chunks: Any = (4, 64, 72), **request: Any) -> Patches:
    request = {"store": volume(chunks), "labels": labelled()[1], **request}
    training_data = open_training_data(architecture, DataRequest(**request))
    return Patches(
        architecture,
        training_data.labelled_volumes,
        shares=training_data.shares,
        batch=architecture.recipe.batch,
        seed=5,
    )


def _drawn(patches: Patches) -> list[NDArray[np.float32]]:
    return [part for number in range(3) for part in patches.one(1, number)]


@pytest.mark.parametrize("name", ["residual", "unet", "resnet18"])
def test_patches_are_the_same_for_any_chunks(name: str) -> None:
    architecture = tiny(name)
    wanted = _drawn(_patches(architecture))
    for chunks in ((12, 64, 72), (1, 20, 33)):
        for one, two in zip(wanted, _drawn(_patches(architecture, chunks)), strict=True):
            np.testing.assert_array_equal(one, two)
    other = Patches(architecture, _patches(architecture).labelled_volumes, batch=4, seed=6)
    assert (_drawn(other)[0] != wanted[0]).any()


def test_a_batch_depends_on_its_number_alone() -> None:
    patches = _patches(tiny("residual"))
    later = [part for number in (2, 1) for part in patches.one(1, number)]
    for one, two in zip(_drawn(patches)[4:] + _drawn(patches)[2:4], later, strict=True):
        np.testing.assert_array_equal(one, two)


def test_targets_are_the_labels_of_what_is_seen() -> None:
    architecture = tiny("residual")
    patches = _patches(architecture)
    labelled_volume = patches.labelled_volumes[0]
    window = (6, slice(8, 40), slice(30, 62))
    image = labelled_volume.look(architecture, window)
    truth = labelled_volume.truth(architecture, window)
    grey, labels = labelled()
    low, high = labelled_volume.greys
    expected = np.moveaxis(grey[4:9, 8:40, 30:62], 0, -1).astype(np.float32)
    np.testing.assert_allclose(image, (expected - low) / (high - low), atol=1e-5)
    classes = np.array([255, 2, 3, 1, 0, 1])[labels[6, 8:40, 30:62]]
    np.testing.assert_array_equal(truth[..., 0], classes)
    assert (truth[..., 1] == 100).all()
    assert truth[..., 2].any()  # the cells touch here
    assert not truth[..., 2][classes == 0].any()


def test_the_first_slice_is_repeated_before_itself() -> None:
    architecture = tiny("residual")
    image = (
        _patches(architecture)
        .labelled_volumes[0]
        .look(architecture, (0, slice(0, 32), slice(0, 32)))
    )
    np.testing.assert_array_equal(image[..., 0], image[..., 2])
    np.testing.assert_array_equal(image[..., 1], image[..., 2])
    assert (image[..., 3] != image[..., 2]).any()


def test_a_mask_takes_labels_out_of_the_loss_but_not_out_of_the_judgement() -> None:
    mask = np.zeros(SHAPE, np.uint8)
    mask[:, 20:30] = 1
    architecture = tiny("residual")
    for weight in (0.0, 0.25):
        patches = _patches(architecture, mask=mask, mask_weight=weight)
        truth = patches.labelled_volumes[0].truth(architecture, (3, slice(0, 64), slice(0, 72)))
        np.testing.assert_array_equal(truth[20:30, :, 1], 100 * weight)
        assert (truth[30:, :, 1] == 100).all()
        ((_, scored),) = patches.validation(
            dataclasses.replace(patches.labelled_volumes[0], slices=(3,))
        )
        assert (scored[0, :64, :72, 1] == 1).all()


def test_unlabelled_pixels_count_nothing() -> None:
    labels = labelled()[1].copy()
    labels[:, :, 40:] = 0
    patches = _patches(tiny("residual"), labels=labels)
    truth = patches.labelled_volumes[0].truth(tiny("residual"), (3, slice(0, 64), slice(0, 72)))
    assert not truth[:, 40:, 1].any()
    assert not truth[:, 40:, 4].any()
    assert (truth[:, :40, 1] == 100).all()
    _, target = patches.one(0, 0)
    assert target[..., 0].max() <= 3


def test_validation_shows_every_pixel_once() -> None:
    for name in ("residual", "unet"):
        patches = _patches(tiny(name))
        labelled_volume = dataclasses.replace(patches.labelled_volumes[0], slices=(2, 7))
        batches = list(patches.validation(labelled_volume))
        assert sum(int(truth[..., 1].sum()) for _, truth in batches) == 2 * SHAPE[1] * SHAPE[2]
        assert {side % 16 for image, _ in batches for side in image.shape[1:3]} <= {0, 8}


def test_a_grid_shows_each_place_once_an_epoch() -> None:
    architecture = tiny("unet", batch=1)
    patches = _patches(architecture, slices=(1, 2), validation=(3, 4))
    assert len(patches) == 2 * 3 * 4  # 64 and 72 in steps of 16, the last one at the end
    orders = [[patches._order(epoch, k) for k in range(24)] for epoch in (0, 1)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(24))
    assert orders[0] != orders[1]


def test_whole_planes_are_shrunk_as_inference_does() -> None:
    architecture = tiny("resnet18")
    labelled_volume = _patches(architecture).labelled_volumes[0]
    image = labelled_volume.look(architecture, (0, slice(0, 64), slice(0, 72)))
    truth = labelled_volume.truth(architecture, (0, slice(0, 64), slice(0, 72)))
    assert image.shape == (32, 48, 3)
    assert truth.shape == (32, 48, 2)
    np.testing.assert_array_equal(image[..., 0], image[..., 2])
    low, high = labelled_volume.greys
    nucleus = ndimage.binary_erosion(truth[..., 0] == 3, iterations=2)
    assert abs(image[nucleus].mean() * (high - low) + low - GREYS[2]) < 4


def test_a_binary_model_sees_what_its_preprocessing_leaves() -> None:
    architecture = tiny("hybrid")
    labelled_volume = _patches(architecture).labelled_volumes[0]
    image = labelled_volume.look(architecture, (3, slice(0, 64), slice(0, 72)))
    assert image.shape == (32, 32, 1)
    assert set(np.unique(image)) == {0.0, 1.0}
    truth = labelled_volume.truth(architecture, (3, slice(0, 64), slice(0, 72)))
    assert ((image[..., 0] == 1) >= (truth[..., 0] == 1)).mean() > 0.98


def test_no_more_is_read_than_some_blocks() -> None:
    grey, labels = labelled()
    image = make_volume(np.tile(grey, (4, 10, 10)), chunks=(8, 64, 64))
    reads: list[int] = []
    source = open_labels(np.tile(labels, (4, 10, 10)), "x")

    class Counted:
        shape, dtype, ndim = (48, 640, 720), np.dtype(np.uint8), 3

        def __getitem__(self, box: Any) -> NDArray[np.integer]:
            found = source.read(box.start, box.stop)
            reads.append(found.nbytes)
            return found

    patches = _patches(tiny("residual"), store=image, labels=Counted(), slices=(1, 40))
    with LargestInput() as largest:
        patches.one(0, 0)
    assert 0 < largest.bytes <= 8 * 512 * 512
    assert max(reads) == 640 * 720


def test_a_patch_larger_than_the_slice_is_refused() -> None:
    architecture = tiny("unet", patch=(128, 128))
    with pytest.raises(InputError, match=r"64 x 72 pixels at 40 nm, and patches .* 128 x 128"):
        _patches(architecture)


def test_the_cache_keeps_the_last_and_no_more_than_it_may() -> None:
    cache = Cache(budget=250)
    made: list[int] = []

    def make(key: int) -> NDArray[np.uint8]:
        made.append(key)
        return np.zeros(100, np.uint8)

    for key in (1, 2, 1, 3, 1, 2):
        cache.get(key, functools.partial(make, key))
    assert made == [1, 2, 3, 2]


def test_windows_across_blocks_are_the_array() -> None:
    array = np.arange(7 * 30 * 41).reshape(7, 30, 41)
    blocks = Blocks("x", (7, 30, 41), (3, 8, 16), lambda box: array[box], Cache())
    for z, rows, columns in ((0, (0, 30), (0, 41)), (6, (7, 9), (15, 33)), (4, (8, 16), (16, 32))):
        np.testing.assert_array_equal(
            blocks.window(z, slice(*rows), slice(*columns)), array[z, slice(*rows), slice(*columns)]
        )


def test_finer_labels_take_the_commonest_of_their_pixels() -> None:
    labels = labelled()[1]
    fine = labels.repeat(2, axis=1).repeat(2, axis=2)
    fine[:, ::2, ::2] = 3  # one of four
    blocks = label_blocks(fine[:, :-1], volume(), "labels", Cache())  # an odd number of rows
    np.testing.assert_array_equal(blocks.plane(5)[:-1], labels[5, :-1])


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (np.ones((12, 64, 71), np.uint8), "12 x 64 x 71 and the image, at 40 nm, 12 x 64 x 72"),
        (np.ones((13, 64, 72), np.uint8), "13 x 64 x 72"),
        (np.ones((12, 32, 36), np.uint8), "12 x 32 x 36"),
        (make_volume(np.ones(SHAPE, np.uint8), (50.0, 20.0, 20.0)), "voxels of 50 x 20 x 20 nm"),
    ],
)
def test_labels_off_the_images_grid_are_refused(labels: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        label_blocks(labels, volume(), "the labels", Cache())


def test_classes_are_counted_slice_by_slice() -> None:
    labelled_volume = _patches(tiny("residual")).labelled_volumes[0]
    counts = count_classes(labelled_volume.labels, labelled_volume.class_map, [0, 5])
    values = [[(labelled()[1][z] == v).sum() for v in (4, 1, 2)] for z in (0, 5)]
    assert counts[:, [0, 2, 3]].tolist() == values
    assert counts.sum() == 2 * 64 * 72
