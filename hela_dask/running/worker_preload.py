"""Loaded by the workers that a run starts: what they leave to the process that started them.

Ctrl-C: the terminal sends it to the whole group. The parent stops its workers in order; a worker
that stopped by itself would look like one that died of its task. And bad input, of which the run
says one sentence.

Workers that are started by hand load it with ``dask worker --preload
hela_dask.running.worker_preload``.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading

from hela_dask import errors
from hela_dask.running.allocator import keep_freed_memory

__all__: list[str] = []

# A profile goes a hundred calls deep, as where loops are compiled, and dask takes its size by some
# ten calls for each of them.
_CALLS = 3000
_NAMES = tuple(f"{name}(" for name in errors.__all__)


def dask_setup(worker: object) -> None:
    """Called by dask in each worker process as it starts."""
    del worker
    sys.setrecursionlimit(max(_CALLS, sys.getrecursionlimit()))
    logging.getLogger("distributed.worker").addFilter(is_news)
    # It warns of each task that is cancelled, which is what an interruption does.
    logging.getLogger("distributed.worker.state_machine").setLevel(logging.ERROR)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()


def is_news(record: logging.LogRecord) -> bool:
    """Whether a record of dask's worker says what the run does not: bad input it does."""
    found = record.args if isinstance(record.args, tuple) else ()
    return not (
        str(record.msg).startswith("Compute Failed")
        and any(isinstance(part, str) and part.startswith(_NAMES) for part in found)
    )
