"""One writer at a time: of a run folder, of the labels in a store, of a volume that is made.

A lock is a small file that names its holder. It appears whole (a hard link, or an exclusive
creation where there are no links). The lock of a dead process is removed by one process only: the
one that holds a second lock, named after the content of the dead one, which never occurs again. So
neither a slow file system nor several starts at the same moment give a lock to two processes, and
nothing depends on a clock. A holder on another machine cannot be looked at: its heartbeat, a file
beside the lock (:mod:`hela_dask.tasks.heartbeat`), shows whether it lives.

Every task of a run carries the lock, and looks whether it still holds before it writes.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hela_dask.documents.reading import parse_json
from hela_dask.errors import ExistsError, InputError, StorageError
from hela_dask.storage.files import storage_errors
from hela_dask.storage.label_groups import LABEL_LOCK
from hela_dask.tasks.heartbeat import Heartbeat, beat_file, stands
from hela_dask.tasks.process import ProcessName, is_alive, process_text, read_name, this_process

__all__ = ["Lock", "hold", "hold_labels", "hold_target", "label_lock"]

log = logging.getLogger(__name__)

_silent: set[ProcessName | None] = set()  # processes elsewhere with a heartbeat that has stopped

NAME = "lock"
_LARGEST = 65_536  # bytes of a lock file, far more than one has
_TRIES = 40
_PAUSE = 0.025  # seconds between looks at a file that is being made or replaced
_CLEARINGS = 400  # times that another start is seen to remove the same lock, 10 s


@dataclass(frozen=True)
class Lock:
    """Proof that a run holds its folders; small, so that it travels with every task."""

    path: Path  # the lock file
    token: str  # content of the file while this run holds it
    what: str = ""  # the held folder, for error messages; default: the folder of the lock file

    def check(self) -> None:
        """Call before writing: a task that outlived its run must not write any more.

        StorageError when the run that submitted this task has ended or was taken over.
        """
        if not self.holds():
            raise StorageError(
                f"{self.what or self.path.parent} is no longer this run's (its lock {self.path} "
                "was removed or is another run's): nothing more is written"
            )

    def holds(self) -> bool:
        """Whether this run still holds its folders."""
        for _ in range(_TRIES):
            found = _read_lock(self.path)
            if found is not None:
                return _token(found) == self.token
            time.sleep(_PAUSE)  # a start that was refused may be putting it back
        return False


@contextlib.contextmanager
def hold(
    folder: Path,
    name: str = NAME,
    *,
    what: str = "",
    by: str = "",
    option: str = "--out",
) -> Iterator[Lock]:
    """Hold a folder against other writers; a lock of a dead process is taken over.

    The heartbeat of a holder on another machine is watched for about a minute before its lock is
    taken over; a warning reports that.

    `name` is that of the lock file in `folder`, `what` the held folder for error messages (default:
    `folder`), `by` who holds it, for the error messages of others, beside the process, and `option`
    the option that selects another one.

    ExistsError when another process that is alive holds it, or one of an earlier version, without
    a heartbeat, that cannot be seen from this machine; StorageError when the folder cannot be
    written to.
    """
    # Workers may have another working folder.
    lock = Lock(folder.absolute() / name, uuid.uuid4().hex, what or str(folder))
    me = this_process()
    facts = {"token": lock.token, "by": by, "beats": True, **me.to_dict()}
    content = json.dumps(facts).encode()
    beat = Heartbeat(beat_file(lock.path, lock.token), lock.holds)
    try:
        with storage_errors(lock.path):
            beat.make()  # before others see the lock
            _take(lock, content, me, option)
        beat.start()
        yield lock
    finally:
        with contextlib.suppress(OSError):
            if _read_lock(lock.path) == content:
                lock.path.unlink()
        beat.stop()


@contextlib.contextmanager
def hold_labels(owner: Path, *, by: str = "") -> Iterator[Lock]:
    """Hold the labels of a store against other writers of labels.

    `owner` is the store with the folder ``labels``; missing folders are made, and removed again if
    nothing was written. `by` names the writer in the error messages of others. ExistsError when
    another process writes labels there; StorageError when the folder cannot be written to.
    """
    folder = owner.absolute() / "labels"
    with storage_errors(folder):
        made = [path for path in (folder, folder.parent) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with hold(folder, LABEL_LOCK, what=str(owner / "labels"), by=by, option="--labels") as lock:
            yield lock
    finally:
        for path in made:
            with contextlib.suppress(OSError):
                path.rmdir()  # refused where it is not empty


@contextlib.contextmanager
def hold_target(path: Path) -> Iterator[Lock]:
    """Hold a volume that is being made against a second maker, and against runs that use it.

    ExistsError when another process makes it, or writes labels into it; StorageError when the
    folder around it cannot be written to.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with hold(path.parent, f".{path.name}.lock", what=str(path), option="name") as lock:
        labels = label_lock(path)
        found = _read_lock(labels)
        me, held = this_process(), str(path / "labels")
        if found is not None and _watched(labels, found, me, held) not in ("dead", "gone"):
            raise ExistsError(_in_use(labels, found, held, "name"))
        yield lock


def label_lock(owner: Path) -> Path:
    """The lock file of the labels in a store."""
    return owner / "labels" / LABEL_LOCK


