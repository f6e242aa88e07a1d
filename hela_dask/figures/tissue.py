"""Figures on grey values: numbered cells, three planes through a point, ranks, right and wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch
from matplotlib.patheffects import withStroke

from hela_dask.figures.canvas import (
    CELL,
    INK,
    NUCLEUS,
    Area,
    clear_text,
    image_axes,
    innermost,
    new_figure,
    number,
    outline,
    plate,
    save,
    scale_bar,
    show_tissue,
    tint,
    um_per_point,
)
from hela_dask.figures.printing import Print, interpolation
from hela_dask.types import Pixel, Plane

__all__ = ["draw_detections", "draw_errors", "draw_orthogonal", "draw_overlay"]


TEXT = 55  # a picture is that many times as wide, in pixels, as its text is high, in points
STRIP = 2.31  # pixels of the line of text above an image, per point of its text
TALLEST = 3.0  # of an image, per width of the picture; taller ones are narrower than the picture
LINE = 520  # a picture is that many times as wide, in pixels, as its outlines are, in points
GAP = 0.02  # between two images, of the width
FILL = 0.35  # opacity of filled cells
RIGHT = (0.34, 0.71, 0.91)  # sky blue: predicted and true
SPURIOUS = (1.0, 0.72, 0.0)  # amber: predicted only
MISSED = (0.76, 0.0, 0.42)  # magenta: true only
LINES = {"nucleus": NUCLEUS, "cell": CELL}


def draw_overlay(
    image: Plane,
    nuclei: Plane | None,
    cells: Plane | None,
    pixel: Pixel,
    path: str | Path,
    *,
    title: str = "",
    width: float = 900,
    limits: tuple[float, float] | None = None,
    filled: bool = False,
    numbered: bool = True,
    beside: bool = False,
    printed: Print | None = None,
) -> Path:
    """Draw a slice with its nuclei in blue, its cells in orange, and their numbers (Fig. 10).

    Parameters
    ----------
    image, nuclei, cells : (y, x)
        Grey values and instance labels of one slice; labels that were not made are None.
    pixel : (y, x) in nm
    path : path of a PNG or JPEG, or of the format that `printed` asks for
    width : pixels of the picture; hundredths of an inch at most where it is printed
    title : line of text above the image
    limits : (black, white), optional
        Grey values; by default percentiles of the slice.
    filled : bool
        Whether nuclei and cells are tinted, not only outlined.
    numbered : bool
        Whether each cell has its number.
    beside : bool
        Whether the image without labels stands on the left.
    printed : Print, optional
        Resolution, sizes and metadata of a figure for print.
    """
    text = width / TEXT if printed is None else printed.text
    line = width / LINE if printed is None else printed.line
    panels, size = _page(
        image,
        pixel,
        title,
        width,
        legend=(nuclei, cells),
        limits=limits,
        count=1 + beside,
        printed=printed,
        interpolation="bilinear" if printed is None else interpolation(path),
    )
    for axes in panels[:-1]:
        scale_bar(axes, size[1], size[0], text)
    axes = panels[-1]
    taken = [scale_bar(axes, size[1], size[0], text)]
    _outlines(axes, nuclei, cells, pixel, line, filled=filled)
    if numbered:
        _numbers(axes, nuclei, cells, pixel, 1.15 * text, taken)
    return save(axes.figure, path, printed)  # type: ignore[arg-type]


def _page(
    image: Plane,
    pixel: Pixel,
    title: str,
    width: float,
    *,
    legend: tuple[Plane | None, Plane | None] = (None, None),
    limits: tuple[float, float] | None = None,
    count: int = 1,
    printed: Print | None = None,
    interpolation: str = "bilinear",
) -> tuple[list[Axes], tuple[float, float]]:
    """A figure of an image, so many times side by side, below a line of text.

    Returns the axes, and (height, width) of the image in µm.
    """
    height_um, width_um = (n * step / 1000 for n, step in zip(image.shape, pixel, strict=True))
    named = [name for labels, name in zip(legend, LINES, strict=True) if labels is not None]
    text = width / TEXT if printed is None else printed.text
    strip = STRIP * text if title or named else 0
    if printed is not None:
        tall = printed.tallest - strip
        width = min(width, max(tall * width_um / height_um / _part(count), tall / TALLEST))
    gap = GAP * width
    part = _part(count) * width
    scale = min(part / width_um, TALLEST * width / height_um)
    wide, tall = scale * width_um, scale * height_um
    figure = new_figure(width, tall + strip)
    panels = []
    for place in range(count):
        left = (width - count * wide - gap * (count - 1)) / 2 + place * (wide + gap)
        axes = image_axes(figure, (left / width, 0, wide / width, tall / (tall + strip)))
        show_tissue(axes, image, pixel, limits, interpolation)
        panels.append(axes)
    top = 1 - 0.5 * strip / (tall + strip)
    figure.text(0.006, top, title, fontsize=text, color=INK, va="center")
    if named:
        figure.legend(
            handles=_lines(named),
            loc="center right",
            bbox_to_anchor=(1, top),
            ncols=2,
            frameon=False,
            fontsize=text,
            labelcolor=INK,
            handlelength=1.2,
            borderpad=0,
            borderaxespad=0.3,
            columnspacing=1.0,
        )
    return panels, (height_um, width_um)


def _part(count: int) -> float:
    """The width of each of so many images side by side, per width of the figure."""
    return (1 - GAP * (count - 1)) / count


def _head(axes: Axes, title: str, size: float) -> None:
    """A line of text above an image, a little inside its left side."""
    axes.set_title(title, loc="left", x=0.006, pad=0.35 * size, fontsize=size, color=INK)


def _lines(names: Sequence[str]) -> list[Line2D]:
    """Entries of a legend for outlines of nuclei and cells, with the dark rim that these have."""
    rim = withStroke(linewidth=3.4, foreground=(0, 0, 0, 0.55))
    return [
        Line2D([], [], color=LINES[name], label=name, linewidth=2, path_effects=[rim])
        for name in names
    ]


def _outlines(
    axes: Axes,
    nuclei: Plane | None,
    cells: Plane | None,
    pixel: Pixel,
    line: float,
    *,
    filled: bool = False,
) -> None:
    """Outlines of cells and nuclei; `filled`: a nucleus has its colour, the rest its cell's."""
    if filled and cells is not None and nuclei is not None:
        tints = [(np.where(nuclei > 0, 0, cells), CELL), (nuclei, NUCLEUS)]
    else:
        tints = [(plane, colour) for plane, colour in ((cells, CELL), (nuclei, NUCLEUS))]  # type: ignore[misc]
    for labels, colour in ((cells, CELL), (nuclei, NUCLEUS)):
        if labels is not None:
            outline(axes, labels, pixel, colour, line)
    for labels, colour in tints:
        if filled and labels is not None:
            tint(axes, labels, pixel, colour, FILL)


