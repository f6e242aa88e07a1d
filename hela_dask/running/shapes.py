"""Shapes and contacts of the cells of a run, from its finished labels: units, task and tables.

They are measured on the level of the labels with pixels of about ``[measure] resolution``: one task
per cell for its shape, on the cell's box, and one per slab of slices for contacts.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hela_dask.box import Box
from hela_dask.columns import SHAPE_COLUMNS
from hela_dask.editing.edits import Paint
from hela_dask.geometry import Geometry
from hela_dask.parameters import MeasureParameters
from hela_dask.running.keys import Keys, stage_code
from hela_dask.running.needs import contact_slab, measured_level
from hela_dask.running.portraits import draw_pictures, volume_extent
from hela_dask.running.stages import Job
from hela_dask.steps.contacts import (
    combine_contacts,
    contacts_of_slab,
    contacts_table,
    slab_halo,
)
from hela_dask.steps.edit import LabelEdit
from hela_dask.steps.shape import ShapedObject, find_shapes, shape_measures
from hela_dask.storage.level_array import LevelArray
from hela_dask.storage.metadata import Image, read_image
from hela_dask.storage.records import Records
from hela_dask.tasks.allocator import release_memory
from hela_dask.tasks.cost import measured
from hela_dask.tasks.markers import fingerprint
from hela_dask.tasks.units import Row, Unit
from hela_dask.types import Sides, Triple

__all__ = [
    "Assembled",
    "CellBox",
    "Measures",
    "SlabSlices",
    "cell_box",
    "find_surfaces",
    "measure_task",
    "measure_units",
    "read_contacts",
    "read_shapes",
]

_READ = 64  # slices that are read at a time
_SHAPE_COST, _CONTACT_COST = 3.0, 1.0  # of a voxel, relative


@dataclass(frozen=True)
class Assembled:
    """The labels of a run: their counts, and the fingerprints of their slabs."""

    measured: pd.DataFrame  # :func:`hela_dask.steps.measure.measurements`
    counts: pd.DataFrame  # :func:`hela_dask.steps.measure.combine_counts`
    slabs: Mapping[tuple[int, int], str]  # by slices, half open
    unedited: Mapping[tuple[int, int], str]  # the same as they are without edits
    edits: Mapping[tuple[int, int], tuple[LabelEdit, ...]]  # of the slabs

    @cached_property
    def key(self) -> str:
        """Fingerprint of all labels."""
        return fingerprint(list(self.slabs.values()))

    def keys(self, first: int, stop: int) -> list[str]:
        """Fingerprints, as they are without edits, of the slabs that hold some slices."""
        return [key for (z0, z1), key in self.unedited.items() if z0 < stop and first < z1]

    def edited(self, box: Box, label: int | None = None) -> list[list[list[str]]]:
        """The edits that may change a part of the labels: in a list that is empty without any.

        Parameters
        ----------
        box : Box
            Voxels of the finest level; of slabs, whole planes.
        label : int, optional
            Only the voxels of this cell count.
        """
        found: dict[int, list[str]] = {}
        for (z0, z1), edits in self.edits.items():
            if z0 < box.high[0] and box.low[0] < z1:
                for item in edits:
                    edit = item.edit
                    if isinstance(edit, Paint):
                        touches = not (edit.box & box).empty
                    else:
                        touches = label is None or label in (*edit.changed, *edit.made)
                    if touches:
                        found[id(edit)] = item.key
        return [list(found.values())] if found else []


@dataclass(frozen=True)
class Measures:
    """Measured shapes and contacts; None where a run measures none."""

    shapes: pd.DataFrame | None = None  # :func:`read_shapes`
    contacts: pd.DataFrame | None = None  # :func:`read_contacts`


@dataclass(frozen=True)
class CellBox:
    """The box of a cell on a level of the labels."""

    level: int
    label: int
    box: Box
    cut: Sides  # sides of the box that are sides of the volume and reached by the cell
    code: str  # fingerprint of the code that draws its pictures


@dataclass(frozen=True)
class SlabSlices:
    """Slices that contacts are counted in, half open."""

    level: int
    z0: int
    z1: int


def measure_units(keys: Keys, image: Image, found: Assembled) -> list[Unit]:
    """A unit per labelled cell, and per slab; `image` are the labels ``cells``."""
    p = keys.parameters.measure
    number = measured_level(image.levels, p.resolution)
    fine, level = image.levels[0], image.levels[number]
    factors = (1, *fine.geometry.factors(level.geometry))
    # Python's parser is not safe in threads: tasks compute no fingerprint of code.
    code = stage_code("picture")
    units = []
    for row in found.counts.to_dict("records"):
        what = cell_box(row, image, number, code)
        edited = found.edited(what.box.scale(factors), what.label)
        part = [what.label, what.box.pairs, what.cut, number, code, *edited]
        key = keys.measure(found.keys(int(row["z0"]), int(row["z1"])), part)
        cost = _SHAPE_COST * math.prod(what.box.shape)
        units.append(Unit("measure", f"{what.label:05d}", key, what, cost))
    if len(found.counts) < 2:
        return units
    depth = contact_slab(level.shape)
    for z0 in range(0, level.shape[0], depth):
        z1 = min(z0 + depth, level.shape[0])
        below, above = slab_halo(level.voxel_size, p)
        seen = Box((slice(z0 - below, z1 + above), *Box.whole(fine.shape[1:])))
        part = [z0, z1, number, *found.edited(seen)]
        key = keys.measure(found.keys(z0 - below, z1 + above), part)
        slab = SlabSlices(number, z0, z1)
        cost = _CONTACT_COST * (z1 - z0 + below + above) * math.prod(level.shape[1:])
        units.append(Unit("measure", f"z{z0:05d}", key, slab, cost))
    return units


def cell_box(row: Mapping[Hashable, Any], image: Image, level: int, code: str = "") -> CellBox:
    """The box of a cell on a level; `row`: :func:`~hela_dask.steps.measure.combine_counts`."""
    fine, coarse = image.levels[0], image.levels[level]
    factors = (1, *fine.geometry.factors(coarse.geometry))
    ends = [(int(row[f"{axis}0"]), int(row[f"{axis}1"])) for axis in "zyx"]
    box = Box.of(ends).coarsen(factors).clip(coarse.shape)
    z, y, x = (
        (low == 0, high == length) for (low, high), length in zip(ends, fine.shape, strict=True)
    )
    return CellBox(level, int(row["label"]), box, (z, y, x), code)


def measure_task(job: Job, unit: Unit) -> dict[str, Any]:
    """The shape of a cell and its pictures, or the contacts in a slab, from the labels."""
    what: CellBox | SlabSlices = unit.what
    files: Records = {}
    with measured() as cost:
        if isinstance(what, CellBox):
            row, files = _shape(job, unit, what)
        else:
            row = _contacts(job, what)
        release_memory()
    if (finished := job.finished(unit)) is not None:
        return finished
    job.lock.check()
    return job.markers.finish(unit.stage, unit.name, unit.fingerprint, {**row, **cost}, files)


@dataclass(frozen=True)
class _Window:
    """A box of a level that is read when it is indexed."""

    array: LevelArray
    box: Box

    @property
    def shape(self) -> tuple[int, ...]:
        return self.box.shape

    @property
    def tile(self) -> tuple[int, ...]:
        """Voxels to read at a time: chunks between two tiles are decoded twice."""
        return (_READ, *self.box.shape[1:])

    def __getitem__(self, part: tuple[slice, ...]) -> Any:
        return self.array[tuple(Box(part).shift(self.box.low))]


def _open(labels: Path, name: str, level: int) -> tuple[LevelArray, Geometry]:
    """A level of a label group, and its grid."""
    image: Image = read_image(labels / name)
    found = image.levels[level]
    return LevelArray.from_level(image.path, found), found.geometry


def find_surfaces(
    labels: Path, what: CellBox, p: MeasureParameters
) -> tuple[tuple[ShapedObject | None, ShapedObject | None], Triple]:
    """The surfaces of a cell and its nucleus, and the outer corner of their box (z, y, x), nm.

    `labels` is the folder of the label groups.
    """
    cells, grid = _open(labels, "cells", what.level)
    nuclei, _ = _open(labels, "nuclei", what.level)
    found = find_shapes(
        _Window(cells, what.box),
        _Window(nuclei, what.box),
        what.label,
        grid.voxel_size,
        cut=what.cut,
        parameters=p,
    )
    z, y, x = (low * size for low, size in zip(what.box.low, grid.voxel_size, strict=True))
    return found, (z, y, x)


def _shape(job: Job, unit: Unit, what: CellBox) -> tuple[Row, Records]:
    """The measures of a cell and its nucleus, and their pictures."""
    p = job.parameters.measure
    found, corner = find_surfaces(job.labels, what, p)
    measures = shape_measures(*found, p)
    release_memory()  # of distances
    picture, files = draw_pictures(job, unit, found, corner, volume_extent(job.labels))
    row = {"label": what.label, "shape": [measures[name] for name in SHAPE_COLUMNS]}
    return {**row, "picture": picture}, files


def _contacts(job: Job, what: SlabSlices) -> Row:
    """The contacts of cells in a slab."""
    cells, grid = _open(job.labels, "cells", what.level)
    p = job.parameters.measure
    before, after = slab_halo(grid.voxel_size, p)
    low, high = max(0, what.z0 - before), min(grid.shape[0], what.z1 + after)
    found = contacts_of_slab(cells[low:high], grid.voxel_size, what.z0 - low, high - what.z1, p)
    return {"contacts": found.to_dict("list")}


def read_shapes(rows: Mapping[str, Row]) -> pd.DataFrame:
    """One row per measured cell: ``label`` and :data:`hela_dask.columns.SHAPE_COLUMNS`."""
    found = [row for row in rows.values() if "shape" in row]
    table = pd.DataFrame({"label": np.array([row["label"] for row in found], np.int64)})
    values = np.array([row["shape"] for row in found], np.float64)  # None, of JSON, is NaN
    for number, name in enumerate(SHAPE_COLUMNS):
        table[name] = values.reshape(len(found), len(SHAPE_COLUMNS))[:, number]
    for name in ("nucleus_pieces", "nucleus_handles"):
        table[name] = table[name].astype("Int64")
    return table


def read_contacts(rows: Mapping[str, Row]) -> pd.DataFrame:
    """One row per pair of cells, with :data:`hela_dask.columns.CONTACT_COLUMNS`."""
    parts = [pd.DataFrame(row["contacts"]) for row in rows.values() if "contacts" in row]
    for part in parts:
        part["distance"] = part["distance"].astype(np.float64).fillna(math.inf)
    return contacts_table(combine_contacts(parts))
