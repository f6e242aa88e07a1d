"""Output of the commands: results on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import typer

from hela_dask.errors import StorageError

__all__ = [
    "ReaderGoneError",
    "echo",
    "echo_error",
    "echo_json",
    "echo_status",
    "echo_table",
    "log_to_stderr",
]


class ReaderGoneError(Exception):
    """The reader of stdout (``| head``) has closed it."""


def echo(text: str) -> None:
    """Print a result.

    Raises
    ------
    ReaderGoneError
        When its reader has closed it.
    StorageError
        When it cannot be written, as to a full disk.
    """
    try:
        typer.echo(_printable(text, sys.stdout))
    except BrokenPipeError as error:
        raise ReaderGoneError from error
    except OSError as error:
        raise StorageError(f"the answer cannot be written: {error.strerror}") from error


def echo_json(value: Any, *, indent: int | None = 2) -> None:
    """Print a result as JSON; numbers that are not finite become null."""
    from hela_dask.storage.files import plain

    echo(json.dumps(plain(value), indent=indent, allow_nan=False, ensure_ascii=False))


def echo_error(text: str) -> None:
    """Print an error as one sentence."""
    echo_status(f"Error: {' '.join(text.split())}", fg="red")


def echo_status(text: str, **style: Any) -> None:
    """Print to stderr; a command does not end because stderr is closed."""
    with contextlib.suppress(OSError):
        typer.secho(_printable(text, sys.stderr), err=True, **style)


def echo_table(rows: Mapping[str, str]) -> None:
    """Print names and values in two columns."""
    width = max(map(len, rows))
    for name, value in rows.items():
        echo(f"{name:<{width}}  {value}")


def log_to_stderr(*, quiet: bool, verbose: bool) -> None:
    """Show the library's log: warnings, with ``--verbose`` all, with ``--quiet`` errors only.

    Without a terminal there are no progress bars: then progress is shown as lines.
    """
    log = logging.getLogger("hela_dask")
    normal = logging.WARNING if sys.stderr.isatty() else logging.INFO
    log.setLevel(logging.ERROR if quiet else logging.DEBUG if verbose else normal)
    for handler in [handler for handler in log.handlers if isinstance(handler, _Echo)]:
        log.removeHandler(handler)
    log.addHandler(_Echo())


class _Echo(logging.Handler):
    """Writes to the current stderr, so that lines and progress bars do not mix."""

    def emit(self, record: logging.LogRecord) -> None:
        loud = record.levelno >= logging.WARNING
        kind = f"{record.levelname.capitalize()}: " if loud else ""
        echo_status(f"{kind}{record.getMessage()}", dim=not loud)
        if record.exc_info:
            echo_status(logging.Formatter().formatException(record.exc_info))


def _printable(text: str, stream: TextIO) -> str:
    """The text with characters outside the stream's encoding (C locale, Windows) replaced."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, errors="backslashreplace").decode(encoding)
