"""Pictures of a scored run: JI over the slices, the worst slices, outlines at full resolution."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tifffile
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

import hela_dask as hd
from benchmarks.runs import predictions
from benchmarks.stacks import REAL_VOXEL, Stack, as_volume, real_stack
from hela_dask.figures import draw_curves, draw_errors
from hela_dask.figures.canvas import (
    CELL,
    NUCLEUS,
    image_axes,
    new_figure,
    number,
    outline,
    save,
    scale_bar,
    show_tissue,
)
from hela_dask.methods.names import DEFAULT_METHOD
from hela_dask.running.scoring import CLASSES

__all__ = ["curves", "outlines", "poles", "worst_pictures", "worst_slices"]

SHOWN = ("nucleus", "cell")
APART = 12
MARGIN = 30
POLE_DEPTHS = (100.0, 500.0, 900.0, 1300.0)  # nm
POLE_WIDTH = 260  # pixels


def curves(found: dict[str, Any], folder: Path) -> None:
    """Draw JI over the slice number, a picture per class, a line per method."""
    for name in SHOWN:
        tables = {}
        for method, row in found.items():
            ji = np.array(row["curves"][name], dtype=float)
            tables[method] = pd.DataFrame({"slice": np.arange(1, len(ji) + 1), "ji": ji})
        draw_curves(tables, folder / f"curves_{name}.png", title=name, width=800)


def poles(stack: Stack, path: Path) -> None:
    """Draw slices near both poles of a nucleus, and again with the truth outlined."""
    nucleus = np.isin(stack.truth, CLASSES["nucleus"])
    there = np.flatnonzero(nucleus.any((1, 2)))
    deep = [round(at / stack.voxel[0]) for at in POLE_DEPTHS]
    shown = [*(there[0] + k for k in deep), *(there[-1] - k for k in deep)]
    rows = [
        np.hstack([_pole_slice(stack, z, drawn=drawn) for z in part])
        for drawn in (False, True)
        for part in (shown[: len(deep)], shown[len(deep) :])
    ]
    Image.fromarray(np.vstack(rows)).save(path, quality=60)


def _pole_slice(stack: Stack, z: int, *, drawn: bool) -> NDArray[np.uint8]:
    """The middle of a slice in colours, dark to bright over the grey values of tissue and resin."""
    _, y, x = stack.centre
    half = POLE_WIDTH // 2
    part = (z, slice(max(0, y - half), y + half), slice(max(0, x - half), x + half))
    grey = np.clip((stack.image[part].astype(np.float32) - 90) * 1.8, 0, 255).astype(np.uint8)
    colours = np.repeat(grey[..., None], 3, axis=2)
    if drawn:
        for name, colour in (("cell", (230, 159, 0)), ("nucleus", (86, 180, 233))):
            mask = np.isin(stack.truth[part], CLASSES[name])
            colours[mask & ~ndimage.binary_erosion(mask)] = colour
    return colours


def worst_slices(curve: Sequence[float | None], wrong: Sequence[int], count: int = 2) -> list[int]:
    """1-based: those of the lowest JI, then those of most wrong voxels, well apart.

    Parameters
    ----------
    curve
        JI of each slice, None where there is neither truth nor prediction.
    wrong
        False voxels of each slice.
    count
        How many of each kind.
    """
    chosen: list[int] = []
    present = [k for k, ji in enumerate(curve) if ji is not None]
    by_ji = sorted(present, key=lambda k: (curve[k], k))
    by_size = sorted(present, key=lambda k: (-wrong[k], k))
    for order in (by_ji, by_size):
        taken = 0
        for k in order:
            if taken < count and all(abs(k + 1 - other) >= APART for other in chosen):
                chosen.append(k + 1)
                taken += 1
    return chosen


def worst_pictures(
    run: Path, data: Path, real: dict[str, Any], folder: Path
) -> list[dict[str, Any]]:
    """Right and wrong in the worst slices of nucleus and cell of a run.

    Returns
    -------
    list of dict
        ``class``, ``slice``, ``ji`` and ``picture``, a row each.
    """
    predicted, stack = predictions(run), real_stack(data)
    image, truth = stack.image, stack.truth
    rows = []
    for name in SHOWN:
        labels = hd.open_volume(predicted[name])[: len(truth)].compute(scheduler="threads").values
        true = np.isin(truth, CLASSES[name])
        ids, counts = np.unique(labels[true & (labels > 0)], return_counts=True)
        mask = labels == ids[counts.argmax()]
        wrong = (mask != true).sum(axis=(1, 2)).tolist()
        for z in worst_slices(real["curves"][name], wrong):
            path, plane = folder / f"{name}_{z:03d}.jpg", z - 1
            window = _window(mask[plane] | true[plane], square=260)
            draw_errors(
                image[plane][window],
                mask[plane][window],
                true[plane][window],
                REAL_VOXEL[1:],
                path,
                title=f"{name}, slice {z}",
                width=340,
            )
            ji = real["curves"][name][plane]
            rows.append({"class": name, "slice": z, "ji": ji, "picture": path.name})
    return rows


def _window(mask: NDArray[Any], square: int) -> tuple[slice, ...]:
    """The window around a mask: at least so many pixels square, inside the plane."""
    sides = []
    for axis, length in enumerate(mask.shape):
        places = np.flatnonzero(mask.any(axis=1 - axis))
        size = min(length, max(square, int(places[-1] - places[0]) + 2 * MARGIN))
        low = int(places[0] + places[-1]) // 2 - size // 2
        low = min(max(0, low), length - size)
        sides.append(slice(low, low + size))
    return tuple(sides)


def outlines(data: Path, path: Path, method: str = DEFAULT_METHOD, width: int = 1000) -> Path:
    """Nucleus and cell in the ten full-resolution slices of the second cell, on one sheet."""
    files = sorted((data / "roi6005").glob("*.tif"))
    panel = width / 5
    figure = new_figure(width, 2 * panel)
    for k, file in enumerate(files[:10]):
        plane = tifffile.imread(file)
        volume = as_volume(plane[None], (50.0, 10.0, 10.0))
        cells = hd.link_cells(hd.detect_cells(volume), volume)
        regions = hd.cell_regions(cells, volume)
        middle = plane.shape[0] * 5.0
        region = min(
            regions, key=lambda item: abs(item.centre[1] - middle) + abs(item.centre[2] - middle)
        )
        masks = hd.segment_cell(volume, region, method)
        row, column = divmod(k, 5)
        axes = image_axes(figure, (column / 5, 0.5 - row / 2, 0.198, 0.495))
        # The window as it is: pixels of 20 nm are enough for a picture.
        _, y, x = region.slices(volume)
        show_tissue(axes, plane[y, x][::2, ::2], (20.0, 20.0), None)
        for name, colour in (("cell", CELL), ("nucleus", NUCLEUS)):
            mask = masks[name].values[0][::2, ::2].astype(np.uint8)
            outline(axes, mask, (20.0, 20.0), colour, 1.0)
        number(axes, 1.9, 1.0, file.stem, 6)
        scale_bar(axes, 0.01 * (x.stop - x.start), 0.01 * (y.stop - y.start), size=6)
    return save(figure, path)
