"""The command ``status``: how far a run is."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import hela_dask as hd
from hela_dask.cli.options import AsJson, path_argument
from hela_dask.cli.screen import echo, echo_json

if TYPE_CHECKING:
    from hela_dask.watching.status import Status, Watcher

__all__ = ["status"]

_REDRAW = 2.0  # seconds
_LINES = 30.0  # seconds between lines where there is no terminal
_JSON_EVERY = 5.0  # seconds between JSON objects


def status(
    run: Annotated[Path, path_argument("RUN", "Run folder.")],
    *,
    as_json: AsJson = False,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Show it again every few seconds, until the run ends."),
    ] = False,
) -> int:
    """Show how far a run is.

    Works from any shell and machine that sees the folder, without the scheduler: while the run
    computes, after a kill, an error or Ctrl-C, and after its end. Exit code 0: it runs or is
    finished; 3: finished, but some cells failed; 1: it failed or stopped.

    Example:

    hela-dask status hela.run
    """
    if watch:
        return _watch(run, as_json=as_json)
    found = hd.status(run)
    _show(found, as_json=as_json)
    return found.exit_code


def _show(found: Status, *, as_json: bool) -> None:
    """Print it once."""
    if as_json:
        echo_json(found.to_dict())
    elif sys.stdout.isatty():
        from rich.console import Console

        from hela_dask.watching.screen import coloured

        console = Console(highlight=False)
        console.print(coloured(found, unicode=_has_blocks(console.encoding)), soft_wrap=True)
    else:
        echo(str(found))


def _watch(run: Path, *, as_json: bool) -> int:
    """Show it until the run has ended, or Ctrl-C."""
    from hela_dask.watching.status import Watcher

    watcher = Watcher(run)
    found = watcher.look()
    with contextlib.suppress(KeyboardInterrupt):
        if as_json or not sys.stdout.isatty():
            _print_lines(watcher, as_json=as_json)
        else:
            _draw(watcher)
    found = watcher.look()
    return found.exit_code


def _print_lines(watcher: Watcher, *, as_json: bool) -> None:
    """A line where a stage begins and every half a minute, or JSON; the whole status at the end."""
    shown, spoke = "", 0.0
    while not watcher.is_over(found := watcher.look()):
        stages = [stage["name"] for stage in found.progress.get("stages", [])]
        news = f"{found.state} {stages} {found.progress.get('waiting_for')}"
        if as_json:
            echo_json(found.to_dict(), indent=None)
            time.sleep(_JSON_EVERY)
            continue
        if news != shown or time.monotonic() - spoke >= _LINES:
            shown, spoke = news, time.monotonic()
            echo(found.summary)
        time.sleep(_REDRAW)
    if as_json:
        echo_json(found.to_dict(), indent=None)
    else:
        echo(str(found))


def _draw(watcher: Watcher) -> None:
    """The screen, drawn again every few seconds."""
    from rich.console import Console
    from rich.live import Live

    from hela_dask.watching.screen import coloured

    console = Console(highlight=False)
    blocks = _has_blocks(console.encoding)
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            found = watcher.look()
            live.update(coloured(found, unicode=blocks), refresh=True)
            if watcher.is_over(found):
                return
            time.sleep(_REDRAW)


def _has_blocks(encoding: str) -> bool:
    return encoding.lower().startswith("utf")
