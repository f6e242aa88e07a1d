"""Workers as jobs of a real SLURM: cancelled, retired, killed, held and refused."""

from __future__ import annotations

import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

from tests.faults.site import Site
from tests.slurm.commands import Started, markers, wait
from tests.slurm.node import SlurmNode


def write_yaml(path: Path, queue: str, workers: int = 1, options: str = "") -> Path:
    """The file of a cluster."""
    path.write_text(
        f"scheduler: slurm\nworkers: {workers}\noptions:\n  queue: {queue}\n  memory: 2GiB\n"
        f'  walltime: "00:30:00"\n  interface: lo\n  python: {sys.executable}\n'
        f"  log_directory: {path.parent}/logs\n{options}"
    )
    return path


def test_jobs_that_are_cancelled_or_retire_do_not_change_a_voxel(
    node: SlurmNode, site: Site, tmp_path: Path
) -> None:
    before = set(node.ended())
    life = '  worker_extra_args: ["--lifetime", "14s"]\n'
    cluster = write_yaml(tmp_path / "slurm.yaml", "cpu", 2, life)
    command = ["run", site.store, "--params", site.parameter_file, "--cluster", cluster]
    with Started(command, tmp_path / "run.log", tmp_path) as run:
        wait(lambda: markers(site.run) or run.process.poll() is not None, "a finished unit")
        first = set(node.jobs())
        assert len(first) == 2, run.text()
        certificates = list(site.run.glob(".tls-*/key.pem"))
        assert len(certificates) == 1 and certificates[0].stat().st_mode & 0o077 == 0
        cancelled = min(first, key=int)
        node.ask("scancel", cancelled)
        assert wait(lambda: set(node.jobs()) - first, "a job in its place", 40) < 30
        assert run.end() == 0, run.text()
    site.check()
    wait(lambda: not node.jobs(), "no job is left", 20)
    ended = {number: state for number, state in node.ended().items() if number not in before}
    assert ended[cancelled] == "CANCELLED"
    assert len(ended) >= 4, ended  # the two, and one in place of each
    retired = [path for path in (tmp_path / "logs").iterdir() if "Closing worker" in _read(path)]
    assert retired or "COMPLETED" in ended.values(), ended
    assert not list(site.run.glob(".tls-*"))


def test_jobs_that_do_not_start_are_explained(node: SlurmNode, site: Site, tmp_path: Path) -> None:
    hog = f"  job_script_prologue: [\"{sys.executable} -c 'import time; b = bytes(range(256)) * "
    hog += "2**24; time.sleep(60)'\"]\n"
    clusters = {
        "held": write_yaml(tmp_path / "held.yaml", "closed"),
        "unknown": write_yaml(tmp_path / "unknown.yaml", "nowhere"),
        "large": write_yaml(tmp_path / "large.yaml", "cpu", 1, hog),
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


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
