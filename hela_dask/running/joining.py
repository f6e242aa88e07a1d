"""Parts of one cell that were detected as several, in a run: their units, task and outcome."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hela_dask.box import Box
from hela_dask.geometry import Geometry
from hela_dask.methods.registry import get_method
from hela_dask.running.keys import Keys
from hela_dask.running.predicted import read_output
from hela_dask.running.stages import Job, labels_path, records_inside
from hela_dask.running.units import Background, slab_ranges
from hela_dask.statuses import JOINED
from hela_dask.steps.assemble import (
    CellMasks,
    assemble_slab,
    keep_labels,
    plan_slabs,
    shared_nuclei,
)
from hela_dask.steps.join import Part, joinable, joined_reason, slab_contacts
from hela_dask.storage import store
from hela_dask.tasks.allocator import release_memory
from hela_dask.tasks.cost import measured
from hela_dask.tasks.units import Row, Unit

__all__ = ["cell_parts", "contact_units", "contacts_task", "join_parts"]


def contact_units(
    keys: Keys,
    background: Background,
    geometry: Geometry,
    masks: Sequence[CellMasks],
    parts: Sequence[Part],
) -> list[Unit]:
    """A unit per slab of the working level in which cells touch that may be parts of one.

    There is none where the method's network predicts no boundary, or nothing is to be joined.
    """
    p = keys.parameters
    asked = keys.outputs
    if asked is None or not asked.boundary or not p.assemble.boundary:
        return []
    pairs = joinable(parts)
    classes, units = keys.classify(background.grey_levels), []
    for slab in plan_slabs(slab_ranges(geometry.shape[0]), geometry, masks):
        there = {item.label for item in slab.masks}
        here = [pair for pair in pairs if there.issuperset(pair)]
        if here:
            key = keys.contacts(classes, slab, here)
            units.append(Unit("contacts", f"z{slab.z0:05d}", key, (slab, here), float(len(there))))
    return units


def cell_parts(rows: Mapping[int, Row], masks: Sequence[CellMasks]) -> list[Part]:
    """The cells with masks, as parts that may be joined; `rows` by label."""
    found = []
    for item in masks:
        extent = rows[item.label]["nucleus_extent"]
        nucleus = Box.of(extent) if extent and not item.withheld else None
        found.append(Part(item.label, item.box, nucleus, float(math.prod(item.box.shape))))
    return found


def join_parts(
    rows: Mapping[int, Row], masks: Sequence[CellMasks], joined: Mapping[int, int]
) -> tuple[dict[int, Row], list[CellMasks]]:
    """Rows and masks in which parts have the label of their cell, as `find_joined` found it."""
    found = dict(rows)
    for label, kept in joined.items():
        found[label] = {**rows[label], "status": JOINED, "reason": joined_reason(kept)}
    return found, [replace(item, owner=joined.get(item.label, 0)) for item in masks]


def contacts_task(job: Job, unit: Unit) -> dict[str, Any]:
    """Measure the contacts of some pairs of cells in a slab of the working level.

    Its labels are kept in the run folder: those of all cells are made from them.
    """
    slab, pairs = unit.what
    slices, whole = slice(slab.z0, slab.z1), slice(None)
    with measured() as cost:
        resin = store.read_mask(job.resin, (slices, whole, whole))
        labels = assemble_slab(slab, resin, job.parameters.assemble)
        asked = get_method(job.method).asks(job.parameters)
        assert asked is not None, "only a method that asks for a boundary has pairs"
        voxel = slab.geometry.voxel_size
        planes = Box((slices, *Box.whole(slab.geometry.shape[1:])))
        boundary = read_output(job.run, asked, asked.boundary, slab.geometry, planes)
        cells = (labels.plane(z).cells for z in range(len(boundary)))
        touching = slab_contacts(cells, boundary, voxel, pairs)
        shared = shared_nuclei(slab, pairs)
        del resin, boundary
        release_memory()
        if (finished := job.finished(unit)) is not None:
            return finished
        job.claim(unit)
        path = labels_path(job.run, slab.z0)
        files = records_inside("run", job.run, path, keep_labels(labels, path))
    found = [[*one, *other] for one, other in zip(touching, shared, strict=True)]
    row = {"contacts": found, **cost}
    return job.markers.finish(unit.stage, unit.name, unit.fingerprint, row, files)
