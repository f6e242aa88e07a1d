"""Where a run's time went, beside the machine's limits: ``python -m benchmarks.throughput RUN``.

For a finished run: wall time, tasks, peak memory, bytes read and written by stage and by worker;
megavoxels a second and core, and how much of the speed of memory or disk that is. Both limits are
measured here: arrays copied in memory, and files written, flushed, dropped from the cache and read.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import results
from benchmarks.recorded import describe, task_rows
from hela_dask.running.provenance import read_run
from hela_dask.storage.metadata import read_image

__all__ = ["disk_limits", "memory_limit", "stages", "without_folders", "workers"]

MIB = 2**20


def memory_limit(size: int = 256 * MIB, repeats: int = 5) -> float:
    """Bytes a second that one core moves when it copies an array (read and written, as STREAM)."""
    source = np.ones(size // 8)
    target = np.zeros_like(source)
    return 2 * source.nbytes / _best(lambda: np.copyto(target, source), repeats)


def disk_limits(folder: Path, size: int = 512 * MIB, repeats: int = 3) -> tuple[float, float]:
    """Bytes a second that `folder`'s disk writes and reads, nothing of it cached."""
    block = np.random.default_rng(0).integers(0, 256, 8 * MIB, dtype=np.uint8).tobytes()
    write, read = [], []
    for _ in range(repeats):
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            start = time.perf_counter()
            for _ in range(size // len(block)):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
            write.append(size / (time.perf_counter() - start))
            _forget(file.fileno())
            file.seek(0)
            start = time.perf_counter()
            while file.read(len(block)):
                pass
            read.append(size / (time.perf_counter() - start))
    return statistics.median(write), statistics.median(read)


def _forget(descriptor: int) -> None:
    """Have the system drop what it holds of a file, where it can be asked to."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _best(call: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def stages(run: Path) -> dict[str, dict[str, Any]]:
    """Each stage with timed tasks: wall time, tasks, memory, bytes, speed a worker."""
    facts = read_run(run)
    voxels = int(np.prod(facts["image"]["shape"], dtype=np.int64))
    count = int(facts["dask"].get("workers") or 1)
    found = {}
    for stage, rows in task_rows(run).items():
        wall = float(facts["timings"].get(stage, 0.0))
        busy = sum(float(row["seconds"]) for row in rows)
        found[stage] = {
            "tasks": len(rows),
            "wall": wall,
            "busy": busy,
            "cpu": _sum(rows, "cpu_seconds"),
            "peak": max(float(row["peak_memory"]) for row in rows),
            "longest": max(float(row["seconds"]) for row in rows),
            "read": _sum(rows, "read"),
            "written": _sum(rows, "written"),
            "speed": voxels / busy / 1e6,
            "workers_busy": busy / (wall * count) if wall else None,
        }
    for stage, wall in facts["timings"].items():
        found.setdefault(stage, {"tasks": 0, "wall": wall})
    return found


def workers(run: Path) -> list[dict[str, Any]]:
    """Each worker that did a task: its tasks, its peak memory, its busy seconds."""
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


def _sum(rows: list[dict[str, Any]], name: str) -> float | None:
    values = [row.get(name) for row in rows]
    known = [float(value) for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def fractions(stage: dict[str, Any], limits: dict[str, float]) -> dict[str, float | None]:
    """Share of its workers' busy time that memory and disk would need at full speed.

    Memory: what was read and written, moved once, by one core. Disk: the same at its own speed,
    as if nothing were cached.
    """
    read, written = stage.get("read"), stage.get("written")
    if read is None or written is None or not stage.get("busy"):
        return {"memory": None, "disk": None}
    return {
        "memory": 2 * (read + written) / limits["memory"] / stage["busy"],
        "disk": (read / limits["read"] + written / limits["write"]) / stage["wall"]
        if stage["wall"]
        else None,
    }


def measure(run: Path, scratch: Path | None = None) -> dict[str, Any]:
    """The run, and the machine's limits."""
    write, read = disk_limits(scratch or run)
    limits = {"memory": memory_limit(), "write": write, "read": read}
    facts = read_run(run)
    by_stage = stages(run)
    for stage in by_stage.values():
        stage["of"] = fractions(stage, limits)
    image = read_image(Path(facts["store"])) if Path(facts["store"]).exists() else None
    return {
        "source": describe(run),
        "shape": facts["image"]["shape"],
        "levels": len(image.levels) if image else facts["image"]["levels"],
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


def show(found: dict[str, Any]) -> None:
    """Print it as a table."""
    limits = found["limits"]
    print(found["source"])
    print(
        f"limits: memory {limits['memory'] / 1e9:.1f} GB/s a core, "
        f"disk {limits['write'] / 1e6:.0f} MB/s written, {limits['read'] / 1e6:.0f} MB/s read"
    )
    head = ("stage", "wall s", "tasks", "peak MiB", "read MB", "written MB", "Mvox/s/core")
    print(("{:<12}" + "{:>12}" * 8).format(*head, "of memory", "of disk"))
    for name, row in found["stages"].items():
        cells = [
            f"{row['wall']:.1f}",
            str(row["tasks"]),
            _text(row.get("peak"), ".0f"),
            _text(row.get("read"), ".0f", 1e-6),
            _text(row.get("written"), ".0f", 1e-6),
            _text(row.get("speed"), ".2f"),
            _text(row["of"]["memory"], ".1%"),
            _text(row["of"]["disk"], ".1%"),
        ]
        print(f"{name:<12}" + "".join(f"{cell:>12}" for cell in cells))
    for name, score in found["scores"].items():
        print(f"{name}: mean JI {score['ji']:.4f}, F1 at 0.5 {score['f1']:.3f}")
    for k, row in enumerate(found["workers"], 1):
        print(f"worker {k}: {row['tasks']} tasks, {row['busy']:.0f} s, {row['peak']:.0f} MiB")


def _text(value: float | None, how: str, scale: float = 1.0) -> str:
    return "" if value is None else format(value * scale, how)


def without_folders(command: Sequence[str]) -> list[str]:
    """Its words, without the folders of one machine."""
    return [Path(word).name if Path(word).is_absolute() else word for word in command]


def main() -> None:
    """Measure, print, and with ``--write`` keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="the folder of a finished run")
    parser.add_argument("--name", default="run", help="of its section on the page")
    parser.add_argument("--scratch", type=Path, help="where the disk is measured; default: RUN")
    parser.add_argument("--write", action="store_true", help="keep it in docs/performance.json")
    options = parser.parse_args()
    found = measure(options.run, options.scratch)
    show(found)
    if options.write:
        command = f"python -m benchmarks.throughput RUN --name {options.name} --write"
        results.keep(f"throughput-{options.name}", found, command)


if __name__ == "__main__":
    main()
