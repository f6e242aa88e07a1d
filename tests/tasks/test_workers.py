"""Workers that cannot do the units of a run are named, also those that join later."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hela_dask import version as package
from hela_dask.errors import ClusterError, InputError
from hela_dask.tasks.workers import check_workers, run_unit, shared_paths, worker_problem
from tests.tasks.test_dispatch import go, units

NOW = package.__version__


def set_version(version: str) -> None:
    package.__version__ = version


def test_a_worker_that_was_not_checked_is_named_and_no_unit_fails(
    client: Any, tmp_path: Path
) -> None:
    failed: list[str] = []
    other = sorted(client.nthreads())[1]
    client.run(set_version, "0.0.9", workers=[other])
    try:
        with pytest.raises(ClusterError) as caught:
            go(
                client,
                tmp_path,
                units(*range(20, 60)),
                on_failure=lambda _, text: {"failed": failed.append(text)},  # type: ignore[func-returns-value]
            )
        with pytest.raises(InputError, match=f"worker {other} has hela_dask 0.0.9"):
            check_workers(client, [tmp_path])
    finally:
        client.run(set_version, NOW, workers=[other])
    assert str(caught.value).startswith(f"worker {other} has hela_dask 0.0.9, the run has {NOW}")
    assert "the same command again continues" in str(caught.value)
    assert failed == []
    assert len(go(client, tmp_path, units(*range(20, 60)))) == 40


def test_a_worker_that_does_not_see_the_files_is_named(here: Any, tmp_path: Path) -> None:
    address = next(iter(here.nthreads()))
    missing = tmp_path / "image.ome.zarr"
    unit = units(1)[0]
    with pytest.raises(ClusterError, match=f"worker {address} does not see {missing}: put it"):
        here.submit(run_unit, lambda *_: {}, None, NOW, [tmp_path, missing], unit).result()
    with pytest.raises(InputError, match=f"worker {address} does not see {missing}: put it"):
        check_workers(here, [missing])
    check_workers(here, [tmp_path])
    assert worker_problem(NOW, [tmp_path]) == ""
    (tmp_path / "file").touch()
    assert "does not see" in worker_problem(NOW, [tmp_path / "file" / "image.ome.zarr"])


def test_what_the_run_itself_does_not_see_is_no_fault_of_workers(tmp_path: Path) -> None:
    job = SimpleNamespace(lock=SimpleNamespace(path=tmp_path / "lock"), store=tmp_path / "gone")
    assert shared_paths(job) == (tmp_path,)
    job.store = tmp_path
    assert shared_paths(job) == (tmp_path, tmp_path)
