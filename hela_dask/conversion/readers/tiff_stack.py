"""One TIFF as a volume: many pages, or one with all slices behind it; OME-TIFF in its order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from hela_dask.conversion.readers.calibration import calibration
from hela_dask.conversion.readers.ome import Ome
from hela_dask.conversion.readers.pixels import PageFacts, Samples, check_page, page_facts, samples
from hela_dask.conversion.readers.source import Role, Source
from hela_dask.conversion.readers.tiff_file import image_pages, slice_count_remark
from hela_dask.errors import InputError

__all__ = ["open_stack"]

_FEW_BITS = 13  # white is zero in 16 bits, and black within this many: a camera of fewer bits


def open_stack(
    path: Path,
    tiff: tifffile.TiffFile,
    role: Role,
    *,
    ome: Ome | None,
    remarks: Sequence[str],
    warnings: Sequence[str],
) -> Source:
    """One TIFF that is opened, with one or many pages, each a slice.

    `remarks` and `warnings`: peculiarities found so far, and the warnings of the TIFF reader.
    """
    noted = [*remarks]
    pages, shape, offset, order = _stack(path, tiff, ome, noted)
    first = page_facts(tiff.pages.first)
    facts = [page_facts(page, first) for page in pages]
    if ome is None:
        noted += slice_count_remark(path, tiff, pages, shape[0])
    names = {f"page {number}": fact for number, fact in enumerate(facts, start=1)}
    treated = samples(path, names, role)
    found = calibration(tiff, ome.attributes if ome else {})
    stored = np.dtype(pages[0].dtype).newbyteorder(tiff.byteorder)
    noted += found.remarks
    noted += [f"the TIFF reader warns: {text}" for text in dict.fromkeys(warnings)]

    def read(z0: int, z1: int) -> NDArray[Any]:
        if offset is None:
            return _read_pages(path, tiff, pages, facts, treated, range(z0, z1))
        volume = np.memmap(path, stored, mode="r", offset=offset, shape=shape)
        return treated.apply(np.asarray(volume[z0:z1]), facts[0])

    source = Source(
        path=path,
        kind=f"a TIFF of {shape[0]} slices" if shape[0] > 1 else "a TIFF",
        shape=shape,
        dtype=treated.dtype,
        sizes=found.sizes,
        files=(path,),
        reader=read,
        remarks=tuple(f"{path}: {remark}" for remark in (*noted, *treated.remarks)),
        size_origins=found.origins,
        facts={
            "order": order,
            "first slice": f"page {pages[0].index + 1}",
            "last slice": f"page {pages[-1].index + 1}",
            "photometry": treated.photometry,
        },
    )
    if role == "grey" and any(_may_be_fewer_bits(fact) for fact in facts):
        return _with_white_checked(source)
    return source


def _may_be_fewer_bits(page: PageFacts) -> bool:
    return page.photometric == 0 and page.bits == 16 and page.most is None


def _with_white_checked(source: Source) -> Source:
    """A source of 16 bits where white is zero, with a remark where it fills only a part of them."""
    middle = source.shape[0] // 2
    lowest = int(source.read(middle, middle + 1).min())
    if lowest < 2**16 - 2**_FEW_BITS:
        return source
    return replace(
        source,
        remarks=(
            *source.remarks,
            f"{source.path}: its tags say that white is zero, in 16 bits of which its values fill "
            f"few: inverted, they lie between {lowest} and 65535; to have them from 0, invert the "
            "stack in Fiji (Edit > Invert) and save it anew",
        ),
    )


Stack = tuple[list[Any], tuple[int, int, int], int | None, str]


def _stack(path: Path, tiff: tifffile.TiffFile, ome: Ome | None, remarks: list[str]) -> Stack:
    """Pages in the order of the slices, the volume's shape, where it starts if it is contiguous."""
    pages = image_pages(tiff)
    for number, page in enumerate(pages, start=1):
        check_page(path, page, tiff.filehandle.size, f"page {number}")
    order = "as the pages are stored"
    if len(pages) < len(tiff.pages):
        order += f"; {len(tiff.pages) - len(pages)} reduced images or masks are passed over"
        _check_one_kind(path, pages)
        offset = None
        shape = (len(pages), pages[0].imagelength, pages[0].imagewidth)
    else:
        series = tiff.series
        if len(series) > 1:
            _check_one_kind(path, pages)
            raise InputError(f"{path} holds {len(series)} images: save one of them alone")
        shape, called = _stack_shape(path, series[0])
        if 0 in shape:
            raise InputError(f"{path} is damaged: its image has {shape} pixels")
        remarks += called
        offset = series[0].dataoffset
        end = (offset or 0) + math.prod(shape) * np.dtype(pages[0].dtype).itemsize
        if offset is not None and end > tiff.filehandle.size:
            raise InputError(f"{path} is truncated: its {shape[0]} slices do not fit the file")
        if len(pages) > shape[0] or (offset is None and 1 < len(pages) < shape[0]):
            shape, offset = (len(pages), *shape[1:]), None
        if offset is None and len(pages) < shape[0]:
            raise InputError(f"{path} is truncated: it describes {shape[0]} slices, it holds 1")
        if len(pages) > 1 and len({page_facts(page).photometric for page in pages}) > 1:
            offset = None
    if ome is not None:
        placed = _placed(path, ome, pages if offset is not None else list(tiff.pages), shape[0])
        if placed != list(range(shape[0])):
            pages, offset = [tiff.pages[number] for number in placed], None
            order = "as the OME-XML places the pages (TiffData)"
        elif len(placed) > 1:
            order += ", which the OME-XML agrees with"
    return pages, shape, offset, order


