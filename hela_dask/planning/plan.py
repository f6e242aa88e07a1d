"""The needs of a run, before it starts: tasks, memory, disk, time.

A run that cannot fit is refused.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hela_dask.errors import HelaDaskError
from hela_dask.methods.names import DEFAULT_METHOD
from hela_dask.methods.registry import MethodLike
from hela_dask.planning.disk import check_disk, disk_need
from hela_dask.planning.show import Plan, PlannedStage
from hela_dask.planning.times import stage_times
from hela_dask.running.needs import (
    BACKGROUND_SLAB,
    contact_slab,
    measured_level,
    network_units,
    window_need,
)
from hela_dask.running.options import ParametersLike, RunOptions, Table
from hela_dask.running.prepare import prepare
from hela_dask.running.setup import Setup
from hela_dask.steps.detect import analysed_slices
from hela_dask.storage.groups import label_levels
from hela_dask.storage.urls import StorePath
from hela_dask.tasks.cluster import Cluster, read_cluster
from hela_dask.tasks.memory import Need, check_memory, worker_memory

if TYPE_CHECKING:
    from hela_dask.planning.calibrate import Calibration
    from hela_dask.planning.known import Known

__all__ = ["plan"]

log = logging.getLogger(__name__)

_NAMES = {  # names of the stages, in markers and for display
    "background": "background",
    "detect": "detection",
    "classify": "network",
    "segment": "cells",
    "assemble": "labels",
    "measure": "measures",
    "report": "report",
}

_BY_CELL = ("segment", "measure")  # stages with a task per cell


def plan(
    store: str | StorePath,
    out: str | Path | None = None,
    *,
    method: MethodLike = DEFAULT_METHOD,
    model: str | Path | None = None,
    parameters: ParametersLike | None = None,
    cells: Sequence[int] | None = None,
    box: Sequence[Sequence[float]] | None = None,
    centres: Table | None = None,
    corrections: Table | None = None,
    edits: str | Path | None = None,
    labels: str | Path | None = None,
    cluster: str | Path = "local",
    workers: int | None = None,
    memory: str | int | None = None,
    overwrite: bool = False,
    calibrate: bool = True,
) -> Plan:
    """Compute the needs of :func:`hela_dask.run` with the same arguments, and start nothing.

    Tasks and their memory follow from sizes. How many cells there are is known from a finished
    detection in the run folder or from `centres`; else it is estimated from the tissue in some
    slices. Times are those of a little of each task, done here and now in one process; a cluster
    of other machines takes another time. Nothing is written, but in a temporary folder.

    Parameters
    ----------
    store, out, method, model, parameters, cells, box, centres, corrections, edits, labels, \
