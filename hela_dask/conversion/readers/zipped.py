"""A zipped OME-Zarr (``.ome.zarr.zip``, ``.ozx``) as a volume, read without unpacking it."""

from __future__ import annotations

import contextlib
import math
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.storage import ZipStore

from hela_dask.conversion.readers.lengths import Calibration
from hela_dask.conversion.readers.source import Source
from hela_dask.conversion.readers.stored import StoredVolume, stored_source
from hela_dask.documents.reading import LARGEST, parse_json
from hela_dask.errors import HelaDaskError, InputError, MissingInputError
from hela_dask.storage.formats import how_to_read, is_pointer
from hela_dask.storage.inside import INSIDE
from hela_dask.storage.level_order import read_pyramid
from hela_dask.storage.nodes import unique_error
from hela_dask.storage.ome import find_multiscale

__all__ = ["open_zip"]

_MARKS = ("zarr.json", ".zattrs")
_CHUNK = re.compile(r"(?:c[./])?\d+(?:[./]\d+)*")  # in the names of Zarr v2 and v3


def open_zip(path: Path, container: Path, inside: str | None) -> Source:
    """The finest level of the OME-Zarr in a zip archive: at `inside`, or the only one in it."""
    if container.stat().st_size == 0 or is_pointer(container):
        raise InputError(how_to_read(container))
    with _opened(container) as archive:
        names = archive.namelist()
        found = _images(container, archive, names)
    if inside is None and len(found) > 1:
        shown = ", ".join(f"{container}{INSIDE}/{name}" for name in list(found)[:8])
        raise InputError(f"{container} holds {len(found)} images: name one of them, as in {shown}")
    if not found and inside is None:
        raise InputError(f"{container} is a zip archive without an OME-Zarr image: unpack it")
    place = next(iter(found)) if inside is None else inside
    if place not in found:
        shown = ", ".join(name or "/" for name in list(found)[:8]) or "none"
        raise InputError(f"{container} has no image {inside!r}; its images are: {shown}")
    return _source(path, container, place, found[place], names)


def _source(
    path: Path, container: Path, place: str, attributes: Mapping[str, Any], names: list[str]
) -> Source:
    own = attributes.get("hela_dask")
    if isinstance(own, dict) and own.get("complete") is False:
        raise InputError(f"{path} is not finished: complete the command that writes it first")
    multiscale = find_multiscale(attributes, str(path))
    assert multiscale is not None
    version, levels, remarks = multiscale

    def opener(name: str) -> zarr.Array[Any]:
        return _array(container, "/".join(filter(None, (place, name))))

    pyramid = read_pyramid(path, levels, opener)
    finest = pyramid.levels[0]
    array_path = "/".join(filter(None, (place, finest.path)))
    array = opener(finest.path)
    sizes = tuple(None if math.isnan(size) else size for size in finest.voxel_size)
    unknown = any(math.isnan(start) for start in finest.translation)
    source = stored_source(
        StoredVolume(
            path=path,
            kind=f"a zipped OME-Zarr {version}",
            shape=array.shape,
            dtype=np.dtype(array.dtype),
            axes=finest.axes,
            read=lambda part: _read(container, array_path, part),
            calibration=Calibration(sizes, ("OME-Zarr scale",) * 3),  # type: ignore[arg-type]
            files=(container,),
            translation=(0.0, 0.0, 0.0) if unknown else finest.translation,
            remarks=_missing(path, array, array_path, names),
            facts={"image": f"/{place}"},
        )
    )
    return replace(source, remarks=(*remarks, *pyramid.remarks, *source.remarks))


def _missing(path: Path, array: zarr.Array[Any], place: str, names: list[str]) -> list[str]:
    """A sentence where files of an array are not in the archive; InputError if none is."""
    sides = array.shards or array.chunks
    wanted = math.prod(-(-n // side) for n, side in zip(array.shape, sides, strict=True))
    stored = sum(
        name.startswith(f"{place}/") and _CHUNK.fullmatch(name, len(place) + 1) is not None
        for name in names
    )
    if stored == 0:
        raise InputError(
            f"{path} has no data: none of the {wanted} files of {place!r}, its finest level, is in "
            "the archive; make it again"
        )
    if stored >= wanted:
        return []
    return [
        f"{wanted - stored} of the {wanted} files of {place!r}, its finest level, are not in the "
        "archive; their voxels are read as the fill value, as the format states"
    ]


@contextlib.contextmanager
def _opened(container: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(container) as archive:
            yield archive
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        if isinstance(error, HelaDaskError):
            raise
        raise InputError(
            f"{container} is not a whole zip archive ({error}): copy it again"
        ) from error


def _images(
    container: Path, archive: zipfile.ZipFile, names: list[str]
) -> dict[str, Mapping[str, Any]]:
    """Attributes of the groups with a pyramid, by their places; without those inside another."""
    found: dict[str, Mapping[str, Any]] = {}
    marks = sorted(
        (name for name in names if PurePosixPath(name).name in _MARKS),
        key=lambda name: (name.count("/"), name),
    )
    for name in marks:
        place = name.rpartition("/")[0]
        if place in found or any(not key or place.startswith(f"{key}/") for key in found):
            continue  # labels, levels, or both formats
        content = _document(container, archive, name)
        attributes = content.get("attributes") or {} if name.endswith("zarr.json") else content
        if not isinstance(attributes, dict):
            raise InputError(f"{container}: the attributes in {name} are no table")
        if find_multiscale(attributes, f"{container}{INSIDE}/{place}"):
            found[place] = attributes
    return found


def _document(container: Path, archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    source = f"{container}{INSIDE}/{name}"
    if archive.getinfo(name).file_size > LARGEST:
        raise InputError(f"{source} is too large for metadata: the archive is damaged")
    content = parse_json(archive.read(name), source)
    if not isinstance(content, dict):
        raise InputError(f"{source} has unreadable zarr metadata: it is no table")
    return content


def _array(container: Path, place: str) -> zarr.Array[Any]:
    """The header of an array; the archive is closed again."""
    with _opened(container) as archive:
        names = set(archive.namelist())
        marks = [mark for mark in ("zarr.json", ".zarray") if f"{place}/{mark}" in names]
        if not marks:
            raise MissingInputError(f"{container}{INSIDE}/{place} does not exist")
        _document(container, archive, f"{place}/{marks[0]}")
    try:
        with contextlib.closing(ZipStore(container, mode="r")) as store:
            return zarr.open_array(store, path=place, mode="r")
    except Exception as error:  # zarr raises whatever it meets: codecs, types, keys
        raise InputError(
            f"{container}{INSIDE}/{place} is an array that cannot be used: {unique_error(error)}"
        ) from error


def _read(container: Path, place: str, part: tuple[slice, ...]) -> NDArray[Any]:
    with contextlib.closing(ZipStore(container, mode="r")) as store:
        return np.asarray(zarr.open_array(store, path=place, mode="r")[part])
