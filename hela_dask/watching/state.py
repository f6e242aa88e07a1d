"""The state of a run at one moment."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from hela_dask.tasks.process import ProcessName, read_name

__all__ = ["STATES", "RunState"]

FORMAT = 1
"""Version of the shape of :meth:`Status.to_dict`."""

STATES = {
    "running": "it computes",
    "finished": "it has ended; some cells may have failed",
    "failed": "it ended with an error",
    "interrupted": "it was ended by Ctrl-C or SIGTERM",
    "killed": "its process ended without an error message: a kill, a crash, a job at its wall time",
    "silent": "its heartbeat has stopped, and its machine cannot be looked at from here",
}
"""States of a run, and their meanings."""


@dataclass(frozen=True)
class RunState:
    """The state of a run at one moment.

    Attributes
    ----------
    path : Path
        The run folder.
    state : str
        One of :data:`STATES`.
    error : str
        Of a run that failed, its sentence.
    notes : tuple of str
        Further facts: damaged files, another process at work.
    progress : dict
        As ``progress.json`` has it; empty where an earlier version made the run.
    units : dict
        Finished units by stage; only where there is no ``progress.json``.
    statuses : dict
        Number of cells by status, of a finished run.
    failed_cells : tuple of (int, str)
        Labels of failed cells with their reasons, of a finished run.
    report : Path or None
        The page with the result.
    """

    path: Path
    state: str
    error: str = ""
    notes: tuple[str, ...] = ()
    progress: dict[str, Any] = field(default_factory=dict)
    units: dict[str, int] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    failed_cells: tuple[tuple[int, str], ...] = ()
    report: Path | None = None
    record: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def process(self) -> ProcessName | None:
        """The process that computes, or computed."""
        return read_name(self.progress.get("process") or {})

    def _words(self) -> list[str]:
        machine = self.record.get("machine")
        recorded = machine.get("command") if isinstance(machine, dict) else None
        return [str(word) for word in self.progress.get("command") or recorded or []]

    @property
    def in_allocation(self) -> bool:
        """Whether srun or mpirun started the command, for ``--cluster runner``."""
        words = self._words()
        return "--cluster=runner" in words or ("--cluster", "runner") in pairwise(words)

    @property
    def command(self) -> str:
        """The command that continues the run; empty where it is not known.

        With ``cd`` where it was started in another folder.
        """
        words = self._words()
        if not words or Path(words[0]).stem != "hela-dask":
            return ""
        line = shlex.join(["hela-dask", *words[1:]])
        there = self.progress.get("directory")
        return f"cd {shlex.quote(there)} && {line}" if there and Path.cwd() != Path(there) else line

    @property
    def exit_code(self) -> int:
        """0 running or finished; 3 finished, but some cells failed; 1 failed or stopped."""
        if self.state == "finished":
            return 3 if self.statuses.get("failed") else 0
        return 0 if self.state == "running" else 1

    def to_dict(self) -> dict[str, Any]:
        """For JSON, as ``docs/watching.md`` describes it; seconds and bytes.

        Examples
        --------
        >>> import hela_dask as hd
        >>> hd.status("hela.run").to_dict()["state"]
        'finished'
        """
        names = (
            *("error", "started", "written", "seconds", "stages", "stages_to_come"),
            *(
                "waiting_for",
                "workers",
                "failures",
                "n_failures",
                "warnings",
                "dashboard",
                "metrics",
            ),
        )
        process = self.process
        return {
            "format": FORMAT,
            "run": str(self.path),
            "state": self.state,
            **{name: self.progress.get(name) for name in names},
            "error": self.error,
            "notes": list(self.notes),
            "beat": self.progress.get("beat"),
            "process": None if process is None else asdict(process),
            "command": self.command,
            "version": self.progress.get("version"),
            "units": self.units,
            "statuses": self.statuses,
            "failed_cells": [{"label": key, "reason": text} for key, text in self.failed_cells],
            "report": None if self.report is None else str(self.report),
            "exit_code": self.exit_code,
        }
