"""N5: arrays and scales, x first in its metadata, compressions, and blocks that are missing."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hela_dask.conversion.describe import describe
from hela_dask.conversion.sources import open_source
from hela_dask.errors import InputError, MissingDependencyError
from hela_dask.volume.opening import read_image
from tests.conversion.readers.containers import DATA, as_tiff, converted, n5
from tests.conversion.readers.tiffs import cut, remark_of

tensorstore = pytest.importorskip("tensorstore", reason="the extra [formats] is not installed")

PIXELS = {"pixelResolution": {"unit": "nm", "dimensions": [12, 10, 50]}}


def attributes(folder: Path, **more: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "attributes.json").write_text(json.dumps(more), "utf-8")


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
def test_an_array_by_the_specification_has_the_bits_of_a_tiff(tmp_path: Path, dtype: str) -> None:
    data = DATA.astype(dtype)
    path = n5(tmp_path / "a.n5", data)
    source = open_source(path)
    assert source.shape == DATA.shape  # dimensions are 41, 33, 10
    assert not source.remarks
    assert np.array_equal(source.read(3, 6), data[3:6])
    assert np.array_equal(converted(path, tmp_path / "a.ome.zarr"), as_tiff(tmp_path, data))


@pytest.mark.parametrize("kind", ["raw", "gzip", "bzip2", "xz", "blosc", "zstd"])
def test_each_compression_is_read(tmp_path: Path, kind: str) -> None:
    more = {"cname": "lz4", "clevel": 5, "shuffle": 1} if kind == "blosc" else {}
    others = {"nthreads": 1, "blocksize": 0, "level": 3, "nbWorkers": 0}  # of Java's N5
    spec = {
        "driver": "n5",
        "kvstore": {"driver": "file", "path": f"{tmp_path}/a.n5/raw"},
        "metadata": {
            "dimensions": list(DATA.shape[::-1]),
            "blockSize": [16, 16, 4],
            "dataType": "uint16",
            "compression": {"type": kind, **more},
        },
    }
    data = DATA.astype(np.uint16) * 200
    tensorstore.open(spec, create=True).result()[...] = data.T
    header = tmp_path / "a.n5" / "raw" / "attributes.json"
    stored = json.loads(header.read_text("utf-8"))
    stored["compression"] |= others if kind in ("blosc", "zstd") else {}
    header.write_text(json.dumps(stored | {"axes": 3, "units": "nm"}), "utf-8")
    assert np.array_equal(open_source(tmp_path / "a.n5").read(0, 10), data)


def test_the_finest_scale_of_a_group_is_read(tmp_path: Path) -> None:
    group = tmp_path / "a.n5" / "volumes" / "raw"
    attributes(tmp_path / "a.n5", n5="4.0.0")
    attributes(group, **PIXELS)
    n5(group / "s0")
    n5(group / "s1", DATA[:, ::2, ::2], downsamplingFactors=[2, 2, 1])
    for path in (f"{tmp_path}/a.n5", f"{tmp_path}/a.n5::/volumes/raw", group, group / "s0"):
        source = open_source(path)
        assert np.array_equal(source.read(0, 10), DATA)
        assert source.sizes == (50, 10, 12)
    assert np.array_equal(converted(group, tmp_path / "a.ome.zarr", None), DATA)
    coarse = open_source(f"{tmp_path}/a.n5::/volumes/raw/s1")
    assert coarse.sizes == (50, 20, 24)
    assert "times downsamplingFactors" in coarse.size_origins[1]


def test_a_container_is_never_written_into(tmp_path: Path) -> None:
    path = n5(tmp_path / "a.n5")
    for source in (path, f"{path}::/"):
        with pytest.raises(InputError, match="lies in or around the source"):
            converted(source, path / "x.ome.zarr")
    assert not (path / "x.ome.zarr").exists()


def test_several_arrays_are_named(tmp_path: Path) -> None:
    n5(tmp_path / "a.n5" / "raw" / "s0")
    n5(tmp_path / "a.n5" / "raw" / "s1", DATA[:, ::2, ::2])
    n5(tmp_path / "a.n5" / "cells", (DATA > 99).astype(np.uint64))
    with pytest.raises(
        InputError,
        match=r"2 volumes; .*::/cells \(10 x 33 x 41, uint64\), .*::/raw/s0 \(10 x 33 x 41, uint8",
    ):
        open_source(tmp_path / "a.n5")
    labels = open_source(f"{tmp_path}/a.n5::/cells", role="labels")
    assert np.array_equal(labels.read(0, 10), DATA > 99)
    with pytest.raises(InputError, match="has no 'nothing'"):
        open_source(f"{tmp_path}/a.n5::/nothing")
    with pytest.raises(InputError, match="is an N5 container, not an OME-Zarr store: convert it"):
        read_image(tmp_path / "a.n5")


@pytest.mark.parametrize(
    ("more", "sizes", "origin"),
    [
        ({}, (None,) * 3, ""),
        (PIXELS, (50, 10, 12), "N5 attribute pixelResolution"),
        ({"resolution": [12, 10, 50], "units": ["nm"] * 3}, (50, 10, 12), "attribute resolution"),
        ({"resolution": [0.012, 0.01, 0.05], "units": "um"}, (50, 10, 12), "attribute resolution"),
        ({"pixelResolution": [12, 10, 50], "units": ["nm"] * 3}, (50, 10, 12), "pixelResolution"),
        ({"pixelWidth": 12.0, "pixelHeight": 10, "pixelDepth": 50, "pixelUnit": "nm"},
         (50, 10, 12), "pixelDepth"),
        ({"transform": {"axes": ["z", "y", "x"], "scale": [50, 10, 12], "units": ["nm"] * 3}},
         (50, 10, 12), "transform"),
        ({"resolution": [12, 10, 50]}, (None,) * 3, "resolution 50 without a unit"),
        ({"resolution": [12, 10, 0], "units": "nm"}, (None, 10, 12), "0, which is no size"),
        ({"resolution": [12, 10, "x"], "units": "nm"}, (None, 10, 12), "'x', which is no number"),
        ({"resolution": [12, 10], "units": "nm"}, (None,) * 3, "[12, 10], not one number per axis"),
        ({**PIXELS, "resolution": [12, 10, 40], "units": "nm"}, (None, 10, 12),
         "pixelResolution is 50 nm and N5 attribute resolution is 40 nm"),
    ],
)  # fmt: skip
def test_the_voxel_size_is_that_of_the_attributes(
    tmp_path: Path, more: dict[str, Any], sizes: tuple[float | None, ...], origin: str
) -> None:
    path = n5(tmp_path / "a.n5", **more)
    source = open_source(path)
    assert source.sizes == sizes
    assert origin in source.size_origins[0]
    if None in sizes:
        with pytest.raises(InputError, match="--voxel-size Z Y X"):
            converted(path, tmp_path / "a.ome.zarr", None)


def test_axes_of_length_one_are_left_out_and_others_refused(tmp_path: Path) -> None:
    # As Fiji writes it: x, y, c, z, t
    path = n5(tmp_path / "a.n5", DATA[None, :, None], blockSize=[16, 16, 1, 4, 1])
    assert np.array_equal(open_source(path).read(0, 10), DATA)
    named = {"axes": ["x", "y", "c", "z"], "resolution": [12, 10, 1, 50], "units": "nm"}
    path = n5(tmp_path / "b.n5", DATA[:, None], blockSize=[16, 16, 1, 4], **named)
    assert open_source(path).sizes == (50, 10, 12)
    assert np.array_equal(open_source(path).read(9, 10), DATA[9:])
    two = np.stack([DATA, DATA], 1)
    path = n5(tmp_path / "c.n5", two, blockSize=[16, 16, 1, 4], **named)
    with pytest.raises(InputError, match="has 2 channels"):
        open_source(path)
    path = n5(tmp_path / "d.n5", two, blockSize=[16, 16, 1, 4])
    with pytest.raises(InputError, match="4 axes longer than one"):
        open_source(path)
    turned = n5(tmp_path / "e.n5", DATA.T, axes=["z", "y", "x"])
    assert np.array_equal(open_source(turned).read(2, 5), DATA[2:5])
    assert "its axes are stored in the order x y z, and read as z y x" in (
        remark_of(open_source(turned))
    )


def test_blocks_that_are_missing_are_counted(tmp_path: Path) -> None:
    path = n5(tmp_path / "a.n5")
    (path / "0" / "0" / "0").unlink()
    source = open_source(path)
    assert "1 of its 27 blocks are not there; their voxels are read as 0" in remark_of(source)
    assert not source.read(0, 4)[:, :16, :16].any()
    for file in path.rglob("*"):
        if file.name.isdecimal() and file.is_file():
            file.unlink()
    with pytest.raises(InputError, match="has no data: none of its 27 blocks is there"):
        open_source(path)


def test_a_damaged_block_is_an_error(tmp_path: Path) -> None:
    for length in (0, 10, 500):
        path = n5(tmp_path / f"{length}.n5")
        cut(path / "1" / "0" / "1", length / (path / "1" / "0" / "1").stat().st_size)
        with pytest.raises(InputError, match=r"\.n5 cannot be read and is probably damaged"):
            open_source(path).read(0, 10)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"compression": {"type": "lz4"}}, "the compression 'lz4', which cannot be read here; raw"),
        ({"compression": None}, "the compression None"),
        ({"dataType": "string"}, "values of the type 'string', no numbers"),
        ({"dimensions": [41, 33]}, "is damaged: dimensions .* are not one whole number per axis"),
        ({"dimensions": [41, 33, -1]}, "is damaged: dimensions"),
        ({"dimensions": "x"}, "is damaged: dimensions"),
        ({"dimensions": [0, 33, 10]}, "is empty: its shape is 10 x 33 x 0"),
    ],
)
def test_a_header_that_makes_no_sense_is_refused(
    tmp_path: Path, more: dict[str, Any], sentence: str
) -> None:
    path = n5(tmp_path / "a.n5", **more)
    for call in (open_source, describe):
        with pytest.raises(InputError, match=sentence):
            call(path)


def test_a_container_without_an_array_is_refused(tmp_path: Path) -> None:
    attributes(tmp_path / "a.n5", n5="4.0.0")
    with pytest.raises(InputError, match="holds no N5 array"):
        open_source(tmp_path / "a.n5")
    (tmp_path / "a.n5" / "attributes.json").write_text("x")
    with pytest.raises(InputError, match=r"attributes\.json"):
        open_source(tmp_path / "a.n5")


def test_a_missing_package_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = n5(tmp_path / "a.n5")
    monkeypatch.setitem(sys.modules, "tensorstore", None)
    with pytest.raises(MissingDependencyError, match=r"tensorstore.*'hela_dask\[formats\]'"):
        open_source(path)
