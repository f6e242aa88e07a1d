"""Clusters as a user names them: local, an address, a file for SLURM, and what is wrong with it."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest

from hela_dask.errors import InputError, MissingInputError, ParameterError
from hela_dask.tasks.cluster import Cluster, connect, read_cluster
from hela_dask.tasks.cluster.file import worker_limit

SLURM = Path(__file__).parents[3] / "deploy" / "slurm.yaml"


def test_local_takes_one_worker_a_core_and_an_even_share_of_the_memory() -> None:
    whole, half = read_cluster(workers=1), read_cluster(workers=2)
    assert whole.memory is not None and half.memory == whole.memory // 2
    assert (read_cluster().workers or 0) >= 1


def test_memory_is_a_size() -> None:
    assert read_cluster(workers=3, memory="4GiB") == Cluster("local", 3, 4 * 2**30)
    assert read_cluster(workers=3, memory=10**9).memory == 10**9


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        ({"workers": 0}, "--workers must be at least 1, not 0"),
        ({"memory": "lots"}, "'lots'"),
        ({"memory": 0}, "--memory"),
        ({"spec": "slurm"}, "'slurm' is neither"),
        ({"spec": "tcp://127.0.0.1:1", "workers": 2}, "--workers"),
    ],
)
def test_what_makes_no_sense_is_named(arguments: dict[str, Any], culprit: str) -> None:
    with pytest.raises(ParameterError, match=culprit):
        read_cluster(**arguments)


def write(folder: Path, text: str) -> Path:
    path = folder / "cluster.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_example_for_slurm_is_understood() -> None:
    cluster = read_cluster(SLURM)
    assert (cluster.kind, cluster.workers) == ("slurm", 16)
    assert cluster.memory == worker_limit(16 * 2**30) == int(0.9 * 16 * 2**30) - 128 * 2**20
    assert read_cluster(SLURM, workers=3).workers == 3


@pytest.mark.skipif(
    importlib.util.find_spec("dask_jobqueue") is None, reason="dask-jobqueue is not installed"
)
def test_the_example_for_slurm_gives_the_job_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hela_dask.tasks.cluster.jobs import job_options, jobs_class

    monkeypatch.chdir(tmp_path)  # it makes the folder of the jobs' logs
    cluster = read_cluster(SLURM, memory="8GiB")
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    options = {**job_options(cluster, private), "interface": "lo"}
    with jobs_class("slurm")(**options) as started:
        script = started.job_script()
        files = [path for path in private.iterdir() if path.is_file()]
        assert {path.name for path in files} == {"ca_file.pem", "cert.pem", "key.pem"}
        assert all(path.stat().st_mode & 0o777 == 0o600 for path in files)
        assert started.scheduler_address.startswith("tls://")
        assert started.dashboard_link.startswith("http://127.0.0.1:")
    assert f"--tls-key {private / 'key.pem'}" in script
    assert "--memory-limit 7.07GiB" in script  # 0.9 of the job's, less 128 MiB
    for line in ("#SBATCH -p cpu", "#SBATCH --mem=8G", "#SBATCH -t 04:00:00", "#SBATCH -n 1"):
        assert line in script
    assert "--nthreads 1" in script
    assert "--lifetime 225m --lifetime-stagger 10m" in script
    assert "export OMP_NUM_THREADS=1" in script
    assert "export MALLOC_ARENA_MAX=1" in script
    assert "export NUMPY_MADVISE_HUGEPAGE=0" in script
    assert "export DASK_DISTRIBUTED__WORKER__PROFILE__CYCLE=10s" in script
    assert "export DASK_DISTRIBUTED__ADMIN__LOW_LEVEL_LOG_LENGTH=100" in script
    exported = [line.split()[1] for line in script.split("\n") if line.startswith("export ")]
    assert all(line.split("=")[0].isidentifier() for line in exported)  # as a shell wants it
    assert "--preload hela_dask.tasks.worker_preload" in script


@pytest.mark.parametrize(
    ("text", "error", "culprit"),
    [
        ("scheduler: ray\noptions: {memory: 1GiB}", ParameterError, "'ray' is not supported"),
        ("workers: 2", InputError, "does not name a scheduler"),
        ("scheduler: slurm\nnodes: 2", InputError, "'nodes'; known: scheduler, workers, options"),
        ("scheduler: slurm", InputError, "options.memory"),
        ("scheduler: slurm\nworkers: many\noptions: {memory: 1GiB}", InputError, "'many'"),
        ("scheduler: slurm\noptions: {memory: much}", ParameterError, "'much'"),
        ("scheduler: [slurm", InputError, "not a YAML file"),
    ],
)
def test_a_file_that_is_wrong_is_explained(
    tmp_path: Path, text: str, error: type[Exception], culprit: str
) -> None:
    with pytest.raises(error, match=culprit):
        read_cluster(write(tmp_path, text))


def test_a_file_that_is_missing() -> None:
    with pytest.raises(MissingInputError, match=r"nowhere\.yaml"):
        read_cluster("nowhere.yaml")


def test_an_address_reaches_the_cluster_and_leaves_it_running(client: Any) -> None:
    cluster = read_cluster(client.scheduler.address)
    with connect(cluster) as mine:
        assert mine.submit(sum, [1, 2]).result() == 3
    assert len(client.scheduler_info()["workers"]) == 2


_IMPORT = """
import signal, threading
before = signal.getsignal(signal.SIGINT)
failed = []
def load():
    try:
        import hela_dask.tasks.cluster.jobs
    except Exception as error:
        failed.append(error)
{start}
assert not failed, failed
assert signal.getsignal(signal.SIGINT) is before
"""


@pytest.mark.skipif(
    importlib.util.find_spec("dask_jobqueue") is None, reason="dask-jobqueue is not installed"
)
@pytest.mark.parametrize(
    "start", ["load()", "thread = threading.Thread(target=load); thread.start(); thread.join()"]
)
def test_ctrl_c_is_handled_as_before_once_slurm_is_used(start: str) -> None:
    # dask-jobqueue replaces the handler by one that ends the process with exit code 0.
    subprocess.run([sys.executable, "-c", _IMPORT.format(start=start)], check=True)


def page_faults() -> int:
    """While arrays of 8 MiB are taken and freed twenty times."""
    import resource

    def so_far() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    np.ones(2**20), np.ones(2**20)
    before = so_far()
    for _ in range(20):
        np.ones(2**20)
    return so_far() - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_a_started_worker_uses_freed_memory_again() -> None:
    with connect(read_cluster(workers=1)) as mine:
        # Cleared anew each time, they are some ten thousand; the worker's other threads have few.
        assert mine.submit(page_faults).result() < 2000


def test_a_script_without_the_guard_gets_an_error(tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text(
        "from hela_dask.tasks.cluster import connect, read_cluster\n"
        "with connect(read_cluster(workers=1)) as client:\n"
        "    print(client.submit(abs, -1).result())\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("hela_dask.errors.ResourceError: no worker could be started")
    assert 'if __name__ == "__main__":' in last


def test_a_started_worker_has_one_heap_and_small_pages() -> None:
    with connect(read_cluster(workers=1)) as mine:
        assert mine.submit(os.getenv, "MALLOC_ARENA_MAX").result() == "1"
        assert mine.submit(os.getenv, "NUMPY_MADVISE_HUGEPAGE").result() == "0"


def test_a_started_worker_keeps_few_profiles() -> None:
    def kept(dask_worker: Any) -> int:
        return int(dask_worker.profile_history.maxlen)

    with connect(read_cluster(workers=1)) as mine:
        assert list(mine.run(kept).values()) == [100]
        assert mine.submit(dask.config.get, "distributed.worker.profile.cycle").result() == "10s"


_FORKED = """
import sys
from hela_dask.tasks.cluster import connect, read_cluster
def loaded():
    import os, sys
    return "colorsys" in sys.modules and os.environ["MALLOC_ARENA_MAX"] == "1"
if __name__ == "__main__":
    with connect(read_cluster(workers=1, memory="1GiB"), None, ["colorsys"]) as client:
        print(*client.run(loaded).values())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")
@pytest.mark.parametrize(("method", "shared"), [("", "True"), ("spawn", "False")])
def test_local_workers_share_imports_unless_dask_is_configured_otherwise(
    tmp_path: Path, method: str, shared: str
) -> None:
    script = tmp_path / "start.py"
    script.write_text(_FORKED, encoding="utf-8")
    name = "DASK_DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD"
    env = {**os.environ, **({name: method} if method else {})}
    done = subprocess.run(
        [sys.executable, script], check=True, capture_output=True, text=True, env=env
    )
    assert done.stdout.strip() == shared, done.stderr
