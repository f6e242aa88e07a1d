"""TIFF as a source: a folder of slices or one file, its headers checked before a voxel is read."""

from __future__ import annotations

import contextlib
import logging
import math
import re
import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile
from numpy.typing import NDArray

from hela_dask.errors import InputError
from hela_dask.sources import Sizes, Source
from hela_dask.storage.units import to_nm

__all__ = ["natural_key", "open_folder", "open_tiff"]

log = logging.getLogger(__name__)

_LARGEST_PIXEL = 10_000.0  # nm: beyond it a resolution tag is a printer's or a screen's default
_UNKNOWN: Sizes = (None, None, None)
_THREADS = 2  # slices decoded at once: more hold more planes


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key with numbers by value: z2 before z10, whatever the case of the letters."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part.lower()) for part in parts]


def open_folder(folder: Path, suffixes: Sequence[str]) -> Source:
    """A folder with one TIFF a slice, in natural order of the names."""
    files = sorted(
        (
            file
            for file in folder.iterdir()
            if file.suffix.lower() in suffixes and not file.name.startswith(".") and file.is_file()
        ),
        key=lambda file: natural_key(file.name),
    )
    if not files:
        raise InputError(f"{folder} holds no TIFF slices ({', '.join(suffixes)})")
    first = _slice_header(files[0])
    for file in files[1:]:
        _compare(file, _slice_header(file), files[0], first)

    def read(z0: int, z1: int) -> NDArray[Any]:
        block = np.empty((z1 - z0, *first[0]), first[1])

        def decode(position: int) -> None:
            block[position] = _read_slice(files[z0 + position], first)

        with ThreadPoolExecutor(_THREADS) as threads:
            list(threads.map(decode, range(z1 - z0)))
        return block

    return Source(
        path=folder,
        kind=f"a folder of {len(files)} TIFF slices",
        shape=(len(files), first[0][0], first[0][1]),
        dtype=first[1],
        sizes=first[2],
        files=tuple(files),
        reader=read,
    )


def open_tiff(path: Path) -> Source:
    """One TIFF with one or many pages, each a slice."""
    with _tiff(path) as tiff:
        ome = _ome_pixels(tiff)
        series = tiff.series
        if len(series) > 1:
            sizes = " and ".join(
                dict.fromkeys(f"{' x '.join(map(str, item.shape))} {item.dtype}" for item in series)
            )
            raise InputError(f"{path} holds images of more than one kind ({sizes})")
        shape = _stack_shape(path, series[0])
        _check_ome(path, shape[0], ome)
        pages = list(series[0].pages)
        offset = series[0].dataoffset
        stored = np.dtype(series[0].dtype).newbyteorder(tiff.byteorder)
        end = (offset or 0) + math.prod(shape) * stored.itemsize
        if offset is not None and end > tiff.filehandle.size:
            raise InputError(f"{path} is truncated: its {shape[0]} slices do not fit the file")
        if offset is None:
            if len(pages) != shape[0] or any(page is None for page in pages):
                raise InputError(f"{path} holds {len(pages)} pages for {shape[0]} slices")
            for number, page in enumerate(pages, start=1):
                _check_strips(path, page, tiff.filehandle.size, f"page {number}")
        inverted = _inverted(tiff.pages.first)
        sizes_nm = _voxel_size(tiff, ome)

    def read(z0: int, z1: int) -> NDArray[Any]:
        if offset is not None:
            volume = np.memmap(path, stored, mode="r", offset=offset, shape=shape)
            block: NDArray[Any] = np.asarray(volume[z0:z1])
        else:
            block = _read_pages(path, tiff, pages, range(z0, z1), shape)
        return _invert(block) if inverted else block

    return Source(
        path=path,
        kind=f"a TIFF of {shape[0]} slices" if shape[0] > 1 else "a TIFF",
        shape=shape,
        dtype=stored.newbyteorder("="),
        sizes=sizes_nm,
        files=(path,),
        reader=read,
    )


