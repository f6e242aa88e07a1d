"""Stored TIFF samples to grey values: photometry, palette, and tags that are not applied."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.conversion.readers.codecs import check_decoder
from hela_dask.conversion.readers.names import listed
from hela_dask.conversion.readers.source import Role
from hela_dask.errors import InputError

__all__ = ["PageFacts", "Samples", "check_page", "page_facts", "samples"]

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _PALETTE = 0, 1, 3
_ORIENTATIONS = {
    2: "mirrored from left to right",
    3: "turned by 180 degrees",
    4: "mirrored from top to bottom",
    5: "transposed",
    6: "turned by 90 degrees",
    7: "transposed and turned by 180 degrees",
    8: "turned by 270 degrees",
}


@dataclass(frozen=True)
class PageFacts:
    """The tags of a page about its samples."""

    shape: tuple[int, int]  # (y, x)
    dtype: np.dtype[Any]  # in this machine's byte order
    bits: int  # a sample, 12 for 12-bit images though they are read as 16 bit
    photometric: int  # 0 white is zero, 1 black is zero, 3 palette
    orientation: int  # 1 where rows go down and columns to the right
    most: int | None  # MaxSampleValue
    # Grey value of each index, uint8 or uint16; of another colour: an empty array
    palette: NDArray[Any] | None


def page_facts(page: Any, first: PageFacts | None = None) -> PageFacts:
    """The facts of a page that :func:`check_page` has passed.

    Where the page has no orientation or MaxSampleValue, those of the `first` page of its file
    hold: writers of stacks leave tags out of the pages behind it.
    """
    most = page.tags.valueof(281, None if first is None else first.most)
    return PageFacts(
        (page.imagelength, page.imagewidth),
        np.dtype(page.dtype).newbyteorder("="),
        int(page.bitspersample),
        int(page.photometric),
        int(page.tags.valueof(274) or (1 if first is None else first.orientation)),
        int(most) if isinstance(most, int) and most > 0 else None,
        _palette(page),
    )


def check_page(path: Path, page: Any, size: int, what: str) -> None:
    """Raise for colours, for types that cannot be read, and for data that the file has not.

    `size`: bytes of the file; `what`: the name of the page in errors. MissingDependencyError for a
    compression that only imagecodecs decodes, where it is not installed.
    """
    if page.samplesperpixel != 1:
        raise InputError(
            f"{path} is a colour image ({page.samplesperpixel} samples a pixel): save it as grey "
            "values (in Fiji: Image > Type > 8-bit); of labels, save the numbers, not their colours"
        )
    if page.dtype is None:
        raise InputError(f"{path} has {page.bitspersample} bits per pixel, which cannot be read")
    if page.imagedepth != 1:
        raise InputError(f"{path} holds a volume in one page, which cannot be read")
    if int(page.photometric) not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _PALETTE, 4):
        raise InputError(
            f"{path} holds {getattr(page.photometric, 'name', page.photometric)} samples, not grey "
            "values: save it as grey values (in Fiji: Image > Type > 8-bit)"
        )
    check_segments(path, page, size, what)
    check_decoder(path, page)


def check_segments(path: Path, page: Any, size: int, what: str) -> None:
    """Raise where strips or tiles are missing, empty, or lie beyond the end of the file."""
    starts, counts = page.dataoffsets, page.databytecounts
    ends = [start + count for start, count in zip(starts, counts, strict=False)]
    if page.compression == 1 and len(starts) == 1 and page.is_contiguous:
        ends = [starts[0] + page.nbytes]
    if not ends or max(ends) > size:
        raise InputError(
            f"{path} is truncated: {what} needs {max(ends, default=0)} bytes, the file has {size}"
        )
    parts = math.prod(page.chunked)
    there = sum(start > 0 and count > 0 for start, count in zip(starts, counts, strict=False))
    if there < parts:
        raise InputError(
            f"{path} is damaged: {what} has {there} of its {parts} strips or tiles; copy it again"
        )


def _palette(page: Any) -> NDArray[Any] | None:
    """Grey values of a palette's indices; empty where it has colours, None where there is none."""
    if int(page.photometric) != _PALETTE:
        return None
    colours = page.colormap
    if colours is None or colours.shape[0] != 3 or not (colours == colours[0]).all():
        return np.empty(0, np.uint8)
    grey = np.asarray(colours[0], np.uint16)
    if page.dtype.itemsize > 1:
        return grey
    return (grey >> 8 if grey.max(initial=0) > 255 else grey).astype(np.uint8)


@dataclass(frozen=True)
class Samples:
    """How the samples of some pages become values."""

    photometry: str  # the tags as text
    dtype: np.dtype[Any]  # of the values
    # (samples, facts of their page) -> values
    apply: Callable[[NDArray[Any], PageFacts], NDArray[Any]]
    remarks: tuple[str, ...]  # peculiarities of the tags


