"""A plan as people read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hela_dask.formatting import by_axis, size_text, time_text

if TYPE_CHECKING:
    from hela_dask.planning.plan import Plan, Stage

__all__ = ["plan_text"]


def plan_text(plan: Plan) -> str:
    """The table of stages, and a line each for cells, memory, disk and time."""
    shape, size = by_axis(plan.shape), by_axis(plan.voxel_size)
    lines = [f"{plan.store}: {shape} voxels of {size} nm (z, y, x)"]
    if plan.working_shape != plan.shape:
        lines.append(
            f"cells are segmented at {by_axis(plan.working_shape)} voxels, and their outlines "
            "refined on the volume's own pixels"
        )
    lines += ["", *_table(plan), ""]
    facts = {
        "cells": plan.cells,
        "memory": _memory(plan),
        "disk": _disk(plan),
        "time": _time(plan),
    }
    return "\n".join([*lines, *(f"{name:<8}{text}" for name, text in facts.items() if text)])


def _table(plan: Plan) -> list[str]:
    rows = [("stage", "tasks", "memory each", "time")]
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
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return [
        "  ".join((row[0].ljust(widths[0]), *(row[at].rjust(widths[at]) for at in (1, 2, 3))))
        for row in rows
    ]


def _tasks(stage: Stage) -> str:
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
        return "not tried"
    first, last = plan.calibration.slices[0] + 1, plan.calibration.slices[1]
    spent = time_text(plan.calibration.seconds)
    return f"from {spent} of work on slices {first} to {last}, on this machine, as busy as now"
