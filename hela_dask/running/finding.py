"""The first stages: the grey levels of a volume, and the cells in each analysed slice."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hela_dask.geometry import Geometry
from hela_dask.kernels.grey_levels import SliceLevels, Votes, volume_levels
from hela_dask.running.stages import Job
from hela_dask.steps.detect import analysed_slices, detection_table
from hela_dask.tasks.cost import measured
from hela_dask.tasks.lock import Lock
from hela_dask.tasks.markers import Markers, fingerprint
from hela_dask.tasks.units import Row, Unit
from hela_dask.volume.greys import GreyLevels, vote_of_slice, voting_slices
from hela_dask.volume.opening import working_volume

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from hela_dask.parameters import DetectParameters

__all__ = [
    "LevelsJob",
    "detect_task",
    "detect_units",
    "level_units",
    "levels_task",
    "read_detections",
    "read_levels",
]


class LevelsJob(Protocol):
    """Common inputs of the tasks of the grey levels, of a run or of a prediction."""

    @property
    def store(self) -> Path:
        """The image."""

    @property
    def resolution(self) -> float:
        """Of the level that is looked at, nm."""

    @property
    def lock(self) -> Lock:
        """Proof that the run still holds its folder."""

    @property
    def markers(self) -> Markers:
        """The finished units."""


def level_units(key: str, depth: int) -> list[Unit]:
    """A unit per slice that votes on the grey levels of a volume with so many slices."""
    wanted = fingerprint(key, [item.name for kind in (Votes, SliceLevels) for item in fields(kind)])
    return [Unit("levels", f"z{index:05d}", wanted, index) for index in voting_slices(depth)]


def read_levels(rows: Mapping[str, Row], polarity: int) -> GreyLevels:
    """The grey levels that the rows of all units stand for."""
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


def detect_units(key: str, volume: xr.DataArray, parameters: DetectParameters) -> list[Unit]:
    """A unit per analysed slice."""
    slices = analysed_slices(volume.sizes["z"], Geometry.of(volume).voxel_size[0], parameters)
    return [Unit("detect", f"z{index:05d}", key, index) for index in slices]


def read_detections(
    units: Sequence[Unit],
    rows: Mapping[str, Row],
    volume: xr.DataArray,
    parameters: DetectParameters,
) -> pd.DataFrame:
    """The table of detections that the rows of all units stand for."""
    found = [np.array(row["rows"], dtype=np.float64).reshape(-1, 3) for row in rows.values()]
    return detection_table(volume, [unit.what for unit in units], found, parameters)


def detect_task(job: Job, unit: Unit, rows: NDArray[np.float64]) -> dict[str, Any]:
    """Keep the cells of one analysed slice."""
    job.lock.check()
    return job.markers.finish(unit.stage, unit.name, unit.fingerprint, {"rows": rows.tolist()})
