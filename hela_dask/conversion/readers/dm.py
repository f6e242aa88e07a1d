"""DigitalMicrograph (dm3, dm4) as a volume: a file with a stack, or a folder with one per slice."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.conversion.readers.lengths import Calibration, Found, combined, voxel_length
from hela_dask.conversion.readers.optional import needed
from hela_dask.conversion.readers.pixels import PageFacts, Samples
from hela_dask.conversion.readers.slice_sets import Entries, Slice, alone, slices_source
from hela_dask.conversion.readers.source import Source
from hela_dask.conversion.readers.tiff_file import Place
from hela_dask.errors import InputError
from hela_dask.storage.formats import KIND_NAMES, how_to_read, is_pointer

__all__ = ["open_dm", "open_dm_folder"]

# The numbers of DigitalMicrograph for types of values that are read
_TYPES = {
    1: "i2", 2: "f4", 6: "u1", 7: "i4", 9: "i1", 10: "u2", 11: "u4", 12: "f8", 14: "u1",
}  # fmt: skip
_COLOURS = (8, 23)
_RGB = 23
_BLACK_IS_ZERO = 1
# Slices are opened in several threads. ncempy asks numpy for types of several values, which parses
# them as Python; Python 3.11 counts the depth of all such texts together, and fails.
_LOCK = threading.Lock()


@dataclass(frozen=True)
class _Header:
    """The image of a file, and where its values are."""

    shape: tuple[int, int, int]  # z, y, x
    dtype: np.dtype[Any]  # as stored
    offset: int  # of the first value, bytes
    calibration: Calibration
    remarks: tuple[str, ...]


def open_dm(path: Path) -> Source:
    """A dm3 or dm4 file with one image, its slices in the order in which they are stored.

    The voxel size is that of its calibrations; InputError where it is damaged, holds several
    images, or is no stack of grey slices.
    """
    header = _read_header(path)

    def read(z0: int, z1: int) -> NDArray[Any]:
        return _values(path, header)[z0:z1]

    return Source(
        path=path,
        kind=KIND_NAMES["dm"],
        shape=header.shape,
        dtype=header.dtype.newbyteorder("="),
        sizes=header.calibration.sizes,
        files=(path,),
        reader=read,
        remarks=tuple(f"{path}: {remark}" for remark in header.remarks),
        size_origins=header.calibration.origins,
        facts={
            "order": "slices as stored",
            "first slice": "slice 1",
            "last slice": f"slice {header.shape[0]}",
        },
    )


def open_dm_folder(folder: Path, entries: Entries) -> Source:
    """A folder with one dm3 or dm4 file per slice, in natural order of the names."""
    if len(entries.names) == 1:
        return alone(folder, open_dm(folder / entries.names[0]), entries)
    return slices_source(
        folder, entries, "grey", noun="DigitalMicrograph", header=_slice_header, decode=_decode
    )


def _slice_header(file: Path) -> Slice:
    header = _read_header(file)
    depth, high, wide = header.shape
    if depth > 1:
        raise InputError(
            f"{file} holds {depth} slices; in a folder each file is one slice: name the file "
            "itself if it is a stack"
        )
    bits = 8 * header.dtype.itemsize
    dtype = header.dtype.newbyteorder("=")
    facts = PageFacts((high, wide), dtype, bits, _BLACK_IS_ZERO, 1, None, None)
    return Slice(0, facts, header.calibration, header.remarks)


def _decode(places: Sequence[Place], samples: Samples) -> NDArray[Any]:
    """The slices at some places, (slices, y, x)."""
    block = np.empty((len(places), *places[0].facts.shape), samples.dtype)
    for position, place in enumerate(places):
        header = _read_header(place.file)
        if header.shape != (1, *place.facts.shape):
            raise InputError(
                f"{place.file} changed while it was read: its shape is now {header.shape}"
            )
        block[position] = samples.apply(_values(place.file, header)[0], place.facts)
    return block


def _values(path: Path, header: _Header) -> NDArray[Any]:
    """The values of a file, mapped: a part is read when it is used."""
    return np.memmap(path, header.dtype, mode="r", offset=header.offset, shape=header.shape)


def _read_header(path: Path) -> _Header:
    if path.stat().st_size == 0 or is_pointer(path):
        raise InputError(how_to_read(path))
    tags = _tags(path)
    number = _image(path, tags)
    prefix = f".ImageList.{number}.ImageData."
    lengths = [int(tags[name]) for n in range(1, 6) if (name := f"{prefix}Dimensions.{n}") in tags]
    while len(lengths) > 3 and lengths[-1] == 1:
        lengths.pop()
    if len(lengths) not in (2, 3) or 0 in lengths:
        shown = " x ".join(map(str, lengths[::-1])) or "no axes"
        raise InputError(
            f"{path} has the shape {shown}; a volume is one stack of grey slices (z, y, x)"
        )
    kind = int(tags[f"{prefix}DataType"])
    if kind not in _TYPES:
        what = "colours" if kind in _COLOURS else f"values of DigitalMicrograph's type {kind}"
        raise InputError(
            f"{path} holds {what}, not grey values: save it as a grey image in DigitalMicrograph"
        )
    dtype = np.dtype(f"<{_TYPES[kind]}")
    wide, high, depth = (*lengths, 1)[:3]
    _check_length(path, tags, prefix, depth * high * wide * dtype.itemsize)
    return _Header(
        (depth, high, wide),
        dtype,
        int(tags[f"{prefix}Data.arrayOffset"]),
        _calibration(tags, prefix, len(lengths)),
        tuple(_brightness(tags, prefix)),
    )


def _tags(path: Path) -> Mapping[str, Any]:
    """All tags of a file by their paths; of the values only the place."""
    dm = needed("ncempy.io.dm", path, KIND_NAMES["dm"])
    try:
        with _LOCK, warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")
            tags: Mapping[str, Any] = dm.fileDM(file).allTags
    except Exception as error:  # ncempy computes with numbers of the file as they are
        reason = " ".join(str(error).split())[:150] or type(error).__name__
        raise InputError(
            f"{path} is {KIND_NAMES['dm']}, but not a whole one ({reason}): copy it again"
        ) from error
    return tags


def _image(path: Path, tags: Mapping[str, Any]) -> int:
    """The number of the image in a file, without the thumbnail before it."""
    numbers = [
        number
        for number in range(1, 100)
        if f".ImageList.{number}.ImageData.Data.arrayOffset" in tags
    ]
    images = [
        number
        for number in numbers
        if not (number == 1 and len(numbers) > 1 and _is_thumbnail(tags, number))
    ]
    if len(images) != 1:
        raise InputError(
            f"{path} holds {len(images) or 'no'} images: save one of them alone in "
            "DigitalMicrograph"
        )
    needs = [f".ImageList.{images[0]}.ImageData.{name}" for name in ("DataType", "Dimensions.1")]
    if lost := [name for name in needs if name not in tags]:
        raise InputError(f"{path} is damaged: its tag {lost[0]} is missing; copy it again")
    return images[0]


def _is_thumbnail(tags: Mapping[str, Any], number: int) -> bool:
    prefix = f".ImageList.{number}.ImageData."
    return tags.get(f"{prefix}DataType") == _RGB and f"{prefix}Dimensions.3" not in tags


def _check_length(path: Path, tags: Mapping[str, Any], prefix: str, wanted: int) -> None:
    start, stored = (int(tags.get(f"{prefix}Data.array{name}", 0)) for name in ("Offset", "Size"))
    there = path.stat().st_size - start
    if min(stored, there) < wanted:
        raise InputError(
            f"{path} is truncated or damaged: its image needs {wanted} bytes, and the file has "
            f"{max(0, min(stored, there))}; copy it again"
        )


def _calibration(tags: Mapping[str, Any], prefix: str, axes: int) -> Calibration:
    found: list[Found] = [(None, "")] * 3
    for number in range(1, axes + 1):
        name = f"{prefix}Calibrations.Dimension.{number}"
        scale = tags.get(f"{name}.Scale")
        if scale is not None:
            unit = str(tags.get(f"{name}.Units") or "").strip("\0 ")
            origin = f"DigitalMicrograph calibration of dimension {number}"
            # As a number of few digits: a dm file holds single precision.
            value = float(f"{float(scale):.7g}") if math.isfinite(scale) else scale
            found[number - 1] = voxel_length(value, unit, origin)
    return combined(found[2], found[1], found[0])


def _brightness(tags: Mapping[str, Any], prefix: str) -> list[str]:
    """A sentence where the values have a calibration, which is not applied."""
    scale, origin = (
        float(tags.get(f"{prefix}Calibrations.Brightness.{name}", default))
        for name, default in (("Scale", 1.0), ("Origin", 0.0))
    )
    if scale in (0.0, 1.0) and origin == 0.0:
        return []
    return [
        f"its brightness is calibrated (scale {scale:g}, origin {origin:g}), which is not applied: "
        "values are read as they are stored"
    ]
