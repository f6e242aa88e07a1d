"""Damaged and odd metadata: one sentence from every door, no traceback, nothing waited for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from hela_dask import evaluate
from hela_dask.conversion.convert import convert
from hela_dask.conversion.describe import describe
from hela_dask.errors import HelaDaskError, InputError, StorageError
from hela_dask.running.options import RunOptions
from hela_dask.running.prepare import prepare
from hela_dask.volume.opening import open_volume, read_image
from tests.storage.test_ome_axes import DATA, published, step

Edit = Callable[[dict[str, Any]], object]


def store(path: Path, **options: Any) -> Path:
    return published(path, {"0": (DATA, (50, 10, 12))}, **options)


def edited(path: Path, edit: Edit, file: str = "zarr.json") -> Path:
    content = json.loads((store(path) / file).read_text())
    edit(content)
    (path / file).write_text(json.dumps(content))
    return path


def first(values: dict[str, Any]) -> Edit:
    """Changes to the first pyramid."""
    return lambda content: content["attributes"]["ome"]["multiscales"][0].update(values)


def dataset(values: dict[str, Any]) -> Edit:
    """Changes to its first level."""
    return lambda content: content["attributes"]["ome"]["multiscales"][0]["datasets"][0].update(
        values
    )


def scale(*values: Any) -> Edit:
    return dataset({"coordinateTransformations": [{"type": "scale", "scale": list(values)}]})


def refuse(path: Path, sentence: str) -> None:
    """Every door refuses the store with the sentence, on one line."""
    doors: list[Callable[[], Any]] = [
        lambda: read_image(path, unknown_scale=True),
        lambda: describe(path),
        lambda: convert(path, path.parent / "b.ome.zarr", progress=False),
        lambda: prepare(RunOptions(path)),
        lambda: evaluate(path, path),
    ]
    for door in doors:
        with pytest.raises(HelaDaskError, match=sentence) as caught:
            door()
        assert "\n" not in str(caught.value) and path.name in str(caught.value)


_STEP = r"datasets\[0\]\.coordinateTransformations\[0\]"


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (scale("50", 10, 10), rf"{_STEP}\.scale\[0\] must be a number, not '50'"),
        (scale(50, None, 10), rf"{_STEP}\.scale\[1\] must be a number, not null"),
        (scale(10**400, 1, 1), "has more than 64 bits"),
        (scale(50, 10, True), rf"{_STEP}\.scale\[2\] must be a number, not true"),
        (scale(-50, 10, 10), "voxel size of -50 nanometer along z"),
        (scale(50, 0, 10), "voxel size of 0 nanometer along y"),
        (scale(float("nan"), 1, 1), rf"{_STEP}\.scale\[0\] must be a finite number, not nan"),
        (scale(float("inf"), 1, 1), "must be a finite number, not inf"),
        (scale(50, 10), "level '0' has a scale of 2 numbers for 3 axes"),
        (dataset({"coordinateTransformations": 5}), "coordinateTransformations must be a list"),
        (dataset({"coordinateTransformations": [{"type": "scale"}]}), "has no list of numbers"),
        (dataset({"coordinateTransformations": [{"type": "affine"}]}), "is of the type 'affine'"),
        (dataset({"coordinateTransformations": [step("scale", (1, 1, 1)),
                  step("translation", (1e300, 0, 0))]}), "lengths along z that cannot be"),
        (dataset({"path": "../other"}), r"path '\.\./other', which names no array of the group"),
        (dataset({"path": "/etc"}), "path '/etc', which names no array of the group"),
        (dataset({"path": "a" * 5000}), "which names no array of the group"),
        (dataset({"path": 5}), r"datasets\[0\]\.path must be text, not 5"),
        (first({"axes": None}), "axes must be a list, not null"),
        (first({"axes": "zyx"}), "axes must be a list, not 'zyx'"),
        (first({"axes": [{"name": 1}] * 3}), r"axes\[0\]\.name must be text, not 1"),
        (first({"axes": [{"name": "y"}, {"name": "y"}, {"name": "x"}]}), "two axes of one name"),
        (first({"axes": [{"name": "z", "type": "channel"}, {"name": "y"}, {"name": "x"}]}),
         "calls its axis z one of channel"),
        (first({"datasets": ["0"]}), r"datasets\[0\] must be a table, not '0'"),
        (first({"datasets": []}), "datasets must be of at least 1 item"),
        (lambda content: content["attributes"].update(ome=[1]), "its 'ome' is no table"),
        (lambda content: content["attributes"]["ome"].update(multiscales=[None]), "is no list"),
        (lambda content: content.update(attributes=[1]), "attributes must be a table"),
        (lambda content: content.update(zarr_format=4), "zarr_format must be 3, not 4"),
        (lambda content: content.update(node_type="tree"), "'group' or 'array', not 'tree'"),
        (lambda content: content["attributes"].update(hela_dask={"source": 5}),
         "hela_dask: source must be a table, not 5"),
    ],
)  # fmt: skip
def test_metadata_of_another_shape_is_refused(tmp_path: Path, edit: Edit, sentence: str) -> None:
    refuse(edited(tmp_path / "a.zarr", edit), sentence)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"shape": [-4, 12, 16]}, r"shape\[0\] must be at least 0, not -4"),
        ({"shape": [0, 12, 16]}, "states 0 voxels along z"),
        ({"shape": [10**9] * 3}, "states 1000000000 voxels along z"),
        ({"shape": [12, 16]}, "cannot be used"),
        ({"codecs": [{"name": "nope"}]}, "cannot be used: Unknown codec: 'nope'"),
        ({"data_type": 5}, "cannot be used"),
        ({"fill_value": "abc"}, "cannot be used"),
        ({"chunk_grid": {"name": "rectilinear", "configuration": {}}}, "Unknown chunk grid"),
        ({"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [0, 5, 5]}}},
         "has chunks of no voxels"),
    ],
)  # fmt: skip
def test_arrays_of_another_shape_are_refused(
    tmp_path: Path, values: dict[str, Any], sentence: str
) -> None:
    path = edited(tmp_path / "a.zarr", lambda content: content.update(values), "0/zarr.json")
    refuse(path, sentence)


@pytest.mark.parametrize("file", ["zarr.json", "0/zarr.json"])
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b'{"zarr_format":3,"attributes":' + b'{"a":' * 10_000, "nested too deeply|not valid JSON"),
        (b"", "is empty"),
        (b"\xff\xfe\xfd", "not a text file|not valid JSON|is empty"),
        (b'{"zarr_format": 3', "not valid JSON"),
        (b" " * (33 * 2**20), "too large"),
    ],
)
def test_text_that_is_no_metadata_is_refused(
    tmp_path: Path, file: str, content: bytes, sentence: str
) -> None:
    path = store(tmp_path / "a.zarr")
    (path / file).write_bytes(content)
    refuse(path, sentence)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_chunk_that_is_a_link_to_nothing_is_no_missing_chunk(
    tmp_path: Path, version: str
) -> None:
    path = store(tmp_path / "a.zarr", version=version)
    file = min(item for item in (path / "0").rglob("*") if item.is_file() and item.name[-1] == "0")
    file.unlink()
    file.symlink_to(tmp_path / "annex" / "content")
    with pytest.raises(StorageError, match=r"is damaged \(it is a link to nothing\)"):
        open_volume(path).values  # noqa: B018
    with pytest.raises(InputError, match="is a link to a file that is not there"):
        prepare(RunOptions(path, labels=tmp_path / "l"))


def test_a_link_to_itself_is_no_metadata(tmp_path: Path) -> None:
    path = store(tmp_path / "a.zarr")
    (path / "zarr.json").unlink()
    (path / "zarr.json").symlink_to("zarr.json")
    (path / "s1.tif").symlink_to("s1.tif")
    refuse(path, "link to nothing|not an OME-Zarr store|folder of slices")


def test_a_copy_of_the_metadata_is_never_read(tmp_path: Path) -> None:
    path = edited(
        tmp_path / "a.zarr",
        lambda content: content.update(
            consolidated_metadata={"kind": "inline", "metadata": {"0": {"shape": "nonsense"}}}
        ),
    )
    assert np.array_equal(open_volume(path).values, DATA)


@pytest.mark.parametrize("mix", ["v2 array", "both groups", "no .zgroup", "0.4 in v3"])
def test_formats_may_be_mixed(tmp_path: Path, mix: str) -> None:
    path = store(tmp_path / "a.zarr", version="0.5" if mix in ("v2 array", "0.4 in v3") else "0.4")
    if mix == "v2 array":
        (path / "0" / "zarr.json").unlink()
        zarr.create_array(path / "0", data=DATA, zarr_format=2, overwrite=True)
    elif mix == "both groups":
        zarr.create_group(path, zarr_format=3)
    elif mix == "no .zgroup":
        (path / ".zgroup").unlink()
    else:
        content = json.loads((path / "zarr.json").read_text())
        pyramids = content["attributes"].pop("ome")["multiscales"]
        content["attributes"]["multiscales"] = [{**pyramids[0], "version": "0.4"}]
        (path / "zarr.json").write_text(json.dumps(content))
    assert np.array_equal(open_volume(path).values, DATA)
    (remark,) = describe(path)["remarks"]
    assert "not square" in remark  # of its voxel size, which the formats do not change


@pytest.mark.parametrize("kind", ["collection", "plate", "well", "spatialdata", "plain folder"])
def test_what_holds_images_names_one(tmp_path: Path, kind: str) -> None:
    root, inside, content = tmp_path / "a.zarr", "0", dict[str, Any]()
    if kind == "collection":
        content = {"ome": {"version": "0.5", "bioformats2raw.layout": 3}}
    elif kind == "plate":
        inside, content = "A/1/0", {"ome": {"version": "0.5", "plate": {"wells": []}}}
    elif kind == "well":
        content = {"ome": {"version": "0.5", "well": {"images": [{"path": "0"}]}}}
    elif kind == "spatialdata":
        inside, content = "images/em", {"spatialdata_attrs": {"version": "0.2"}}
    if kind == "plain folder":
        root.mkdir()
        inside = "color"
    else:
        zarr.create_group(root, zarr_format=3, attributes=content)
    store(root / inside)
    with pytest.raises(InputError, match=f"such as {root / inside}"):
        read_image(root)


def test_labels_need_no_voxel_size(tmp_path: Path) -> None:
    path = store(tmp_path / "a.zarr", unit=None)
    assert evaluate(path, DATA)["f1"].min() == 1.0
    big_endian = published(tmp_path / "b.zarr", {"0": (DATA.astype(">u2"), (50, 10, 12))},
                           version="0.4")  # fmt: skip
    assert evaluate(big_endian, DATA.astype(">u4"))["f1"].min() == 1.0
