"""Common parts of all figures: a canvas without global state, colours, outlines, the scale bar."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.path import Path as Outline
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import find_contours

from hela_dask.figures.printing import Print, write
from hela_dask.storage.files import replaced

__all__ = [
    "CELL",
    "CHAINS",
    "DPI",
    "ENVELOPE",
    "INK",
    "NUCLEUS",
    "SHADOW",
    "Area",
    "clear_text",
    "image_axes",
    "innermost",
    "new_figure",
    "number",
    "outline",
    "plate",
    "round_length",
    "save",
    "scale_bar",
    "show_tissue",
    "tint",
    "um_per_point",
]

DPI = 100
# Okabe and Ito's colours, which colour-blind readers can distinguish: sky blue and orange.
NUCLEUS = "#56b4e9"
CELL = "#e69f00"
ENVELOPE = "#ffffff"
# Okabe and Ito's, without black and yellow.
CHAINS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
INK = "#222222"
SHADOW = withStroke(linewidth=2.6, foreground="black")


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of ``width`` x ``height`` pixels, drawn by Agg, with no global state."""
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: str | Path, printed: Print | None = None) -> Path:
    """Write a figure whole or not at all: as PNG or JPEG by the suffix, or as it is printed."""
    path = Path(path)
    jpeg = path.suffix.lower() in {".jpg", ".jpeg"}
    options: dict[str, Any] = {"pil_kwargs": {"quality": 90}} if jpeg else {}
    if not jpeg:
        # The same figure gives the same bytes on any day and version of Matplotlib.
        options["metadata"] = {"Software": None}
    with replaced(path) as temporary:
        if printed is not None:
            write(figure, temporary, path, printed)
        else:
            figure.savefig(temporary, format="jpeg" if jpeg else "png", dpi=DPI, **options)
    return path


def image_axes(figure: Figure, box: tuple[float, float, float, float]) -> Axes:
    """Axes without ticks at (left, bottom, width, height), each a share of the figure."""
    axes = figure.add_axes(box)
    axes.set_axis_off()
    return axes


def show_tissue(
    axes: Axes,
    image: NDArray[Any],
    pixel: tuple[float, float],
    limits: tuple[float, float] | None,
    interpolation: str = "bilinear",
    corner: tuple[float, float] = (0.0, 0.0),
) -> None:
    """Show grey values, in µm from the image's upper left corner, which is at `corner` (y, x; µm).

    `image` is (rows, columns) of grey values, or a boolean resin mask; `pixel` is (rows, columns)
    in nm; `limits` are the grey values of black and white, by default the 0.5th and 99.5th
    percentile. With the interpolation ``none`` a PDF or SVG has the image's own pixels.
    """
    if image.dtype == bool:
        image, limits = np.where(image, np.uint8(235), np.uint8(120)), (0, 255)
    if limits is None:
        low, high = np.percentile(image, (0.5, 99.5))
        limits = float(low), float(max(high, low + 1e-9))
    height, width = (n * size / 1000 for n, size in zip(image.shape, pixel, strict=True))
    axes.imshow(
        image,
        cmap="gray",
        vmin=limits[0],
        vmax=limits[1],
        extent=(corner[1], corner[1] + width, corner[0] + height, corner[0]),
        interpolation=interpolation,
        aspect="auto",
    )
    axes.set_xlim(corner[1], corner[1] + width)
    axes.set_ylim(corner[0] + height, corner[0])


def outline(
    axes: Axes,
    labels: NDArray[Any],
    pixel: tuple[float, float],
    colour: str,
    width: float,
    corner: tuple[float, float] = (0.0, 0.0),
) -> None:
    """Draw the outline of every label of a plane, in µm, with a thin dark rim.

    `labels` is (rows, columns) of whole numbers, `pixel` their size (rows, columns) in nm, `width`
    that of the line in points, `corner` the place (y, x; µm) of the plane's upper left corner.
    """
    rim = withStroke(linewidth=width + 0.8, foreground=(0, 0, 0, 0.4))
    lines = PathCollection(
        _shapes(labels, pixel, corner),
        facecolors="none",
        edgecolors=colour,
        linewidths=width,
        path_effects=[rim],
        zorder=2.5,
    )
    axes.add_collection(lines, autolim=False)


def tint(
    axes: Axes,
    labels: NDArray[Any],
    pixel: tuple[float, float],
    colour: str,
    opacity: float,
    corner: tuple[float, float] = (0.0, 0.0),
) -> None:
    """Tint the area of every label of a plane; holes stay free. As :func:`outline` otherwise."""
    areas = PathCollection(
        _shapes(labels, pixel, corner),
        facecolors=[to_rgba(colour, opacity)],
        edgecolors="none",
        zorder=2.2,
    )
    axes.add_collection(areas, autolim=False)


def _shapes(
    labels: NDArray[Any], pixel: tuple[float, float], place: tuple[float, float]
) -> list[Outline]:
    """The outline of each label with its holes, in µm; `place` is that of the plane's corner."""
    shapes = []
    plane = labels.astype(np.int32)
    for label, box in enumerate(ndimage.find_objects(plane), start=1):
        if box is None:
            continue
        mask = np.pad(plane[box] == label, 1).astype(np.uint8)
        corner = np.array([box[0].start, box[1].start]) - 0.5
        rings = [
            Outline(((contour + corner) * np.array(pixel) / 1000 + place)[:, ::-1], closed=True)
            for contour in find_contours(mask, 0.5)
        ]
        shapes.append(Outline.make_compound_path(*rings))
    return shapes


