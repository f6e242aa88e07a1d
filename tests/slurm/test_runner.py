"""A run inside one allocation, of SLURM and of MPI."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.faults.site import Site
from tests.slurm.commands import (
    HELA_DASK,
    WITHOUT_PAGES,
    markers,
    submit,
    wait,
    worker_processes,
)
from tests.slurm.node import SlurmNode

pytestmark = pytest.mark.slow

_TASKS = ("--ntasks=2", "--mem-per-cpu=3G")


def test_a_run_in_an_allocation_that_is_ended_twice_gives_the_same_bits(
    node: SlurmNode, site: Site, tmp_path: Path
) -> None:
    run = ["run", site.store, "--params", site.parameter_file, "--cluster", "runner"]
    line, last = (
        "exec srun --quiet " + shlex.join(map(str, [*program, *run]))
        for program in (HELA_DASK, WITHOUT_PAGES)
    )

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
    job = submit(last, log, *_TASKS)
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
    lines = (tmp_path / "pair.log").read_text().splitlines()
    (error,) = [text for text in lines if text.startswith("Error:")]  # of the first task only
    assert "this one has 1 worker: leave it out, or start 4 processes for 3 workers" in error


_SCRIPT = """
import sys
import hela_dask as hd

if __name__ == "__main__":
    for _ in range(2):
        found = hd.measure(sys.argv[1], voxel_size=(50, 10, 10), cluster="runner", progress=False)
        print([round(volume, 5) for volume in found.objects["volume"]])
"""


@pytest.mark.skipif(shutil.which("mpirun") is None, reason="mpirun is not installed")
def test_mpirun_gives_the_same_results_for_commands_and_scripts(
    undisturbed: Site, tmp_path: Path
) -> None:
    undisturbed.restore()
    folders = [tmp_path / name for name in ("command", "refused", "script")]
    for folder in folders:
        folder.mkdir()
    labels, script = tmp_path / "labels.npy", tmp_path / "script.py"
    image = np.zeros((8, 32, 32), np.uint16)
    image[2:6, 4:12, 4:12], image[2:6, 20:28, 4:28] = 1, 2
    np.save(labels, image)
    script.write_text(_SCRIPT)
    detect = ["detect", undisturbed.store, "--params", undisturbed.parameter_file, "--out", "run"]
    runner = ["--cluster", "runner"]
    started = [
        _mpirun(folders[0], *HELA_DASK, *detect, *runner),
        _mpirun(folders[1], *HELA_DASK, "run", "nothing.ome.zarr", *runner),
        _mpirun(folders[2], sys.executable, script, labels),
    ]
    texts = [process.communicate(timeout=180) for process in started]
    assert [process.returncode for process in started] == [0, 1, 0], texts
    (table, steps), (nothing, refusal), (volumes, quiet) = texts
    assert "Traceback" not in steps + refusal + quiet and "distributed" not in steps + quiet
    assert table.count("label") == 1  # one process prints
    names = ["label", "z", "y", "x", "height"]
    found = pd.read_parquet(folders[0] / "run" / "cells.parquet")
    pd.testing.assert_frame_equal(found[names], undisturbed.cells[names], check_exact=True)
    assert not nothing and refusal.count("Error:") == 1
    assert volumes.splitlines() == ["[0.00128, 0.00384]"] * 2
    assert not list(tmp_path.glob("*/.hela-dask-*"))


def _mpirun(folder: Path, *command: object) -> subprocess.Popen[str]:
    launcher = ["mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-n", "2"]
    return subprocess.Popen(
        [*launcher, *map(str, command)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
