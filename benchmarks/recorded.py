"""What the tasks of a finished run took, from the markers in its folder ``done``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hela_dask.formatting import by_axis
from hela_dask.running.provenance import read_run

__all__ = ["describe", "seconds_of", "task_rows"]


def task_rows(run: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of all tasks that were timed, by stage, stages in the order in which they began.

    Raises
    ------
    SystemExit
        When the folder holds no finished task.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    began: dict[str, float] = {}
    for path in sorted((run / "done").glob("*.json")):
        marker = json.loads(path.read_text(encoding="utf-8"))
        row = marker.get("result") if isinstance(marker, dict) else None
        if isinstance(row, dict) and "seconds" in row:
            stage = path.stem.split("-")[0]
            found.setdefault(stage, []).append(row)
            began[stage] = min(began.get(stage, path.stat().st_mtime), path.stat().st_mtime)
    if not found:
        raise SystemExit(f"{run} holds no timed task: give the folder of a finished run")
    return {stage: found[stage] for stage in sorted(found, key=began.__getitem__)}


def seconds_of(run: Path) -> dict[str, list[float]]:
    """Seconds of each task by stage, longest first."""
    return {
        stage: sorted((float(row["seconds"]) for row in rows), reverse=True)
        for stage, rows in task_rows(run).items()
    }


def describe(run: Path) -> str:
    """The run in one line: its volume, method and version."""
    facts = read_run(run)
    if not facts:
        raise SystemExit(f"{run} has no run.json: give the folder of a finished run")
    image = facts["image"]
    version = facts.get("versions", {}).get("hela_dask", "")
    return (
        f"{by_axis(image['shape'])} voxels of {by_axis(image['voxel_size'])} nm, "
        f"method `{facts['method']}`, hela_dask {version}"
    )
