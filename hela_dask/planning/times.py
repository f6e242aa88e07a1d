"""Wall time of the stages of a run, from the measured times of tasks."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hela_dask.running.needs import measured_level
from hela_dask.storage.groups import label_levels

if TYPE_CHECKING:
    from hela_dask.planning.calibrate import Calibration
    from hela_dask.running.setup import Setup
    from hela_dask.tasks.cluster import Cluster

__all__ = ["stage_times"]

_START = 4.0  # seconds until local workers have started and loaded their libraries
_PAGES = (3.0, 0.2)  # seconds that the report takes, and more for each cell
_GRAPH = 1.0  # seconds until detection is on its way
_LEVELS = 16  # slices that grey levels are taken of


def stage_times(
    setup: Setup,
    where: Cluster,
    tried: Calibration,
    windows: Sequence[Sequence[int]],
    counts: tuple[int, int | None],
) -> dict[str, float | None]:
    """Seconds of each stage with the workers of a cluster; None where they are not known.

    Workers of `where` on this machine share its cores; those of others are assumed to be as fast.
    `tried` are the times of tasks on this machine; `windows` are the voxels, (z, y, x), of the
    windows that are still to be segmented; `counts` are the slices in which cells are detected, and
    the number of cells, done or not.
    """
    looked, number = counts
    depth = setup.image.levels[0].shape[0]
    count = where.workers or 1
    if where.kind == "local":
        count = min(count, os.cpu_count() or 1)
    sizes = [math.prod(window) / 1e6 * tried.cell for window in windows]
    cells = max(sum(sizes) / count, *sizes) if sizes else None if number is None else 0.0
    voxels = math.prod(setup.image.levels[0].shape) / 1e6
    times = {
        "background": _START
        + (min(_LEVELS, depth) * tried.grey_levels + depth * tried.background) / count,
        "detect": (_GRAPH + looked * tried.detection / count) if looked else 0.0,
        "classify": math.prod(setup.working.shape) / 1e6 * tried.network / count,
        "segment": cells,
        "assemble": voxels * tried.tile / count,
        "measure": _measures(setup, tried, windows) / count,
        "report": _PAGES[0] + _PAGES[1] * (number or 0),
    }
    if number is None and setup.parameters.measure.in_runs:
        times["measure"] = None
    return {
        key: None if value is None or math.isnan(value) else value for key, value in times.items()
    }


def _measures(setup: Setup, tried: Calibration, windows: Sequence[Sequence[int]]) -> float:
    """Seconds of one worker for the shapes and the contacts of cells with these windows."""
    p = setup.parameters.measure
    if not p.in_runs:
        return 0.0
    levels = label_levels(setup.image, "uint8")
    level = levels[measured_level(levels, p.resolution)]
    same = setup.working.voxel_size[1] / level.voxel_size[1]  # windows are of the working level
    boxes = sum(math.prod(window) for window in windows) * same**2
    return (boxes * tried.shape + math.prod(level.shape) * tried.contacts) / 1e6
