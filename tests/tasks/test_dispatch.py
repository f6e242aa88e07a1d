"""Units handed to workers: a dying worker costs the guilty unit only, a finished one is skipped."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hela_dask.errors import InputError, WorkerError
from hela_dask.tasks import dispatch, submission
from hela_dask.tasks.cluster import connect, read_cluster
from hela_dask.tasks.dispatch import run_units
from hela_dask.tasks.lock import Lock
from hela_dask.tasks.markers import Markers
from hela_dask.tasks.progress import RunProgress
from hela_dask.tasks.units import Unit


@dataclass(frozen=True)
class Job:
    """The attributes of a job that dispatch needs."""

    folder: Path
    lock: Lock

    @property
    def markers(self) -> Markers:
        return Markers(self.folder)


def double(job: Job, unit: Unit) -> dict[str, Any]:
    """The unit's number, twice."""
    if unit.what == 13:
        os._exit(1)
    if unit.what < 0:
        raise InputError(f"{unit.what} is below zero")
    row = {"twice": 2 * unit.what}
    return job.markers.finish(unit.stage, unit.name, unit.fingerprint, row)


def units(*numbers: int) -> list[Unit]:
    return [Unit("double", str(number), "f", number, float(number)) for number in numbers]


def meet(job: Job, unit: Unit) -> dict[str, Any]:
    """The first unit ends only when the second one has been here."""
    sign = job.folder / "sign"
    if unit.what == 2:
        sign.touch()
    end = time.monotonic() + 20
    while not sign.exists() and time.monotonic() < end:
        time.sleep(0.01)
    return {"met": sign.exists()}


def go(
    client: Any,
    folder: Path,
    numbers: list[Unit],
    task: Callable[..., dict[str, Any]] = double,
    **more: Any,
) -> dict[str, Any]:
    job = Job(folder, Lock(folder / "lock", "0123456789"))
    with RunProgress(False) as progress:
        return run_units(
            lambda: client,
            task,
            job,
            numbers,
            markers=job.markers,
            progress=progress,
            kind="numbers",
            **more,
        )


def test_results_come_in_the_order_of_the_units(client: Any, tmp_path: Path) -> None:
    found = go(client, tmp_path, units(*range(12)))
    assert list(found.items()) == [(str(n), {"twice": 2 * n}) for n in range(12)]


def test_finished_units_are_not_done_again(tmp_path: Path, client: Any) -> None:
    Markers(tmp_path).finish("double", "3", "f", {"twice": "kept"})
    found = go(client, tmp_path, units(2, 3))
    assert found == {"2": {"twice": 4}, "3": {"twice": "kept"}}
    assert go(None, tmp_path, units(2, 3)) == found


def test_an_error_ends_the_stage_or_is_a_result(client: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="-1 is below zero"):
        go(client, tmp_path, units(-1))
    found = go(client, tmp_path, units(-1, 4), on_failure=lambda _, text: {"error": text})
    assert found == {"-1": {"error": "InputError: -1 is below zero"}, "4": {"twice": 8}}


def test_workers_that_join_get_work_before_anything_ends(tmp_path: Path) -> None:
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        cluster.scale(2)  # returns before the second worker is there
        found = go(client, tmp_path, units(1, 2), meet)
    assert found == {"1": {"met": True}, "2": {"met": True}}


def test_the_window_is_three_a_thread_and_one_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class Crowd:
        asked, scheduler, status = 0, None, "running"

        def nthreads(self) -> dict[str, int]:
            self.asked += 1
            return {"tcp://one": 4, "tcp://two": 6}

    crowd, now = Crowd(), [100.0]
    monkeypatch.setattr(submission, "monotonic", lambda: now[0])
    window = submission.Window(crowd)  # type: ignore[arg-type]
    assert [window(left) for left in (1000, 41, 40, 3)] == [30, 30, 10, 10]
    assert crowd.asked == 1, "the scheduler is not asked for every unit"
    now[0] += 60
    assert window(1000) == 30
    assert crowd.asked == 2, "workers come and go"


def test_what_ends_together_is_replaced_together(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    kept = client.map

    def counted(task: Any, batch: list[Unit], **more: Any) -> Any:
        sizes.append(len(batch))
        return kept(task, batch, **more)

    monkeypatch.setattr(client, "map", counted)
    found = go(client, tmp_path, units(*range(12)))
    assert len(found) == 12
    assert sum(sizes) == 12, "each is submitted once"
    assert sizes[0] == 6, "three for each of two threads"


@pytest.mark.slow
def test_a_unit_that_ends_its_workers_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "_PAUSES", (0,))
    with connect(read_cluster(workers=1, memory="1GiB")) as client:
        found = go(client, tmp_path, units(1, 13, 2), on_failure=lambda _, text: {"error": text})
        assert [found[name] for name in ("1", "2")] == [{"twice": 2}, {"twice": 4}]
        assert "double 13 ended its workers in each of 2 tries" in found["13"]["error"]
        assert "memory was not seen" in found["13"]["error"]
        with pytest.raises(WorkerError, match="double 13"):
            go(client, tmp_path, units(13))
