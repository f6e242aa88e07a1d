"""Edits of the cells of a run, for tests: made from its table, and written beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hela_dask._run import RunResult
from hela_dask.editing.edits import (
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
)
from hela_dask.storage.metadata import read_image
from hela_dask.types import Triple

__all__ = ["Maker", "files", "labels_of", "rows_of", "stamps"]

SECONDS = ["seconds", "peak_memory"]


class Maker:
    """Makes edits of the cells of a run."""

    def __init__(self, result: RunResult, by: str = "A. Person") -> None:
        self.grid = ImageGrid.of(read_image(result.store).levels[0].geometry)
        self.by = by
        rows = result.cells[["label", "z", "y", "x"]].to_numpy(float)
        self.centres: dict[int, Triple] = {int(n): (z, y, x) for n, z, y, x in rows}

    def shifted(self, cell: int, z: float = 0.0, y: float = 0.0, x: float = 0.0) -> Triple:
        """A place beside the centre of a cell, nm."""
        at = self.centres[cell]
        return at[0] + z, at[1] + y, at[2] + x

    def move(self, cell: int, to: Triple) -> Move:
        return Move(cell=cell, centre=self.centres[cell], to=to, by=self.by)

    def add(self, cell: int, at: Triple) -> Add:
        return Add(cell=cell, at=at, by=self.by)

    def remove(self, cell: int) -> Remove:
        return Remove(cell=cell, centre=self.centres[cell], by=self.by)

    def merge(self, *cells: int) -> Merge:
        centres = tuple(self.centres[cell] for cell in cells)
        return Merge(cells=cells, centres=centres, by=self.by)

    def split(self, cell: int, new: int, *points: Triple) -> Split:
        cells = (cell, *range(new, new + len(points) - 1))
        return Split(cell=cell, centre=self.centres[cell], points=points, cells=cells, by=self.by)

    def paint(
        self,
        cell: int,
        z: int,
        rows: tuple[int, int],
        columns: tuple[int, int],
        compartment: Compartment = "cell",
        **more: Any,
    ) -> Paint:
        """A rectangle without its first pixel."""
        mask = np.ones((rows[1] - rows[0], columns[1] - columns[0]), bool)
        mask[0, 0] = False
        return Paint.of(
            mask,
            (rows[0], columns[0]),
            cell=cell,
            centre=self.centres.get(cell, (0.0, 0.0, 0.0)),
            compartment=compartment,
            slice=z,
            by=self.by,
            **more,
        )

    def write(self, path: Path, *edits: Edit) -> Path:
        """A file of these edits."""
        found = Edits(self.grid)
        for edit in edits:
            found = found.add(edit)
        found.write(path)
        return path


def labels_of(result: RunResult) -> dict[str, Any]:
    """All labels of the finest level."""
    return {name: labels.values for name, labels in result.labels.items()}


def rows_of(result: RunResult, *without: int) -> pd.DataFrame:
    """The rows of all other cells, without time, memory and the columns of edits."""
    table = result.cells[~result.cells["label"].isin(without)]
    names = [*SECONDS, "edited_by", "edited_on"]
    return table.drop(columns=names, errors="ignore").reset_index(drop=True)


def files(*folders: Path) -> dict[Path, tuple[int, bytes]]:
    """The time and the content of all shards of label groups."""

    def found() -> Iterator[Path]:
        for folder in folders:
            yield from (path for path in folder.rglob("c/**/*") if path.is_file())

    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in found()}


def stamps(folder: Path) -> dict[str, int]:
    """The time of every file, but for those that each call may touch."""
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and ".lock" not in path.name and path.name != "lock"
    }