def _numbers(
    axes: Axes,
    nuclei: Plane | None,
    cells: Plane | None,
    pixel: Pixel,
    size: float,
    taken: Sequence[Area],
) -> None:
    """The number of each cell in its nucleus, or where it has none in its cell."""
    places: dict[int, tuple[float, float]] = {}
    for area in ((), taken):  # a cell that is nowhere else has its number on a plate
        for labels in (cells, nuclei):
            if labels is not None:
                places |= innermost(labels, pixel, area)
    for label, (y, x) in places.items():
        number(axes, x * pixel[1] / 1000, y * pixel[0] / 1000, str(label), size)


def draw_orthogonal(
    planes: Mapping[str, tuple[Plane, Plane | None, Plane | None]],
    voxel_size: tuple[float, float, float],
    point: tuple[float, float, float],
    path: str | Path,
    *,
    title: str = "",
    width: int = 1000,
) -> Path:
    """Draw the three planes through a point, z to the scale of x and y.

    Parameters
    ----------
    planes : mapping with "xy" (y, x), "xz" (z, x) and "yz" (z, y)
        Grey values, nuclei and cells (or None) of each plane.
    voxel_size : (z, y, x) in nm
    point : (z, y, x) in nm from the volume's corner, where the planes meet
    path : path of a PNG or JPEG
    width : pixels of the picture
    """
    z, y, x = voxel_size
    shape = (planes["xz"][0].shape[0], *planes["xy"][0].shape)
    tall, deep, wide = shape[1] * y / 1000, shape[0] * z / 1000, shape[2] * x / 1000
    gap = 0.012 * (wide + deep)
    scale = width / (wide + gap + deep)
    text = width / TEXT / 1.2
    strip = STRIP * text if title else 0
    height = (tall + gap + deep) * scale + strip
    figure = new_figure(width, height)
    grid = figure.add_gridspec(
        2, 2, width_ratios=(wide, deep), height_ratios=(tall, deep), left=0, right=1, bottom=0,
        top=1 - strip / height, wspace=2 * gap / (wide + deep), hspace=2 * gap / (tall + deep),
    )  # fmt: skip
    at = tuple(value / 1000 for value in point)
    layout = {  # place; pixel; lines (horizontal, vertical), µm
        "xy": (grid[0, 0], (y, x), (at[1], at[2])),
        "xz": (grid[1, 0], (z, x), (at[0], at[2])),
        "yz": (grid[0, 1], (y, z), (at[1], at[0])),
    }
    low, high = np.percentile(planes["xy"][0], (0.5, 99.5))
    limits = float(low), float(max(high, low + 1e-9))
    for name, (place, pixel, (row, column)) in layout.items():
        axes = figure.add_subplot(place)
        axes.set_axis_off()
        grey, nuclei, cells = (
            part.T if part is not None and name == "yz" else part for part in planes[name]
        )
        image = np.asarray(grey)
        show_tissue(axes, image, pixel, limits)
        _outlines(axes, nuclei, cells, pixel, 1.5)
        for line in (axes.axhline(row), axes.axvline(column)):
            line.set(color="white", linewidth=1.0, alpha=0.75, linestyle=(0, (6, 5)))
        size = [n * step / 1000 for n, step in zip(image.shape, pixel, strict=True)]
        taken = [scale_bar(axes, size[1], size[0], text), _name(axes, name, text)]
        _numbers(axes, nuclei, cells, pixel, text, taken)
        if name == "xy":
            _head(axes, title, text)
    corner = figure.add_subplot(grid[1, 1])
    corner.set_axis_off()
    if min(deep, tall) * scale > 12 * text:
        corner.legend(handles=_lines([*LINES]), loc="center", frameon=False, fontsize=text)
    return save(figure, path)


