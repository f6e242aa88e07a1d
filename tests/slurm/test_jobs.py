"""Workers as jobs of a real SLURM: cancelled, retired, killed, held and refused."""

from __future__ import annotations

import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.site import Site
from tests.slurm.commands import WITHOUT_PAGES, Started, markers, wait, write_cluster
from tests.slurm.node import SlurmNode

pytestmark = pytest.mark.slow


def test_jobs_that_are_cancelled_or_retire_do_not_change_a_voxel(
    node: SlurmNode, site: Site, tmp_path: Path
) -> None:
    before = set(node.ended())
    retires = tmp_path / "retires"  # the number of the first job; the worker of others stays
    python = tmp_path / "python"
    python.write_text(
        f"#!/bin/sh\nif (set -C; echo $SLURM_JOB_ID > {retires}) 2>/dev/null\n"
        f'then set -- "$@" --lifetime 4s --lifetime-stagger 0s; fi\nexec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    cluster = write_cluster(tmp_path / "slurm.yaml", workers=2, python=str(python))
    command = ["run", site.store, "--params", site.parameter_file, "--cluster", cluster]
    with Started(command, tmp_path / "run.log", tmp_path, WITHOUT_PAGES) as run:
        wait(lambda: markers(site.run) or run.process.poll() is not None, "a finished unit")
        certificates = list(site.run.glob(".tls-*/key.pem"))
        assert len(certificates) == 1 and certificates[0].stat().st_mode & 0o077 == 0
        known, retired = set(node.jobs()), retires.read_text().strip()
        cancelled = min(known - {retired}, key=int)
        node.ask("scancel", cancelled)
        assert wait(lambda: set(node.jobs()) - known, "a job in its place", 40) < 30
        assert run.end() == 0, run.text()
    site.check()
    wait(lambda: not node.jobs(), "no job is left", 20)
    ended = {number: state for number, state in node.ended().items() if number not in before}
    assert (ended[cancelled], ended[retired]) == ("CANCELLED", "COMPLETED")
    assert len(ended) > 2
    assert not list(site.run.glob(".tls-*"))


def test_jobs_that_do_not_start_are_explained(node: SlurmNode, site: Site, tmp_path: Path) -> None:
    hog = f"{sys.executable} -c 'import time; b = bytes(2**20) * 4000; time.sleep(60)'"
    clusters = {
        "held": write_cluster(tmp_path / "held.yaml", queue="closed"),
        "unknown": write_cluster(tmp_path / "unknown.yaml", queue="nowhere"),
        "large": write_cluster(tmp_path / "large.yaml", job_script_prologue=[hog]),
    }
    runs = {}
    with ExitStack() as stack:
        for name, cluster in clusters.items():
            store = tmp_path / f"{name}.ome.zarr"
            shutil.copytree(site.store, store)
            command = ["run", store, "--params", site.parameter_file, "--cluster", cluster]
            runs[name] = stack.enter_context(Started(command, tmp_path / f"{name}.log", tmp_path))
        assert runs["unknown"].end() == 1
        (error,) = [line for line in runs["unknown"].text().splitlines() if "Error" in line]
        assert "SLURM does not take the jobs: sbatch: error: invalid partition" in error
        runs["held"].shows("waiting for a worker since 10 s: 1 job pending (PartitionDown)")
        runs["held"].interrupt()
        assert runs["held"].end() == 130, runs["held"].text()
        assert runs["large"].end() == 1
        (error,) = [line for line in runs["large"].text().splitlines() if "Error" in line]
        assert "3 workers in a row ended before they joined" in error
        assert "emory" in error
    wait(lambda: not node.jobs(), "no job is left", 20)
