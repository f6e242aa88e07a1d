"""Processes of one allocation: how they find each other, and their share of its memory."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from hela_dask.errors import ParameterError, StorageError
from hela_dask.tasks.cluster import meeting, ranks, read_cluster
from hela_dask.tasks.cluster.certificates import make_certificates
from hela_dask.tasks.cluster.meeting import Host, Visit
from hela_dask.tasks.cluster.ranks import look_pause
from hela_dask.tasks.cluster.world import World, has_allocation, memory_share, read_world

STEP = {
    "SLURM_JOB_ID": "7",
    "SLURM_STEP_ID": "0",
    "SLURM_PROCID": "5",
    "SLURM_NODEID": "2",
    "SLURM_STEP_NUM_TASKS": "9",
    "SLURM_STEP_TASKS_PER_NODE": "4(x2),1",
}
OPEN_MPI = {
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
    "PMIX_NAMESPACE": "prterun-node/1@1",
}


@pytest.mark.parametrize(
    ("environment", "world"),
    [
        ({}, None),
        (STEP, World(5, 9, 1, "7.0")),
        ({**STEP, "SLURM_NODEID": "1"}, World(5, 9, 4, "7.0")),
        ({**STEP, "SLURM_STEP_ID": ""}, None),  # the script of a job
        (OPEN_MPI, World(1, 4, 2, "prterun-node-1-1")),
        ({**STEP, **OPEN_MPI}, World(1, 4, 2, "prterun-node-1-1")),  # mpirun in a job
        ({"PALS_RANKID": "3", "PMI_SIZE": "8", "PALS_APID": "ab"}, World(3, 8, 8, "ab")),
        ({"OMPI_COMM_WORLD_RANK": "4", "OMPI_COMM_WORLD_SIZE": "4"}, None),
    ],
)
def test_the_place_of_a_process_is_that_of_its_launcher(
    environment: dict[str, str], world: World | None
) -> None:
    assert read_world(environment) == world


def test_a_launcher_without_a_name_gives_all_processes_of_a_command_the_same() -> None:
    first, second = (read_world({"PMI_RANK": rank, "PMI_SIZE": "2"}) for rank in "01")
    assert first is not None and second is not None
    assert first.name == second.name and len(first.name) == 16


def test_jobs_with_the_same_command_do_not_meet() -> None:
    first, second = (
        read_world({"PMI_RANK": "0", "PMI_SIZE": "2", "PBS_JOBID": job}) for job in ("1.a", "2.a")
    )
    assert first is not None and second is not None and first.name != second.name
    bare = {"MV2_COMM_WORLD_RANK": "0", "MV2_COMM_WORLD_SIZE": "2"}
    assert read_world({**bare, "PBS_JOBID": "1.a"}) == read_world(bare), "other nodes lack it"


@pytest.mark.parametrize(("size", "pause"), [(2, 0.5), (400, 2.0), (5000, 5.0)])
def test_many_processes_ask_the_file_system_as_often_as_few(size: int, pause: float) -> None:
    assert look_pause(World(1, size, 1, "job")) == pause


@pytest.mark.parametrize(
    ("memory", "share"),
    [
        ({}, None),
        ({"SLURM_MEM_PER_NODE": "8000"}, 2000),
        ({"SLURM_MEM_PER_CPU": "1000", "SLURM_CPUS_ON_NODE": "8"}, 2000),
        ({"SLURM_MEM_PER_NODE": "0"}, None),  # the whole node
    ],
)
def test_processes_share_the_memory_of_their_node(
    memory: dict[str, str], share: int | None
) -> None:
    found = memory_share(World(0, 9, 4, "7.0"), memory)
    assert found == (None if share is None else share * 2**20)


def test_outside_of_an_allocation_a_sentence_names_the_launchers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in os.environ if name.startswith(("OMPI", "PMI", "SLURM", "MV2"))]:
        monkeypatch.delenv(name)
    with pytest.raises(ParameterError, match="srun or mpirun starts the same command"):
        read_cluster("runner")
    monkeypatch.setenv("PBS_JOBID", "12.server")
    assert has_allocation()
    with pytest.raises(ParameterError, match="put srun or mpirun before the command"):
        read_cluster("runner")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    """A world of two processes that meet here, and notice each other at once."""
    monkeypatch.chdir(tmp_path)
    for name, seconds in (("_BEAT", 0.02), ("_LOOK", 0.0), ("_PATIENCE", 0.4), ("_LEAVE", 0.1)):
        monkeypatch.setattr(meeting, name, seconds)
    yield World(0, 2, 2, "job")


def test_processes_meet_work_and_leave(short: World, tmp_path: Path) -> None:
    visit = Visit(World(1, 2, 2, "job"))
    assert not visit.over() and visit.scheduler() is None  # it is there before the first process
    host = Host(short)
    assert host.folder.stat().st_mode & 0o777 == 0o700
    host.publish({"address": "tls://here"})
    first = visit.scheduler()
    assert first is not None and first["address"] == "tls://here"
    host.publish({"address": "tls://here"})
    second = visit.scheduler()
    assert second is not None and second["id"] != first["id"]  # of another scheduler
    host.withdraw()
    assert visit.scheduler() is None and not visit.over()
    host.close()
    assert visit.over()
    visit.leave()
    assert not list(tmp_path.iterdir())


def test_a_first_process_that_is_killed_is_missed_and_its_folder_removed(
    short: World, tmp_path: Path
) -> None:
    host, visit = Host(short), Visit(World(1, 2, 2, "job"))
    for _ in range(40):  # longer than the patience, while there are signs of life
        assert not visit.over()
        time.sleep(0.02)
    host._over.set()  # no signs of life any more
    time.sleep(0.1)
    assert not visit.over()
    time.sleep(0.6)
    assert not visit.over()  # this process itself may have been suspended
    for _ in range(40):
        visit.lost()
        time.sleep(0.02)
    assert visit.over() and visit.lost()
    visit.leave()
    assert not list(tmp_path.iterdir())


def test_a_first_process_that_never_starts_is_not_waited_for_without_limit(
    short: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meeting, "_START", 0.1)
    visit = Visit(World(1, 2, 2, "job"))
    assert not visit.over()
    for _ in range(20):
        visit.lost()
        time.sleep(0.02)
    assert visit.over()


def test_a_folder_of_a_killed_command_misleads_nobody(short: World, tmp_path: Path) -> None:
    left, old = tmp_path / ".hela-dask-job", tmp_path / ".hela-dask-other"
    for folder in (left, old):
        folder.mkdir()
        (folder / "alive").write_text("17")
        (folder / "end").touch()
    os.utime(old / "alive", (0, 0))
    visit = Visit(World(1, 2, 2, "job"))
    assert not visit.over()
    host = Host(short)
    assert not visit.over() and not old.exists()
    host.close()
    assert visit.over()


def test_a_folder_that_cannot_be_made_is_named(
    short: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StorageError, match=r"\.hela-dask-job \(Read-only file system\)"):
        Host(short)


def test_a_worker_that_cannot_start_notices_the_end_of_the_first_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranks, "_CLOSE", 1)
    make_certificates(tmp_path)
    facts, start = (
        {"address": "tls://127.0.0.1:9", "host": "127.0.0.1", "id": "a"},
        time.monotonic(),
    )
    visit: Any = SimpleNamespace(
        folder=tmp_path, scheduler=lambda: facts, over=lambda: time.monotonic() - start > 2
    )
    asyncio.run(ranks._serve(visit, facts, World(1, 2, 2, "job"), 2**30))
    assert time.monotonic() - start < 30, "a start has two minutes"
    names = [child.name() for child in psutil.Process().children(recursive=True)]
    assert not [name for name in names if "dask" in name.lower()]
