"""Parts of one cell in a run: their contacts are measured slab by slab, and they get one label."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hela_dask.box import Box
from hela_dask.geometry import Geometry
from hela_dask.methods.method import Outputs
from hela_dask.parameters import Parameters
from hela_dask.running.joining import cell_parts, contact_units, contacts_task, join_parts
from hela_dask.running.keys import Keys
from hela_dask.running.predicted import predicted_path
from hela_dask.running.stages import Job, labels_path
from hela_dask.running.units import Background, slab_ranges
from hela_dask.steps.assemble import (
    CellMasks,
    assemble_slab,
    encode_masks,
    kept_labels,
    plan_slabs,
)
from hela_dask.steps.join import find_joined
from hela_dask.storage import store
from hela_dask.tasks.lock import hold
from hela_dask.volume.greys import GreyLevels
from tests.methods.models import model_for

SHAPE, VOXEL = (40, 30, 90), (50.0, 40.0, 40.0)
GEOMETRY = Geometry(SHAPE, VOXEL)
RESIN = Background("b", GreyLevels(), (float("nan"),) * SHAPE[0])


def kept(job: Job, label: int, low: int, high: int, nucleus: bool) -> tuple[CellMasks, list[int]]:
    """A cell in some columns of all slices, as a run keeps it."""
    cell = np.ones((SHAPE[0], SHAPE[1], high - low), dtype=bool)
    inside = np.zeros_like(cell)
    inside[5:35, 5:25, 5:-5] = nucleus
    bits = encode_masks(inside, cell, np.zeros_like(cell))
    path = store.create_scratch(job.masks(label), bits.shape, bits.dtype)
    store.write_scratch(path, bits)
    return CellMasks(label, path, Box.at((0, 0, low), bits.shape)), [low + 5, high - 5]


def test_a_part_without_a_boundary_gets_the_label_of_its_cell(tmp_path: Path) -> None:
    parameters = Parameters.from_dict({"unet": model_for("unet", tmp_path / "model")})
    outputs = Outputs(tmp_path / "model", ("nucleus", "boundary"), 100.0, "boundary")
    keys = Keys("source", "unet", "network", parameters, outputs)
    (tmp_path / "run").mkdir()
    with hold(tmp_path / "run") as lock:
        job = Job(tmp_path / "image", tmp_path / "run", tmp_path / "labels", lock, "unet")
        job = replace(job, parameters=parameters)
        cells = [kept(job, 1, 0, 30, True), kept(job, 2, 30, 60, False), kept(job, 3, 60, 90, True)]
        masks = [item for item, _ in cells]
        rows = {
            item.label: {
                "status": "segmented",
                "reason": "",
                "nucleus_extent": None if item.label == 2 else [[5, 35], [5, 25], columns],
            }
            for item, columns in cells
        }
        store.create_scratch(job.resin, SHAPE, np.uint8)
        boundary = np.zeros(SHAPE, np.uint8)
        boundary[:, :, 58:62] = 200  # between 2 and 3
        store.write_scratch(
            store.create_scratch(predicted_path(job.run, "boundary"), boundary.shape, np.uint8),
            boundary,
        )
        parts = cell_parts(rows, masks)
        units = contact_units(keys, RESIN, GEOMETRY, masks, parts)
        assert [unit.what[1] for unit in units] == [[(1, 2), (2, 3)]] * 3
        found = [contacts_task(job, unit) for unit in units]
        assert job.markers.result("contacts", units[0].name, units[0].fingerprint) == found[0]
        marker = job.markers.read("contacts", units[1].name)
        assert marker is not None and job.markers.mismatches(marker) == []
    contacts = [contact for row in found for contact in row["contacts"]]
    joined = find_joined(parts, contacts, parameters.assemble)
    assert joined == {2: 1}
    total = np.sum([contact[2:] for contact in contacts if contact[:2] == [2, 3]], axis=0)
    area = SHAPE[0] * SHAPE[1] * 50 * 40 * 1e-6
    np.testing.assert_allclose(total, [area, area * 200 / 255, 0, 0, 30 * 20 * 20 * 8e-5])
    flagged, labelled = join_parts(rows, masks, joined)
    assert [row["status"] for row in flagged.values()] == ["segmented", "joined", "segmented"]
    assert flagged[2]["reason"] == "no boundary separates it from cell 1, which has its voxels"
    slabs = plan_slabs(slab_ranges(SHAPE[0]), GEOMETRY, labelled)
    for slab in slabs:
        resin = np.zeros((slab.z1 - slab.z0, *SHAPE[1:]), np.uint8)
        labels = assemble_slab(slab, resin, parameters.assemble)
        assert np.unique(labels.cells[:, :, :60]).tolist() == [1]
        assert np.unique(labels.cells[:, :, 60:]).tolist() == [3]
        kept_before = kept_labels(slab, labels_path(job.run, slab.z0))
        np.testing.assert_array_equal(kept_before.owner, labels.owner)
        np.testing.assert_array_equal(kept_before.kind, labels.kind)
    next(path for path in labels_path(job.run, slabs[1].z0).rglob("c/*/*/*")).unlink()
    assert len(job.markers.mismatches(marker)) == 1


@pytest.mark.parametrize("outputs", [None, Outputs(Path("model"), ("nucleus",), 100.0)])
def test_without_a_boundary_nothing_is_measured(outputs: Outputs | None) -> None:
    keys = Keys("source", "unet", "network", Parameters(), outputs)
    assert contact_units(keys, RESIN, GEOMETRY, [], []) == []
