"""docs/performance.md from docs/performance.json: ``python -m benchmarks.performance``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.ticker import NullLocator

from benchmarks import pages, results
from hela_dask.figures.canvas import CHAINS, new_figure, save

__all__ = ["scaling_chart", "write"]

PICTURE = results.DOCS / "performance" / "scaling.png"
MARKS = ("o", "s", "^", "D", "v")  # they differ too, for readers who cannot see the colours


def scaling_chart(rows: Sequence[dict[str, Any]], path: Path) -> Path:
    """Peak memory of a worker, and time per voxel, over the volume's size.

    Parameters
    ----------
    rows : sequence of dict
        As :func:`benchmarks.scaling.measure` returns them, with ``multiple``.
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
        style: dict[str, Any] = {"color": CHAINS[k], "marker": MARKS[k], "lw": 1.8}
        style["label"] = f"{workers} worker{'s' if workers > 1 else ''}"
        x = [row["multiple"] for row in mine]
        memory.plot(x, [max(row["peak"].values()) for row in mine], **style)
        seconds.plot(x, [seconds_per_megavoxel(row) for row in mine], **style)
    for axes, title in (
        (memory, "peak memory of a worker, MiB"),
        (seconds, "worker-seconds per megavoxel"),
    ):
        axes.set_ylim(0, 1.25 * max(axes.get_ylim()[1], 1e-6))
        axes.set_xscale("log")
        axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("volume, times the unit of two cells", fontsize=9)
        axes.tick_params(labelsize=8.5)
        axes.grid(axis="y", lw=0.5, color="#dddddd")
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_title(title, fontsize=10, loc="left")
        axes.legend(frameon=False, fontsize=9, loc="lower left")
    return save(figure, path)


def seconds_per_megavoxel(row: dict[str, Any]) -> float:
    """Seconds of all workers over all stages, without the start of the workers."""
    seconds = sum(value for stage, value in row["seconds"].items() if stage != "all")
    return float(seconds * row["workers"] / row["voxels"] * 1e6)


def write() -> None:
    """Write the page and its picture."""
    found = pages.load_figures()
    if "scaling" in found["performance"]:
        scaling_chart(found["performance"]["scaling"]["rows"], PICTURE)
    (results.DOCS / "performance.md").write_text(
        pages.render("performance", found), encoding="utf-8"
    )


if __name__ == "__main__":
    write()
