"""Slices in files, one each: a folder of them, or a set, whatever the format of the files."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hela_dask.conversion.readers.lengths import Calibration
from hela_dask.conversion.readers.names import (
    in_order,
    listed,
    natural_key,
    number_ranges,
    slice_order,
)
from hela_dask.conversion.readers.pixels import PageFacts, Samples, samples
from hela_dask.conversion.readers.source import Role, Source
from hela_dask.conversion.readers.tiff_file import Place
from hela_dask.errors import InputError

__all__ = [
    "Decoder",
    "Entries",
    "Slice",
    "alone",
    "check_alike",
    "places_source",
    "slice_entries",
    "slices_source",
]

_THREADS = 8  # headers read at once: each waits for the disk or the network
_TOLERANCE = 1e-3  # relative: lengths in nm may be rounded differently

# Decodes the slices at some places, (slices, y, x)
Decoder = Callable[[Sequence[Place], Samples], "NDArray[np.generic]"]


@dataclass(frozen=True)
class Slice:
    """The header of a file with one slice."""

    page: int
    facts: PageFacts
    calibration: Calibration
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Entries:
    """The content of a folder of slices; hidden files are left out."""

    names: list[str]  # of the slices, in their order
    others: list[str]  # of other files
    unread: list[str]  # sentences about folders inside that hold slices, too


def alone(folder: Path, source: Source, entries: Entries) -> Source:
    """The source of the only file of a folder, as that of the folder."""
    return replace(
        source,
        path=folder,
        kind=f"a folder with {source.kind}, {entries.names[0]}",
        remarks=(*source.remarks, *(f"{folder}: {remark}" for remark in entries.unread)),
    )


def slices_source(
    folder: Path,
    entries: Entries,
    role: Role,
    *,
    noun: str,
    header: Callable[[Path], Slice],
    decode: Decoder,
) -> Source:
    """A folder of slices of one format, the `noun`, in natural order of the names.

    `header` reads the header of a file, `decode` its samples. An InputError names a slice that
    cannot be read, or is unlike the first one.
    """
    names = entries.names
    files = [folder / name for name in names]
    with ThreadPoolExecutor(_THREADS) as threads:
        headers = dict(zip(names, threads.map(header, files), strict=True))
    first = headers[names[0]]
    for file in files[1:]:
        check_alike(file, headers[file.name].facts, files[0], first.facts)
    order = slice_order(names, entries.others)
    found, differing = _common_size({name: item.calibration for name, item in headers.items()})
    remarks = [
        *order.remarks,
        *_same_files(files),
        *entries.unread,
        *differing,
        *_gathered(headers),
    ]
    facts = {
        "kind": f"a folder of {len(files)} {noun} slices",
        "order": order.rule,
        "first slice": names[0],
        "last slice": names[-1],
        "missing numbers": number_ranges(order.missing) if order.missing else "none",
    }
    places = [Place(file, headers[file.name].page, headers[file.name].facts) for file in files]
    return places_source(folder, places, role, found, facts, remarks, decode=decode)


def places_source(
    path: Path,
    places: Sequence[Place],
    role: Role,
    found: Calibration,
    facts: Mapping[str, str],
    remarks: Sequence[str] = (),
    *,
    decode: Decoder,
) -> Source:
    """The source of slices at some places, each decoded when it is read."""
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

    def read(z0: int, z1: int) -> NDArray[np.generic]:
        return decode(places[z0:z1], treated)

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


def slice_entries(folder: Path, suffixes: Sequence[str], noun: str) -> Entries:
    """The slices of a folder, which have these suffixes, and its other files.

    An InputError names a broken link, or a slice that is no regular file.
    """
    names, others, below = [], [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if Path(entry.name).suffix.lower() not in suffixes:
                if Path(entry.path).is_file():
                    others.append(entry.name)
                elif _holds_slices(Path(entry.path), suffixes):
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
    folders, holds = ("the folder", "holds") if len(below) == 1 else ("the folders", "hold")
    unread = [
        f"{folders} {listed(below)} in it {holds} {noun}s "
        "too, which are not read: where they are slices of this volume, move them beside the others"
    ]
    return Entries(in_order(names), others, unread if below else [])


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


def _holds_slices(folder: Path, suffixes: Sequence[str]) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(Path(entry.name).suffix.lower() in suffixes for entry in entries)
    except OSError:
        return False


def check_alike(file: Path, mine: PageFacts, first_file: Path, first: PageFacts) -> None:
    """InputError where a slice has another shape or type than the first one."""
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


def _gathered(headers: Mapping[str, Slice]) -> list[str]:
    """Peculiarities in the headers of slices, each once with the names of its slices."""
    by_text: dict[str, list[str]] = defaultdict(list)
    for name, header in headers.items():
        for remark in dict.fromkeys(header.remarks):
            by_text[remark].append(name)
    shown = [f"{listed(names)}: {remark}" for remark, names in list(by_text.items())[:5]]
    if len(by_text) > 5:
        shown.append(f"{len(by_text) - 5} more warnings of this kind are left out")
    return shown
