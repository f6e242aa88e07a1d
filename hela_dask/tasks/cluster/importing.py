"""Imports of packages that change the handling of signals."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from unittest import mock

__all__ = ["signals_kept"]


@contextlib.contextmanager
def signals_kept() -> Iterator[None]:
    """Import dask-jobqueue without its handler of Ctrl-C.

    Its module ``runner`` sets one when it is imported: Ctrl-C then ends the process with exit code
    0, as if a run had finished. In a thread, the import fails, as only the main thread may set one.
    """
    with mock.patch.object(signal, "signal"):
        yield
