"""Pictures of every step that led to one cell's outlines in one slice (Fig. 4 of the papers)."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import xarray as xr
from matplotlib.image import imread, imsave
from numpy.typing import NDArray

from hela_dask.errors import InputError, ParameterError
from hela_dask.explaining.lookup import FinishedCell, find_cell
from hela_dask.figures import Mark, Panel, draw_panel, draw_sheet, measure
from hela_dask.figures.canvas import CELL, ENVELOPE, NUCLEUS
from hela_dask.geometry import Geometry
from hela_dask.operators.background import show_slice
from hela_dask.pages import Card, Figure, Shown, as_figure, make_card, read_figure, render
from hela_dask.statuses import NO_RESIN
from hela_dask.steps.regions import Region
from hela_dask.steps.segment import segment_window
from hela_dask.storage.contents import check_listed, remove_files
from hela_dask.storage.files import write_json, write_text
from hela_dask.storage.metadata import local_path
from hela_dask.storage.places import check_apart
from hela_dask.storage.urls import StorePath
from hela_dask.tasks.progress import RunProgress
from hela_dask.trace import Step, Trace
from hela_dask.volume.grids import compute

__all__ = ["ExplainedStep", "Explanation", "explain"]

_Place = tuple[int, slice, slice]
_SHEET, _PAGE = "explain.png", "explain.html"
_LISTING = "explain.json"  # the names of all files that were written, kept before they are
_OURS = re.compile(r"\d\d_[a-z0-9_]+\.png|explain\.(png|html)")


@dataclass(frozen=True)
class ExplainedStep:
    """One step: a few words, a sentence or two, and the picture."""

    title: str
    caption: str
    path: Path


@dataclass(frozen=True)
class Explanation(Shown):
    """The files of :func:`explain`.

    Attributes
    ----------
    cell, slice_number : int
        The request; slices are counted from 1.
    page : Path
        One HTML page with all pictures and their captions inside.
    sheet : Path
        All pictures on one sheet.
    steps : tuple of ExplainedStep
        One picture per step, in the order of the steps.

    Examples
    --------
    >>> import hela_dask as hd
    >>> found = hd.explain("hela.ome.zarr", 2, 32)
    >>> found.cell, found.slice_number
    (2, 32)
    """

    cell: int
    slice_number: int
    page: Path
    sheet: Path
    steps: tuple[ExplainedStep, ...]

    def _repr_png_(self) -> bytes:
        return self.sheet.read_bytes()

    def _card(self) -> Card:
        return make_card(
            f"Explanation of cell {self.cell} in slice {self.slice_number}",
            {"page": self.page, "sheet": self.sheet, "steps": str(len(self.steps))},
            picture=read_figure(self.sheet, "all steps"),
            wide=True,
        )


@overload
def explain(
    store: str | StorePath,
    cell: int,
    slice_number: int,
    *,
    run: str | Path | None = None,
    out: str | Path | None = None,
    progress: bool = False,
) -> Explanation: ...
@overload
def explain(
    store: str | StorePath,
    cell: int,
    slice_number: Sequence[int],
    *,
    run: str | Path | None = None,
    out: str | Path | None = None,
    progress: bool = False,
) -> list[Explanation]: ...
def explain(
    store: str | StorePath,
    cell: int,
    slice_number: int | Sequence[int],
    *,
    run: str | Path | None = None,
    out: str | Path | None = None,
    progress: bool = False,
) -> Explanation | list[Explanation]:
    """Draw every step of the segmentation of a cell in one slice: one picture per step.

    The cell is segmented again, in this process, from the files of its run: the same window,
    method, parameters and background, so the last pictures are the run's own result. It takes the
    time and the memory of one cell, for any number of slices.

    Parameters
    ----------
    store : path
        The OME-Zarr volume.
    cell : int
        Label of the cell, as in the run's table.
    slice_number : int or sequence of int
        The slice of the volume, or several, counted from 1.
    run : path, optional
        Folder of a finished run of the volume; default: the store's name with ``.run``.
    out : path, optional
        Folder of the pictures; default: a folder in the run's ``explain``. An earlier explanation
        in it is replaced. Each of several slices has a folder in it.
    progress : bool
        Show the progress on stderr.

    Returns
    -------
    Explanation, or list of Explanation
        One picture per step, a sheet and a page; in a notebook it shows the sheet. One per slice,
        in the order of their numbers, if several are requested.

    Raises
    ------
    MissingInputError
        When there is no finished run, or its labels are missing.
    InputError
        When the volume has changed since, the run was made by a version with other parameters,
        there is no such cell, it was not segmented, or the slice lies outside its window.
    ParameterError
        When `out` lies inside the volume or any other Zarr, or holds the volume.
    ExistsError
        When `out` holds something else.

    Examples
    --------
    >>> import hela_dask as hd
    >>> found = hd.explain("hela.ome.zarr", 2, 32)
    >>> found.page.name
    'explain.html'
    >>> found.steps[0].title
    'the slice'
    """
    several = not isinstance(slice_number, int)
    numbers = [slice_number] if isinstance(slice_number, int) else sorted(set(slice_number))
    if not numbers:
        raise ParameterError("no slice was given; name one, for example --slice 150")
    asked = find_cell(store, cell, run)
    folders = {}
    for number in numbers:
        _check_slice(asked, number)
        own = None if out is None else local_path(out)
        if own is not None and several:
            own /= f"slice_{number:05d}"
        folders[number] = _target(asked, number, own)
    with RunProgress(progress) as display:
        display.stage(f"segment cell {cell}", 1)
        masks, steps = _segmented(asked, numbers)
        display.advance()
        display.stage("draw", len(numbers), unit="slices")
        found = []
        for number in numbers:
            found.append(_drawn(asked, number, folders[number], masks, steps[number]))
            display.advance()
        display.end_stage()
    return found if several else found[0]


def _drawn(
    asked: FinishedCell,
    slice_number: int,
    folder: Path,
    masks: xr.Dataset,
    shown: Sequence[Step],
) -> Explanation:
    """The pictures of one slice."""
    cell = asked.region.label
    panels, grey, pixel = _panels(asked, slice_number, masks, shown)
    names = [
        f"{k:02d}_{re.sub(r'[^a-z0-9]+', '_', panel.title.lower()).strip('_')}.png"
        for k, panel in enumerate(panels, start=1)
    ]
    remove_files(folder, [*_check_folder(folder), _LISTING])
    write_json(folder / _LISTING, {"files": [*names, _SHEET, _PAGE]})
    steps = []
    for name, panel in zip(names, panels, strict=True):
        path = draw_panel(grey, panel, pixel, folder / name)
        steps.append(ExplainedStep(panel.title, panel.caption, path))
    title = f"Cell {cell}, slice {slice_number}"
    what = (
        f"{asked.store.name}, method {asked.method}, {_size(grey, pixel)} around the cell. Blue: "
        "kept by a step; amber: more than in the mask before it; magenta: less."
    )
    sheet = draw_sheet(grey, panels, pixel, folder / _SHEET, title=title, subtitle=what)
    page = folder / _PAGE
    notes = [measure(panel, pixel) for panel in panels]
    pictures = _pictures(steps, notes)
    write_text(page, render("explain.html", title=title, subtitle=what, pictures=pictures))
    return Explanation(cell, slice_number, page, sheet, tuple(steps))


def _check_slice(asked: FinishedCell, number: int) -> None:
    window = asked.region.slices(asked.working())[0]
    if not window.start < number <= window.stop:
        first, last = asked.slices
        raise InputError(
            f"slice {number} lies outside cell {asked.region.label}, which has the slices {first} "
            f"to {last}; the window around it has the slices {window.start + 1} to {window.stop}"
        )


def _target(asked: FinishedCell, number: int, out: str | Path | None) -> Path:
    """The folder of the pictures; empty, or with an earlier explanation."""
    name = f"cell_{asked.region.label:05d}_slice_{number:05d}"
    folder = asked.run / "explain" / name if out is None else local_path(out)
    check_apart(asked.store, {"--out": folder})
    _check_folder(folder)
    return folder


def _check_folder(folder: Path) -> list[str]:
    """The files of an earlier explanation in a folder, which holds nothing else."""
    return check_listed(folder, _LISTING, _OURS, "explain")


def _segmented(
    asked: FinishedCell, numbers: Sequence[int]
) -> tuple[xr.Dataset, dict[int, list[Step]]]:
    """The cell, segmented once, and the steps of each of the slices."""
    volume = asked.working()
    window = asked.region.slices(volume)
    places = {number: number - 1 - window[0].start for number in numbers}
    trace = Trace(*places.values())
    masks = segment_window(
        volume[window].compute(scheduler="threads"),
        asked.region,
        asked.method,
        parameters=asked.parameters,
        background=asked.background(window),
        grey_levels=asked.grey_levels,
        predicted=asked.predicted(window),
        trace=trace,
    )
    return masks, {number: trace.steps[z] for number, z in places.items()}


def _panels(
    asked: FinishedCell, number: int, masks: xr.Dataset, shown: Sequence[Step]
) -> tuple[list[Panel], NDArray[Any], tuple[float, float]]:
    """The panels, the grey slice under them, and the size of its pixels in nm."""
    volume = asked.working()
    window = asked.region.slices(volume)
    pixel = Geometry.of(volume).pixel
    here = (number - 1, window[1], window[2])
    grey = compute(volume[here])
    z = number - 1 - window[0].start
    found = {name: masks[name].values[z] for name in ("nucleus", "envelope", "cell")}
    panels = [
        Panel(
            "the slice",
            f"Slice {number} of {volume.sizes['z']}, in the window around cell "
            f"{asked.region.label}; its centre is in slice {_nearest(volume, asked.region)}.",
        ),
        *_step_panels(_resin_steps(asked, volume, here, masks["background"].values[z])),
        *_step_panels(shown),
        _outcome(asked, masks, found, window[0].start),
        _delivered(asked, found["cell"], here, pixel),
    ]
    return panels, grey, pixel


def _resin_steps(
    asked: FinishedCell, volume: xr.DataArray, here: _Place, kept: NDArray[np.bool_]
) -> list[Step]:
    """The steps of the background in the slice, and the background that the run `kept`."""
    number, *window = here
    params = asked.parameters.background
    trace = Trace(0)
    show_slice(volume, number, params, asked.grey_levels, trace)
    steps = [replace(step, plane=step.plane[tuple(window)]) for step in trace.steps[0]]
    caption = (
        f"What most slices within {params.smoothing:g} nm of height agree on; the run keeps it in "
        "labels/background."
    )
    return [*steps, Step("resin", caption, kept)]


def _step_panels(steps: Sequence[Step]) -> Iterator[Panel]:
    """The recorded steps; a mask that continues the one before shows the changes."""
    last: NDArray[Any] | None = None
    for step in steps:
        before = None
        if step.plane.dtype == bool:
            if last is not None and 2 * (step.plane & last).sum() > (step.plane | last).sum():
                before = last
            last = step.plane
        yield Panel(step.title, step.caption, step.plane, before=before, unit=step.unit)


def _nearest(volume: xr.DataArray, region: Region) -> int:
    """The slice of a cell's centre, counted from 1."""
    return int(np.abs(volume["z"].values - region.centre[0]).argmin()) + 1


