"""Seconds of a call, and the code of an earlier commit."""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

__all__ = ["ROOT", "earlier_code", "timed"]

ROOT = Path(__file__).parent.parent
T = TypeVar("T")


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
