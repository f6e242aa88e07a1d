"""A measure of all cells as strips of dots, by group and volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from hela_dask.figures.axes import axes_or_new
from hela_dask.figures.canvas import CHAINS, INK, new_figure, save
from hela_dask.figures.printing import Print
from hela_dask.formatting import counted

__all__ = ["draw_strips", "plot_strips"]

_SPAN = 0.84  # of a group's place that its dots take
_GOLDEN = 0.6180339887498949  # steps of this share of a strip fill it evenly
_SHAPES = "os^DvPX"  # of the dots of the first, second, … volume of a group
_MANY = 60  # cells of a strip with dots of the full size
_NUMBERED = 16  # volumes of a group with a number below each strip
_STRIP = 55  # pixels of the width that a strip needs
_GROUP = 230  # and that the name of a group needs
_WIDEST = 1800

Volumes = Sequence[NDArray[np.float64]]


def draw_strips(
    groups: Mapping[str, Volumes],
    path: str | Path,
    *,
    label: str,
    width: int = 900,
) -> Path:
    """Draw the values of all cells, a strip of dots per volume, the volumes of a group together.

    A group has a colour that colour-blind readers can distinguish; its volumes have different
    shapes, and numbers below. A black diamond is the median of a volume, and its line spans the
    middle half of the volume's cells. A line is the median of a group, and the pale band spans the
    middle half of the group's cells.

    Parameters
    ----------
    groups : mapping of str to sequence of (cells,) float
        Values of the cells of each volume; the strip of a volume without any stays empty.
    path : path of a PNG
        The same is drawn beside it as SVG, with texts that can be edited.
    label : str
        Of the axis of values, with the unit.
    width : pixels of the picture
        It is wider where there are many volumes.
    """
    path = Path(path)
    strips = sum(map(len, groups.values()))
    width = max(width, min(_WIDEST, 130 + max(_STRIP * strips, _GROUP * len(groups))))
    figure = new_figure(width, 630)
    left = 105 / width
    axes = figure.add_axes((left, 0.145, 1 - left - 0.015, 0.735))
    _draw_strips(axes, groups, label, 14.0)
    _draw_legend(axes)
    save(figure, path.with_suffix(".svg"), Print())
    return save(figure, path)


def plot_strips(groups: Mapping[str, Volumes], *, label: str, ax: Axes | None = None) -> Axes:
    """As :func:`draw_strips`, without a legend, on axes; default: those of a new figure."""
    axes = axes_or_new(ax, 0.8)
    _draw_strips(axes, groups, label, 10.0)
    return axes


def _draw_strips(axes: Axes, groups: Mapping[str, Volumes], label: str, text: float) -> None:
    """Draw all groups, with names of `text` points."""
    for place, volumes in enumerate(groups.values()):
        _draw_group(axes, place, volumes)
    names = [
        f"{_short(name)}\nn = {counted(sum(map(len, volumes)), 'cell')}, "
        f"{counted(sum(len(values) > 0 for values in volumes), 'volume')}"
        for name, volumes in groups.items()
    ]
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.tick_params(axis="both", labelsize=text)
    axes.tick_params(axis="x", length=0, pad=22)
    axes.set_ylabel(label, fontsize=text + 1)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _draw_group(axes: Axes, place: int, volumes: Volumes) -> None:
    """Draw the strips of a group around a place of the x axis."""
    colour = CHAINS[place % len(CHAINS)]
    low, middle, high = np.percentile(np.concatenate(volumes), (25, 50, 75))
    left, right = place - _SPAN / 2, place + _SPAN / 2
    axes.fill_between([left, right], low, high, color=colour, alpha=0.16, linewidth=0)
    axes.plot([left, right], [middle, middle], color=colour, linewidth=3)
    strip = _SPAN / len(volumes)
    for k, values in enumerate(volumes):
        centre = left + (k + 0.5) * strip
        if not len(values):
            continue
        spread = (np.arange(1, len(values) + 1) * _GOLDEN) % 1 - 0.5
        size = 60 * min(1.0, max(0.3, _MANY / len(values)))
        axes.scatter(
            centre + strip * (0.62 * spread - 0.1), np.sort(values), s=size, color=colour,
            alpha=0.75, marker=_SHAPES[k % len(_SHAPES)], edgecolors="white", linewidths=0.7,
            zorder=3,
        )  # fmt: skip
        first, median, third = np.percentile(values, (25, 50, 75))
        beside = centre + 0.36 * strip  # the marks hide no cell
        axes.plot([beside, beside], [first, third], color=INK, linewidth=2, zorder=4)
        axes.plot(
            [beside], [median], marker="D", color=INK, markersize=10, markeredgecolor="white",
            markeredgewidth=1.2, linestyle="none", zorder=5,
        )  # fmt: skip
        if len(volumes) <= _NUMBERED:
            axes.annotate(
                str(k + 1), (centre, 0), (0, -7), xycoords=axes.get_xaxis_transform(),
                textcoords="offset points", ha="center", va="top", fontsize=12, color=INK,
            )  # fmt: skip


def _draw_legend(axes: Axes) -> None:
    """Explain the marks, above the axes."""
    grey = "#777777"
    dots = tuple(
        Line2D([], [], marker=shape, color=grey, linestyle="none", markersize=7.5)
        for shape in _SHAPES[:3]
    )
    median = Line2D(
        [], [], marker="D", color=INK, linewidth=2, markersize=9, markeredgecolor="white"
    )
    axes.legend(
        [dots, median, Line2D([], [], color=grey, linewidth=3), Patch(color=grey, alpha=0.3)],
        [
            "a cell (a shape per volume)",
            "a volume: median, middle half of its cells",
            "a group: median of its cells",
            "a group: middle half of its cells",
        ],
        handler_map={tuple: HandlerTuple(ndivide=None)},
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.0),
        ncols=2,
        frameon=False,
        fontsize=13,
        borderaxespad=0.2,
        columnspacing=2.0,
    )


def _short(name: str, length: int = 24) -> str:
    """A name in one line, without Matplotlib's mathematics."""
    text = " ".join(name.split()).replace("$", r"\$")
    return text if len(text) <= length else f"{text[: length - 1]}…"
