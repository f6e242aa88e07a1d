"""Where a run's time went, beside the machine's limits: ``python -m benchmarks.throughput RUN``.

For a finished run: wall time, tasks, peak memory, bytes read and written by stage and by worker;
megavoxels per second and core, and which share of the speed of memory or disk that is. Both limits
are measured here: arrays copied in memory, and files written, flushed, dropped from the cache and
read.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from benchmarks import pages, results
from benchmarks.measuring import timed
from hela_dask.formatting import by_axis
from hela_dask.running.provenance import read_run
from hela_dask.storage.metadata import read_image
from hela_dask.volume.opening import open_volume

__all__ = [
    "describe",
    "fractions",
    "least_read",
    "memory_limit",
    "seconds_of",
    "stages",
    "task_rows",
]
__all__ += ["task_rows", "without_folders", "workers"]

MIB = 2**20


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


def memory_limit(size: int = 256 * MIB, repeats: int = 5) -> float:
    """Bytes per second that one core copies (read and written, as STREAM counts)."""
    source = np.ones(size // 8)
    target = np.zeros_like(source)
    return max(
        2 * source.nbytes / timed(lambda: np.copyto(target, source))[0] for _ in range(repeats)
    )


def disk_limits(folder: Path, size: int = 512 * MIB, repeats: int = 3) -> tuple[float, float]:
    """Bytes per second that `folder`'s disk writes and reads, with nothing cached."""
    block = np.random.default_rng(0).integers(0, 256, 8 * MIB, dtype=np.uint8).tobytes()

    def put(file: IO[bytes]) -> None:
        for _ in range(size // len(block)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())

    def get(file: IO[bytes]) -> None:
        while file.read(len(block)):
            pass

    write, read = [], []
    for _ in range(repeats):
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            write.append(size / timed(partial(put, file))[0])
            if hasattr(os, "posix_fadvise"):  # drop the file from the system's cache
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            file.seek(0)
            read.append(size / timed(partial(get, file))[0])
    return statistics.median(write), statistics.median(read)


def stages(run: Path) -> dict[str, dict[str, Any]]:
    """Each stage: wall time, tasks, memory in MiB, bytes, megavoxels per second and worker."""
    facts = read_run(run)
    voxels = int(np.prod(facts["image"]["shape"], dtype=np.int64))
    found = {}
    for stage, rows in task_rows(run).items():
        wall = float(facts["timings"].get(stage, 0.0))
        busy = sum(float(row["seconds"]) for row in rows)
        found[stage] = {
            "tasks": len(rows),
            "wall": wall,
            "busy": busy,
            "peak": max(float(row["peak_memory"]) for row in rows),
            "longest": max(float(row["seconds"]) for row in rows),
            "read": _sum(rows, "read"),
            "written": _sum(rows, "written"),
            "speed": voxels / busy / 1e6,
        }
    for stage, wall in facts["timings"].items():
        found.setdefault(stage, {"tasks": 0, "wall": wall})
    return found


def least_read(run: Path) -> dict[str, int]:
    """Bytes of the image that each stage must read at least: each voxel of its level once.

    Empty where the image is no longer where the run read it.
    """
    facts = read_run(run)
    store = (run / facts["store"]).resolve()
    if not store.is_dir():
        return {}
    levels = read_image(store).levels
    resolution = facts["parameters"]["working"]["resolution"]
    working = levels[open_volume(store, resolution).attrs["level"]]
    stored = {
        level.path: sum(
            path.stat().st_size for path in (store / level.path).rglob("*") if path.is_file()
        )
        for level in (levels[0], working)
    }
    coarse, fine = stored[working.path], stored[levels[0].path]
    return {"background": coarse, "classify": coarse, "segment": coarse, "assemble": fine}


def _sum(rows: list[dict[str, Any]], name: str) -> float | None:
    values = [row.get(name) for row in rows]
    return None if None in values else sum(map(float, values))  # type: ignore[arg-type]


def workers(run: Path) -> list[dict[str, Any]]:
    """Each worker that did a task: its tasks, its peak memory in MiB, its busy seconds."""
    found: dict[str, dict[str, Any]] = {}
    for rows in task_rows(run).values():
        for row in rows:
            name = str(row.get("worker", "all workers"))
            mine = found.setdefault(name, {"tasks": 0, "busy": 0.0, "peak": 0.0})
            mine["tasks"] += 1
            mine["busy"] += float(row["seconds"])
            mine["peak"] = max(mine["peak"], float(row["peak_memory"]))
    return [found[name] for name in sorted(found)]


def scores(run: Path) -> dict[str, dict[str, float]]:
    """Mean JI of nuclei and cells that match a true one, and F1 at 0.5, of a run with a truth."""
    path = run / "scores.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {
        name: {
            "ji": known[name]["instances"]["mean_iou"],
            "f1": known[name]["instances"]["thresholds"][0]["f1"],
        }
        for name in ("nucleus", "cell")
        if isinstance(known.get(name, {}).get("instances"), dict)
    }


def fractions(stage: dict[str, Any], limits: dict[str, float]) -> dict[str, float | None]:
    """Share of its workers' busy time that memory and disk would need at full speed.

    Memory: all bytes read and written, moved once, by one core. Disk: the same at its own speed,
    as if nothing were cached.
    """
    read, written, wall = stage.get("read"), stage.get("written"), stage["wall"]
    if read is None or written is None or not stage.get("busy"):
        return {"memory": None, "disk": None}
    disk = read / limits["read"] + written / limits["write"]
    return {
        "memory": 2 * (read + written) / limits["memory"] / stage["busy"],
        "disk": disk / wall if wall else None,
    }


def measure(run: Path, scratch: Path | None = None) -> dict[str, Any]:
    """The run, and the machine's limits."""
    write, read = disk_limits(scratch or run)
    limits = {"memory": memory_limit(), "write": write, "read": read}
    facts = read_run(run)
    by_stage, least = stages(run), least_read(run)
    for name, stage in by_stage.items():
        stage["of"] = fractions(stage, limits)
        stage["least"] = least.get(name)
    return {
        "source": describe(run),
        "shape": facts["image"]["shape"],
        "statuses": facts["statuses"],
        "dask": {
            name: facts["dask"].get(name) for name in ("workers", "threads", "memory_of_a_worker")
        },
        "run_command": without_folders(facts.get("machine", {}).get("command", [])),
        "wall": sum(wall for stage, wall in facts["timings"].items() if stage != "score"),
        "scores": scores(run),
        "stages": by_stage,
        "workers": workers(run),
        "limits": limits,
    }


def without_folders(command: Sequence[str]) -> list[str]:
    """The words of a command, without the folders of one machine."""
    return [Path(word).name if Path(word).is_absolute() else word for word in command]


def main() -> None:
    """Measure, print, and with ``--write`` keep."""
    parser = results.parser(__doc__, write="keep it in docs/performance.json")
    parser.add_argument("run", type=Path, help="the folder of a finished run")
    parser.add_argument("--name", default="run", help="of its section on the page")
    parser.add_argument("--scratch", type=Path, help="where the disk is measured; default: RUN")
    options = parser.parse_args()
    found = measure(options.run, options.scratch)
    print(pages.render("run", {"run": found}))
    if options.write:
        command = f"python -m benchmarks.throughput RUN --name {options.name} --write"
        results.keep(f"throughput-{options.name}", found, command)


if __name__ == "__main__":
    main()
