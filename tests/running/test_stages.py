"""What a task costs is counted, and of two tasks that compute one unit only one writes."""

from __future__ import annotations

import gc
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hela_dask.running import stages
from hela_dask.running.stages import Job, background_task
from hela_dask.storage.scratch import create_scratch
from hela_dask.tasks.cost import measured
from hela_dask.tasks.lock import hold
from hela_dask.tasks.units import Unit
from hela_dask.volume.opening import working_volume


def test_time_that_is_waited_is_no_processor_time() -> None:
    start = time.perf_counter()
    with measured() as cost:
        time.sleep(0.5)
    assert 0.5 <= cost["seconds"] <= time.perf_counter() - start + 0.001  # it is rounded
    assert cost["cpu_seconds"] < 0.25
    assert cost["worker"].endswith(f"-{os.getpid()}")


def test_the_peak_is_seen_though_the_memory_is_given_back() -> None:
    gc.collect()  # what others left must not be given back meanwhile
    with measured(0.01) as before:
        pass
    with measured(0.01) as cost:
        block = np.ones(64 * 2**17)  # 64 MiB
        time.sleep(1.0)  # on a busy machine the watcher comes late
        del block
    assert cost["peak_memory"] > before["peak_memory"] + 50


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS does not count a process' bytes")
def test_bytes_read_and_written_are_counted(tmp_path: Path) -> None:
    with measured() as cost:
        (tmp_path / "file").write_bytes(bytes(3_000_000))
        (tmp_path / "file").read_bytes()
    assert 3_000_000 <= cost["written"] < 3_500_000
    assert 3_000_000 <= cost["read"] < 3_500_000


def test_a_task_that_fails_is_measured_too() -> None:
    with pytest.raises(ZeroDivisionError), measured() as cost:
        1 / 0  # noqa: B018
    assert cost["seconds"] >= 0


def test_a_unit_that_another_worker_has_finished_is_not_written_again(
    scene: Path, tmp_path: Path
) -> None:
    run = tmp_path / "balls.run"
    run.mkdir()
    with hold(run) as lock:
        job = Job(scene, run, scene / "labels", lock)
        shape = working_volume(scene, job.parameters.working.resolution).shape
        create_scratch(job.resin, shape, np.uint8, (8, *shape[1:]))
        unit = Unit("background", "z00000", "a fingerprint", (0, 8))
        given = [np.ones((8, *shape[1:]), bool)], [np.zeros((8, 3))]
        row = background_task(job, unit, *given)
        assert row["resin"] > 0
        chunk = next(path for path in (job.resin / "c").rglob("*") if path.is_file())
        chunk.write_bytes(b"of the first worker")
        assert background_task(job, unit, *given) == row
        assert chunk.read_bytes() == b"of the first worker"


def test_a_worker_that_leaves_writes_nothing(
    scene: Path, tmp_path: Path, here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import Reschedule, Status, get_worker

    def leaving() -> bool:
        worker = get_worker()
        before = stages._is_leaving()
        worker._status, kept = Status.closing_gracefully, worker._status
        try:
            return not before and stages._is_leaving()
        finally:
            worker._status = kept

    assert not stages._is_leaving()  # this is no task
    assert here.submit(leaving, pure=False).result(timeout=30)
    run = tmp_path / "balls.run"
    run.mkdir()
    monkeypatch.setattr(stages, "_is_leaving", lambda: True)
    with hold(run) as lock:
        job = Job(scene, run, scene / "labels", lock)
        unit = Unit("segment", "00001", "a fingerprint")
        job.markers.finish(unit.stage, unit.name, unit.fingerprint, {"label": 1})
        with pytest.raises(Reschedule):
            job.claim(unit)
        assert job.finished(unit) == {"label": 1}
