"""Workers that leave are replaced: locally, and as jobs of a SLURM made of scripts."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import pytest

from hela_dask.errors import ClusterError, InputError, ResourceError
from hela_dask.tasks.cluster import Cluster, connect, read_cluster
from hela_dask.tasks.cluster import local as local_cluster
from hela_dask.tasks.cluster.guard import lacks_main_guard
from hela_dask.tasks.progress import RunProgress
from hela_dask.tasks.waiting import Waiting
from tests.tasks.cluster.slurm import fake_slurm, jobs, write_yaml
from tests.tasks.test_dispatch import go, units

pytestmark = [
    pytest.mark.waiting,
    pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX shells"),
]


def wait(met: Callable[[], Any], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.1)


def nap(job: Any, unit: Any) -> dict[str, Any]:
    """Half a second of work; which worker did it."""
    time.sleep(0.5)
    row = {"twice": 2 * unit.what, "worker": os.getpid()}
    return dict(job.markers.finish(unit.stage, unit.name, unit.fingerprint, row))


@pytest.mark.slow
def test_jobs_that_end_by_themselves_are_submitted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("dask_jobqueue")
    slurm = fake_slurm(tmp_path / "slurm", monkeypatch)
    text = "  worker_extra_args: [--lifetime, 8s]\n"
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1s"}),
        connect(read_cluster(write_yaml(tmp_path, options=text)), tmp_path) as client,
    ):
        found = go(client, tmp_path / "markers", units(*range(20)), nap)
    assert [row["twice"] for row in found.values()] == [2 * n for n in range(20)]
    assert len({row["worker"] for row in found.values()}) >= 2
    assert jobs(slurm) >= 2
    assert not list(tmp_path.glob(".tls-*")), "certificates go with the cluster"


@pytest.mark.slow
def test_jobs_of_two_workers_are_submitted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("dask_jobqueue")
    monkeypatch.setattr("hela_dask.tasks.cluster.jobs._LOOK", 0.5)
    slurm = fake_slurm(tmp_path / "slurm", monkeypatch)
    monkeypatch.setattr("hela_dask.tasks.cluster.keeping._PATIENCE", 600)
    text = "  cores: 2\n  processes: 2\n"
    yaml = write_yaml(tmp_path, workers=2, options=text)
    with connect(read_cluster(yaml), tmp_path) as client:
        client.wait_for_workers(2)
        time.sleep(2)  # they are seen
        first = set(client.nthreads())
        os.killpg(int((slurm / "1.pid").read_text()), signal.SIGKILL)
        # SLURM knows that the job has ended: no nanny in it starts the workers again.
        wait(lambda: jobs(slurm) == 2)
        wait(lambda: len(set(client.nthreads()) - first) == 2)
        assert jobs(slurm) == 2


def test_a_job_that_waits_is_named_and_one_that_was_cancelled_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("dask_jobqueue")
    monkeypatch.setattr("hela_dask.tasks.cluster.jobs._LOOK", 0.5)
    slurm = fake_slurm(tmp_path / "slurm", monkeypatch)
    (slurm / "hold").touch()
    caplog.set_level(logging.INFO, "hela_dask")
    with connect(read_cluster(write_yaml(tmp_path, workers=2)), tmp_path) as client:
        now = [0.0]
        with RunProgress(False) as progress:
            waiting = Waiting(client, progress, lambda: now[0])
            for now[0] in (0.0, 9.0, 31.0):
                waiting.look(0)
        assert "waiting for a worker since 31 s: 2 jobs pending (Resources)" in caplog.text
        assert "see squeue" in caplog.text
        (slurm / "1.state").unlink()
        wait(lambda: jobs(slurm) == 3)


def test_jobs_that_end_before_their_workers_join_are_an_error_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("dask_jobqueue")
    monkeypatch.setattr("hela_dask.tasks.cluster.jobs._LOOK", 0.2)
    monkeypatch.setattr("hela_dask.tasks.cluster.keeping._PAUSES", (0,))
    fake_slurm(tmp_path / "slurm", monkeypatch)
    text = '  job_script_prologue: ["echo module hela is not known >&2; exit 1"]\n'
    with connect(read_cluster(write_yaml(tmp_path, options=text)), tmp_path) as client:
        cluster: Any = client.cluster
        wait(lambda: cluster.keeper.problem)
        with RunProgress(False) as progress, pytest.raises(ClusterError) as caught:
            Waiting(client, progress).look(0)
    assert "3 workers in a row ended before they joined" in str(caught.value)


def test_a_refused_job_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dask_jobqueue")
    slurm = fake_slurm(tmp_path / "slurm", monkeypatch)
    (slurm / "refuse").write_text("invalid partition specified: cqu")
    cluster = read_cluster(write_yaml(tmp_path))
    message = "SLURM does not take the jobs: sbatch: error: invalid"
    with pytest.raises(InputError, match=message), connect(cluster, tmp_path):
        pytest.fail("there are no workers")
    assert not list(tmp_path.glob(".tls-*"))


def test_without_slurm_an_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dask_jobqueue")
    monkeypatch.setenv("PATH", str(tmp_path))
    cluster = read_cluster(write_yaml(tmp_path))
    with pytest.raises(InputError, match="sbatch is not here"), connect(cluster, tmp_path):
        pytest.fail("there are no workers")


def test_a_worker_killed_while_it_starts_is_started_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[int] = []

    class Broken:
        def __init__(self, **options: Any) -> None:
            tries.append(options["n_workers"])
            raise RuntimeError("Nanny failed to start.")

    monkeypatch.setattr(local_cluster, "LocalWorkers", Broken)
    with pytest.raises(ResourceError, match="in 3 tries, a worker's process ended") as caught:
        local_cluster.start_local(Cluster("local", 2, 2**30))
    assert "__main__" not in str(caught.value), "the script is not to blame"
    assert tries == [2, 2, 2]
    assert caplog.text.count("started again") == 2


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        ("import hela_dask\n", True),
        ("# if __name__ == '__main__':\nrun()\n", True),
        ('if __name__ == "__main__":\n    run()\n', False),
        ("if '__main__' == __name__: run()\n", False),
        ("def broken(:\n", False),
    ],
)
def test_a_script_is_blamed_only_where_it_lacks_the_guard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, lacks: bool
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    main = type(sys)("__main__")
    main.__file__ = str(path)
    main.__spec__ = None
    monkeypatch.setitem(sys.modules, "__main__", main)
    assert lacks_main_guard() is lacks
