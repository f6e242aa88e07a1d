"""Figures without tissue: chains of detections in 3D, and scores as curves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d import Axes3D  # type: ignore[import-untyped]

from hela_dask.figures.canvas import CHAINS, DPI, new_figure, save
from hela_dask.statuses import CHAIN_TOO_SHORT

__all__ = ["draw_chains", "draw_curves", "draw_matching"]

GREY = "#8a8a8a"
_ENTRY, _LINE = 330, 24  # pixels: of an entry of a legend with its score, of a line of text
# Deep enough for white paper; different in lightness and in dashes.
CURVES: dict[str, tuple[str, Any]] = {
    "nucleus": (CHAINS[0], "-"),
    "cell": (CHAINS[5], (0, (5, 1.5))),
}


def draw_chains(
    detections: pd.DataFrame,
    cells: pd.DataFrame,
    extent: tuple[float, float, float],
    path: str | Path,
    *,
    title: str = "",
    width: int = 900,
) -> Path:
    """Draw the linked detections of every cell in 3D (Fig. 3 of the 2021 paper).

    Parameters
    ----------
    detections : pandas.DataFrame
        ``slice``, ``z``, ``y``, ``x`` and ``height`` (nm); with a column ``label`` it assigns each
        detection to a cell, otherwise the nearest cell with slices that contain it, at most its
        height away in the plane.
    cells : pandas.DataFrame
        ``label``, ``z``, ``y``, ``x`` (nm), ``first_slice``, ``last_slice`` and ``status``;
        those too short to be a cell (``chain_too_short``) are grey and dashed.
    extent : (z, y, x) in nm
        Size of the volume.
    path : path of a PNG or JPEG
    width : pixels of the picture
    """
    figure = new_figure(width, 0.7 * width)
    axes = figure.add_axes((-0.07, -0.1, 1.07, 1.14), projection="3d")
    assert isinstance(axes, Axes3D)
    owner = _owners(detections, cells)
    lone = detections[owner == 0]
    _scatter(axes, lone, GREY, 0.35)
    good = 0
    for row in cells.to_dict("records"):
        chain = detections[owner == row["label"]].sort_values("slice")
        if not len(chain):
            continue
        fine = row["status"] != CHAIN_TOO_SHORT
        colour = CHAINS[good % len(CHAINS)] if fine else GREY
        good += fine
        x, y, z = (chain[axis].to_numpy(float) / 1000 for axis in "xyz")
        # Down to the floor, to show the position of the cell in the plane.
        axes.plot([x[0], x[0]], [y[0], y[0]], [0, z[0]], color="#bbbbbb", linewidth=0.8)
        axes.plot(
            x, y, z, color=colour, linewidth=2.4 if fine else 1.2, linestyle="-" if fine else "--"
        )
        _scatter(axes, chain, colour, 1.0 if fine else 0.5)
        axes.text(
            x[-1], y[-1], z[-1] + 0.05 * extent[0] / 1000, str(row["label"]), color=colour,
            fontsize=15, fontweight="bold", ha="center",
        )  # fmt: skip
    _frame(axes, extent)
    if title:
        figure.text(0.012, 0.965, title, fontsize=12, color="#222222", va="center")
    return save(figure, path)


def _owners(detections: pd.DataFrame, cells: pd.DataFrame) -> Any:
    """Label of the cell that each detection belongs to, 0 for none."""
    if "label" in detections:
        return detections["label"].fillna(0).astype(np.int64).to_numpy()
    owner = np.zeros(len(detections), np.int64)
    nearest = np.full(len(detections), np.inf)
    y, x, height = (detections[name].to_numpy(float) for name in ("y", "x", "height"))
    for cell in cells.to_dict("records"):
        away = np.hypot(y - cell["y"], x - cell["x"])
        mine = detections["slice"].between(cell["first_slice"], cell["last_slice"]).to_numpy(bool)
        mine = mine & (away < nearest) & (away <= height)
        owner[mine], nearest[mine] = cell["label"], away[mine]
    return owner


def _scatter(axes: Axes3D, rows: pd.DataFrame, colour: str, alpha: float) -> None:
    if len(rows):
        sizes = np.clip((rows["height"].to_numpy(float) / 1000) ** 2 * 1.5, 20, 140)
        places = (rows[axis].to_numpy(float) / 1000 for axis in "xyz")
        axes.scatter(*places, s=sizes, c=colour, alpha=alpha, edgecolors="none", depthshade=False)


def _frame(axes: Axes3D, extent: tuple[float, float, float]) -> None:
    """The volume's box to scale, in µm; y runs as in a picture."""
    z, y, x = (length / 1000 for length in extent)
    axes.set_xlim(0, x)
    axes.set_ylim(y, 0)
    axes.set_zlim(0, z)
    # A flat volume is drawn at least a third as high as it is wide, to be visible.
    high = max(z, max(x, y) / 3)
    # A higher box is drawn smaller to stay inside the picture.
    axes.set_box_aspect((x, y, high), zoom=1.2 - 0.42 * min(1.0, high / max(x, y)))
    axes.set_xlabel("x (µm)", fontsize=14, labelpad=9)
    axes.set_ylabel("y (µm)", fontsize=14, labelpad=9)
    axes.set_zlabel("z (µm)", fontsize=14, labelpad=9)
    axes.view_init(elev=24, azim=-58)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_major_locator(MaxNLocator(5))
        axis.set_tick_params(labelsize=13)
        axis.set_pane_color((0.97, 0.97, 0.97, 1.0))


