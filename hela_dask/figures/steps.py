"""Pictures of the steps of a method in one slice: one each, and all of them on a sheet (Fig. 4)."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray
from skimage.measure import block_reduce

from hela_dask.figures.canvas import (
    CHAINS,
    DPI,
    SHADOW,
    image_axes,
    innermost,
    new_figure,
    number,
    outline,
    save,
    scale_bar,
    show_tissue,
)

__all__ = ["Mark", "Panel", "draw_panel", "draw_sheet", "measure"]

Plane = NDArray[Any]
Pixel = tuple[float, float]

MASK = CHAINS[4]
MORE, LESS = "#ffb800", "#ed1f8c"  # as right and wrong are drawn: more than it was, and less
HEAT = "viridis"
TAILS = (1.0, 99.0)  # percentiles that the colours of a heat map span
FINEST = 1000  # pixels of a drawn plane, at most: a picture has no more
INK, SOFT = "#1c2430", "#46525f"


@dataclass(frozen=True)
class Mark:
    """Outlines on the grey slice.

    Attributes
    ----------
    name : str
        For the legend.
    labels : ndarray, (y, x)
        A mask, or whole numbers of which each is outlined.
    colour : str
    numbered : bool
        Whether each label's number stands in it.
    """

    name: str
    labels: Plane
    colour: str
    numbered: bool = False


@dataclass(frozen=True)
class Panel:
    """What one picture shows.

    Attributes
    ----------
    title : str
        A few words.
    caption : str
        A sentence or two below the picture.
    plane : ndarray, (y, x), or None
        Booleans are a mask, tinted and outlined on the grey slice; signed integers pieces (0:
        none), coloured on it; unsigned integers an image; floats a heat map with its range. None
        is the grey slice.
    marks : tuple of Mark
        Outlines on it.
    before : ndarray of bool, (y, x), or None
        Of a mask: what it was in the step before; what is more is drawn amber, what is less
        magenta.
    """

    title: str
    caption: str
    plane: Plane | None = None
    marks: tuple[Mark, ...] = ()
    before: Plane | None = None


def measure(panel: Panel, pixel: Pixel) -> str:
    """What of a step can be said in a number: the area of a mask, or how many pieces there are."""
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
    """Draw one step without its words, for a page or a paper.

    Parameters
    ----------
    grey : (y, x)
        Grey values of the slice.
    panel : Panel
    pixel : (y, x) in nm
    path : path of a PNG or JPEG
    width : int
        Of the picture, pixels.

    Returns
    -------
    pathlib.Path
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
    """Draw all steps on one sheet, numbered row by row.

    Parameters
    ----------
    grey, pixel, path, width
        As in :func:`draw_panel`.
    panels : sequence of Panel
        In the order of the steps.
    title, subtitle : str
        Above the pictures.
    columns : int
        Pictures side by side.

    Returns
    -------
    pathlib.Path
    """
    gap, head = 16.0, 84.0
    side = (width - gap * (columns + 1)) / columns
    tile = _Tile(grey, pixel, side, text=side / 36)
    rows = [panels[first : first + columns] for first in range(0, len(panels), columns)]
    heights = [tile.height(row) + gap for row in rows]
    figure = new_figure(width, head + sum(heights))
    _text(figure, (gap, 18), title, 18, INK, bold=True)
    _text(figure, (gap, 50), subtitle, 12, SOFT)
    top = head
    for k, (row, height) in enumerate(zip(rows, heights, strict=True)):
        for column, panel in enumerate(row):
            place = (gap + column * (side + gap), top)
            tile.draw(figure, panel, k * columns + column + 1, place)
        top += height
    return save(figure, path)


