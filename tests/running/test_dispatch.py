"""Units handed to workers: a dying worker costs the guilty unit only, a finished one is skipped."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hela_dask.cluster import connect, read_cluster
from hela_dask.errors import InputError, ResourceError
from hela_dask.running.dispatch import Unit, run_units
from hela_dask.running.lock import Lock
from hela_dask.running.markers import Markers
from hela_dask.running.progress import RunProgress


@dataclass(frozen=True)
class Job:
    """What dispatch needs of a job."""

    folder: Path
    lock: Lock

    @property
    def markers(self) -> Markers:
        return Markers(self.folder)


def double(job: Job, unit: Unit) -> dict[str, Any]:
    """The unit's number, twice."""
    if unit.what == 13:
        os._exit(1)
    if unit.what < 0:
        raise InputError(f"{unit.what} is below zero")
    row = {"twice": 2 * unit.what}
    return job.markers.finish(unit.stage, unit.name, unit.fingerprint, row)


def units(*numbers: int) -> list[Unit]:
    return [Unit("double", str(number), "f", number, float(number)) for number in numbers]


def go(client: Any, folder: Path, numbers: list[Unit], **more: Any) -> dict[str, Any]:
    job = Job(folder, Lock(folder / "lock", "0123456789"))
    with RunProgress(False) as progress:
        return run_units(
            lambda: client,
            double,
            job,
            numbers,
            markers=job.markers,
            progress=progress,
            kind="numbers",
            **more,
        )


def test_results_come_in_the_order_of_the_units(client: Any, tmp_path: Path) -> None:
    found = go(client, tmp_path, units(*range(12)))
    assert list(found.items()) == [(str(n), {"twice": 2 * n}) for n in range(12)]


def test_finished_units_are_not_done_again(tmp_path: Path, client: Any) -> None:
    Markers(tmp_path).finish("double", "3", "f", {"twice": "kept"})
    found = go(client, tmp_path, units(2, 3))
    assert found == {"2": {"twice": 4}, "3": {"twice": "kept"}}
    assert go(None, tmp_path, units(2, 3)) == found


def test_an_error_ends_the_stage_or_is_a_result(client: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="-1 is below zero"):
        go(client, tmp_path, units(-1))
    found = go(client, tmp_path, units(-1, 4), on_failure=lambda _, text: {"error": text})
    assert found == {"-1": {"error": "InputError: -1 is below zero"}, "4": {"twice": 8}}


@pytest.mark.slow
def test_a_unit_that_ends_its_workers_fails_alone(tmp_path: Path) -> None:
    with connect(read_cluster(workers=1, memory="1GiB")) as client:
        found = go(client, tmp_path, units(1, 13, 2), on_failure=lambda _, text: {"error": text})
        assert [found[name] for name in ("1", "2")] == [{"twice": 2}, {"twice": 4}]
        assert "double 13 ended its workers" in found["13"]["error"]
        assert "--memory" in found["13"]["error"]
        with pytest.raises(ResourceError, match="double 13"):
            go(client, tmp_path, units(13))
