"""Processes for faults on purpose: the command as a user starts it, workers that end themselves."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from distributed import WorkerPlugin

from tests.faults.catalogue import delete
from tests.faults.site import LABELS, Site

__all__ = ["Command", "Orders", "forget_run", "wait"]

_VARIABLE = "HELA_DASK_FAULT"  # marks the environment of a command and of all that it starts


def forget_run(site: Site) -> None:
    """The store as before its first run."""
    delete(site.run)
    for name in LABELS:
        delete(site.store / "labels" / name)


def wait(met: Callable[[], Any], seconds: float = 120) -> float:
    """Until something is the case; how many seconds that took."""
    start = time.monotonic()
    while not met():
        assert time.monotonic() < start + seconds, "nothing happened"
        time.sleep(0.02)
    return time.monotonic() - start


class Command:
    """``hela-dask run`` on a site, as the leader of a process group, as a terminal starts it.

    Parameters
    ----------
    site : Site
    *options
        More of the command line.
    """

    def __init__(self, site: Site, *options: object) -> None:
        self.site, self.mark = site, f"{site.folder}-{time.monotonic_ns()}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hela_dask", "run", str(site.store), *map(str, options)],
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                _VARIABLE: self.mark,
                "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "3s",
            },
        )

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.communicate()

    def until(self, stage: str) -> None:
        """Wait until a unit of a stage is finished while the command goes on."""

        def reached() -> bool:
            if self.process.poll() is not None:
                raise AssertionError(self.process.communicate()[1])
            return any((self.site.run / "done").glob(f"{stage}-*.json"))

        wait(reached)

    def end(self) -> tuple[int, str]:
        """Its exit code and what it wrote to stderr."""
        errors = self.process.communicate(timeout=120)[1]
        return self.process.returncode, errors

    def processes(self) -> list[psutil.Process]:
        """All that it has started and that still lives, itself included, orphans too."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                ended = process.status() == psutil.STATUS_ZOMBIE
                if not ended and process.environ().get(_VARIABLE) == self.mark:
                    found.append(process)
        return found


class Orders(WorkerPlugin):
    """Workers that end in the middle of their work as often as a folder holds an order for it.

    Each worker leaves a file ``worker-PID`` there. Only for workers that are processes.

    Parameters
    ----------
    folder : Path
        A file ``computed-*`` ends a worker that has computed a cell and written nothing, a file
        ``written-*`` one that has written a cell's masks and not its marker.
    nap : float
        Seconds that each unit waits before its marker.
    """

    name = "orders"

    def __init__(self, folder: Path, nap: float = 0.0) -> None:
        self.folder, self.nap = folder, nap

    def setup(self, worker: Any) -> None:
        """Called by dask in each worker, also in those to come."""
        from hela_dask import segment
        from hela_dask.running.markers import Markers

        decide, finish = segment.decide_cell, Markers.finish

        def decided(*arguments: Any, **named: Any) -> Any:
            masks = decide(*arguments, **named)
            self.obey("computed")
            return masks

        def finished(markers: Markers, stage: str, *more: Any) -> dict[str, Any]:
            time.sleep(self.nap)
            if stage == "segment":
                self.obey("written")
            return finish(markers, stage, *more)

        segment.decide_cell = decided
        Markers.finish = finished  # type: ignore[method-assign, assignment]
        (self.folder / f"worker-{os.getpid()}").touch()

    def obey(self, moment: str) -> None:
        """End this process, where an order is left for this moment."""
        for order in self.folder.glob(f"{moment}-*"):
            with contextlib.suppress(FileNotFoundError):  # another worker took it
                order.unlink()
                os.kill(os.getpid(), signal.SIGKILL)

    @property
    def workers(self) -> int:
        """How many there have been."""
        return len(list(self.folder.glob("worker-*")))
