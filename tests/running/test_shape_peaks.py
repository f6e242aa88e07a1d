"""The memory that is planned for measures against the memory that they take, in fresh processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dask.delayed import delayed

from hela_dask.box import Box
from hela_dask.parameters import MeasureParameters
from hela_dask.running.needs import contact_slab, contacts_need, shape_need
from hela_dask.running.shapes import CellBox, SlabSlices, measure_task
from hela_dask.running.stages import Job
from hela_dask.storage import store
from hela_dask.storage.metadata import read_image
from hela_dask.tasks.cluster import Cluster, connect
from hela_dask.tasks.lock import hold
from hela_dask.tasks.memory import worker_memory
from hela_dask.tasks.units import Unit
from tests.planning.test_peaks import _peak

SHAPE, VOXEL = (220, 440, 440), (50.0, 40.0, 40.0)


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cell with a ruffled surface that fills its volume, and its nucleus, among blocks."""
    folder = tmp_path_factory.mktemp("peaks")
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    radius = np.sqrt(((z - 110) / 105) ** 2 + ((y - 220) / 215) ** 2 + ((x - 220) / 215) ** 2)
    waves = 0.04 * np.sin(z / 5) * np.sin(y / 6) * np.sin(x / 6)
    cells = (2 + z // 80 * 25 + y // 100 * 5 + x // 100).astype(np.uint16)
    cells[radius + waves < 0.95] = 1
    nuclei = np.where(radius + waves < 0.6, cells, 0)
    for name, drawn in (("cells", cells), ("nuclei", nuclei)):
        image = store.create_image(
            folder / name, SHAPE, "uint16", VOXEL, name=name, chunks=(16, 128, 128),
            shards=(16, 512, 512),
        )  # fmt: skip
        for z0, z1 in store.slabs(image):
            store.write_slab(image, z0, drawn[z0:z1])
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["shape", "contacts"])
def test_a_task_takes_what_is_planned(labels: Path, tmp_path: Path, kind: str) -> None:
    p, level = MeasureParameters(), read_image(labels / "cells").levels[0]
    if kind == "shape":
        need = shape_need(SHAPE, VOXEL, p)
        what: CellBox | SlabSlices = CellBox(0, 1, Box.whole(SHAPE), ((False, False),) * 3, "")
    else:
        need = contacts_need(level, p)
        what = SlabSlices(0, 64, 64 + contact_slab(SHAPE))
    run = tmp_path / "run"
    run.mkdir()
    with hold(run) as lock, connect(Cluster("local", 1, worker_memory([need]))) as client:
        job = Job(labels, run, labels, lock)
        unit = Unit("measure", kind, "of no other", what)
        peak = client.compute(delayed(_peak, pure=False)(measure_task, job, unit)).result()
    assert need.bytes / 2**20 / 1.4 <= peak <= need.bytes / 2**20 * 1.1
