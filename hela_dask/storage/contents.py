"""Files in a folder that this package did not write, and missing files of an array."""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from hela_dask.documents.reading import Document, read_document
from hela_dask.errors import ExistsError, HelaDaskError
from hela_dask.storage.files import storage_errors
from hela_dask.storage.level import Level, slab_marks
from hela_dask.storage.metadata import Image, read_image
from hela_dask.storage.nodes import read_node
from hela_dask.storage.records import SAMPLED
from hela_dask.storage.remote import file_facts, list_files
from hela_dask.storage.sampling import sampled_files
from hela_dask.storage.urls import StorePath, StoreUrl

__all__ = [
    "check_listed",
    "find_foreign",
    "foreign_names",
    "holds_only_levels",
    "missing_files",
    "remove_files",
]

# Files that systems put into any folder, and that a killed process of this package leaves.
_LITTER = re.compile(
    r"\.DS_Store|Thumbs\.db|desktop\.ini|\._.*|\.nfs[0-9a-f]+|\..+\.[0-9a-f]{8}\.(tmp|removed)"
)
_LOCK = re.compile(r"\.?lock(\..*)?")
_NUMBER = re.compile(r"\d+")
# Keys of chunks: c/0/1/2 and c.0.1.2 (v3), 0.1.2 and 0/1/2 (v2 and v3).
_KEY = re.compile(r"^(c[./])?\d+([./]\d+)*$")


def foreign_names(folder: Path, known: Iterable[str]) -> list[str]:
    """Names in a folder, which may be missing, that are not among the `known` ones, sorted.

    `known` are those that this package writes there; litter of systems is passed over.
    """
    if not folder.is_dir():
        return []
    ours = set(known)
    names = (path.name for path in folder.iterdir())
    return sorted(name for name in names if name not in ours and not _LITTER.fullmatch(name))


def remove_files(folder: Path, names: Iterable[str]) -> None:
    """Remove these files (with ``/``) of a folder, and each folder that is empty then."""
    with storage_errors(folder):
        if not folder.is_dir():
            return
        inside: set[PurePosixPath] = set()
        for name in names:
            (folder / name).unlink(missing_ok=True)
            inside.update(PurePosixPath(name).parents)
        for parent in sorted(inside | {PurePosixPath()}, key=lambda path: -len(path.parts)):
            if (folder / parent).is_dir() and not any((folder / parent).iterdir()):
                (folder / parent).rmdir()


class _Listing(Document):
    """The list of files that a command wrote into a folder."""

    files: list[str]


def check_listed(folder: Path, listing: str, ours: re.Pattern[str], command: str) -> list[str]:
    """The files that a command wrote into a folder before, by its list of them.

    `listing` is the name of that list, a JSON file in the folder; names in it (with ``/`` where
    they lie deeper) that do not match `ours` are not the command's. ExistsError where the folder
    is, or holds, anything else.
    """
    if folder.is_symlink() and not folder.exists():
        raise ExistsError(f"{folder} is a link to nowhere: choose another --out")
    if not folder.exists():
        return []
    if not folder.is_dir():
        raise ExistsError(f"{folder} is a file: choose another --out")
    known: list[str] = []
    with contextlib.suppress(HelaDaskError):
        found = read_document(folder / listing, _Listing)
        known = [name for name in found.files if ours.fullmatch(name)]
    if others := list(_not_listed(folder, {*known, *([listing] if known else [])})):
        raise ExistsError(
            f"{folder} holds {others[0]}, which {command} did not write, so nothing in it is "
            "replaced: choose another --out"
        )
    return known


def _not_listed(folder: Path, known: set[str], above: str = "") -> Iterator[str]:
    """Names of unknown files in a folder, and in its folders that hold known files."""
    folders = {name.removeprefix(above).partition("/")[0] for name in known if "/" in name}
    for name in foreign_names(folder, [name.removeprefix(above) for name in known]):
        place = folder / name
        if name in folders and place.is_dir() and not place.is_symlink():
            deeper = {item for item in known if item.startswith(f"{above}{name}/")}
            yield from _not_listed(place, deeper, f"{above}{name}/")
        else:
            yield above + name


