"""Loaded by the workers that a run starts, see :func:`dask_setup`.

Workers that are started by hand load it with ``dask worker --preload
hela_dask.running.worker_preload``.
"""

from __future__ import annotations

import ctypes
import logging
import signal
import threading

__all__: list[str] = []

# Of glibc's mallopt.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def dask_setup(worker: object) -> None:
    """Called by dask in each worker process as it starts.

    Ctrl-C is for the process that started the workers, although the terminal sends it to the whole
    group: the parent stops them in order, and one that stopped by itself would look like one that
    died of its task.
    """
    del worker
    # It warns of each task that is cancelled, which is what an interruption does.
    logging.getLogger("distributed.worker.state_machine").setLevel(logging.ERROR)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()


def keep_freed_memory(largest: int = 256 * 2**20) -> None:
    """Let the allocator use arrays of up to `largest` bytes again, where the system is glibc's.

    Dask tells it to give back all that is freed. Kernels take and free arrays of a plane by the
    thousand, and the system clears every page of each: two fifths of a cell's processor time.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not Linux, or another libc
        return
    mallopt(_MMAP_THRESHOLD, largest)
    mallopt(_TRIM_THRESHOLD, 2 * largest)
