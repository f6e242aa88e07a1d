"""The pictures of a result: a slice and a map of its cells as plots, a small slice for its card."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hela_dask.columns import axis_label, check_column
from hela_dask.errors import MissingInputError, ParameterError
from hela_dask.pages import Figure, as_figure
from hela_dask.running.slices import read_slice
from hela_dask.running.tables import select_cells
from hela_dask.storage.metadata import read_image
from hela_dask.storage.urls import StorePath
from hela_dask.types import Plane

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["only_cells", "plot_cells", "plot_slice", "small_overlay"]

PIXELS = 1500
_OVERLAY = re.compile(r"overlay_(\d+)\.jpg")
_LARGEST = 8 * 2**20  # bytes of a picture that a card reads


def small_overlay(run: Path) -> Figure | None:
    """The middle one of the slices that the report of a run shows; None where there is none."""
    from hela_dask.figures.thumbnails import shrink_picture

    try:
        found = sorted((run / "figures").glob("overlay_*.jpg"))
        path = found[len(found) // 2] if found else None
        if path is None or path.stat().st_size > _LARGEST:
            return None
        match = _OVERLAY.fullmatch(path.name)
        caption = f"slice {int(match[1])}" if match else path.name
        return as_figure(shrink_picture(path), caption)
    except (OSError, SyntaxError):  # SyntaxError: of a file that is no picture
        return None


def plot_slice(
    store: StorePath,
    label_paths: Mapping[str, Path],
    cells: pd.DataFrame,
    slice_number: int | None,
    *,
    only: Sequence[int] | None,
    filled: bool,
    numbers: bool,
    ax: Axes | None,
) -> Axes:
    """A slice of the image with its outlines; see :meth:`RunResult.plot_slice`."""
    from hela_dask.figures.axes import plot_plane

    chosen = None if only is None else select_cells(cells, list(only), None)
    geometry = read_image(store).levels[0].geometry
    depth = geometry.shape[0]
    place: Any = _fullest(cells, depth) if slice_number is None else slice_number
    whole = isinstance(place, int | np.integer) and not isinstance(place, bool)
    if not (whole and 1 <= place <= depth):
        raise ParameterError(f"there is no slice {place!r}: the image has the slices 1 to {depth}")
    paths = label_paths.get("nuclei"), label_paths.get("cells")
    for path in paths:
        if path is not None and not path.exists():
            raise MissingInputError(f"the labels {path} are gone: start the run again")
    found = read_slice(store, paths, "z", int(place), pixels=PIXELS)
    planes = {"cell": found.cells, "nucleus": found.nuclei}
    return plot_plane(
        found.image,
        {name: only_cells(plane, chosen) for name, plane in planes.items() if plane is not None},
        found.pixel,
        ax=ax,
        corner=(geometry.bounds[1][0] / 1000, geometry.bounds[2][0] / 1000),
        title=f"{store.name}, slice {place} of {depth}",
        filled=filled,
        numbers=numbers,
    )


def _fullest(cells: pd.DataFrame, depth: int) -> int:
    """The slice with most cells, of several the one in their middle."""
    rows = cells[["first_slice", "last_slice"]].dropna().astype(int)
    counts = np.zeros(depth, np.int64)
    for first, last in rows.itertuples(index=False):
        counts[first - 1 : last] += 1
    best = np.flatnonzero(counts == counts.max()) + 1
    return int(best[len(best) // 2])


def only_cells(plane: Plane, chosen: Collection[int] | None) -> Plane:
    """The labels of some cells alone; None: of all."""
    return plane if chosen is None else np.where(np.isin(plane, list(chosen)), plane, 0)


def plot_cells(cells: pd.DataFrame, labels: Path, column: str, *, ax: Axes | None) -> Axes:
    """A map of the cells in the volume of their labels; see :meth:`RunResult.plot_cells`."""
    from hela_dask.figures.axes import plot_map

    check_column(column, cells)
    (top, bottom), (left, right) = read_image(labels).levels[0].geometry.bounds[1:]
    twice = 2 * cells["height"] if "height" in cells else cells["z"] * np.nan
    widths = cells["cell_diameter"].fillna(twice) if "cell_diameter" in cells else twice
    return plot_map(
        cells[["y", "x"]].to_numpy(float) / 1000,
        widths.to_numpy(float) / 1000,
        cells[column].to_numpy(float, na_value=np.nan),
        cells["label"].tolist(),
        ((top / 1000, bottom / 1000), (left / 1000, right / 1000)),
        label=axis_label(column),
        ax=ax,
    )
