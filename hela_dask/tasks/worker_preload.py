"""Loaded by the workers that a run starts.

Log records that they leave to the process that started them.

Ctrl-C: the terminal sends the signal to the whole process group. The parent stops its workers; a
worker that stopped alone would look like one that died of its task. And bad input, which the run
reports in one sentence.

Workers of an existing scheduler load it with ``dask worker --preload
hela_dask.tasks.worker_preload``.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

from distributed.comm.core import CommClosedError

from hela_dask import errors
from hela_dask.tasks.allocator import keep_freed_memory

if TYPE_CHECKING:
    from distributed import Worker

__all__ = ["MEMORY_TOPIC", "NEAR"]

MEMORY_TOPIC = "hela-dask-memory"
"""Topic of the events of a worker that is short of memory."""

NEAR = 0.85
"""Share of its limit at which a worker is short of memory."""

_LOGGERS = ("distributed.core", "distributed.nanny", "distributed.utils", "distributed.worker")
# Of a thread that waits for the end while its process ends: the one that started it knows.
_ENDED = "Worker process died unexpectedly"
_EVERY, _SELDOM = 200, 2.0  # milliseconds between checks, seconds between events

# A profile goes a hundred calls deep, as where loops are compiled, and dask takes its size by some
# ten calls for each of them.
_CALLS = 3000
_NAMES = tuple(f"{name}(" for name in errors.__all__)


def dask_setup(worker: Worker) -> None:
    """Called by dask in each worker process as it starts."""
    report_memory(worker)
    sys.setrecursionlimit(max(_CALLS, sys.getrecursionlimit()))
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(is_news)
    logging.getLogger("tornado.application").addFilter(deserves_traceback)
    # It warns of each cancelled task, and an interruption cancels tasks.
    logging.getLogger("distributed.worker.state_machine").setLevel(logging.ERROR)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()


def report_memory(worker: Worker) -> None:
    """Report to the scheduler when this worker comes near its memory limit.

    A worker that the system kills for lack of memory reports nothing itself.
    """
    limit = getattr(getattr(worker, "memory_manager", None), "memory_limit", None)
    if not limit:
        return
    from tornado.ioloop import PeriodicCallback

    reported = 0.0

    def look() -> None:
        nonlocal reported
        held = worker.monitor.get_process_memory()
        now = time.monotonic()
        if held > NEAR * limit and now - reported > _SELDOM:
            reported = now
            worker.log_event(MEMORY_TOPIC, {"worker": worker.address, "rss": held})

    watch = PeriodicCallback(look, _EVERY)
    worker.periodic_callbacks[MEMORY_TOPIC] = watch
    watch.start()


def deserves_traceback(record: logging.LogRecord) -> bool:
    """Whether an error in the worker's event loop is relevant: closing twice is not."""
    error = record.exc_info[1] if record.exc_info else None
    return not (isinstance(error, RuntimeError) and "ConnectionPool is closed" in str(error))


def is_news(record: logging.LogRecord) -> bool:
    """Whether a record of dask's worker adds information to the run's report.

    Bad input is reported by the run. A connection that another process has closed is no error of
    this worker: the process ended, and its peers notice.
    """
    if record.exc_info and isinstance(record.exc_info[1], CommClosedError):
        return False
    if record.msg == _ENDED:
        return False
    found = record.args if isinstance(record.args, tuple) else ()
    return not (
        str(record.msg).startswith("Compute Failed")
        and any(isinstance(part, str) and part.startswith(_NAMES) for part in found)
    )
