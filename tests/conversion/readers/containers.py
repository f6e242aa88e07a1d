"""Small HDF5, Imaris and N5 containers to read, written by their layouts."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from hela_dask.conversion.convert import convert
from hela_dask.volume.opening import open_volume

DATA = np.random.default_rng(0).integers(60, 240, (10, 33, 41), np.uint8)
SIZE = (50.0, 10.0, 12.0)


def converted(source: str | Path, target: Path, size: Any = SIZE) -> NDArray[Any]:
    """The voxels of a source after its conversion."""
    convert(source, target, voxel_size=size, progress=False, overwrite=True)
    return np.asarray(open_volume(target).data)


def as_tiff(folder: Path, data: NDArray[Any]) -> NDArray[Any]:
    """The voxels after the conversion of a TIFF of the same data."""
    tifffile.imwrite(folder / "same.tif", data, photometric="minisblack")
    return converted(folder / "same.tif", folder / "same.ome.zarr")


def h5(path: Path, data: NDArray[Any] = DATA, name: str = "raw", **more: Any) -> Path:
    """An HDF5 file with one dataset; `attrs` are its attributes."""
    h5py = pytest.importorskip("h5py", reason="the extra [formats] is not installed")
    attrs = more.pop("attrs", {})
    with h5py.File(path, "a") as file:
        file.create_dataset(name, data=data, **more).attrs.update(attrs)
    return path


def _characters(text: Any) -> NDArray[Any]:
    """An attribute as Imaris writes it: an array of single characters."""
    return np.array([char.encode() for char in str(text)], "S1")


def imaris(
    path: Path,
    data: NDArray[Any] = DATA,
    *,
    channels: int = 1,
    times: int = 1,
    pad: int = 8,
    **changed: Any,
) -> Path:
    """An Imaris 5.5 file with two levels; stored arrays are filled to whole chunks of `pad`.

    `changed` are attributes of the group ``DataSetInfo/Image``; None leaves one out.
    """
    h5py = pytest.importorskip("h5py", reason="the extra [formats] is not installed")
    depth, high, wide = data.shape
    info = {
        **{"X": wide, "Y": high, "Z": depth, "Unit": "um"},
        **{"ExtMin0": 0, "ExtMin1": 0, "ExtMin2": 0},
        **{"ExtMax0": wide * 0.012, "ExtMax1": high * 0.01, "ExtMax2": depth * 0.05},
    } | changed
    with h5py.File(path, "w") as file:
        image = file.create_group("DataSetInfo/Image")
        for name, value in info.items():
            if value is not None:
                image.attrs[name] = _characters(value)
        for level, part in enumerate((data, data[:, ::2, ::2])):
            for time in range(times):
                for channel in range(channels):
                    group = file.create_group(
                        f"DataSet/ResolutionLevel {level}/TimePoint {time}/Channel {channel}"
                    )
                    for axis, length in zip("ZYX", part.shape, strict=True):
                        group.attrs[f"ImageSize{axis}"] = _characters(length)
                    more = [(0, -length % pad) for length in part.shape]
                    group.create_dataset(
                        "Data", data=np.pad(part, more), chunks=(pad,) * 3, compression="gzip"
                    )
    return path


def n5(folder: Path, data: NDArray[Any] = DATA, **header: Any) -> Path:
    """An N5 array by the public specification: raw blocks, big-endian, x first.

    Blocks at the end are as short as the array.
    """
    folder.mkdir(parents=True, exist_ok=True)
    block = header.pop("blockSize", [16, 16, 4])
    header = {
        "dimensions": list(data.shape[::-1]),
        "blockSize": block,
        "dataType": data.dtype.name,
        "compression": {"type": "raw"},
    } | header
    (folder / "attributes.json").write_text(json.dumps(header), "utf-8")
    sides = block[::-1]
    grid = [-(-length // side) for length, side in zip(data.shape, sides, strict=True)]
    for place in np.ndindex(*grid):
        part = data[
            tuple(slice(n * side, (n + 1) * side) for n, side in zip(place, sides, strict=True))
        ]
        file = folder.joinpath(*map(str, place[::-1]))
        file.parent.mkdir(parents=True, exist_ok=True)
        start = struct.pack(f">HH{part.ndim}I", 0, part.ndim, *part.shape[::-1])
        file.write_bytes(start + part.astype(part.dtype.newbyteorder(">")).tobytes())
    return folder