def draw_curves(
    curves: Mapping[str, pd.DataFrame],
    path: str | Path,
    *,
    score: str = "ji",
    title: str = "",
    width: int = 1000,
) -> Path:
    """Draw a score over the slice number, one line per class (Fig. 12 of the 2021 paper).

    `curves` has, per name of a class, a table of ``slice`` (1-based) and the score (``ji``, ``ac``,
    ``dice``, ``ari``, ``npr`` or ``kappa``); where it is NaN the line is broken. `path` is that of
    a PNG or JPEG, `width` pixels wide.
    """
    columns = max(1, width // _ENTRY)
    head = _LINE * (math.ceil(len(curves) / columns) + bool(title))
    height = 0.36 * width + head
    figure = new_figure(width, height)
    foot = 0.06 * width / height
    axes = figure.add_axes((0.065, foot, 0.92, 1 - foot - (head + 4) / height))
    for k, (name, rows) in enumerate(curves.items()):
        begin = "cell" if name.lower().startswith("cell") else "nucleus"
        known = name.lower().startswith(("cell", "nucle"))
        colour, dashes = CURVES[begin] if known else (CHAINS[k % len(CHAINS)], "--")
        values = rows[score].astype(float)
        mean = values.mean()
        label = f"{name}, mean of slices {mean:.3f}" if np.isfinite(mean) else name
        marker = "o" if values.notna().sum() < 3 else None
        axes.plot(
            rows["slice"], values, ls=dashes, color=colour, lw=1.9, label=label, marker=marker
        )
    score_titles = {
        "ji": "Jaccard index",
        "ac": "accuracy",
        "dice": "Dice",
        "ari": "adjusted Rand index",
    }
    _dress(axes, "slice", f"{score_titles.get(score, score)} of a slice", title, columns)
    return save(figure, path)


def draw_matching(table: pd.DataFrame, path: str | Path, *, width: int = 700) -> Path:
    """Draw precision, recall and F1 of matched instances over the IoU threshold.

    The index of `table` is the threshold, its columns are ``precision``, ``recall`` and ``f1``.
    `path` is that of a PNG or JPEG, `width` pixels wide.
    """
    figure = new_figure(width, 0.55 * width)
    axes = figure.add_axes((0.1, 0.15, 0.87, 0.74))
    styles = (("precision", CHAINS[0], "--"), ("recall", CHAINS[1], ":"), ("f1", CHAINS[2], "-"))
    for name, colour, dashes in styles:
        axes.plot(table.index, table[name].astype(float), dashes, color=colour, lw=2, label=name)
    _dress(axes, "IoU threshold", "share of instances", "")
    return save(figure, path)


def _dress(axes: Axes, x: str, y: str, title: str, columns: int = 3) -> None:
    axes.set_ylim(0, 1.02)
    axes.margins(x=0.01)
    axes.set_xlabel(x, fontsize=11)
    axes.set_ylabel(y, fontsize=11)
    axes.grid(color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    entries = len(axes.get_legend_handles_labels()[0])
    if entries:
        # Above the axes, where no line can run.
        axes.legend(
            frameon=False, fontsize=11, ncols=columns, loc="lower right", bbox_to_anchor=(1, 1),
            borderaxespad=0.2,
        )  # fmt: skip
    if title:
        above = 72 / DPI * _LINE * math.ceil(entries / columns)  # of the legend, points
        axes.set_title(title, fontsize=12, loc="left", color="#222222", pad=6 + above)
