"""The result of a run: paths, the cells table, lazy labels, and their display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import xarray as xr

from hela_dask.columns import axis_label
from hela_dask.formatting import time_text
from hela_dask.pages import Card, Shown, as_frame, make_card
from hela_dask.statuses import FAILED, count_text
from hela_dask.storage.urls import StorePath

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["RunResult"]

_MOST = 10  # warnings, and rows of cells, in a card

_SHOWN = ["label", "z", "y", "x", "status", "nucleus_volume", "cell_volume", "complete"]


@dataclass(frozen=True)
class RunResult(Shown):
    """A finished run.

    Attributes
    ----------
    path : Path
        The run folder.
    store : Path or StoreUrl
        The image.
    cells : pandas.DataFrame
        One row per cell, as in ``cells.parquet``.
    label_paths : dict of str to Path
        The label groups ``nuclei``, ``cells``, ``envelope`` and ``background``.
    labels : dict of str to xarray.DataArray
        The same, opened lazily.
    report : Path
        The HTML page.
    contacts : pandas.DataFrame or None
        One row per pair of cells that touch or are near each other, as in ``contacts.parquet``;
        None where the run measured none.
    exit_code : int
        0, or 3 when some cells failed.
    timings : dict of str to float
        Seconds of each stage, of this call.
    warnings : tuple of str
        Warnings for the user.
    scores : dict
        Agreement with the truth, where one was given.

    Examples
    --------
    >>> import hela_dask as hd
    >>> result = hd.open_run("hela.run")
    >>> result.cells["status"].tolist()
    ['chain_too_short', 'segmented', 'cut_by_volume']
    >>> result.labels["cells"].shape
    (64, 200, 200)
    """

    path: Path
    store: StorePath
    cells: pd.DataFrame
    label_paths: Mapping[str, Path]
    report: Path
    contacts: pd.DataFrame | None = None
    exit_code: int = 0
    timings: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    scores: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def labels(self) -> dict[str, xr.DataArray]:
        """The label groups as lazy volumes in nm, at the image's full resolution."""
        from hela_dask.volume.opening import open_volume

        return {name: open_volume(path) for name, path in self.label_paths.items()}

    def summary(self) -> str:
        """One line: numbers of cells outlined and not outlined, with reasons.

        Examples
        --------
        >>> import hela_dask as hd
        >>> hd.open_run("hela.run").summary()
        '2 cells outlined: 1 whole, 1 cut by the volume; 1 not segmented: 1 seen in too few slices'
        """
        return count_text(self.cells)

    def __str__(self) -> str:
        lines = [f"Run of {self.store}", f"  {self.summary()}"]
        lines += [f"  labels  {path}" for path in self.label_paths.values()]
        lines += [f"  report  {self.report}"]
        failed = self.cells[self.cells["status"] == FAILED]
        lines += [
            f"  cell {row.label} failed: {row.reason}" for row in failed.itertuples(index=False)
        ]
        lines += [f"  warning: {text}" for text in self.warnings]
        return "\n".join(lines)

    def plot_slice(
        self,
        slice_number: int | None = None,
        *,
        cells: Sequence[int] | None = None,
        filled: bool = False,
        numbers: bool = True,
        ax: Axes | None = None,
    ) -> Axes:
        """Plot a slice of the image with the outlines of nuclei and cells.

        One slice is read, at the finest level with at most 1500 pixels along each side; of an image
        without such a level, only every second, third, … pixel. The axes are in µm, in the
        coordinates of the image.

        Parameters
        ----------
        slice_number : int, optional
            From 1. Default: the slice with most cells.
        cells : sequence of int, optional
            Labels of the cells to outline; default: all.
        filled : bool
            Tint nuclei and cells, too.
        numbers : bool
            Write the number of each cell.
        ax : matplotlib.axes.Axes, optional
            Default: axes of a new figure.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ParameterError
            When there is no such slice.
        InputError
            When there is no such cell.
        MissingInputError
            When the image or its labels are gone.

        Examples
        --------
        >>> import hela_dask as hd
        >>> result = hd.open_run("hela.run")
        >>> result.plot_slice(32, cells=[2]).get_xlabel()
        'x (µm)'
        """
        from hela_dask.running.showing import plot_slice

        return plot_slice(
            self.store,
            self.label_paths,
            self.cells,
            slice_number,
            only=cells,
            filled=filled,
            numbers=numbers,
            ax=ax,
        )

    def plot_cells(self, column: str = "cell_volume", *, ax: Axes | None = None) -> Axes:
        """Plot a map of the cells, seen along z: a circle per cell, coloured by a column.

        A circle has the diameter of a sphere of the cell's volume, or where there is none, twice
        its height. It is drawn from the table alone, without reading the image.

        Parameters
        ----------
        column : str
            A column of numbers of `cells`; a cell without a value is grey.
        ax : matplotlib.axes.Axes, optional
            Default: axes of a new figure.

        Returns
        -------
        matplotlib.axes.Axes
            In µm, in the coordinates of the image.

        Raises
        ------
        ParameterError
            When there is no such column, or it has no numbers.
        MissingInputError, InputError
            When the labels are gone, so that the size of the volume is not known.

        Examples
        --------
        >>> import hela_dask as hd
        >>> result = hd.open_run("hela.run")
        >>> result.plot_cells("nucleus_volume").get_ylabel()
        'y (µm)'
        """
        from hela_dask.running.showing import plot_cells

        return plot_cells(self.cells, self.label_paths["cells"], column, ax=ax)

    def _card(self) -> Card:
        from hela_dask.running.showing import small_overlay

        failed = self.cells[self.cells["status"] == FAILED]
        broken = [f"cell {row.label} failed: {row.reason}" for row in failed.itertuples()]
        warnings = list(dict.fromkeys([*broken, *self.warnings]))
        return make_card(
            f"Run of {self.store}",
            {
                "run folder": self.path,
                "labels": ", ".join(self.label_paths),
                "report": self.report,
                "time": time_text(sum(self.timings.values())) if self.timings else "",
            },
            summary=self.summary(),
            state="poor" if len(failed) else "good",
            badge="some cells failed" if len(failed) else "finished",
            warnings=tuple(warnings[:_MOST]),
            tables=(("", as_frame(self._shown_cells(), 1, index=False, most=_MOST)),),
            picture=small_overlay(self.path),
        )

    def _shown_cells(self) -> pd.DataFrame:
        shown = self.cells[[name for name in _SHOWN if name in self.cells]]
        return shown.rename(columns=axis_label)
