"""SIGTERM, which ends a job at its wall time, stops a command as Ctrl-C does."""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading

__all__ = ["interrupt_at_signals"]

_AGAIN = 0.2  # seconds to the next try


@functools.cache
def interrupt_at_signals() -> None:
    """Raise KeyboardInterrupt in the main thread at SIGINT and SIGTERM, until it takes effect.

    An error that is raised while garbage is collected is lost: then it is raised again. Of several
    SIGTERM the first one counts, so that the run can release its folders. Nothing happens outside
    of the main thread, and to a signal that this process ignores from its start.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    terminated = threading.Event()
    received = [signal.SIGINT]  # the last one, for a new try
    before = sys.unraisablehook

    def interrupt(number: int, _: object) -> None:
        if number == signal.SIGTERM:
            if terminated.is_set():
                return
            terminated.set()
        received[0] = signal.Signals(number)
        raise KeyboardInterrupt

    def lost(unraisable: sys.UnraisableHookArgs) -> None:
        if unraisable.exc_type is not KeyboardInterrupt:
            before(unraisable)
            return
        terminated.clear()
        timer = threading.Timer(_AGAIN, _send, received)
        timer.daemon = True
        timer.start()

    sys.unraisablehook = lost
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


def _send(number: signal.Signals) -> None:
    """Send a signal to this process; on POSIX it also ends a wait of the main thread."""
    if sys.platform == "win32":
        signal.raise_signal(number)
    else:
        os.kill(os.getpid(), number)
