"""Loaded by the workers that a run starts: Ctrl-C is for the process that started them.

The terminal sends it to the whole group. The parent stops its workers in order; a worker that
stopped by itself would look like one that died of its task.
"""

from __future__ import annotations

import logging
import signal
import threading

__all__: list[str] = []


def dask_setup(worker: object) -> None:
    """Called by dask in each worker process as it starts."""
    del worker
    # It warns of each task that is cancelled, which is what an interruption does.
    logging.getLogger("distributed.worker.state_machine").setLevel(logging.ERROR)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
