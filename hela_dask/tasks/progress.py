"""The progress of a run: a live display on a terminal, plain log lines everywhere else."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from hela_dask.errors import HelaDaskError
from hela_dask.formatting import time_text
from hela_dask.tasks.dashboard import Dashboard
from hela_dask.tasks.notebook import NotebookPage, in_notebook
from hela_dask.tasks.progress_file import Facts, ProgressFile, StageFacts

if TYPE_CHECKING:
    from rich.progress import Progress, Task, TaskID

__all__ = ["Count", "RunProgress", "counted", "left_text"]

Count = Callable[[int, int], None]

log = logging.getLogger(__name__)

SILENCE = 30.0  # s: where there is no display, a line is written at least so often


def left_text(seconds: float, done: int, to_do: int) -> str:
    """The time that is left, from the mean over all that was done.

    Rounded, so that it does not flicker.

    `seconds` are those that `done` units took.

    Examples
    --------
    >>> left_text(60.0, 4, 6), left_text(10.0, 1, 40), left_text(5.0, 0, 3)
    ('1 min 30 s', '7 min', '?')
    """
    if not to_do:
        return ""
    if not done:
        return "?"
    left = seconds / done * to_do
    if left >= 300:
        return time_text(60 * round(left / 60))
    step = 10 if left >= 60 else 5
    minutes, rest = divmod(max(step, step * round(left / step)), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


class RunProgress:
    """Stages, units done, time left and the dashboard's address, on stderr.

    `live`: draw on the terminal or in the notebook; elsewhere, or with False, only log lines are
    written (``INFO``: each stage as it starts and ends, every tenth of it, and one each 30 s). The
    attribute `timings` has the seconds taken by each stage that has ended. Set `holds` to the
    function of the lock that returns whether the run folder is still this process's.
    """

    def __init__(self, live: bool = True) -> None:
        self.timings: dict[str, float] = {}
        self._live = live
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._stage = ""
        self._started = 0.0
        self._total = self._done = self._on_epoch = self._before = 0
        self._spoke = 0.0
        self._over = threading.Event()
        self.holds: Callable[[], bool] = lambda: True
        self._facts = Facts()
        self._file: ProgressFile | None = None
        self._page: NotebookPage | None = None

    def __enter__(self) -> Self:
        if self._live and in_notebook():
            facts = self._facts
            self._page = NotebookPage(lambda: {**facts.to_dict(), "messages": facts.messages})
            self._page.start()
            return self
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
        )

        console = Console(stderr=True)
        if self._live and console.is_terminal:
            self._bar = Progress(
                SpinnerColumn(finished_text="✓" if console.encoding.startswith("utf") else "+"),
                TextColumn("{task.description:<38}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                _left_column(),
                console=console,
            )
            self._bar.start()
        else:
            threading.Thread(target=self._log_periodically, name="progress", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        if self._page is not None:
            self._page.close()
            self._page = None
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def keep(self, folder: Path) -> None:
        """Keep ``progress.json`` in a run folder from now on; no effect where it is kept."""
        if self._file is None:
            self._file = ProgressFile(folder, self._facts.to_dict, self._holds_now)
            self._file.start()

    def _holds_now(self) -> bool:
        """As `holds`, which may be set after the file was begun."""
        return self.holds()

    @property
    def taken_over(self) -> bool:
        """Whether the run folder is another process's now: this one may write nothing more."""
        return self._file is not None and not self._file.is_mine()

    def close(self, error: BaseException | None = None) -> None:
        """Write ``progress.json`` a last time: the work has ended, perhaps with an error."""
        if self._file is None:
            return
        for stage in self._facts.stages:
            stage.in_flight = 0
        if error is None:
            self._file.close("finished")
        elif isinstance(error, KeyboardInterrupt):
            self._file.close("interrupted", "interrupted")
        else:
            kind = "" if isinstance(error, HelaDaskError) else f"{type(error).__name__}: "
            self._file.close("failed", f"{kind}{error}")
        self._file = None

    def expect(self, stages: Sequence[str]) -> None:
        """The stages of the run in their order, as far as they are known."""
        self._facts.expected = tuple(stages)

    def fail(self, stage: str, unit: str, error: str) -> None:
        """A unit of a stage has failed; the run continues."""
        self._facts.fail(stage, unit, error)

    def fly(self, units: int) -> None:
        """So many units are submitted to the scheduler and have not ended."""
        if self._facts.stages:
            self._facts.stages[-1].in_flight = units

    def see_workers(self, workers: Mapping[str, Mapping[str, Any]]) -> None:
        """The workers, by address, as ``Client.scheduler_info`` has them."""
        self._facts.see_workers(workers)

    def wait_for(self, reason: str) -> None:
        """The run waits for something; an empty text: no more."""
        if reason != self._facts.waiting_for:
            self._facts.waiting_for = reason
            self._wake()

    def show(self, dashboard: Dashboard) -> None:
        """Where dask's dashboard is."""
        self._facts.dashboard = dashboard._asdict()
        if self._page is None:
            self.info(str(dashboard))

    def _wake(self) -> None:
        if self._file is not None:
            self._file.wake()
        if self._page is not None:
            self._page.wake()

    def stage(self, name: str, total: int, done: int = 0, unit: str = "") -> None:
        """Begin a stage of ``total`` units, of which an earlier run has finished ``done``."""
        self.end_stage()
        self._stage, self._started = name, time.perf_counter()
        self._total, self._done, self._on_epoch, self._before = total, done, done, done
        self._facts.stages.append(StageFacts(name, unit, total, done, done))
        self._wake()
        what = f"{name} ({unit})" if unit else name
        if self._bar is not None:
            self._task = self._bar.add_task(what, total=total, before=done)
            # A finished stage gets its tick, and its clock stops.
            self._bar.update(self._task, completed=done)
        earlier = f", {done} done before" if done else ""
        self._log(f"{what}: {total - done} to do{earlier}")

    def advance(self, count: int = 1) -> None:
        """So many more units are done."""
        self._done += count
        if self._facts.stages:
            self._facts.stages[-1].done = self._done
        if self._page is not None:
            self._page.wake()
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, count)
        if self._done - self._on_epoch >= -(-self._total // 10) and self._done < self._total:
            self._on_epoch = self._done
            self._log(f"{self._stage}: {self._done} of {self._total}")

    def end_stage(self) -> None:
        """The stage is over; its seconds go to :attr:`timings`."""
        if not self._stage:
            return
        seconds = time.perf_counter() - self._started
        self.timings[self._stage] = self.timings.get(self._stage, 0.0) + seconds
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._total)
        self._facts.stages[-1].ended = time.perf_counter()
        self._facts.stages[-1].in_flight = 0
        self._wake()
        self._log(f"{self._stage}: done in {seconds:.1f} s")
        self._stage = ""

    def _log(self, text: str) -> None:
        self._spoke = time.perf_counter()
        log.info("%s", text)

    def _log_periodically(self) -> None:
        """Write a line after :data:`SILENCE` seconds of a stage without one."""
        while not self._over.wait(min(1.0, SILENCE / 4)):
            if not self._stage or time.perf_counter() - self._spoke < SILENCE:
                continue
            seconds, done = time.perf_counter() - self._started, self._done - self._before
            left = left_text(seconds, done, self._total - self._done)
            self._log(
                f"{self._stage}: {self._done} of {self._total} after {time_text(seconds)}"
                + (f", about {left} left" if left not in ("", "?") else "")
            )

    def info(self, text: str) -> None:
        """A line for the user that is not a warning."""
        if self._bar is not None:
            self._bar.console.print(text, highlight=False)
        if self._page is not None:
            self._facts.note(text)
            self._page.wake()
        log.info("%s", text)

    def warn(self, text: str) -> None:
        """A warning, above the live display or as a log line."""
        self._facts.warn(text)
        if self._bar is not None:
            self._bar.console.print(f"warning: {text}", highlight=False, style="yellow")
        elif self._page is not None:
            self._page.wake()
        else:
            log.warning("%s", text)


def _left_column() -> Any:
    from rich.progress import ProgressColumn
    from rich.text import Text

    class LeftColumn(ProgressColumn):
        """The time that is left of a stage that is not over."""

        max_refresh = 1.0

        def render(self, task: Task) -> Text:
            if task.finished:
                return Text("")
            done = int(task.completed - task.fields.get("before", 0))
            to_do = int((task.total or 0) - task.completed)
            return Text(f"left {left_text(task.elapsed or 0.0, done, to_do)}", style="cyan")

    return LeftColumn()


@contextlib.contextmanager
def counted(progress: bool | Count, name: str, unit: str) -> Iterator[Count]:
    """Work of one stage; `name` and `unit` are its name and that of its units.

    `progress` is `live` of :class:`RunProgress`, or the caller's own function. Yields a function
    that is called with the numbers of finished and of all units, first at the start.
    """
    if callable(progress):
        yield progress
        return
    with RunProgress(progress) as display:
        shown: int | None = None

        def tell(done: int, total: int) -> None:
            nonlocal shown
            if shown is None:
                display.stage(name, total, done, unit)
            else:
                display.advance(done - shown)
            shown = done

        yield tell
        display.end_stage()
