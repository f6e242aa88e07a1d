"""One run at a time in a run folder, and no late writing by tasks of a run that has ended."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hela_dask.errors import ExistsError, StorageError

__all__ = ["Lock", "hold"]

NAME = "lock"


@dataclass(frozen=True)
class Lock:
    """Proof that a run holds its folder; small, so that it travels with every task.

    Parameters
    ----------
    path : Path
        The lock file.
    token : str
        What the file says while this run holds it.
    """

    path: Path
    token: str

    def check(self) -> None:
        """Call before writing: a task that outlived its run must not write any more.

        Raises
        ------
        StorageError
            When the run that submitted this task has ended or was taken over.
        """
        if _read(self.path).get("token") != self.token:
            raise StorageError(f"{self.path.parent} is no longer this run's: nothing written")


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[Lock]:
    """Hold a run folder against a second run; a lock left by a dead process is taken over.

    Raises
    ------
    ExistsError
        When another run that is still alive, or on another machine, holds the folder.
    """
    lock = Lock(folder / NAME, uuid.uuid4().hex)
    holder = {"token": lock.token, **_me()}
    temporary = lock.path.with_name(f"{NAME}.{lock.token}")
    temporary.write_text(json.dumps(holder), encoding="utf-8")
    try:
        _take(lock.path, temporary)
    finally:
        temporary.unlink(missing_ok=True)
    try:
        yield lock
    finally:
        if _read(lock.path).get("token") == lock.token:
            lock.path.unlink(missing_ok=True)


def _take(path: Path, temporary: Path) -> None:
    """Make ``path`` a copy of ``temporary``, whole from the first moment, unless held."""
    for _ in range(3):
        try:
            try:
                os.link(temporary, path)
            except (PermissionError, NotImplementedError, AttributeError):
                with path.open("x", encoding="utf-8") as file:  # no hard links here
                    file.write(temporary.read_text(encoding="utf-8"))
        except FileExistsError:
            holder = _read(path)
            if holder and _alive(holder):
                raise ExistsError(
                    f"{path.parent} is in use by process {holder.get('pid')} on "
                    f"{holder.get('host')}: wait for it, choose another --out, or remove {path} "
                    "if that process is gone"
                ) from None
            path.unlink(missing_ok=True)
        else:
            return
    raise ExistsError(f"{path.parent} is being taken by another run: choose another --out")


def _me() -> dict[str, Any]:
    import psutil

    me = psutil.Process()
    return {"pid": me.pid, "host": socket.gethostname(), "started": me.create_time()}


def _alive(holder: dict[str, Any]) -> bool:
    import psutil

    if holder.get("host") != socket.gethostname():
        return True  # cannot be known from here
    try:
        started = float(psutil.Process(int(holder["pid"])).create_time())
    except psutil.AccessDenied:
        return True  # of another user, who may well be running it
    except (psutil.NoSuchProcess, KeyError, TypeError, ValueError):
        return False
    # A process id is used again after a while; the start time tells them apart.
    return abs(started - float(holder.get("started", 0.0))) < 1.0


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
