"""Settings of glibc's allocator for freed memory: kept during a task, given back after it."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

__all__ = ["KEPT", "LARGEST", "keep_freed_memory", "release_memory"]

LARGEST = 20 * 2**20
"""Bytes of the largest arrays allocated from freed memory: a plane's, a tile's of 2048 pixels."""

KEPT = 4 * LARGEST
"""Bytes of freed memory that a worker may keep."""

# Of mallopt.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> None:
    """Allocate arrays of up to :data:`LARGEST` from freed memory; no effect with another libc.

    Dask configures the allocator to return all freed memory. Kernels allocate and free arrays of a
    plane by the thousand, and the system clears every page of each: two fifths of a cell's
    processor time. Those of a whole window are few, and returned at once: in a fragmented heap,
    several free ones would stay.
    """
    libc = _libc()
    if libc is not None:
        libc.mallopt(_MMAP_THRESHOLD, LARGEST)
        libc.mallopt(_TRIM_THRESHOLD, KEPT)


def release_memory() -> None:
    """Return all free memory to the system, so that the next task finds room for its own."""
    libc = _libc()
    if libc is not None:
        libc.malloc_trim(0)


@cache
def _libc() -> Any:
    """The C library, if it is glibc."""
    try:
        libc = ctypes.CDLL(None)
    except (OSError, TypeError):  # not a POSIX system
        return None
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None
