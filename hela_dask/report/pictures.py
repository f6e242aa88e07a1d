"""The pictures of a report: selection of slices and planes, read and drawn."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hela_dask.errors import HelaDaskError
from hela_dask.evaluation.labels_input import Pair, open_labels, pair_labels
from hela_dask.figures import (
    draw_chains,
    draw_curves,
    draw_detections,
    draw_errors,
    draw_orthogonal,
    draw_overlay,
)
from hela_dask.geometry import Geometry
from hela_dask.kernels.morphology import box_around
from hela_dask.report.reading import View, open_view
from hela_dask.report.space import draw_volume
from hela_dask.running.reading import RunFolder
from hela_dask.steps.link import select_cell_detections
from hela_dask.volume.grids import compute

__all__ = ["Picture", "draw_found", "draw_pictures"]

_REDRAWN = re.compile(
    r"(overlay|errors_(nucleus|cell))_\d{5,}\.jpg|orthogonal\.jpg|(curves|space)\.png"
)
"""Pictures of a report alone: those of an earlier call are removed first."""

PIXELS = 1400  # of a picture, at most
OVERLAYS = 6
ERRORS = 3  # slices per class
REACH = 13_000.0  # nm around a cell's centre: a cell is 15-20 µm wide


@dataclass(frozen=True)
class Picture:
    """A drawn file, its section and its caption."""

    section: str
    path: Path
    caption: str


def draw_pictures(folder: RunFolder) -> tuple[list[Picture], list[str]]:
    """Draw all pictures that the run has data for, into ``figures/``.

    Returns the pictures, and a sentence for each kind of picture that could not be drawn.
    """
    target = folder.path / "figures"
    for old in target.glob("*.*"):
        if _REDRAWN.fullmatch(old.name):
            old.unlink()
    kinds: list[Callable[[RunFolder, Path], Iterator[Picture]]] = [_chains, _curves, _volume]
    notes = []
    if folder.store is None:
        if folder.facts.get("store"):
            notes.append(f"the image is no longer at {folder.facts['store']}: no pictures of it")
    else:
        kinds += [_overlays, _orthogonal, _detections, _errors]
    pictures = []
    for kind in kinds:
        try:
            pictures += list(kind(folder, target))
        except (HelaDaskError, OSError) as error:
            notes.append(f"pictures left out: {error}")
    return pictures, notes


def draw_found(folder: RunFolder) -> None:
    """Draw the chains, and the analysed slice with the most cells, into ``figures/``."""
    for kind in (_chains, _detections):
        list(kind(folder, folder.path / "figures"))


def _view(folder: RunFolder, **how: Any) -> View:
    assert folder.store is not None
    return open_view(folder.store, folder.labels("nuclei"), folder.labels("cells"), **how)


def doubtful_slices(cells: pd.DataFrame, most: int) -> dict[int, str]:
    """The middle of the longest uncertain range of the cells with the lowest confidence.

    Returns at most so many slices with a remark, the least confident cell's first.
    """
    found: dict[int, str] = {}
    if not {"confidence", "doubtful_slices"} <= set(cells):
        return found
    for cell in cells.sort_values("confidence").to_dict("records"):
        ranges = [
            tuple(map(int, re.findall(r"\d+", text)))
            for text in str(cell["doubtful_slices"] or "").split(",")
        ]
        ranges = [span for span in ranges if span]
        if not ranges or len(found) >= most or pd.isna(cell["confidence"]):
            continue
        longest = max(ranges, key=lambda span: span[-1] - span[0])
        remark = f"uncertain in cell {cell['label']} (confidence {cell['confidence']:.2f})"
        found.setdefault((longest[0] + longest[-1]) // 2, remark)
    return found


def _overlays(folder: RunFolder, target: Path) -> Iterator[Picture]:
    """Slices evenly spaced through the cells (Fig. 10), and the least confident ones."""
    view = _view(folder, pixels=PIXELS)
    depth, cells = view.image.sizes["z"], folder.segmented()
    first, last = (
        (1, depth) if cells.empty else (cells["first_slice"].min(), cells["last_slice"].max())
    )
    found = doubtful_slices(cells, OVERLAYS // 2)
    doubtful = {number: remark for number, remark in found.items() if 1 <= number <= depth}
    even = OVERLAYS - len(doubtful)
    numbers = np.linspace(int(first), int(last), even + 2)[1:-1].round().astype(int)
    extent = max(n * step for n, step in zip(view.image.shape[1:], view.pixel, strict=True))
    for number in sorted({*np.clip(numbers, 1, depth).tolist(), *doubtful}):
        grey, nuclei, cell = view.plane(z=number - 1)
        path = target / f"overlay_{number:05d}.jpg"
        height = (number - 1) * view.voxel_size[0] / 1000
        title = f"slice {number} of {depth}, {height:.2f} µm up"
        draw_overlay(grey, nuclei, cell, view.pixel, path, title=title, width=_width(extent))
        labels = nuclei if cell is None else cell
        shown = [] if labels is None else np.unique(labels[labels > 0]).tolist()
        ids = ", ".join(map(str, shown))
        named = f"cell{'s' * (len(shown) > 1)} {ids}" if shown else "no cell"
        caption = f"Slice {number}: {named}"
        caption += f"; {doubtful[number]}" if number in doubtful else ""
        yield Picture("overlays", path, caption)


def _width(extent: float) -> int:
    """Pixels of a picture: more for larger extents."""
    return 1200 if extent > 30_000 else 800


def _orthogonal(folder: RunFolder, target: Path) -> Iterator[Picture]:
    """Three planes through the largest cell, a complete one if there is any."""
    cells = folder.segmented()
    if cells.empty:
        return
    order = [name for name in ("complete", "cell_volume", "nucleus_volume") if name in cells]
    cell = cells.sort_values(order, ascending=False).iloc[0]
    view = _view(folder, resolution=40.0)
    if max(view.image.sizes[axis] * view.pixel[k] for k, axis in enumerate("yx")) > 2.4 * REACH:
        view = view.window((float(cell["y"]), float(cell["x"])), REACH)
    size = view.voxel_size
    extent = [n * step for n, step in zip(view.image.shape, size, strict=True)]
    if min(extent) < max(extent) / 20:
        return  # too few slices, or too narrow, for three planes to scale
    at = {axis: int(np.abs(view.image[axis].values - float(cell[axis])).argmin()) for axis in "zyx"}
    planes = {
        "xy": view.plane(z=at["z"]),
        "xz": view.plane(y=at["y"]),
        "yz": view.plane(x=at["x"]),
    }
    point = tuple((at[axis] + 0.5) * size[k] for k, axis in enumerate("zyx"))
    path = target / "orthogonal.jpg"
    draw_orthogonal(
        planes, size, (point[0], point[1], point[2]), path, title=f"cell {cell['label']}"
    )
    yield Picture(
        "orthogonal",
        path,
        f"The planes through the centre of cell {cell['label']}, z to scale; dashes show where "
        "they meet.",
    )


def _chains(folder: RunFolder, target: Path) -> Iterator[Picture]:
    extent = (folder.facts.get("image") or {}).get("extent")
    if folder.detections.empty or folder.cells.empty or not extent:
        return
    z, y, x = (float(length) for length in extent)
    path = draw_chains(folder.detections, folder.cells, (z, y, x), target / "chains.png")
    yield Picture(
        "detection",
        path,
        "Detections in the analysed slices, linked into cells; the larger a dot, the farther the "
        "resin. Grey and dashed: not segmented as a whole cell, see the reasons in the table.",
    )


def _detections(folder: RunFolder, target: Path) -> Iterator[Picture]:
    """The analysed slice with the most detections, the middle one of several."""
    found = select_cell_detections(folder.detections, folder.cells)
    if found.empty:
        return
    counts = found["slice"].value_counts().sort_index()
    best = counts.index[counts == counts.max()]
    number = int(best[len(best) // 2])
    image = _view(folder, pixels=PIXELS).image
    rows = found[found["slice"] == number]
    pixel = Geometry.of(image).pixel
    extent = max(n * step for n, step in zip(image.shape[1:], pixel, strict=True))
    path = draw_detections(
        compute(image.isel(z=number - 1)),
        rows,
        pixel,
        target / "detections.png",
        origin=(float(image["y"][0]), float(image["x"][0])),
        width=_width(extent),
    )
    yield Picture(
        "detection",
        path,
        f"Slice {number}: the detections in it. Numbers are ranks by size, not cells; a circle "
        "reaches to the nearest resin.",
    )


def _volume(folder: RunFolder, target: Path) -> Iterator[Picture]:
    """All cells in space (Fig. 8 of J. Imaging 2021)."""
    path = target / "space.png"
    if caption := draw_volume(folder, path):
        yield Picture("space", path, caption)


def _curves(folder: RunFolder, target: Path) -> Iterator[Picture]:
    curves = {}
    for name in ("nucleus", "cell"):
        score = folder.score(name)
        rows = score.get("per_slice") or score.get("instances", {}).get("per_slice")
        if rows:
            curves[name] = pd.DataFrame(rows).astype({"ji": float})
    if curves:
        path = draw_curves(curves, target / "curves.png")
        yield Picture("curves", path, "Jaccard index of each slice that has the class.")


def _errors(folder: RunFolder, target: Path) -> Iterator[Picture]:
    """Right and wrong in slices evenly spaced through each class (Figs. 5 and 11)."""
    paths = folder.scores.get("truth") or {}
    for name, labels in (("nucleus", "nuclei"), ("cell", "cells")):
        score, predicted = folder.score(name), folder.labels(labels)
        truth = paths.get(name) or paths.get("classes")
        matched = score.get("instances")
        inner = matched if isinstance(matched, dict) else score
        rows = pd.DataFrame(inner.get("per_slice") or {})
        if rows.empty or predicted is None or truth is None or not Path(truth).exists():
            continue
        present = rows.loc[rows["tp"] + rows["fp"] + rows["fn"] > 0]
        if present.empty:
            continue
        picks = np.linspace(0, len(present) - 1, 2 * ERRORS + 1)[1::2].round().astype(int)
        slices = tuple(folder.scores.get("slices") or inner["slices"])
        pair = pair_labels(open_labels(predicted, name), open_labels(truth, name), slices)
        for row in present.iloc[sorted(set(picks.tolist()))].to_dict("records"):
            yield _error(folder, target, name, pair, score, row)


Row = dict[Any, Any]


def _error(
    folder: RunFolder, target: Path, name: str, pair: Pair, score: dict[str, Any], row: Row
) -> Picture:
    number = int(row["slice"])
    _, found, true = next(pair.slabs(number, number))
    if isinstance(score.get("instances"), dict):
        prediction, truth = _matched(found[0], true[0], score["instances"]["pairs"])
    else:
        prediction = np.isin(found[0], score["instances"])
        truth = np.isin(true[0], score["values"])
    image = _image_like(folder, truth.shape)
    # Every n-th pixel of a large slice; the window around the masks of a small class.
    pixel = Geometry.of(image).pixel
    masks = box_around(prediction | truth, 0.0, pixel)
    box = masks.grow([int(2000 / step) for step in pixel]).clip(truth.shape)
    grey = compute(image[number - 1, *box])
    step = -(-max(grey.shape) // PIXELS)
    thin = np.s_[::step, ::step]
    title = f"{name}, slice {number}: JI {row['ji']:.3f}"
    path = draw_errors(
        grey[thin],
        prediction[box][thin],
        truth[box][thin],
        (pixel[0] * step, pixel[1] * step),
        target / f"errors_{name}_{number:05d}.jpg",
        title=title,
    )
    return Picture("errors", path, f"{title[:1].upper()}{title[1:]}")


def _matched(found: Any, true: Any, pairs: list[dict[str, Any]]) -> tuple[Any, Any]:
    """Masks that overlap where matched instances overlap."""
    right = np.zeros(found.shape, bool)
    for pair in pairs:
        right |= (found == pair["prediction"]) & (true == pair["truth"])
    return (found != 0) & (right | (true == 0)), true != 0


def _image_like(folder: RunFolder, shape: tuple[int, ...]) -> xr.DataArray:
    """The image on a grid of (y, x) pixels: a level of its pyramid, or every n-th pixel.

    A level of its pyramid, or every so many pixels.
    """
    assert folder.store is not None
    whole = open_view(folder.store, None, None).image
    step = max(1, whole.shape[1] // shape[0])
    coarse = max(Geometry.of(whole).pixel) * step
    near = open_view(folder.store, None, None, resolution=coarse).image
    if near.shape[1:] == tuple(shape):
        return near
    return whole.isel(
        y=slice(step // 2, None, step), x=slice(step // 2, None, max(1, whole.shape[2] // shape[1]))
    )
