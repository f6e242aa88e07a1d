"""docs/performance.md from docs/performance.json: ``python -m benchmarks.performance``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.ticker import NullLocator

from benchmarks import pages, results
from hela_dask.figures.canvas import CHAINS, new_figure, save

__all__ = ["PICTURE", "scaling_chart", "scaling_table"]

PICTURE = results.DOCS / "performance" / "scaling.png"
MARKS = ("o", "s", "^", "D", "v")  # they differ too, for readers who cannot see the colours
PANELS = {
    "memory": "peak memory of a worker, MiB",
    "seconds": "worker-seconds per megavoxel",
}


def scaling_table(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Rows of :func:`benchmarks.scaling.measure`, by size: the columns of :data:`PANELS`.

    Seconds are those of all workers over all stages, without the start of the workers.
    """
    table = pd.DataFrame(
        {
            "workers": row["workers"],
            "multiple": row["multiple"],
            "memory": max(row["peak"].values()),
            "seconds": sum(value for stage, value in row["seconds"].items() if stage != "all")
            * (row["workers"] / row["voxels"] * 1e6),
        }
        for row in rows
    )
    return table.sort_values("multiple")


def scaling_chart(rows: Sequence[dict[str, Any]], path: Path) -> Path:
    """Peak memory of a worker, and time per voxel, over the volume's size, a line per workers."""
    table = scaling_table(rows)
    sizes = table["multiple"].unique().tolist()
    figure = new_figure(960, 400)
    for panel, (name, title) in enumerate(PANELS.items()):
        axes = figure.add_axes((0.08 + 0.5 * panel, 0.16, 0.39, 0.72))
        for k, (workers, mine) in enumerate(table.groupby("workers")):
            label = "1 worker" if workers == 1 else f"{workers} workers"
            style: dict[str, Any] = {"color": CHAINS[k], "marker": MARKS[k], "lw": 1.8}
            axes.plot(mine["multiple"], mine[name], label=label, **style)
        axes.set_ylim(0, 1.25 * axes.get_ylim()[1])
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


def main() -> None:
    """Write the page and its picture."""
    found = pages.load_figures()
    if "scaling" in found["performance"]:
        scaling_chart(found["performance"]["scaling"]["rows"], PICTURE)
    pages.write("performance", found)


if __name__ == "__main__":
    main()
