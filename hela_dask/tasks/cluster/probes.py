"""Measurements of a worker, from inside it: each is a function that the worker runs.

They return plain values. Each takes a few seconds at most.
"""

from __future__ import annotations

import socket
import sys
import time
from pathlib import Path
from typing import Any

from hela_dask.tasks.machine import (
    file_system_kind,
    measure_writing,
    memory_limits,
    resource_limit,
    usable_cpus,
)

__all__ = [
    "probe_folder",
    "probe_limits",
    "probe_network",
    "probe_scratch",
    "probe_software",
    "probe_store",
    "read_note",
    "read_store",
]

NOTE = "hela_dask cluster check"
"""The text of the files that one side writes and the other reads."""


def probe_software() -> dict[str, Any]:
    """The machine, the interpreter and the versions of packages."""
    from hela_dask.tasks.versions import versions

    return {"host": socket.gethostname(), "python": sys.executable, "versions": versions()}


def probe_limits() -> dict[str, Any]:
    """Limits of memory (bytes), CPUs and open files; the time (seconds since 1970)."""
    from distributed import get_worker

    worker: Any = get_worker()
    return {
        "memory": dict(memory_limits()),
        "worker": worker.memory_manager.memory_limit or 0,
        "threads": worker.state.nthreads,
        "cpus": usable_cpus(),
        "files": resource_limit("RLIMIT_NOFILE"),
    }


def probe_store(path: str) -> str:
    """Why this process cannot open the store; empty where it can."""
    from hela_dask.errors import HelaDaskError
    from hela_dask.storage.metadata import read_image

    try:
        read_image(path)
    except (HelaDaskError, OSError) as error:
        return " ".join(str(error).split())
    return ""


def read_store(path: str, seconds: float) -> dict[str, Any]:
    """Read files of the finest level, evenly spread, for so many seconds at most.

    Returns the number of files, their bytes after decompression, and the seconds.
    """
    import numpy as np

    from hela_dask.storage.metadata import read_image
    from hela_dask.storage.reading import StoredArray

    image = read_image(path)
    level = image.levels[0]
    array = StoredArray(image.path / level.path)
    grid = [-(-size // step) for size, step in zip(level.shape, level.file, strict=True)]
    count = int(np.prod(grid))
    order = np.random.default_rng().permutation(min(count, 10_000)) * max(1, count // 10_000)
    size = files = 0
    start = time.perf_counter()
    for index in order:
        corner = [
            int(at) * step
            for at, step in zip(np.unravel_index(index, grid), level.file, strict=True)
        ]
        box = [slice(at, at + step) for at, step in zip(corner, level.file, strict=True)]
        size += array[level.stored(box, slice(None))].nbytes
        files += 1
        if time.perf_counter() - start > seconds:
            break
    return {"files": files, "bytes": size, "seconds": time.perf_counter() - start}


def probe_folder(folder: str) -> dict[str, Any]:
    """Read the file that the other side wrote into a folder, and write one; with its speed."""
    place = Path(folder)
    if not place.is_dir():
        return {"problem": "does not see it"}
    if read_note(place / "here") != NOTE:
        return {"problem": "sees the folder, but not the file that was just written there"}
    try:
        (place / "there").write_text(NOTE, encoding="ascii")
        return {"problem": "", **measure_writing(place)}
    except OSError as error:
        return {"problem": f"cannot write there: {error.strerror or error}"}


def read_note(path: Path) -> str:
    """The text of a small file; empty where it cannot be read."""
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""


def probe_scratch() -> dict[str, Any]:
    """The folder for spilled data: its free bytes, kind of file system and speed of writing."""
    import shutil

    from distributed import get_worker

    folder = Path(get_worker().local_directory)
    found = {
        "folder": str(folder),
        "free": shutil.disk_usage(folder).free,
        "kind": file_system_kind(folder),
    }
    try:
        return {**found, "problem": "", **measure_writing(folder)}
    except OSError as error:
        return {**found, "problem": str(error.strerror or error)}


def probe_network(host: str, port: int) -> list[float]:
    """Seconds of connections to the scheduler."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        socket.create_connection((host, port), timeout=10).close()
        times.append(time.perf_counter() - start)
    return times
