"""The heartbeat of a lock: a small file that its holder changes every few seconds.

A process on another machine cannot be looked at. Its heartbeat can: a number that rises. A second
start watches it, and nothing depends on the clock of a machine. The file is written in place with
the same length each time, so that no moment without content exists, and is opened anew for each
look, as a network file system compares it with its server then.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["INTERVAL", "LOOKS", "Heartbeat", "beat_file", "read_beat", "stands"]

log = logging.getLogger(__name__)

INTERVAL = 5.0
"""Seconds between two beats."""

LOOKS = 60
"""Looks without a change, about a second apart, after which the holder counts as dead."""

_PAUSE = 1.0  # seconds between looks
_NEWS = 15  # looks between messages
_DIGITS = 12


def beat_file(lock: Path, token: str) -> Path:
    """The heartbeat beside the lock file of the holder with that token."""
    return lock.with_name(f".{lock.name.lstrip('.')}.{token[:16]}.beat")


def read_beat(path: Path) -> bytes | None:
    """The content at this moment; None where there is no file, or it cannot be read."""
    try:
        with path.open("rb", buffering=0) as file:
            return file.read(64)
    except OSError:
        return None


class Heartbeat:
    """Beats from :meth:`start` to :meth:`stop`, in a thread; :meth:`make` makes the file before.

    Parameters
    ----------
    path : Path
        The file.
    holds : callable () -> bool
        Whether the lock is still this process's. Asked where the file was removed: another
        process may have taken the lock over, as after this one was suspended.
    """

    def __init__(self, path: Path, holds: Callable[[], bool]) -> None:
        self._path, self._holds = path, holds
        self._count = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def make(self) -> None:
        """Make the file, with the next beat; OSError where the folder cannot be written to."""
        self._write(os.O_CREAT)

    def start(self) -> None:
        """Beat from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Beat no more, and remove the file."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join(INTERVAL)  # a file system that hangs is not waited for
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._over.wait(INTERVAL):
            try:
                self._write()
            except FileNotFoundError:
                try:
                    if not self._holds():
                        return
                    self._write(os.O_CREAT)
                except Exception:
                    log.debug("heartbeat %s", self._path, exc_info=True)
            except OSError:
                log.debug("heartbeat %s", self._path, exc_info=True)

    def _write(self, flags: int = 0) -> None:
        self._count += 1
        file = os.open(self._path, flags | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o666)
        try:
            os.write(file, f"{self._count:0{_DIGITS}d}\n".encode())
        finally:
            os.close(file)


def stands(
    path: Path, changed: Callable[[], bool], on_wait: Callable[[int], None], *, again: bool = False
) -> bool | None:
    """Watch a heartbeat for about :data:`LOOKS` seconds.

    Looks are counted, not seconds: where this process was suspended meanwhile, it looks on.

    Parameters
    ----------
    path : Path
        The heartbeat.
    changed : callable () -> bool
        Whether the lock is gone, or another process has it.
    on_wait : callable (seconds)
        Called now and then with the time that is left.
    again : bool
        Another heartbeat of the same process was watched, and stands: a sixth of the looks is
        enough.

    Returns
    -------
    bool or None
        True where it did not move, False as soon as it moves, None as soon as the lock changes.
    """
    first, looks = read_beat(path), LOOKS // 6 if again else LOOKS
    for look in range(looks):
        if look % _NEWS == 0:
            on_wait(round((looks - look) * _PAUSE))
        time.sleep(_PAUSE)
        if changed():
            return None
        if read_beat(path) != first:
            return False
    return True
