"""The finished units of a run: one small file per unit, written after the unit's data.

A marker holds the unit's result (a small row), a fingerprint of all that the result depends on
(the input, the parameters that the stage reads, the code), and the size and checksum of every file
that the unit wrote. Where the fingerprint is still the same and the files are still there, the
unit is done and its files are left untouched. A marker also holds a checksum of itself: one that is
damaged and still valid JSON is no marker.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hela_dask.documents.reading import Document, read_document, read_json
from hela_dask.errors import InputError, MissingInputError
from hela_dask.storage.files import plain, remove_folder, write_json
from hela_dask.storage.records import (
    FileRecord,
    Mismatch,
    Records,
    compare_files,
    distrust,
    parse_records,
    record_file,
    records_to_json,
)
from hela_dask.tasks.versions import numeric_versions

__all__ = ["Marker", "Markers", "fingerprint", "fingerprint_content", "fingerprint_files"]


def fingerprint(*parts: Any) -> str:
    """A short name for exactly these values; any change gives another."""
    text = json.dumps([plain(part) for part in parts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def fingerprint_content(path: Path) -> str:
    """A fingerprint of the content of a file, independent of its name and times.

    A copy has the same.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def fingerprint_files(folder: Path, skip: Iterable[str] = ()) -> str:
    """A fingerprint of the files in ``folder``: names, sizes, times of last change.

    The content of small metadata files (``zarr.json``, ``.zarray``, …) counts instead of their
    time, and ``skip`` names folders at the top that do not count. Reading every voxel would take as
    long as the work itself, so a copy without its times counts as a new input.
    """
    skipped = set(skip)
    found: list[tuple[str, Any]] = []
    seen: set[str] = set()  # links are followed, but not in circles
    for here, folders, names in os.walk(folder, followlinks=True):
        if Path(here) == folder:
            folders[:] = [name for name in folders if name not in skipped]
        places = {name: os.path.realpath(Path(here, name)) for name in folders}
        folders[:] = [name for name in folders if places[name] not in seen]
        seen.update(places.values())
        for name in names:
            path = Path(here, name)
            key = path.relative_to(folder).as_posix()
            if name == ".zmetadata":
                continue
            if name == "zarr.json" or name.startswith(".z"):
                found.append((key, _metadata(path)))
            else:
                if path.is_symlink() and not path.exists():
                    raise InputError(
                        f"{path} is a link to a file that is not there: get its content, or "
                        "remove the link"
                    )
                facts = path.stat()
                found.append((key, [facts.st_size, facts.st_mtime_ns]))
    return fingerprint(sorted(found, key=lambda item: item[0]))


class _Document(Document):
    """A marker's file."""

    fingerprint: str
    result: dict[str, Any]
    files: dict[str, list[int] | None]
    versions: dict[str, str]
    check: str = ""


def _check(content: Mapping[str, Any]) -> str:
    """A checksum of a marker's content, without the checksum itself."""
    return fingerprint({name: item for name, item in content.items() if name != "check"})


def _metadata(path: Path) -> Any:
    """A metadata file without its copy of all metadata inside, which new labels change too."""
    content = read_json(path)
    if not isinstance(content, dict):
        return content
    return {key: item for key, item in content.items() if key != "consolidated_metadata"}


@dataclass(frozen=True)
class Marker:
    """The record of a finished unit."""

    fingerprint: str  # of all that the result depends on
    result: dict[str, Any]  # a small row
    # The files that the unit wrote: ``run/…`` relative to the run folder, ``labels/…`` relative to
    # the folder of the label groups. None: no file, because all values are 0
    files: Records
    versions: dict[str, str]  # of the packages that computed it


