"""The result of a run: paths, the cells table, lazy labels, and their display."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from hela_dask.statuses import FAILED, count_text
from hela_dask.storage.urls import StorePath

__all__ = ["RunResult"]

_SHOWN = ["label", "z", "y", "x", "status", "nucleus_volume", "cell_volume", "complete"]


@dataclass(frozen=True)
class RunResult:
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
        """One line: numbers of cells outlined and not outlined, with reasons."""
        return count_text(self.cells)

    def __repr__(self) -> str:
        lines = [f"Run of {self.store}", f"  {self.summary()}"]
        lines += [f"  labels  {path}" for path in self.label_paths.values()]
        lines += [f"  report  {self.report}"]
        failed = self.cells[self.cells["status"] == FAILED]
        lines += [
            f"  cell {row.label} failed: {row.reason}" for row in failed.itertuples(index=False)
        ]
        lines += [f"  warning: {text}" for text in self.warnings]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from hela_dask.pages import as_frame, render

        shown = self.cells[[name for name in _SHOWN if name in self.cells]]
        return render(
            "result.html",
            store=self.store,
            summary=self.summary(),
            report=self.report,
            warnings=self.warnings,
            cells=as_frame(shown, 1, index=False),
        )
