"""What glibc's allocator does with freed memory: kept during a task, given back after it."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

__all__ = ["give_back", "keep_freed_memory"]

# Of mallopt.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def keep_freed_memory(largest: int = 32 * 2**20) -> None:
    """Let arrays of up to `largest` bytes be made of freed ones; nothing where libc is another.

    Dask tells the allocator to give back all that is freed. Kernels take and free arrays of a
    plane by the thousand, and the system clears every page of each: two fifths of a cell's
    processor time.
    """
    libc = _libc()
    if libc is not None:
        libc.mallopt(_MMAP_THRESHOLD, largest)
        libc.mallopt(_TRIM_THRESHOLD, 4 * largest)


def give_back() -> None:
    """Give all that is free back to the system, so that the next task finds room for its own."""
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
