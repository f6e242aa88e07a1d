"""Unexpected errors of a command: one sentence on the screen, the rest in a log file."""

from __future__ import annotations

import contextlib
import datetime
import errno
import functools
import os
import platform
import shlex
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from hela_dask.cli.screen import echo_error, echo_status
from hela_dask.version import __version__

__all__ = ["end_with", "expected", "remember", "silence_stdout"]

_Command = TypeVar("_Command", bound=Callable[..., Any])
_given: dict[str, Any] = {}  # the values of the running command's arguments

_REFUSALS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your quota on the disk is used up",
    errno.EROFS: "the disk can only be read",
    errno.ENOMEM: "there is not enough memory",
    errno.EMFILE: "too many files are open at a time: raise the limit (ulimit -n)",
    errno.ENFILE: "too many files are open on this machine",
    errno.EIO: "the disk failed while it was read or written",
}


def remember(command: _Command) -> _Command:
    """A decorator that keeps the arguments of a command for the log file of a bug."""

    @functools.wraps(command)
    def remembered(*values: Any, **named: Any) -> Any:
        _given.clear()
        _given.update(named)
        return command(*values, **named)

    return remembered  # type: ignore[return-value]


def expected(error: BaseException) -> str | None:
    """A sentence for errors of the machine, not of the program; None for a bug of this one.

    For the error of a task, the error that the worker raised counts.
    """
    for cause in _causes(error):
        if isinstance(cause, MemoryError):
            detail = f" ({cause})" if str(cause) else ""
            return (
                f"there is not enough memory{detail}: close other programs, or use a machine "
                "with more"
            )
        if isinstance(cause, OSError) and cause.errno is not None:
            if cause.filename is not None:
                return f"{cause.filename}: {_REFUSALS.get(cause.errno, cause.strerror)}"
            if cause.errno in _REFUSALS:
                return _REFUSALS[cause.errno]
    return None


def end_with(error: BaseException, arguments: Sequence[str]) -> None:
    """Write a log file about a bug of the program, and name it in one sentence."""
    kind = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    log = _write_log(error, arguments)
    where = f"the details are in {log}" if log else "no log file could be written"
    echo_error(
        f"a fault of hela-dask itself, not of your input ({_shortened(kind)}); {where}: please "
        f"send {'it' if log else 'this line'} to {_tracker()}"
    )
    if _given.get("verbose") or {"--verbose", "-v"} & set(arguments):
        echo_status("".join(traceback.format_exception(error)).rstrip())


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and the cause of a RuntimeError, as a failed task raises it."""
    seen: list[BaseException] = []
    while error not in seen:
        seen.append(error)
        yield error
        if isinstance(error, RuntimeError) and error.__cause__ is not None:
            error = error.__cause__


def _write_log(error: BaseException, arguments: Sequence[str]) -> Path | None:
    """Path of the log: the run folder, else the current one, else one for temporary files."""
    now = datetime.datetime.now(datetime.UTC)
    name = f"hela-dask-fault-{now:%Y%m%d-%H%M%S}-{os.getpid()}.log"
    text = "\n".join(
        (
            f"time       {now.isoformat(timespec='seconds')}",
            f"command    {shlex.join(('hela-dask', *arguments))}",
            f"folder     {_current()}",
            f"machine    {platform.platform()}, {os.cpu_count()} cores",
            *(f"{package:<10} {version}" for package, version in _versions().items()),
            "",
            "".join(traceback.format_exception(error)),
        )
    )
    for folder in (_run_folder(), _current(), Path(tempfile.gettempdir())):
        if folder is None:
            continue
        with contextlib.suppress(OSError, ValueError):
            path = folder / name
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
            return path
    return None


def _run_folder() -> Path | None:
    """The run folder of the command, if it exists."""
    with contextlib.suppress(Exception):
        named = _given.get("run_folder") or _given.get("run") or _given.get("out")
        if not named and (store := _given.get("store")):
            from hela_dask.running.folders import run_folder
            from hela_dask.storage.urls import store_path

            named = run_folder(store_path(store), None)
        from hela_dask.running.identity import is_run_folder

        if named and is_run_folder(Path(named)):
            return Path(named)
    return None


def _current() -> Path | None:
    with contextlib.suppress(OSError):  # it may have been deleted
        return Path.cwd()
    return None


def _versions() -> Mapping[str, str]:

    found = {"hela_dask": __version__, "python": platform.python_version()}
    with contextlib.suppress(Exception):
        from hela_dask.tasks.versions import versions

        found |= versions()
    return found


def _tracker() -> str:
    """The address for reports of faults, from the package's metadata."""
    import importlib.metadata

    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        links = importlib.metadata.metadata("hela_dask").get_all("Project-URL") or []
        by_name: dict[str, str] = dict(link.split(", ", 1) for link in links if ", " in link)
        for name in ("Issues", "Bug Tracker", "Source", "Repository", "Homepage"):
            if name in by_name:
                return by_name[name]
    return "the project's issue tracker"


def _shortened(text: str, length: int = 200) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


def silence_stdout() -> None:
    """Discard further output to stdout: its reader has gone."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