cluster, workers, memory, overwrite
        As in :func:`hela_dask.run`.
    calibrate : bool
        Try how long tasks take, which needs some seconds, up to half a minute for the largest
        planes. Without it no times are given, and cells are not estimated.

    Returns
    -------
    Plan

    Raises
    ------
    ResourceError
        When a task does not fit a worker's memory, or the results do not fit the disk.
    HelaDaskError
        For whatever :func:`hela_dask.run` refuses before it starts.

    Examples
    --------
    >>> import hela_dask as hd
    >>> found = hd.plan("hela.ome.zarr", "new.run", workers=2, memory="4GiB", calibrate=False)
    >>> [stage.name for stage in found.stages][:3]
    ['background', 'detection', 'network']
    """
    where = read_cluster(cluster, workers=workers, memory=memory)
    options = RunOptions(
        *(store, out, method, model, parameters, cells, box, centres, corrections, edits, labels),
        overwrite=overwrite,
        asking=False,
    )
    setup = prepare(options)
    for remark in setup.remarks:
        log.warning("%s", remark)
    needs = setup.needs()
    check_memory(needs, where.memory)  # as a run does, before it knows the windows
    return _planned(setup, where, {need.stage: need for need in needs}, calibrate)


def _planned(setup: Setup, where: Cluster, needs: dict[str, Need], trying: bool) -> Plan:
    from hela_dask.planning.known import known_cells

    level = setup.image.levels[0]
    working, voxel = setup.working.shape, setup.working.voxel_size
    known = known_cells(setup)
    if known is not None and known.windows:
        largest = max(known.windows, key=math.prod)
        needs["segment"] = window_need(setup.image, largest, setup.method)
    check_memory(list(needs.values()), where.memory)
    windows: Sequence[tuple[int, ...]] = known.windows if known else ()
    check_disk(disk_need(setup, working, windows))
    tried = _tried(setup) if trying else None
    number, exact, source = _cells(known, tried, working[0] * voxel[0])
    if known is None and tried is not None and tried.windows:
        windows = [tried.windows[at % len(tried.windows)] for at in range(number or 0)]
    disk = disk_need(setup, working, windows, tried.share if tried else None)
    check_disk(disk)
    looked = 0
    if setup.centres is None:
        looked = len(analysed_slices(working[0], voxel[0], setup.parameters.detect))
    times = stage_times(setup, where, tried, windows, (looked, number)) if tried else {}
    counts = {
        "background": -(-working[0] // BACKGROUND_SLAB),
        "detect": looked,
        "classify": network_units(setup.working, setup.outputs),
        "segment": number,
        "assemble": -(-level.shape[0] // label_levels(setup.image, "uint8")[0].file[0]),
        "measure": (known.measures[1] if known else 0) or _measures(setup, number),
        "report": 1,
    }
    return Plan(
        store=setup.image.path,
        run=setup.run,
        labels=setup.owner,
        shape=level.shape,
        voxel_size=level.voxel_size,
        working_shape=working,
        stages=_stages(counts, needs, times, known, exact),
        workers=where.workers,
        memory=where.memory,
        memory_needed=worker_memory(list(needs.values())),
        disk=disk,
        cells=source,
        calibration=tried,
    )


def _stages(
    counts: Mapping[str, int | None],
    needs: Mapping[str, Need],
    times: Mapping[str, float | None],
    known: Known | None,
    exact: bool,
) -> tuple[PlannedStage, ...]:
    """One row per stage."""
    stages = []
    for key, name in _NAMES.items():
        if counts[key] == 0 and key in ("classify", "measure"):
            continue  # a method without a network; a run that measures no shapes
        count, seconds, done = counts[key], times.get(key), 0
        if known is not None and known.found and key in ("background", "detect"):
            done, seconds = count or 0, None if seconds is None else 0.0
        elif known is not None and key == "segment":
            done = known.done
        elif known is not None and key == "assemble":
            done = known.labels
            if done == count and seconds is not None:
                seconds = 0.0
        elif known is not None and key == "measure":
            done = known.measures[0]
            if done == count and seconds is not None:
                seconds = 0.0
        memory = needs[key].bytes if key in needs else None
        stages.append(
            PlannedStage(name, count, exact or key not in _BY_CELL, done, memory, seconds)
        )
    return tuple(stages)


def _measures(setup: Setup, cells: int | None) -> int | None:
    """Tasks of the stage of measures: one per cell, and one per slab for contacts."""
    p = setup.parameters.measure
    if not p.in_runs:
        return 0
    if cells is None:
        return None
    levels = label_levels(setup.image, "uint8")
    shape = levels[measured_level(levels, p.resolution)].shape
    return cells + (-(-shape[0] // contact_slab(shape)) if cells > 1 else 0)


def _tried(setup: Setup) -> Calibration | None:
    """How long tasks take here; None, and a warning, where they cannot be tried."""
    from hela_dask.planning.calibrate import calibrate

    try:
        return calibrate(setup)
    except HelaDaskError:
        raise
    except Exception as error:
        log.warning("times are not known: trying a task failed: %s", error)
        log.debug("calibration", exc_info=True)
        return None


def _cells(
    known: Known | None, tried: Calibration | None, depth: float
) -> tuple[int | None, bool, str]:
    """The number of cells, whether it is exact, and its source."""
    if known is not None:
        source = "found by an earlier run" if known.found else "the centres that were given"
        return known.number, True, source
    if tried is None:
        return None, False, "not known before detection"
    if not tried.seen:
        first, last = tried.slices[0] + 1, tried.slices[1]
        return None, False, f"not known: none is seen in slices {first} to {last}"
    number = max(1, round(tried.cells(depth)))
    first, last = tried.slices[0] + 1, tried.slices[1]
    seen = f"{tried.seen:.3g}".rstrip(".")
    return number, False, f"estimated: {seen} in a slice, by the tissue in slices {first} to {last}"
