"""What the commands show: answers on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import typer

from hela_dask.errors import StorageError

__all__ = ["ReaderGoneError", "answer", "answer_json", "complain", "facts", "log_to_stderr", "show"]


class ReaderGoneError(Exception):
    """Whoever read the answers (``| head``) wants no more."""


def answer(text: str) -> None:
    """Print what was asked for.

    Raises
    ------
    ReaderGoneError
        When nobody reads it.
    StorageError
        When it cannot be written, as to a full disk.
    """
    try:
        typer.echo(_printable(text, sys.stdout))
    except BrokenPipeError as error:
        raise ReaderGoneError from error
    except OSError as error:
        raise StorageError(f"the answer cannot be written: {error.strerror}") from error


def answer_json(value: Any, *, indent: int | None = 2) -> None:
    """Print what was asked for as JSON; numbers that are not finite become null."""
    from hela_dask.storage.files import plain

    answer(json.dumps(plain(value), indent=indent, allow_nan=False, ensure_ascii=False))


def complain(text: str) -> None:
    """Print one sentence about what went wrong."""
    show(f"Error: {' '.join(text.split())}", fg="red")


def show(text: str, **style: Any) -> None:
    """Print to stderr; a command does not end because nobody reads that."""
    with contextlib.suppress(OSError):
        typer.secho(_printable(text, sys.stderr), err=True, **style)


def facts(rows: Mapping[str, str]) -> None:
    """Print names and values in two columns."""
    width = max(map(len, rows))
    for name, value in rows.items():
        answer(f"{name:<{width}}  {value}")


def log_to_stderr(*, quiet: bool, verbose: bool) -> None:
    """Show the library's log: warnings, with ``--verbose`` all, with ``--quiet`` errors only.

    Without a terminal there are no progress bars: then what is being done is shown as lines.
    """
    log = logging.getLogger("hela_dask")
    normal = logging.WARNING if sys.stderr.isatty() else logging.INFO
    log.setLevel(logging.ERROR if quiet else logging.DEBUG if verbose else normal)
    for handler in [handler for handler in log.handlers if isinstance(handler, _Echo)]:
        log.removeHandler(handler)
    log.addHandler(_Echo())


class _Echo(logging.Handler):
    """Writes to the stderr of the moment, so that lines and progress bars do not mix."""

    def emit(self, record: logging.LogRecord) -> None:
        loud = record.levelno >= logging.WARNING
        kind = f"{record.levelname.capitalize()}: " if loud else ""
        show(f"{kind}{record.getMessage()}", dim=not loud)
        if record.exc_info:
            show(logging.Formatter().formatException(record.exc_info))


def _printable(text: str, stream: TextIO) -> str:
    """The text with what the stream's encoding lacks (C locale, Windows) replaced."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, errors="backslashreplace").decode(encoding)
