"""The needs of a run: the stages of a plan, and the table that shows them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hela_dask.formatting import by_axis, size_text, time_text
from hela_dask.pages import Card, Frame, Shown, make_card
from hela_dask.planning.disk import DiskNeed
from hela_dask.storage.files import plain
from hela_dask.storage.urls import StorePath

if TYPE_CHECKING:
    from hela_dask.planning.calibrate import Calibration

__all__ = ["Plan", "PlannedStage"]


@dataclass(frozen=True)
class PlannedStage:
    """A stage of a run that has not started."""

    name: str  # background, detection, cells, labels or report
    tasks: int | None  # how many; None where that is not known before detection
    exact: bool = True  # whether that is known, not estimated
    done: int = 0  # of these, finished by an earlier run
    # Bytes that one task takes at most, with its process; None for the report, which is written by
    # the command itself
    memory: int | None = None
    # Wall time with the requested workers, of the unfinished units; None where nothing was tried
    seconds: float | None = None


@dataclass(frozen=True)
class Plan(Shown):
    """The needs of a run; printing it shows a table.

    Attributes
    ----------
    store, run, labels : Path
        The volume (or its address), the run folder, and the store that gets the labels.
    shape : tuple of int
        Voxels of the volume, z, y, x.
    voxel_size : tuple of float
        nm.
    working_shape : tuple of int
        Voxels of the working level.
    stages : tuple of PlannedStage
        In their order.
    workers : int or None
        Workers that will be started; None where a running cluster is used.
    memory : int or None
        Bytes of memory of each; None where that is not known before connecting.
    memory_needed : int
        Bytes that each should have, so that no task makes it spill or pause.
    disk : DiskNeed
        Estimate of the written bytes, and the free bytes.
    cells : str
        The source of the number of cells.
    calibration : Calibration or None
        The measured sample; None where nothing was.

    Examples
    --------
    >>> import hela_dask as hd
    >>> found = hd.plan("hela.ome.zarr", "new.run", workers=2, memory="4GiB", calibrate=False)
    >>> found.shape, found.workers, found.cells
    ((64, 200, 200), 2, 'not known before detection')
    """

    store: StorePath
    run: Path
    labels: Path
    shape: tuple[int, int, int]
    voxel_size: tuple[float, float, float]
    working_shape: tuple[int, int, int]
    stages: tuple[PlannedStage, ...]
    workers: int | None
    memory: int | None
    memory_needed: int
    disk: DiskNeed
    cells: str
    calibration: Calibration | None = field(default=None, repr=False)

    @property
    def seconds(self) -> float | None:
        """Wall time of all stages; None where any is not known."""
        known = [stage.seconds for stage in self.stages if stage.seconds is not None]
        return sum(known) if len(known) == len(self.stages) else None

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON takes it: sizes in bytes, times in seconds; null where not known.

        Examples
        --------
        >>> import hela_dask as hd
        >>> found = hd.plan("hela.ome.zarr", "new.run", workers=2, memory="4GiB", calibrate=False)
        >>> found.to_dict()["memory"]
        4294967296
        """
        found: dict[str, Any] = plain({**asdict(self), "seconds": self.seconds})
        return found

    def __str__(self) -> str:
        return _text(self)

    def _card(self) -> Card:
        head, *rows = _rows(self)
        known = self.seconds is not None
        shape, size = by_axis(self.shape), by_axis(self.voxel_size)
        return make_card(
            f"Plan of {self.store}",
            {
                "volume": f"{shape} voxels of {size} nm (z, y, x)",
                "run folder": self.run,
                **_facts(self),
            },
            badge=time_text(self.seconds) if known else "",
            tables=(("", Frame(head, tuple(rows))),),
        )


def _text(plan: Plan) -> str:
    """The table of stages, and a line each for cells, memory, disk and time."""
    shape, size = by_axis(plan.shape), by_axis(plan.voxel_size)
    lines = [f"{plan.store}: {shape} voxels of {size} nm (z, y, x)"]
    if plan.working_shape != plan.shape:
        lines.append(
            f"cells are segmented at {by_axis(plan.working_shape)} voxels, and their outlines "
            "refined on the volume's own pixels"
        )
    lines += ["", *_table(plan), ""]
    facts = _facts(plan).items()
    return "\n".join([*lines, *(f"{name:<8}{text}" for name, text in facts if text)])


def _facts(plan: Plan) -> dict[str, str]:
    """The needs that are not those of a stage."""
    return {
        "cells": plan.cells,
        "memory": _memory(plan),
        "disk": _disk(plan),
        "time": _time(plan),
    }


def _rows(plan: Plan) -> list[tuple[str, ...]]:
    """The table of stages, with its heads."""
    rows: list[tuple[str, ...]] = [("stage", "tasks", "memory each", "time")]
    rows += [
        (
            stage.name,
            _tasks(stage),
            "-" if stage.memory is None else size_text(stage.memory),
            time_text(stage.seconds),
        )
        for stage in plan.stages
    ]
    if plan.seconds is not None:
        rows.append(("total", "", "", time_text(plan.seconds)))
    return rows


def _table(plan: Plan) -> list[str]:
    rows = _rows(plan)
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return [
        "  ".join((row[0].ljust(widths[0]), *(row[at].rjust(widths[at]) for at in (1, 2, 3))))
        for row in rows
    ]


def _tasks(stage: PlannedStage) -> str:
    if stage.tasks is None:
        return "?"
    number = f"{'' if stage.exact else 'about '}{stage.tasks}"
    if not stage.done:
        return number
    return f"{number}, {'all' if stage.done == stage.tasks else stage.done} done"


def _memory(plan: Plan) -> str:
    needed = size_text(plan.memory_needed)
    if plan.memory is None:
        return f"a worker should have {needed} for each of its threads"
    count = f"{plan.workers} worker{'s' if plan.workers != 1 else ''}"
    easy = "is enough" if plan.memory >= plan.memory_needed else "would let none pause"
    return f"{count} of {size_text(plan.memory)}; {needed} each {easy}"


def _disk(plan: Plan) -> str:
    disk = plan.disk
    files = f"about {size_text(disk.labels)} of labels in up to {disk.files} files"
    if disk.same:
        return (
            f"{files}, and {size_text(disk.run)} in {disk.run_path.name}; "
            f"{size_text(disk.labels_free)} free"
        )
    return (
        f"{files} ({size_text(disk.labels_free)} free there), and {size_text(disk.run)} in "
        f"{disk.run_path} ({size_text(disk.run_free)} free)"
    )


def _time(plan: Plan) -> str:
    if plan.calibration is None:
        return "not measured"
    first, last = plan.calibration.slices[0] + 1, plan.calibration.slices[1]
    spent = time_text(plan.calibration.seconds)
    return f"from {spent} of work on slices {first} to {last}, on this machine, as busy as now"