@dataclass(frozen=True)
class Markers:
    """The markers of one run, in its folder ``done/``."""

    folder: Path  # ``RUN/done``; made when the first unit finishes
    # The folder that holds the label groups, for units that write into them
    labels: Path | None = None

    def path(self, stage: str, unit: str) -> Path:
        """Where the marker of a unit is."""
        return self.folder / f"{stage}-{unit}.json"

    def read(self, stage: str, unit: str) -> Marker | None:
        """The marker of a unit; None where there is none, or none that can be read."""
        try:
            found = read_document(self.path(stage, unit), _Document)
        except (InputError, MissingInputError):
            return None
        files = parse_records(found.files)
        if files is None:
            return None
        if found.check not in ("", _check(found.model_dump())):  # empty: of an earlier version
            return None
        return Marker(found.fingerprint, found.result, files, found.versions)

    def result(self, stage: str, unit: str, wanted: str) -> dict[str, Any] | None:
        """The unit's result if it is finished with this fingerprint, else None.

        Its files are not checked here: see :meth:`mismatches`.
        """
        marker = self.finished(stage, unit, wanted)
        return None if marker is None else marker.result

    def finish(
        self,
        stage: str,
        unit: str,
        unit_key: str,
        result: Mapping[str, Any],
        files: Mapping[str, FileRecord | None] | None = None,
    ) -> dict[str, Any]:
        """Write the marker, after the unit's data; returns the result as a later run will read it.

        `stage` and `unit` are together the marker's name; `unit_key` is the fingerprint of all that
        the result depends on; `result` and `files` are as in :class:`Marker`. StorageError when the
        file system refuses it or is full.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        kept: dict[str, Any] = plain(result)
        if self.path(stage, unit).is_dir():  # of another program
            remove_folder(self.path(stage, unit))
        content = {
            "fingerprint": unit_key,
            "result": kept,
            "files": records_to_json(files or {}),
            "versions": numeric_versions(network=True),
        }
        content["check"] = _check(content)
        # A marker without files may be lost with the machine: its unit is only computed again.
        write_json(self.path(stage, unit), content, flush=bool(files))
        return kept

    def record(self, *paths: Path) -> Records:
        """Records of files in the run folder, read once each; of those that are there."""
        run = self.folder.parent.absolute()
        return {
            f"run/{path.absolute().relative_to(run).as_posix()}": record_file(path)
            for path in paths
            if path.is_file()
        }

    def renew(self, stage: str, unit: str, *folders_and_files: Path) -> None:
        """Record files of a finished unit again, after they were rewritten.

        Of a folder, all files in it. No effect on an unfinished unit.
        """
        marker = self.read(stage, unit)
        if marker is None:
            return
        run = self.folder.parent.absolute()
        files = dict(marker.files)
        for path in folders_and_files:
            key = f"run/{path.absolute().relative_to(run).as_posix()}"
            files = {name: item for name, item in files.items() if not name.startswith(f"{key}/")}
            files |= self.record(*(path.glob("*") if path.is_dir() else [path]))
        self.finish(stage, unit, marker.fingerprint, marker.result, files)

    def finished(self, stage: str, unit: str, wanted: str) -> Marker | None:
        """The marker of a unit that is finished with this fingerprint, else None."""
        marker = self.read(stage, unit)
        return marker if marker is not None and marker.fingerprint == wanted else None

    def files_in(self, marker: Marker, name: str) -> Records:
        """The files of a unit in ``run`` or ``labels``, relative to that folder."""
        return {
            path.removeprefix(f"{name}/"): item
            for path, item in marker.files.items()
            if path.startswith(f"{name}/")
        }

    def distrust(
        self, stage: str, unit: str, roots: Mapping[str, Path], damaged: Container[Path]
    ) -> None:
        """Make the next run read some files of a unit, which were found to be damaged."""
        marker = self.read(stage, unit)
        if marker is None:
            return
        names = {
            f"{name}/{path}"
            for name, root in roots.items()
            for path in self.files_in(marker, name)
            if root / path in damaged
        }
        if names:
            files = distrust(marker.files, names)
            self.finish(stage, unit, marker.fingerprint, marker.result, files)

    def mismatches(self, marker: Marker) -> list[Mismatch]:
        """Files of a finished unit that are not as it wrote them.

        A file of the right size with another time of change is compared by its content.
        """
        found = []
        for name, root in (("run", self.folder.parent), ("labels", self.labels)):
            files = self.files_in(marker, name)
            if files and root is not None:
                found += [
                    Mismatch(str(root / path), problem)
                    for path, problem in compare_files(root, files)
                ]
        return found

    def names(self) -> list[str]:
        """Stage and unit of every marker that is there."""
        return sorted(path.stem for path in self.folder.glob("*.json"))

    def forget(self, stage: str, unit: str = "*") -> None:
        """Remove markers, so that their units are computed again."""
        for path in self.folder.glob(f"{stage}-{unit}.json"):
            if path.is_dir():
                remove_folder(path)
            else:
                path.unlink(missing_ok=True)
