"""Instance labels of any file: what is stored together, and what is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from hela_dask.box import Box
from hela_dask.errors import InputError
from hela_dask.evaluation.instances import grown_tile, open_instances
from hela_dask.meshing.labels import find_labels
from hela_dask.storage import store


def test_boxes_of_a_store_and_of_planes(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 900, (6, 40, 50)).astype(np.uint16)
    labels[labels < 90] = 0
    image = store.create_image(
        tmp_path / "o.zarr",
        labels.shape,
        "uint16",
        (50.0, 10.0, 10.0),
        name="o",
        chunks=(1, 16, 16),
        shards=(3, 32, 32),
    )
    for z0, z1 in store.slabs(image):
        store.write_slab(image, z0, labels[z0:z1])
    tifffile.imwrite(tmp_path / "o.tif", labels)
    box = Box.of([(1, 5), (3, 40), (20, 21)])
    for path, stored, planes in ((image.folder, (3, 16, 16), False), ("o.tif", (1, 40, 50), True)):
        found, source = open_instances(tmp_path / path)
        assert (found.shape, found.stored, found.planes) == ((6, 40, 50), stored, planes)
        assert source.voxel_size == (None if planes else (50.0, 10.0, 10.0))
        np.testing.assert_array_equal(found.read(box), labels[box])


def test_a_negative_label_is_named_with_its_slice(tmp_path: Path) -> None:
    labels = np.ones((6, 4, 4), np.int32)
    labels[4, 2, 3] = -7
    np.save(tmp_path / "o.npy", labels)
    found, _ = open_instances(tmp_path / "o.npy")
    assert found.read(Box.of([(0, 4), (0, 4), (0, 4)])).sum() == 64
    with pytest.raises(InputError, match="holds -7 in slice 5"):
        found.read(Box.of([(3, 6), (0, 4), (0, 4)]))


@pytest.mark.parametrize("name", ["image.tif", "image.npy", "image.zarr"])
def test_grey_values_are_no_labels(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    grey = rng.normal(150, 20, (5, 30, 40)).astype(np.uint8)
    labels = np.repeat(np.arange(1, 41, dtype=np.uint8), 30).reshape(1, 30, 40).repeat(5, axis=0)
    path = tmp_path / name
    for content in (labels, grey):  # dense labels have no background either
        if path.suffix == ".tif":
            tifffile.imwrite(path, content)
        elif path.suffix == ".npy":
            np.save(path, content)
        else:
            image = store.create_image(
                path, content.shape, "uint8", (50.0, 10.0, 10.0), name="o", overwrite=True
            )
            for z0, z1 in store.slabs(image):
                store.write_slab(image, z0, content[z0:z1])
        if content is labels:
            open_instances(path)
            find_labels(path, None, (50.0, 10.0, 10.0))
    with pytest.raises(InputError, match=r"grey values, not labels: in slice 3, 9\d% of all"):
        open_instances(path)
    with pytest.raises(InputError, match="grey values"):
        find_labels(path, None, (50.0, 10.0, 10.0))


@pytest.mark.parametrize(
    ("voxels", "tile"), [(1, (8, 64, 64)), (2**17, (8, 128, 128)), (2**30, (8, 500, 300))]
)
def test_tiles_grow_to_a_number_of_voxels(voxels: int, tile: tuple[int, ...]) -> None:
    assert grown_tile((8, 64, 64), (20, 500, 300), voxels) == tile