def _outcome(
    asked: FinishedCell, masks: xr.Dataset, found: dict[str, NDArray[np.bool_]], first: int
) -> Panel:
    """All lines that the method drew."""
    size = Geometry.of(masks["cell"]).voxel_size
    known = found if masks.attrs["status"] != NO_RESIN else {"nucleus": found["nucleus"]}
    areas = [
        f"{name} {plane.sum() * size[1] * size[2] * 1e-6:.1f} µm²"
        for name, plane in known.items()
        if plane.any()
    ]
    sentences = [f"Found in this slice: {', '.join(areas)}."] if areas else []
    for name in ("nucleus", "cell"):
        slices = np.flatnonzero(masks[name].values.any(axis=(1, 2))) + first + 1
        if name in known and not slices.size:
            sentences.append(f"No {name} was found in the window.")
        elif name in known and not known[name].any():
            sentences.append(
                f"No {name} in this slice: it goes from slice {slices[0]} to {slices[-1]}."
            )
    if masks.attrs["reason"]:
        sentences.append(f"{masks.attrs['reason'][:1].upper()}{masks.attrs['reason'][1:]}.")
    marks = [
        Mark("cell", found["cell"], CELL),
        Mark("envelope", found["envelope"] | found["nucleus"], ENVELOPE),
        Mark("nucleus", found["nucleus"], NUCLEUS),
    ]
    shown = tuple(mark for mark in marks if mark.name in known and found[mark.name].any())
    return Panel(f"outcome of {asked.method}", " ".join(sentences), None, shown)


