"""What cannot be segmented is refused before the work; what is odd is said, by info and run."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from hela_dask.conversion.describe import describe
from hela_dask.errors import HelaDaskError, InputError
from hela_dask.running.options import RunOptions
from hela_dask.running.prepare import prepare
from hela_dask.storage import store
from hela_dask.storage.contents import missing_files
from hela_dask.tasks.markers import fingerprint_files
from hela_dask.volume.opening import read_image
from tests.storage.test_labels_beside import consolidate, with_labels
from tests.storage.test_ome_axes import DATA, published

SIZE = (50, 10, 10.4)


def of(path: Path, data: Any, size: Any = SIZE, **options: Any) -> Path:
    return published(path, {"0": (data, size)}, **options)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (DATA > 100, "holds true and false, as a mask does, not grey values"),
        (DATA.astype("c8"), "holds complex64 values, not grey values"),
        (np.where(DATA > 100, np.nan, DATA - 90.0), "NaN or infinite values .* beside values be"),
        (np.where(DATA > 100, np.inf, -1).astype("f4"), "NaN or infinite values .* beside values"),
        (DATA[:, :1], r"slices of 10 x 166.4 nm \(y, x\), in which no cell fits"),
        (DATA[:, :, :2], r"slices of 120 x 20.8 nm \(y, x\), in which no cell fits"),
    ],
)
def test_what_holds_no_grey_values_is_refused(tmp_path: Path, data: Any, sentence: str) -> None:
    path = of(tmp_path / "a.zarr", data)
    with pytest.raises(InputError, match=sentence):
        prepare(RunOptions(path))
    found = describe(path)
    assert found["grey"] is None
    assert any(sentence[:20] in remark for remark in found["remarks"])


@pytest.mark.parametrize(
    ("data", "remark"),
    [
        (np.where(DATA < 50, np.nan, DATA).astype("f4"), r"holds NaN or infinite values \(2. %"),
        (np.full(DATA.shape, np.nan), r"holds NaN or infinite values \(1e\+02 %"),
        (DATA, None),
        (DATA.astype("f8"), None),
    ],
)
def test_nan_is_counted(tmp_path: Path, data: Any, remark: str | None) -> None:
    path = of(tmp_path / "a.zarr", data)
    found, remarks = describe(path), prepare(RunOptions(path)).remarks
    assert found["remarks"] == list(remarks)
    assert bool(remarks) == (remark is not None)
    if remark is not None:
        assert re.search(remark, remarks[0])
    if remark is None or "2." in remark:
        assert found["grey"]["min"] == np.nanmin(data)
        assert found["grey"]["mean"] == pytest.approx(np.nanmean(data))
        assert found["grey"]["not_finite"] == np.isnan(data.astype("f8")).sum()


@pytest.mark.parametrize(
    ("size", "remark"),
    [
        ((10, 10, 50), "not square: is the order of the voxel size z, y, x?"),
        ((50000, 10000, 10000), "pixels of 10 µm, in which no membrane is seen"),
        ((5, 10, 10), "thinner than its pixels"),
    ],
)
def test_an_unlikely_voxel_size_is_reported(tmp_path: Path, size: Any, remark: str) -> None:
    path = of(tmp_path / "a.zarr", DATA, size)
    assert remark in prepare(RunOptions(path)).remarks[0]
    assert remark in describe(path)["remarks"][0]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("separator", ["/", "."])
def test_missing_files_of_other_stores_are_counted(
    tmp_path: Path, version: str, separator: str
) -> None:
    group = zarr.open_group(
        of(tmp_path / "a.zarr", DATA, version=version), mode="r+", use_consolidated=False
    )
    del group["0"]
    name = "v2" if version == "0.4" else "default"
    group.create_array("0", data=DATA, chunks=(1, 5, 8),
                       chunk_key_encoding={"name": name, "separator": separator})  # fmt: skip
    path = tmp_path / "a.zarr"
    level = read_image(path).levels[0]
    assert missing_files(path, level) == (0, 24)
    files = sorted(
        file for file in (path / "0").rglob("*") if file.is_file() and file.name[-1].isdigit()
    )
    assert len(files) == 24
    for file in files[:5]:
        file.unlink()
    sentence = "5 of the 24 files of '0', its finest level, are not there"
    assert sentence in describe(path)["remarks"][0]
    assert sentence in prepare(RunOptions(path, labels=tmp_path / "l")).remarks[0]
    for file in files[5:]:
        file.unlink()
    with pytest.raises(InputError, match="has no data: none of the 24 files of '0'"):
        prepare(RunOptions(path))


def test_absurd_shapes_neither_hang_nor_fill_the_memory(tmp_path: Path) -> None:
    shapes = {"long": (10**9,) * 3, "large": (100, 10**5, 10**5), "thick": (32, 10**5, 10**5)}
    chunks = {"long": (1, 512, 512), "large": (1, 1000, 1000), "thick": (16, 10**5, 10**5)}
    for name, shape in shapes.items():
        path = of(tmp_path / f"{name}.zarr", DATA)
        content = json.loads((path / "0" / "zarr.json").read_text())
        content["shape"] = list(shape)
        content["chunk_grid"]["configuration"]["chunk_shape"] = list(chunks[name])
        (path / "0" / "zarr.json").write_text(json.dumps(content))
    array = zarr.open_array(tmp_path / "large.zarr" / "0")
    array[:1, :1000, :1000] = 7
    with pytest.raises(InputError, match="states 1000000000 voxels along z; 1 to 16777216 are"):
        describe(tmp_path / "long.zarr")
    large = describe(tmp_path / "large.zarr")
    assert large["shape"] == [100, 10**5, 10**5]
    assert "files of '0', its finest level, are not there" in large["remarks"][0]
    assert large["grey"]["max"] == 7 and large["grey"]["share"] < 1e-3
    thick = describe(tmp_path / "thick.zarr")
    assert thick["grey"] is None
    assert "stores chunks of 16 x 100000 x 100000 voxels" in thick["remarks"][-1]
    with pytest.raises(InputError, match=r"each takes 149.0 GiB: write it again with smaller"):
        prepare(RunOptions(tmp_path / "thick.zarr"))


def test_labels_beside_consolidated_metadata_leave_the_fingerprint(tmp_path: Path) -> None:
    path = of(tmp_path / "a.zarr", DATA)
    before = fingerprint_files(path, skip=["labels"])
    consolidate(path)
    with_labels(path)
    assert "labels/nuclei" in json.loads((path / "zarr.json").read_text())[
        "consolidated_metadata"]["metadata"]  # fmt: skip
    assert fingerprint_files(path, skip=["labels"]) == before
    content = json.loads((path / "zarr.json").read_text())
    content["attributes"]["ome"]["multiscales"][0]["name"] = "another"
    (path / "zarr.json").write_text(json.dumps(content))
    assert fingerprint_files(path, skip=["labels"]) != before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("name", ["zarr.json", ".zattrs", ".zgroup", ".zarray"])
@pytest.mark.parametrize("folder", [".", "0", "labels", "labels/nuclei"])
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_pipe_is_never_waited_for(tmp_path: Path, name: str, folder: str, version: str) -> None:
    path = of(tmp_path / "a.zarr", DATA, version=version)
    (path / folder).mkdir(parents=True, exist_ok=True)
    (path / folder / name).unlink(missing_ok=True)
    os.mkfifo(path / folder / name)
    message: list[str] = []
    for read in (
        read_image,
        describe,
        lambda store: prepare(RunOptions(store, labels=tmp_path / "l")),
    ):
        try:
            found = read(path)
            message += found["remarks"] if isinstance(found, dict) else []
        except HelaDaskError as error:
            message.append(str(error))
    assert not any("\n" in text for text in message)
    if folder == "labels/nuclei":  # not read with the image
        with pytest.raises(InputError, match="is a named pipe"):
            read_image(path / folder)
        return
    # v3 is read where both formats are; a group beside an array, and labels inside, do not count.
    with_v3 = version == "0.5" and name != "zarr.json"
    if folder in (".", "0") and not with_v3 and (folder, name) != ("0", ".zgroup"):
        assert len(message) == 3 and all("is a named pipe" in text for text in message)
    else:
        assert any("is a named pipe" in text for text in message)  # found by the fingerprint


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_pipe_instead_of_a_chunk_is_named(tmp_path: Path, version: str) -> None:
    path = of(tmp_path / "a.zarr", DATA, version=version)
    file = next(
        file for file in sorted((path / "0").rglob("*")) if file.is_file() and file.name[-1] == "0"
    )
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(OSError, match="is no file"):
        describe(path)


def test_the_remarks_of_a_store_of_ours_are_none(tmp_path: Path) -> None:
    image = store.create_image(tmp_path / "a.ome.zarr", (4, 9, 9), "uint8", SIZE, name="a")
    for z0, z1 in store.slabs(image):
        store.write_slab(image, z0, np.zeros((z1 - z0, 9, 9), np.uint8))
    assert describe(image.path)["remarks"] == []  # no file at all, as all is 0
    assert prepare(RunOptions(image.path)).remarks == ()
