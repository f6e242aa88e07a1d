"""Opening TIFFs: their warnings, their number of slices, and their planes' samples."""

from __future__ import annotations

import contextlib
import itertools
import logging
import re
import struct
import threading
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from hela_dask.conversion.readers.ome import Ome, metadata_file, read_ome
from hela_dask.conversion.readers.pixels import PageFacts, Samples
from hela_dask.documents.reading import parse_json, read_text
from hela_dask.errors import InputError
from hela_dask.storage.formats import (
    KIND_NAMES,
    TIFF_SUFFIXES,
    content_kind,
    how_to_read,
    is_pointer,
)

__all__ = [
    "Place", "image_pages", "ome_of", "opened_tiff", "read_places", "slice_count_remark",
]  # fmt: skip

_THREADS = 2  # slices decoded at once: more hold more planes
_UNREAD_PAGES = 0b101  # NewSubfileType of reduced images and of masks
_SUBJECT = re.compile(r"^<[^>]*>\s*")


class _Gathered:
    """The log of tifffile, as lists: each thread's own, and nothing of it goes to other logs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = 0
        self._propagate = True

    @contextlib.contextmanager
    def into(self, warnings: list[str]) -> Iterator[None]:
        """Collect the warnings of this thread's calls of tifffile."""
        logger = logging.getLogger("tifffile")
        own = threading.get_ident()
        handler = logging.Handler(logging.WARNING)
        handler.addFilter(lambda record: record.thread == own)
        handler.emit = lambda record: warnings.append(  # type: ignore[method-assign]
            _SUBJECT.sub("", " ".join(record.getMessage().split()))
        )
        with self._lock:
            if self._open == 0:
                self._propagate, logger.propagate = logger.propagate, False
            self._open += 1
            logger.addHandler(handler)
        try:
            yield
        finally:
            with self._lock:
                logger.removeHandler(handler)
                self._open -= 1
                if self._open == 0:
                    logger.propagate = self._propagate


_GATHERED = _Gathered()


@contextlib.contextmanager
def opened_tiff(path: Path) -> Iterator[tuple[tifffile.TiffFile, list[str]]]:
    """Open a TIFF and walk all its pages; an incomplete TIFF raises an error of one sentence.

    Yields the file and a list that collects the warnings of its reader.
    """
    if not path.is_file() or path.stat().st_size == 0 or is_pointer(path):
        raise InputError(how_to_read(path))
    warnings: list[str] = []
    try:
        # is_ome=False: pages as they are in this file, not those of other files of a set
        with _GATHERED.into(warnings), tifffile.TiffFile(path, is_ome=False) as tiff:
            if not tiff.pages:
                raise InputError(f"{path} is a TIFF without an image")
            count = len(tiff.pages)
            tiff.filehandle.seek(tiff.pages.next_page_offset or 0)
            pointer = tiff.filehandle.read(tiff.tiff.offsetsize)
            if len(pointer) < tiff.tiff.offsetsize or any(pointer):
                raise InputError(
                    f"{path} is truncated or damaged after its page {count}: copy it again"
                )
            yield tiff, warnings
    except InputError:
        raise
    except (tifffile.TiffFileError, struct.error, ValueError, IndexError, KeyError) as error:
        kind = content_kind(path)
        known = KIND_NAMES.get(kind or "", kind)
        what = f"by its content it is {known}" if kind not in (None, "tiff") else error
        raise InputError(f"{path} is not a readable TIFF: {what}") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:
        if not (_is_foreign(error) or isinstance(error, TypeError | ArithmeticError)):
            raise
        # tifffile computes with tags as they are: a text for a length, or 0, ends in any error.
        raise InputError(f"{path} is damaged: its tags make no sense ({error})") from error


def _is_foreign(error: Exception) -> bool:
    """Whether an error was raised in another package."""
    frames = traceback.extract_tb(error.__traceback__)
    return not Path(frames[-1].filename).is_relative_to(Path(__file__).parents[1])


def image_pages(tiff: tifffile.TiffFile) -> list[Any]:
    """The pages of a TIFF without thumbnails, levels of a pyramid and masks."""
    every: list[Any] = list(tiff.pages)
    pages = [page for page in every if not page.subfiletype & _UNREAD_PAGES]
    return pages or every


def ome_of(path: Path, tiff: tifffile.TiffFile) -> tuple[Ome | None, list[str]]:
    """The OME-XML of a TIFF or of the file that it refers to, and its fault."""
    text = tiff.pages.first.description
    if "<OME" not in text and "<ome:OME" not in text:
        return None, []
    try:
        reference = metadata_file(text)
        if reference is not None:
            text = _text_of(path.parent / Path(reference).name)
        ome = read_ome(text)
        return ome, [] if ome is None else _size_remarks(ome, tiff)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        return None, [
            f"its OME-XML cannot be read ({reason}) and is not used: pages are slices in the order "
            "in which they are stored"
        ]


