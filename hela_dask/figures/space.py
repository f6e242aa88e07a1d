"""Pictures in space with their annotations: a cell from two sides, and the whole volume."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from hela_dask.figures.canvas import (
    INK,
    clear_text,
    image_axes,
    new_figure,
    save,
    scale_bar,
)
from hela_dask.figures.printing import Print, interpolation
from hela_dask.types import Floats

__all__ = ["draw_space"]

_HEAD = 30 / 11  # pixels above the views, per point of text
_TEXT = 11.0  # points, in a picture that is not printed
_BOLD = 1.15  # size of the title, of other text
_CUT = "#c81418"
_HALO = withStroke(linewidth=2.4, foreground="white")


def draw_space(
    views: Sequence[NDArray[np.uint8]],
    pixel: float,
    axes: Sequence[Floats],
    path: str | Path,
    *,
    title: str,
    cut: str = "",
    note: str = "",
    numbers: Sequence[Mapping[str, tuple[float, float]]] = (),
    width: float | None = None,
    printed: Print | None = None,
) -> Path:
    """Write views of the same objects side by side, with axes and a scale bar.

    Parameters
    ----------
    views : (rows, columns, 3) arrays
    pixel : float
        Side of a pixel of all views, nm.
    axes : (3, 3) arrays
        Directions down and right in each view and towards the viewer, each (z, y, x).
    path : path of a PNG, or of the format that `printed` asks for
    title, cut, note : str
        Above the views; `cut` is in red, `note` in grey.
    numbers : per view, texts with their row and column, pixels
    width : float, optional
        Of the picture, pixels; hundredths of an inch at most where it is printed. Default: that of
        the views.
    printed : Print, optional
        Resolution, sizes and metadata of a figure for print.

    Returns
    -------
    Path
        Of the picture.
    """
    text = _TEXT if printed is None else printed.text
    whole = sum(view.shape[1] for view in views)
    scale = 1.0 if width is None else width / whole
    rows, head = max(view.shape[0] for view in views), _HEAD * text
    if printed is not None:
        scale = min(scale, (printed.tallest - head) / rows)
    wide, high = whole * scale, rows * scale
    figure = new_figure(wide, high + head)
    way = "nearest" if printed is None else interpolation(path)
    left = 0.0
    for place, view in enumerate(views):
        tall, columns = (length * scale for length in view.shape[:2])
        box = (left / wide, (high - tall) / (high + head), columns / wide, tall / (high + head))
        part = image_axes(figure, box)
        size = [length * pixel / 1000 for length in view.shape[:2]]
        part.imshow(view, extent=(0, size[1], size[0], 0), aspect="auto", interpolation=way)
        part.set_xlim(0, size[1])
        part.set_ylim(size[0], 0)
        _tripod(part, axes[place], (size[1], size[0]), columns, text)
        if numbers:
            _numbers(part, numbers[place], pixel / 1000, 0.82 * text)
        if place == len(views) - 1:
            scale_bar(part, size[1], size[0], text, dark=True)
        left += columns
    _heading(figure, (title, cut, note), head, text)
    return save(figure, path, printed)


def _heading(figure: Figure, texts: tuple[str, str, str], head: float, size: float) -> None:
    """Title and note from the left, cut sides at the right, smaller if there is no room."""
    title, cut, note = texts
    width, height = figure.get_size_inches() * 100
    y = 1 - 0.5 * head / height
    margin = 0.9 * size
    bold = _BOLD * size
    end = 0.0
    parts: tuple[tuple[str, float, dict[str, Any]], ...] = (
        (title, bold, {"fontweight": "bold", "color": INK}),
        (note, size, {"color": "#666666"}),
    )
    for text, points, style in parts:
        if text:
            x = (end + margin) / width
            figure.text(x, y, text, fontsize=points, va="center_baseline", **style)
            end += margin + clear_text(text, points)[0] * 100 / 72
    if cut:
        room = (width - margin - end) * 72 / 100
        fitting = size * min(1.0, room / (0.62 * size * len(cut)))
        figure.text(
            1 - margin / width,
            y,
            cut,
            fontsize=fitting,
            color=_CUT,
            va="center_baseline",
            ha="right",
        )


def _tripod(
    part: Axes, axes: Floats, size: tuple[float, float], pixels: float, text: float
) -> None:
    """The axes of the volume, at the lower left, as far as they are not seen end on.

    `size` is the width and the height of the view, µm.
    """
    width, height = size
    length = 2.7 * text / pixels * width
    x0, y0 = 1.6 * length, height - 1.6 * length
    for name, (down, right) in zip("zyx", axes[:2].T, strict=True):
        if math.hypot(down, right) < 0.15:
            continue
        part.plot(
            [x0, x0 + right * length],
            [y0, y0 + down * length],
            color="#666666",
            linewidth=0.12 * text,
            path_effects=[_HALO],
        )
        part.text(
            x0 + 1.35 * right * length,
            y0 + 1.35 * down * length,
            name,
            color="#666666",
            fontsize=0.82 * text,
            ha="center",
            va="center",
            path_effects=[_HALO],
        )


def _numbers(
    part: Axes, numbers: Mapping[str, tuple[float, float]], size: float, text_size: float
) -> None:
    for text, (row, column) in numbers.items():
        part.text(
            (column + 0.5) * size,
            (row + 0.5) * size,
            text,
            color=INK,
            fontsize=text_size,
            fontweight="bold",
            ha="center",
            va="center",
            path_effects=[_HALO],
        )
