"""Fixtures that several test files share."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import pytest

from hela_dask.running.result import RunResult
from tests.scenes import EmptyPage, copy_run, make_scene, run_scene, stand_in

LONGEST_ID = 80
"""Characters of a parameter that are in the name of a test."""


def pytest_configure() -> None:
    """Let workers that a test starts as processes of their own import the tests' tasks."""
    root = str(Path(__file__).parent.parent)
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if root not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [root, *paths]))
    # Schedulers and workers observe themselves once a second: in tests nobody reads their figures.
    for name in (
        "ADMIN__SYSTEM_MONITOR__INTERVAL",
        "ADMIN__TICK__INTERVAL",
        "WORKER__PROFILE__INTERVAL",
    ):
        os.environ.setdefault(f"DASK_DISTRIBUTED__{name}", "1s")
    dask.config.refresh()
    # A run waits some hundred times for the disk. No file of a test is to survive a crash of the
    # machine, so in this process none waits.
    pytest.MonkeyPatch().setattr(os, "fsync", os.fstat)


def pytest_make_parametrize_id(val: object) -> str | None:
    """A long text is no part of a test's name, which each process sends with each result."""
    if isinstance(val, str | bytes) and len(val) > LONGEST_ID:
        kind = "bytes" if isinstance(val, bytes) else "characters"
        return f"{val[:16]!r}... {len(val)} {kind}"
    return None


@pytest.hookimpl(tryfirst=True)  # before the one of xdist, which reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Share the files among processes: one takes those that wait, the others begin with slow ones.

    Tests that mostly wait for other processes share one group; the other cores compute. Those that
    use one SLURM share another, and so do those that load Keras, or damage the files of one run.
    """
    waiting, slow = (
        {item.path for item in items if item.get_closest_marker(marker)}
        for marker in ("waiting", "slow")
    )
    keras = {item.path for item in items if "keras" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: (item.path not in waiting, item.path not in slow))
    for item in items:
        group = "waiting" if item.path in waiting else item.path.as_posix()
        folder = item.path.parent.name
        if folder == "slurm" or (folder == "faults" and item.path not in waiting):
            group = folder
        elif item.path in keras:
            group = "keras"
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_collection_finish() -> None:
    """Keep what the collection made (half a million objects) out of each garbage collection."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real EM stacks; the test is skipped where there is none."""
    folder = os.environ.get("HELA_DASK_DATA")
    if not folder or not Path(folder, "roi1656").is_dir():
        pytest.skip("real data not found: set HELA_DASK_DATA to the folder that holds roi1656/")
    return Path(folder)


@pytest.fixture(scope="session")
def client() -> Iterator[Any]:
    """One small dask cluster for the whole session: two processes of one thread.

    Not dask's default, so that a test without it computes in its own process whatever ran before.
    """
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def here() -> Iterator[Any]:
    """A client in this process, of one thread."""
    from distributed import Client

    with Client(
        processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0"
    ) as client:
        yield client


@pytest.fixture(scope="session", autouse=True)
def real_performance_page() -> Iterator[Any]:
    """Leave dask's page of performance empty, which takes longer than most runs of the tests.

    Gives dask's own class, for :func:`performance_page`.
    """
    import distributed

    real = distributed.performance_report
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("distributed.performance_report", EmptyPage)
        yield real


@pytest.fixture
def performance_page(monkeypatch: pytest.MonkeyPatch, real_performance_page: Any) -> None:
    """Write dask's page of performance in this test."""
    monkeypatch.setattr("distributed.performance_report", real_performance_page)


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Level and handlers of the log, which a command sets, do not outlive a test."""
    log = logging.getLogger("hela_dask")
    level, handlers = log.level, list(log.handlers)
    yield
    log.setLevel(level)
    log.handlers[:] = handlers


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunResult]:
    """A finished run of four balls, which no test changes; a file made from it is noted in it."""
    from distributed import Client

    folder = tmp_path_factory.mktemp("known")

    def times() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}

    with Client(
        processes=False,
        n_workers=1,
        threads_per_worker=1,
        dashboard_address=":0",
        set_as_default=False,
    ) as client:
        result = run_scene(folder, client)
    before = times()
    yield result
    assert times() == before, "a test has changed the run that others copy: let it use a copy"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Quick stand-ins for the slow kernels; what they were called with."""
    return stand_in(monkeypatch)


@pytest.fixture
def first(known: RunResult, tmp_path: Path, calls: dict[str, Any]) -> RunResult:
    """A copy of the finished run, with the calls that it made: what other runs follow."""
    copy = copy_run(known, tmp_path)
    done = copy.path / "done"
    calls["segment"] = sorted(int(path.stem[-5:]) for path in done.glob("segment-*"))
    calls["background"] = len(list(done.glob("background-*")))
    return copy


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A store with four balls in resin."""
    return make_scene(tmp_path / "balls.ome.zarr")
