"""Figures of docs/performance.md: memory and time as volumes grow, and workers that wait."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from hela_dask.figures.canvas import CHAINS, new_figure, save

__all__ = ["scaling_chart", "scheduler_chart"]

# Marks differ too, for those who see no difference of the colours.
MARKS = ("o", "s", "^", "D", "v")
GREY = "#707070"


def scaling_chart(rows: Sequence[dict[str, Any]], path: Path) -> Path:
    """Peak memory of a worker, and time per voxel, over the volume's size.

    Parameters
    ----------
    rows : sequence of dict
        As :func:`benchmarks.scaling.measure` gives them, with ``multiple``.
    path : Path
    """
    figure = new_figure(960, 400)
    memory = figure.add_axes((0.08, 0.16, 0.39, 0.72))
    seconds = figure.add_axes((0.58, 0.16, 0.39, 0.72))
    sizes = sorted({int(row["multiple"]) for row in rows})
    for k, workers in enumerate(sorted({row["workers"] for row in rows})):
        mine = sorted(
            (row for row in rows if row["workers"] == workers), key=lambda row: int(row["multiple"])
        )
        x = [row["multiple"] for row in mine]
        style: dict[str, Any] = {"color": CHAINS[k], "marker": MARKS[k], "lw": 1.8}
        name = f"{workers} worker{'s' if workers > 1 else ''}"
        peaks = [max(row["peak"].values()) for row in mine]
        memory.plot(x, peaks, label=name, **style)
        spent = [
            sum(value for stage, value in row["seconds"].items() if stage != "all")
            * row["workers"]
            / row["voxels"]
            * 1e6
            for row in mine
        ]
        seconds.plot(x, spent, label=name, **style)
    for axes, title in (
        (memory, "peak memory of a worker, MiB"),
        (seconds, "worker-seconds a megavoxel"),
    ):
        axes.set_ylim(0, 1.25 * max(axes.get_ylim()[1], 1e-6))
        _logarithmic(axes, sizes, "volume, times the unit of two cells")
        axes.set_title(title, fontsize=10, loc="left")
        axes.legend(frameon=False, fontsize=9, loc="lower left")
    path.parent.mkdir(parents=True, exist_ok=True)
    return save(figure, path)


def scheduler_chart(found: dict[str, Any], path: Path) -> Path:
    """The share of the time that workers compute: by length of a task, and by workers.

    Parameters
    ----------
    found : dict
        As :func:`benchmarks.scheduler.everything` gives it, with ``recorded``.
    path : Path
    """
    figure = new_figure(960, 400)
    left = figure.add_axes((0.08, 0.16, 0.39, 0.72))
    right = figure.add_axes((0.58, 0.16, 0.39, 0.72))
    counts = sorted({row["workers"] for row in found["lengths"]})
    for k, workers in enumerate(counts):
        rows = [row for row in found["lengths"] if row["workers"] == workers]
        left.plot(
            [row["seconds"] for row in rows],
            [100 * row["efficiency"] for row in rows],
            label=str(workers),
            color=CHAINS[k % len(CHAINS)],
            marker=MARKS[k % len(MARKS)],
            ms=4,
            lw=1.6,
        )
    for mean, names in _together(found["recorded"]["seconds"]):
        left.axvline(mean, ymax=0.82, color=GREY, lw=0.8, ls=(0, (4, 3)), zorder=0)
        left.annotate(
            names, (mean, 2), xytext=(4, 0), textcoords="offset points", rotation=90,
            fontsize=8, color=GREY, ha="left", va="bottom",
        )  # fmt: skip
    _logarithmic(left, [0.01, 0.1, 1, 10], "seconds a task (dashed: what was recorded)")
    left.set_ylim(-3, 122)
    left.set_yticks(range(0, 101, 20))
    left.set_title("workers busy, % of the time; by number of workers", fontsize=10, loc="left")
    left.legend(
        frameon=False, fontsize=8.5, loc="upper left", ncols=5, columnspacing=1.0, handlelength=1.4
    )
    for k, cells in enumerate(sorted({row["cells"] for row in found["whole"]})):
        rows = [row for row in found["whole"] if row["cells"] == cells]
        x = [row["workers"] for row in rows]
        style: dict[str, Any] = {"color": CHAINS[k], "marker": MARKS[k]}
        right.plot(x, [row["wall"] / 3600 for row in rows], label=f"{cells:,} cells", **style)
        total = [row["efficiency"] * row["workers"] * row["wall"] for row in rows]
        right.plot(
            x,
            [each / row["workers"] / 3600 for each, row in zip(total, rows, strict=True)],
            color=CHAINS[k],
            lw=0.9,
            ls=(0, (4, 3)),
        )
    right.set_yscale("log")
    _logarithmic(right, counts, "workers")
    right.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    right.set_title("hours of a run (dashed: nobody ever waits)", fontsize=10, loc="left")
    right.legend(frameon=False, fontsize=9, loc="upper right")
    path.parent.mkdir(parents=True, exist_ok=True)
    return save(figure, path)


def _together(recorded: dict[str, list[float]]) -> list[tuple[float, str]]:
    """Mean seconds of each stage; stages that take about as long share a line."""
    means = sorted((sum(seconds) / len(seconds), stage) for stage, seconds in recorded.items())
    groups: list[list[tuple[float, str]]] = []
    for mean, stage in means:
        if groups and mean < 1.5 * groups[-1][0][0]:
            groups[-1].append((mean, stage))
        else:
            groups.append([(mean, stage)])
    return [(group[0][0], ", ".join(stage for _, stage in group)) for group in groups]


def _logarithmic(axes: Axes, ticks: Sequence[float], name: str) -> None:
    axes.set_xscale("log")
    axes.set_xticks(list(ticks), [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(name, fontsize=9)
    axes.tick_params(labelsize=8.5)
    axes.grid(axis="y", lw=0.5, color="#dddddd")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
