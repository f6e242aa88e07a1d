"""Loops without a fast numpy equivalent, compiled once for this processor and cached on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from numba import njit

__all__ = ["compiled", "loops_compiled"]

P = ParamSpec("P")
R = TypeVar("R")

_LOOPS: list[Any] = []


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function of arrays and numbers at its first call (numba.njit); it releases the GIL.

    Compiled code is cached beside the module, or in the user's cache folder. Where neither can be
    written, as in some containers, each process compiles anew.
    """
    fast: Any
    try:
        fast = njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no place to keep it
        fast = njit(nogil=True)(function)
    _LOOPS.append(fast)
    return cast("Callable[P, R]", fast)


def loops_compiled() -> int:
    """Number of loops that this process has compiled; cached ones do not count."""
    kept = [loop.stats for loop in _LOOPS if hasattr(loop, "stats")]  # without the compiler none
    return sum(sum(stats.cache_misses.values()) for stats in kept)
