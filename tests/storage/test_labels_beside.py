"""Labels beside an image of another program: its axes, units, levels; consolidated copies."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import yaozarrs
import zarr
from ome_zarr_models.v05 import Image as ImageModel
from ome_zarr_models.v05 import ImageLabel, Labels

from hela_dask.storage import store
from hela_dask.storage.groups import label_levels
from hela_dask.volume.opening import Image, open_volume, read_image
from tests.storage.test_ome_axes import DATA, coarser, published, scale_of, step, stored_as

MASKS = (DATA // 50).astype(np.uint16)


def with_labels(path: Path, owner: Path | None = None) -> Image:
    """Labels as a run writes them: created, filled, described."""
    level = read_image(path).levels[0]
    made = store.create_labels(
        owner or path,
        "nuclei",
        level.shape,
        "uint16",
        level.voxel_size,
        translation=level.translation,
        source_image=path,
        run=path.parent / "a.run",
    )
    for z0, z1 in store.slabs(made):
        store.write_slab(made, z0, MASKS[z0:z1, : level.shape[1]], downsample="nearest")
    store.write_label_metadata(
        made.folder, colors={1: (255, 0, 0, 255)}, properties=[{"label-value": 1, "volume": 2.0}]
    )
    return read_image(made.path)


def many_levels(path: Path, names: str, unit: str, count: int, z: int = 1) -> Path:
    factor = {"micrometer": 1e-3, "nanometer": 1.0}[unit]
    levels, data = {}, DATA
    for number in range(count):
        size = np.array((50.0 * z**number, 10.0 * 2**number, 12.0 * 2**number)) * factor
        start = np.array((1000, 2000, 3000)) * factor
        steps = [step("scale", scale_of(names, tuple(size))),
                 step("translation", [dict(zip("zyx", start, strict=True)).get(axis, 0.0)
                                      for axis in names])]  # fmt: skip
        levels[str(number)] = (stored_as(names, data), steps)
        data = coarser(data, z)
    return published(path, levels, names=names, unit=unit)


@pytest.mark.parametrize(
    ("names", "unit", "count", "z", "axes"),
    [
        ("zyx", "micrometer", 1, 1, "zyx"),
        ("tczyx", "micrometer", 3, 1, "tczyx"),
        ("czyx", "nanometer", 2, 2, "czyx"),
        ("zyx", "micrometer", 3, 2, "zyx"),
        ("yx", "micrometer", 2, 1, "yx"),
        ("tyx", "nanometer", 1, 1, "tyx"),
    ],
)
def test_labels_have_the_axes_units_and_levels_of_the_image(
    tmp_path: Path, names: str, unit: str, count: int, z: int, axes: str
) -> None:
    path = many_levels(tmp_path / "a.zarr", names, unit, count, z)
    labels, image = with_labels(path), read_image(path)
    assert len(labels.levels) == len(image.levels) == count
    assert labels.units == image.units == (unit,) * 3
    assert "".join(labels.levels[0].axes) == axes
    assert labels.complete and labels.levels[0].voxel_size == image.levels[0].voxel_size
    assert labels.levels[0].translation == image.levels[0].translation
    assert [level.shape for level in label_levels(image, "uint16")] == [
        level.shape for level in labels.levels
    ]
    volume = open_volume(labels.path)
    assert np.array_equal(volume.values, MASKS[: len(volume)])
    for axis in "zyx":
        assert volume[axis].values == pytest.approx(open_volume(path)[axis].values, rel=1e-12)
    for number, level in enumerate(labels.levels):
        found = open_volume(labels.path, level=number)
        step = 2**number
        assert np.array_equal(found.values, MASKS[: len(volume), ::step, ::step])
        assert level.translation[2] == pytest.approx(3000 + 12 * (step - 1) / 2)
    again = store.create_labels(
        path, "nuclei", image.levels[0].shape, "uint16", image.levels[0].voxel_size,
        translation=image.levels[0].translation, run=tmp_path / "a.run",
    )  # fmt: skip
    assert again.complete  # as it is, so that a run can continue
    _validate(path)


@pytest.mark.parametrize("names", ["zyxc", "xyz", "zcyx"])
def test_beside_axes_in_another_order_labels_are_z_y_x(tmp_path: Path, names: str) -> None:
    path = many_levels(tmp_path / "a.zarr", names, "micrometer", 2)
    labels = with_labels(path)
    assert labels.levels[0].axes == ("z", "y", "x")
    assert np.array_equal(open_volume(labels.path).values, MASKS)
    ImageLabel.from_zarr(zarr.open_group(labels.path, mode="r"))


def test_labels_elsewhere_have_them_too(tmp_path: Path) -> None:
    levels = {"0": (stored_as("tczyx"), scale_of("tczyx", (0.05, 0.01, 0.012)))}
    path = published(tmp_path / "a.zarr", levels, names="tczyx", unit="micrometer", version="0.4")
    labels = with_labels(path, tmp_path / "mine.zarr")
    assert labels.units == ("micrometer",) * 3
    assert labels.levels[0].axes == ("t", "c", "z", "y", "x")
    assert np.array_equal(open_volume(labels.path).values, MASKS)


def _validate(path: Path) -> None:
    for inside in (path, path / "labels", path / "labels" / "nuclei"):
        yaozarrs.validate_zarr_store(str(inside))
    group = zarr.open_group(path, mode="r", use_consolidated=False)
    ImageModel.from_zarr(group)
    labels: Any = group["labels"]
    Labels.from_zarr(labels)
    ImageLabel.from_zarr(labels["nuclei"])


def consolidate(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(path, zarr_format=3)


@pytest.mark.parametrize("where", ["the image", "its labels too", "a collection around it"])
def test_readers_of_consolidated_metadata_see_the_labels(tmp_path: Path, where: str) -> None:
    root = tmp_path / "a.zarr"
    path = root / "images" / "em" if "collection" in where else root
    if path != root:
        zarr.create_group(root, zarr_format=3).create_group("images")
    published(path, {"0": (DATA, (50, 10, 12))})
    if where == "its labels too":
        zarr.open_group(path).create_group("labels", attributes={"ome": {"version": "0.5"}})
        consolidate(path / "labels")
    consolidate(root)
    with_labels(path)
    seen = zarr.open_group(root, mode="r", use_consolidated=True)
    name = f"{path.relative_to(root).as_posix()}/labels/nuclei".removeprefix("./")
    label: Any = seen[name]
    assert label.attrs["ome"]["image-label"]["properties"] == [{"label-value": 1, "volume": 2.0}]
    assert label["0"].shape == DATA.shape
    labels: Any = zarr.open_group(root, mode="r")[name.removesuffix("/nuclei")]
    assert labels.attrs["ome"]["labels"] == ["nuclei"]
    with_default = zarr.open_group(root, mode="r")
    assert with_default[f"{name}/0"].shape == DATA.shape  # type: ignore[union-attr]
    with xr.open_zarr(root, group=f"{name}") as opened:
        assert opened["0"].dims == ("z", "y", "x")


def test_a_store_without_a_consolidated_copy_gets_none(tmp_path: Path) -> None:
    path = published(tmp_path / "a.zarr", {"0": (DATA, (50, 10, 12))})
    with_labels(path)
    assert "consolidated_metadata" not in json.loads((path / "zarr.json").read_text())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_copy_that_cannot_be_made_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", logger="hela_dask")  # commands before may have made it quiet
    path = published(tmp_path / "a.zarr", {"0": (DATA, (50, 10, 12))})
    consolidate(path)
    (path / "other").mkdir()
    os.mkfifo(path / "other" / "zarr.json")
    with_labels(path)
    assert np.array_equal(open_volume(path / "labels" / "nuclei").values, MASKS)
    assert len(caplog.messages) == 1  # not for every label group
    assert "consolidated metadata of" in caplog.text and "named pipe" in caplog.text
