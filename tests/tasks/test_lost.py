"""Lost infrastructure is not a failed cell: schedulers and workers that go away under a stage."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask
import psutil
import pytest
from distributed import Client

from hela_dask.errors import ClusterError, ResourceError, StorageError, WorkerError
from hela_dask.tasks import dispatch
from hela_dask.tasks.cluster import connect, read_cluster
from hela_dask.tasks.departures import Departures
from hela_dask.tasks.dispatch import _ends_run
from hela_dask.tasks.progress import RunProgress
from hela_dask.tasks.scheduler import scheduler_calls
from hela_dask.tasks.waiting import Waiting
from tests.tasks.test_dispatch import go, units

pytestmark = [
    pytest.mark.waiting,
    pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's"),
]


@contextmanager
def farm(
    folder: Path, workers: int = 1, threads: int = 1
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A scheduler and workers as a user starts them, each a process."""
    file = folder / "scheduler.json"
    run = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1"]
    run += ["--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    processes = [subprocess.Popen(run, **quiet)]
    try:
        end = time.monotonic() + 60
        while not (file.exists() and file.stat().st_size):  # it is made first, then written
            assert time.monotonic() < end
            time.sleep(0.05)
        import json

        address = json.loads(file.read_text())["address"]
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny"]
        worker += ["--nthreads", str(threads), "--no-dashboard", "--death-timeout", "20"]
        processes += [subprocess.Popen(worker, **quiet) for _ in range(workers)]
        yield address, processes[0]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def doze(job: Any, unit: Any) -> dict[str, Any]:
    """A fifth of a second; from the fifth unit on, the scheduler is gone."""
    time.sleep(0.2)
    if unit.what == 5:
        pid = int((job.folder / "pid").read_text())
        os.kill(pid, signal.SIGKILL)
        time.sleep(2)
    return dict(job.markers.finish(unit.stage, unit.name, unit.fingerprint, {"n": unit.what}))


@pytest.mark.slow
def test_a_lost_scheduler_ends_the_run_and_no_unit(tmp_path: Path) -> None:
    failed: list[str] = []
    numbers = units(*range(12, 0, -1))
    with (
        farm(tmp_path) as (address, scheduler),
        Client(address, timeout="2s", set_as_default=False) as client,
    ):
        client.wait_for_workers(1)
        (tmp_path / "pid").write_text(str(scheduler.pid))
        with pytest.raises(ClusterError) as caught:
            go(
                client,
                tmp_path,
                numbers,
                doze,
                on_failure=lambda _, text: {"failed": failed.append(text)},  # type: ignore[func-returns-value]
            )
    assert f"the dask scheduler at {address} is gone" in str(caught.value)
    assert "the same command again continues" in str(caught.value)
    assert failed == [], "no unit is to blame"
    done = {path.stem for path in tmp_path.glob("double-*.json")}
    assert {f"double-{n}" for n in range(12, 5, -1)} <= done, "what is finished is kept"


@pytest.mark.parametrize("error", [OSError("gone"), TimeoutError(), AttributeError("ncores")])
def test_calls_to_a_lost_scheduler_are_one_sentence(error: Exception) -> None:
    client: Any = SimpleNamespace(status="closed", scheduler=None)
    with pytest.raises(ClusterError, match="the dask scheduler is gone"), scheduler_calls(client):
        raise error


def test_faults_of_the_program_stay_what_they_are() -> None:
    scheduler = SimpleNamespace(address="tcp://h:1")
    client: Any = SimpleNamespace(status="running", scheduler=scheduler)
    with pytest.raises(AttributeError), scheduler_calls(client):
        raise AttributeError("a slip")
    with pytest.raises(ResourceError), scheduler_calls(client):
        raise ResourceError("too large")
    with pytest.raises(ClusterError, match="tcp://h:1 is gone"), scheduler_calls(client):
        raise ConnectionResetError


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (ClusterError("gone"), True),
        (StorageError("full"), True),
        (WorkerError("ended"), False),
        (ResourceError("memory"), False),
        (RuntimeError("x"), False),
    ],
)
def test_what_ends_a_run_and_what_fails_a_unit(error: Exception, ends: bool) -> None:
    assert _ends_run(error) is ends


def eat(job: Any, unit: Any) -> dict[str, Any]:
    """Takes more memory than there is."""
    import numpy as np

    held = []
    for _ in range(200):
        held.append(np.ones(2**22))
        time.sleep(0.02)
    return {}


@pytest.mark.slow
def test_memory_is_blamed_where_it_was_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "_PAUSES", (0,))
    with (
        connect(read_cluster(workers=1, memory="600MiB")) as client,
        pytest.raises(ResourceError, match="for want of memory") as caught,
    ):
        go(client, tmp_path, units(7), eat)
    assert "of 600 MiB): give each more (--memory" in str(caught.value)


def once(job: Any, unit: Any) -> dict[str, Any]:
    """Ends its worker the first four times, as a queue that pre-empts does."""
    count = job.folder / f"count-{unit.name}"
    times = len(count.read_text()) if count.exists() else 0
    count.write_text("x" * (times + 1))
    if times < 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"times": times}


