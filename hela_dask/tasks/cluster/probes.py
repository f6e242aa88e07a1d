"""Measurements of a worker, from inside it: each is a function that the worker runs.

They return plain values. Each takes a few seconds at most.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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

_BLOCK = 8 * 2**20  # bytes per write
_WRITTEN = 128 * 2**20  # bytes of a file that is written to measure a disk
_SHARED = ("nfs", "lustre", "gpfs", "beegfs", "ceph", "cifs", "smb", "panfs", "afs", "glusterfs")
_NO_LIMIT = 2**60  # bytes: systems write a number above it where there is no limit
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
    try:
        cpus = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        cpus = os.cpu_count() or 1
    return {
        "memory": dict(_memory_limits()),
        "worker": worker.memory_manager.memory_limit or 0,
        "threads": worker.state.nthreads,
        "cpus": cpus,
        "files": _resource("RLIMIT_NOFILE"),
    }


def _memory_limits() -> Iterator[tuple[str, int]]:
    """The limits of this process by their names, in bytes."""
    import psutil

    yield "memory of the node", int(psutil.virtual_memory().total)
    for name in ("RLIMIT_AS", "RLIMIT_DATA"):
        if (limit := _resource(name)) is not None:
            yield f"ulimit ({name})", limit
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except OSError:
        return
    root = Path("/sys/fs/cgroup")
    for line in lines:
        _, kinds, group = line.split(":", 2)
        if kinds and "memory" not in kinds.split(","):
            continue
        top = root / "memory" if kinds else root
        file = "memory.limit_in_bytes" if kinds else "memory.max"
        place = top / group.lstrip("/")
        for folder in (place, *place.parents):
            if top not in (folder, *folder.parents):
                break
            try:
                text = (folder / file).read_text(encoding="ascii").strip()
            except OSError:
                continue
            if text.isdecimal() and int(text) < _NO_LIMIT:
                yield f"cgroup {folder}", int(text)


def _resource(name: str) -> int | None:
    """A soft limit of this process; None where there is none."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft = resource.getrlimit(getattr(resource, name))[0]
    return None if soft == resource.RLIM_INFINITY else int(soft)


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
        return {"problem": "", **_written(place)}
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
    found = {"folder": str(folder), "free": shutil.disk_usage(folder).free, "kind": _kind(folder)}
    try:
        return {**found, "problem": "", **_written(folder)}
    except OSError as error:
        return {**found, "problem": str(error.strerror or error)}


def _written(folder: Path) -> dict[str, float]:
    """Write a file with its data on the disk, and remove it: bytes and seconds."""
    block = os.urandom(_BLOCK)
    done = 0
    start = time.perf_counter()
    with tempfile.TemporaryFile(dir=folder, prefix="hela-dask-check-") as file:
        while done < _WRITTEN and time.perf_counter() - start < 3:
            file.write(block)
            done += len(block)
        file.flush()
        os.fsync(file.fileno())
    return {"bytes": done, "seconds": time.perf_counter() - start}


def _kind(folder: Path) -> str:
    """The kind of a folder's file system: "memory", "shared", "disk", or "" where unknown."""
    try:
        lines = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    for line in lines:
        words = line.split()
        mount = words[1].replace("\\040", " ")
        if folder.resolve().is_relative_to(mount) and len(mount) >= len(best):
            best, kind = mount, words[2]
    if kind.startswith("tmpfs") or kind == "ramfs":
        return "memory"
    return "shared" if any(name in kind for name in _SHARED) else "disk"


def probe_network(host: str, port: int) -> list[float]:
    """Seconds of connections to the scheduler."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        socket.create_connection((host, port), timeout=10).close()
        times.append(time.perf_counter() - start)
    return times
