"""SIGTERM, which ends an allocation at its wall time, stops a run as Ctrl-C does."""

from __future__ import annotations

import os
import signal
import sys
import threading

__all__ = ["interrupt_at_sigterm"]

_AGAIN = 0.2  # seconds to the next try


def interrupt_at_sigterm() -> None:
    """Raise KeyboardInterrupt in the main thread at the first SIGTERM, until it takes effect.

    An error that is raised while garbage is collected is lost, and SIGTERM is sent once only: then
    it is raised again. Later signals are ignored, so that the run can release its folders. Call it
    from the main thread.
    """
    taken = threading.Event()
    before = sys.unraisablehook

    def interrupt(*_: object) -> None:
        if not taken.is_set():
            taken.set()
            raise KeyboardInterrupt

    def lost(unraisable: sys.UnraisableHookArgs) -> None:
        if not (taken.is_set() and unraisable.exc_type is KeyboardInterrupt):
            before(unraisable)
            return
        taken.clear()
        timer = threading.Timer(_AGAIN, os.kill, (os.getpid(), signal.SIGTERM))
        timer.daemon = True
        timer.start()

    sys.unraisablehook = lost
    signal.signal(signal.SIGTERM, interrupt)
