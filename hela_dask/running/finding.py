"""Units of the first stages: the grey levels of a volume, and the cells of each analysed slice."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.levels import SliceLevels, Votes, volume_levels
from hela_dask.running.stages import Job, measured
from hela_dask.statuses import CHAIN_TOO_SHORT
from hela_dask.steps.detect import analysed_slices, detection_table, slice_tasks
from hela_dask.steps.regions import Region
from hela_dask.tasks.dispatch import run_units
from hela_dask.tasks.lock import Lock
from hela_dask.tasks.markers import Markers, fingerprint
from hela_dask.tasks.units import Unit
from hela_dask.volume.greys import GreyLevels, vote_of_slice, voting_slices
from hela_dask.volume.opening import voxel_size, working_volume

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client

    from hela_dask.tasks.progress import RunProgress

__all__ = ["Found", "LevelsJob", "detect_task", "find_detections", "find_levels", "levels_task"]


@dataclass(frozen=True)
class Found:
    """Cells and the windows around them."""

    detections: pd.DataFrame
    cells: pd.DataFrame
    regions: list[Region]

    def segmentable(self) -> list[Region]:
        """Those that are segmented: all but chains too short to be a cell."""
        return [region for region in self.regions if region.status != CHAIN_TOO_SHORT]


@dataclass(frozen=True)
class LevelsJob:
    """What the units of the grey levels share."""

    store: Path  # the image
    resolution: float  # of the level that is looked at, nm
    folder: Path  # of the markers
    lock: Lock  # proof that the run still goes on

    @property
    def markers(self) -> Markers:
        """What is finished."""
        return Markers(self.folder)


def find_levels(
    client: Callable[[], Client],
    job: LevelsJob,
    key: str,
    polarity: int,
    progress: RunProgress,
) -> GreyLevels:
    """The grey levels of a volume, as :func:`hela_dask.grey_levels` finds them, unit by unit.

    Parameters
    ----------
    client : callable
        As for :func:`~hela_dask.tasks.dispatch.run_units`.
    job : LevelsJob
    key : str
        Fingerprint of all that they depend on.
    polarity : int
        Of :class:`~hela_dask.parameters.BackgroundParameters`.
    progress : RunProgress
        Of the run.
    """
    wanted = fingerprint(key, [item.name for kind in (Votes, SliceLevels) for item in fields(kind)])
    slices = voting_slices(working_volume(job.store, job.resolution).sizes["z"])
    units = [Unit("levels", f"z{index:05d}", wanted, index) for index in slices]
    rows = run_units(
        client,
        levels_task,
        job,
        units,
        markers=job.markers,
        progress=progress,
        kind="slices",
    )
    return volume_levels([_votes(row["votes"]) for row in rows.values()], polarity)


def levels_task(job: LevelsJob, unit: Unit) -> dict[str, Any]:
    """The vote of one slice on the grey levels of its volume."""
    with measured() as cost:
        votes = vote_of_slice(working_volume(job.store, job.resolution), unit.what)
    job.lock.check()
    row = {"votes": asdict(votes), **cost}
    return job.markers.finish(unit.stage, unit.name, unit.fingerprint, row)


def _votes(kept: dict[str, Any]) -> Votes:
    """A vote as its marker keeps it; JSON has no NaN."""
    return Votes(
        texture=_number(kept["texture"]),
        lines=_number(kept["lines"]),
        as_is=SliceLevels(*map(_number, kept["as_is"].values())),
        negative=SliceLevels(*map(_number, kept["negative"].values())),
        span=_pair(kept["span"]),
        negative_span=_pair(kept["negative_span"]),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _pair(values: list[float | None]) -> tuple[float, float]:
    low, high = map(_number, values)
    return low, high


def find_detections(
    client: Callable[[], Client], job: Job, key: str, progress: RunProgress
) -> pd.DataFrame:
    """The cells in every analysed slice, as :func:`hela_dask.detect_cells` finds them.

    Parameters
    ----------
    client : callable
        As for :func:`~hela_dask.tasks.dispatch.run_units`.
    job : Job
        Of the run, whose background is finished.
    key : str
        Fingerprint of all that they depend on.
    progress : RunProgress
        Of the run.
    """
    volume, parameters = job.working(), job.parameters.detect
    slices = analysed_slices(volume.sizes["z"], voxel_size(volume)[0], parameters)
    units = [Unit("detect", f"z{index:05d}", key, index) for index in slices]
    rows = run_units(
        client,
        detect_task,
        job,
        units,
        markers=job.markers,
        progress=progress,
        kind="slices",
        inputs=lambda unit: slice_tasks(job.background(), [unit.what], parameters),
    )
    found = [np.array(row["rows"], dtype=np.float64).reshape(-1, 3) for row in rows.values()]
    return detection_table(volume, slices, found, parameters)


def detect_task(job: Job, unit: Unit, rows: NDArray[np.float64]) -> dict[str, Any]:
    """Keep the cells of one analysed slice."""
    job.lock.check()
    return job.markers.finish(unit.stage, unit.name, unit.fingerprint, {"rows": rows.tolist()})
