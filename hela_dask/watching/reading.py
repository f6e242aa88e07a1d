"""The files of a run folder that report its run: progress.json, run.json, lock, markers, tables."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hela_dask.documents.reading import check_document, parse_json, read_bytes, read_json, read_text
from hela_dask.errors import HelaDaskError, InputError, MissingInputError
from hela_dask.tasks.process import ProcessName, is_alive, read_name, this_process
from hela_dask.tasks.progress_format import FILE, FORMAT, ProgressDocument

__all__ = ["Cells", "RunFiles", "read_files"]

_MARKS = ("run.json", "done", FILE)  # one of them is in each run folder
_LARGEST_LOCK = 65_536  # bytes
_SHOWN = 200  # failed cells that are read


@dataclass(frozen=True)
class Cells:
    """The cells of ``cells.csv``."""

    statuses: dict[str, int] = field(default_factory=dict)  # number of cells by status
    failed: tuple[tuple[int, str], ...] = ()  # labels with their reasons


@dataclass(frozen=True)
class RunFiles:
    """The content of the files of a run folder, at one moment."""

    folder: Path
    progress: dict[str, Any]  # empty: no file, as of earlier versions
    record: dict[str, Any]  # run.json
    holder: ProcessName | None  # of the lock; None: no lock
    units: dict[str, int]  # finished units by stage, where there is no progress.json
    problems: tuple[str, ...]  # damaged files

    def holder_alive(self) -> bool | None:
        """Whether the process that holds the lock is alive; None: not seen from here."""
        return False if self.holder is None else is_alive(self.holder, this_process())

    def cells(self) -> Cells:
        """The cells, from ``cells.csv``; empty where it cannot be read."""
        try:
            text = read_text(self.folder / "cells.csv")
        except HelaDaskError:
            return Cells()
        statuses: Counter[str] = Counter()
        failed: list[tuple[int, str]] = []
        for row in csv.DictReader(io.StringIO(text)):
            status = row.get("status") or ""
            statuses[status] += 1
            if status == "failed" and len(failed) < _SHOWN:
                label = row.get("label") or ""
                failed.append((int(label) if label.isdigit() else 0, row.get("reason") or ""))
        return Cells(dict(statuses), tuple(failed))


def read_files(folder: Path) -> RunFiles:
    """Read them.

    Raises
    ------
    MissingInputError
        When there is no such folder.
    InputError
        When it is no run folder, or progress.json is damaged and nothing else reports the run.
    StorageError
        When it may not be read.
    """
    if not folder.exists():
        raise MissingInputError(f"there is no run folder {folder}")
    if not folder.is_dir():
        raise InputError(f"{folder} is a file, not a run folder")
    problems: list[str] = []
    progress = _read(folder / FILE, problems)
    record = _read(folder / "run.json", problems)
    holder = _holder(folder / "lock")
    if not any((folder / name).exists() for name in _MARKS) and holder is None:
        raise InputError(
            f"{folder} is no run folder: it has none of {', '.join(_MARKS)}; give the folder that "
            "hela-dask run has made, which ends in .run"
        )
    if progress.get("format", FORMAT) > FORMAT:
        raise InputError(
            f"{folder / FILE} is of a newer version of hela_dask "
            f"({progress.get('version') or 'not known'}): install that version here"
        )
    if problems and not progress and not record:
        raise InputError(f"{problems[0]}: the same command as before continues the run")
    units = {} if progress else _units(folder / "done")
    return RunFiles(folder, progress, record, holder, units, tuple(problems))


def _read(path: Path, problems: list[str]) -> dict[str, Any]:
    """A JSON file of a run folder; empty where it is missing or damaged, which is noted."""
    try:
        found = read_json(path)
        if path.name == FILE:
            if isinstance(found, dict) and _newer(found):
                return found
            checked = check_document(found, ProgressDocument, str(path))
            return checked.model_dump()
        if not isinstance(found, Mapping):
            raise InputError(f"{path} is damaged: it holds no object")
    except MissingInputError:
        return {}
    except InputError as error:
        problems.append(str(error))
        return {}
    return dict(found)


def _newer(found: dict[str, Any]) -> bool:
    """Whether a file is of a later format than this version reads."""
    number = found.get("format")
    return isinstance(number, int) and number > FORMAT


def _holder(path: Path) -> ProcessName | None:
    """The process that a lock names."""
    try:
        found = parse_json(read_bytes(path, _LARGEST_LOCK), str(path))
    except HelaDaskError:
        return None
    return read_name(found) if isinstance(found, dict) else None


def _units(done: Path) -> dict[str, int]:
    """Finished units by stage, from the names of the markers."""
    names = (path.name for path in done.glob("*-*.json"))
    return dict(Counter(name.partition("-")[0] for name in names if not name.startswith(".")))
