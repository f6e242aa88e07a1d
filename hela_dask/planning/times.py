"""Wall time of the stages of a run, from how long a little of each took."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hela_dask.planning.calibrate import Calibration
    from hela_dask.running.setup import Setup
    from hela_dask.tasks.cluster import Cluster

__all__ = ["Times", "stage_times"]

_START = 4.0  # seconds until local workers have started and loaded their libraries
_PAGES = (3.0, 0.2)  # seconds that the report takes, and more for each cell
_GRAPH = 1.0  # seconds until detection is on its way
_LEVELS = 16  # slices that grey levels are taken of


@dataclass(frozen=True)
class Times:
    """Seconds of each stage; None where they are not known."""

    background: float | None = None
    detection: float | None = None
    cells: float | None = None
    labels: float | None = None
    report: float | None = None


def stage_times(
    setup: Setup,
    where: Cluster,
    tried: Calibration,
    windows: Sequence[Sequence[int]],
    counts: tuple[int, int | None],
) -> Times:
    """Seconds of each stage with the workers of a cluster.

    Parameters
    ----------
    setup : Setup
        The run.
    where : Cluster
        Workers on this machine share its cores; those of others are taken to be as fast.
    tried : Calibration
        What tasks take here.
    windows : sequence of (z, y, x)
        Voxels of the windows that are still to be segmented.
    counts : (int, int or None)
        Slices that cells are looked for in, and the number of cells, done or not.
    """
    looked, number = counts
    depth = setup.image.levels[0].shape[0]
    count = where.workers or 1
    if where.kind == "local":
        count = min(count, os.cpu_count() or 1)
    levels = min(_LEVELS, depth) * tried.levels
    sizes = [math.prod(window) / 1e6 * tried.cell for window in windows]
    segmenting: float | None = None
    if number is not None and not windows:
        segmenting = 0.0
    elif sizes and math.isfinite(tried.cell):
        segmenting = max(sum(sizes) / count, *sizes)
    labels: float | None = None
    if math.isfinite(tried.tile):
        voxels = math.prod(setup.image.levels[0].shape) / 1e6
        a_slice = tried.plane + tried.nucleus * tried.seen
        labels = (depth * a_slice + voxels * tried.tile) / count
    return Times(
        background=_START + (levels + depth * tried.background) / count,
        detection=(_GRAPH + looked * tried.detection / count) if looked else 0.0,
        cells=segmenting,
        labels=labels,
        report=_PAGES[0] + _PAGES[1] * (number or 0),
    )
