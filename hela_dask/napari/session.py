"""ReviewSession: a run under review, its decisions and its edits; needs neither napari nor Qt.

Each decision and each edit is written at once, so that nothing is lost when the viewer is closed.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hela_dask.box import Box
from hela_dask.editing.edits import (
    EDITS_FILE,
    Add,
    Compartment,
    Edit,
    Edits,
    ImageGrid,
    Merge,
    Move,
    Paint,
    Remove,
    Split,
    now,
)
from hela_dask.editing.review import Decision, read_review, set_review
from hela_dask.errors import InputError
from hela_dask.geometry import Geometry
from hela_dask.napari.patches import Plane, Planes, SlicePatch, differences, replay
from hela_dask.napari.rows import Row, review_rows
from hela_dask.running.edit_files import edit_facts
from hela_dask.running.opening import open_run
from hela_dask.running.provenance import read_run
from hela_dask.running.result import RunResult
from hela_dask.storage.level_array import LevelArray
from hela_dask.storage.metadata import read_image
from hela_dask.types import Triple

__all__ = ["ReviewSession"]

_REACH = 10_000.0  # nm around the centre of a cell without a window: a cell is 15-20 µm wide
_MARGIN = 1_000.0  # nm around a window
_GROUPS: tuple[tuple[Compartment, str], ...] = (("cell", "cells"), ("nucleus", "nuclei"))


class ReviewSession:
    """A finished run with its table, decisions and edits.

    Parameters
    ----------
    run : path or RunResult
    by : str
        Name of the reviewer, which each decision and edit states.

    Raises
    ------
    MissingInputError, InputError
        As :func:`hela_dask.open_run`; when ``edits.json`` cannot be read or is of another image.
    """

    def __init__(self, run: str | Path | RunResult, by: str = "") -> None:
        self.by = by
        self._open(run if isinstance(run, RunResult) else open_run(run))

    def _open(self, result: RunResult) -> None:
        self.result = result
        self.geometry: Geometry = read_image(result.store).levels[0].geometry
        self._arrays: dict[Compartment, LevelArray] = {
            compartment: _finest(result.label_paths[name]) for compartment, name in _GROUPS
        }
        self._cells = {int(row["label"]): row for row in result.cells.to_dict("records")}
        self._results_edits: list[Any] = read_run(result.path).get("edits") or []
        self.edits = self._read_edits()

    def reopen(self) -> None:
        """Read the run again, after it applied the edits."""
        self._open(open_run(self.result.path))

    @property
    def path(self) -> Path:
        """The file of the edits."""
        return self.result.path / EDITS_FILE

    @property
    def applied(self) -> int:
        """How many of the first edits the result of the run has."""
        facts = edit_facts(self.edits)
        same = [mine == its for mine, its in zip(facts, self._results_edits, strict=False)]
        return same.index(False) if False in same else len(same)

    @property
    def up_to_date(self) -> bool:
        """Whether the result of the run has exactly these edits."""
        return self.applied == len(self.edits.edits) == len(self._results_edits)

    def _read_edits(self) -> Edits:
        grid = ImageGrid.of(self.geometry)
        if not self.path.exists():
            return Edits(grid)
        return Edits.read(self.path, grid)

    # ---- reading

    def rows(self) -> list[Row]:
        """The table, the least trustworthy cell first."""
        return review_rows(self.result.cells, read_review(self.result.path), self.edits)

    def centres(self) -> dict[int, Triple]:
        """The centre of each cell of the table in nm, with the edits carried out."""
        found = {row.label: self.centre(row.label) for row in self.rows()}
        for edit in self.edits.edits:
            match edit:
                case Move():
                    found[edit.cell] = edit.to
                case Add():
                    found[edit.cell] = edit.at
                case Remove():
                    found.pop(edit.cell, None)
                case Merge():
                    for label in edit.cells[1:]:
                        found.pop(label, None)
                case Split():
                    found |= dict(zip(edit.made, edit.points[1:], strict=True))
        return found

    def centre(self, label: int) -> Triple:
        """The centre of a cell in the table of the run, nm."""
        row = self._cells[label]
        return float(row["z"]), float(row["y"]), float(row["x"])

    def slice_of(self, place: Triple) -> int:
        """The number of the slice at a place, from 0."""
        return self.geometry.index(place)[0]

    def label_at(self, place: Triple) -> int:
        """The cell at a place (nm) with the edits so far; 0 where there is none."""
        inside = all(
            first <= at <= last
            for at, (first, last) in zip(place, self.geometry.bounds, strict=True)
        )
        if not inside:
            return 0
        z, y, x = self.geometry.index(place)
        return int(self._planes(z, Box.at((y, x), (1, 1))).cells[0, 0])

    def window(self, label: int) -> Box:
        """The pixels (y, x) of a cell's window, with a margin."""
        row = self._cells[label]
        centre = dict(zip("zyx", self.centre(label), strict=True))
        (bottom, top), *_ = self.geometry.bounds
        ends = []
        for axis in "yx":
            low, high = row.get(f"box_{axis}0"), row.get(f"box_{axis}1")
            if low is None or high is None or pd.isna(low) or pd.isna(high):
                low, high = centre[axis] - _REACH, centre[axis] + _REACH
            ends.append((float(low) - _MARGIN, float(high) + _MARGIN))
        return Box(self.geometry.box(((bottom, top), ends[0], ends[1]))[1:])

    def patch(self, label: int, number: int, compartment: Compartment) -> SlicePatch:
        """Slice `number` (from 0) around a cell, with the edits so far, to be painted on."""
        self._check_editable(label)
        if not 0 <= number < self.geometry.shape[0]:
            raise InputError(f"there is no slice {number + 1} in this volume")
        box = self.window(label)
        labels = self._planes(number, box).of(compartment)
        return SlicePatch(label, compartment, number, (box.low[0], box.low[1]), labels)

    def unapplied(
        self, number: int, compartment: Compartment
    ) -> tuple[tuple[int, int], Plane, Plane]:
        """The painted part of a slice: its first pixel, its labels in the store, and as edited.

        Empty planes where nothing is painted.
        """
        boxes = [
            Box.at(edit.low, edit.mask.shape)
            for edit in self.edits.edits
            if isinstance(edit, Paint) and edit.slice == number
        ]
        if not boxes:
            nothing: Plane = np.zeros((0, 0), np.uint32)
            return (0, 0), nothing, nothing
        lows, highs = zip(*((box.low, box.high) for box in boxes), strict=True)
        box = Box.of(zip(np.min(lows, axis=0), np.max(highs, axis=0), strict=True))
        box = box.clip(self.geometry.shape[1:])
        stored = self._read(compartment, number, box)
        return (box.low[0], box.low[1]), stored, self._planes(number, box).of(compartment)

    def _planes(self, number: int, box: Box) -> Planes:
        planes = Planes(self._read("cell", number, box), self._read("nucleus", number, box))
        replay(planes, (box.low[0], box.low[1]), number, self.edits.edits)
        return planes

    def _read(self, compartment: Compartment, number: int, box: Box) -> Plane:
        block = self._arrays[compartment][(slice(number, number + 1), *box)]
        return np.array(block[0])

    # ---- edits

    def decide(self, label: int, decision: Decision, note: str) -> None:
        """Write the decision on a cell, ``accepted``, ``rejected`` or empty, and its note."""
        self._check_name()
        set_review(self.result.path, label, decision, note, self.by)

    def move(self, label: int, to: Triple) -> None:
        """Move the centre of a cell; it is segmented again."""
        self._check_editable(label)
        if any(isinstance(edit, Split) and label in edit.made for edit in self.edits.edits):
            raise InputError(f"cell {label} is a part of a split cell: it has no centre to move")
        self._check_inside(to)
        self._save(Move(cell=label, centre=self.centre(label), to=to, **self._signed()))

    def add(self, at: Triple) -> int:
        """Add a cell with its centre at a place; returns its label."""
        self._check_inside(at)
        if owner := self.label_at(at):
            raise InputError(
                f"cell {owner} is at this place: split it by points, or add a cell where none is"
            )
        (label,) = self._new_labels(1)
        self._save(Add(at=at, cell=label, **self._signed()))
        return label

    def remove(self, label: int) -> None:
        """Remove a cell."""
        self._check_editable(label)
        self._save(Remove(cell=label, centre=self.centre(label), **self._signed()))

    def merge(self, labels: Sequence[int]) -> None:
        """Merge cells; the first keeps its label."""
        if len(set(labels)) < 2:
            raise InputError("merging needs two different cells: choose another one")
        for label in labels:
            self._check_editable(label)
        centres = tuple(self.centre(label) for label in labels)
        self._save(Merge(cells=tuple(labels), centres=centres, **self._signed()))

    def split(self, label: int, points: Sequence[Triple]) -> tuple[int, ...]:
        """Split a cell into one part per point; returns the labels of the parts."""
        self._check_editable(label)
        voxels = {self.geometry.index(point) for point in points}
        if len(voxels) < 2:
            raise InputError(f"set a point in each part of cell {label}, two at least")
        if len(voxels) < len(points):
            raise InputError("two points are at the same place: take one of them out")
        for number, point in enumerate(points, 1):
            if self.label_at(point) != label:
                raise InputError(
                    f"point {number} is outside of cell {label}: move it into the cell"
                )
            if self._painted_at(label, point):
                raise InputError(
                    f"point {number} lies in pixels that were only painted, and a split divides "
                    f"cell {label} as it was segmented: move the point, or add a cell and paint "
                    "the second part for it"
                )
        parts = (label, *self._new_labels(len(points) - 1))
        self._save(
            Split(
                cell=label,
                centre=self.centre(label),
                points=tuple(points),
                cells=parts,
                **self._signed(),
            )
        )
        return parts

    def _painted_at(self, label: int, place: Triple) -> bool:
        """Whether an edit painted the pixel at a place for a cell."""
        voxel = self.geometry.index(place)
        return any(
            isinstance(edit, Paint) and edit.cell == label and _paints(edit, voxel)
            for edit in self.edits.edits
        )

    def keep(self, patch: SlicePatch, after: Plane) -> int:
        """Write the painted and erased pixels of a patch as edits; returns how many."""
        self._check_name()
        edits, on = [], now()
        for label, mask, erase in differences(patch.labels, after):
            self._check_editable(label)
            edit = Paint.of(
                mask,
                patch.low,
                cell=label,
                centre=self.centre(label),
                compartment=patch.compartment,
                slice=patch.number,
                by=self.by.strip(),
                erase=erase,
            )
            edits.append(replace(edit, on=on))
        if edits:
            self._save(*edits)
        return len(edits)

    def undo(self) -> None:
        """Take the last edit out; the edits of one painted slice together."""
        self.edits = self._read_edits()
        if not self.edits.edits:
            raise InputError("there is no edit to undo")
        last = self.edits.edits[-1]
        alike = itertools.takewhile(lambda edit: _together(edit, last), self.edits.edits[::-1])
        for _ in list(alike):
            self.edits = self.edits.without_last()
        self.edits.write(self.path)

    def _save(self, *edits: Edit) -> None:
        """Append to the file, as another viewer may have written it, and write it."""
        found = self._read_edits()
        for edit in edits:
            found = found.add(edit)
        found.write(self.path)
        self.edits = found

    # ---- checks

    def _signed(self) -> dict[str, Any]:
        self._check_name()
        return {"by": self.by.strip()}

    def _check_name(self) -> None:
        if not self.by.strip():
            raise InputError("enter your name first: each decision and edit states who made it")

    def _check_inside(self, place: Triple) -> None:
        for at, (first, last) in zip(place, self.geometry.bounds, strict=True):
            if not first <= at <= last:
                raise InputError("this place is outside of the volume: choose one inside")

    def refusal(self, label: int) -> str:
        """Why a cell cannot be edited, as a sentence; empty where it can."""
        for number, edit in enumerate(self.edits.edits, 1):
            if isinstance(edit, Remove) and edit.cell == label:
                return f"cell {label} is removed by edit {number}: undo that first"
            if isinstance(edit, Merge) and label in edit.cells[1:]:
                return (
                    f"cell {label} is merged into cell {edit.cells[0]} by edit {number}: undo "
                    "that first"
                )
            if label in edit.made and label not in self._cells:
                return f"cell {label} is made by edit {number}: apply the edits first"
        return "" if label in self._cells else f"there is no cell {label} in this run"

    def _check_editable(self, label: int) -> None:
        if reason := self.refusal(label):
            raise InputError(reason)

    def _new_labels(self, number: int) -> tuple[int, ...]:
        used = max([0, *self._cells, *self.edits.labels])
        return tuple(range(used + 1, used + 1 + number))


def _paints(edit: Paint, voxel: tuple[int, int, int]) -> bool:
    """Whether an edit paints a voxel of the image."""
    number, *pixel = voxel
    row, column = (at - low for at, low in zip(pixel, edit.low, strict=True))
    inside = 0 <= row < edit.shape[0] and 0 <= column < edit.shape[1]
    return inside and number == edit.slice and not edit.erase and bool(edit.mask[row, column])


def _together(edit: Edit, last: Edit) -> bool:
    """Whether two edits are of the same painted slice."""
    if not isinstance(edit, Paint) or not isinstance(last, Paint):
        return edit is last
    return (edit.on, edit.by, edit.slice) == (last.on, last.by, last.slice)


def _finest(group: Path) -> LevelArray:
    return LevelArray.from_level(group, read_image(group).levels[0])