def _delivered(
    asked: FinishedCell, cell: NDArray[np.bool_], here: _Place, pixel: tuple[float, float]
) -> Panel:
    """The labels of the run, after assembly."""
    label = asked.region.label
    cells, nuclei = (compute(asked.labels(name)[here]) for name in ("cells", "nuclei"))
    own = cells == label
    lost, got = (
        float(mask.sum()) * pixel[0] * pixel[1] * 1e-6 for mask in (cell & ~own, own & ~cell)
    )
    caption = (
        "All cells together, as the run delivers them: no voxel has two owners. In this slice "
        f"cell {label} has {lost:.1f} µm² less and {got:.1f} µm² more than in its own window."
    )
    marks = Mark("cells", cells, CELL, numbered=True), Mark("nuclei", nuclei, NUCLEUS)
    return Panel("labels of the run", caption, None, marks)


def _size(grey: NDArray[Any], pixel: tuple[float, float]) -> str:
    height, width = (n * step / 1000 for n, step in zip(grey.shape, pixel, strict=True))
    return f"{height:.1f} × {width:.1f} µm (y, x)"


def _pictures(steps: Sequence[ExplainedStep], notes: Sequence[str]) -> list[Figure]:
    """The page's pictures, smaller than the files."""
    figures = []
    for k, (step, note) in enumerate(zip(steps, notes, strict=True), start=1):
        title = f"{k}  {step.title[:1].upper()}{step.title[1:]}" + (f" – {note}" if note else "")
        jpeg = io.BytesIO()
        imsave(jpeg, imread(step.path)[..., :3], format="jpeg", pil_kwargs={"quality": 85})
        figures.append(as_figure(jpeg.getvalue(), step.caption, title))
    return figures