class Area(NamedTuple):
    """A part of an image, µm from its upper left corner."""

    left: float
    top: float
    right: float
    bottom: float


def innermost(
    labels: NDArray[Any], pixel: tuple[float, float] = (1.0, 1.0), taken: Sequence[Area] = ()
) -> dict[int, tuple[float, float]]:
    """The innermost pixel (y, x) of each label's piece of a slice, centre of the pixel.

    Distances count `pixel` (y, x; nm). Pixels in the areas `taken` count as outside; a label that
    has no other pixel is left out.
    """
    places = {}
    plane = labels.astype(np.int32)
    free = np.ones(plane.shape, bool)
    for area in taken:
        (top, bottom), (left, right) = (
            (max(0, math.floor(low * 1000 / size)), max(0, math.ceil(high * 1000 / size)))
            for low, high, size in zip(area[1::-1], area[:1:-1], pixel, strict=True)
        )
        free[top:bottom, left:right] = False
    for label, box in enumerate(ndimage.find_objects(plane), start=1):
        if box is not None:
            mask = (plane[box] == label) & free[box]
            if not mask.any():
                continue
            depth = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=pixel)
            y, x = np.unravel_index(np.argmax(depth), depth.shape)
            places[label] = (box[0].start + float(y) - 0.5, box[1].start + float(x) - 0.5)
    return places


def um_per_point(axes: Axes, width: float) -> float:
    """Size of a point of text, µm, in axes that are `width` µm wide."""
    figure = axes.figure.get_figure(root=True)
    assert figure is not None
    inches = axes.get_position().width * figure.get_size_inches()[0]
    return width / (72 * float(inches))


def clear_text(text: str, size: float) -> tuple[float, float]:
    """About the width and the height of a bold line of text with its dark rim, points."""
    return 0.72 * size * len(text) + 2.6, 1.05 * size + 2.6


def number(axes: Axes, x: float, y: float, text: str, size: float) -> None:
    """White figures with a dark rim, readable on any grey, inside the picture.

    `x` and `y` are the middle of the text, µm; `size` is in points. Near a side of the picture the
    text is moved inside.
    """
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    point = um_per_point(axes, right - left)
    wide, high = (length * point / 2 for length in clear_text(text, size))
    axes.text(
        min(max(x, left + wide), max(right - wide, (left + right) / 2)),
        min(max(y, top + high), max(bottom - high, (top + bottom) / 2)),
        text,
        color="white",
        fontsize=size,
        fontweight="bold",
        ha="center",
        va="center_baseline",
        path_effects=[withStroke(linewidth=max(1.2, 0.17 * size), foreground="black")],
        clip_on=True,
        zorder=6,
    )


def plate(axes: Axes, area: Area) -> None:
    """A dark plate under text on an image: white text is readable on it, whatever is below."""
    extent = (area.right - area.left, area.bottom - area.top)
    axes.add_patch(Rectangle(area[:2], *extent, fc=(0, 0, 0, 0.5), ec="none", zorder=5))


def round_length(most: float) -> float:
    """The longest of 1, 2, 5, 10, … that is at most so long, and at least 0.01."""
    power = 10.0 ** math.floor(math.log10(max(most, 0.01)))
    return power * max(step for step in (1.0, 2.0, 5.0) if step * power <= max(most, 0.01) * 1.001)


def scale_bar(
    axes: Axes, width: float, height: float, size: float = 11, *, dark: bool = False
) -> Area:
    """A bar of a round length at the lower right of an image of `width` x `height` µm.

    It takes at most a quarter of the width; its length stands above it, on a dark plate, or left of
    it where the image is too low. A `dark` bar, without plate, is for a white background. `size` is
    that of the text, points. Returns the area of bar and text.
    """
    length = round_length(0.25 * width)
    text = f"{1000 * length:g} nm" if length < 1 else f"{length:g} µm"
    point = um_per_point(axes, width)
    # The text is at most as wide as the image, and as high as it.
    needed = [extent * point for extent in clear_text(text, size)]
    size *= min(1.0, 0.9 * width / needed[0], 0.9 * height / needed[1])
    wide, high = (extent * point for extent in clear_text(text, size))
    margin = min(0.02 * min(width, height), 0.5 * size * point) * (2 if dark else 1)
    thick = min(max(0.3 * size * point, 1.5 * point), height / 6)
    right, bottom = width - margin, height - margin
    if 1.3 * high + thick + margin <= 0.6 * height:
        middle = right - max(length, wide) / 2
        bar = (middle - length / 2, bottom - thick)
        at = (middle, bottom - thick - 0.7 * high)
        area = Area(
            middle - max(length, wide) / 2 - margin, bottom - thick - 1.3 * high, width, height
        )
    else:
        bar = (right - length, (height - thick) / 2)
        at = (right - length - wide / 2, height / 2)
        area = Area(right - length - wide, 0.0, width, height)
    area = area._replace(left=max(0.0, area.left))
    if not dark:
        plate(axes, area)
    colour = INK if dark else "white"
    axes.add_patch(Rectangle(bar, length, thick, fc=colour, ec="none", zorder=6))
    axes.text(
        *at,
        text,
        color=colour,
        fontsize=size,
        fontweight="normal" if dark else "bold",
        ha="center",
        va="center",
        zorder=6,
    )
    return area
