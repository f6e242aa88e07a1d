"""``hela-dask cluster check`` with a real SLURM: a correct file, and planted faults."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hela_dask.cli import main
from tests.scenes import make_scene
from tests.slurm.commands import MODULE, wait, write_cluster
from tests.slurm.node import SlurmNode

pytestmark = pytest.mark.slow

ROWS = (
    *("options", "store here", "lifetime", "submission", "worker", "environment", "read speed"),
    *("run folder", "network", "local disk", "memory", "CPUs", "clock"),
)
_ROW = re.compile(r"(ok|warning|failed|skipped) +(.+?)  +\S")
PROC = "/proc/nowhere"  # no folder can be made there, not even by root


class Fault(NamedTuple):
    """A fault in the file."""

    options: dict[str, object]
    row: str  # that fails
    found: str  # in its sentence
    advice: str  # in its advice


REFUSED = {
    "unknown key": Fault(
        {"queu": "cpu"}, "options", "options has no key 'queu'", "correct the file"
    ),
    "key of sbatch": Fault(
        {"partition": "cpu"}, "options", "options.partition has another name: write queue", "file"
    ),
    "text for a number": Fault(
        {"cores": "four"}, "options", "options.cores must be a whole number, not 'four'", "file"
    ),
    "text for a list": Fault(
        {"job_script_prologue": "module load python"},
        "options",
        "options.job_script_prologue must be a list, not 'module load python'",
        "file",
    ),
    "wall time": Fault(
        {"walltime": "4 hours"},
        "options",
        'options.walltime must be a time of SLURM such as "04:00:00"',
        "file",
    ),
    "log folder": Fault(
        {"log_directory": f"{PROC}/logs"},
        "job script",
        f"options.log_directory {PROC}/logs cannot be written",
        "set options.log_directory",
    ),
    "interface here": Fault(
        {"interface": "ib9"}, "submission", "options.interface 'ib9'", "set options.interface"
    ),
    "unknown queue": Fault(
        {"queue": "nowhere"}, "submission", "invalid partition", "set options.queue"
    ),
    "memory above the node's": Fault(
        {"memory": "900GiB"}, "submission", "emory", "request less with options.memory"
    ),
    "unknown directive": Fault(
        {"job_extra_directives": ["--nonsense"]},
        "submission",
        "nonsense",
        "correct options.job_extra_directives",
    ),
}
"""Faults that are found before a job is in the queue."""

STARTED = {
    "closed queue": Fault(
        {"queue": "closed"},
        "worker",
        "never starts: 1 job pending (PartitionDown)",
        "set options.queue",
    ),
    "account": Fault({"queue": "lab"}, "worker", "account not known", "set options.account"),
    "cores above the node's": Fault(
        {"cores": 64},
        "worker",
        "never starts: 1 job pending (PartitionConfig)",
        "request less with options.memory or options.cores",
    ),
    "wall time above the queue's": Fault(
        {"queue": "short", "walltime": "01:00:00"},
        "worker",
        "never starts: 1 job pending (PartitionTimeLimit)",
        "make options.walltime shorter",
    ),
    "no such Python": Fault(
        {"python": "/opt/nowhere/bin/python"},
        "worker",
        "/opt/nowhere/bin/python: No such file",
        "options.python",
    ),
    "Python without packages": Fault(
        {"python": f"{sys.executable} -I -S"}, "worker", "No module named", "options.python"
    ),
    "interface of the node": Fault(
        {"interface": "ib9", "scheduler_options": {"interface": "lo"}},
        "worker",
        "'ib9' is not a valid network interface",
        "set options.interface",
    ),
    "local disk": Fault({"local_directory": PROC}, "worker", PROC, "set options.local_directory"),
    "prologue": Fault(
        {"job_script_prologue": ["module load nothing"]},
        "prologue",
        "these commands fail: module load nothing",
        "correct options.job_script_prologue",
    ),
}
"""Faults that a job shows."""


@pytest.fixture(autouse=True)
def asks_often(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The state of jobs is asked each second, not every ten; logs are in a folder of the test."""
    monkeypatch.setattr("hela_dask.tasks.cluster.jobs._LOOK", 1)
    monkeypatch.chdir(tmp_path)


