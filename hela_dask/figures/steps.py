"""Pictures of the steps of a method in one slice.

One per step, and all of them on a sheet (Fig. 4).
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from skimage.measure import block_reduce

from hela_dask.figures.canvas import (
    CHAINS,
    SHADOW,
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
    um_per_point,
)
from hela_dask.types import Pixel, Plane

__all__ = ["Mark", "Panel", "draw_panel", "draw_sheet", "measure"]


MASK = CHAINS[4]
MORE, LESS = "#ffb800", "#c2006b"  # as right and wrong are drawn: more than it was, and less
HEAT = "viridis"
TAILS = (1.0, 99.0)  # percentiles that the colours of a heat map span
FINEST = 1000  # pixels of a drawn plane, at most: a picture has no more
INK, SOFT = "#1c2430", "#46525f"
LETTERS = 46  # of a caption below a picture that is 36 times as wide as its text is high


@dataclass(frozen=True)
class Mark:
    """Outlines on the grey slice."""

    name: str  # for the legend
    labels: Plane  # (y, x): a mask, or whole numbers of which each is outlined
    colour: str
    numbered: bool = False  # whether each label's number stands in it


@dataclass(frozen=True)
class Panel:
    """The content of one picture."""

    title: str  # a few words
    caption: str  # a sentence or two below the picture
    # (y, x): Booleans are a mask, tinted and outlined on the grey slice; signed integers pieces (0:
    # none), coloured on it; unsigned integers an image; floats a heat map with its range. None is
    # the grey slice
    plane: Plane | None = None
    marks: tuple[Mark, ...] = ()  # outlines on it
    # (y, x), of a mask: that of the step before; added pixels are drawn amber, removed ones magenta
    before: Plane | None = None
    unit: str = ""  # of floats, on the colour bar


def measure(panel: Panel, pixel: Pixel) -> str:
    """A number for a step: the area of a mask, or the number of pieces."""
    plane = panel.plane
    if plane is None or plane.dtype.kind not in "bi":
        return ""
    if plane.dtype == bool:
        return _area(plane, pixel)
    count = int(np.unique(plane[plane > 0]).size)
    return f"{count} piece{'' if count == 1 else 's'}"


def draw_panel(
    grey: Plane, panel: Panel, pixel: Pixel, path: str | Path, *, width: int = 800
) -> Path:
    """Draw one step without text, for a page or a paper; return the path.

    `grey` are the grey values of the slice, (y, x); `pixel` is (y, x) in nm; `path` is that of a
    PNG or JPEG, `width` pixels wide.
    """
    tile = _Tile(grey, pixel, width, text=width / 60)
    figure = new_figure(width, tile.tall)
    tile.paint(image_axes(figure, (0, 0, 1, 1)), panel)
    return save(figure, path)


def draw_sheet(
    grey: Plane,
    panels: Sequence[Panel],
    pixel: Pixel,
    path: str | Path,
    *,
    title: str,
    subtitle: str = "",
    width: int = 1600,
    columns: int = 4,
) -> Path:
    """Draw all steps on one sheet, numbered row by row, `columns` pictures side by side.

    `panels` are in the order of the steps; `title` and `subtitle` stand above the pictures; the
    others are as in :func:`draw_panel`.
    """
    gap, head = 16.0, 84.0
    side = (width - gap * (columns + 1)) / columns
    tile = _Tile(grey, pixel, side, text=side / 36)
    line = 1.9 * side / 36  # pixels: letters are 1.4 high, and there is room between lines
    captions = [textwrap.wrap(panel.caption, LETTERS) for panel in panels]
    rows = [captions[first : first + columns] for first in range(0, len(panels), columns)]
    heights = [tile.tall + (max(map(len, row)) + 0.7) * line for row in rows]
    high = head + sum(heights) + len(rows) * (gap + 1.3 * line)
    figure = new_figure(width, high)
    figure.text(gap / width, 1 - 18 / high, title, fontsize=18, color=INK, weight="bold", va="top")
    figure.text(gap / width, 1 - 50 / high, subtitle, fontsize=12, color=SOFT, va="top")
    grid = figure.add_gridspec(
        len(rows),
        columns,
        height_ratios=heights,
        left=gap / width,
        right=1 - gap / width,
        bottom=gap / high,
        top=1 - (head + 1.3 * line) / high,
        wspace=gap / side,
        hspace=(gap + 1.3 * line) / float(np.mean(heights)),
    )
    for k, (panel, caption) in enumerate(zip(panels, captions, strict=True)):
        axes = figure.add_subplot(grid[k // columns, k % columns])
        axes.set_axis_off()
        tile.paint(axes, panel)
        axes.set_aspect("equal", anchor="N")  # the caption has the room below
        tile.describe(axes, f"{k + 1}  {panel.title[:1].upper()}{panel.title[1:]}", panel, caption)
    return save(figure, path)


class _Tile:
    """Pictures of one width and size of text.

    `pixel` is the size of the slice's pixels in nm; `width` is in pixels of the figure; `text` is
    the size of the caption's letters in points. The attribute `tall` is the height of the
    picture alone, pixels of the figure.
    """

    def __init__(self, grey: Plane, pixel: Pixel, width: float, text: float) -> None:
        self._step = max(1, -(-max(grey.shape) // FINEST))
        self._grey, self._fine = _thin(grey, self._step), pixel
        self._pixel = (pixel[0] * self._step, pixel[1] * self._step)
        self._high, self._wide = (
            n * size / 1000 for n, size in zip(self._grey.shape, self._pixel, strict=True)
        )
        self._width, self._text = width, text
        self.tall: float = width * self._high / self._wide
        self._look: dict[str, Any] = {  # of words on the picture, readable on any grey
            "color": "white",
            "fontsize": text,
            "fontweight": "bold",
            "path_effects": [SHADOW],
            "zorder": 6,
        }

    def describe(self, axes: Axes, title: str, panel: Panel, caption: Sequence[str]) -> None:
        """Title and measure above a picture, the lines of its caption below."""
        size = self._text
        axes.set_title(title, loc="left", fontsize=1.12 * size, color=INK, weight="bold")
        axes.set_title(measure(panel, self._fine), loc="right", fontsize=size, color=SOFT)
        axes.annotate(
            "\n".join(caption),
            (0, 0),
            (0, -0.5 * size),
            xycoords="axes fraction",
            textcoords="offset points",
            va="top",
            fontsize=size,
            color=SOFT,
            linespacing=1.35,
        )

    def paint(self, axes: Axes, panel: Panel) -> None:
        """Draw the picture alone."""
        self._paint(axes, panel.plane, panel.unit)
        named = self._mark(axes, panel.marks)
        if panel.before is not None and panel.plane is not None:
            named += self._change(axes, panel.plane, panel.before)
        axes.set_xlim(0, self._wide)
        axes.set_ylim(self._high, 0)
        taken = [scale_bar(axes, self._wide, self._high, self._text)]
        if named:
            taken.append(self._legend(axes, named))
        for mark in panel.marks:
            if mark.numbered:
                self._numbers(axes, mark.labels[:: self._step, :: self._step], taken)

    def _paint(self, axes: Axes, plane: Plane | None, unit: str) -> None:
        kind = "" if plane is None else plane.dtype.kind
        if plane is not None and kind == "f":
            self._heat(axes, _thin(plane, self._step), unit)
            return
        image = _thin(plane, self._step) if plane is not None and kind == "u" else self._grey
        show_tissue(axes, image, self._pixel, None)
        if plane is None or kind == "u":
            return
        thin = plane[:: self._step, :: self._step]
        self._tint(axes, _colours(thin, [MASK, MASK] if kind == "b" else CHAINS, 90))
        if kind == "b":
            outline(axes, thin, self._pixel, MASK, self._width / 330)
        if not plane.any():
            look = {**self._look, "fontsize": 1.3 * self._text, "ha": "center", "va": "center"}
            axes.text(0.5, 0.5, "nothing in this slice", transform=axes.transAxes, **look)

    def _change(self, axes: Axes, plane: Plane, before: Plane) -> list[tuple[str, str]]:
        """Added and removed pixels of a mask: over its outline, as it is thin."""
        named = []
        for sign, mask, colour in (("+", plane & ~before, MORE), ("−", before & ~plane, LESS)):
            self._tint(axes, _colours(mask[:: self._step, :: self._step], [colour, colour], 235))
            named.append((f"{sign} {_area(mask, self._fine)}", colour))
        return named

    def _tint(self, axes: Axes, colours: NDArray[np.uint8]) -> None:
        extent = (0.0, self._wide, self._high, 0.0)
        axes.imshow(colours, extent=extent, interpolation="nearest", aspect="auto")

    def _heat(self, axes: Axes, plane: Plane, unit: str) -> None:
        """Colours for numbers, with a colour bar and its unit."""
        known = plane[np.isfinite(plane)]
        low, high = np.percentile(known, TAILS) if known.size else (0.0, 1.0)
        if not low < high:
            low, high = float(known.min(initial=low)), float(known.max(initial=low)) + 1e-9
        extent = (0.0, self._wide, self._high, 0.0)
        shown = axes.imshow(plane, cmap=HEAT, vmin=low, vmax=high, extent=extent, aspect="auto")
        point = um_per_point(axes, self._wide)
        top = 0.935 * self._high - 2 * self._text * point
        plate(axes, Area(0.0, top, 0.6 * self._wide, self._high))
        bar = axes.figure.colorbar(
            shown,
            cax=axes.inset_axes((0.03, 0.03, 0.54, 0.035), zorder=6),
            orientation="horizontal",
            ticks=[low, high],
            ticklocation="top",
        )
        bar.outline.set_edgecolor("white")
        bar.ax.tick_params(length=0, pad=2)
        texts = [f"≤ {_rounded(low)}", f"≥ {_rounded(high)} {unit}".strip()]
        for label, side in zip(bar.ax.set_xticklabels(texts), ("left", "right"), strict=True):
            label.set(ha=side, **self._look)

    def _mark(self, axes: Axes, marks: Sequence[Mark]) -> list[tuple[str, str]]:
        """Outlines of labels, and their names and colours."""
        for mark in marks:
            thin = mark.labels[:: self._step, :: self._step]
            outline(axes, thin, self._pixel, mark.colour, self._width / 350)
        return [(mark.name, mark.colour) for mark in marks]

    def _numbers(self, axes: Axes, labels: Plane, taken: Sequence[Area]) -> None:
        """The number of each label, beside legend and scale bar if it has room there."""
        places = innermost(labels, self._pixel) | innermost(labels, self._pixel, taken)
        for label, (y, x) in places.items():
            row, column = y * self._pixel[0] / 1000, x * self._pixel[1] / 1000
            number(axes, column, row, str(label), 1.2 * self._text)

    def _legend(self, axes: Axes, named: Sequence[tuple[str, str]]) -> Area:
        """Names of colours in the upper left corner, on a dark plate; returns its area."""
        handles = [Line2D([], [], color=colour, label=name, lw=3) for name, colour in named]
        legend = axes.legend(
            handles=handles,
            loc="upper left",
            facecolor="black",
            edgecolor="none",
            framealpha=0.6,
            fancybox=False,
            borderaxespad=0,
            labelcolor="white",
            prop={"size": self._text, "weight": "bold"},
            handlelength=1.0,
        )
        legend.set_zorder(5)
        point = um_per_point(axes, self._wide)
        widths = [clear_text(name, self._text)[0] for name, _ in named]
        right, bottom = max(widths) + 3 * self._text, (1.6 * len(named) + 1) * self._text
        return Area(0.0, 0.0, right * point, bottom * point)


def _rounded(value: float) -> str:
    """A value with one decimal, if it is small and has any."""
    text = f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text.replace("-", "−")


def _area(mask: Plane, pixel: Pixel) -> str:
    return f"{mask.sum() * pixel[0] * pixel[1] * 1e-6:.1f} µm²"


def _thin(plane: Plane, step: int) -> Plane:
    """Means of squares of pixels, at the resolution of the picture."""
    if step == 1:
        return plane
    height, width = (length - length % step for length in plane.shape)
    means: Plane = block_reduce(plane[:height, :width], step, np.mean).astype(np.float32)
    return means


def _colours(plane: Plane, colours: Sequence[str], alpha: int) -> NDArray[np.uint8]:
    """Transparent colours of a mask, or of pieces in turn, as (y, x, 4); none where it is 0."""
    if plane.dtype == bool:  # no need to sort
        values, rank = np.array([0, 1]), plane.astype(np.intp)
    else:
        values, rank = np.unique(np.maximum(plane, 0), return_inverse=True)
    table = np.zeros((len(values), 4), np.uint8)
    for k, value in enumerate(values):
        if value:
            table[k] = [*(round(255 * part) for part in to_rgb(colours[k % len(colours)])), alpha]
    found: NDArray[np.uint8] = table[rank.reshape(plane.shape)]
    return found
