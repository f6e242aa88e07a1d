"""What a run is doing: a live display on a terminal, plain log lines everywhere else."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["Count", "RunProgress", "counted"]

Count = Callable[[int, int], None]

log = logging.getLogger(__name__)


class RunProgress:
    """Stages, units done, time left and the dashboard's address, on stderr.

    Parameters
    ----------
    live : bool
        Draw on the terminal; where stderr is none, or with False, only log lines are written
        (``INFO``: each stage as it starts and ends, and every tenth of it).

    Attributes
    ----------
    timings : dict
        Seconds taken by each stage that has ended.
    """

    def __init__(self, live: bool = True) -> None:
        self.timings: dict[str, float] = {}
        self._live = live
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._stage = ""
        self._started = 0.0
        self._total = self._done = self._told = 0

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        console = Console(stderr=True)
        if self._live and console.is_terminal:
            self._bar = Progress(
                SpinnerColumn(finished_text="✓" if console.encoding.startswith("utf") else "+"),
                TextColumn("{task.description:<38}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=console,
            )
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def stage(self, name: str, total: int, done: int = 0, unit: str = "") -> None:
        """Begin a stage of ``total`` units, of which an earlier run has finished ``done``."""
        self.end_stage()
        self._stage, self._started = name, time.perf_counter()
        self._total, self._done, self._told = total, done, done
        what = f"{name} ({unit})" if unit else name
        if self._bar is not None:
            self._task = self._bar.add_task(what, total=total, completed=done)
        earlier = f", {done} done before" if done else ""
        log.info("%s: %d to do%s", what, total - done, earlier)

    def advance(self, count: int = 1) -> None:
        """So many more units are done."""
        self._done += count
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, count)
        if self._done - self._told >= -(-self._total // 10) and self._done < self._total:
            self._told = self._done
            log.info("%s: %d of %d", self._stage, self._done, self._total)

    def end_stage(self) -> None:
        """The stage is over; its seconds go to :attr:`timings`."""
        if not self._stage:
            return
        seconds = time.perf_counter() - self._started
        self.timings[self._stage] = self.timings.get(self._stage, 0.0) + seconds
        log.info("%s: done in %.1f s", self._stage, seconds)
        self._stage = ""

    def say(self, text: str) -> None:
        """A line for the user that is not a warning."""
        if self._bar is not None:
            self._bar.console.print(text, highlight=False)
        log.info("%s", text)

    def warn(self, text: str) -> None:
        """A warning, above the live display or as a log line."""
        if self._bar is not None:
            self._bar.console.print(f"warning: {text}", highlight=False, style="yellow")
        else:
            log.warning("%s", text)


@contextlib.contextmanager
def counted(progress: bool | Count, name: str, unit: str) -> Iterator[Count]:
    """Work of one stage; yields a function to call with what is done and all, first at the start.

    Parameters
    ----------
    progress : bool or callable
        As `live` of :class:`RunProgress`, or the caller's own function.
    name, unit : str
        Of the stage, and of what is counted.
    """
    if callable(progress):
        yield progress
        return
    with RunProgress(progress) as display:
        told: int | None = None

        def tell(done: int, total: int) -> None:
            nonlocal told
            if told is None:
                display.stage(name, total, done, unit)
            else:
                display.advance(done - told)
            told = done

        yield tell
        display.end_stage()