def check(
    capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """The exit code, the rows by their names, and the only one that failed."""
    code = main(["cluster", "check", *map(str, arguments), "--json", "--timeout", "60s"])
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    (failed,) = [row for row in rows.values() if row["state"] == "failed"]
    assert "\n" not in failed["found"]
    return code, rows, failed


def numbers(node: SlurmNode) -> set[str]:
    """All jobs so far."""
    return {*node.jobs(), *node.ended()}


def test_a_correct_file_is_a_table_without_a_failure(node: SlurmNode, tmp_path: Path) -> None:
    store = make_scene(tmp_path / "scene.ome.zarr")
    cluster = write_cluster(tmp_path / "slurm.yaml", workers=3, walltime="01:00:00")
    before, there = numbers(node), sorted(path.name for path in tmp_path.iterdir())
    done = subprocess.run(
        [*MODULE, "cluster", "check", str(cluster), str(store)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    script, _, table = done.stdout.rstrip().rpartition("\n\n")
    assert "#SBATCH -p cpu" in script and "#SBATCH --mem=2G" in script
    found = [(row[2], row[1]) for row in map(_ROW.match, table.splitlines()) if row]
    assert [name for name, _ in found if name != "open files"] == list(ROWS)
    assert {state for _, state in found} <= {"ok", "warning"}
    assert table.splitlines()[-1].startswith("the cluster works")
    assert "workers retire after 3240s; wall time 01:00:00" in " ".join(table.split())
    assert len(numbers(node) - before) == 1  # one job, whatever the number of workers
    wait(lambda: not node.jobs(), "no job is left", 20)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*there, "logs"])


@pytest.mark.parametrize("name", REFUSED)
def test_a_fault_is_found_before_a_job_is_in_the_queue(
    node: SlurmNode, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    fault = REFUSED[name]
    code, _, failed = check(capsys, write_cluster(tmp_path / "slurm.yaml", **fault.options))
    assert (code, failed["name"]) == (1, fault.row), failed
    assert fault.found in failed["found"] and fault.advice in failed["advice"], failed
    assert not node.jobs()


@pytest.mark.parametrize("name", STARTED)
def test_a_fault_that_a_job_shows_names_the_option(
    node: SlurmNode, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    fault, before = STARTED[name], numbers(node)
    code, _, failed = check(capsys, write_cluster(tmp_path / "slurm.yaml", **fault.options))
    assert (code, failed["name"]) == (1, fault.row), failed
    assert fault.found in failed["found"] and fault.advice in failed["advice"], failed
    wait(lambda: not node.jobs(), "no job is left", 20)
    assert 0 < len(numbers(node) - before) < 3  # the second one until the first is looked at
    assert not list(tmp_path.glob(".hela-dask-check-*"))


def test_a_store_that_the_node_does_not_see_is_named(
    node: SlurmNode, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_scene(tmp_path / "scene.ome.zarr")
    store = "/proc/self/cwd/scene.ome.zarr"  # here, and not where the prologue leads the worker
    cluster = write_cluster(tmp_path / "slurm.yaml", job_script_prologue=["cd /"])
    code, rows, failed = check(capsys, cluster, store, "--out", tmp_path / "scene.run")
    assert (code, failed["name"], rows["store here"]["state"]) == (1, "store", "ok")
    assert "the worker cannot open it" in failed["found"] and store in failed["found"]
    assert "on a file system that all nodes see" in failed["advice"]
    assert rows["run folder"]["state"] == "ok"
    wait(lambda: not node.jobs(), "no job is left", 20)
