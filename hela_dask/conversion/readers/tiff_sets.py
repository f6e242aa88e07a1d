"""Slices in several TIFFs: a folder with one TIFF a slice, or a set of OME-TIFFs."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.conversion.readers.calibration import Calibration, calibration, ome_calibration
from hela_dask.conversion.readers.names import (
    in_order,
    listed,
    natural_key,
    number_ranges,
    slice_order,
)
from hela_dask.conversion.readers.ome import Ome
from hela_dask.conversion.readers.pixels import PageFacts, check_page, page_facts, samples
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
from hela_dask.storage.formats import TIFF_SUFFIXES, how_to_read

__all__ = ["open_folder", "open_set", "open_tiff"]

_THREADS = 8  # headers read at once: each waits for the disk or the network
_TOLERANCE = 1e-3  # relative: lengths in nm may be rounded differently


@dataclass(frozen=True)
class _Slice:
    """The header of a TIFF with one slice."""

    page: int
    facts: PageFacts
    calibration: Calibration
    remarks: tuple[str, ...]


def open_tiff(path: Path, role: Role = "grey") -> Source:
    """One TIFF with one or many pages, each a slice; or the set of OME-TIFFs that it is one of."""
    with opened_tiff(path) as (tiff, warnings):
        ome, remarks = ome_of(path, tiff)
        if ome is not None and len(ome.files) > 1:
            return open_set(path, ome, len(tiff.pages), role)
        return open_stack(path, tiff, role, ome=ome, remarks=remarks, warnings=warnings)


def open_folder(folder: Path, role: Role = "grey") -> Source:
    """A folder with one TIFF a slice, in natural order of the names.

    An InputError names a slice that cannot be read, is a broken link or unlike the first one.
    """
    names, others, unread = _entries(folder)
    if not names:
        raise InputError(how_to_read(folder))
    files = [folder / name for name in names]
    if len(files) == 1:
        alone = open_tiff(files[0], role)
        return replace(
            alone,
            path=folder,
            kind=f"a folder with {alone.kind}, {names[0]}",
            remarks=(*alone.remarks, *(f"{folder}: {remark}" for remark in unread)),
        )
    with opened_tiff(files[0]) as (tiff, _):
        ome, _ = ome_of(files[0], tiff)
        pages = len(tiff.pages)
    if ome is not None and len(ome.files) > 1:
        source = open_set(files[0], ome, pages, role)
        apart = sorted(set(files) - set(source.files), key=lambda file: natural_key(file.name))
        remarks = [*source.remarks, *(f"{folder}: {remark}" for remark in unread)]
        if apart:
            left = listed(file.name for file in apart)
            remarks.append(f"{folder}: {left}: not in the set of the OME-XML, and not read")
        return replace(source, path=folder, remarks=tuple(remarks))
    with ThreadPoolExecutor(_THREADS) as threads:
        headers = dict(zip(names, threads.map(_slice_header, files), strict=True))
    first = headers[names[0]]
    for file in files[1:]:
        _compare(file, headers[file.name].facts, files[0], first.facts)
    order = slice_order(names, others)
    found, differing = _common_size({name: header.calibration for name, header in headers.items()})
    remarks = [*order.remarks, *_same_files(files), *unread, *differing, *_gathered(headers)]
    facts = {
        "kind": f"a folder of {len(files)} TIFF slices",
        "order": order.rule,
        "first slice": names[0],
        "last slice": names[-1],
        "missing numbers": number_ranges(order.missing) if order.missing else "none",
    }
    places = [Place(file, headers[file.name].page, headers[file.name].facts) for file in files]
    return _source(folder, places, role, found, facts, remarks)


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
        _compare(place.file, place.facts, places[0].file, places[0].facts)
    shown = {
        "kind": f"an OME-TIFF of {len(places)} slices in {len(numbers)} files",
        "order": "as the OME-XML places the pages (TiffData)",
        "first slice": f"{places[0].file.name}, page {places[0].page + 1}",
        "last slice": f"{places[-1].file.name}, page {places[-1].page + 1}",
    }
    return _source(path, places, role, ome_calibration(ome.attributes), shown)


def _source(
    path: Path,
    places: Sequence[Place],
    role: Role,
    found: Calibration,
    facts: Mapping[str, str],
    remarks: Sequence[str] = (),
) -> Source:
    files = list(dict.fromkeys(place.file for place in places))
    several = len(files) == len(places)
    treated = samples(
        path,
        {
            place.file.name if several else f"{place.file.name} page {place.page + 1}": place.facts
            for place in places
        },
        role,
    )

    def read(z0: int, z1: int) -> NDArray[Any]:
        return read_places(places[z0:z1], treated)

    return Source(
        path=path,
        kind=facts["kind"],
        shape=(len(places), *places[0].facts.shape),
        dtype=treated.dtype,
        sizes=found.sizes,
        files=tuple(files),
        reader=read,
        remarks=tuple(f"{path}: {remark}" for remark in (*remarks, *treated.remarks)),
        size_origins=found.origins,
        facts={
            **{name: facts[name] for name in facts if name != "kind"},
            "photometry": treated.photometry,
        },
    )


def _entries(folder: Path) -> tuple[list[str], list[str], list[str]]:
    """Names of a folder's TIFFs in their order, of its other files, and of ignored ones.

    Hidden files and folders are left out.
    """
    names, others, below = [], [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if Path(entry.name).suffix.lower() not in TIFF_SUFFIXES:
                if Path(entry.path).is_file():
                    others.append(entry.name)
                elif _holds_tiffs(Path(entry.path)):
                    below.append(entry.name)
            elif Path(entry.path).is_file():
                names.append(entry.name)
            elif entry.is_symlink():
                place = Path(entry.path).readlink()
                raise InputError(
                    f"{entry.path} is a link to nothing ({place}): fetch or copy the slice that it "
                    "stands for, or remove the link"
                )
            else:
                raise InputError(f"{entry.path} has the name of a slice, but is no regular file")
    others, below = sorted(others, key=natural_key), sorted(below, key=natural_key)
    one = len(below) == 1
    unread = [
        f"the folder{'' if one else 's'} {listed(below)} in it {'holds' if one else 'hold'} TIFFs "
        "too, which are not read: where they are slices of this volume, move them beside the others"
    ]
    return in_order(names), others, unread if below else []


def _same_files(files: Sequence[Path]) -> list[str]:
    """A sentence for slices that are links to one and the same file."""
    by_file: dict[tuple[int, int], list[str]] = defaultdict(list)
    for file in files:
        facts = file.stat()
        if facts.st_ino:
            by_file[facts.st_dev, facts.st_ino].append(file.name)
    same = [names for names in by_file.values() if len(names) > 1]
    if not same:
        return []
    more = f" (and {len(same) - 1} more such files)" if len(same) > 1 else ""
    return [f"{listed(same[0])} are one and the same file{more}, read once for each name"]


def _holds_tiffs(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(Path(entry.name).suffix.lower() in TIFF_SUFFIXES for entry in entries)
    except OSError:
        return False


def _slice_header(file: Path) -> _Slice:
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
        return _Slice(
            int(page.index),
            page_facts(page),
            calibration(tiff, ome.attributes if ome else {}),
            (*remarks, *(f"the TIFF reader warns: {text}" for text in warnings)),
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


def _compare(file: Path, mine: PageFacts, first_file: Path, first: PageFacts) -> None:
    for name, found, expected in (
        ("shape", " x ".join(map(str, mine.shape)), " x ".join(map(str, first.shape))),
        ("type", str(mine.dtype), str(first.dtype)),
    ):
        if found != expected:
            raise InputError(
                f"{file} has the {name} {found}, but the first slice {first_file.name} has "
                f"{expected}: all slices of a volume must agree"
            )


def _common_size(found: Mapping[str, Calibration]) -> tuple[Calibration, list[str]]:
    """The voxel size that all slices state; along an axis where they differ, none and a remark."""
    names = list(found)
    first = found[names[0]]
    sizes, origins, differing = list(first.sizes), list(first.origins), []
    for axis, name in enumerate("zyx"):
        stated = np.array(
            [math.nan if item.sizes[axis] is None else item.sizes[axis] for item in found.values()],
            float,
        )
        other = np.flatnonzero(
            ~(np.isclose(stated, stated[0], rtol=_TOLERANCE, atol=0, equal_nan=True))
        )
        if other.size:
            sizes[axis] = None
            origins[axis] = (
                f"slices differ: {_nm(stated[0])} in {names[0]}, {_nm(stated[other[0]])} in "
                f"{names[other[0]]}"
            )
            differing.append(f"along {name} {origins[axis]} ({other.size} unlike the first)")
    remarks = [f"the voxel size that the slices state differs: {'; '.join(differing)}"]
    z, y, x = sizes
    return Calibration(
        (z, y, x), (origins[0], origins[1], origins[2])
    ), remarks if differing else []


def _nm(size: float) -> str:
    return "none" if math.isnan(size) else f"{size:.5g} nm"


def _gathered(headers: Mapping[str, _Slice]) -> list[str]:
    """Peculiarities in the headers of slices, each once with the names of its slices."""
    by_text: dict[str, list[str]] = defaultdict(list)
    for name, header in headers.items():
        for remark in dict.fromkeys(header.remarks):
            by_text[remark].append(name)
    shown = [f"{listed(names)}: {remark}" for remark, names in list(by_text.items())[:5]]
    if len(by_text) > 5:
        shown.append(f"{len(by_text) - 5} more warnings of this kind are left out")
    return shown