@pytest.mark.slow
def test_a_unit_is_tried_again_after_its_workers_were_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dispatch, "_PAUSES", (0, 1))
    caplog.set_level(logging.INFO, "hela_dask")
    with connect(read_cluster(workers=1)) as client:
        found = go(client, tmp_path, units(7), once)
    assert found == {"7": {"times": 4}}
    assert "memory was not seen to be the cause: next try in 1 s" in caplog.text


class Messages(RunProgress):
    def __init__(self) -> None:
        super().__init__(False)
        self.lines: list[str] = []

    def info(self, text: str) -> None:
        self.lines.append(text)


def test_waiting_says_since_when_seldom_and_without_end() -> None:
    address = SimpleNamespace(address="tcp://h:8786")
    client: Any = SimpleNamespace(cluster=None, scheduler=address)
    progress, now = Messages(), [100.0]
    waiting = Waiting(client, progress, lambda: now[0])
    for now[0] in range(100, 100 + 3600):
        waiting.look(0)
    assert 10 <= len(progress.lines) <= 20
    assert progress.lines[0] == (
        "waiting for a worker since 10 s: the scheduler at tcp://h:8786 has none; start one with "
        "dask worker tcp://h:8786"
    )
    assert progress.lines[1].startswith("waiting for a worker since 20 s")
    assert "Ctrl-C ends the run" in progress.lines[-1]
    waiting.look(2)
    assert progress.lines[-1] == "a worker has joined after 60 min"
    waiting.look(2)
    assert len([line for line in progress.lines if "joined" in line]) == 1


def test_a_short_absence_is_not_mentioned() -> None:
    progress, now = Messages(), [0.0]
    client: Any = SimpleNamespace(cluster=None, scheduler=None)
    waiting = Waiting(client, progress, lambda: now[0])
    for now[0], workers in ((0.0, 0), (5.0, 0), (6.0, 1), (8.0, 0), (15.0, 0), (16.0, 3)):
        waiting.look(workers)
    assert progress.lines == []


def test_workers_leave_nothing_behind() -> None:
    with connect(read_cluster(workers=1)) as client:
        workers = [psutil.Process(pid) for pid in client.run(os.getpid).values()]
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert len(workers) == 1 and not alive


def linger(job: Any, unit: Any) -> dict[str, Any]:
    """Longer than the workers live, but for the units that are small."""
    time.sleep(60 if unit.what > 90 else 0.1)
    return dict(job.markers.finish(unit.stage, unit.name, unit.fingerprint, {"n": unit.what}))


class Unreadable:
    """A task that only the process can load which has made it."""

    def __call__(self, job: Any, unit: Any) -> dict[str, Any]:
        raise AssertionError("no worker can load it")

    def __reduce__(self) -> tuple[Any, tuple[int]]:
        return only_here, (os.getpid(),)


def only_here(pid: int) -> Unreadable:
    if pid != os.getpid():
        raise ModuleNotFoundError("No module named 'of_a_broken_environment'")
    return Unreadable()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hela_dask.tasks.departures._QUIET", 0.5)
    monkeypatch.setattr("hela_dask.tasks.departures._MOST", 3)


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_a_unit_that_outlasts_the_workers_is_given_up(tmp_path: Path) -> None:
    failed: dict[str, str] = {}

    def fail(unit: Any, text: str) -> dict[str, Any]:
        failed[unit.name] = text
        return {"n": None}

    with (
        dask.config.set(
            {
                "distributed.worker.lifetime.duration": "6s",
                "distributed.deploy.lost-worker-timeout": "1s",
            }
        ),
        connect(read_cluster(workers=1)) as client,
    ):
        found = go(client, tmp_path, units(99, 1, 2), linger, on_failure=fail)
    assert found == {"99": {"n": None}, "1": {"n": 1}, "2": {"n": 2}}
    assert "3 workers left before they had finished double 99" in failed["99"]
    assert "lifetime may be too short" in failed["99"]


@pytest.mark.parametrize(("numbers", "given_up"), [([99], 1), ([99, 98, 97, 96], 3)])
def test_units_of_which_none_ends_end_the_run(
    numbers: list[int],
    given_up: int,
    client: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def has_given_up(_: Departures, keys: Iterable[str], __: Any = None) -> dict[str, int]:
        asked.append(next(iter(keys)))
        return {asked[-1]: 5}

    monkeypatch.setattr(Departures, "has_given_up", has_given_up)
    with pytest.raises(ClusterError, match="and no other unit was finished"):
        go(client, tmp_path, units(*numbers), wait_for_sign, on_failure=lambda _, __: {})
    (tmp_path / "sign").touch()
    assert len(asked) == given_up


def wait_for_sign(job: Any, unit: Any) -> dict[str, Any]:
    """Until a file is there."""
    end = time.monotonic() + 20
    while not (job.folder / "sign").exists() and time.monotonic() < end:
        time.sleep(0.05)
    return {}


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_workers_that_cannot_load_a_task_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "_PAUSES", (0,))
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1s"}),
        connect(read_cluster(workers=1)) as client,
        pytest.raises((ClusterError, WorkerError), match=r"see the(ir| workers') logs"),
    ):
        go(client, tmp_path, units(1), Unreadable())
