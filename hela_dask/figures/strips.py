"""A measure of all cells as strips of dots, by group and volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hela_dask.figures.canvas import CHAINS, new_figure, save
from hela_dask.formatting import counted

__all__ = ["draw_strips"]

_SPAN = 0.76  # of a group's place that its dots take
_GOLDEN = 0.6180339887498949  # steps of this share of a strip fill it evenly


def draw_strips(
    groups: Mapping[str, Sequence[NDArray[np.float64]]],
    path: str | Path,
    *,
    label: str,
    width: int = 640,
) -> Path:
    """Draw the values of all cells, a strip of dots per volume, the volumes of a group together.

    A black bar is the median of a volume, a line the median of a group, and the pale band spans
    the middle half of the group's cells.

    Parameters
    ----------
    groups : mapping of str to sequence of (cells,) float
        Values of the cells of each volume.
    path : path of a PNG or JPEG
    label : str
        Of the axis of values, with the unit.
    width : pixels of the picture
    """
    figure = new_figure(width, 0.68 * width)
    axes = figure.add_axes((0.14, 0.15, 0.84, 0.82))
    for place, volumes in enumerate(groups.values()):
        colour = CHAINS[place % len(CHAINS)]
        low, middle, high = np.percentile(np.concatenate(volumes), (25, 50, 75))
        left, right = place - _SPAN / 2, place + _SPAN / 2
        axes.fill_between([left, right], low, high, color=colour, alpha=0.14, linewidth=0)
        axes.plot([left, right], [middle, middle], color=colour, linewidth=2.2)
        strip = _SPAN / len(volumes)
        for k, values in enumerate(volumes):
            centre = left + (k + 0.5) * strip
            spread = (np.arange(1, len(values) + 1) * _GOLDEN) % 1 - 0.5
            axes.scatter(
                centre + 0.6 * strip * spread, np.sort(values), s=22, color=colour, alpha=0.6,
                edgecolors="white", linewidths=0.5, zorder=3,
            )  # fmt: skip
            ends = [centre - 0.36 * strip, centre + 0.36 * strip]
            median = float(np.median(values))
            axes.plot(ends, [median, median], color="black", linewidth=1.6, zorder=4)
    names = [
        f"{_short(name)}\n{counted(sum(map(len, volumes)), 'cell')}, "
        f"{counted(len(volumes), 'volume')}"
        for name, volumes in groups.items()
    ]
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.tick_params(axis="both", labelsize=11)
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel(label, fontsize=11)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return save(figure, path)


def _short(name: str, length: int = 24) -> str:
    """A name in one line, without Matplotlib's mathematics."""
    text = " ".join(name.split()).replace("$", r"\$")
    return text if len(text) <= length else f"{text[: length - 1]}…"
