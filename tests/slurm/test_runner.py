"""A run inside one allocation, of SLURM and of MPI."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from tests.faults.site import Site
from tests.slurm.commands import HELA_DASK, markers, submit, wait, worker_processes
from tests.slurm.node import SlurmNode

_TASKS = ("--ntasks=2", "--mem-per-cpu=3G")


def test_a_run_in_an_allocation_that_is_ended_twice_gives_the_same_bits(
    node: SlurmNode, site: Site, tmp_path: Path
) -> None:
    command = [*HELA_DASK, "run", site.store, "--params", site.parameter_file]
    line = "exec srun --quiet " + shlex.join([*map(str, command), "--cluster", "runner"])

    def ended(job: str) -> bool:
        return job in node.ended()

    def finish_more(job: str, log: Path, seconds: float = 90) -> float:
        found = markers(site.run)
        return wait(lambda: markers(site.run) - found or ended(job), f"a unit more: {log}", seconds)

    log = tmp_path / "first.log"
    job = submit(line, log, *_TASKS)
    wait(lambda: markers(site.run) or ended(job), "a finished unit")
    (worker,) = worker_processes(job)
    assert worker.ppid() != 1
    worker.kill()
    assert finish_more(job, log, 40) < 30  # the only worker: it was started again
    assert not ended(job), log.read_text()
    folders = list(tmp_path.glob(".hela-dask-*"))
    assert len(folders) == 1 and folders[0].stat().st_mode & 0o077 == 0

    # At the end of its time, SLURM sends SIGTERM to all processes, and SIGKILL after a pause.
    node.ask("scancel", "--signal=TERM", f"{job}.0")
    wait(lambda: ended(job), "SIGTERM ends the job", 25)
    text = log.read_text()
    assert text.count("Error:") == 1 and "Error: interrupted" in text, text
    assert "Traceback" not in text
    assert not (site.run / "lock").exists() and not list(tmp_path.glob(".hela-dask-*"))
    state = json.loads((site.run / "run.json").read_text(encoding="utf-8"))["state"]
    assert state == "interrupted"

    log = tmp_path / "second.log"
    job = submit(line, log, *_TASKS)
    finish_more(job, log)
    node.ask("scancel", "--signal=KILL", f"{job}.0")
    wait(lambda: ended(job), "SIGKILL ends the job", 25)
    assert (site.run / "lock").exists()

    log = tmp_path / "third.log"
    job = submit(line, log, *_TASKS)
    wait(lambda: ended(job), "the run", 120)
    assert node.ended()[job] == "COMPLETED", log.read_text()
    site.check()
    assert log.read_text().count("Segmented") <= 1  # one process prints
    assert not list(tmp_path.glob(f".hela-dask-{job}*"))
    wait(lambda: not node.jobs(), "no job is left", 20)


def test_without_srun_or_without_a_second_task_a_sentence_says_what_to_do(
    node: SlurmNode, site: Site, tmp_path: Path
) -> None:
    line = shlex.join([*HELA_DASK, "detect", str(site.store), "--cluster", "runner"])
    alone = submit(f"{line}; srun --quiet {line}", tmp_path / "alone.log", "--ntasks=1", "--mem=1G")
    more = f"exec srun --quiet {line} --workers 3"
    pair = submit(more, tmp_path / "pair.log", "--ntasks=2", "--mem=2G")
    wait(lambda: {alone, pair} <= set(node.ended()), "both jobs", 60)
    lines = (tmp_path / "alone.log").read_text().splitlines()
    first, second = [text for text in lines if text.startswith("Error:")]
    assert "put srun or mpirun before the command" in first
    assert "needs at least 2 processes" in second
    (error,) = (tmp_path / "pair.log").read_text().splitlines()
    assert "this one has 1 worker: leave it out, or start 4 processes for 3 workers" in error


@pytest.mark.skipif(shutil.which("mpirun") is None, reason="mpirun is not installed")
def test_mpirun_finds_the_same_cells(undisturbed: Site, tmp_path: Path) -> None:
    undisturbed.restore()
    out = tmp_path / "out"
    tail = ["detect", undisturbed.store, "--params", undisturbed.parameter_file, "--out", out]
    done = _mpirun(tmp_path, *tail)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "distributed" not in done.stderr
    assert done.stdout.count("first_slice") == 1  # one process prints
    names = ["label", "z", "y", "x", "height"]
    found = pd.read_parquet(out / "cells.parquet")
    pd.testing.assert_frame_equal(found[names], undisturbed.cells[names], check_exact=True)
    assert list(tmp_path.iterdir()) == [out]

    refused = _mpirun(tmp_path, "run", tmp_path / "nothing.ome.zarr")
    assert refused.returncode == 1
    assert refused.stderr.count("Error:") == 1 and "Traceback" not in refused.stderr


def _mpirun(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    launcher = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "3"]
    return subprocess.run(
        [*launcher, *HELA_DASK, *map(str, arguments), "--cluster", "runner"],
        cwd=folder,
        env={**os.environ, "OMPI_MCA_rmaps_base_mapping_policy": "slot"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
