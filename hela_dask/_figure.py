"""figure: a picture of a slice, or of cells in space, for a paper."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hela_dask.errors import ExistsError, InputError, MissingInputError, ParameterError
from hela_dask.figures import draw_overlay
from hela_dask.figures.printing import ENDINGS, INCH, Print
from hela_dask.formatting import by_axis, listed
from hela_dask.parameters import MeasureParameters, Parameters
from hela_dask.report.space import draw_volume, drawn_cells
from hela_dask.running.boxes import read_counts
from hela_dask.running.identity import check_outside_runs
from hela_dask.running.made import LABELS, MADE, RUN, MadeFrom
from hela_dask.running.needs import measured_level
from hela_dask.running.opening import open_run
from hela_dask.running.portraits import write_portrait
from hela_dask.running.reading import RunFolder, read_folder
from hela_dask.running.shapes import cell_box, find_surfaces
from hela_dask.running.showing import only_cells
from hela_dask.running.slices import Slice, read_slice
from hela_dask.running.tables import check_segmented, select_cells
from hela_dask.steps.portrait import make_solid
from hela_dask.storage.metadata import Level, local_path, read_image
from hela_dask.storage.places import check_apart
from hela_dask.types import Bounds, Plane
from hela_dask.version import __version__

__all__ = ["figure"]

log = logging.getLogger(__name__)

PIXELS = 4000  # of a slice, along each side, that are drawn
_WIDTHS = 20.0, 1000.0  # mm
_DPIS = 50, 2400


def figure(
    run: str | Path,
    out: str | Path,
    *,
    slice_number: int | None = None,
    axis: str = "z",
    cells: Sequence[int] | None = None,
    crop: float | None = None,
    filled: bool = False,
    numbers: bool = True,
    raw: bool = False,
    space: bool = False,
    width: float = 170.0,
    dpi: int = 300,
    overwrite: bool = False,
) -> Path:
    """Draw a slice with the outlines of its cells, or cells in space, as a figure for print.

    A slice has all its pixels up to 4000 along each side; a larger one is read from a coarser level
    of the pyramid, which the log and the metadata of the file state. Only the chunks that hold the
    slice are read.

    Parameters
    ----------
    run : path
        Folder of a finished run.
    out : path
        The figure: ``.png``, ``.tif``, or ``.pdf`` and ``.svg`` with outlines and text as vectors.
    slice_number : int, optional
        Of the slice along `axis`, from 1. Default: the slice with most of `cells`, of several such
        slices the nearest to the middle of these cells; without `cells`, the middle of the volume.
    axis : "z", "y" or "x"
        Axis that the slice is perpendicular to.
    cells : sequence of int, optional
        Labels of the cells to show, at least one; default: all.
    crop : float, optional
        Show only the part around the boxes of `cells`, with this margin in nm.
    filled : bool
        Tint nuclei and cells as well.
    numbers : bool
        Write the number of each cell. False leaves the numbers out: those in a slice, those of the
        cells in the volume, and the title of one cell in space.
    raw : bool
        Also show the image without labels, on the left.
    space : bool
        Draw cells in space instead of a slice: one cell from two sides, several or all in the
        volume.
    width : float
        Of the figure, mm. A figure is at most 240 mm high; one that would be higher is drawn
        narrower.
    dpi : int
        Pixels per inch of a PNG or TIFF.
    overwrite : bool
        Replace an existing file.

    Returns
    -------
    Path
        The figure.

    Raises
    ------
    ParameterError
        For another ending, an option that does not fit the others, an unknown value, an empty
        list of cells, or an `out` inside a run folder.
    InputError
        When there is no such cell, the slice lies outside the volume, no such cell is in it, or
        the run has no picture of a cell that `space` needs.
    NothingToDoError
        When a cell has no labels.
    MissingInputError
        When there is no finished run, or a part of it is gone.
    ExistsError
        When `out` exists and `overwrite` is False.

    Examples
    --------
    >>> import hela_dask as hd
    >>> hd.figure("hela.run", "slice.png", slice_number=32, width=80).name
    'slice.png'
    """
    path = local_path(out)
    given = {
        "--slice": slice_number is not None,
        "--axis": axis != "z",
        "--crop": crop is not None,
        "--fill": filled,
        "--raw": raw,
    }
    if space and (names := [name for name, there in given.items() if there]):
        raise ParameterError(f"{names[0]} is for a slice, and --space draws cells in space")
    _check_part(axis, crop, cells)
    check_outside_runs(path)
    _check_print(path, width, dpi)
    folder = read_folder(open_run(local_path(run)).path)
    if cells is not None:
        cells = sorted(select_cells(folder.cells, cells, None))
        check_segmented(folder.cells, cells)
    if folder.store is None:
        raise MissingInputError(f"the image of {folder.path} is gone: {folder.facts.get('store')}")
    check_apart(folder.store, {"--out": path})
    if path.is_dir() or (path.exists() and not overwrite):
        raise ExistsError(f"{path} exists: choose another --out, or replace it with --overwrite")
    made, across = MadeFrom.of(folder.path, LABELS), 100 * width / INCH
    if space:
        printed = Print(dpi, title=f"{folder.path.name}, in space", facts=_source(folder, cells))
        _draw_space(folder, path, cells, across, numbers, printed)
    else:
        looks = {"filled": filled, "numbered": numbers, "beside": raw}
        _draw_slice(_Order(folder, axis, cells, crop), slice_number, path, across, dpi, looks)
    values = {
        "--slice": slice_number,
        "--axis": axis,
        "--cells": None if cells is None else ",".join(map(str, cells)),
        "--crop": crop,
        "--width": width,
        "--dpi": dpi,
    }
    flags = {"--fill": filled, "--no-numbers": not numbers, "--raw": raw, "--space": space}
    words = ["figure", RUN, "--out", MADE, *(name for name, there in flags.items() if there)]
    for name, value in values.items():
        if value is not None and not (space and name == "--axis"):
            words += [name, f"{value:g}" if isinstance(value, float) else str(value)]
    made.note(path, [*words, "--overwrite"])
    return path


def _draw_slice(
    order: _Order,
    asked: int | None,
    path: Path,
    across: float,
    dpi: int,
    looks: Mapping[str, Any],
) -> None:
    """The slice with its outlines; `asked` is its number, or None for the usual one."""
    folder, axis, cells = order.folder, order.axis, order.cells
    assert folder.store is not None
    number, bounds = order.place(asked)
    found = read_slice(
        folder.store,
        (folder.labels("nuclei"), folder.labels("cells")),
        axis,
        number,
        bounds=bounds,
        pixels=PIXELS,
    )
    nuclei, shown = (
        None if plane is None else only_cells(plane, cells) for plane in (found.nuclei, found.cells)
    )
    order.check(number, (nuclei, shown))
    printed = Print(
        dpi=dpi,
        title=f"{folder.path.name}, slice {number} along {axis}",
        facts=_facts(folder, found, cells),
    )
    if found.level or max(found.step) > 1:
        log.warning(
            "the slice has more than %d pixels along a side: it is drawn with pixels of %s nm",
            PIXELS,
            by_axis(found.pixel),
        )
    draw_overlay(
        found.image, nuclei, shown, found.pixel, path, width=across, printed=printed, **looks
    )


def _check_part(axis: str, crop: float | None, cells: Sequence[int] | None) -> None:
    if axis not in ("z", "y", "x"):
        raise ParameterError(f"--axis {axis!r} must be z, y or x")
    if crop is not None and not (math.isfinite(crop) and crop >= 0):
        raise ParameterError(f"--crop {crop:g} must be a margin in nm, 0 or more")
    if cells is not None and not cells:
        raise ParameterError("--cells names no cell: give at least one, as 3,8")
    if crop is not None and cells is None:
        raise ParameterError("--crop needs --cells: the figure shows the part around them")


def _check_print(path: Path, width: float, dpi: int) -> None:
    if path.suffix.lower() not in ENDINGS:
        raise ParameterError(f"{path} must end with .png, .pdf, .svg or .tif")
    low, high = _WIDTHS
    if not low <= width <= high:
        raise ParameterError(f"--width {width:g} must be from {low:g} to {high:g} mm")
    if not _DPIS[0] <= dpi <= _DPIS[1]:
        raise ParameterError(f"--dpi {dpi} must be from {_DPIS[0]} to {_DPIS[1]}")


@dataclass(frozen=True)
class _Order:
    """The slice that is asked for."""

    folder: RunFolder
    axis: str
    cells: Sequence[int] | None
    crop: float | None

    def _levels(self) -> Sequence[Level]:
        assert self.folder.store is not None
        return read_image(self.folder.store).levels

    def _boxes(self) -> pd.DataFrame:
        """The boxes of the cells to show, in voxels."""
        assert self.cells is not None
        counts = read_counts(self.folder)
        return counts[counts.index.isin(list(self.cells))]

    def place(self, number: int | None) -> tuple[int, Bounds | None]:
        """The number of the slice, from 1, and the part of the volume to read (nm) or None."""
        geometry = self._levels()[0].geometry
        length = geometry.shape["zyx".index(self.axis)]
        if number is not None and not 1 <= number <= length:
            raise InputError(
                f"slice {number} lies outside the volume, which has the slices 1 to {length} along "
                f"{self.axis}"
            )
        if self.cells is None:
            return (length + 1) // 2 if number is None else number, None
        boxes = self._boxes()
        if boxes.empty:
            raise InputError(f"{_named(self.cells)} not in the labels of {self.folder.path}")
        if number is None:
            number = _fullest(boxes[f"{self.axis}0"], boxes[f"{self.axis}1"])
        if self.crop is None:
            return number, None
        bounds = []
        for name, (low, high), size in zip(
            "zyx", geometry.bounds, geometry.voxel_size, strict=True
        ):
            first, last = boxes[f"{name}0"].min(), boxes[f"{name}1"].max()
            if name == self.axis:
                first, last, margin = number - 1, number, 0.0
            else:
                margin = self.crop
            ends = low + first * size - margin, low + last * size + margin
            bounds.append((max(low, float(ends[0])), min(high, float(ends[1]))))
        return number, (bounds[0], bounds[1], bounds[2])

    def check(self, number: int, planes: tuple[Plane | None, Plane | None]) -> None:
        """InputError where none of the cells to show is in the slice; a warning for a part."""
        if self.cells is None:
            return
        there = {int(label) for plane in planes if plane is not None for label in np.unique(plane)}
        missing = [label for label in self.cells if label not in there]
        if not missing:
            return
        spans = "; ".join(
            f"cell {label} has the slices {row[f'{self.axis}0'] + 1} to {row[f'{self.axis}1']}"
            for label, row in self._boxes().iterrows()
            if label in missing
        )
        text = f"{_named(missing)} not in slice {number} along {self.axis}: {spans}"
        if len(missing) == len(self.cells):
            raise InputError(text)
        log.warning("%s", text)


def _named(cells: Sequence[int]) -> str:
    if len(cells) == 1:
        return f"cell {cells[0]} is"
    return f"the cells {listed([str(label) for label in cells])} are"


def _fullest(first: pd.Series, end: pd.Series) -> int:
    """The slice, from 1, with most of some cells; of several the nearest to their middle.

    `first` and `end` are the slices of each cell, from 0; the last one is not included.
    """
    low, high = int(first.min()), int(end.max())
    slices = np.arange(low, high)
    begun = np.searchsorted(np.sort(first), slices, side="right")
    counts = begun - np.searchsorted(np.sort(end), slices, side="right")
    best = slices[counts == counts.max()]
    return int(best[np.abs(best - (low + high - 1) / 2).argmin()]) + 1


def _facts(folder: RunFolder, found: Slice, cells: Sequence[int] | None) -> dict[str, str]:
    """The metadata of the file."""
    assert folder.store is not None
    level = f"{found.level}, pixels of {by_axis(found.pixel)} nm"
    return {**_source(folder, cells), "level": level}


def _source(folder: RunFolder, cells: Sequence[int] | None) -> dict[str, str]:
    assert folder.store is not None
    facts = {"image": folder.store.name, "run": folder.path.name}
    if cells is not None:
        facts["cells"] = ", ".join(map(str, cells))
    return {**facts, "software": f"hela_dask {__version__}"}


def _draw_space(
    folder: RunFolder,
    path: Path,
    cells: Sequence[int] | None,
    width: float,
    numbers: bool,
    printed: Print,
) -> Path:
    """One cell from two sides, or several in the volume."""
    labels = folder.labels("cells")
    assert labels is not None
    if cells is None or len(cells) > 1:
        _check_drawn(folder, cells)
        draw_volume(folder, path, chosen=cells, numbered=numbers, width=width, printed=printed)
        return path
    counts = read_counts(folder)
    if cells[0] not in counts.index:
        raise InputError(f"{_named(cells)} not in the labels of {folder.path}")
    parameters = _measure_parameters(folder)
    image = read_image(labels)
    what = cell_box(
        counts.loc[cells[0]].to_dict(), image, measured_level(image.levels, parameters.resolution)
    )
    found, corner = find_surfaces(labels.parent, what, parameters)
    solids = [None if part is None else make_solid(part, what.cut, corner) for part in found]
    if solids == [None, None]:
        raise InputError(f"cell {cells[0]} is too small to be drawn in space")
    write_portrait(
        path, cells[0], solids[0], solids[1], numbered=numbers, width=width, printed=printed
    )
    return path


def _check_drawn(folder: RunFolder, cells: Sequence[int] | None) -> None:
    """InputError where the run has not drawn the cells, or no cell at all."""
    drawn = drawn_cells(folder)
    missing = [label for label in cells or () if label not in drawn]
    if drawn and not missing:
        return
    named = f"{_named(missing)} not" if missing else "no cell is"
    measure = (folder.facts.get("parameters") or {}).get("measure") or {}
    if not measure.get("in_runs"):
        advice = "start it again with [measure] in_runs = 1, or name one cell with --cells"
    else:
        advice = (
            "the cell could not be measured, or its picture is gone. Start the run again, or name "
            "one cell with --cells"
        )
    raise InputError(f"{named} drawn in space by the run {folder.path}: {advice}")


def _measure_parameters(folder: RunFolder) -> MeasureParameters:
    """The parameters with which the run measures; InputError for those of another version."""
    known = (folder.facts.get("parameters") or {}).get("measure") or {}
    try:
        return Parameters.from_dict({"measure": known}).measure
    except ParameterError as error:
        raise InputError(
            f"{folder.path} was made by another version ({error}): start hela-dask run "
            f"{folder.store} --out {folder.path} again"
        ) from error