def samples(path: Path, pages: Mapping[str, PageFacts], role: Role) -> Samples:
    """How the samples of pages become grey values, or labels, which are taken as they are.

    `pages` are the facts of each slice, by its name. InputError for grey values behind a palette
    of colours.
    """
    facts = list(pages.values())
    remarks = [*_orientation_remarks(pages), *_depth_remarks(pages)]
    kinds = {
        kind: [name for name, page in pages.items() if page.photometric == kind]
        for kind in sorted({page.photometric for page in facts})
    }
    if len(kinds) > 1:
        fewest = min(kinds.values(), key=len)
        how = "read as they are" if role == "labels" else "each read as its tag says"
        remarks.append(
            f"the photometric tags of the slices differ ({listed(fewest)}: "
            f"{_photometry(pages[fewest[0]])}, the others: "
            f"{_photometry(pages[max(kinds.values(), key=len)[0]])}); {how}"
        )
    message = " and ".join(dict.fromkeys(_photometry(page) for page in facts[:1] + facts[-1:]))
    if role == "labels":
        return Samples(message, facts[0].dtype, lambda data, _: data, tuple(remarks))
    colours = [name for name, page in pages.items() if _coloured(page)]
    if colours:
        where = "" if len(pages) == 1 else f" ({listed(colours)})"
        raise InputError(
            f"{path} has a palette of colours{where}, so its values are no grey levels: save it "
            "with a grey palette (in Fiji: Image > Lookup Tables > Grays, or Image > Type > 8-bit)"
        )
    remarks += _mapping_remarks(pages)
    white = _white_level(facts)
    palettes = [page.palette for page in facts if page.palette is not None and not _identity(page)]
    return Samples(
        message,
        palettes[0].dtype if palettes else facts[0].dtype,
        lambda data, page: _grey_values(path, data, page, white),
        tuple(remarks),
    )


def _photometry(page: PageFacts) -> str:
    names = {_WHITE_IS_ZERO: "white is zero", _PALETTE: "palette"}
    return names.get(page.photometric, "black is zero")


def _coloured(page: PageFacts) -> bool:
    return page.palette is not None and page.palette.size == 0


def _identity(page: PageFacts) -> bool:
    return page.palette is not None and np.array_equal(page.palette, np.arange(page.palette.size))


def _inverted(page: PageFacts) -> bool:
    return page.photometric == _WHITE_IS_ZERO and page.dtype.kind in "bu"


def _white_level(pages: Sequence[PageFacts]) -> int | None:
    """Stored value of black in 16-bit pages where 0 is white; None where the type's highest is.

    MaxSampleValue is a statistic that each slice has its own of: the bits of the largest value are
    those of the camera.
    """
    most = [page.most for page in pages if _inverted(page) and page.bits == 16]
    stated = [value for value in most if value is not None]
    if not most or len(stated) < len(most):
        return None
    return int(2 ** max(stated).bit_length() - 1)


def _grey_values(
    path: Path, data: NDArray[Any], page: PageFacts, white: int | None
) -> NDArray[Any]:
    if page.palette is not None:
        return np.asarray(data if _identity(page) else page.palette[data.astype(np.intp)])
    if not _inverted(page):
        return data
    if page.dtype.kind == "b":
        return np.asarray(~data)
    top = white if white is not None and page.bits == 16 else 2**page.bits - 1
    if int(data.max(initial=0)) > top:
        raise InputError(
            f"{path} holds {int(data.max())}, above the {top} that its tags (white is zero, "
            "MaxSampleValue) give for black: save it as black is zero (in Fiji: Edit > Invert)"
        )
    return np.asarray(data.dtype.type(top) - data)


def _mapping_remarks(pages: Mapping[str, PageFacts]) -> list[str]:
    remarks = []
    mapped = [
        name
        for name, page in pages.items()
        if page.palette is not None and not _coloured(page) and not _identity(page)
    ]
    if mapped:
        remarks.append(
            "the grey levels are those of its palette, which is grey and not in the order of the "
            f"stored values{_of(mapped, pages)}"
        )
    signed = [
        name
        for name, page in pages.items()
        if page.photometric == _WHITE_IS_ZERO and page.dtype.kind not in "bu"
    ]
    if signed:
        remarks.append(
            f"its tags say that white is zero, which is not applied to {pages[signed[0]].dtype} "
            f"values{_of(signed, pages)}: check that membranes are dark"
        )
    return remarks


def _orientation_remarks(pages: Mapping[str, PageFacts]) -> list[str]:
    turned = {name: page.orientation for name, page in pages.items() if page.orientation != 1}
    if not turned:
        return []
    kinds = sorted(set(turned.values()))
    how = " or ".join(_ORIENTATIONS.get(kind, f"of the unknown value {kind}") for kind in kinds)
    if len(turned) == len(pages) and len(kinds) == 1:
        return [
            f"its orientation tag says that the image is {how}; the tag is not applied, as in Fiji "
            "and napari: rows are read in the order in which they are stored"
        ]
    return [
        f"the orientation tags of the slices differ: {listed(turned)} {how}; the tag is not "
        "applied: check these slices, and turn them in the files if they lie otherwise"
    ]


def _depth_remarks(pages: Mapping[str, PageFacts]) -> list[str]:
    depths = {page.bits for page in pages.values()}
    if len(depths) == 1:
        return []
    usual = next(iter(pages.values())).bits
    other = [name for name, page in pages.items() if page.bits != usual]
    return [
        f"{listed(other)} {'has' if len(other) == 1 else 'have'} {pages[other[0]].bits} bits a "
        f"pixel and the first slice {usual}: grey levels are taken as they are, none is scaled"
    ]


def _of(names: Sequence[str], pages: Mapping[str, PageFacts]) -> str:
    return "" if len(names) == len(pages) else f" ({listed(names)})"
