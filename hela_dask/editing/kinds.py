"""The kinds of edits of the cells of a run, each with its author and its time."""

from __future__ import annotations

import datetime
import json
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from hela_dask.box import Box
from hela_dask.errors import InputError
from hela_dask.types import Mask, Triple

__all__ = [
    "COMPARTMENTS",
    "KINDS",
    "Add",
    "Compartment",
    "Edit",
    "Merge",
    "Move",
    "Paint",
    "Remove",
    "Split",
    "edit_text",
    "now",
]

Compartment = Literal["cell", "nucleus"]
"""The part of a cell that pixels are painted for, or erased from."""

COMPARTMENTS: tuple[Compartment, ...] = ("cell", "nucleus")


def now() -> str:
    """The time as UTC, to the second, in ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, kw_only=True)
class _Signed:
    """Author, time and note of an edit; `kind` is its name in the file."""

    by: str
    on: str = field(default_factory=now)  # empty where a file does not state it
    note: str = ""

    _kind: ClassVar[str] = ""

    @property
    def kind(self) -> str:
        """The name in the file."""
        return self._kind

    @property
    def changed(self) -> tuple[int, ...]:
        """Labels of the cells that it changes, which are there before."""
        return ()

    @property
    def made(self) -> tuple[int, ...]:
        """Labels that it gives to new cells."""
        return ()

    @property
    def centred(self) -> tuple[tuple[int, Triple | None], ...]:
        """Each of `changed` with its centre in the table of the edit, z, y, x in nm, or None."""
        return ()

    def record(self) -> dict[str, Any]:
        """All of its values as the file has them; a centre that is not known is left out."""
        record = {"kind": self.kind, **asdict(self)}
        if record.get("centre", ()) is None:
            del record["centre"]
        return record

    @property
    def content(self) -> str:
        """Its effect on the cells, as JSON: all values but author, time and note."""
        record = {name: item for name, item in self.record().items() if name not in _SIGNATURE}
        return json.dumps(record, sort_keys=True)


_SIGNATURE = ("by", "on", "note")


@dataclass(frozen=True, kw_only=True)
class _OfCell(_Signed):
    """An edit of one cell.

    Attributes
    ----------
    cell : int
        Its label.
    centre : tuple of float or None
        Its centre in the table that the edit was made on, z, y, x in nm. With it, a run notices
        where the label belongs to another cell by now.
    """

    cell: int
    centre: Triple | None = None

    @property
    def changed(self) -> tuple[int, ...]:
        """The cell."""
        return (self.cell,)

    @property
    def centred(self) -> tuple[tuple[int, Triple | None], ...]:
        """The cell with its centre."""
        return ((self.cell, self.centre),)


@dataclass(frozen=True, kw_only=True)
class Move(_OfCell):
    """The centre of a cell moves to another place, `to` (z, y, x in nm); it is segmented again."""

    to: Triple

    _kind: ClassVar[str] = "move"


@dataclass(frozen=True, kw_only=True)
class Add(_Signed):
    """A cell that was not found, with its centre `at` (z, y, x in nm) and a new label `cell`."""

    at: Triple
    cell: int

    _kind: ClassVar[str] = "add"

    @property
    def made(self) -> tuple[int, ...]:
        """The new cell."""
        return (self.cell,)


@dataclass(frozen=True, kw_only=True)
class Remove(_OfCell):
    """A cell that is none."""

    _kind: ClassVar[str] = "remove"


@dataclass(frozen=True, kw_only=True)
class Merge(_Signed):
    """Cells that are one: the first of the labels `cells` stays, and gets all of their voxels.

    `centres` are those of the cells, in the same order, z, y, x in nm; empty where not known.
    """

    cells: tuple[int, ...]
    centres: tuple[Triple, ...] = ()

    _kind: ClassVar[str] = "merge"

    @property
    def changed(self) -> tuple[int, ...]:
        """All cells that become one; the first is kept."""
        return self.cells

    @property
    def centred(self) -> tuple[tuple[int, Triple | None], ...]:
        """All of them with their centres."""
        return tuple(zip(self.cells, self.centres or (None,) * len(self.cells), strict=False))


@dataclass(frozen=True, kw_only=True)
class Split(_OfCell):
    """A cell that is several: a point in each of them, and the label of each.

    Attributes
    ----------
    points : tuple of three float each
        z, y, x in nm.
    cells : tuple of int
        A label per point: first that of the cell, then new ones.
    """

    points: tuple[Triple, ...]
    cells: tuple[int, ...]

    _kind: ClassVar[str] = "split"

    @property
    def made(self) -> tuple[int, ...]:
        """The parts with a new label."""
        return self.cells[1:]


@dataclass(frozen=True, kw_only=True)
class Paint(_OfCell):
    """Pixels of one slice that belong to a cell or its nucleus; or that do not, with `erase`.

    Attributes
    ----------
    compartment : str
        ``"cell"`` or ``"nucleus"``.
    slice : int
        Slice of the image's finest level, from 0.
    low : tuple of int
        First row and first column of the mask in the slice.
    shape : tuple of int
        Rows and columns of the mask.
    runs : tuple of int
        Lengths of runs of equal pixels of the mask, row by row; the first is outside.
    erase : bool
        The pixels belong to the cell, or to its nucleus, no more.
    """

    compartment: Compartment
    slice: int
    low: tuple[int, int]
    shape: tuple[int, int]
    runs: tuple[int, ...]
    erase: bool = False

    @classmethod
    def of(
        cls,
        mask: Mask,
        low: tuple[int, int],
        *,
        cell: int,
        compartment: Compartment,
        slice: int,  # noqa: A002 the word of the file
        by: str,
        centre: Triple | None = None,
        erase: bool = False,
        note: str = "",
    ) -> Paint:
        """From a mask of any part of a slice, cut to the box around its pixels.

        Parameters
        ----------
        mask : ndarray of bool, (y, x)
        low : tuple of int
            Row and column of the slice that the mask begins at.
        cell, compartment, slice, by, centre, erase, note
            As the attributes.

        Raises
        ------
        InputError
            For a mask without a pixel.
        """
        mask = np.asarray(mask, bool)
        if not mask.any():
            raise InputError("the painted mask is empty: it has no pixel")
        rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        top, left = int(rows[0]), int(columns[0])
        inside = mask[top : rows[-1] + 1, left : columns[-1] + 1]
        flat = np.concatenate([[False], inside.ravel()])
        ends = np.flatnonzero(flat[1:] != flat[:-1])
        runs = np.diff(np.concatenate([[0], ends, [inside.size]]))
        height, width = inside.shape
        return cls(
            cell=cell,
            centre=centre,
            compartment=compartment,
            slice=slice,
            low=(low[0] + top, low[1] + left),
            shape=(height, width),
            runs=tuple(runs.tolist()),
            erase=erase,
            by=by,
            note=note,
        )

    @property
    def kind(self) -> str:
        """The name in the file."""
        return "erase" if self.erase else "paint"

    @property
    def mask(self) -> Mask:
        """The pixels as an array of bool, (y, x), of its `shape`."""
        values = np.arange(len(self.runs)) % 2 == 1
        mask: Mask = np.repeat(values, self.runs).reshape(self.shape)
        return mask

    @property
    def box(self) -> Box:
        """The voxels of the image's finest level around it, z, y, x."""
        return Box.at((self.slice, *self.low), (1, *self.shape))

    def record(self) -> dict[str, Any]:
        """All of its values as the file has them; the kind has the meaning of `erase`."""
        record = super().record()
        del record["erase"]
        return record


Edit = Move | Add | Remove | Merge | Split | Paint

KINDS: tuple[str, ...] = ("move", "add", "remove", "merge", "split", "paint", "erase")
"""The names of the kinds in the file."""


def edit_text(number: int, edit: Edit) -> str:
    """An edit in a message: edit 3 (paint, by X)."""
    return f"edit {number} ({edit.kind}, by {edit.by})"
