"""Seconds of a call, and the code of an earlier commit."""

from __future__ import annotations

import math
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

__all__ = ["ROOT", "earlier_code", "side_by_side", "timed"]

ROOT = Path(__file__).parent.parent
T = TypeVar("T")
Item = TypeVar("Item")


def timed(call: Callable[[], T], repeats: int = 1, patience: float = math.inf) -> tuple[float, T]:
    """Median seconds of some calls, and the result of the last.

    Parameters
    ----------
    call : callable
    repeats : int
    patience : float
        Seconds: after a call that takes longer there is no other.
    """
    seconds: list[float] = []
    while True:
        start = time.perf_counter()
        result = call()
        seconds.append(time.perf_counter() - start)
        if len(seconds) == repeats or seconds[-1] > patience:
            return statistics.median(seconds), result


def side_by_side(
    function: Callable[[Item], T], items: Iterable[Item], processes: int = 1
) -> list[T]:
    """The results of a function for some items, in their order, by several processes."""
    if processes == 1:
        return list(map(function, items))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        return list(pool.map(function, items))


@contextmanager
def earlier_code(commit: str) -> Iterator[Path]:
    """The tree of a commit, checked out into a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", str(tree), commit], check=True, text=True)
        try:
            # Its methods are registered by its own metadata, which is found beside its code.
            setup = "from setuptools import setup; setup()"
            subprocess.run([sys.executable, "-c", setup, "-q", "egg_info"], cwd=tree, check=True)
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)
