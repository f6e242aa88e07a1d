"""What the commands show: answers on stdout, everything else on stderr."""

from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Mapping
from typing import Any

import typer

__all__ = ["answer", "complain", "facts", "log_to_stderr"]


def answer(text: str) -> None:
    """Print what was asked for."""
    typer.echo(text)


def answer_json(value: Any, *, indent: int | None = 2) -> None:
    """Print what was asked for as JSON; not-a-number becomes null, as JSON knows none."""
    typer.echo(json.dumps(_plain(value), indent=indent, allow_nan=False, ensure_ascii=False))


def complain(text: str) -> None:
    """Print one sentence about what went wrong."""
    typer.secho(f"Error: {' '.join(text.split())}", fg="red", err=True)


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
        typer.secho(f"{kind}{record.getMessage()}", dim=not loud, err=True)
        if record.exc_info:
            typer.echo(logging.Formatter().formatException(record.exc_info), err=True)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value