@contextlib.contextmanager
def _tiff(path: Path) -> Iterator[tifffile.TiffFile]:
    """Open a TIFF and walk all its pages; what is no whole TIFF gets a sentence."""
    logger = logging.getLogger("tifffile")
    silent, logger.disabled = logger.disabled, True  # it logs what is raised here
    try:
        # is_ome=False: pages as they are in this file, not those of other files of a set
        with tifffile.TiffFile(path, is_ome=False) as tiff:
            if not tiff.pages:
                raise InputError(f"{path} is a TIFF without an image")
            count = len(tiff.pages)
            tiff.filehandle.seek(tiff.pages.next_page_offset or 0)
            pointer = tiff.filehandle.read(tiff.tiff.offsetsize)
            if len(pointer) < tiff.tiff.offsetsize or any(pointer):
                raise InputError(
                    f"{path} is truncated or damaged after its page {count}: copy it again"
                )
            yield tiff
    except InputError:
        raise
    except (tifffile.TiffFileError, struct.error, ValueError, IndexError, KeyError) as error:
        raise InputError(f"{path} is not a readable TIFF: {error}") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    finally:
        logger.disabled = silent


Header = tuple[tuple[int, int], np.dtype[Any], Sizes]


def _slice_header(file: Path) -> Header:
    """Shape, type and voxel size of a TIFF that holds one slice."""
    with _tiff(file) as tiff:
        page = tiff.pages.first
        if len(tiff.pages) > 1:
            raise InputError(
                f"{file} holds {len(tiff.pages)} pages; in a folder each TIFF is one slice: "
                "name the file itself if it is a stack"
            )
        _check_grey(file, page)
        _check_strips(file, page, tiff.filehandle.size, "its image")
        sizes = _voxel_size(tiff, _ome_pixels(tiff))
        return (page.imagelength, page.imagewidth), np.dtype(page.dtype).newbyteorder("="), sizes


def _compare(file: Path, header: Header, first_file: Path, first: Header) -> None:
    for name, mine, other in zip(("shape", "type", "voxel size"), header, first, strict=True):
        if not _agree(mine, other):
            found, expected = (
                " x ".join(map(str, value)) if isinstance(value, tuple) else value
                for value in (mine, other)
            )
            raise InputError(
                f"{file} has the {name} {found}, but the first slice {first_file.name} has "
                f"{expected}: all slices of a volume must agree"
            )


def _agree(mine: Any, other: Any) -> bool:
    """Equal; lengths in nm may be rounded differently."""
    if mine == other or not isinstance(mine, tuple):
        return bool(mine == other)
    return all(
        isinstance(a, float) and isinstance(b, float) and math.isclose(a, b, rel_tol=1e-3)
        for a, b in zip(mine, other, strict=True)
        if a != b
    )


def _read_slice(file: Path, header: Header) -> NDArray[Any]:
    try:
        with tifffile.TiffFile(file, is_ome=False) as tiff:
            page = tiff.pages.first
            data: NDArray[Any] = np.squeeze(page.asarray())
            data = data.reshape(page.imagelength, page.imagewidth)
            if _inverted(page):
                data = _invert(data)
    except Exception as error:  # decoders of a dozen formats raise what they like
        raise InputError(f"{file} cannot be decoded: {error}") from error
    if data.shape != header[0]:
        raise InputError(f"{file} changed while it was read: its shape is now {data.shape}")
    return data


def _read_pages(
    path: Path,
    tiff: tifffile.TiffFile,
    pages: Sequence[Any],
    numbers: range,
    shape: tuple[int, int, int],
) -> NDArray[Any]:
    """Decode some pages of a file whose headers were read before it was closed."""
    block = np.empty((len(numbers), *shape[1:]), pages[0].dtype)
    tiff.filehandle.open()
    try:
        for position, number in enumerate(numbers):
            try:
                block[position] = pages[number].asarray().reshape(shape[1:])
            except Exception as error:  # decoders of a dozen formats raise what they like
                raise InputError(f"{path}: page {number + 1} cannot be decoded: {error}") from error
    finally:
        tiff.filehandle.close()
    return block


def _check_grey(path: Path, page: Any) -> None:
    if page.samplesperpixel != 1:
        raise InputError(
            f"{path} is a colour image ({page.samplesperpixel} samples a pixel): save it as grey "
            "values (in Fiji: Image > Type > 8-bit)"
        )
    if page.dtype is None:
        raise InputError(f"{path} has {page.bitspersample} bits a pixel, which cannot be read")
    if page.imagedepth != 1:
        raise InputError(f"{path} holds a volume in one page, which cannot be read")


def _check_strips(path: Path, page: Any, size: int, what: str) -> None:
    """Raise when strips or tiles lie beyond the end of the file."""
    ends = [
        start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=False)
    ]
    if not ends or max(ends) > size:
        raise InputError(
            f"{path} is truncated: {what} needs {max(ends, default=0)} bytes, the file has {size}"
        )


