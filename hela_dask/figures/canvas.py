"""Common parts of all figures: a canvas without global state, colours, outlines, the scale bar."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import find_contours

from hela_dask.storage.files import replaced

__all__ = [
    "CELL",
    "CHAINS",
    "DPI",
    "ENVELOPE",
    "INK",
    "NUCLEUS",
    "SHADOW",
    "image_axes",
    "innermost",
    "new_figure",
    "number",
    "outline",
    "save",
    "scale_bar",
    "show_tissue",
]

DPI = 100
# Green and red as the papers', one bright and one deep: they differ in lightness too.
NUCLEUS = "#4dff88"
CELL = "#ff2e2e"
ENVELOPE = "#ffc400"  # between the two in lightness
# Okabe and Ito's colours, which colour-blind readers can distinguish; black and yellow left out.
CHAINS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
INK = "#222222"
SHADOW = withStroke(linewidth=2.6, foreground="black")


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of ``width`` x ``height`` pixels, drawn by Agg, with no global state."""
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure as PNG, JPEG or SVG (by the suffix), whole or not at all.

    The texts of an SVG are texts, not outlines, so that they can be edited.
    """
    path = Path(path)
    kind = {".jpg": "jpeg", ".jpeg": "jpeg", ".svg": "svg"}.get(path.suffix.lower(), "png")
    # The same figure gives the same bytes on any day and version of Matplotlib.
    options: dict[str, dict[str, Any]] = {
        "jpeg": {"pil_kwargs": {"quality": 90}},
        "png": {"metadata": {"Software": None}},
        "svg": {"metadata": {"Date": None, "Creator": None}},
    }
    texts = {"svg.fonttype": "none", "svg.hashsalt": "hela_dask"}
    with replaced(path) as temporary, rc_context(texts):  # type: ignore[arg-type]
        figure.savefig(temporary, format=kind, dpi=DPI, **options[kind])
    return path


def image_axes(figure: Figure, box: tuple[float, float, float, float]) -> Axes:
    """Axes without ticks at (left, bottom, width, height), each a share of the figure."""
    axes = figure.add_axes(box)
    axes.set_axis_off()
    return axes


def show_tissue(
    axes: Axes, image: NDArray[Any], pixel: tuple[float, float], limits: tuple[float, float] | None
) -> None:
    """Show grey values, in µm from the image's upper left corner.

    `image` is (rows, columns) of grey values, or a boolean resin mask; `pixel` is (rows, columns)
    in nm; `limits` are the grey values of black and white, by default the 0.5th and 99.5th
    percentile.
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
        extent=(0, width, height, 0),
        interpolation="bilinear",
        aspect="auto",
    )
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)


def outline(
    axes: Axes, labels: NDArray[Any], pixel: tuple[float, float], colour: str, width: float
) -> None:
    """Draw the outline of every label of a plane, in µm."""
    lines = []
    plane = labels.astype(np.int32)
    for label, box in enumerate(ndimage.find_objects(plane), start=1):
        if box is None:
            continue
        mask = np.pad(plane[box] == label, 1).astype(np.uint8)
        corner = np.array([box[0].start, box[1].start]) - 0.5
        for contour in find_contours(mask, 0.5):
            places = (contour + corner) * np.array(pixel) / 1000
            lines.append(places[:, ::-1])
    axes.add_collection(LineCollection(lines, colors=colour, linewidths=width), autolim=False)


def innermost(labels: NDArray[Any]) -> dict[int, tuple[float, float]]:
    """The innermost pixel (y, x) of each label's piece of a slice, centre of the pixel."""
    places = {}
    plane = labels.astype(np.int32)
    for label, box in enumerate(ndimage.find_objects(plane), start=1):
        if box is not None:
            depth = ndimage.distance_transform_edt(np.pad(plane[box] == label, 1))
            y, x = np.unravel_index(np.argmax(depth), depth.shape)
            places[label] = (box[0].start + float(y) - 0.5, box[1].start + float(x) - 0.5)
    return places


def number(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    size: float,
    vertical: Literal["center", "bottom"] = "center",
) -> None:
    """White figures with a dark rim, readable on any grey."""
    axes.text(
        x,
        y,
        text,
        color="white",
        fontsize=size,
        fontweight="bold",
        ha="center",
        va=vertical,
        path_effects=[SHADOW],
        clip_on=True,
        zorder=6,
    )


def scale_bar(
    axes: Axes,
    width: float,
    height: float,
    length: float = 5.0,
    size: float = 11,
    *,
    dark: bool = False,
) -> None:
    """A bar of ``length`` µm at the lower right of an image of ``width`` x ``height`` µm.

    If it would take more than 40 % of the width, a shorter round length is used. A `dark` bar is
    for a white background.
    """
    while length > 0.4 * width and length > 0.01:
        length = {5: 2, 2: 1}.get(round(length / 10 ** np.floor(np.log10(length))), 0.5) * float(
            10 ** np.floor(np.log10(length))
        )
    margin, thick = 0.03 * min(width, height), 0.012 * min(width, height)
    x, y = width - margin - length, height - margin - thick
    axes.add_patch(
        Rectangle(
            (x, y),
            length,
            thick,
            fc=INK if dark else "white",
            ec="none" if dark else "black",
            linewidth=0.9,
            zorder=5,
        )
    )
    text = f"{length:g} µm"
    if dark:
        axes.text(
            x + length / 2, y - thick, text, color=INK, fontsize=size, ha="center", va="bottom"
        )
    else:
        number(axes, x + length / 2, y - thick, text, size, "bottom")
