"""The folder in which the processes of an allocation meet.

The first process makes it in the current folder, which all nodes see, and renews a file in it every
few seconds, so that the others notice when it is gone. It publishes the address of its scheduler
there, beside the certificate; only the user can read the folder. At the end, it waits for the
others to leave, and removes the folder.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from hela_dask.errors import StorageError
from hela_dask.tasks.cluster.world import World

__all__ = ["Host", "Visit", "host_meeting"]

_PREFIX = ".hela-dask-"
_ALIVE, _SCHEDULER, _END, _LEFT = "alive", "scheduler.json", "end", "left-"
_FIRST = "0"  # the first and the last sign of life
_BEAT, _LOOK = 5.0, 1.0  # seconds between signs of life, and between looks
_PATIENCE = 90.0  # seconds without a sign of life, until the first process is gone
_START = 600.0  # seconds for it to start: many processes that load Python at a time are slow
_LEAVE = 15.0  # seconds for the others to leave
_OLD = 3600.0  # seconds after which the folder of a killed command is removed
_hosts: dict[Path, Host] = {}


class Host:
    """The side of the first process; see the module.

    StorageError when the folder cannot be made.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.folder = _folder(world)
        try:
            _remove_old(self.folder)
            self.folder.mkdir(mode=0o700)
            (self.folder / _ALIVE).write_text(_FIRST, encoding="ascii")
        except OSError as error:
            raise StorageError(
                f"--cluster runner cannot make {self.folder} ({error.strerror or error}): start "
                "it in a folder that you may write to, on a file system that all nodes share"
            ) from error
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def publish(self, facts: dict[str, Any]) -> None:
        """Show the address of a scheduler to the other processes."""
        path = self.folder / _SCHEDULER
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps({**facts, "id": uuid.uuid4().hex}), encoding="utf-8")
        temporary.replace(path)

    def withdraw(self) -> None:
        """Remove the address before its scheduler ends."""
        (self.folder / _SCHEDULER).unlink(missing_ok=True)

    def close(self) -> None:
        """Send the other processes away, and remove the folder."""
        self._over.set()
        with contextlib.suppress(OSError):
            (self.folder / _ALIVE).write_text(_FIRST, encoding="ascii")
            (self.folder / _END).touch()
        until = time.monotonic() + _LEAVE
        while time.monotonic() < until and self._left() < self.world.size - 1:
            time.sleep(0.1)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _left(self) -> int:
        return sum(name.startswith(_LEFT) for name in _names(self.folder))

    def _beat(self) -> None:
        count = 0
        while not self._over.wait(_BEAT):
            count += 1
            with contextlib.suppress(OSError):
                (self.folder / _ALIVE).write_text(str(count), encoding="ascii")


class Visit:
    """The side of another process."""

    def __init__(self, world: World) -> None:
        self.folder, self._rank = _folder(world), world.rank
        self._sign, self._met = "", False
        self._looked, self._waited = time.monotonic() - _LOOK, 0.0

    def lost(self) -> bool:
        """Whether the first process gives no sign of life any more."""
        now = time.monotonic()
        if now - self._looked >= _LOOK:
            # All processes of a job may be suspended for hours: that is one look.
            self._waited += min(now - self._looked, _BEAT)
            self._looked = now
            with contextlib.suppress(OSError):
                sign = (self.folder / _ALIVE).read_text(encoding="ascii")
                # A folder that a killed command has left shows no change.
                self._met = self._met or sign == _FIRST or sign != self._sign != ""
                if sign != self._sign:
                    self._sign, self._waited = sign, 0.0
        return self._waited > (_PATIENCE if self._met else _START)

    def over(self) -> bool:
        """Whether there is nothing more to do."""
        lost, names = self.lost(), _names(self.folder)
        return lost or (self._met and (_END in names or not names))

    def scheduler(self) -> dict[str, Any] | None:
        """The facts of the scheduler to work for; None while there is none."""
        if _SCHEDULER not in _names(self.folder):
            return None
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((self.folder / _SCHEDULER).read_text(encoding="utf-8"))
            return found if isinstance(found, dict) else None
        return None

    def leave(self) -> None:
        """Let the first process know that this one ends; remove the folder of a killed one."""
        if self._met and self.lost():
            shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            (self.folder / f"{_LEFT}{self._rank}").touch()


def host_meeting(world: World) -> Host:
    """The meeting that this process hosts until it ends; made by the first call."""
    folder = _folder(world)
    if folder not in _hosts:
        _hosts[folder] = Host(world)
        atexit.register(_hosts[folder].close)
    return _hosts[folder]


def _folder(world: World) -> Path:
    return Path.cwd() / f"{_PREFIX}{world.name}"


def _names(folder: Path) -> set[str]:
    """The files of a folder. Listed, because a network file system remembers missing names."""
    try:
        return set(os.listdir(folder))  # noqa: PTH208
    except OSError:
        return set()


def _remove_old(folder: Path) -> None:
    """Remove a folder of this name, and those of commands that were killed."""
    shutil.rmtree(folder, ignore_errors=True)
    for other in folder.parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - (other / _ALIVE).stat().st_mtime > _OLD:
                shutil.rmtree(other, ignore_errors=True)
