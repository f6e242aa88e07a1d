"""The memory that is planned against the memory that tasks take, each in a fresh process."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dask.delayed import delayed

from hela_dask.evaluation.instances import open_instances
from hela_dask.kernels.overlaps import Runs, count_runs
from hela_dask.measuring.result import MeasureFiles
from hela_dask.measuring.tasks import MeasureJob, objects_task, slab_task
from hela_dask.parameters import MeasureParameters
from hela_dask.storage import store
from hela_dask.tasks.cluster import Cluster, connect
from hela_dask.tasks.lock import hold
from hela_dask.tasks.memory import worker_memory
from tests.planning.test_peaks import _peak

measuring: Any = importlib.import_module("hela_dask.measuring.measure")
SHAPE, VOXEL = (96, 1500, 1500), (50.0, 20.0, 20.0)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A flat ellipsoid among blocks of 2 µm; and the count of the ellipsoid."""
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    labels = (2 + z // 40 * 225 + y // 100 * 15 + x // 100).astype(np.uint16)
    inside = ((z - 48) / 45) ** 2 + ((y - 750) / 740) ** 2 + ((x - 750) / 740) ** 2 < 1
    labels[inside] = 1
    path = tmp_path_factory.mktemp("peaks") / "o.ome.zarr"
    image = store.create_image(
        path, SHAPE, "uint16", VOXEL, name="o", chunks=(32, 128, 128), shards=(32, 1536, 1536)
    )
    for z0, z1 in store.slabs(image):
        store.write_slab(image, z0, labels[z0:z1])
    return path, count_runs(Runs.of(inside.astype(np.uint8)))


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["count", "measure"])
def test_a_task_takes_what_is_planned(
    drawn: tuple[Path, np.ndarray], tmp_path: Path, stage: str
) -> None:
    labels, p = open_instances(drawn[0])[0], MeasureParameters()
    files = MeasureFiles.at(tmp_path / "t.parquet")
    request = measuring._Request(files, labels, VOXEL, p)
    task, unit, need = slab_task, request.slabs()[1], request.slab_need()
    if stage == "measure":
        (unit,) = request.objects(drawn[1])
        task, need = objects_task, request.objects_need(unit)
    with hold(tmp_path) as lock, connect(Cluster("local", 1, worker_memory([need]))) as client:
        files.scratch.mkdir(parents=True)
        job = MeasureJob(labels, VOXEL, p, files.scratch, lock)
        peak = client.compute(delayed(_peak, pure=False)(task, job, unit)).result()
    assert need.bytes / 2**20 / 1.5 <= peak <= need.bytes / 2**20 * 1.1
