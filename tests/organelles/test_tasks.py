"""The labels of a run on a coarser grid, and the distances around a cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from hela_dask.box import Box
from hela_dask.evaluation import instances
from hela_dask.organelles import tasks
from hela_dask.organelles.tasks import LABELS, RunLabels
from hela_dask.storage import store
from hela_dask.storage.metadata import read_image

SHAPE, VOXEL = (6, 601, 530), (50.0, 10.0, 10.0)


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Nuclei, cells and envelope with a pyramid; cell 3 is a block beside a side of the volume."""
    folder = tmp_path_factory.mktemp("labels")
    image = store.create_image(folder / "image.zarr", SHAPE, "uint8", VOXEL, name="image")
    drawn = {name: np.zeros(SHAPE, np.uint16) for name in LABELS}
    drawn["cells"][1:5, 100:400, :300] = 3
    drawn["cells"][:, 400:, 300:] = 7
    drawn["envelope"][2:4, 195:306, 95:206] = 3
    drawn["nuclei"][2:4, 200:301, 100:201] = 3
    paths = []
    for name, array in drawn.items():
        chunks: dict[str, Any] = {"chunks": (2, 64, 64), "shards": (2, 640, 640)}
        group = store.create_labels(image.folder, name, SHAPE, "uint16", VOXEL, **chunks)
        for z0, z1 in store.slabs(group):
            store.write_slab(group, z0, array[z0:z1], downsample="nearest")
        paths.append(group.folder)
    return tuple(paths)


def test_a_level_of_the_pyramid_is_every_other_pixel(labels: tuple[Path, ...]) -> None:
    images = [read_image(path) for path in labels]
    assert len(images[0].levels) > 1
    fine = tuple(image.levels[0] for image in images)
    coarse = RunLabels(labels, tuple(image.levels[1] for image in images))
    stepped = RunLabels(labels, fine, step=2)
    assert stepped.geometry == coarse.geometry
    for box in (Box.whole(coarse.geometry.shape), Box.of([(1, 4), (150, 301), (3, 265)])):
        np.testing.assert_array_equal(stepped.codes(box), coarse.codes(box))


def test_distances_in_a_window_are_those_in_the_volume(
    labels: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instances, "BLOCK", 2**14)  # a window is read in several blocks
    half = RunLabels(labels, tuple(read_image(path).levels[0] for path in labels), step=2)
    voxel = half.geometry.voxel_size
    box = Box.of([(1, 5), (50, 200), (0, 150)]).grow(1).clip(half.geometry.shape)
    assert len(list(half.blocks(box))) > 2
    nucleus, membrane = tasks._distances(half, 3, box)
    whole = half.codes(Box.whole(half.geometry.shape))
    away = ndimage.distance_transform_edt((whole != 13) & (whole != 14), sampling=voxel)
    inside = ndimage.distance_transform_edt(whole // 4 == 3, sampling=voxel)
    np.testing.assert_allclose(nucleus, away[box], rtol=1e-6)
    np.testing.assert_allclose(membrane, inside[box], rtol=1e-6)
    assert membrane.max() == 100.0  # two slices above and below; nothing is known beyond x = 0
    nucleus, _ = tasks._distances(half, 7, Box.of([(0, 6), (199, 301), (149, 265)]))
    assert np.isnan(nucleus).all()
