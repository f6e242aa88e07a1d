"""Tables of a command, and who may replace them: nothing of other programs, or edited since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hela_dask.columns import Column
from hela_dask.errors import ExistsError
from hela_dask.storage.files import flush_folders, storage_errors, write_columns, write_table
from hela_dask.storage.places import same_place
from hela_dask.storage.records import record_file
from hela_dask.tasks.markers import Marker, Markers

__all__ = ["TableFiles"]

_STAGE = "tables"  # of the marker of finished tables
_ENDS = (".parquet", ".csv")


@dataclass(frozen=True)
class TableFiles:
    """Tables that are written together, each as Parquet and CSV, and the meanings of their columns.

    Their marker holds the fingerprint of all that they depend on, and the records of the files.
    """

    folder: Path  # with the tables; absolute
    state: Path  # folder of the marker, in `folder`
    unit: str  # name of the marker
    names: tuple[str, ...]  # of the tables, without their endings
    command: str  # that writes them, for errors
    option: str  # that selects others
    source_fact: str  # name of the fact that holds the path of their labels

    @property
    def paths(self) -> list[Path]:
        """The files that are written."""
        tables = [self.folder / f"{name}{end}" for name in self.names for end in _ENDS]
        return [*tables, self.columns]

    @property
    def columns(self) -> Path:
        """The file with the units and meanings of the columns."""
        return self.folder / f"{self.names[0]}_columns.csv"

    @property
    def _markers(self) -> Markers:
        return Markers(self.state)

    def marker(self) -> Marker | None:
        """The marker of the tables, None where none were written."""
        return self._markers.read(_STAGE, self.unit)

    def finished(self, key: str) -> bool:
        """Whether the tables are there, unchanged, and of this key."""
        marker = self._markers.finished(_STAGE, self.unit, key)
        if marker is None or self._markers.mismatches(marker):
            return False
        return not self._foreign(marker)

    def read(self) -> list[pd.DataFrame]:
        """The tables as they were written."""
        return [pd.read_parquet(self.folder / f"{name}.parquet") for name in self.names]

    def write(
        self,
        key: str,
        tables: Sequence[tuple[pd.DataFrame, Mapping[str, Column]]],
        facts: Mapping[str, Any],
        staged: Path,
    ) -> None:
        """Put the tables in place, and record them as those of a key.

        They are written into the folder `staged`, and recorded before they have their names: an
        interruption leaves no file that the next call takes for one of another program. Each table
        has the meanings of its columns beside it.
        """
        described = dict(zip(self.names, tables, strict=True))
        for name, (table, columns) in zip(self.names, tables, strict=True):
            write_table(staged / name, table, columns)
        write_columns(staged / self.columns.name, described)
        records = {f"run/{path.name}": record_file(staged / path.name) for path in self.paths}
        for path in self.paths:
            path.unlink(missing_ok=True)
        self._markers.finish(_STAGE, self.unit, key, facts, records)
        for path in self.paths:
            (staged / path.name).replace(path)
        flush_folders(self.folder, [path.name for path in self.paths])

    def _foreign(self, marker: Marker) -> set[str]:
        """The paths of files that a marker does not record: earlier versions wrote fewer."""
        recorded = self._markers.files_in(marker, "run")
        return {str(path) for path in self.paths if path.name not in recorded}

    def check(self, source: Path, *, overwrite: bool) -> None:
        """Refuse to replace what another program, a person, or a call for other labels wrote.

        `source` are the labels of this call. ExistsError names the file.
        """
        marker = self.marker()
        changed, present = set(), False
        if marker is not None:
            changed = {item.path for item in self._markers.mismatches(marker)}
            changed |= self._foreign(marker)
        for path in self.paths:
            with storage_errors(path):
                there = path.exists() or path.is_symlink()
            present |= there
            if there and (marker is None or str(path) in changed):
                raise ExistsError(
                    f"{path} was not written by hela-dask {self.command}, or was changed since: "
                    f"move it away, or choose another {self.option}"
                )
        earlier = "" if marker is None else str(marker.result.get(self.source_fact, ""))
        if present and earlier and not same_place(earlier, source) and not overwrite:
            raise ExistsError(
                f"{self.paths[0]} is the table of {earlier}: choose another {self.option}, or "
                "replace it with --overwrite"
            )