def _take(lock: Lock, content: bytes, me: ProcessName, option: str) -> None:
    """Make the lock file, unless another process holds it."""
    path, dead, tries = lock.path, b"", 0
    while not _create(path, content, lock.token):
        found = _read_lock(path)
        if found is None:
            continue
        verdict = "dead" if found == dead else _watched(path, found, me, lock.what)
        if verdict == "gone":
            continue
        if verdict == "empty":
            # Perhaps made this moment; else of a machine that lost power.
            time.sleep(_PAUSE * 10)
            if _read_lock(path) != found:
                continue
        elif verdict != "dead":
            raise ExistsError(_in_use(path, found, lock.what, option))
        tries = tries + 1 if found == dead else 0
        if tries > _CLEARINGS:
            raise ExistsError(
                f"{lock.what} is being taken by another process: start again in a moment, or "
                f"choose another {option}"
            )
        dead = found
        _clear(path, found, content, lock, me)


def _clear(path: Path, dead: bytes, content: bytes, lock: Lock, me: ProcessName) -> None:
    """Remove the lock file of a dead process, with its contents; or let another do so.

    Whoever does it holds a claim, so that no later lock is removed in place of the dead one.
    """
    claim = path.with_name(f".{path.name.lstrip('.')}.{hashlib.sha256(dead).hexdigest()[:16]}")
    if not _create(claim, content, lock.token):
        other = _read_lock(claim)
        if other is not None and _watched(claim, other, me, lock.what, beside=lock.path) in (
            "dead",
            "empty",
        ):
            _clear(claim, other, content, lock, me)
        else:
            time.sleep(_PAUSE)
        return
    try:
        if _read_lock(path) == dead:
            path.unlink(missing_ok=True)
            beat_file(lock.path, _token(dead)).unlink(missing_ok=True)
    finally:
        claim.unlink(missing_ok=True)


def _watched(
    path: Path, found: bytes, me: ProcessName, what: str, beside: Path | None = None
) -> str:
    """As :func:`_verdict`; a holder that cannot be seen from here is watched.

    Its heartbeat is beside the lock file `path`, or `beside`. Also ``beating``, and ``gone`` where
    the lock changed meanwhile.
    """
    verdict, facts = _verdict(found, me), _parsed(found)
    if verdict != "unseen" or facts.get("beats") is not True:
        return verdict
    who, holder = _holder_text(facts), read_name(facts)

    def report(left: int) -> None:
        log.warning(
            "%s is in use by %s, which cannot be looked at from here (%s): it is taken over if "
            "its heartbeat does not move for another %d s",
            *(what, who, me.host, left),
        )

    beat = beat_file(beside or path, _token(found))
    still = stands(beat, lambda: _read_lock(path) != found, report, again=holder in _silent)
    if still:
        _silent.add(holder)
        log.warning("the heartbeat of %s has stopped: %s is taken over", who, what)
    return "gone" if still is None else "dead" if still else "beating"


def _verdict(found: bytes, me: ProcessName) -> str:
    """State of a lock file: ``alive``, ``unseen``, ``dead``, ``empty`` or ``foreign``."""
    if not found.strip(b"\0 \r\n"):
        return "empty"
    holder = read_name(_parsed(found))
    if holder is None or not _token(found):
        return "foreign"
    alive = is_alive(holder, me)
    return "unseen" if alive is None else "alive" if alive else "dead"


def _in_use(path: Path, found: bytes, what: str, option: str) -> str:
    """The holder, and the remedy."""
    me, facts = this_process(), _parsed(found)
    holder = read_name(facts)
    if holder is None or not _token(found):
        return (
            f"{what} cannot be locked: {path} is not a lock of hela_dask; move it away, or choose "
            f"another {option}"
        )
    who = _holder_text(facts)
    if is_alive(holder, me) is None and facts.get("beats") is not True:
        return (
            f"{what} is in use by {who}, which cannot be looked at from here ({me.host}): wait "
            f"for it, choose another {option}, or remove {path} if that process is gone"
        )
    return (
        f"{what} is in use by {who}: wait until it has finished, stop it, or choose another "
        f"{option}"
    )


def _holder_text(facts: dict[str, Any]) -> str:
    """A holder in a sentence: its process, its job, and its purpose."""
    holder, by = read_name(facts), facts.get("by")
    return f"{process_text(holder) if holder else '?'}" + (f" ({by})" if by else "")


def _create(path: Path, content: bytes, token: str) -> bool:
    """Make `path`, whole from the first moment; False where it is there already."""
    temporary = path.with_name(f".{path.name.lstrip('.')}.{token}.tmp")
    try:
        temporary.write_bytes(content)
        try:
            os.link(temporary, path)
        except FileExistsError:
            # A file system over a network may have made it and lost the answer.
            return _read_lock(path) == content
        except (OSError, NotImplementedError, AttributeError) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOENT, errno.ENOSPC):
                raise
            return _create_alone(path, content)  # no hard links here
        return True
    finally:
        temporary.unlink(missing_ok=True)


def _create_alone(path: Path, content: bytes) -> bool:
    """Make `path` where there are no hard links; False where it is there already."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
    try:
        file = os.open(path, flags, 0o666)
    except FileExistsError:
        return False
    try:
        os.write(file, content)
    except OSError:
        os.close(file)
        path.unlink(missing_ok=True)
        raise
    os.close(file)
    return _read_lock(path) == content


def _read_lock(path: Path) -> bytes | None:
    """Content of the file; None where there is none at this moment."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return b"not a file" if os.path.lexists(path) else None  # a link to nothing too
        with path.open("rb") as file:
            return file.read(_LARGEST)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == getattr(errno, "ESTALE", None):
            return None
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error


def _parsed(found: bytes) -> dict[str, Any]:
    try:
        facts = parse_json(found, "the lock")
    except InputError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _token(found: bytes) -> str:
    token = _parsed(found).get("token")
    return token if isinstance(token, str) else ""