def _check_one_kind(path: Path, pages: Sequence[tifffile.TiffPage]) -> None:
    kinds = dict.fromkeys(f"{page.imagelength} x {page.imagewidth} {page.dtype}" for page in pages)
    if len(kinds) > 1:
        raise InputError(f"{path} holds images of more than one kind ({' and '.join(kinds)})")


def _placed(path: Path, ome: Ome, pages: Sequence[Any], slices: int) -> list[int]:
    """Number of the page of each slice, as the OME-XML places them."""
    if ome.images > 1:
        raise InputError(f"{path} holds {ome.images} images: save one of them alone")
    counts = math.prod(ome.sizes.values())
    if counts != slices:
        raise InputError(
            f"{path} holds {slices} pages, but its OME-XML speaks of {counts}: "
            "it is one file of several (give the folder), or damaged"
        )
    numbers = [page for _, page in ome.planes(path, slices)]
    single = len(pages) == 1
    if not single and max(numbers) >= len(pages):
        raise InputError(
            f"{path} holds {len(pages)} pages, but its OME-XML speaks of page {max(numbers) + 1}: "
            "it is one file of several (give the folder), or damaged"
        )
    return list(range(slices)) if single else numbers


def _stack_shape(path: Path, series: Any) -> tuple[tuple[int, int, int], list[str]]:
    """(z, y, x) of a series of pages, after sentences for channels and times."""
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
    remarks = []
    if axis in "CT" and depth > 1:
        name = "channels" if axis == "C" else "time points"
        if axis == "C" and depth <= 4:
            raise InputError(f"{path} has {depth} channels: save one of them as a grey stack")
        remarks.append(f"its {depth} pages are called {name}; they are taken as slices")
    return (depth, int(series.shape[-2]), int(series.shape[-1])), remarks


def _read_pages(
    path: Path,
    tiff: tifffile.TiffFile,
    pages: Sequence[Any],
    facts: Sequence[PageFacts],
    treated: Samples,
    numbers: range,
) -> NDArray[Any]:
    """Decode some pages of a file after its headers were read."""
    block = np.empty((len(numbers), *facts[0].shape), treated.dtype)
    tiff.filehandle.open()
    try:
        for position, number in enumerate(numbers):
            try:
                data = pages[number].asarray().reshape(facts[0].shape)
                block[position] = treated.apply(data, facts[number])
            except InputError:
                raise
            except Exception as error:  # decoders of a dozen formats raise any error
                raise InputError(f"{path}: page {number + 1} cannot be decoded: {error}") from error
    finally:
        tiff.filehandle.close()
    return block
