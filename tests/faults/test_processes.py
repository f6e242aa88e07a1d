"""Processes that end under a run: the same command again, and nothing differs."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import dask
import pytest
from distributed import Client, LocalCluster

from hela_dask.cluster import connect, read_cluster
from tests.faults.catalogue import delete
from tests.faults.processes import Command, Orders, forget_run, wait
from tests.faults.site import Site
from tests.running.test_lost import farm

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's"),
]

SOON = 12  # seconds within which nothing of a command that was ended may be left


@pytest.fixture
def fresh(site: Site) -> Site:
    """The site before its first run."""
    forget_run(site)
    return site


@pytest.mark.usefixtures("quick_report")
def test_workers_killed_in_the_middle_of_cells(fresh: Site, tmp_path: Path) -> None:
    orders = [f"{moment}-{number}" for moment in ("computed", "written") for number in range(2)]
    for order in orders:
        (tmp_path / order).touch()
    with connect(read_cluster(workers=2)) as client:
        plugin = Orders(tmp_path)
        client.register_plugin(plugin)
        result = fresh.start(client=client)
    assert result.exit_code == 0
    assert not any((tmp_path / order).exists() for order in orders)
    assert plugin.workers >= 2 + len(orders) - 1, "each that was killed was replaced"
    fresh.check()
    fresh.start()
    fresh.check()


@pytest.mark.parametrize(
    ("stage", "signals", "code"),
    [
        ("background", [signal.SIGTERM], -signal.SIGTERM),
        ("segment", [signal.SIGKILL], -signal.SIGKILL),
        ("segment", [signal.SIGINT, signal.SIGINT], 130),
    ],
    ids=["SIGTERM", "SIGKILL", "SIGINT twice"],
)
def test_the_command_is_ended(
    fresh: Site, stage: str, signals: list[signal.Signals], code: int
) -> None:
    with Command(fresh, "--workers", 1) as command:
        command.until(stage)
        assert len(command.processes()) > 1, "its workers carry the mark too"
        for number in signals:
            if number == signal.SIGINT:  # the terminal's, to the whole group
                os.killpg(command.process.pid, number)
            else:
                command.process.send_signal(number)
        found, errors = command.end()
        assert found == code and "Traceback" not in errors, errors
        wait(lambda: not command.processes(), SOON)
    done = {path.name for path in (fresh.run / "done").glob("*.json")}
    assert not any(name.startswith("assemble") for name in done)
    with Command(fresh, "--workers", 1) as again:
        assert again.end()[0] == 0
    fresh.check()


def test_the_scheduler_is_killed(fresh: Site, tmp_path: Path) -> None:
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
    with farm(tmp_path / "first", threads=2) as (address, scheduler):
        with Client(address, set_as_default=False) as client:
            client.register_plugin(Orders(tmp_path / "first", nap=0.3))
        with Command(fresh, "--cluster", address) as command:
            command.until("detect")
            scheduler.kill()
            code, errors = command.end()
    assert code == 1 and "Traceback" not in errors, errors
    last = errors.strip().splitlines()[-1]
    assert f"the dask scheduler at {address} is gone" in last, errors
    with (
        farm(tmp_path / "second", threads=4) as (address, _),
        Command(fresh, "--cluster", address) as again,
    ):
        code, errors = again.end()
        assert code == 0, errors
    fresh.check()


@pytest.mark.parametrize("threads", [2, 4])
@pytest.mark.usefixtures("quick_report")
def test_workers_of_several_threads(fresh: Site, threads: int) -> None:
    with (
        LocalCluster(n_workers=1, threads_per_worker=threads, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        assert fresh.start(client=client).exit_code == 0
    fresh.check()


@pytest.mark.usefixtures("quick_report")
def test_one_cell_of_an_unfinished_run(fresh: Site) -> None:
    first = fresh.start(cells=[2])
    assert list(first.cells.loc[first.cells["status"] == "segmented", "label"]) == [2]
    for label in ("1", "2"):  # the run is unfinished, then one other cell is asked for
        for marker in (fresh.run / "done").glob("assemble-*"):
            delete(marker)
        fresh.start(cells=[int(label)])
    fresh.start()
    fresh.check()


@pytest.mark.usefixtures("quick_report")
def test_workers_that_retire(fresh: Site, tmp_path: Path) -> None:
    with (
        dask.config.set({"distributed.worker.lifetime.duration": "40s"}),
        connect(read_cluster(workers=2)) as client,
    ):
        plugin = Orders(tmp_path, nap=2.5)  # some 37 units: longer than a life-time
        client.register_plugin(plugin)
        assert fresh.start(client=client).exit_code == 0
    assert plugin.workers >= 4, "two generations of two"
    fresh.check()
    fresh.start()
    fresh.check()