def _name(axes: Axes, name: str, size: float) -> Area:
    """The name of a plane in its upper left corner."""
    point = um_per_point(axes, axes.get_xlim()[1])
    wide, high = (length * point for length in clear_text(name, size))
    plate(axes, Area(0.0, 0.0, wide, high))
    number(axes, wide / 2, high / 2, name, size)
    return Area(0.0, 0.0, wide, high)


def draw_detections(
    image: Plane,
    detections: pd.DataFrame,
    pixel: Pixel,
    path: str | Path,
    *,
    origin: tuple[float, float] = (0.0, 0.0),
    title: str = "",
    width: int = 900,
) -> Path:
    """Draw a slice with its detected cells ranked by size (Fig. 2).

    Parameters
    ----------
    image : (y, x)
        Grey values, or the resin as booleans.
    detections : pandas.DataFrame
        Rows of this slice: ``y``, ``x``, ``height`` (nm) and ``rank``. The circle's radius is
        the height, that is how far the resin is; the number is the rank.
    pixel : (y, x) in nm
    path : path of a PNG or JPEG
    width : pixels of the picture
    origin : (y, x) in nm
        Centre of the first pixel, in the coordinates of the detections.
    """
    (axes,), size = _page(image, pixel, title, width)
    scale_bar(axes, size[1], size[0], width / TEXT)
    # Detections are at pixel centres, the image is drawn from its corner.
    corner = [start - step / 2 for start, step in zip(origin, pixel, strict=True)]
    for row in detections.sort_values("rank").to_dict("records"):
        y, x = (row["y"] - corner[0]) / 1000, (row["x"] - corner[1]) / 1000
        radius = row["height"] / 1000
        axes.add_patch(Circle((x, y), radius, fill=False, edgecolor="black", linewidth=3.2))
        axes.add_patch(Circle((x, y), radius, fill=False, edgecolor="#ffb300", linewidth=1.8))
        share = radius / (max(size) / 12)
        number(axes, x, y, str(row["rank"]), width / TEXT * float(np.clip(share, 0.8, 1.5)))
    return save(axes.figure, path)  # type: ignore[arg-type]


def draw_errors(
    image: Plane,
    prediction: Plane,
    truth: Plane,
    pixel: Pixel,
    path: str | Path,
    *,
    title: str = "",
    width: int = 700,
    limits: tuple[float, float] | None = None,
) -> Path:
    """Draw where a predicted mask is right and wrong in a slice (Figs. 5 and 11 of the papers).

    Parameters
    ----------
    image : (y, x)
    prediction, truth : (y, x) bool
        True positives are tinted blue, false positives amber, false negatives magenta.
    pixel : (y, x) in nm
    path : path of a PNG or JPEG
    width : pixels of the picture
    limits : (black, white), optional
    """
    prediction, truth = prediction.astype(bool), truth.astype(bool)
    (axes,), size = _page(image, pixel, title or " ", width, limits=limits)
    kinds = [
        ("TP", prediction & truth, RIGHT, 0.38),
        ("FP", prediction & ~truth, SPURIOUS, 0.8),
        ("FN", ~prediction & truth, MISSED, 0.8),
    ]
    tint = np.zeros((*image.shape, 4))
    for _, where, colour, alpha in kinds:
        tint[where] = (*colour, alpha)
    axes.imshow(
        tint, extent=(0, size[1], size[0], 0), interpolation="nearest", aspect="auto", zorder=2
    )
    axes.set_xlim(0, size[1])
    axes.set_ylim(size[0], 0)
    handles = [
        Patch(color=colour, label=f"{name} {100 * where.mean():.2f} %")
        for name, where, colour, _ in kinds
    ]
    handles.append(Patch(color="#9e9e9e", label=f"TN {100 * (~prediction & ~truth).mean():.2f} %"))
    axes.legend(
        handles=handles, loc="upper left", fontsize=width / TEXT, framealpha=0.85, handlelength=1.1
    ).set_zorder(4)
    scale_bar(axes, size[1], size[0], width / TEXT)
    return save(axes.figure, path)  # type: ignore[arg-type]
