"""Loops that numpy cannot do well, compiled once for this processor and kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from numba import njit

__all__ = ["compiled"]

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function of arrays and numbers when it is first called; it holds no lock.

    What was compiled is kept beside the module, or in the user's cache folder. Where neither can
    be written, as in some containers, each process compiles anew.
    """
    fast: Any
    try:
        fast = njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no place to keep it
        fast = njit(nogil=True)(function)
    return cast("Callable[P, R]", fast)
