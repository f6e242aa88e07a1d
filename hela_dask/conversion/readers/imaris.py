"""Imaris as a volume: one channel of one time point, without the padding of its stored arrays."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.conversion.readers.hdf5_file import attribute_text, check_dataset, read_dataset
from hela_dask.conversion.readers.lengths import Calibration, Found, combined, voxel_length
from hela_dask.conversion.readers.source import Source
from hela_dask.conversion.readers.stored import StoredVolume, stored_source
from hela_dask.errors import InputError
from hela_dask.storage.inside import INSIDE
from hela_dask.types import Shape, Triple
from hela_dask.units import to_nm

__all__ = ["open_imaris"]

_DATA = re.compile(r"DataSet/ResolutionLevel (\d+)/TimePoint (\d+)/Channel (\d+)(/Data)?$")
_AXES = {"z": "2", "y": "1", "x": "0"}  # Imaris numbers its axes x, y, z


def open_imaris(path: Path, container: Path, inside: str | None, file: Any) -> Source:
    """The array of an open Imaris file: `inside`, or the only one of the finest level.

    The voxel size is the extent (ExtMin, ExtMax and Unit) divided by the size of the image, which
    is smaller than the stored array: Imaris fills whole chunks.
    """
    place = _place(container, file, inside)
    channel = file[place]
    if "Data" not in channel:
        raise InputError(f"{container}: /{place} holds no Data: the file is damaged, copy it again")
    dataset = channel["Data"]
    shape, remarks = _image_size(container, file, channel, place, dataset.shape)
    remarks += check_dataset(container, dataset)
    extent = _extent(file)
    level = place.split("/")[1]
    if level != "ResolutionLevel 0":
        remarks.append(f"this is its {level}, a coarser copy of the image")
    path = Path(f"{container}{INSIDE}/{place}") if inside is not None else path

    def read(part: tuple[slice, ...]) -> NDArray[Any]:
        cut = tuple(slice(*key.indices(length)) for key, length in zip(part, shape, strict=True))
        return read_dataset(container, f"{place}/Data", cut)

    return stored_source(
        StoredVolume(
            path=path,
            kind="an Imaris file",
            shape=shape,
            dtype=dataset.dtype,
            axes=("z", "y", "x"),
            read=read,
            calibration=_calibration(file, extent, shape),
            files=(container,),
            translation=_translation(extent, attribute_text(_image(file).attrs.get("Unit"))),
            remarks=remarks,
            facts={"dataset": f"/{place}/Data", "stored": " x ".join(map(str, dataset.shape))},
        )
    )


def _place(container: Path, file: Any, inside: str | None) -> str:
    """The group of a channel in the file, checked: the only one, or the one that was named."""
    if inside is not None:
        named = _DATA.match(inside)
        place = inside.removesuffix("/Data")
        if named is None or place not in file:
            raise InputError(
                f"{container} has no {inside!r}: name a channel, as in {container}{INSIDE}"
                f"/{_channel(0, 0)}"
            )
        return place
    level = file.get("DataSet/ResolutionLevel 0")
    if level is None:
        raise InputError(
            f"{container} has no ResolutionLevel 0, its finest level: it is damaged, copy it again"
        )
    times = [name for name in level if name.startswith("TimePoint ")]
    if len(times) != 1:
        raise InputError(
            f"{container} has {len(times)} time points: name one, as in "
            f"{container}{INSIDE}/{_channel(0, 0)}"
        )
    channels = [name for name in level[times[0]] if name.startswith("Channel ")]
    if len(channels) != 1:
        raise InputError(
            f"{container} has {len(channels)} channels: name one, as in "
            f"{container}{INSIDE}/{_channel(0, 0)}"
        )
    return f"DataSet/ResolutionLevel 0/{times[0]}/{channels[0]}"


def _channel(time: int, channel: int) -> str:
    return f"DataSet/ResolutionLevel 0/TimePoint {time}/Channel {channel}"


def _image(file: Any) -> Any:
    return file["DataSetInfo/Image"] if "DataSetInfo/Image" in file else file["DataSetInfo"]


def _image_size(
    container: Path, file: Any, channel: Any, place: str, stored: tuple[int, ...]
) -> tuple[Shape, list[str]]:
    """Voxels of the image in a stored array, z, y, x."""
    if len(stored) != 3:
        raise InputError(f"{container}: /{place}/Data has {len(stored)} axes, not z, y and x")
    remarks: list[str] = []
    lengths = []
    whole = _image(file)
    for axis, length in zip("zyx", stored, strict=True):
        size = _count(channel, f"ImageSize{axis.upper()}")
        stated = _count(whole, axis.upper()) if "ResolutionLevel 0/" in place else None
        if size is not None and stated is not None and size != stated:
            raise InputError(
                f"{container} states two sizes of its image along {axis}: {size} (ImageSize) and "
                f"{stated} (DataSetInfo): write it again in Imaris"
            )
        size = size or stated
        if size is None:
            size = length
            remarks.append(
                f"it does not state the size of its image along {axis}: all {length} stored voxels "
                "are read, of which some may be padding"
            )
        if not 0 < size <= length:
            raise InputError(
                f"{container} states an image of {size} voxels along {axis}, and its array has "
                f"{length}: the file is damaged, copy it again"
            )
        lengths.append(size)
    return (lengths[0], lengths[1], lengths[2]), remarks


def _count(group: Any, name: str) -> int | None:
    text = attribute_text(group.attrs.get(name))
    return int(text) if text.isdecimal() else None


def _extent(file: Any) -> dict[str, tuple[float, float] | None]:
    """Start and end of the image along each axis, in its unit; None where they are not stated."""
    found: dict[str, tuple[float, float] | None] = {}
    attrs = _image(file).attrs
    for axis, number in _AXES.items():
        texts = [attribute_text(attrs.get(f"Ext{end}{number}")) for end in ("Min", "Max")]
        try:
            found[axis] = float(texts[0]), float(texts[1])
        except ValueError:
            found[axis] = None
    return found


def _calibration(
    file: Any, extent: dict[str, tuple[float, float] | None], shape: Shape
) -> Calibration:
    unit = attribute_text(_image(file).attrs.get("Unit"))
    sizes: list[Found] = []
    for length, (axis, number) in zip(shape, _AXES.items(), strict=True):
        ends = extent[axis]
        origin = f"Imaris ExtMin{number}, ExtMax{number}"
        if ends is None:
            sizes.append((None, f"{origin}: not stated"))
        else:
            sizes.append(voxel_length((ends[1] - ends[0]) / length, unit, origin))
    return combined(sizes[0], sizes[1], sizes[2])


def _translation(extent: dict[str, tuple[float, float] | None], unit: str) -> Triple:
    """Where the image begins, nm; 0 where its unit is no length."""
    factor = to_nm(unit) or 0.0
    starts = [
        0.0 if ends is None or not np.isfinite(ends[0]) else ends[0] for ends in extent.values()
    ]
    z, y, x = (float(f"{start * factor:.12g}") + 0.0 for start in starts)
    return z, y, x
