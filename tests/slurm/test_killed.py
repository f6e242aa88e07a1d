"""A command that is killed while its jobs compute and wait: its status, and the same line again."""

from __future__ import annotations

import json
import shlex
import signal
from pathlib import Path
from typing import Any

import pytest

import hela_dask as hd
from hela_dask.cli import main
from tests.faults.site import Site
from tests.slurm.commands import MODULE, WITHOUT_PAGES, Started, submit, wait, write_cluster
from tests.slurm.node import SlurmNode

pytestmark = pytest.mark.slow

_DEATH = 20  # seconds after which a worker ends that reaches no scheduler
# Its worker computes the second cell as long as a file is there.
_PRELOAD = """
import time
from pathlib import Path

from hela_dask.running import stages


def _wait_and_segment(job, region):
    while Path({held!r}).exists() and list((job.run / "done").glob("segment-*.json")):
        time.sleep(0.05)
    return stages._segment_at_once(job, region)


if not hasattr(stages, "_segment_at_once"):  # dask loads this file twice
    stages._segment_at_once = stages._segment_grown
    stages._segment_grown = _wait_and_segment
"""


def status(run: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any], str]:
    """The exit code of the command, its JSON, and its text."""
    code = main(["status", str(run), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert main(["status", str(run)]) == code == found["exit_code"]
    return code, found, capsys.readouterr().out


def segments(run: Path) -> bool:
    """Whether some of the cells are done, and others are not."""
    if not (run / "progress.json").exists():
        return False
    stage = (hd.status(run).to_dict()["stages"] or [{}])[-1]
    return bool(stage.get("name") == "segment" and 0 < stage["done"] < stage["total"])


def test_a_killed_command_is_reported_and_continues_to_the_same_bits(
    node: SlurmNode, site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held, preload = tmp_path / "held", tmp_path / "preload.py"
    held.touch()
    preload.write_text(_PRELOAD.format(held=str(held)))
    cluster = write_cluster(
        tmp_path / "slurm.yaml",
        workers=2,
        job_cpu=4,
        death_timeout=_DEATH,
        worker_extra_args=["--preload", str(preload)],
    )
    command = ["run", site.store, "--params", site.parameter_file, "--cluster", cluster]
    # Beside it, one of the two jobs has room on the node.
    other = submit("exec sleep 300", tmp_path / "other.log", "--cpus-per-task=3", "--mem=1G")
    wait(lambda: node.jobs().get(other, "").startswith("RUNNING"), "the job of another user", 20)

    with Started(command, tmp_path / "first.log", tmp_path, MODULE) as run:
        wait(lambda: run.process.poll() is not None or segments(site.run), "a segmented cell")
        assert run.process.poll() is None, run.text()
        jobs = {key: state.split()[0] for key, state in node.jobs().items() if key != other}
        assert sorted(jobs.values()) == ["PENDING", "RUNNING"]
        waits, computes = sorted(jobs, key=lambda key: jobs[key])
        code, found, text = status(site.run, capsys)
        check_running(code, found, text)
        run.process.kill()
        assert run.process.wait() == -signal.SIGKILL

    code, found, text = status(site.run, capsys)
    assert (code, found["state"]) == (1, "killed")
    assert found["process"]["pid"] == run.process.pid and str(run.process.pid) in text
    assert found["command"] in text and "left" not in text
    there, line = found["command"].split(" && ")
    assert there == shlex.join(["cd", str(tmp_path)])
    assert shlex.split(line) == ["hela-dask", *map(str, command)]

    held.unlink()
    wait(lambda: computes not in node.jobs(), "the worker without a scheduler ends", 2 * _DEATH)
    done = site.markers()
    node.ask("scancel", other)  # the job that waited starts, beside those of the second command
    with Started(command, tmp_path / "second.log", tmp_path, WITHOUT_PAGES) as run:
        assert run.end() == 0, run.text()
        wait(lambda: waits not in node.jobs(), "the job that waited ends", 2 * _DEATH)
    site.check()
    assert done.items() <= site.markers().items()  # nothing is written again
    joined = {key: "Registered to" in log_of(tmp_path, key) for key in (computes, waits)}
    assert joined == {computes: True, waits: False}
    wait(lambda: not node.jobs(), "no job is left", 20)
    assert not list(site.run.glob(".tls-*"))

    code, found, text = status(site.run, capsys)
    assert (code, found["state"], found["statuses"]) == (
        0,
        "finished",
        site.cells["status"].value_counts().to_dict(),
    )
    stages = {stage["name"]: stage for stage in found["stages"]}
    assert stages["segment"]["done_before"] > 0 and not found["stages_to_come"]
    assert all(stage["ended"] for stage in stages.values())
    assert "is finished" in text and "continues" not in text


def check_running(code: int, found: dict[str, Any], text: str) -> None:
    """The status while one cell of three is done."""
    assert (code, found["state"]) == (0, "running")
    stage = found["stages"][-1]
    assert (stage["name"], stage["done"], stage["total"]) == ("segment", 1, 3)
    assert stage["left_seconds"] > 0 and not stage["ended"]
    assert found["stages_to_come"][0] == "assemble"
    assert (found["workers"]["alive"], found["workers"]["lost"]) == (1, 0)
    assert "1/3 cells" in text and "left" in text and "1 worker" in text


def log_of(folder: Path, job: str) -> str:
    """The log of a job."""
    (path,) = folder.glob(f"logs/*-{job}.err")
    return path.read_text(encoding="utf-8", errors="replace")
