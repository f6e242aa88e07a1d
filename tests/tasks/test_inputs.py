"""Units whose inputs are graphs that the cluster computes; what fails there is one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from dask.delayed import delayed
from numpy.typing import NDArray

from hela_dask import version as package
from hela_dask.errors import ClusterError, StorageError
from hela_dask.operators.slabs import lazy_slabs, map_slabs
from hela_dask.tasks import workers
from hela_dask.tasks.units import Unit
from tests.tasks.test_dispatch import Job, go, units

VERSION = package.__version__


def total(job: Job, unit: Unit, blocks: list[NDArray[Any]]) -> dict[str, Any]:
    """The sum of what the cluster has computed."""
    return {"total": float(sum(block.sum() for block in blocks))}


def add_one(block: NDArray[Any]) -> NDArray[Any]:
    return block + 1


def slabs(unit: Unit) -> list[Any]:
    """The slice of a unit's number, of ones, and one more."""
    ones = da.ones((60, 2, 2), chunks=(4, 2, 2))
    found = map_slabs(add_one, ones, name="add-one", dtype=float)
    return [lazy_slabs(found, unit.what, unit.what + 1)]


def fail(error: Exception) -> list[NDArray[Any]]:
    if isinstance(error, FileNotFoundError) and workers._sees(Path("/")):
        return [np.ones(2)]  # this worker sees what the other does not
    raise error


def failing(error: Exception) -> Any:
    return lambda _: [delayed(fail, pure=False)(error)]


def set_version(version: str) -> None:
    package.__version__ = version


def set_sight(*, blind: bool) -> None:
    workers._sees = (lambda _: False) if blind else Path.exists  # type: ignore[assignment]


def test_inputs_are_computed_first(client: Any, tmp_path: Path) -> None:
    found = go(client, tmp_path, units(*range(20)), total, inputs=slabs)
    assert found == {str(number): {"total": 8.0} for number in range(20)}


def test_an_input_that_fails_ends_the_stage_with_its_sentence(client: Any, tmp_path: Path) -> None:
    damaged = StorageError("chunk (0, 1, 2) is damaged: restore the store from a copy")
    with pytest.raises(StorageError, match=r"^chunk \(0, 1, 2\) is damaged: restore the store"):
        go(client, tmp_path, units(1, 2), total, inputs=failing(damaged))
    unknown = ValueError("operands could not be broadcast")
    with pytest.raises(
        RuntimeError, match=r"^double \d failed: ValueError: operands could not be broadcast$"
    ):
        go(client, tmp_path, units(1, 2), total, inputs=failing(unknown))


def test_kernels_of_another_version_are_refused(client: Any, tmp_path: Path) -> None:
    other = sorted(client.nthreads())[1]
    client.run(set_version, "0.0.9", workers=[other])
    try:
        with pytest.raises(ClusterError) as caught:
            go(client, tmp_path, units(*range(60)), total, inputs=slabs)
    finally:
        client.run(set_version, VERSION, workers=[other])
    assert str(caught.value).startswith(
        f"worker {other} has hela_dask 0.0.9, the run has {VERSION}: install the same version"
    )
    assert str(caught.value).endswith("the same command again continues")


def test_a_worker_that_cannot_read_an_input_is_named(client: Any, tmp_path: Path) -> None:
    other = sorted(client.nthreads())[1]
    client.run(set_sight, blind=True, workers=[other])
    try:
        missing = FileNotFoundError(2, "No such file or directory")
        with pytest.raises(ClusterError) as caught:
            go(client, tmp_path, units(*range(40)), total, inputs=failing(missing))
    finally:
        client.run(set_sight, blind=False, workers=[other])
    assert str(caught.value).startswith(f"worker {other} does not see {tmp_path}: put it on")
    assert str(caught.value).endswith("the same command again continues")
