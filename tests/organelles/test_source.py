"""Labels of organelles on the grid of a run's labels; what contradicts it is one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.conversion.readers.source import Source
from hela_dask.errors import InputError
from hela_dask.evaluation import instances
from hela_dask.organelles import source
from hela_dask.organelles.source import OrganelleLabels, open_organelles
from hela_dask.storage import store
from hela_dask.storage.metadata import Image

SHAPE, VOXEL, ORIGIN = (6, 41, 30), (50.0, 10.0, 10.0), (100.0, 0.0, 30.0)


def write(path: Path, labels: NDArray[Any], **more: Any) -> Image:
    options = {
        "name": "o",
        "voxel_size": VOXEL,
        "translation": ORIGIN,
        "chunks": (3, 16, 16),
    } | more
    image = store.create_image(path, labels.shape, labels.dtype, **options)
    for z0, z1 in store.slabs(image):
        store.write_slab(image, z0, labels[z0:z1])
    return image


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return write(tmp_path_factory.mktemp("cells") / "cells.zarr", np.zeros(SHAPE, np.uint16))


def read(organelles: OrganelleLabels, box: Box) -> NDArray[np.int64]:
    """The labels of a box, from its blocks."""
    labels = np.full(box.shape, -1, np.int64)
    for block, part in organelles.blocks(box):
        labels[block.relative_to(box)] = part
    return labels


def drawn(shape: tuple[int, ...], dtype: str = "uint16") -> NDArray[Any]:
    labels = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    return np.where(labels < 20, 0, labels).astype(dtype)


@pytest.mark.parametrize("cut", [0, 1])  # a pyramid rounds lengths up or down
def test_any_box_is_read_on_the_fine_grid(tmp_path: Path, cells: Image, cut: int) -> None:
    labels = drawn((3, 21 - cut, 10))
    image = write(
        tmp_path / "o.zarr",
        labels,
        voxel_size=(100.0, 20.0, 30.0),
        translation=(125.0, 5.0, 40.0),
    )
    found = open_organelles(image.folder, cells)
    assert found.factors == (2, 2, 3)
    whole = np.zeros(SHAPE, np.int64)
    fine = labels.repeat(2, 0).repeat(2, 1).repeat(3, 2)[:, :41]
    whole[:, : fine.shape[1]] = fine
    assert found.end == (6, 41 - cut, 30)
    for box in (
        Box.whole(SHAPE),
        Box.of([(1, 4), (3, 40), (7, 29)]),
        Box.of([(5, 6), (40, 41), (0, 1)]),
    ):
        np.testing.assert_array_equal(read(found, box), whole[box])


def test_planes_are_read_once_for_several_blocks(
    tmp_path: Path, cells: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = drawn((3, 41, 30))
    np.save(tmp_path / "o.npy", labels)
    monkeypatch.setattr(instances, "BLOCK", 4 * 16 * 16)
    monkeypatch.setattr(source, "_HELD", labels[0].nbytes)
    read_slices: list[int] = []

    def read_planes(_: Source, z0: int, z1: int) -> NDArray[Any]:
        read_slices.append(z1 - z0)
        return labels[z0:z1]

    monkeypatch.setattr(Source, "read", read_planes)
    found = open_organelles(tmp_path / "o.npy", cells)
    assert found.tile == (2, 16, 30) and found.held == labels[0].nbytes
    read_slices.clear()  # one was read to check that they are labels
    box = Box.of([(0, 6), (3, 41), (2, 30)])
    np.testing.assert_array_equal(read(found, box), labels.repeat(2, 0)[box])
    assert read_slices == [1, 1, 1] and len(list(found.blocks(box))) == 9


def test_a_tiff_without_a_voxel_size_has_that_of_the_image(
    tmp_path: Path, cells: Image, caplog: pytest.LogCaptureFixture
) -> None:
    labels = drawn(SHAPE)
    tifffile.imwrite(tmp_path / "o.tif", labels)
    found = open_organelles(tmp_path / "o.tif", cells)
    assert (
        "does not state its voxel size: that of the image is used, 50 x 10 x 10 nm" in caplog.text
    )
    box = Box.of([(2, 5), (1, 9), (4, 30)])
    np.testing.assert_array_equal(read(found, box), labels[box])


@pytest.mark.parametrize(
    ("shape", "more", "sentence"),
    [
        ((6, 41, 29), {}, r"has 6 x 41 x 29 voxels and the image 6 x 41 x 30"),
        ((5, 41, 30), {}, "must have the shape of the image"),
        ((6, 2, 30), {}, "a whole number of times coarser along each axis, at most 16"),
        (
            (30, 41, 6),
            {},
            r"look swapped: the axes are in the order x, y, z; transpose the array to z, y, x",
        ),
        (
            SHAPE,
            {"voxel_size": (50.0, 12.0, 12.0)},
            r"has voxels of 50 x 12 x 12 nm .* 50 x 10 x 10",
        ),
        (SHAPE, {"translation": (100.0, 20.0, 30.0)}, r"is shifted by 0, 20, 0 nm"),
    ],
)
def test_another_shape_size_or_place_is_refused(
    tmp_path: Path, cells: Image, shape: tuple[int, ...], more: dict[str, Any], sentence: str
) -> None:
    write(tmp_path / "o.zarr", drawn(shape), **more)
    with pytest.raises(InputError, match=sentence):
        open_organelles(tmp_path / "o.zarr", cells)


def test_labels_that_state_no_place_lie_on_the_image(
    tmp_path: Path, cells: Image, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "o.zarr", drawn(SHAPE), translation=(0.0, 0.0, 0.0))
    assert open_organelles(tmp_path / "o.zarr", cells).shape == SHAPE
    assert "its first voxel is taken for that of the image" in caplog.text


def test_what_holds_no_instances_is_refused(tmp_path: Path, cells: Image) -> None:
    np.save(tmp_path / "grey.npy", np.zeros(SHAPE, np.float32))
    with pytest.raises(InputError, match="holds float32 values; labels are whole numbers"):
        open_organelles(tmp_path / "grey.npy", cells)
    np.save(tmp_path / "mask.npy", np.zeros(SHAPE, bool))
    with pytest.raises(InputError, match="is a mask: give each object a number first"):
        open_organelles(tmp_path / "mask.npy", cells)
    image = write(tmp_path / "image.zarr", np.zeros(SHAPE, np.uint8))
    store.create_labels(image.folder, "mito", SHAPE, "uint16", VOXEL, translation=ORIGIN)
    with pytest.raises(InputError, match=r"is an image: name one of its labels, .*labels/mito"):
        open_organelles(image.folder, cells)


def test_changed_files_have_another_key(tmp_path: Path, cells: Image) -> None:
    np.save(tmp_path / "o.npy", drawn(SHAPE))
    first = open_organelles(tmp_path / "o.npy", cells).key
    np.save(tmp_path / "o.npy", drawn(SHAPE) * 2)
    second = open_organelles(tmp_path / "o.npy", cells)
    assert second.key != first
    assert (read(second, Box.whole(SHAPE)) == 2 * drawn(SHAPE)).all()
