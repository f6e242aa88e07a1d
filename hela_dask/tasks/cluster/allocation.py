"""The scheduler of a run inside one allocation; its workers are the other processes there."""

from __future__ import annotations

import logging
import time
from typing import Any

from distributed import Scheduler, SpecCluster

from hela_dask.errors import ResourceError
from hela_dask.formatting import counted
from hela_dask.tasks.cluster.certificates import certificate_files, make_certificates
from hela_dask.tasks.cluster.guard import UNGUARDED, lacks_main_guard
from hela_dask.tasks.cluster.meeting import Host, host_meeting
from hela_dask.tasks.cluster.world import read_world

__all__ = ["Allocation", "start_allocation"]

_PATIENCE = 120.0  # seconds without any worker
_PAUSE = 5.0  # seconds between looks of one wait


class Patience:
    """Reports that no worker is left, after two minutes without one."""

    trouble = ""

    def __init__(self) -> None:
        self._since = self._looked = time.monotonic()

    @property
    def problem(self) -> str:
        """Why no worker can start, as the end of a sentence; empty while one may still join."""
        now = time.monotonic()
        if now - self._looked > _PAUSE:  # another wait
            self._since = now
        self._looked = now
        if now - self._since < _PATIENCE:
            return ""
        return (
            f"no worker of the allocation has joined for {_PATIENCE:.0f} s (they may have been "
            "killed for lack of memory: see the log of the job)"
        )


class Allocation(SpecCluster):
    """A scheduler in this process, which workers join from other processes of the allocation."""

    def __init__(self, host: Host, **options: Any) -> None:
        self.host, self.keeper = host, Patience()
        super().__init__(workers={}, **options)  # type: ignore[no-untyped-call]

    def waiting_text(self) -> str:
        """The state of the workers, for the waiting message."""
        return f"the allocation has {counted(self.host.world.size - 1, 'worker')}, and none is here"

    async def _close(self) -> None:
        self.host.withdraw()
        await super()._close()  # type: ignore[no-untyped-call]


def start_allocation(memory: int | None) -> Allocation:
    """Start the scheduler in this process, and call the other processes.

    `memory` (bytes) is the limit of each worker; None: each takes its share of its node.

    Raises
    ------
    MissingDependencyError
        When cryptography is not installed.
    ResourceError
        In a script without ``if __name__ == "__main__":``.
    """
    if lacks_main_guard():
        raise ResourceError(UNGUARDED)
    world = read_world()
    assert world is not None
    host = host_meeting(world)
    made = (host.folder / "key.pem").exists()
    security = certificate_files(host.folder) if made else make_certificates(host.folder)
    options = {"protocol": "tls://", "security": security, "dashboard_address": "127.0.0.1:0"}
    here = "127.0.0.1" if world.local_size == world.size else None
    if here is not None:
        options["host"] = here
    started = Allocation(
        host,
        scheduler={"cls": Scheduler, "options": {**options, "dashboard": True}},
        security=security,
        silence_logs=logging.WARNING,
    )
    host.publish({"address": started.scheduler_address, "memory": memory, "host": here})
    return started
