"""Records of written files: size, CRC-32C and time of last change, compared with the disk."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

import google_crc32c

from hela_dask.errors import StorageError
from hela_dask.storage.remote import file_facts, list_files
from hela_dask.storage.urls import StorePath, StoreUrl

__all__ = [
    "SAMPLED",
    "FileRecord",
    "Mismatch",
    "Records",
    "compare_files",
    "content_problem",
    "distrust",
    "file_crc32c",
    "parse_records",
    "record_file",
    "records_to_json",
]

_PIECE = 2**20  # bytes read at a time
SAMPLED = 64
"""Files of a remote store that are looked at, where its server does not list them."""
_UNEXPECTED = "is there, where all values are 0 and no file was written"
_THREADS = 8  # of a file system that answers slowly, several questions at once


class FileRecord(NamedTuple):
    """A file as it was written."""

    size: int  # bytes
    crc32c: int  # checksum of all bytes (RFC 3720, B.4)
    mtime_ns: int  # time of last change. A hint only: a copy may have another.


Records = dict[str, FileRecord | None]
"""Records by path relative to a folder, with ``/``; None: no file, because all values are 0."""


class Mismatch(NamedTuple):
    """A file that is not as it was written."""

    path: str  # relative to the folder that was looked at, with ``/``
    problem: str  # the fault, to be read after the path: ``"is missing"``


def record_file(path: Path) -> FileRecord:
    """Read a file once for its record."""
    facts = path.stat()
    return FileRecord(facts.st_size, file_crc32c(path), facts.st_mtime_ns)


def file_crc32c(path: Path, on_bytes: Callable[[int], None] | None = None) -> int:
    """CRC-32C of a file's bytes; `on_bytes` is called with the length of each piece read."""
    check = 0
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_PIECE):
            check = google_crc32c.extend(check, piece)
            if on_bytes is not None:
                on_bytes(len(piece))
    return check


def records_to_json(records: Mapping[str, FileRecord | None]) -> dict[str, list[int] | None]:
    """Records as JSON has them."""
    return {path: None if item is None else list(item) for path, item in records.items()}


def parse_records(found: Mapping[str, Sequence[int] | None]) -> Records | None:
    """Records from JSON; None where one is no record, or a path leads out of the folder."""
    records: Records = {}
    for path, item in found.items():
        parts = PurePosixPath(path)
        if parts.is_absolute() or ".." in parts.parts or "\\" in path or not parts.parts:
            return None
        if item is None:
            records[path] = None
            continue
        if len(item) != 3 or min(item) < 0:
            return None
        records[path] = FileRecord(*item)
    return records


def compare_files(
    root: StorePath,
    records: Mapping[str, FileRecord | None],
    *,
    read: Literal["none", "changed"] = "changed",
) -> list[Mismatch]:
    """Compare files with their records: existence, size, and content where the time differs.

    Each folder is listed once, so that thousands of files take a fraction of a second. Paths are
    relative to `root`; the mismatches are sorted by path.

    With `read` ``"changed"``, a file of the right size with another time of last change is read and
    compared by its checksum. With ``"none"`` it counts as right, unless the recorded time is 0:
    then the file was found to be damaged (see :func:`distrust`). StorageError when a folder or file
    cannot be read for another reason than that it is missing.

    Of a remote `root` only existence and size are compared: of all files where the server lists
    them, else of :data:`SAMPLED` files, evenly spread.
    """
    if isinstance(root, StoreUrl):
        return _compare_remote(root, records)
    folders: dict[str, list[str]] = {}
    for path in records:
        parent, _, name = path.rpartition("/")
        folders.setdefault(parent, []).append(name)
    found: list[Mismatch] = []
    for parent, there in _listed(root, folders):
        for name in folders[parent]:
            path = f"{parent}/{name}" if parent else name
            problem = _problem(root / path, records[path], there.get(name), read)
            if problem:
                found.append(Mismatch(path, problem))
    return sorted(found)


def distrust(records: Mapping[str, FileRecord | None], paths: Container[str]) -> Records:
    """Records after some of the files were found to be damaged: whoever looks next reads them."""
    return {
        path: item._replace(mtime_ns=0) if item is not None and path in paths else item
        for path, item in records.items()
    }


def _listed(root: Path, folders: Iterable[str]) -> Iterable[tuple[str, dict[str, os.stat_result]]]:
    """Each folder with its entries' facts; links are followed, links to nothing are left out."""

    def entries(parent: str) -> tuple[str, dict[str, os.stat_result]]:
        found: dict[str, os.stat_result] = {}
        try:
            with os.scandir(root / parent) as listed:
                for entry in listed:
                    try:
                        found[entry.name] = entry.stat()
                    except FileNotFoundError:
                        continue
        except (FileNotFoundError, NotADirectoryError):
            return parent, {}
        except OSError as error:
            raise StorageError(f"cannot read {root / parent}: {error.strerror or error}") from error
        return parent, found

    names = list(folders)
    if len(names) < 4 * _THREADS:
        return [entries(name) for name in names]
    with ThreadPoolExecutor(_THREADS, "look") as threads:
        return list(threads.map(entries, names))


def _problem(path: Path, record: FileRecord | None, facts: os.stat_result | None, read: str) -> str:
    """The fault of a file; empty if there is none."""
    if record is None:
        return "" if facts is None else _UNEXPECTED
    if facts is None:
        return "is missing"
    if not stat.S_ISREG(facts.st_mode):
        return "is not a file"
    if facts.st_size != record.size:
        return f"has {facts.st_size} bytes instead of {record.size}"
    if facts.st_mtime_ns == record.mtime_ns or (read == "none" and record.mtime_ns):
        return ""
    return content_problem(path, record)


def _compare_remote(root: StoreUrl, records: Mapping[str, FileRecord | None]) -> list[Mismatch]:
    """Mismatches of existence and size."""
    listed = list_files(str(root))
    names = sorted(records)
    if listed is None:
        names = names[:: max(1, -(-len(names) // SAMPLED))]
        facts = file_facts([str(root / name) for name in names])
        listed = {name: item for name, item in zip(names, facts, strict=True) if item is not None}
    found = []
    for name in names:
        record, there = records[name], listed.get(name)
        if record is None and there is not None:
            found.append(Mismatch(name, _UNEXPECTED))
        elif record is not None and there is None:
            found.append(Mismatch(name, "is missing"))
        elif record is not None and there is not None and there.size not in (None, record.size):
            found.append(Mismatch(name, f"has {there.size} bytes instead of {record.size}"))
    return found


def content_problem(path: Path, record: FileRecord) -> str:
    """The fault of the content of a file, after reading all of it; empty: nothing."""
    try:
        same = file_crc32c(path) == record.crc32c
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    return "" if same else "has other content than was written"
