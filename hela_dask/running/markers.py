"""What of a run is finished: one small file a unit, written after the unit's data.

A marker holds the unit's result (a small row) and a fingerprint of all that the result depends on:
the input's files, the parameters that matter to the stage, and the version. Where the fingerprint
is still the same, the unit is done and its files are left untouched.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hela_dask.storage.files import plain, write_json

__all__ = ["Markers", "fingerprint", "fingerprint_content", "fingerprint_files"]


def fingerprint(*parts: Any) -> str:
    """A short name for exactly these values; any change gives another."""
    text = json.dumps([plain(part) for part in parts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def fingerprint_content(path: Path) -> str:
    """A fingerprint of what is in a file, whatever its name and times are: a copy has the same."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def fingerprint_files(folder: Path, skip: Iterable[str] = ()) -> str:
    """A fingerprint of the files in ``folder``: names, sizes, times of last change.

    The content of small metadata files (``zarr.json``, ``.zarray``, …) counts instead of their
    time, and ``skip`` names folders at the top that do not count. Reading every voxel would take
    as long as the work itself, so a copy without its times is taken for a new input.
    """
    skipped = set(skip)
    found: list[tuple[str, Any]] = []
    for here, folders, names in os.walk(folder):
        if Path(here) == folder:
            folders[:] = [name for name in folders if name not in skipped]
        for name in names:
            path = Path(here, name)
            key = path.relative_to(folder).as_posix()
            if name == "zarr.json" or name.startswith(".z"):
                found.append((key, path.read_text(encoding="utf-8")))
            else:
                facts = path.stat()
                found.append((key, [facts.st_size, facts.st_mtime_ns]))
    return fingerprint(sorted(found))


@dataclass(frozen=True)
class Markers:
    """The markers of one run, in its folder ``done/``.

    Parameters
    ----------
    folder : Path
        ``RUN/done``; made when the first unit finishes.
    """

    folder: Path

    def path(self, stage: str, unit: str) -> Path:
        """Where the marker of a unit is."""
        return self.folder / f"{stage}-{unit}.json"

    def result(self, stage: str, unit: str, wanted: str) -> dict[str, Any] | None:
        """The unit's result if it is finished with this fingerprint, else None."""
        try:
            marker = json.loads(self.path(stage, unit).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        if not isinstance(marker, dict) or marker.get("fingerprint") != wanted:
            return None
        result: dict[str, Any] = marker["result"]
        return result

    def finish(self, stage: str, unit: str, of: str, result: Mapping[str, Any]) -> dict[str, Any]:
        """Write the marker, after the unit's data; give the result as a later run will read it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        kept: dict[str, Any] = plain(result)
        write_json(self.path(stage, unit), {"fingerprint": of, "result": kept})
        return kept

    def forget(self, stage: str, unit: str = "*") -> None:
        """Take markers away, so that their units are done again."""
        for path in self.folder.glob(f"{stage}-{unit}.json"):
            path.unlink(missing_ok=True)