def find_foreign(path: Path) -> Path | None:
    """The first thing in an image or label group, with the labels inside, that is another's.

    None where this package wrote all of it.
    """
    return next(_foreign(path), None)


def holds_only_levels(path: Path) -> bool:
    """Whether a folder holds only files of a label group, without reading its metadata.

    For a group with unreadable metadata.
    """
    levels = [name for name in foreign_names(path, ["zarr.json"]) if _NUMBER.fullmatch(name)]
    if foreign_names(path, ["zarr.json", *levels]):
        return False
    for level in (path / name for name in levels):
        marks = level / ".slabs"
        if foreign_names(level, ["zarr.json", "c", marks.name]):
            return False
        if any(_not_numbered(marks, 1)) or any(_not_numbered(level / "c", 5)):
            return False
    return True


def _foreign(path: Path) -> Iterator[Path]:
    """Image or label group: levels with shards and marks, and labels."""
    try:
        image = read_image(path, unknown_scale=True)
    except HelaDaskError:
        image = None
    if image is None or not image.attributes:
        yield path
        return
    levels = [level.path for level in image.levels]
    for name in foreign_names(path, ["zarr.json", "labels", "tables", *levels]):
        yield path / name
    for name in levels:
        yield from _foreign_in_level(path / name, slab_marks(path, image.levels[0]).name, image)
    yield from _foreign_in_labels(path / "labels")
    yield from _foreign_in_tables(path / "tables")


def _foreign_in_level(level: Path, marks: str, image: Image) -> Iterator[Path]:
    for name in foreign_names(level, ["zarr.json", "c", marks]):
        yield level / name
    yield from _not_numbered(level / marks, 1)
    yield from _not_numbered(level / "c", len(image.levels[0].shape))


def _not_numbered(folder: Path, depth: int) -> Iterator[Path]:
    """A name in a tree of files with numbers as names that is no number."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if _LITTER.fullmatch(path.name):
            continue
        if not _NUMBER.fullmatch(path.name):
            yield path
        elif depth > 1:
            yield from _not_numbered(path, depth - 1)
        elif path.is_dir() and any(path.iterdir()):
            yield path


def _foreign_in_labels(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name == "zarr.json" or _LITTER.fullmatch(path.name) or _LOCK.fullmatch(path.name):
            continue
        yield from _foreign(path)


def _foreign_in_tables(folder: Path) -> Iterator[Path]:
    """Tables of cells: groups that state that this package made them, with one file."""
    for name in foreign_names(folder, ["zarr.json"]):
        attributes: Mapping[str, Any] = {}
        with contextlib.suppress(HelaDaskError):
            node = read_node(folder / name)
            attributes = {} if node is None else node.attributes
        if "hela_dask" not in attributes:
            yield folder / name
            continue
        for item in foreign_names(folder / name, ["zarr.json", "table.parquet"]):
            yield folder / name / item


def missing_files(group: StorePath, level: Level) -> tuple[int, int]:
    """How many files of a level are missing, and how many there would be; opens none.

    Of a server that lists no files, some are looked at: all are missing, or none is.

    By the specification a missing file stands for the fill value, so it is no damage; a copy that
    was cut short looks alike.
    """
    wanted = math.prod(
        -(-length // side) for length, side in zip(level.shape, level.file, strict=True)
    )
    folder, there = group / level.path, 0
    if isinstance(folder, StoreUrl):
        return _missing_remote(folder, wanted, level), wanted
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name == "c" or name.isdigit()]
        prefix = Path(here).relative_to(folder).as_posix()
        prefix = "" if prefix == "." else f"{prefix}/"
        there += sum(_KEY.match(f"{prefix}{name}") is not None for name in names)
    return max(0, wanted - there), wanted


def _missing_remote(folder: StoreUrl, wanted: int, level: Level) -> int:
    listed = list_files(str(folder))
    if listed is not None:
        return max(0, wanted - sum(_KEY.match(name) is not None for name in listed))
    facts = file_facts([str(folder / name) for name in sampled_files(folder, level, SAMPLED)])
    return 0 if any(item is not None for item in facts) else wanted
