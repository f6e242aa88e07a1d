"""Slices in several TIFFs: a folder with one TIFF a slice, or a set of OME-TIFFs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hela_dask.conversion.readers.calibration import calibration, ome_calibration
from hela_dask.conversion.readers.names import listed, natural_key
from hela_dask.conversion.readers.ome import Ome
from hela_dask.conversion.readers.pixels import PageFacts, check_page, page_facts
from hela_dask.conversion.readers.slice_sets import (
    Entries,
    Slice,
    alone,
    check_alike,
    places_source,
    slices_source,
)
from hela_dask.conversion.readers.source import Role, Source
from hela_dask.conversion.readers.tiff_file import (
    Place,
    image_pages,
    ome_of,
    opened_tiff,
    read_places,
    slice_count_remark,
)
from hela_dask.conversion.readers.tiff_stack import open_stack
from hela_dask.errors import InputError

__all__ = ["open_set", "open_tiff", "open_tiffs"]


def open_tiff(path: Path, role: Role = "grey") -> Source:
    """One TIFF with one or many pages, each a slice; or the set of OME-TIFFs that it is one of."""
    with opened_tiff(path) as (tiff, warnings):
        ome, remarks = ome_of(path, tiff)
        if ome is not None and len(ome.files) > 1:
            return open_set(path, ome, len(tiff.pages), role)
        return open_stack(path, tiff, role, ome=ome, remarks=remarks, warnings=warnings)


def open_tiffs(folder: Path, entries: Entries, role: Role = "grey") -> Source:
    """A folder with one TIFF per slice, in natural order of the names; or a set of OME-TIFFs."""
    first = folder / entries.names[0]
    if len(entries.names) == 1:
        return alone(folder, open_tiff(first, role), entries)
    with opened_tiff(first) as (tiff, _):
        ome, _ = ome_of(first, tiff)
        pages = len(tiff.pages)
    if ome is not None and len(ome.files) > 1:
        source = open_set(first, ome, pages, role)
        files = {folder / name for name in entries.names}
        apart = sorted(files - set(source.files), key=lambda file: natural_key(file.name))
        remarks = [*source.remarks, *(f"{folder}: {remark}" for remark in entries.unread)]
        if apart:
            left = listed(file.name for file in apart)
            remarks.append(f"{folder}: {left}: not in the set of the OME-XML, and not read")
        return replace(source, path=folder, remarks=tuple(remarks))
    return slices_source(
        folder, entries, role, noun="TIFF", header=_slice_header, decode=read_places
    )


def open_set(path: Path, ome: Ome, pages: int, role: Role = "grey") -> Source:
    """The set of OME-TIFFs that `path` is one of, its slices where the OME-XML places them.

    `pages` are those of the file `path`. InputError where a file or a slice is missing.
    """
    if ome.images > 1:
        raise InputError(
            f"{path}: its OME-XML describes {ome.images} images: save one of them alone"
        )
    planes = ome.planes(path, pages)
    known = {name: path.parent / Path(name).name for name in ome.files}
    lost = [file.name for file in known.values() if not file.is_file()]
    if lost:
        raise InputError(
            f"{path} is one file of a set of OME-TIFFs, and {listed(lost)} of the set "
            f"{'is' if len(lost) == 1 else 'are'} not beside it: copy the missing files there, "
            "under the names they had"
        )
    wanted = [(path if name is None else known[name], page) for name, page in planes]
    numbers = defaultdict(list)
    for file, page in wanted:
        numbers[file].append(page)
    facts = {file: _facts_of(file, used) for file, used in numbers.items()}
    places = [Place(file, page, facts[file][page]) for file, page in wanted]
    for place in places[1:]:
        check_alike(place.file, place.facts, places[0].file, places[0].facts)
    shown = {
        "kind": f"an OME-TIFF of {len(places)} slices in {len(numbers)} files",
        "order": "as the OME-XML places the pages (TiffData)",
        "first slice": f"{places[0].file.name}, page {places[0].page + 1}",
        "last slice": f"{places[-1].file.name}, page {places[-1].page + 1}",
    }
    return places_source(
        path, places, role, ome_calibration(ome.attributes), shown, decode=read_places
    )


def _slice_header(file: Path) -> Slice:
    """Read the header of a TIFF with one slice."""
    with opened_tiff(file) as (tiff, warnings):
        pages = image_pages(tiff)
        if len(pages) > 1:
            raise InputError(_stack_in_folder(file, f"{len(pages)} pages"))
        page = pages[0]
        check_page(file, page, tiff.filehandle.size, "its image")
        ome, remarks = ome_of(file, tiff)
        if ome is None:
            try:
                remarks += slice_count_remark(file, tiff, pages, 1)
            except InputError as error:
                raise InputError(_stack_in_folder(file, "more than one slice")) from error
        found = calibration(tiff, ome.attributes if ome else {})
        return Slice(
            int(page.index),
            page_facts(page),
            found,
            (*remarks, *found.remarks, *(f"the TIFF reader warns: {text}" for text in warnings)),
        )


def _stack_in_folder(file: Path, what: str) -> str:
    return (
        f"{file} holds {what}; in a folder each TIFF is one slice: "
        "name the file itself if it is a stack"
    )


def _facts_of(file: Path, numbers: Iterable[int]) -> dict[int, PageFacts]:
    """The tags of some pages of a file."""
    with opened_tiff(file) as (tiff, _):
        last = max(numbers)
        if last >= len(tiff.pages):
            raise InputError(
                f"{file} holds {len(tiff.pages)} pages, but the set's OME-XML speaks of page "
                f"{last + 1}: copy the file again"
            )
        found = {}
        for number in numbers:
            page: Any = tiff.pages[number]
            check_page(file, page, tiff.filehandle.size, f"page {number + 1}")
            found[number] = page_facts(page)
        return found
