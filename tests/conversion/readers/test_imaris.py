"""Imaris: padding, level, channel and time point, and the voxel size from the extent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hela_dask.conversion.describe import describe
from hela_dask.conversion.sources import open_source
from hela_dask.errors import InputError
from tests.conversion.readers.containers import DATA, SIZE, as_tiff, converted, imaris
from tests.conversion.readers.tiffs import cut, remark_of

h5py = pytest.importorskip("h5py", reason="the extra [formats] is not installed")

FIRST = "DataSet/ResolutionLevel 0/TimePoint 0/Channel 0"


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_an_image_is_converted_without_padding_to_the_bits_of_a_tiff(
    tmp_path: Path, dtype: str
) -> None:
    data = DATA.astype(dtype)
    path = imaris(tmp_path / "a.ims", data)
    source = open_source(path)
    assert source.shape == DATA.shape  # stored with 16 x 40 x 48 voxels
    assert source.facts["stored"] == "16 x 40 x 48"
    assert source.sizes == pytest.approx(SIZE)
    assert not source.remarks
    assert np.array_equal(source.read(8, 10), data[8:10])
    found = converted(path, tmp_path / "a.ome.zarr", None)
    assert np.array_equal(found, as_tiff(tmp_path, data))
    assert describe(tmp_path / "a.ome.zarr")["voxel_size"] == pytest.approx(SIZE)


def test_channel_time_point_and_level_are_named(tmp_path: Path) -> None:
    two = imaris(tmp_path / "channels.ims", channels=2)
    with pytest.raises(InputError, match=rf"has 2 channels: name one, as in .*::/{FIRST}"):
        open_source(two)
    three = imaris(tmp_path / "times.ims", times=3)
    with pytest.raises(InputError, match="has 3 time points: name one"):
        open_source(three)
    for place in (FIRST, f"/{FIRST}/Data", FIRST.replace("Channel 0", "Channel 1")):
        assert np.array_equal(open_source(f"{two}::{place}").read(0, 10), DATA)
    for place in ("raw", "DataSetInfo/Image", FIRST.replace("Channel 0", "Channel 7")):
        with pytest.raises(InputError, match=f"has no '{place}': name a channel"):
            open_source(f"{two}::/{place}")
    coarse = open_source(f"{three}::/{FIRST.replace('Level 0', 'Level 1')}")
    assert np.array_equal(coarse.read(0, 10), DATA[:, ::2, ::2])
    assert "ResolutionLevel 1, a coarser copy of the image" in remark_of(coarse)
    assert coarse.sizes == pytest.approx((50, 10 * 33 / 17, 12 * 41 / 21))


@pytest.mark.parametrize(
    ("changed", "sizes", "reason"),
    [
        ({"Unit": "nm", "ExtMax0": 492, "ExtMax1": 330, "ExtMax2": 500}, SIZE, "ExtMin2, ExtMax2"),
        ({"Unit": None}, (None,) * 3, "0.05 without a unit"),
        ({"Unit": "pixel"}, (None,) * 3, "in the unit 'pixel', which is no length"),
        ({"ExtMax2": None}, (None, 10, 12), "not stated"),
        ({"ExtMax2": 0}, (None, 10, 12), "is 0, which is no size of a voxel"),
        ({"ExtMax2": "nan"}, (None, 10, 12), "is nan, which is no size of a voxel"),
    ],
)
def test_the_voxel_size_is_the_extent_divided_by_the_size(
    tmp_path: Path, changed: dict[str, Any], sizes: tuple[float | None, ...], reason: str
) -> None:
    path = imaris(tmp_path / "a.ims", **changed)
    source = open_source(path)
    assert source.sizes == pytest.approx(sizes)
    assert reason in source.size_origins[0]
    if None in sizes:
        with pytest.raises(InputError, match="--voxel-size Z Y X"):
            converted(path, tmp_path / "a.ome.zarr", None)


def test_the_place_of_the_image_is_kept(tmp_path: Path) -> None:
    path = imaris(tmp_path / "a.ims", ExtMin2=2, ExtMax2=2.5)
    assert open_source(path).translation == (2000, 0, 0)


def _attribute(path: Path, group: str, name: str, value: str | None) -> None:
    with h5py.File(path, "a") as file:
        if value is None:
            del file[group].attrs[name]
        else:
            file[group].attrs[name] = np.array([char.encode() for char in value], "S1")


def test_sizes_that_cannot_be_are_refused(tmp_path: Path) -> None:
    path = imaris(tmp_path / "a.ims")
    _attribute(path, FIRST, "ImageSizeX", "40")
    with pytest.raises(
        InputError, match=r"two sizes of its image along x: 40 \(ImageSize\) and 41"
    ):
        open_source(path)
    _attribute(path, "DataSetInfo/Image", "X", None)
    _attribute(path, FIRST, "ImageSizeX", "49")
    with pytest.raises(InputError, match="an image of 49 voxels along x, and its array has 48"):
        open_source(path)
    _attribute(path, FIRST, "ImageSizeX", None)
    source = open_source(path)
    assert source.shape == (10, 33, 48)
    assert "all 48 stored voxels are read, of which some may be padding" in remark_of(source)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    for share in (0.1, 0.5, 0.95):
        with pytest.raises(InputError, match=r"a\.ims is an HDF5 file, but not a whole one"):
            open_source(cut(imaris(tmp_path / "a.ims"), share))
    path = imaris(tmp_path / "b.ims")
    with h5py.File(path, "a") as file:
        del file[f"{FIRST}/Data"]
    with pytest.raises(InputError, match="holds no Data"):
        open_source(path)
    with h5py.File(path, "a") as file:
        del file["DataSet/ResolutionLevel 0"]
    with pytest.raises(InputError, match="has no ResolutionLevel 0"):
        open_source(path)
