"""Curves of a training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["draw_curves"]

_COLOURS = {
    "resin": "#7f7f7f",
    "cell": "#d62728",
    "envelope": "#c98a00",
    "nucleus": "#0a8a3f",
}


def draw_curves(history: pd.DataFrame, path: str | Path) -> Path:
    """Draw the losses, and the scores of each class, over the epochs into a PNG or JPEG.

    `history` has one row per epoch, as :attr:`hela_dask.unet.fitting.Fit.history`.
    """
    from matplotlib.ticker import MaxNLocator

    from hela_dask.figures.canvas import new_figure, save

    figure = new_figure(1000, 420)
    left, right = figure.subplots(1, 2)
    left.plot(history["epoch"], history["loss"], color="#0072b2", label="training")
    left.plot(
        history["epoch"],
        history["validation_loss"],
        color="#d55e00",
        linestyle=(0, (5, 1.5)),
        label="validation",
    )
    left.set(xlabel="epoch", ylabel="loss")
    for column in history.columns:
        if column.startswith("ji_"):
            name = column.removeprefix("ji_")
            right.plot(history["epoch"], history[column], color=_COLOURS[name], label=name)
    right.plot(
        history["epoch"], history["validation_score"], color="black", linestyle=":", label="mean"
    )
    right.set(xlabel="epoch", ylabel="validation JI", ylim=(0, 1))
    for axes in (left, right):
        axes.legend(frameon=False)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    return save(figure, path)
