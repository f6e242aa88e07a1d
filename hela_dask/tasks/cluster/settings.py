"""Settings of dask for the workers that a run starts."""

from __future__ import annotations

import os
import sys

__all__ = [
    "ENVIRONMENT",
    "METHOD",
    "PRELOAD",
    "SCHEDULER",
    "SETTINGS",
    "client_settings",
    "variable",
]

_LINUX = sys.platform == "linux"
METHOD = "distributed.worker.multiprocessing-method"
"""The setting of dask by which a worker's process is started."""

PRELOAD = "hela_dask.tasks.worker_preload"

# Of glibc's heaps only the first returns free memory at its end: with one for each thread that
# reads chunks, a worker would keep some hundred MiB. And numpy asks for pages of 2 MiB where it has
# arrays of 4 MiB and more: later small allocations there take such a page each.
ENVIRONMENT = {"MALLOC_ARENA_MAX": "1", "NUMPY_MADVISE_HUGEPAGE": "0"}

# For the dashboard a worker takes one profile per second, and by default keeps a thousand: some 100
# MiB in the end. Here it keeps those of the last quarter of an hour.
SETTINGS = {
    "distributed.worker.profile.interval": "500ms",
    "distributed.worker.profile.cycle": "10s",
    "distributed.admin.low-level-log-length": 100,
}

SCHEDULER: dict[str, object] = {
    # A task that ends its workers twice is tried again alone: see tasks/dispatch.py.
    "distributed.scheduler.allowed-failures": 1,
}
"""Settings of the scheduler."""


def client_settings() -> dict[str, object]:
    """Settings of the process that starts workers."""
    return {
        # On Linux, workers are forked from a process that has imported the libraries once: a run
        # starts in two thirds of the time. The environment variable of dask selects another method.
        METHOD: os.environ.get(variable(METHOD), "forkserver" if _LINUX else "spawn"),
        "distributed.worker.preload": [PRELOAD],
        **SCHEDULER,
        **SETTINGS,
        **{f"distributed.nanny.pre-spawn-environ.{key}": to for key, to in ENVIRONMENT.items()},
    }


def variable(setting: str) -> str:
    """The environment variable of dask for a setting; shells allow no hyphens in it."""
    return f"DASK_{setting.upper().replace('.', '__').replace('-', '_')}"
