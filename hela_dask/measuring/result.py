"""The result of measuring labels: its tables, and their files."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hela_dask.errors import ParameterError
from hela_dask.tasks.table_files import TableFiles

__all__ = ["MeasureFiles", "Measurement"]

_ENDS = (".parquet", ".csv")


@dataclass(frozen=True)
class Measurement:
    """Measured labels.

    Attributes
    ----------
    objects : pandas.DataFrame
        One row per label, as in the file at `path`.
    contacts : pandas.DataFrame
        One row per pair of labels that are near each other, as in ``NAME_contacts.parquet``.
    path, contacts_path : Path or None
        These files, with the ending of `out`, Parquet or CSV; the other one is beside each, and
        ``NAME_columns.csv`` has the units and meanings of their columns. None where none were
        written.
    """

    objects: pd.DataFrame
    contacts: pd.DataFrame
    path: Path | None
    contacts_path: Path | None

    def summary(self) -> str:
        """One line: how many objects are whole, and how many pairs touch."""
        whole = int(self.objects["complete"].sum())
        touching = int((self.contacts["contact_area"] > 0).sum())
        return (
            f"{len(self.objects)} objects: {whole} whole, {len(self.objects) - whole} cut by the "
            f"volume; {touching} pairs touch"
        )

    def __repr__(self) -> str:
        lines = [self.summary()]
        if self.path is not None:
            lines += [f"  objects   {self.path}", f"  contacts  {self.contacts_path}"]
        return "\n".join(lines)


@dataclass(frozen=True)
class MeasureFiles:
    """The files of measured labels."""

    path: Path  # of the table of objects; absolute

    @classmethod
    def at(cls, out: Path) -> MeasureFiles:
        """Those of a table's path; ParameterError unless it is a .parquet or a .csv file."""
        if out.suffix not in _ENDS or out.name in _ENDS:
            raise ParameterError(
                f"the table {out} must end in .parquet or .csv, as in --out cells.csv: tables are "
                "written as both"
            )
        return cls(out.absolute())

    @property
    def contacts_path(self) -> Path:
        """The table of contacts."""
        return self.path.with_name(f"{self.path.stem}_contacts{self.path.suffix}")

    @property
    def lock(self) -> str:
        """Name of the lock file, beside the table."""
        return f".{self.path.stem}.measure.lock"

    @property
    def state(self) -> Path:
        """The folder of the marker of the tables."""
        return self.path.with_name(f".{self.path.stem}.measure")

    @property
    def scratch(self) -> Path:
        """The folder of results of finished units; removed at the end."""
        return self.state / "units"

    @property
    def tables(self) -> TableFiles:
        """The files of both tables."""
        names = (self.path.stem, self.contacts_path.stem)
        return TableFiles(self.path.parent, self.state, "all", names, "measure", "--out", "labels")

    def read(self) -> Measurement:
        """The tables as they were written."""
        objects, contacts = self.tables.read()
        return Measurement(objects, contacts, self.path, self.contacts_path)

    def clear(self) -> None:
        """Remove the results of finished units."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.state.rmdir()  # refused where it holds the marker of tables
