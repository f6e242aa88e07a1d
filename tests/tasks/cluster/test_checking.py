"""The check of a cluster: it finds each planted fault, and the sentence has what to change."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import hela_dask as hd
from hela_dask.errors import ParameterError
from hela_dask.tasks.cluster import Cluster, probes
from hela_dask.tasks.cluster.advice import (
    advice_for_log,
    advice_for_refusal,
    advice_for_state,
)
from hela_dask.tasks.cluster.findings import ClusterCheck, Row
from hela_dask.tasks.cluster.measuring import measure
from hela_dask.tasks.machine import memory_limits
from hela_dask.tasks.versions import versions
from tests.remote.web import serve
from tests.scenes import make_scene
from tests.tasks.cluster.queues import FORMS, fake_queue, write_queue_yaml
from tests.tasks.cluster.slurm import fake_slurm, jobs, write_yaml

pytest.importorskip("dask_jobqueue")
pytestmark = [
    pytest.mark.waiting,
    pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX shells"),
]

GIB = 2**30


def check(*given: Any, **named: Any) -> tuple[ClusterCheck, dict[str, Row]]:
    found = hd.check_cluster(*given, **{"timeout": 60, "progress": False, **named})
    return found, {row.name: row for row in found.rows}


def only_failure(found: ClusterCheck) -> Row:
    """The failed row, with a sentence and advice."""
    (row,) = [row for row in found.rows if row.state == "failed"]
    assert not found.ok and row.advice and "\n" not in row.found
    return row


def test_a_job_with_a_wrong_prologue_has_that_failure_only_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from hela_dask.cli import main

    store = make_scene(tmp_path / "scene.ome.zarr")
    slurm = fake_slurm(tmp_path / "slurm", monkeypatch)
    options = '  walltime: "01:00:00"\n  job_script_prologue: ["false || true", "false"]\n'
    yaml = write_yaml(tmp_path, workers=7, options=options)
    sbatch = slurm / "sbatch"
    sbatch.write_text(sbatch.read_text().replace("setsid sh", "setsid bash"))
    before = sorted(tmp_path.iterdir())
    assert main(["cluster", "check", str(yaml), str(store), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    rows = {row["name"]: row for row in found["rows"]}
    failed = [name for name, row in rows.items() if row["state"] == "failed"]
    assert failed == ["prologue"], rows
    assert rows["prologue"]["found"] == "on the node, these commands fail: false"
    assert list(rows) == [
        *("options", "store here", "lifetime", "submission", "worker", "prologue"),
        *("environment", "read speed", "run folder", "network", "local disk", "memory", "CPUs"),
        "clock",
    ]
    assert f"hela_dask {hd.__version__}" in rows["environment"]["found"]
    assert "the job requests 2.0 GiB" in rows["memory"]["found"]
    assert "#SBATCH -t 01:00:00" in found["script"]
    assert jobs(slurm) == 1, "one worker is enough"
    assert sorted({*tmp_path.iterdir()} - {*before, tmp_path / "logs"}) == []
    assert not list(slurm.glob("*.state")), "the job is removed"


def test_a_scheduler_at_an_address_is_checked(client: Any, tmp_path: Path) -> None:
    store = make_scene(tmp_path / "scene.ome.zarr")
    found, rows = check(client.scheduler.address, store, tmp_path / "new" / "hela.run")
    assert found.ok, str(found)
    assert "MB/s of voxels" in rows["read speed"].found
    assert "both sides see each other's files" in rows["run folder"].found
    assert "the cluster works" in str(found) and found.to_dict()["ok"] is True
    assert [path.name for path in tmp_path.iterdir()] == ["scene.ome.zarr"]


def test_a_store_that_is_not_there_is_named_on_both_sides(client: Any, tmp_path: Path) -> None:
    found, rows = check(client.scheduler.address, tmp_path / "none.ome.zarr")
    assert not found.ok
    assert rows["store here"].state == rows["store"].state == "failed"
    assert "the worker cannot open it" in rows["store"].found


def test_a_store_at_an_address_is_read_by_the_worker(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from hela_dask.cli import main

    make_scene(tmp_path / "scene.ome.zarr")
    monkeypatch.chdir(tmp_path)
    with serve(tmp_path) as web:
        url = f"{web.url}/scene.ome.zarr"
        main(["cluster", "check", client.scheduler.address, url, "--json"])
        rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
        assert rows["store here"]["state"] == "ok" and rows["read speed"]["state"] != "failed"
        _, failed = check(client.scheduler.address, f"{web.url}/none.ome.zarr")
    assert failed["store here"].state == "failed"
    assert "docs/remote.md" in failed["store"].advice


def test_a_scheduler_without_workers_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import LocalCluster

    monkeypatch.chdir(tmp_path)
    with LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0") as empty:
        address: Any = empty.scheduler_address
        row = only_failure(check(address, timeout=0.5)[0])
    assert "has no worker" in row.found and f"dask worker {address}" in row.advice


@pytest.mark.parametrize(
    ("cluster", "message"),
    [("tcp://127.0.0.1:1", "no dask scheduler listens"), ("nowhere.yaml", "nowhere.yaml")],
)
def test_a_cluster_that_is_not_there(
    cluster: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in only_failure(check(cluster)[0]).found


def test_an_unknown_key_is_named(tmp_path: Path) -> None:
    row = only_failure(check(write_yaml(tmp_path, options="  quue: cpu\n"))[0])
    assert "did you mean 'queue'" in row.found


@pytest.mark.parametrize(
    ("system", "text", "advice"),
    [
        ("slurm", "invalid partition specified: gone", "options.queue to a queue of this cluster"),
        ("slurm", "No partition specified or system default partition", "options.queue"),
        ("slurm", "Invalid account or account/partition combination", "options.account"),
        ("slurm", "Memory specification can not be satisfied", "options.memory"),
        ("slurm", "Requested node configuration is not available", "options.memory"),
        ("slurm", "CPU count per node can not be satisfied", "options.cores"),
        ("slurm", "Requested time limit is invalid (missing or exceeds some limit)", "walltime"),
        ("slurm", "Invalid qos specification", "--qos=NAME"),
        ("slurm", "Required partition not available (inactive or drain)", "takes no jobs now"),
        ("slurm", "Unable to contact slurm controller (connect failure)", "login node"),
        ("slurm", "unrecognized option '--gpu'", "job_extra_directives"),
        ("pbs", "Unknown queue", "qstat -q lists them"),
        ("pbs", "Invalid Account", "options.account"),
        ("pbs", "Job violates queue and/or server resource limits: walltime", "walltime shorter"),
        ("pbs", "Queue is not enabled", "takes no jobs now"),
        ("lsf", "gone: No such queue. Job not submitted", "bqueues lists them"),
        ("lsf", "MEMLIMIT: Cannot exceed queue's hard limit(s)", "options.memory"),
        ("lsf", "RUNLIMIT: Cannot exceed queue's hard limit(s)", "options.walltime"),
        ("lsf", "Project <x> does not exist", "options.project"),
        ("sge", "Unable to run job: Job was rejected because it requests unknown queue", "qconf"),
        ("oar", "Queue gone does not exist", "options.queue"),
        ("htcondor", "Failed to connect to local queue manager", "cannot be reached"),
    ],
)
def test_a_refusal_is_explained(system: str, text: str, advice: str) -> None:
    assert advice in advice_for_refusal(f"{system}: {text}", Cluster(system))


def test_a_refused_job_is_a_row_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (fake_queue("lsf", tmp_path / "queue", monkeypatch) / "refuse").write_text(
        "gone: no such queue"
    )
    row = only_failure(check(write_queue_yaml("lsf", tmp_path))[0])
    assert row.name == "submission"
    assert "gone: no such queue" in row.found and "bqueues lists them" in row.advice


def test_a_folder_of_logs_that_cannot_be_written_is_found_before_the_submission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = fake_queue("slurm", tmp_path / "queue", monkeypatch)
    (tmp_path / "logs").touch()
    row = only_failure(check(write_queue_yaml("slurm", tmp_path))[0])
    assert "options.log_directory" in row.found and "options.log_directory" in row.advice
    assert not list(folder.glob("job-*"))


@pytest.mark.parametrize(
    ("state", "never", "advice"),
    [
        ("PENDING (PartitionTimeLimit)", True, "options.walltime shorter"),
        ("PENDING (PartitionDown)", True, "options.queue to another one"),
        ("PENDING (JobHeldUser)", True, "the job is held"),
        ("PENDING (launch failed requeued held)", True, "the job is held"),
        ("PENDING (InvalidAccount)", True, "options.account"),
        ("PENDING (Job's account not known, so it can't use this partition)", True, "account"),
        ("PENDING (PartitionConfig)", True, "options.cores"),
        ("PENDING (Resources)", False, ""),
        ("1 pod pending (ImagePullBackOff)", False, "options.image cannot be fetched"),
        ("1 pod pending (Unschedulable: 0/3 nodes)", False, "request less with options.memory"),
    ],
)
def test_states_that_never_end_are_known(state: str, never: bool, advice: str) -> None:
    found, never_starts = advice_for_state(state, Cluster("slurm"))
    assert never_starts is never
    assert found == advice or (advice and advice in found)


@pytest.mark.parametrize(
    ("state", "text", "advice"),
    [
        ("PENDING (PartitionTimeLimit)", "the job never starts", "options.walltime shorter"),
        ("PENDING (Resources)", "no worker has joined within 1 s", "wait longer with --timeout"),
        ("RUNNING", "no worker has joined within 1 s", "options.interface"),
    ],
)
def test_a_job_that_does_not_start_is_explained(
    state: str, text: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hela_dask.tasks.cluster.checking._NEWS", 0.1)
    monkeypatch.setitem(FORMS, "slurm", replace(FORMS["slurm"], waiting=f"$n {state}"))
    fake_queue("slurm", tmp_path / "queue", monkeypatch)
    row = only_failure(check(write_queue_yaml("slurm", tmp_path), timeout=1.0)[0])
    assert text in row.found and advice in row.advice
    assert state.lower() in row.found.lower()


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("ModuleNotFoundError: No module named 'hela_dask'", "has no hela_dask"),
        ("python: Error (ModuleNotFoundError: No module named 'distributed')", "options.python"),
        ("ImportError: libstdc++.so.6: version GLIBCXX not found", "does not work on the node"),
        ("line 9: /opt/none/bin/python: No such file or directory", "no such Python"),
        ("ValueError: 'ib9' is not a valid network interface", "no such interface"),
        ("PermissionError: [Errno 13] Permission denied: '/scratch/x'", "local_directory"),
        ("OSError: Timed out trying to connect to tls://10.0.0.1:8786", "cannot reach the sched"),
        ("ssl.SSLError: certificate is not yet valid", "synchronise the clocks"),
        ("bash: module: command not found", "job_script_prologue"),
        ("slurmstepd: error: Detected 1 oom_kill event", "request more with options.memory"),
        ("Error: No such option: --nonsense", "worker_extra_args"),
        ("Error: Unknown argument specified: %r Was click-configurable", "worker_extra_args"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
    ],
)
def test_a_log_is_explained(text: str, advice: str) -> None:
    found, line = advice_for_log(f"first\n{text}\nlast line", Cluster("slurm"))
    assert advice in found and line == text


@pytest.mark.parametrize(
    ("text", "advice"), [("No module named 'hela_dask'", "has no hela_dask"), ("", "log_directory")]
)
def test_a_job_that_ends_at_once_is_explained_by_its_log(
    text: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hela_dask.tasks.cluster.jobs._LOOK", 0)
    monkeypatch.setattr("hela_dask.tasks.cluster.keeping._PAUSES", (600,))
    folder = fake_queue("slurm", tmp_path / "queue", monkeypatch)
    (folder / "failed").touch()
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "dask-worker-1.err").write_text(text and f"first\n{text}\nlast line\n")
    row = only_failure(check(write_queue_yaml("slurm", tmp_path))[0])
    assert row.name == "worker" and "job 1 failed (NonZeroExitCode)" in row.found
    assert advice in row.advice and text in row.found
    assert not list(folder.glob("job-*")) and not list(tmp_path.glob(".hela*"))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_here(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    row = only_failure(check("local", None, tmp_path)[0])
    assert row.name == "run folder" and "cannot be written here" in row.found


def test_a_time_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    from hela_dask.cli import main

    with pytest.raises(ParameterError, match="--timeout"):
        hd.check_cluster("local", timeout=0)
    assert main(["cluster", "check", "local", "--timeout", "soon"]) == 1
    assert "--timeout must be a time such as 5m" in capsys.readouterr().err


class FakeWorker:
    """A client of one worker with given measurements, by the names of the probes."""

    def __init__(self, folder: Path, **changed: Any) -> None:
        limits: dict[str, Any] = {
            "memory": {"memory of the node": 64 * GIB},
            **{"worker": 14 * GIB, "threads": 1, "cpus": 4, "files": 4096},
        }
        disk: dict[str, Any] = {"folder": "/tmp", "free": 50 * GIB, "kind": "disk", "problem": ""}
        speed: dict[str, Any] = {"bytes": 2**27, "seconds": 0.5}
        self.answers: dict[str, Any] = {
            "probe_software": {"host": "node7", "python": "/py", "versions": versions()},
            "probe_store": "",
            "read_store": {"files": 4, **speed},
            "probe_folder": {"problem": "", **speed},
            "probe_network": [0.001] * 5,
            "probe_scratch": {**disk, **speed},
            "probe_limits": limits,
        }
        for name, to in changed.items():
            old: Any = self.answers.get(name)
            self.answers[name] = {**old, **to} if isinstance(to, dict) else to
        (folder / "there").write_text(probes.NOTE)
        self.scheduler = SimpleNamespace(address="tls://10.0.0.1:8786")

    def submit(self, function: Any, *given: Any, **_: Any) -> Any:
        answer = self.answers.get(function.__name__)
        if isinstance(answer, Exception):
            error = answer

            def result(timeout: float) -> Any:
                raise error

            return SimpleNamespace(result=result)
        if answer is None or callable(answer):
            answer = (answer or function)(*given)
        return SimpleNamespace(result=lambda timeout: answer)

    def scatter(self, *_: Any, **__: Any) -> None:
        """Take data."""


_CHANGED = {**versions(), "hela_dask": "0.0.1", "python": "3.1.4"}


@pytest.mark.parametrize(
    ("changed", "row", "state", "text"),
    [
        ({"probe_software": {"versions": _CHANGED}}, "environment", "failed", "hela_dask 0.0.1"),
        ({"probe_software": {"versions": _CHANGED}}, "environment", "failed", "Python 3.1.4"),
        ({"probe_software": ModuleNotFoundError("hela_dask")}, "environment", "failed", "import"),
        ({"probe_store": "no such folder"}, "store", "failed", "no such folder"),
        ({"read_store": {"bytes": 10**6}}, "read speed", "warning", "2 MB/s"),
        ({"probe_folder": {"problem": "does not see it"}}, "run folder", "failed", "not see it"),
        ({"probe_network": [0.2] * 5}, "network", "warning", "200.0 ms"),
        ({"probe_scratch": {"problem": "Read-only"}}, "local disk", "failed", "Read-only"),
        ({"probe_scratch": {"kind": "shared"}}, "local disk", "warning", "network file system"),
        ({"probe_scratch": {"kind": "memory"}}, "local disk", "warning", "in memory"),
        ({"probe_scratch": {"free": GIB}}, "local disk", "warning", "1.0 GiB free"),
        ({"probe_limits": {"memory": {"cgroup /x": 8 * GIB}}}, "memory", "failed", "cgroup /x"),
        ({"probe_limits": {"memory": {"ulimit (RLIMIT_AS)": 20 * GIB}}}, "memory", "warning", "ul"),
        ({"probe_limits": {"worker": 0}}, "memory", "warning", "no limit"),
        ({"probe_limits": {"cpus": 1, "threads": 2}}, "CPUs", "failed", "2 needed"),
        ({"probe_limits": {"threads": 2}}, "CPUs", "warning", "2 thread"),
        ({"probe_limits": {"files": 256}}, "open files", "warning", "256"),
        ({"time": lambda: time.time() + 9}, "clock", "warning", "9.0 s difference"),
        ({"time": lambda: time.time() - 99}, "clock", "failed", "99.0 s difference"),
    ],
)
def test_each_measurement_is_compared_with_the_needs_of_a_run(
    changed: dict[str, Any], row: str, state: str, text: str, tmp_path: Path
) -> None:
    request = Cluster("slurm", 1, 14 * GIB, options={"memory": 16 * GIB, "processes": 1})
    worker: Any = FakeWorker(tmp_path, **changed)
    found = {item.name: item for item in measure(worker, "w", request, "/a.ome.zarr", tmp_path)}
    assert (found[row].state, bool(found[row].advice)) == (state, True)
    assert text in found[row].found
    assert {name for name, item in found.items() if item.state != "ok"} == {row}


def test_a_worker_that_is_right_has_no_remark(tmp_path: Path) -> None:
    request = Cluster("slurm", 1, 14 * GIB, options={"memory": 16 * GIB})
    worker: Any = FakeWorker(tmp_path)
    rows = list(measure(worker, "w", request, "/a.ome.zarr", tmp_path))
    assert [row.state for row in rows] == ["ok"] * 8


def test_limits_of_this_process_are_found() -> None:
    found = dict(memory_limits())
    assert found["memory of the node"] > GIB // 4
    assert all(size > 0 for size in found.values())
