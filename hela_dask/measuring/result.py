"""The result of measuring labels: its tables, and their files."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hela_dask.columns import CONTACT_COLUMNS, OBJECT_COLUMNS, Column, axis_label, check_column
from hela_dask.errors import ParameterError
from hela_dask.pages import Card, Frame, Shown, as_frame, make_card
from hela_dask.tasks.table_files import TableFiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MeasureFiles", "Measurement"]

_SHOWN = ["label", "volume", "area", "sphericity", "max_diameter", "complete"]
_MOST = 10  # rows of a card

_ENDS = (".parquet", ".csv")


@dataclass(frozen=True)
class Measurement(Shown):
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

    Examples
    --------
    >>> import hela_dask as hd
    >>> found = hd.measure("cells.tif", "measured.csv")
    >>> found.path.name, found.contacts_path.name
    ('measured.csv', 'measured_contacts.csv')
    """

    objects: pd.DataFrame
    contacts: pd.DataFrame
    path: Path | None
    contacts_path: Path | None

    def summary(self) -> str:
        """One line: how many objects are whole, and how many pairs touch.

        Examples
        --------
        >>> import hela_dask as hd
        >>> hd.measure("cells.tif").summary()
        '2 objects: 2 whole, 0 cut by the volume; 1 pairs touch'
        """
        whole = int(self.objects["complete"].sum())
        touching = int((self.contacts["contact_area"] > 0).sum())
        return (
            f"{len(self.objects)} objects: {whole} whole, {len(self.objects) - whole} cut by the "
            f"volume; {touching} pairs touch"
        )

    def plot(self, x: str = "volume", y: str = "sphericity", *, ax: Axes | None = None) -> Axes:
        """Plot a measure of the objects over another, a point per object.

        Parameters
        ----------
        x, y : str
            Columns of numbers of `objects`. Points of objects that the volume cuts are hollow.
        ax : matplotlib.axes.Axes, optional
            Default: axes of a new figure.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ParameterError
            When there is no such column, or it has no numbers.

        Examples
        --------
        >>> import hela_dask as hd
        >>> found = hd.measure("cells.tif")
        >>> found.plot("volume", "area").get_xlabel()
        'volume (µm³)'
        """
        from hela_dask.figures.axes import plot_points

        for name in (x, y):
            check_column(name, self.objects)
        across, up = (self.objects[name].to_numpy(float, na_value=np.nan) for name in (x, y))
        whole = self.objects["complete"].to_numpy(bool)
        labels = axis_label(x, OBJECT_COLUMNS), axis_label(y, OBJECT_COLUMNS)
        return plot_points(across, up, whole, labels=labels, ax=ax)

    def _card(self) -> Card:
        shown = self.objects[[name for name in _SHOWN if name in self.objects]]
        return make_card(
            "Measurement",
            {"objects": self.path, "contacts": self.contacts_path},
            summary=self.summary(),
            tables=(
                ("", _frame(shown, OBJECT_COLUMNS)),
                ("contacts", _frame(self.contacts, CONTACT_COLUMNS)),
            ),
        )

    def __str__(self) -> str:
        lines = [self.summary()]
        if self.path is not None:
            lines += [f"  objects   {self.path}", f"  contacts  {self.contacts_path}"]
        return "\n".join(lines)


def _frame(table: pd.DataFrame, columns: Mapping[str, Column]) -> Frame:
    """The first rows, with units."""
    heads = {name: axis_label(str(name), columns) for name in table}
    return as_frame(table.rename(columns=heads), 3, index=False, most=_MOST)


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