def _stack_shape(path: Path, series: Any) -> tuple[int, int, int]:
    """(z, y, x) of a series of pages, after sentences for colours and channels."""
    _check_grey(path, series.keyframe)
    lengths = [
        (axis, length)
        for axis, length in zip(series.axes[:-2], series.shape[:-2], strict=True)
        if length != 1
    ]
    if not series.axes.endswith("YX") or len(lengths) > 1:
        raise InputError(
            f"{path} has the axes {series.axes} of lengths {series.shape}: save one channel of one "
            "time point as a stack of slices"
        )
    axis, depth = lengths[0] if lengths else ("Z", 1)
    if axis == "C":
        if depth <= 4:
            raise InputError(f"{path} has {depth} channels: save one of them as a grey stack")
        log.warning("%s calls its %d pages channels; they are taken as slices", path, depth)
    return depth, int(series.shape[-2]), int(series.shape[-1])


def _inverted(page: Any) -> bool:
    """Whether 0 means white, as the photometric tag of scanners' and some microscopes' files."""
    return int(page.photometric) == 0 and page.dtype.kind in "bu"


def _invert(data: NDArray[Any]) -> NDArray[Any]:
    inverse: NDArray[Any] = np.invert(data)
    return inverse


def _ome_pixels(tiff: tifffile.TiffFile) -> dict[str, str]:
    """Attributes of the first ``Pixels`` element of the OME-XML; empty where there is none."""
    text = tiff.pages.first.description
    if "<OME" not in text:
        return {}
    try:
        found = ElementTree.fromstring(text).find(".//{*}Pixels")
    except ElementTree.ParseError as error:
        raise InputError(f"{tiff.filehandle.path} has broken OME-XML: {error}") from error
    return {} if found is None else dict(found.attrib)


def _check_ome(path: Path, pages: int, ome: dict[str, str]) -> None:
    """Raise where the OME-XML speaks of channels, times or files that are not slices here."""
    counts = {axis: int(ome.get(f"Size{axis}", 1)) for axis in "ZCT"}
    if not ome:
        return
    if math.prod(counts.values()) != pages:
        raise InputError(
            f"{path} holds {pages} pages, but its OME-XML speaks of {math.prod(counts.values())}: "
            "it is one file of several (give the folder), or damaged"
        )
    if pages > 1 and counts["C"] > 1 and (counts["Z"] > 1 or counts["C"] <= 4):
        raise InputError(f"{path} has {counts['C']} channels: save one of them as a grey stack")
    if counts["T"] > 1 and counts["Z"] > 1:
        raise InputError(f"{path} has {counts['T']} time points: save one of them as a stack")


def _voxel_size(tiff: tifffile.TiffFile, ome: dict[str, str]) -> Sizes:
    """Voxel size in nm from OME-XML, from ImageJ, or from believable resolution tags."""
    if ome:
        z, y, x = (
            _positive(ome.get(f"PhysicalSize{axis}"), ome.get(f"PhysicalSize{axis}Unit", "µm"))
            for axis in "ZYX"
        )
        return z, y, x
    page = tiff.pages.first
    imagej = tiff.imagej_metadata
    if imagej is not None:
        unit = str(imagej.get("unit", "")).encode("ascii", "backslashreplace")
        name = unit.decode("unicode_escape")
        y, x = (_positive(_per_unit(page, tag), name) for tag in ("YResolution", "XResolution"))
        return _positive(imagej.get("spacing"), name), y, x
    nm_per_unit = {2: 2.54e7, 3: 1e7}.get(int(page.resolutionunit or 1))
    if nm_per_unit is None:
        return _UNKNOWN
    y, x = (_per_unit(page, tag) for tag in ("YResolution", "XResolution"))
    if y is None or x is None or max(y, x) * nm_per_unit > _LARGEST_PIXEL:
        return _UNKNOWN
    return None, y * nm_per_unit, x * nm_per_unit


def _per_unit(page: Any, tag: str) -> float | None:
    """Length of a pixel in the file's unit; the tag holds pixels a unit, as a fraction."""
    value = page.tags.valueof(tag)
    if not (isinstance(value, tuple) and len(value) == 2 and value[0] > 0 and value[1] > 0):
        return None
    return float(value[1] / value[0])


def _positive(value: Any, unit: str) -> float | None:
    """`value` in nm, or None where it or its unit says nothing."""
    factor = to_nm(unit)
    try:
        length = abs(float(value))
    except (TypeError, ValueError):
        return None
    if factor is None or not (math.isfinite(length) and length > 0):
        return None
    return length * factor
