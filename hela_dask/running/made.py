"""Files that other commands made from the result of a run, and which of them are of an earlier one.

Each has a note in the folder ``made`` of the run: where it is, the command that makes it again, and
fingerprints of the parts of the result that it was made from.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hela_dask.documents.reading import Document, read_document
from hela_dask.errors import HelaDaskError, StorageError
from hela_dask.running.provenance import read_run
from hela_dask.storage.files import write_json
from hela_dask.storage.places import relative_path, resolved
from hela_dask.tasks.markers import fingerprint, fingerprint_content

__all__ = ["LABELS", "MADE", "RUN", "TABLE", "Earlier", "MadeFrom", "find_earlier"]

log = logging.getLogger(__name__)

LABELS = "labels"
"""The labels, as a part of a result; the other parts are files of the run folder."""

TABLE = "cells.parquet"
"""The table of cells."""

RUN, MADE = "{run}", "{made}"
"""In a command: the run folder, and the file or folder that is made, wherever they are moved."""

_FOLDER = "made"


class _Note(Document):
    """The file of a note."""

    path: str  # as seen from the run folder
    command: list[str]
    of: dict[str, str]
    listing: str = ""  # the file of a folder that every call writes; empty for a file
    content: str = ""  # fingerprint of that file; empty where there is none


@dataclass(frozen=True)
class Earlier:
    """A file or folder that was made from an earlier result.

    Attributes
    ----------
    path : Path
    part : str
        The part of the result that has changed since.
    command : str
        Makes it again.
    """

    path: Path
    part: str
    command: str

    @property
    def problem(self) -> str:
        """To be read after the path."""
        what = "other labels than the run has now"
        return f"was made from {what if self.part == LABELS else f'an earlier {self.part}'}"

    def __str__(self) -> str:
        return f"{self.path} {self.problem}: make it again with {self.command}"


@dataclass(frozen=True)
class MadeFrom:
    """The result of a run, as it is before something is made from it."""

    run: Path
    parts: Mapping[str, str]

    @classmethod
    def of(cls, run: Path, *parts: str) -> MadeFrom:
        """Parts of the result: :data:`LABELS`, or names of files in the run folder."""
        return cls(run, {part: _fingerprint(run, part) for part in parts})

    def note(self, path: Path, command: Sequence[str], listing: str = "") -> None:
        """Note that a file or folder was made from the result; a read-only run has no notes.

        `command` are the words after ``hela-dask``, with :data:`RUN` for the run folder, and
        :data:`MADE` for `path`. `listing` is a file in a folder that every call writes: by its
        content a folder is recognised that was made from another run since.
        """
        way = relative_path(path, self.run)
        file = self.run / _FOLDER / f"{fingerprint(way)[:16]}.json"
        facts = {"path": way, "command": list(command), "of": dict(self.parts), "listing": listing}
        try:
            file.parent.mkdir(exist_ok=True)
            write_json(file, {**facts, "content": _content(path / listing)})
        except (StorageError, OSError):
            log.debug("%s is not noted in %s", path, self.run, exc_info=True)


def find_earlier(run: Path, labels: str | None = None) -> list[Earlier]:
    """Files and folders that were made from an earlier result, and are still there.

    Parameters
    ----------
    run : Path
        The run folder.
    labels : str, optional
        The name of the content of its labels; default: as its ``run.json`` states it.
    """
    now: dict[str, str] = {} if labels is None else {LABELS: labels}
    found = []
    for file in sorted((run / _FOLDER).glob("*.json")):
        try:
            note = read_document(file, _Note)
        except HelaDaskError:
            continue
        path = resolved(run / note.path)
        if not path.exists() or (note.content and _content(path / note.listing) != note.content):
            continue
        for part, before in note.of.items():
            if part not in now:
                now[part] = _fingerprint(run, part)
            unknown = part == LABELS and not now[part]  # the run is not finished
            if now[part] != before and not unknown:
                places = {RUN: str(run), MADE: str(path)}
                words = [places.get(word, word) for word in note.command]
                found.append(Earlier(path, part, shlex.join(["hela-dask", *words])))
                break
    return sorted(found, key=lambda item: str(item.path))


def _fingerprint(run: Path, part: str) -> str:
    """A name for the content of a part of a result; empty where it is not there."""
    if part == LABELS:
        return str(read_run(run).get("result") or "")
    return _content(run / part)


def _content(path: Path) -> str:
    """A fingerprint of a file's content; empty where there is no file."""
    try:
        return fingerprint_content(path)
    except OSError:
        return ""
