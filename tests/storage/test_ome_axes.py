"""Axes, units, transformations and the order of levels, as other programs write them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray

from hela_dask import convert, evaluate
from hela_dask.conversion.describe import describe
from hela_dask.conversion.sources import open_source
from hela_dask.errors import InputError
from hela_dask.evaluation.labels_input import open_labels
from hela_dask.geometry import Geometry
from hela_dask.storage import store
from hela_dask.storage.level_array import LevelArray
from hela_dask.volume.opening import open_volume, read_image

DATA = np.random.default_rng(0).integers(1, 200, (4, 12, 16), dtype=np.uint8)
KINDS = {"t": "time", "c": "channel"}


def stored_as(names: str, data: NDArray[Any] = DATA) -> NDArray[Any]:
    """The volume with its axes in another order, and with axes of length one."""
    there = [axis for axis in names if axis in "zyx"]
    if "z" not in there:
        data = data[0]
    full = data.transpose([("zyx" if "z" in there else "yx").index(axis) for axis in there])
    return full.reshape([full.shape[there.index(a)] if a in there else 1 for a in names])


def published(
    path: Path,
    levels: dict[str, tuple[NDArray[Any], Any]],
    *,
    names: str = "zyx",
    unit: Any = "nanometer",
    version: str = "0.5",
    more: dict[str, Any] | None = None,
) -> Path:
    """A store with these levels: array, and scale or list of transformations, of each."""
    units = unit if isinstance(unit, dict) else dict.fromkeys("zyx", unit)
    group = zarr.open_group(path, mode="w", zarr_format=2 if version < "0.5" else 3)
    datasets = []
    for name, (data, steps) in levels.items():
        titles = tuple(names) if version >= "0.5" and len(names) == data.ndim else None
        chunks = tuple(min(5, length) for length in data.shape)
        group.create_array(name, data=data, chunks=chunks, dimension_names=titles)
        plain = not any(isinstance(step, dict) for step in steps)
        listed = [{"type": "scale", "scale": list(steps)}] if plain else steps
        datasets.append({"path": name, "coordinateTransformations": listed})
    axes: list[dict[str, Any]] = [
        {"name": axis, "type": KINDS.get(axis, "space")}
        | ({"unit": units[axis]} if units.get(axis) else {})
        for axis in names
    ]
    image = {"axes": axes, "datasets": datasets, **(more or {})}
    if version < "0.5":
        group.attrs["multiscales"] = [{**image, "version": version}]
    else:
        group.attrs["ome"] = {"version": version, "multiscales": [image]}
    return path


def scale_of(names: str, size: tuple[float, float, float] = (50, 10, 12)) -> list[float]:
    return [dict(zip("zyx", size, strict=True)).get(axis, 1.0) for axis in names]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("names", ["zyxc", "zcyx", "tczyx", "xyz", "yxz", "ctxzy", "zxy"])
def test_axes_may_stand_anywhere(tmp_path: Path, names: str, version: str) -> None:
    path = published(tmp_path / "a.zarr", {"0": (stored_as(names), scale_of(names))},
                     names=names, version=version)  # fmt: skip
    volume = open_volume(path)
    assert volume.dims == ("z", "y", "x")
    assert Geometry.of(volume).voxel_size == (50, 10, 12)
    assert np.array_equal(volume.values, DATA)
    assert np.array_equal(volume[1:3, 2:9, ::3].values, DATA[1:3, 2:9, ::3])
    assert np.array_equal(volume[2, -1].values, DATA[2, -1])
    assert np.array_equal(volume[[0, 3], :, 5].values, DATA[[0, 3], :, 5])
    array = LevelArray.from_level(path, read_image(path).levels[0])
    assert array.shape == array[...].shape == (4, 12, 16)
    assert np.array_equal(array[1, ..., 3], DATA[1, ..., 3])
    assert np.array_equal(open_source(path).read(1, 4), DATA[1:4])
    assert np.array_equal(open_labels(path, "labels").read(0, 2), DATA[:2])
    grey = describe(path)["grey"]
    assert (grey["min"], grey["max"], grey["mean"]) == (DATA.min(), DATA.max(), DATA.mean())
    assert np.array_equal(open_volume(convert(path, tmp_path / "b.ome.zarr").path).values, DATA)
    labels = published(tmp_path / "l.zarr", {"0": (DATA, (50, 10, 12))})
    assert evaluate(path, labels)["f1"].min() == 1.0


def test_names_in_the_array_that_contradict_the_group_are_warned_of(tmp_path: Path) -> None:
    path = published(tmp_path / "a.zarr", {"0": (DATA, scale_of("zyx"))})
    assert not read_image(path).remarks
    described = path / "0" / "zarr.json"
    content = json.loads(described.read_text())
    for names, warned in ((["x", "y", "z"], True), (["Z", "Y", "X"], False), (None, False)):
        described.write_text(json.dumps(content | {"dimension_names": names}))
        text = " ".join(read_image(path).remarks)
        assert ("x, y, z by those of its array '0'" in text) == warned


def test_a_plane_with_axes_turned(tmp_path: Path) -> None:
    path = published(tmp_path / "a.zarr", {"0": (stored_as("xcy"), scale_of("xcy"))}, names="xcy")
    volume = open_volume(path)
    assert volume.shape == (1, 12, 16) and Geometry.of(volume).voxel_size == (10, 10, 12)
    assert np.array_equal(volume.values[0], DATA[0])
    assert np.array_equal(volume[0, 3].values, DATA[0, 3])


def test_each_axis_has_its_own_unit(tmp_path: Path) -> None:
    units = {"z": "Micrometers", "y": "Å", "x": "nm"}
    path = published(tmp_path / "a.zarr", {"0": (DATA, (0.05, 100, 12))}, unit=units)
    assert read_image(path).levels[0].voxel_size == (50, 10, 12)
    assert read_image(path).units == ("micrometer", "angstrom", "nanometer")


@pytest.mark.parametrize(
    ("units", "sizes", "sentence"),
    [
        ({"z": "furlong", "y": "nm", "x": "nm"}, (None, 10, 12), "along z is 'furlong', which is"),
        ({"z": "nm"}, (50, None, None), "unit along y, x is none"),
        ({"z": "pixel", "y": "pixel", "x": "pixel"}, (None,) * 3, "along z, y, x is 'pixel'"),
    ],
)
def test_what_has_no_unit_is_named(tmp_path: Path, units: Any, sizes: Any, sentence: str) -> None:
    path = published(tmp_path / "a.zarr", {"0": (DATA, (50, 10, 12))}, unit=units)
    with pytest.raises(InputError, match=rf"does not state its voxel size .*{sentence}"):
        open_volume(path)
    source = open_source(path)
    assert source.sizes == sizes and source.translation == (0, 0, 0)


def step(kind: str, values: Any) -> dict[str, Any]:
    return {"type": kind, kind: list(values)}


def test_transformations_are_composed_dataset_first(tmp_path: Path) -> None:
    steps = [step("scale", (1, 2, 3)), step("translation", (7, 8, 9)), {"type": "identity"}]
    more = {"coordinateTransformations": [step("scale", (5, 5, 4)), step("translation", (1, 2, 3))]}
    path = published(tmp_path / "a.zarr", {"0": (DATA, steps)}, more=more)
    level = read_image(path).levels[0]
    assert level.voxel_size == (5, 10, 12)
    assert level.translation == (36, 42, 39)


def coarser(data: NDArray[Any], z: int = 1) -> NDArray[Any]:
    return data[::z, ::2, ::2]


def test_levels_are_sorted_by_voxel_size(tmp_path: Path) -> None:
    levels = {
        "mid": (coarser(DATA), (50, 20, 24)),
        "low": (coarser(coarser(DATA)), (50, 40, 48)),
        "full": (DATA, (50, 10, 12)),
    }
    image = read_image(published(tmp_path / "a.zarr", levels))
    assert [level.path for level in image.levels] == ["full", "mid", "low"]
    assert "lists level 'mid' before the finer 'full'" in image.remarks[0]
    assert np.array_equal(open_source(image.folder).read(0, 4), DATA)


def test_scales_that_contradict_the_shapes_are_refused(tmp_path: Path) -> None:
    levels = {"0": (coarser(DATA), (50, 10, 12)), "1": (DATA, (50, 20, 24))}
    with pytest.raises(InputError, match="level '1' has more voxels than level '0', whose voxels"):
        read_image(published(tmp_path / "a.zarr", levels))


@pytest.mark.parametrize(
    ("level", "problem"),
    [
        ((coarser(DATA), (50, 10, 12)), "voxels of 10 nm along y do not cover the 12 of 10 nm"),
        ((coarser(DATA), (50, 80, 96)), "do not cover"),
        ((coarser(DATA).astype("u2"), (50, 20, 24)), "it holds uint16, the finest level uint8"),
        ((coarser(DATA)[None], (50, 20, 24)), "has 4 axes, its metadata 3"),
    ],
)
def test_a_coarser_level_that_does_not_fit_is_left_out(
    tmp_path: Path, level: Any, problem: str
) -> None:
    image = read_image(published(tmp_path / "a.zarr", {"s0": (DATA, (50, 10, 12)), "s1": level}))
    assert [found.path for found in image.levels] == ["s0"]
    assert "level 's1' is left out: " in image.remarks[0] and problem in image.remarks[0]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_level_that_is_missing_is_named(tmp_path: Path, version: str) -> None:
    levels = {"s0": (DATA, (50, 10, 12)), "s1": (coarser(DATA), (50, 20, 24)),
              "s2": (coarser(coarser(DATA)), (50, 40, 48))}  # fmt: skip
    path = published(tmp_path / "a.zarr", levels, version=version)
    shutil.rmtree(path / "s1")
    image = read_image(path)
    assert [level.path for level in image.levels] == ["s0", "s2"]
    assert f"'s1' is left out: the folder {path / 's1'} is missing" in image.remarks[0]
    assert open_volume(path, 20).attrs["level"] == 0
    shutil.rmtree(path / "s0")
    with pytest.raises(InputError, match=r"no readable array 's0', its finest level: the folder"):
        read_image(path)


def test_the_first_of_several_pyramids_is_used_and_reported(tmp_path: Path) -> None:
    path = published(tmp_path / "a.zarr", {"0": (DATA, (50, 10, 12))})
    content = json.loads((path / "zarr.json").read_text())
    ome = content["attributes"]["ome"]
    ome["multiscales"].append({"axes": 7})
    (path / "zarr.json").write_text(json.dumps(content))
    assert "lists 2 pyramids (multiscales); the first is used" in read_image(path).remarks[0]


@pytest.mark.parametrize(
    ("written", "read"),
    [("0.4", "0.4"), ("0.4.1", "0.4"), ("0.5", "0.5"), ("0.5.1", "0.5"), ("0.5.12", "0.5"),
     (None, "0.5"), (0.5, "0.5"), ("0.1", None), ("0.3", None), ("0.6", None), ("0.6-dev1", None),
     ("0.55", None), ("latest", None), (7, None)],
)  # fmt: skip
def test_versions_that_are_read(tmp_path: Path, written: Any, read: str | None) -> None:
    path = published(tmp_path / "a.zarr", {"0": (DATA, (50, 10, 12))})
    content = json.loads((path / "zarr.json").read_text())
    content["attributes"]["ome"]["version"] = written
    (path / "zarr.json").write_text(json.dumps(content))
    if read is None:
        with pytest.raises(InputError, match=rf"is OME-Zarr {written}; versions 0\.4 and 0\.5"):
            read_image(path)
    else:
        assert read_image(path).version == read


def test_image_label_and_the_list_of_labels_decide_what_labels_are(tmp_path: Path) -> None:
    image = published(tmp_path / "labels" / "hela.zarr", {"0": (DATA, (50, 10, 12))})
    assert read_image(image).name == "image"
    assert describe(image)["grey"]["max"] == DATA.max()
    owner = store.create_image(
        tmp_path / "a.ome.zarr", (4, 12, 16), "uint8", (50, 10, 12), name="a"
    )
    labels = store.create_labels(owner.folder, "nuclei", (4, 12, 16), "uint8", (50, 10, 12))
    assert read_image(labels.path).name == "nuclei"
    listed = published(owner.folder / "labels" / "cells", {"0": (DATA, (50, 10, 12))})
    assert read_image(listed).name == "image"
    content = json.loads((owner.folder / "labels" / "zarr.json").read_text())
    content["attributes"]["ome"]["labels"].append("cells")
    (owner.folder / "labels" / "zarr.json").write_text(json.dumps(content))
    assert read_image(listed).name == "cells"


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4", "f2"])
def test_nan_and_infinity_are_read_as_a_frame(tmp_path: Path, dtype: str) -> None:
    data = DATA.astype(dtype)
    data[:, :3], data[0, 5, 5], data[1, 6, 6] = np.nan, np.inf, -np.inf
    expected = np.where(np.isfinite(data), data, 0)
    for names in ("zyx", "xyz"):
        path = published(tmp_path / f"{names}.zarr",
                         {"0": (stored_as(names, data), scale_of(names))}, names=names)  # fmt: skip
        assert np.array_equal(open_volume(path).values, expected)
        read = "f4" if dtype == "f2" else np.dtype(dtype).newbyteorder("=")
        assert open_volume(path).dtype == read


@pytest.mark.parametrize("unit", ["nanometer", "micrometer"])
def test_convert_keeps_the_place(tmp_path: Path, unit: str) -> None:
    factor = 1e-3 if unit == "micrometer" else 1.0
    steps = [step("scale", np.array((50, 10, 12)) * factor),
             step("translation", np.array((1000, 2000.5, 3000)) * factor)]  # fmt: skip
    data = np.broadcast_to(np.uint8(7), (2, 300, 300)).copy()
    path = published(tmp_path / "a.zarr", {"0": (data, steps)}, unit=unit)
    image = convert(path, tmp_path / "b.ome.zarr")
    assert [level.translation for level in image.levels] == [
        (1000, 2000.5, 3000),
        (1000, 2005.5, 3006),
    ]
    assert image.levels[0].voxel_size == (50, 10, 12)
    assert float(open_volume(image.path).x[1]) == 3012


def test_convert_keeps_the_offset_in_voxels_where_their_size_is_given(tmp_path: Path) -> None:
    steps = [step("scale", (50, 10, 12)), step("translation", (100, 20, 36))]
    path = published(tmp_path / "a.zarr", {"0": (DATA, steps)}, unit=None)
    image = convert(path, tmp_path / "b.ome.zarr", voxel_size=(50, 10, 12))
    assert image.levels[0].translation == (0, 0, 0)  # of an unknown unit
