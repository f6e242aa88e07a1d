"""N5 as a volume: an array of a container, or the finest level of a group of scales."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.conversion.readers.lengths import Found, agreed, voxel_length
from hela_dask.conversion.readers.names import natural_key
from hela_dask.conversion.readers.optional import needed
from hela_dask.conversion.readers.source import Source
from hela_dask.conversion.readers.stored import StoredVolume, axis_names, choose, stored_source
from hela_dask.documents.reading import read_json
from hela_dask.errors import InputError
from hela_dask.storage.formats import is_n5
from hela_dask.storage.inside import INSIDE

__all__ = ["open_n5"]

_KIND = "an N5 container"
_MARK = "attributes.json"
_COMPRESSIONS = ("raw", "gzip", "bzip2", "xz", "blosc", "zstd")
# Settings without which a block cannot be decoded, or with which it is checked
_SETTINGS = {"gzip": ("useZlib",), "blosc": ("cname", "clevel", "shuffle")}
_BLOSC = {"cname": "lz4", "clevel": 5, "shuffle": 1}  # only used for writing
_TYPES = tuple(f"{kind}{bits}" for kind in ("uint", "int") for bits in (8, 16, 32, 64))
_TYPES += ("float32", "float64")
_LOOKED_AT = 10_000  # folders of a container
_DEPTH = 8


@dataclass(frozen=True)
class _Array:
    """The header of an array; N5 lists its axes with x first."""

    folder: Path
    shape: tuple[int, ...]  # last axis first: z, y, x
    dtype: np.dtype[Any]
    chunks: tuple[int, ...]  # in the same order
    attributes: Mapping[str, Any]


def open_n5(path: Path, container: Path, inside: str | None) -> Source:
    """An array of an N5 container; of a group with scales s0, s1, ..., the finest.

    The voxel size is that of the attributes ``pixelResolution``, ``transform`` or ``resolution``
    with its units, of the array or of its groups; sizes that contradict are not used.
    """
    if not container.is_dir():
        raise InputError(f"{container} is no folder: an N5 container is one")
    folder = container / inside if inside else container
    if not folder.is_dir() or ".." in Path(inside or "").parts:
        raise InputError(f"{container} has no {inside!r}: name an array or group in it")
    found = {array.folder.relative_to(folder).as_posix(): array for array in _arrays(folder)}
    found = _finest(folder, found)
    if not found:
        raise InputError(f"{folder} holds no N5 array: the folder has no attributes.json of one")
    place = next(iter(found)) if len(found) == 1 else choose(folder, found, "array")
    array = found[place]
    if place != ".":
        path = Path(f"{container}{INSIDE}/{array.folder.relative_to(container).as_posix()}")
    return stored_source(_volume(path, array))


def _volume(path: Path, array: _Array) -> StoredVolume:
    axes = axis_names(path, array.shape, _axes(array))
    blocks = sorted(file for file in array.folder.rglob("*") if file.is_file())
    headers = [folder / _MARK for folder in _groups(array.folder) if (folder / _MARK).is_file()]
    stored = sum(file.name.isdecimal() for file in blocks)
    wanted = math.prod(-(-n // c) for n, c in zip(array.shape, array.chunks, strict=True))
    if stored == 0:
        raise InputError(f"{path} has no data: none of its {wanted} blocks is there; copy it again")
    remarks = []
    if stored < wanted:
        remarks.append(
            f"{wanted - stored} of its {wanted} blocks are not there; their voxels are read as 0, "
            "as the format states"
        )
    if "offset" in array.attributes and np.any(array.attributes["offset"]):
        remarks.append(
            f"its attribute offset ({array.attributes['offset']}) is not applied: positions begin "
            "at its first voxel"
        )
    needed("tensorstore", path, _KIND)
    header = {
        "dimensions": array.shape[::-1],
        "blockSize": array.chunks[::-1],
        "dataType": array.dtype.name,
        "compression": _compression(array.attributes),
    }
    return StoredVolume(
        path=path,
        kind="an N5 array",
        shape=array.shape,
        dtype=array.dtype,
        axes=axes,
        read=lambda part: _read(array.folder, header, part),
        calibration=agreed(_sizes(array, axes)),
        files=(*headers, *(file for file in blocks if file not in headers)),
        remarks=remarks,
        facts={
            "array": str(array.folder),
            "order": "the last of N5's axes first: x y z is read as z y x",
            "chunks": " x ".join(map(str, array.chunks)),
        },
    )


def _read(folder: Path, header: Mapping[str, Any], part: tuple[slice, ...]) -> NDArray[Any]:
    """A part of an array, one slice per axis, the last of N5's axes first.

    `header` replaces attributes.json: tensorstore refuses attributes of other programs.
    """
    tensorstore = needed("tensorstore", folder, _KIND)
    context = tensorstore.Context()
    memory = {"driver": "memory", "path": _MARK}
    headers = tensorstore.KvStore.open({"driver": "memory"}, context=context).result()
    headers.write(_MARK, json.dumps(header).encode()).result()
    layers = [
        {"base": {"driver": "file", "path": f"{folder.absolute().as_posix()}/"}},
        {"exact": _MARK, "base": memory},
    ]
    spec = {"driver": "n5", "kvstore": {"driver": "kvstack", "layers": layers}}
    array = tensorstore.open(spec, open=True, read=True, context=context).result()
    return np.asarray(array[part[::-1]].read().result()).T


def _arrays(folder: Path) -> Iterator[_Array]:
    """The arrays at a folder and below, by the natural order of their names."""
    folders, looked = [folder], 0
    while folders and looked < _LOOKED_AT:
        looked += 1
        place = folders.pop(0)
        header = _attributes(place)
        if "dimensions" in header:
            yield _header(place, header)
        elif len(place.relative_to(folder).parts) < _DEPTH:
            inner = [item for item in place.iterdir() if item.is_dir() and item.name[0] != "."]
            folders += sorted(inner, key=lambda item: natural_key(item.name))


def _attributes(folder: Path) -> Mapping[str, Any]:
    if not (folder / _MARK).exists():
        return {}
    found = read_json(folder / _MARK)
    if not isinstance(found, dict):
        raise InputError(f"{folder / _MARK} is damaged: it is no table")
    return found


def _header(folder: Path, header: Mapping[str, Any]) -> _Array:
    file = folder / _MARK
    lengths, blocks = header["dimensions"], header.get("blockSize", ())
    if not (_counts(lengths, 0) and _counts(blocks, 1) and len(lengths) == len(blocks)):
        raise InputError(
            f"{file} is damaged: dimensions {lengths} and blockSize {blocks} are not one whole "
            "number per axis"
        )
    if header.get("dataType") not in _TYPES:
        raise InputError(f"{file} states values of the type {header.get('dataType')!r}, no numbers")
    kind = _compression(header).get("type")
    if kind not in _COMPRESSIONS:
        raise InputError(
            f"{file} states the compression {kind!r}, which cannot be read here; "
            f"{', '.join(_COMPRESSIONS)} can: export the array with one of them"
        )
    return _Array(
        folder, tuple(lengths[::-1]), np.dtype(header["dataType"]), tuple(blocks[::-1]), header
    )


def _compression(header: Mapping[str, Any]) -> dict[str, Any]:
    """The compression as tensorstore takes it: only the settings that are known."""
    found = header.get("compression", header.get("compressionType"))
    if not isinstance(found, dict):  # as the first version of N5 has it
        return {"type": found}
    kind = found.get("type")
    settings = {"type": kind, **(_BLOSC if kind == "blosc" else {})}
    return settings | {name: found[name] for name in _SETTINGS.get(str(kind), ()) if name in found}


def _counts(values: Any, least: int) -> bool:
    return isinstance(values, list) and all(type(n) is int and n >= least for n in values)


def _finest(folder: Path, found: Mapping[str, _Array]) -> dict[str, _Array]:
    """The same without the coarser scales s1, s2, ... beside an array s0."""
    coarse = {
        name
        for name in found
        if (last := Path(name).name)[:1] == "s"
        and last[1:].isdecimal()
        and last != "s0"
        and (Path(name).parent / "s0").as_posix() in found
    }
    return {name: array for name, array in found.items() if name not in coarse}


def _groups(folder: Path) -> list[Path]:
    """The folder of an array and the groups around it, as far as the container reaches."""
    around = [folder]
    while is_n5(around[-1].parent) and len(around) <= _DEPTH:
        around.append(around[-1].parent)
    return around


def _axes(array: _Array) -> list[str] | None:
    """The names of the axes in the order of :class:`_Array`, where the attributes list them."""
    names = array.attributes.get("axes")
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        return None
    return [str(name) for name in names[::-1]]


def _sizes(array: _Array, axes: Sequence[str]) -> list[dict[str, Found]]:
    """Voxel sizes that the attributes of an array and of the groups around it state.

    Those of groups are of the finest level: the array's ``downsamplingFactors`` multiply them.
    """
    found: list[dict[str, Found]] = []
    factors = array.attributes.get("downsamplingFactors")
    for folder in _groups(array.folder):
        attributes = _attributes(folder)
        own = folder == array.folder
        pixels = attributes.get("pixelResolution")
        if isinstance(pixels, dict):
            found.append(
                _by_axis(
                    "pixelResolution", pixels.get("dimensions"), pixels.get("unit"), axes, factors
                )
            )
        elif pixels is not None:
            found.append(
                _by_axis("pixelResolution", pixels, attributes.get("units"), axes, factors)
            )
        if "resolution" in attributes:
            unit = attributes.get("units", attributes.get("unit"))
            by = None if own else factors
            found.append(_by_axis("resolution", attributes["resolution"], unit, axes, by))
        if own and isinstance(attributes.get("transform"), dict):
            found.append(_transform(attributes["transform"]))
        if own and "pixelWidth" in attributes:
            found.append(_imagej(attributes))
        if any(size[0] is not None for item in found for size in item.values()):
            break  # the nearest statement: groups further out describe other arrays, too
    return found


def _by_axis(
    name: str, values: Any, unit: Any, axes: Sequence[str], factors: Any
) -> dict[str, Found]:
    """An attribute with a length per axis, x first, as N5 lists its axes."""
    origin = f"N5 attribute {name}"
    named = [axis for axis in axes[::-1] if axis in ("x", "y", "z")]
    named = list(axes[::-1]) if isinstance(values, list) and len(values) == len(axes) else named
    if not (isinstance(values, list) and len(values) == len(named)):
        shown = json.dumps(values)[:40]
        return dict.fromkeys("zyx", (None, f"{origin} is {shown}, not one number per axis"))
    units = unit if isinstance(unit, list) and len(unit) == len(named) else [unit] * len(named)
    by = factors if isinstance(factors, list) and len(factors) == len(named) else [1] * len(named)
    if by != [1] * len(named):
        origin += " times downsamplingFactors"
    return {
        axis: voxel_length(
            value * factor if _number(value) and _number(factor) else value,
            text if isinstance(text, str) else "",
            origin,
        )
        for axis, value, text, factor in zip(named, values, units, by, strict=True)
        if axis in ("x", "y", "z")
    }


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _transform(transform: Mapping[str, Any]) -> dict[str, Found]:
    """The attribute ``transform`` of COSEM: lengths by the names of their axes."""
    names, scales = transform.get("axes"), transform.get("scale")
    units = transform.get("units")
    if not (isinstance(names, list) and isinstance(scales, list) and len(names) == len(scales)):
        return {}
    units = units if isinstance(units, list) and len(units) == len(names) else [""] * len(names)
    return {
        str(name): voxel_length(scale, str(unit), "N5 attribute transform")
        for name, scale, unit in zip(names, scales, units, strict=True)
    }


def _imagej(attributes: Mapping[str, Any]) -> dict[str, Found]:
    """The attributes that Fiji writes: ``pixelWidth``, ``pixelHeight``, ``pixelDepth``."""
    unit = str(attributes.get("pixelUnit") or "")
    return {
        axis: voxel_length(attributes[name], unit, f"N5 attribute {name}")
        for axis, name in (("z", "pixelDepth"), ("y", "pixelHeight"), ("x", "pixelWidth"))
        if name in attributes
    }
