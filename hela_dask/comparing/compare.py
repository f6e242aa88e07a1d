"""Compare groups of runs: tables, strip plots and a page that states the conclusions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hela_dask.comparing.caveats import ALPHA, find_caveats
from hela_dask.comparing.columns import (
    COMPARED_CELL_COLUMNS,
    COMPARISON_COLUMNS,
    VOLUME_COLUMNS,
)
from hela_dask.comparing.methods_text import methods_text
from hela_dask.comparing.page import finding_text, render
from hela_dask.comparing.reading import (
    ComparedRun,
    Groups,
    all_runs,
    join_cells,
    read_groups,
    shared_measures,
)
from hela_dask.comparing.statistics import compare_measures, summarise_volumes
from hela_dask.comparing.words import name_and_unit
from hela_dask.errors import ParameterError
from hela_dask.figures.strips import draw_strips, plot_strips
from hela_dask.formatting import counted, similar_name
from hela_dask.pages import Card, Frame, Shown, as_frame, make_card
from hela_dask.running.identity import check_outside_runs
from hela_dask.running.made import MADE, TABLE, MadeFrom
from hela_dask.storage.contents import check_listed, remove_files
from hela_dask.storage.files import write_columns, write_json, write_table, write_text
from hela_dask.storage.metadata import local_path
from hela_dask.storage.places import enclosing_store

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Comparison", "compare"]

_SHOWN = 10  # differences in a card

_LISTING = "comparison.json"  # the names of all files that were written, kept before they are
_PAGE = "comparison.html"
_METHODS = "methods.txt"
_TABLES = ("cells", "comparison", "volumes")
_OURS = re.compile(
    r"(cells|comparison|volumes)\.(parquet|csv)|columns\.csv|comparison\.html|methods\.txt|"
    r"[a-z][a-z0-9_]*\.(png|svg)"
)


@dataclass(frozen=True)
class Comparison(Shown):
    """The result of :func:`compare`.

    Attributes
    ----------
    path : Path
        The folder of the files.
    page : Path
        The HTML page: result, warnings, plots.
    cells : pandas.DataFrame
        One row per complete cell: its group, run, volume, label, and the measures.
    table : pandas.DataFrame
        One row per measure and group, compared with the first group.
    left_out : int
        Segmented cells that the volume cuts.
    warnings : tuple of str
        Reasons to doubt the comparison.

    Examples
    --------
    >>> import hela_dask as hd
    >>> runs = {"control": ["control1.run"], "treated": ["treated1.run"]}
    >>> found = hd.compare(runs, "compared")
    >>> len(found.cells), found.cells["group"].unique().tolist()
    (16, ['control', 'treated'])
    """

    path: Path
    page: Path
    cells: pd.DataFrame
    table: pd.DataFrame
    left_out: int
    warnings: tuple[str, ...]

    @property
    def differences(self) -> pd.DataFrame:
        """The rows of `table` with an adjusted p-value of at most 0.05."""
        return self.table[self.table["p_adjusted"] <= ALPHA]

    def to_dict(self) -> dict[str, Any]:
        """Everything but the cells, as plain values.

        Examples
        --------
        >>> import hela_dask as hd
        >>> runs = {"control": ["control1.run"], "treated": ["treated1.run"]}
        >>> hd.compare(runs, "compared").to_dict()["cells"]
        {'control': 8, 'treated': 8}
        """
        return {
            "page": str(self.page),
            "cells": self.cells["group"].value_counts(sort=False).to_dict(),
            "left_out": self.left_out,
            "warnings": list(self.warnings),
            "comparison": self.table.to_dict("records"),
        }

    def plot(self, measure: str, *, ax: Axes | None = None) -> Axes:
        """Plot a measure of all cells as strips of dots, by group and volume.

        Parameters
        ----------
        measure : str
            One of the measures of `table`.
        ax : matplotlib.axes.Axes, optional
            Default: axes of a new figure.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ParameterError
            When there is no such measure.

        Examples
        --------
        >>> import hela_dask as hd
        >>> runs = {"control": ["control1.run"], "treated": ["treated1.run"]}
        >>> found = hd.compare(runs, "compared")
        >>> found.plot("cell_volume").get_ylabel()
        'cell volume, µm³'
        """
        measures = list(pd.unique(self.table["measure"]))
        if measure not in measures:
            raise ParameterError(
                f"there is no measure {measure!r}; {similar_name(measure, measures)}"
            )
        return plot_strips(_strips(self.cells, measure), label=name_and_unit(measure), ax=ax)

    def _card(self) -> Card:
        counts = self.cells.groupby("group", sort=False)["run"].agg(["size", "nunique"])
        counts.columns = ["complete cells", "volumes"]
        rows = self.differences.to_dict("records")
        findings = tuple((finding_text(row),) for row in rows[:_SHOWN])
        found = Frame(("difference",), findings, max(0, len(rows) - _SHOWN))
        measures = counted(self.table["measure"].nunique(), "measure")
        return make_card(
            "Comparison",
            {
                "page": self.page,
                "left out": f"{counted(self.left_out, 'cell')} that the volumes cut",
            },
            summary=f"{counted(len(rows), 'difference')} in {measures}",
            warnings=self.warnings,
            tables=(("", as_frame(counts, 0)), ("differences", found)),
        )

    def __str__(self) -> str:
        counts = self.cells.groupby("group", sort=False)["run"].agg(["size", "nunique"])
        lines = [
            f"{name}: {row['size']} complete {'cell' if row['size'] == 1 else 'cells'} in "
            f"{counted(row['nunique'], 'volume')}"
            for name, row in counts.iterrows()
        ]
        lines.append(f"left out: {counted(self.left_out, 'cell')} that the volumes cut")
        rows = self.differences.to_dict("records")
        lines += [finding_text(row) for row in rows]
        if not rows:
            lines.append(
                f"no difference is found in {counted(self.table['measure'].nunique(), 'measure')}"
            )
        lines += [f"warning: {text}" for text in self.warnings]
        return "\n".join([*lines, f"page  {self.page}"])


def compare(groups: Groups, out: str | Path, *, seed: int = 0) -> Comparison:
    """Compare groups of finished runs by the measures of their complete cells.

    Each group is compared with the first one: medians, Cliff's delta with a bootstrap interval,
    and a permutation test, corrected for the number of measures and groups. Cells of one volume
    are not independent, so volumes are resampled and permuted wherever a group has several.

    Parameters
    ----------
    groups : mapping of str to sequence of path or RunResult
        The runs of each group, each of another volume. Only their small files are read, so copies
        of run folders without volume and labels will do.
    out : path
        Folder for ``comparison.html``, ``comparison.parquet``, ``volumes.parquet``,
        ``cells.parquet`` (each also as CSV, with the units of their columns in ``columns.csv``), a
        plot per measure (PNG and SVG), ``methods.txt`` with sentences for a paper, and
        ``comparison.json``, which lists them. An earlier comparison in it is replaced.
    seed : int
        Of the bootstrap and the permutations: the same seed gives the same bits.

    Returns
    -------
    Comparison

    Raises
    ------
    ParameterError
        For fewer than two groups, a run in two groups (also by a link, or a copy), a wrong seed,
        or `out` inside a Zarr.
    MissingInputError
        When there is no run folder, or its run is not finished.
    InputError
        When a file is damaged, a run has no measures that others have, the runs have a measure in
        different units, or two runs of a group are of one volume.
    NothingToDoError
        When a group has no complete cell.
    ExistsError
        When `out` holds something else.

    Examples
    --------
    >>> import hela_dask as hd
    >>> runs = {
    ...     "control": ["control1.run", "control2.run"],
    ...     "treated": ["treated1.run", "treated2.run"],
    ... }
    >>> found = hd.compare(runs, "compared")
    >>> found.page.name
    'comparison.html'
    >>> len(found.cells)
    32
    """
    folder = _check_target(out)
    _check_seed(seed)
    runs = read_groups(groups)
    members = all_runs(runs)
    made = [MadeFrom.of(run.path, TABLE, "review.csv") for run in members]
    measures, left_out = shared_measures(runs)
    cells = join_cells(runs, measures)
    table = compare_measures(cells, measures, seed=seed)
    warnings = (*find_caveats(runs, table), *left_out)
    _write(folder, runs, cells, table, warnings, seed)
    for parts in made:
        parts.note(folder, _command(runs, seed), _LISTING)
    return Comparison(
        path=folder,
        page=folder / _PAGE,
        cells=cells,
        table=table,
        left_out=sum(run.cut for members in runs.values() for run in members),
        warnings=warnings,
    )


def _command(runs: Mapping[str, Sequence[ComparedRun]], seed: int) -> list[str]:
    """The words of the command that makes the comparison again."""
    words = ["compare"]
    for name, members in runs.items():
        words += ["--group", f"{name}={','.join(str(run.path.absolute()) for run in members)}"]
    return [*words, "--out", MADE, "--seed", str(seed)]


def _check_target(out: str | Path) -> Path:
    folder = local_path(out)
    if (store := enclosing_store(folder)) is not None:
        raise ParameterError(f"--out {folder} lies inside the Zarr {store}: choose another")
    check_outside_runs(folder)
    check_listed(folder, _LISTING, _OURS, "compare")
    return folder


def _check_seed(seed: object) -> None:
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ParameterError(f"seed must be a whole number of at least 0, not {seed!r}")


def _write(
    folder: Path,
    runs: Mapping[str, Sequence[ComparedRun]],
    cells: pd.DataFrame,
    table: pd.DataFrame,
    warnings: Sequence[str],
    seed: int,
) -> None:
    """Replace the files of an earlier comparison; the page is the last one."""
    measures = list(pd.unique(table["measure"]))
    pictures = {name: folder / f"{name}.png" for name in measures}
    tables = [f"{name}.{suffix}" for name in _TABLES for suffix in ("parquet", "csv")]
    remove_files(folder, [*check_listed(folder, _LISTING, _OURS, "compare"), _LISTING])
    drawn = [
        path.with_suffix(suffix).name for path in pictures.values() for suffix in (".png", ".svg")
    ]
    listing = {
        "files": [*tables, "columns.csv", *drawn, _METHODS, _PAGE],
        "groups": {name: [run.path for run in members] for name, members in runs.items()},
        "seed": seed,
    }
    write_json(folder / _LISTING, listing)
    volumes = summarise_volumes(cells, measures)
    described = {
        "cells": (cells, COMPARED_CELL_COLUMNS),
        "comparison": (table, COMPARISON_COLUMNS),
        "volumes": (volumes, VOLUME_COLUMNS),
    }
    for name, (content, columns) in described.items():
        write_table(folder / name, content, columns)
    write_columns(folder / "columns.csv", described)
    for name, path in pictures.items():
        draw_strips(_strips(cells, name), path, label=name_and_unit(name))
    methods = methods_text(runs, table, seed=seed)
    write_text(folder / _METHODS, "\n\n".join(methods) + "\n")
    page = render(runs, table, volumes, pictures, warnings, methods, seed=seed)
    write_text(folder / _PAGE, page)


def _strips(cells: pd.DataFrame, measure: str) -> dict[str, list[NDArray[np.float64]]]:
    """Values of a measure by group, an array per volume."""
    return {
        str(group): [
            part[part.notna()].to_numpy(float)
            for _, part in own.groupby("run", sort=False)[measure]
        ]
        for group, own in cells.groupby("group", sort=False)
    }
