"""One slice of the labels at full resolution: its pixels with the edits, and painted ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.editing.edits import Compartment, Edit, Merge, Paint
from hela_dask.types import Mask

__all__ = ["Planes", "SlicePatch", "differences", "replay"]

Plane = NDArray[np.unsignedinteger[Any]]


@dataclass
class Planes:
    """The same part of a slice of ``labels/cells`` and ``labels/nuclei``; both can be written."""

    cells: Plane
    nuclei: Plane

    def of(self, compartment: Compartment) -> Plane:
        """The labels of a compartment."""
        return self.cells if compartment == "cell" else self.nuclei


@dataclass(frozen=True)
class SlicePatch:
    """A part of a slice that is edited."""

    cell: int
    compartment: Compartment
    number: int  # of the slice, from 0
    low: tuple[int, int]  # y, x of the first pixel
    labels: Plane  # of the compartment, with the edits so far

    @property
    def title(self) -> str:
        """The name of its layer; slices count from 1."""
        return f"paint {self.compartment} {self.cell}, slice {self.number + 1}"


def replay(planes: Planes, low: tuple[int, int], number: int, edits: Iterable[Edit]) -> None:
    """Carry out edits in a part of slice `number` that begins at `low`: merged and painted cells.

    Edits that the labels contain already change nothing. Cells that are split keep their label.
    """
    for edit in edits:
        if isinstance(edit, Merge):
            for plane in (planes.cells, planes.nuclei):
                plane[np.isin(plane, edit.cells[1:])] = edit.cells[0]
        elif isinstance(edit, Paint) and edit.slice == number:
            _paint(planes, Box.of(_pairs(low, planes.cells.shape)), edit)


def _pairs(low: Iterable[int], shape: Iterable[int]) -> Iterator[tuple[int, int]]:
    return ((start, start + size) for start, size in zip(low, shape, strict=True))


def _paint(planes: Planes, box: Box, edit: Paint) -> None:
    """Set or clear the pixels of one edit that lie in a box."""
    mask = edit.mask
    painted = Box.at(edit.low, mask.shape)
    shared = painted & box
    if shared.empty:
        return
    chosen = mask[shared.relative_to(painted)]
    cells, nuclei = (
        plane[shared.relative_to(box)] for plane in (planes.cells, planes.nuclei)
    )  # views
    if edit.erase:
        nuclei[chosen & (nuclei == edit.cell)] = 0
        if edit.compartment == "cell":
            cells[chosen & (cells == edit.cell)] = 0
        return
    nuclei[chosen & (nuclei != edit.cell)] = 0
    cells[chosen] = edit.cell
    if edit.compartment == "nucleus":
        nuclei[chosen] = edit.cell


def differences(before: Plane, after: Plane) -> Iterator[tuple[int, Mask, bool]]:
    """The painted and the erased pixels of each label: label, mask, whether they are erased.

    A pixel that changed from one label to another is painted with the second one only.
    """
    changed = before != after
    erased = changed & (after == 0)
    for label in np.unique(before[erased]):
        yield int(label), erased & (before == label), True
    painted = changed & (after > 0)
    for label in np.unique(after[painted]):
        yield int(label), painted & (after == label), False