def _size_remarks(ome: Ome, tiff: tifffile.TiffFile) -> list[str]:
    """A sentence where the OME-XML states planes of another size than the pages have."""
    page: Any = tiff.pages.first
    held = (page.imagewidth, page.imagelength)
    stated = tuple(
        ome.attributes.get(f"Size{axis}", str(n)) for axis, n in zip("XY", held, strict=True)
    )
    if stated == tuple(map(str, held)):
        return []
    return [
        f"its OME-XML states {' x '.join(stated)} pixels (x, y), and its pages have "
        f"{' x '.join(map(str, held))}: the pages are read, and its voxel size may be that of "
        "another image"
    ]


def _text_of(path: Path) -> str:
    if path.suffix.lower() in TIFF_SUFFIXES:
        with tifffile.TiffFile(path, is_ome=False) as tiff:
            return str(tiff.pages.first.description)
    return read_text(path)


def slice_count_remark(
    path: Path, tiff: tifffile.TiffFile, pages: Sequence[Any], slices: int
) -> list[str]:
    """Compare the slices that are read with those that the file's own description counts.

    InputError where the rest of the slices was behind the first page's, and the file ends before.
    """
    first: Any = tiff.pages.first
    stated, writer = _stated_slices(tiff)
    behind = first.dataoffsets[0] if first.dataoffsets else 0
    held = (tiff.filehandle.size - behind) / max(1, first.nbytes)
    alone = len(pages) == 1 and first.is_contiguous
    if stated is not None and stated > slices:
        follows = alone and first.offset < behind and held - 1 > 64 / first.nbytes
        if follows:
            raise InputError(
                f"{path} is truncated: its {writer} description counts {stated} slices, and the "
                f"file holds {held:.1f}; copy it again"
            )
        return [
            f"its {writer} description counts {stated} slices, but it has {slices}: "
            "whether slices are missing is not known"
        ]
    if stated is not None and 1 < stated < slices:
        return [
            f"its {writer} description counts {stated} slices, but it has {slices}; all are read"
        ]
    if alone and held >= slices + 1:
        return [
            f"it describes {slices} slice{'s' if slices > 1 else ''}, but has room for {held:.1f}: "
            "whether slices are missing is not known"
        ]
    return []


def _stated_slices(tiff: tifffile.TiffFile) -> tuple[int | None, str]:
    """Number of planes in the description that ImageJ or tifffile wrote, and which of them."""
    imagej = tiff.imagej_metadata
    if imagej is not None:
        counts = [imagej.get(name, 1) for name in ("images", "slices", "frames", "channels")]
        images, *parts = (count if isinstance(count, int) else 1 for count in counts)
        return max(images, int(np.prod(parts))), "ImageJ"
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        first: Any = tiff.pages.first
        shape = parse_json(first.shaped_description or "", "its description").get("shape")
        length = int(np.prod(shape))
        plane = first.imagelength * first.imagewidth
        if length and length % plane == 0:
            return length // plane, "tifffile"
    return None, ""


@dataclass(frozen=True)
class Place:
    """Where a slice is: a page of a file, and its tags."""

    file: Path
    page: int
    facts: PageFacts


def read_places(places: Sequence[Place], samples: Samples) -> NDArray[Any]:
    """Decode the slices at some places, (slices, y, x)."""
    block = np.empty((len(places), *places[0].facts.shape), samples.dtype)

    def decode(group: Sequence[tuple[int, Place]]) -> None:
        file = group[0][1].file
        try:
            with tifffile.TiffFile(file, is_ome=False) as tiff:
                for position, place in group:
                    page: Any = tiff.pages[place.page]
                    data = np.squeeze(page.asarray()).reshape(page.imagelength, page.imagewidth)
                    if data.shape != place.facts.shape:
                        raise InputError(
                            f"{file} changed while it was read: its shape is now {data.shape}"
                        )
                    block[position] = samples.apply(data, place.facts)
        except InputError:
            raise
        except Exception as error:  # decoders of a dozen formats raise any error
            raise InputError(f"{file} cannot be decoded: {error}") from error

    groups = [
        list(group)
        for _, group in itertools.groupby(enumerate(places), key=lambda item: item[1].file)
    ]
    with ThreadPoolExecutor(_THREADS) as threads:
        list(threads.map(decode, groups))
    return block
