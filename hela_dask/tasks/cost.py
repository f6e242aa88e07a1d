"""Costs of a task in its process: seconds, processor time, memory, bytes read and written."""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hela_dask.tasks.allocator import release_memory

if TYPE_CHECKING:
    import psutil

__all__ = ["measured"]


@contextmanager
def measured(interval: float = 0.1) -> Iterator[dict[str, Any]]:
    """The costs of a task, filled in at the end; freed memory is released first.

    ``seconds``, and ``cpu_seconds`` of the processor; the most memory held meanwhile
    (``peak_memory``, MiB); the bytes it ``read`` and ``written``, cached or not, where the system
    counts them (Linux, Windows); the ``worker``. All are those of the process, so with several
    threads per worker they include the neighbours.
    """
    import psutil

    release_memory()
    process = psutil.Process()
    found: dict[str, Any] = {"worker": f"{platform.node()}-{process.pid}"}
    before = _spent(process)
    peak, over = [process.memory_info().rss], threading.Event()

    def watch() -> None:
        while not over.wait(interval):
            peak.append(max(peak.pop(), process.memory_info().rss))

    watcher = threading.Thread(target=watch, name="peak-memory", daemon=True)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()
        found["peak_memory"] = round(max(peak[0], process.memory_info().rss) / 2**20, 1)
        for name, value in _spent(process).items():
            found[name] = round(value - before[name], 3)


def _spent(process: psutil.Process) -> dict[str, float]:
    """Of a process so far: seconds, processor time, bytes read and written where known."""
    times = process.cpu_times()
    spent = {"seconds": time.perf_counter(), "cpu_seconds": times.user + times.system}
    if hasattr(process, "io_counters"):
        counters = process.io_counters()
        # Arrays allocated by the task; where only the disk's part is known, that.
        spent["read"] = getattr(counters, "read_chars", counters.read_bytes)
        spent["written"] = getattr(counters, "write_chars", counters.write_bytes)
    return spent
