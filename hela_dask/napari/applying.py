"""The command that applies the edits, as a process beside napari, with its last line shown."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from qtpy import QtCore

__all__ = ["Applying"]


class Applying:
    """A process of ``hela-dask``.

    Parameters
    ----------
    parent : QObject
        The process ends with it; the run continues where it was when it is started again.
    on_line : callable
        Called with each line that it prints.
    on_end : callable
        Called with the exit code and the last line; the code is negative where it was stopped.
    """

    def __init__(
        self, parent: Any, on_line: Callable[[str], None], on_end: Callable[[int, str], None]
    ) -> None:
        self._on_line, self._on_end = on_line, on_end
        self._last = ""
        self.process = QtCore.QProcess(parent)
        self.process.setProcessChannelMode(QtCore.QProcess.ProcessChannelMode.MergedChannels)
        self.process.readyReadStandardOutput.connect(self._read)
        self.process.finished.connect(self._finish)
        self.process.errorOccurred.connect(self._fail)

    @property
    def running(self) -> bool:
        """Whether the process runs."""
        return bool(self.process.state() != QtCore.QProcess.ProcessState.NotRunning)

    def start(self, arguments: Sequence[str]) -> None:
        """Start ``hela-dask`` with these arguments, by the Python that runs napari."""
        self._last = ""
        self.process.start(sys.executable, ["-m", "hela_dask", *arguments])

    def stop(self) -> None:
        """End the process; finished parts of the run are kept."""
        self.process.terminate()

    def _read(self) -> None:
        text = bytes(self.process.readAllStandardOutput()).decode("utf-8", "replace")
        for line in text.splitlines():
            if line.strip():
                self._last = line.strip()
                self._on_line(self._last)

    def _finish(self, code: int, status: Any) -> None:
        self._read()
        crashed = status != QtCore.QProcess.ExitStatus.NormalExit
        self._on_end(-1 if crashed else int(code), self._last)

    def _fail(self, error: Any) -> None:
        if error == QtCore.QProcess.ProcessError.FailedToStart:
            self._on_end(1, f"{sys.executable} cannot be started")