class _Tile:
    """A title, a picture and a caption, of one width and size of text.

    Parameters
    ----------
    grey, pixel
        The slice, and its pixels' size in nm.
    width
        Pixels of the figure.
    text
        Size of the caption's letters in points.

    Attributes
    ----------
    tall : float
        Height of the picture alone, pixels of the figure.
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
        self._line = 1.9 * text  # pixels: letters are 1.4 high, and there is room between lines

    def _lines(self, caption: str) -> list[str]:
        # A letter is about 0.52 of its size wide on average, 0.72 pixels a point.
        return textwrap.wrap(caption, max(10, int(self._width / (0.78 * self._text))))

    def height(self, panels: Sequence[Panel]) -> float:
        """Pixels that the highest of the panels takes."""
        lines = max(len(self._lines(panel.caption)) for panel in panels)
        return 1.3 * self._line + self.tall + (lines + 0.7) * self._line

    def draw(self, figure: Figure, panel: Panel, step: int, place: tuple[float, float]) -> None:
        """Draw with the upper left corner at (x, y) pixels from the figure's."""
        x, y = place
        strip = 1.3 * self._line
        title = f"{step}  {panel.title[:1].upper()}{panel.title[1:]}"
        _text(figure, (x, y + 0.08 * strip), title, 1.12 * self._text, INK, bold=True)
        end = (x + self._width, y + 0.13 * strip)
        _text(figure, end, measure(panel, self._fine), self._text, SOFT, right=True)
        wide, high = figure.get_size_inches() * DPI
        box = (x / wide, 1 - (y + strip + self.tall) / high, self._width / wide, self.tall / high)
        axes = image_axes(figure, box)
        self.paint(axes, panel)
        for k, line in enumerate(self._lines(panel.caption)):
            at = (x, y + strip + self.tall + (k + 0.35) * self._line)
            _text(figure, at, line, self._text, SOFT)

    def paint(self, axes: Axes, panel: Panel) -> None:
        """Draw the picture alone."""
        self._paint(axes, panel.plane)
        if panel.before is not None and panel.plane is not None:
            self._change(axes, panel.plane, panel.before)
        self._mark(axes, panel.marks)
        axes.set_xlim(0, self._wide)
        axes.set_ylim(self._high, 0)
        scale_bar(axes, self._wide, self._high, size=self._text)

    def _paint(self, axes: Axes, plane: Plane | None) -> None:
        kind = "" if plane is None else plane.dtype.kind
        if plane is not None and kind == "f":
            self._heat(axes, _thin(plane, self._step))
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
            self._note(axes, "nothing in this slice")

    def _change(self, axes: Axes, plane: Plane, before: Plane) -> None:
        """What a mask has more and less than before; over its outline, as it is thin."""
        changes = (("+", plane & ~before, MORE), ("−", before & ~plane, LESS))
        for k, (sign, mask, colour) in enumerate(changes):
            self._tint(axes, _colours(mask[:: self._step, :: self._step], [colour, colour], 235))
            place = (0.03, 0.975 - 0.062 * k)
            self._words(axes, place, f"{sign} {_area(mask, self._fine)}", color=colour, va="top")

    def _tint(self, axes: Axes, colours: NDArray[np.uint8]) -> None:
        extent = (0.0, self._wide, self._high, 0.0)
        axes.imshow(colours, extent=extent, interpolation="nearest", aspect="auto")

    def _heat(self, axes: Axes, plane: Plane) -> None:
        """Colours for numbers, and a bar that says which."""
        known = plane[np.isfinite(plane)]
        low, high = np.percentile(known, TAILS) if known.size else (0.0, 1.0)
        if not low < high:
            low, high = float(known.min(initial=low)), float(known.max(initial=low)) + 1e-9
        extent = (0.0, self._wide, self._high, 0.0)
        axes.imshow(plane, cmap=HEAT, vmin=low, vmax=high, extent=extent, aspect="auto")
        bar = axes.inset_axes((0.03, 0.045, 0.42, 0.035))
        bar.imshow(np.linspace(0, 1, 128)[np.newaxis], cmap=HEAT, aspect="auto")
        bar.set(xticks=[], yticks=[])
        for spine in bar.spines.values():
            spine.set_edgecolor("white")
        for place, value, sign in ((0.03, low, "≤"), (0.45, high, "≥")):
            text = f"{sign} {value:.{0 if abs(value) >= 100 else 1}f}".replace("-", "−")
            side = "left" if sign == "≤" else "right"
            self._words(axes, (place, 0.095), text, ha=side)

    def _mark(self, axes: Axes, marks: Sequence[Mark]) -> None:
        """Outlines, the numbers of what they are around, and a legend."""
        for k, mark in enumerate(marks):
            thin = mark.labels[:: self._step, :: self._step]
            outline(axes, thin, self._pixel, mark.colour, self._width / 350)
            place = (0.03, 0.975 - 0.062 * k)
            self._words(axes, place, f"— {mark.name}", color=mark.colour, va="top")
            for label, (y, x) in (innermost(thin) if mark.numbered else {}).items():
                row, column = y * self._pixel[0] / 1000, x * self._pixel[1] / 1000
                number(axes, column, row, str(label), 1.2 * self._text)

    def _note(self, axes: Axes, text: str) -> None:
        self._words(axes, (0.5, 0.5), text, ha="center", va="center", fontsize=1.3 * self._text)

    def _words(self, axes: Axes, place: tuple[float, float], text: str, **how: Any) -> None:
        """Words on the picture, readable on any grey; the place is a share of the axes."""
        look: dict[str, Any] = {
            "color": "white",
            "fontsize": self._text,
            "fontweight": "bold",
        } | how
        words = axes.text(*place, text, transform=axes.transAxes, zorder=6, **look)
        words.set_path_effects([SHADOW])


def _text(
    figure: Figure,
    place: tuple[float, float],
    text: str,
    size: float,
    colour: str,
    *,
    bold: bool = False,
    right: bool = False,
) -> None:
    """A line with its top at (x, y) pixels from the figure's upper left corner."""
    wide, high = figure.get_size_inches() * DPI
    figure.text(
        place[0] / wide,
        1 - place[1] / high,
        text,
        fontsize=size,
        color=colour,
        fontweight="bold" if bold else "normal",
        ha="right" if right else "left",
        va="top",
    )


def _area(mask: Plane, pixel: Pixel) -> str:
    return f"{mask.sum() * pixel[0] * pixel[1] * 1e-6:.1f} µm²"


def _thin(plane: Plane, step: int) -> Plane:
    """Means of squares of pixels, no more than a picture can show."""
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
