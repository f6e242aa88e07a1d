"""A real scheduler with many real workers on one machine; tasks only sleep.

``python -m benchmarks.farm ADDRESS COUNT`` holds so many single-thread workers in one process;
:func:`farm` starts the scheduler and these, each in a separate process.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import psutil
from distributed import Client, Worker

from benchmarks.measuring import ROOT
from hela_dask.tasks.units import Unit

__all__ = ["Farm", "farm", "nap"]

IN_A_PROCESS = 250


def nap(_: object, unit: Unit) -> dict[str, Any]:
    """Sleep as long as a recorded task took."""
    if unit.what:
        time.sleep(unit.what)
    return {"seconds": unit.what, "peak_memory": 0.0}


@dataclass(frozen=True)
class Farm:
    """A scheduler, its workers, and a client of it.

    Attributes
    ----------
    client : distributed.Client
    workers : int
    scheduler : psutil.Process
    """

    client: Client
    workers: int
    scheduler: psutil.Process

    def scheduler_seconds(self) -> float:
        """Processor time that the scheduler took so far."""
        times = self.scheduler.cpu_times()
        return float(times.user + times.system)


@contextlib.contextmanager
def farm(workers: int) -> Iterator[Farm]:
    """Start a scheduler with so many workers; stop them at the end."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        file = str(Path(folder, "scheduler.json"))
        place = ["--host", "127.0.0.1", "--port", "0", "--scheduler-file", file]
        module = "distributed.cli.dask_scheduler"
        scheduler = _start(module, *place, "--no-dashboard", "--idle-timeout", "120s")
        stack.callback(_stop, scheduler)
        client = stack.enter_context(Client(scheduler_file=file, set_as_default=False))
        for first in range(0, workers, IN_A_PROCESS):
            count = min(IN_A_PROCESS, workers - first)
            stack.callback(_stop, _start("benchmarks.farm", client.scheduler.address, str(count)))
        client.wait_for_workers(workers, timeout=120)
        yield Farm(client, workers, psutil.Process(scheduler.pid))


def _start(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


async def _work(address: str, count: int) -> None:
    workers = await asyncio.gather(
        *(Worker(address, nthreads=1, memory_limit=0, dashboard=False) for _ in range(count))
    )
    await asyncio.gather(*(worker.finished() for worker in workers))


if __name__ == "__main__":
    # The housekeeping of the workers would use the processor time of the scheduler.
    with dask.config.set(
        {
            "distributed.worker.profile.enabled": False,
            "distributed.admin.system-monitor.interval": "60s",
        }
    ):
        asyncio.run(_work(sys.argv[1], int(sys.argv[2])))
