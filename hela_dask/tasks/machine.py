"""Properties of the machine that this process runs on: limits, disks, processors.

Needs the standard library, and psutil for the memory.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = [
    "file_system_kind",
    "measure_writing",
    "memory_limits",
    "resource_limit",
    "usable_cpus",
]

_BLOCK = 8 * 2**20  # bytes per write
_WRITTEN = 128 * 2**20  # bytes of a file that is written to measure a disk
_SHARED = ("nfs", "lustre", "gpfs", "beegfs", "ceph", "cifs", "smb", "panfs", "afs", "glusterfs")
_NO_LIMIT = 2**60  # bytes: systems write a number above it where there is no limit


def usable_cpus() -> int:
    """Number of processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


def memory_limits() -> Iterator[tuple[str, int]]:
    """The limits of this process by their names, in bytes."""
    import psutil

    yield "memory of the node", int(psutil.virtual_memory().total)
    for name in ("RLIMIT_AS", "RLIMIT_DATA"):
        if (limit := resource_limit(name)) is not None:
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


def resource_limit(name: str) -> int | None:
    """A soft limit of this process; None where there is none."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft = resource.getrlimit(getattr(resource, name))[0]
    return None if soft == resource.RLIM_INFINITY else int(soft)


def measure_writing(folder: Path) -> dict[str, float]:
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


def file_system_kind(folder: Path) -> str:
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
