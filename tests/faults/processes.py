"""Faults of processes: commands, workers and schedulers that end while a run goes on."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM, Signals
from typing import Any

import dask
import psutil
from distributed import Client, LocalCluster, WorkerPlugin

from hela_dask.tasks.cluster import connect, read_cluster
from tests.faults.catalogue import delete
from tests.faults.site import Site
from tests.tasks.test_lost import farm

__all__ = ["PROCESS_FAULTS", "Command", "Orders", "ProcessFault"]

# A process that a shell started in the background ignores Ctrl-C, and so do those that it starts.
_START = """import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from hela_dask.cli import main
sys.exit(main())"""
# The two pages of a run take longer than the run of so small a volume.
_START_WITHOUT_PAGES = f"""import pytest
from tests.scenes import empty_pages
empty_pages(pytest.MonkeyPatch())
{_START}"""
_SOON = 12  # seconds within which nothing of a command that was ended may be left

_VARIABLE = "HELA_DASK_FAULT"  # marks the environment of a command and of all that it starts


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
    pages : bool
        Whether the report and dask's page of performance are written.
    """

    def __init__(self, site: Site, *options: object, pages: bool = True) -> None:
        self.site, self.mark = site, f"{site.folder}-{time.monotonic_ns()}"
        given = ["run", site.store, "--params", site.parameter_file, *options]
        self.process = subprocess.Popen(
            [sys.executable, "-c", _START if pages else _START_WITHOUT_PAGES, *map(str, given)],
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
    until : int, optional
        Units no longer wait once there have been that many workers.
    """

    name = "orders"

    def __init__(self, folder: Path, nap: float = 0.0, until: int | None = None) -> None:
        self.folder, self.nap, self.until = folder, nap, until

    def setup(self, worker: Any) -> None:
        """Called by dask in each worker, also in those to come."""
        from hela_dask.steps import segment
        from hela_dask.tasks.markers import Markers

        decide, finish = segment.segment_window, Markers.finish

        def segmented(*arguments: Any, **named: Any) -> Any:
            masks = decide(*arguments, **named)
            self.obey("computed")
            return masks

        def finished(markers: Markers, stage: str, *more: Any) -> dict[str, Any]:
            if self.until is None or self.workers < self.until:
                time.sleep(self.nap)
            if stage == "segment":
                self.obey("written")
            return finish(markers, stage, *more)

        segment.segment_window = segmented
        Markers.finish = finished  # type: ignore[method-assign, assignment]
        (self.folder / f"worker-{os.getpid()}").touch()

    def obey(self, moment: str) -> None:
        """End this process, where an order is left for this moment."""
        for order in self.folder.glob(f"{moment}-*"):
            with contextlib.suppress(FileNotFoundError):  # another worker took it
                order.unlink()
                os.kill(os.getpid(), SIGKILL)

    @property
    def workers(self) -> int:
        """How many there have been."""
        return len(list(self.folder.glob("worker-*")))


@dataclass(frozen=True)
class ProcessFault:
    """One fault, and the run that is finished in spite of it.

    Parameters
    ----------
    name : str
        What happens, for a table.
    make : callable
        Takes a site that was not run, and an empty folder; afterwards the site is finished. The
        seconds that the run took, or where it was ended, the same command again.
    """

    name: str
    make: Callable[[Site, Path], float]


def _finish(site: Site, **more: Any) -> float:
    """Run to the end in this process; the seconds."""
    start = time.perf_counter()
    assert site.start(**more).exit_code == 0
    return time.perf_counter() - start


def _finish_command(site: Site, *options: object) -> float:
    """The same by the command."""
    start = time.perf_counter()
    with Command(site, *options, pages=site.pages) as command:
        code, errors = command.end()
    assert code == 0, errors
    return time.perf_counter() - start


def _kill_workers(site: Site, folder: Path) -> float:
    orders = [f"{moment}-{number}" for moment in ("computed", "written") for number in range(2)]
    for order in orders:
        (folder / order).touch()
    with connect(read_cluster(workers=2)) as client:
        plugin = Orders(folder)
        client.register_plugin(plugin)
        seconds = _finish(site, client=client)
    assert not any((folder / order).exists() for order in orders)
    assert plugin.workers >= 2 + len(orders) - 1, "each that was killed was replaced"
    return seconds


def _end_command(
    stage: str, signals: Sequence[Signals], code: int, *, at_once: bool = False
) -> Callable[[Site, Path], float]:
    """Send signals to the command once a unit of a stage is finished; then the same command.

    Parameters
    ----------
    stage, signals, code
        The command ends with this code.
    at_once : bool
        The same command is started while workers of the first may still be there.
    """

    def make(site: Site, _: Path) -> float:
        with Command(site, "--workers", 1) as command:
            command.until("levels")
            assert len(command.processes()) > 1, "its workers carry the mark too"
            command.until(stage)  # and at once, before the next stages are over
            for number in signals:
                if number == SIGINT:  # the terminal's, to the whole group
                    os.killpg(command.process.pid, number)
                else:
                    command.process.send_signal(number)
            if at_once:
                command.process.wait()
                return _finish_command(site, "--workers", 1)
            found, errors = command.end()
            assert found == code and "Traceback" not in errors, errors
            wait(lambda: not command.processes(), _SOON)
        done = {path.name for path in (site.run / "done").glob("*.json")}
        assert not any(name.startswith("assemble") for name in done)
        return _finish_command(site, "--workers", 1)

    return make


def _kill_scheduler(site: Site, folder: Path) -> float:
    for name in ("first", "second"):
        (folder / name).mkdir()
    with farm(folder / "first", threads=2) as (address, scheduler):
        with Client(address, set_as_default=False) as client:
            client.register_plugin(Orders(folder / "first", nap=0.3))
        with Command(site, "--cluster", address) as command:
            command.until("detect")
            scheduler.kill()
            code, errors = command.end()
    assert code == 1 and "Traceback" not in errors, errors
    last = errors.strip().splitlines()[-1]
    assert f"the dask scheduler at {address} is gone" in last, errors
    with farm(folder / "second", threads=4) as (address, _):
        return _finish_command(site, "--cluster", address)


def _threads(number: int) -> Callable[[Site, Path], float]:
    def make(site: Site, _: Path) -> float:
        with (
            LocalCluster(n_workers=1, threads_per_worker=number, dashboard_address=":0") as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            return _finish(site, client=client)

    return make


def _one_cell(site: Site, _: Path) -> float:
    first = site.start(cells=[2])
    assert list(first.cells.loc[first.cells["status"] == "segmented", "label"]) == [2]
    for label in ("1", "2"):  # the run is unfinished, then one other cell is asked for
        for marker in (site.run / "done").glob("assemble-*"):
            delete(marker)
        site.start(cells=[int(label)])
    return _finish(site)


def _retire(site: Site, folder: Path) -> float:
    with (
        dask.config.set({"distributed.worker.lifetime.duration": "15s"}),
        connect(read_cluster(workers=2)) as client,
    ):
        # Some 37 units: longer than a lifetime. The second generation need not wait.
        plugin = Orders(folder, nap=1.0, until=4)
        client.register_plugin(plugin)
        seconds = _finish(site, client=client)
    assert plugin.workers >= 4, "two generations of two"
    return seconds


PROCESS_FAULTS = [
    ProcessFault("four workers: killed in the middle of cells", _kill_workers),
    ProcessFault("the command: SIGTERM", _end_command("background", [SIGTERM], 130)),
    ProcessFault("the command: SIGKILL", _end_command("segment", [SIGKILL], -SIGKILL)),
    ProcessFault(
        "the command: SIGKILL, and the same command at once",
        _end_command("detect", [SIGKILL], -SIGKILL, at_once=True),
    ),
    ProcessFault("the command: Ctrl-C twice", _end_command("segment", [SIGINT, SIGINT], 130)),
    ProcessFault("the scheduler: killed", _kill_scheduler),
    ProcessFault("workers of 2 threads", _threads(2)),
    ProcessFault("workers of 4 threads", _threads(4)),
    ProcessFault("one cell asked for, of an unfinished run", _one_cell),
    ProcessFault("workers that retire after 15 s", _retire),
]
