"""The processes of an allocation that compute: workers of the first process, as long as it runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from typing import Any

import dask
from distributed import Nanny

from hela_dask.tasks.cluster.certificates import certificate_files
from hela_dask.tasks.cluster.meeting import Visit
from hela_dask.tasks.cluster.settings import client_settings, variable
from hela_dask.tasks.cluster.world import World

__all__ = ["look_pause", "work"]

log = logging.getLogger(__name__)

_LOOK = (0.5, 5.0)  # seconds between looks, fewest and most: each asks the shared file system,
_LOOKS = 200  # and all processes together look so many times per second
_START = "120s"  # for a worker to reach the scheduler
_FAILURES = 3  # in a row, before they are reported
_CLOSE = 10  # seconds for a worker's process to end


def work(world: World, memory: int | None) -> int:
    """Work for the schedulers of the first process, one after the other, until it ends.

    `memory` (bytes) is the limit of this worker where the first process gives none. The result is
    the exit code: 0, or 1 where the first process has disappeared.
    """
    # SLURM ends an allocation by a signal to every process. The first process stops its work in
    # order, and sends this one away: a worker that stopped alone would look like a lost one.
    for kind in (signal.SIGTERM, signal.SIGINT):
        signal.signal(kind, signal.SIG_IGN)
    os.environ[variable("logging.distributed")] = "warning"  # for the worker's process
    logging.getLogger("distributed").setLevel(logging.WARNING)
    for name in ("distributed.core", "distributed.nanny", "distributed.comm"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # the first process reports lost workers
    visit = Visit(world)
    try:
        with dask.config.set(client_settings()):
            _work_until(visit, world, memory)
        return 1 if visit.lost() else 0
    finally:
        visit.leave()


def look_pause(world: World) -> float:
    """Seconds between looks of one process at the folder of the meeting."""
    return min(max(_LOOK[0], world.size / _LOOKS), _LOOK[1])


def _work_until(visit: Visit, world: World, memory: int | None) -> None:
    """Work for each scheduler that the first process shows, until it ends."""
    failed = 0
    while not visit.over():
        facts = visit.scheduler()
        if facts is not None:
            try:
                asyncio.run(_serve(visit, facts, world, memory))
                failed = 0
            except Exception as error:
                # A scheduler that has just ended, or one that a killed command has left, is no
                # fault of this process.
                failed = failed + 1 if visit.scheduler() == facts else 0
                if failed == _FAILURES:
                    reason = " ".join(f"{type(error).__name__}: {error}".split())
                    log.warning("process %d of the allocation cannot work: %s", world.rank, reason)
        time.sleep(look_pause(world))


async def _serve(visit: Visit, facts: dict[str, Any], world: World, memory: int | None) -> None:
    """A worker with its nanny, until its scheduler or the first process ends.

    The first process is watched also while the worker starts, which takes two minutes where the
    scheduler is gone.
    """
    nanny = Nanny(
        facts["address"],
        nthreads=1,
        name=world.rank,
        memory_limit=facts.get("memory") or memory,
        security=certificate_files(visit.folder),
        host=facts.get("host"),
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.WARNING,
        death_timeout=_START,
    )
    working = asyncio.ensure_future(_work(nanny))
    try:
        while not working.done() and not visit.over():
            current = visit.scheduler()
            if current is None or current.get("id") != facts.get("id"):
                # The scheduler ends its workers; one that it does not know must go too.
                await asyncio.wait([working], timeout=_CLOSE)
                break
            await asyncio.wait([working], timeout=look_pause(world))
        if working.done():
            working.result()  # an error of the start
    finally:
        working.cancel()
        with contextlib.suppress(Exception, asyncio.CancelledError):
            await working
        with contextlib.suppress(Exception):
            await nanny.close(timeout=_CLOSE, reason="the run has ended")


async def _work(nanny: Nanny) -> None:
    """Start the worker, and wait for its end."""
    await nanny
    await nanny.finished()
