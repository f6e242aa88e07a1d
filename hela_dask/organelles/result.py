"""The result of an assignment: its tables, and who may replace them."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hela_dask.columns import Column, axis_label
from hela_dask.errors import ParameterError
from hela_dask.formatting import counted
from hela_dask.organelles.columns import ORGANELLE_CELL_COLUMNS, ORGANELLE_COLUMNS
from hela_dask.pages import Card, Frame, Shown, as_frame, make_card
from hela_dask.tasks.table_files import TableFiles

__all__ = ["Assignment", "OrganelleFiles", "checked_name"]

_MOST = 10  # rows of a table of a card
_COLUMNS = 8  # columns of one
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Assignment(Shown):
    """Organelles assigned to the cells of a run.

    Attributes
    ----------
    organelles : pandas.DataFrame
        One row per organelle, as in ``organelles_NAME.parquet``.
    cells : pandas.DataFrame
        One row per labelled cell, as in ``organelles_NAME_cells.parquet``.
    path, cells_path : Path
        These files. A ``.csv`` is beside each, and ``organelles_NAME_columns.csv`` has the units
        and meanings of their columns.

    Examples
    --------
    >>> import hela_dask as hd
    >>> found = hd.assign("hela.run", "mitochondria.tif")
    >>> found.cells["label"].tolist(), int(found.cells["n_organelles"].sum())
    ([2, 3], 3)
    """

    organelles: pd.DataFrame
    cells: pd.DataFrame
    path: Path
    cells_path: Path

    def summary(self) -> str:
        """One line: how many organelles are in cells, outside, and across a border.

        Examples
        --------
        >>> import hela_dask as hd
        >>> hd.assign("hela.run", "mitochondria.tif").summary()
        '3 organelles: 3 in 1 cell, 0 outside, ...'
        """
        inside = int((self.organelles["cell"] > 0).sum())
        crossing = int(self.organelles["crosses_border"].sum())
        holding = int((self.cells["n_organelles"] > 0).sum())
        return (
            f"{counted(len(self.organelles), 'organelle')}: {inside} in "
            f"{counted(holding, 'cell')}, {len(self.organelles) - inside} outside, {crossing} "
            "across a border"
        )

    def _card(self) -> Card:
        return make_card(
            "Organelles",
            {"organelles": self.path, "cells": self.cells_path},
            summary=self.summary(),
            tables=(
                ("cells", _frame(self.cells, ORGANELLE_CELL_COLUMNS)),
                ("organelles", _frame(self.organelles, ORGANELLE_COLUMNS)),
            ),
        )

    def __str__(self) -> str:
        return f"{self.summary()}\n  organelles  {self.path}\n  cells       {self.cells_path}"


def _frame(table: pd.DataFrame, columns: Mapping[str, Column]) -> Frame:
    """The first rows and columns, with units."""
    heads = {name: axis_label(str(name), columns) for name in table}
    shown = table.iloc[:, :_COLUMNS].rename(columns=heads)
    return as_frame(shown, 3, index=False, most=_MOST)


def checked_name(name: str | None, organelles: Path) -> str:
    """The name of the tables; default: that of the organelles' file, without its endings.

    ParameterError where it cannot be a part of a file name.
    """
    found = organelles.name.split(".")[0] if name is None else name
    if not _NAME.fullmatch(found) or found.endswith(("_cells", "_columns")):
        default = " (that of the organelles' file)" if name is None else ""
        raise ParameterError(
            f"the name {found!r}{default} must be letters, digits, _ and -, at most 64, and not "
            "end with _cells or _columns: give another with --name, as in --name mitochondria"
        )
    return found


@dataclass(frozen=True)
class OrganelleFiles:
    """The files of an assignment in a run folder."""

    run: Path  # absolute
    name: str

    @property
    def scratch(self) -> Path:
        """The folder of results of finished units; removed at the end."""
        return self.run / "organelles" / self.name

    @property
    def table(self) -> Path:
        """The table of organelles, without its ending."""
        return self.run / f"organelles_{self.name}"

    @property
    def cells(self) -> Path:
        """The table of cells, without its ending."""
        return self.run / f"organelles_{self.name}_cells"

    @property
    def tables(self) -> TableFiles:
        """The files of both tables."""
        names = (self.table.name, self.cells.name)
        state = self.run / "organelles"
        return TableFiles(self.run, state, self.name, names, "assign", "--name", "organelles")

    def finished(self, key: str) -> Assignment | None:
        """The tables, if they are of this key; None where they are not, or not there."""
        return self.read() if self.tables.finished(key) else None

    def read(self) -> Assignment:
        """The tables as they were written."""
        table, cells = (Path(f"{path}.parquet") for path in (self.table, self.cells))
        organelles, per_cell = self.tables.read()
        return Assignment(organelles, per_cell, table, cells)

    def write(
        self, key: str, organelles: pd.DataFrame, cells: pd.DataFrame, facts: Mapping[str, Any]
    ) -> Assignment:
        """Put the tables in place, and record them as those of a key."""
        tables = [(organelles, ORGANELLE_COLUMNS), (cells, ORGANELLE_CELL_COLUMNS)]
        self.tables.write(key, tables, facts, self.scratch / "tables")
        return self.read()

    def clear(self) -> None:
        """Remove the results of finished units."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.scratch.parent.rmdir()  # refused where it holds markers of tables
