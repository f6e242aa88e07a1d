"""Pictures in space with their annotations: a cell from two sides, and the whole volume."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from hela_dask.figures.canvas import INK, image_axes, new_figure, save, scale_bar
from hela_dask.types import Floats

__all__ = ["draw_space"]

_HEAD = 30  # pixels above the views
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
) -> Path:
    """Write views of the same objects side by side, with axes and a scale bar.

    Parameters
    ----------
    views : (rows, columns, 3) arrays
    pixel : float
        Side of a pixel of all views, nm.
    axes : (3, 3) arrays
        Directions down and right in each view and towards the viewer, each (z, y, x).
    path : path of a PNG
    title, cut, note : str
        Above the views; `cut` is in red, `note` in grey.
    numbers : per view, texts with their row and column, pixels

    Returns
    -------
    Path
        Of the picture.
    """
    widths = [view.shape[1] for view in views]
    height = max(view.shape[0] for view in views)
    figure = new_figure(sum(widths), height + _HEAD)
    left = 0
    for place, view in enumerate(views):
        rows, columns = view.shape[:2]
        figure.figimage(view, left, height - rows, origin="upper", zorder=-1)
        part = image_axes(
            figure,
            (
                left / sum(widths),
                (height - rows) / (height + _HEAD),
                columns / sum(widths),
                rows / (height + _HEAD),
            ),
        )
        part.set_xlim(0, columns * pixel / 1000)
        part.set_ylim(rows * pixel / 1000, 0)
        _tripod(part, axes[place], columns * pixel / 1000, rows * pixel / 1000, columns)
        if numbers:
            _numbers(part, numbers[place], pixel / 1000)
        if place == len(views) - 1:
            width = columns * pixel / 1000
            length = _round_length(0.25 * width)
            scale_bar(part, width, rows * pixel / 1000, length, dark=True)
        left += columns
    _heading(figure, title, cut, note)
    return save(figure, path)


def _heading(figure: Figure, title: str, cut: str, note: str) -> None:
    width, height = figure.get_size_inches() * figure.dpi
    y = 1 - 0.5 * _HEAD / height
    figure.text(10 / width, y, title, fontsize=13, fontweight="bold", color=INK, va="center")
    if cut:
        figure.text(1 - 10 / width, y, cut, fontsize=11, color=_CUT, va="center", ha="right")
    if note:
        figure.text(0.5, y, note, fontsize=11, color="#777777", va="center", ha="center")


def _round_length(most: float) -> float:
    """The longest of 1, 2, 5, 10, … that is at most so long, and at least 0.01."""
    power = 10.0 ** math.floor(math.log10(max(most, 0.01)))
    return power * max(step for step in (1.0, 2.0, 5.0) if step * power <= max(most, 0.01) * 1.001)


def _tripod(part: Axes, axes: Floats, width: float, height: float, pixels: int) -> None:
    """The axes of the volume, at the lower left, as far as they are not seen end on."""
    length = 30 / pixels * width
    x0, y0 = 1.6 * length, height - 1.6 * length
    for name, (down, right) in zip("zyx", axes[:2].T, strict=True):
        if math.hypot(down, right) < 0.15:
            continue
        part.plot(
            [x0, x0 + right * length], [y0, y0 + down * length], color="#666666", linewidth=1.3
        )
        part.text(
            x0 + 1.35 * right * length,
            y0 + 1.35 * down * length,
            name,
            color="#666666",
            fontsize=9,
            ha="center",
            va="center",
        )


def _numbers(part: Axes, numbers: Mapping[str, tuple[float, float]], size: float) -> None:
    for text, (row, column) in numbers.items():
        part.text(
            (column + 0.5) * size,
            (row + 0.5) * size,
            text,
            color=INK,
            fontsize=9,
            fontweight="bold",
            ha="center",
            va="center",
            path_effects=[_HALO],
        )
