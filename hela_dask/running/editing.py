"""Edits of labels in a run: the split cells, their task, and the edits of each slab."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hela_dask.box import Box
from hela_dask.editing.edits import Edit, Edits, Merge, Paint, Remove, Split, edit_text
from hela_dask.geometry import Geometry
from hela_dask.running.keys import Keys
from hela_dask.running.stages import Job, records_inside
from hela_dask.steps.assemble import CellMasks, Slab
from hela_dask.steps.edit import (
    LabelEdit,
    Part,
    Partition,
    Piece,
    edits_of_slab,
    partition_cell,
    partition_place,
    partition_step,
)
from hela_dask.storage import store
from hela_dask.tasks.allocator import release_memory
from hela_dask.tasks.cost import measured
from hela_dask.tasks.units import Unit

__all__ = [
    "PlannedEdits",
    "SplitWork",
    "label_edits",
    "lost_points",
    "plan_edits",
    "split_of_painted",
    "split_task",
]


@dataclass(frozen=True)
class SplitWork:
    """A cell to split.

    Attributes
    ----------
    number : int
        Of the edit in its file, from 1.
    edit : Split
    pieces : tuple of Piece
        Masks that the cell is made of.
    box : Box
        Voxels of the working level that hold them.
    working : Geometry
        Of the working level.
    factors : tuple of int
        Pixels of the image in one of the working level, y and x.
    partition : Partition
        Where the parts are kept.
    """

    number: int
    edit: Split
    pieces: tuple[Piece, ...]
    box: Box
    working: Geometry
    factors: tuple[int, int]
    partition: Partition


@dataclass(frozen=True)
class PlannedEdits:
    """The edits of labels, in order, and the units of split cells."""

    edits: tuple[LabelEdit, ...] = ()
    splits: tuple[tuple[Unit, ...], ...] = ()  # each group needs the ones before it

    def of_slab(self, slab: Slab) -> Slab:
        """The slab with the edits that touch it."""
        labels = {item.owner or item.label for item in slab.masks}
        return replace(slab, edits=edits_of_slab(self.edits, labels, slab.z0, slab.z1))


def label_edits(edits: Sequence[Edit]) -> list[tuple[int, Merge | Split | Paint | Remove]]:
    """The edits of finished labels, with their numbers in the file from 1.

    Others change the cells that are segmented. A removal is among these edits where an earlier one
    has given its cell voxels: it removes them.
    """
    found: list[tuple[int, Merge | Split | Paint | Remove]] = []
    touched: set[int] = set()
    for number, edit in enumerate(edits, 1):
        if isinstance(edit, Merge | Split | Paint):
            touched |= {*edit.changed, *edit.made}
        if isinstance(edit, Merge | Split | Paint) or (
            isinstance(edit, Remove) and edit.cell in touched
        ):
            found.append((number, edit))
    return found


def plan_edits(
    keys: Keys,
    edits: Edits | None,
    run: Path,
    masks: Sequence[CellMasks],
    grids: tuple[Geometry, Geometry],
) -> PlannedEdits:
    """The edits of finished labels, and the units of split cells.

    Parameters
    ----------
    keys : Keys
    edits : Edits, optional
    run : Path
        The run folder.
    masks : sequence of CellMasks
        Of all cells.
    grids : two Geometry
        Of the image's finest level, and of the working level.
    """
    pieces: dict[int, tuple[Piece, ...]] = {}
    for item in sorted(masks, key=lambda item: item.label):
        own = Piece(item.path, item.box, item.fingerprint, item.withheld)
        label = item.owner or item.label
        pieces[label] = (*pieces.get(label, ()), own)
    found, groups = [], list[list[Unit]]()
    group: dict[str, int] = {}  # of each partition
    for number, edit in label_edits(edits.edits if edits else ()):
        partition = None
        if isinstance(edit, Merge):
            merged = [pieces.pop(label, ()) for label in edit.cells]
            pieces[edit.cells[0]] = sum(merged, ())
        elif isinstance(edit, Remove):
            pieces.pop(edit.cell, None)
        elif isinstance(edit, Split) and pieces.get(edit.cell):
            parent = pieces.pop(edit.cell)
            unit = _split_unit(keys, run, (number, edit), parent, grids)
            partition = unit.what.partition
            for part, label in enumerate(edit.cells, 1):
                limit = Part(partition, part)
                pieces[label] = tuple(
                    replace(piece, inside=(*piece.inside, limit)) for piece in parent
                )
            needed = {part.partition.fingerprint for piece in parent for part in piece.inside}
            at = max((group[name] + 1 for name in needed), default=0)
            group[partition.fingerprint] = at
            groups += [[] for _ in range(at + 1 - len(groups))]
            groups[at].append(unit)
        found.append(LabelEdit(edit, partition))
    return PlannedEdits(tuple(found), tuple(map(tuple, groups)))


def split_of_painted(edits: Edits | None, segmented: Iterable[int]) -> str:
    """A sentence about the first split of a cell that has only painted pixels; empty for none.

    Parameters
    ----------
    edits : Edits, optional
    segmented : iterable of int
        Labels of the cells that have masks.
    """
    have, painted = set(segmented), set[int]()
    for number, edit in enumerate(edits.edits if edits else (), 1):
        if isinstance(edit, Paint) and not edit.erase:
            painted.add(edit.cell)
        elif isinstance(edit, Merge) and have.intersection(edit.cells):
            have.add(edit.cells[0])
        elif isinstance(edit, Split):
            if edit.cell not in have and edit.cell in painted:
                return (
                    f"{edit_text(number, edit)}: cell {edit.cell} was only painted, and points "
                    "divide the mask of a segmented cell: take this edit out, add a cell, and "
                    "paint the pixels of the second part for it"
                )
            have.update(edit.made)
    return ""


def _split_unit(
    keys: Keys,
    run: Path,
    numbered: tuple[int, Split],
    pieces: tuple[Piece, ...],
    grids: tuple[Geometry, Geometry],
) -> Unit:
    """The unit of a split cell."""
    number, edit = numbered
    fine, working = grids
    factors = fine.factors(working)
    box = _around([piece.box for piece in pieces])
    step = partition_step(box, working.voxel_size)
    low, size = partition_place(box, factors, step)
    key = keys.split(edit, pieces, [box.pairs, step, factors, working.voxel_size])
    path = run.absolute() / "coarse" / f"split-{number:04d}"
    partition = Partition(path, low, size, key)
    work = SplitWork(number, edit, pieces, box, working, factors, partition)
    voxels = math.prod(-(-length // by) for length, by in zip(box.shape, step, strict=True))
    return Unit("split", f"{number:04d}", key, work, float(voxels))


def _around(boxes: Iterable[Box]) -> Box:
    """The box around several."""
    pairs = [box.pairs for box in boxes]
    return Box.of(
        (min(low for low, _ in axis), max(high for _, high in axis))
        for axis in zip(*pairs, strict=True)
    )


def split_task(job: Job, unit: Unit) -> dict[str, Any]:
    """Compute the parts of a split cell and keep them in the run folder.

    The row has the positions of points that lie outside the cell, if any: then nothing is kept.
    """
    work: SplitWork = unit.what
    step: Any = tuple(
        size // factor for size, factor in zip(work.partition.step, (1, *work.factors), strict=True)
    )
    with measured() as cost:
        parts, lost = partition_cell(
            work.pieces,
            work.box,
            [work.working.index(point) for point in work.edit.points],
            work.working.voxel_size,
            work.factors,
            step,
        )
        if lost:
            return {"lost": lost}
        if (finished := job.finished(unit)) is not None:
            return finished
        job.claim(unit)
        path = store.create_scratch(work.partition.path, parts.shape, parts.dtype)
        files = records_inside("run", job.run, path, store.write_scratch(path, parts))
        del parts
        release_memory()
    return job.markers.finish(unit.stage, unit.name, unit.fingerprint, {"lost": [], **cost}, files)


def lost_points(units: Sequence[Unit], rows: Mapping[str, Mapping[str, Any]]) -> str:
    """A sentence about the first point that lies outside its cell; empty where all are inside."""
    for unit in units:
        if lost := rows[unit.name]["lost"]:
            work: SplitWork = unit.what
            at = work.edit.points[lost[0]]
            place = ", ".join(f"{length:g}" for length in at)
            return (
                f"edit {work.number} (split, by {work.edit.by}): its point {lost[0] + 1} at z, y, "
                f"x = {place} nm does not lie in cell {work.edit.cell} as it was segmented, where "
                "painted pixels do not count, or is too near another point: move it well inside "
                "the cell"
            )
    return ""
