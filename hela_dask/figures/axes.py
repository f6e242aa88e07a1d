"""Plots on axes of the user's, or on new ones, for notebooks; lengths are in µm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.collections import EllipseCollection
from matplotlib.lines import Line2D

from hela_dask.figures.canvas import (
    CELL,
    CHAINS,
    ENVELOPE,
    NUCLEUS,
    innermost,
    number,
    outline,
    show_tissue,
    tint,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hela_dask.types import Floats, Mask, Pixel, Plane

__all__ = ["axes_or_new", "plot_map", "plot_plane", "plot_points"]

COLOURS = {"cell": CELL, "envelope": ENVELOPE, "nucleus": NUCLEUS}
_GREY = "#9a9a9a"
_SIDE = 6.0  # inches of new axes
_LINE = 1.3  # points, of an outline
_TEXT = 9.0  # points, of a number
_FILL = 0.3  # opacity


def axes_or_new(ax: Axes | None, height: float = 1.0) -> Axes:
    """The axes themselves, or those of a new figure of pyplot, which a notebook shows.

    `height` is that of the new axes per width.
    """
    if ax is not None:
        return ax
    from matplotlib import pyplot as plt

    size = (_SIDE, _SIDE * min(max(height, 0.3), 2.0))
    found: Axes = plt.subplots(figsize=size, layout="constrained")[1]
    return found


def plot_plane(
    image: Plane | None,
    labels: Mapping[str, Plane],
    pixel: Pixel | None,
    *,
    ax: Axes | None = None,
    corner: tuple[float, float] = (0.0, 0.0),
    sides: str = "yx",
    title: str = "",
    limits: tuple[float, float] | None = None,
    filled: bool = False,
    numbers: bool = False,
) -> Axes:
    """Draw a slice with outlines.

    Parameters
    ----------
    image : (rows, columns), optional
        Grey values; without them the outlines are on grey.
    labels : mapping of str to (rows, columns)
        Masks or labels by ``cell``, ``envelope`` and ``nucleus``: the colours of outlines.
    pixel : (rows, columns) in nm, or None
        None: not known; axes are then in voxels.
    ax : Axes, optional
        Default: those of a new figure.
    corner : (rows, columns) in µm
        Place of the upper left corner of the image.
    sides : str
        Names of the axes of the rows and of the columns.
    title : str
    limits : (black, white), optional
    filled : bool
        Tint the areas, too.
    numbers : bool
        Write each label.

    Returns
    -------
    Axes
    """
    size = (1000.0, 1000.0) if pixel is None else pixel
    planes = {name: np.asarray(plane) for name, plane in labels.items() if np.any(plane)}
    shape = np.shape(image) if image is not None else np.shape(next(iter(labels.values())))
    grey = np.full(shape, 160, np.uint8) if image is None else np.asarray(image)
    height = shape[0] * size[0] / (shape[1] * size[1])
    axes = axes_or_new(ax, height)
    show_tissue(axes, grey, size, (0, 255) if image is None else limits, corner=corner)
    axes.set_aspect("equal")
    for name, plane in planes.items():
        outline(axes, plane, size, COLOURS[name], _LINE, corner)
        if filled:
            tint(axes, plane, size, COLOURS[name], _FILL, corner)
    if numbers:
        _numbers(axes, planes, size, corner)
    unit = "voxels" if pixel is None else "µm"
    axes.set_xlabel(f"{sides[1]} ({unit})")
    axes.set_ylabel(f"{sides[0]} ({unit})")
    axes.set_title(title, fontsize="medium")
    if planes:
        _legend(axes, list(planes))
    return axes


def _numbers(
    axes: Axes, planes: Mapping[str, Plane], pixel: Pixel, corner: tuple[float, float]
) -> None:
    """The number of each cell, in its nucleus where it has one in the slice."""
    axes.apply_aspect()
    places: dict[int, tuple[float, float]] = {}
    for plane in planes.values():
        places |= innermost(plane, pixel)
    for label, (y, x) in places.items():
        at = (corner[1] + x * pixel[1] / 1000, corner[0] + y * pixel[0] / 1000)
        number(axes, *at, str(label), _TEXT)


def _legend(axes: Axes, names: Sequence[str]) -> None:
    """The colours of outlines, on grey, where white is visible too."""
    handles = [Line2D([], [], color=COLOURS[name], label=name, linewidth=2) for name in names]
    axes.legend(
        handles=handles,
        loc="upper right",
        fontsize="small",
        facecolor="#555555",
        labelcolor="white",
        framealpha=0.8,
        handlelength=1.2,
    )


def plot_map(
    places: Floats,
    diameters: Floats,
    values: Floats,
    names: Sequence[object],
    extent: tuple[tuple[float, float], tuple[float, float]],
    *,
    label: str,
    ax: Axes | None = None,
) -> Axes:
    """Draw cells as circles at their centres, seen along z, with a colour for a value.

    Parameters
    ----------
    places : (cells, 2)
        y and x of the centres, µm.
    diameters : (cells,)
        µm; of a cell without any (NaN) only the number is drawn.
    values : (cells,)
        Of the colours; grey where NaN.
    names : sequence
        Number of each cell.
    extent : ((first, last), (first, last))
        Ends of the volume along y and x, µm.
    label : str
        Of the values, with the unit.
    ax : Axes, optional
        Default: those of a new figure.
    """
    (top, bottom), (left, right) = extent
    axes = axes_or_new(ax, (bottom - top) / (right - left))
    wide = np.nan_to_num(diameters)
    circles = EllipseCollection(
        wide,
        wide,
        np.zeros(len(wide)),
        units="xy",
        offsets=places[:, ::-1],
        offset_transform=axes.transData,
        cmap=colormaps["viridis"].with_extremes(bad=_GREY),
        edgecolors="black",
        linewidths=0.8,
        alpha=0.85,
    )
    circles.set_array(np.ma.masked_invalid(values))
    axes.add_collection(circles)
    for (y, x), name in zip(places, names, strict=True):
        axes.text(x, y, str(name), ha="center", va="center", fontsize="small", clip_on=True)
        axes.texts[-1].set_bbox({"fc": (1, 1, 1, 0.6), "ec": "none", "boxstyle": "round,pad=0.15"})
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_aspect("equal")
    axes.set_xlabel("x (µm)")
    axes.set_ylabel("y (µm)")
    if np.isfinite(values).any():
        axes.figure.colorbar(circles, ax=axes, label=label, shrink=0.8)
    return axes


def plot_points(
    x: Floats,
    y: Floats,
    whole: Mask,
    *,
    labels: tuple[str, str],
    ax: Axes | None = None,
) -> Axes:
    """Draw objects as points: whole ones filled, those that the volume cuts hollow.

    Parameters
    ----------
    x, y : (objects,)
    whole : (objects,) of bool
    labels : (str, str)
        Of the axes, with their units.
    ax : Axes, optional
        Default: those of a new figure.
    """
    axes = axes_or_new(ax, 0.75)
    kinds = ((whole, CHAINS[0], "whole"), (~whole, "none", "cut by the volume"))
    for chosen, colour, label in kinds:
        if chosen.any():
            axes.scatter(x[chosen], y[chosen], s=28, c=colour, edgecolors=CHAINS[0], label=label)
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    axes.grid(color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    if len(whole):
        axes.legend(fontsize="small", frameon=False)
    return axes
