"""The status of a run: whether it runs, how far it is, what failed, and how it continues."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hela_dask.errors import InputError
from hela_dask.pages import Card, Shown
from hela_dask.tasks.process import is_alive, process_text, read_name, this_process
from hela_dask.watching.card import status_card
from hela_dask.watching.reading import Cells, RunFiles, read_files
from hela_dask.watching.screen import status_lines, summary
from hela_dask.watching.state import STATES, RunState

__all__ = ["Status", "Watcher", "status"]

_BEATS = 3  # intervals without a beat, after which a heartbeat has stopped
_SILENT = 60.0  # seconds without a beat, after which it is watched no more
_LOOK = 0.5  # seconds between looks


class Status(Shown, RunState):
    """The status of a run at one moment, which prints as the screen of ``hela-dask status``.

    Examples
    --------
    >>> import hela_dask as hd
    >>> found = hd.status("hela.run")
    >>> found.exit_code, found.statuses["segmented"]
    (0, 1)
    """

    @property
    def summary(self) -> str:
        """One line."""
        return summary(self)

    def __str__(self) -> str:
        return "\n".join(status_lines(self))

    def _card(self) -> Card:
        return status_card(self)


class Watcher:
    """Looks at a run again and again; keeps when its heartbeat was seen to move.

    Clocks of two machines are never compared: `clock` is this process's. InputError and the other
    errors of :func:`~hela_dask.watching.reading.read_files` where there is no run.
    """

    def __init__(self, run: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._run, self._clock = run, clock
        self._beat: tuple[Any, ...] = ()
        self._since = 0.0  # when that beat was first seen
        self._moved = False  # whether another was seen before

    def look(self) -> Status:
        """The status now."""
        files = read_files(self._run)
        beat = (files.progress.get("id"), files.progress.get("beat"))
        if beat != self._beat:
            self._moved = bool(self._beat)
            self._beat, self._since = beat, self._clock()
        return self._status(files)

    @property
    def quiet(self) -> float:
        """Seconds since the heartbeat was first seen as it is now."""
        return self._clock() - self._since

    def is_certain(self, found: Status) -> bool:
        """Whether the state is known; else more looks at the heartbeat are needed."""
        process = found.process
        if found.state != "running" or process is None or self._moved:
            return True
        return is_alive(process, this_process()) is not None

    def is_over(self, found: Status) -> bool:
        """Whether nothing more is to be expected: it has ended, or its heartbeat has for long."""
        return found.state not in ("running", "silent") or (
            found.state == "silent" and self.quiet > _SILENT
        )

    def _status(self, files: RunFiles) -> Status:
        progress, record = files.progress, files.record
        state, notes = self._state(files), list(files.problems)
        process = read_name(progress.get("process") or {})
        here = process is not None and is_alive(process, this_process())
        late = self.quiet > _BEATS * float(progress.get("interval_seconds") or 5.0)
        if state == "running" and here and late:
            notes.append("its process lives, and its heartbeat does not move: it is suspended, or "
                         "its disk does not answer")  # fmt: skip
        other = files.holder
        if other and process and other.pid != process.pid and files.holder_alive() is not False:
            notes.append(f"{process_text(other)} works on this folder now")
        error = str(progress.get("error") or record.get("error") or "")
        cells = files.cells() if state == "finished" else Cells()
        report = files.folder / "report.html"
        return Status(
            path=files.folder,
            state=state,
            error=error if state == "failed" else "",
            notes=tuple(notes),
            progress=progress,
            units=files.units,
            statuses=cells.statuses,
            failed_cells=cells.failed,
            report=report if state == "finished" and report.is_file() else None,
            record=record,
        )

    def _state(self, files: RunFiles) -> str:
        stated = str(files.progress.get("state") or files.record.get("state") or "running")
        if stated == "detected":
            return "finished"
        if stated != "running":
            return stated if stated in STATES else "failed"
        process = read_name(files.progress.get("process") or {}) if files.progress else None
        if process is None:  # of an earlier version, or at its start: the lock alone names it
            alive = files.holder_alive()
            return "silent" if alive is None else "running" if alive else "killed"
        alive = is_alive(process, this_process())
        if alive is False and files.record.get("state") == "finished":
            return "finished"  # its last write failed, as on a full disk
        if alive is not None:
            return "running" if alive else "killed"
        late = self.quiet > _BEATS * float(files.progress["interval_seconds"])
        return "silent" if late else "running"


def status(run: str | Path, *, patience: float = 20.0) -> Status:
    """The status of a run, from the files of its folder; needs neither scheduler nor client.

    Parameters
    ----------
    run : path
        The run folder.
    patience : float
        Seconds that the heartbeat of a run on another machine is watched at most, until it moves.
        It moves every 5 s while the run lives; on this machine the process is looked at instead.

    Returns
    -------
    Status

    Raises
    ------
    MissingInputError
        When there is no such folder.
    InputError
        When it is no run folder, or its files are damaged.
    StorageError
        When they may not be read.

    Examples
    --------
    >>> import hela_dask as hd
    >>> hd.status("hela.run").state
    'finished'
    """
    if "://" in str(run):
        raise InputError(f"{run} is a URL: the status of a run is read from a folder")
    watcher = Watcher(Path(run))
    until = time.monotonic() + patience
    found = watcher.look()
    while not watcher.is_certain(found) and time.monotonic() < until:
        time.sleep(_LOOK)
        found = watcher.look()
    return found
