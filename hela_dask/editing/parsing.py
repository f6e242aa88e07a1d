"""The shape of each kind of edit in a file, and the checks of its values."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from hela_dask.documents.reading import Document, Lengths, check_document
from hela_dask.editing.kinds import KINDS, Add, Edit, Merge, Move, Paint, Remove, Split, edit_text
from hela_dask.errors import InputError
from hela_dask.geometry import Geometry
from hela_dask.types import Triple

__all__ = ["check_sequence", "parse_edit"]

_LARGEST_LABEL = 2**16 - 1  # that labels/cells can hold
_Label = Annotated[int, Field(ge=1, le=_LARGEST_LABEL)]
_Count = Annotated[int, Field(ge=0)]
_Pair = Annotated[list[_Count], Field(min_length=2, max_length=2)]
_Several = Field(min_length=2)
_NOBODY = "unknown"  # the author of an edit without a name


class _Record(Document):
    """The fields of all kinds; others are refused, as they may mean something."""

    model_config = ConfigDict(extra="forbid")

    kind: str
    by: Annotated[str, Field(min_length=1)] = _NOBODY
    on: str = ""
    note: str = ""


class _OfCell(_Record):
    cell: _Label
    centre: Lengths | None = None


class _Move(_OfCell):
    to: Lengths


class _Add(_Record):
    at: Lengths
    cell: _Label


class _Merge(_Record):
    cells: Annotated[list[_Label], _Several]
    centres: list[Lengths] = Field(default_factory=list)


class _Split(_OfCell):
    points: Annotated[list[Lengths], Field(min_length=2, max_length=255)]
    cells: Annotated[list[_Label], _Several]


class _Paint(_OfCell):
    compartment: Literal["cell", "nucleus"]
    slice: _Count
    low: _Pair
    shape: _Pair
    runs: list[_Count]


_SHAPES: Mapping[str, type[_Record]] = {
    "move": _Move,
    "add": _Add,
    "remove": _OfCell,
    "merge": _Merge,
    "split": _Split,
    "paint": _Paint,
    "erase": _Paint,
}


def parse_edit(content: Any, number: int, source: str, grid: Geometry) -> Edit:
    """One edit from the content of a file.

    Parameters
    ----------
    content : object
        As JSON has it.
    number : int
        Its position in the file, from 1.
    source : str
        Name of the file, for errors.
    grid : Geometry
        Of the image's finest level.

    Raises
    ------
    InputError
        For an unknown kind, a field that is missing, unknown or of another type, places outside
        the volume, and a mask without a pixel.
    """
    kind = str(content.get("kind")) if isinstance(content, dict) else "?"
    if kind not in _SHAPES:
        raise InputError(
            f"{source}: edit {number} is of the kind {kind[:40]!r}, which is none of "
            f"{', '.join(KINDS)}: another version of hela_dask may read it"
        )
    by = str(content.get("by") or _NOBODY)[:80]
    place = f"{source}: edit {number} ({kind}, by {by})"
    record = check_document(content, _SHAPES[kind], place)
    if record.on:
        _check_date(record.on, place)
    values = record.model_dump(exclude={"kind"}).items()
    edit = _MAKERS[kind](
        **{name: tuple(item) if isinstance(item, list) else item for name, item in values}
    )
    _check_places(edit, place, grid)
    if isinstance(edit, Merge):
        _check_merge(edit, place)
    if isinstance(edit, Split):
        _check_split(edit, place, grid)
    if isinstance(edit, Paint):
        _check_paint(edit, place, grid)
    return edit


_MAKERS: Mapping[str, Callable[..., Edit]] = {
    "move": Move,
    "add": Add,
    "remove": Remove,
    "merge": Merge,
    "split": Split,
    "paint": Paint,
    "erase": functools.partial(Paint, erase=True),
}


def _check_date(text: str, place: str) -> None:
    try:
        datetime.datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            f"{place}: on must be a date and time as 2026-11-28T03:04:05+00:00, not {text[:40]!r}"
        ) from None


def _check_places(edit: Edit, place: str, grid: Geometry) -> None:
    """Refuse new centres and points outside the volume."""
    named: dict[str, Triple] = {}
    if isinstance(edit, Move):
        named["to"] = edit.to
    if isinstance(edit, Add):
        named["at"] = edit.at
    if isinstance(edit, Split):
        named |= {f"points[{number}]": point for number, point in enumerate(edit.points)}
    for name, point in named.items():
        for axis, at, (low, high) in zip("zyx", point, grid.bounds, strict=True):
            if not low <= at <= high:
                raise InputError(
                    f"{place}: {name} has {axis} = {at:g} nm, outside the volume, which spans "
                    f"{low:g} to {high:g} nm"
                )


def _check_merge(edit: Merge, place: str) -> None:
    if len(set(edit.cells)) < len(edit.cells):
        twice = next(label for label in edit.cells if edit.cells.count(label) > 1)
        raise InputError(f"{place}: cell {twice} cannot be merged with itself")
    if edit.centres and len(edit.centres) != len(edit.cells):
        raise InputError(
            f"{place}: it has {len(edit.cells)} cells and {len(edit.centres)} centres: give all "
            "centres, or none"
        )


def _check_split(edit: Split, place: str, grid: Geometry) -> None:
    if len(edit.points) != len(edit.cells):
        raise InputError(
            f"{place}: each point has one label, and there are {len(edit.points)} points and "
            f"{len(edit.cells)} labels"
        )
    if edit.cells[0] != edit.cell or len(set(edit.cells)) < len(edit.cells):
        raise InputError(
            f"{place}: its labels must be that of the cell, {edit.cell}, and new ones, not "
            f"{', '.join(map(str, edit.cells))}"
        )
    voxels = [grid.index(point) for point in edit.points]
    if len(set(voxels)) < len(voxels):
        raise InputError(f"{place}: two of its points lie in the same voxel")


def _check_paint(edit: Paint, place: str, grid: Geometry) -> None:
    if edit.slice >= grid.shape[0]:
        raise InputError(
            f"{place}: slice {edit.slice} is outside the volume, which has {grid.shape[0]} slices"
        )
    for axis, first, length, size in zip("yx", edit.low, edit.shape, grid.shape[1:], strict=True):
        if first + length > size:
            raise InputError(
                f"{place}: the painted pixels {first} to {first + length} along {axis} are outside "
                f"the volume, which has {size}"
            )
    size = edit.shape[0] * edit.shape[1]
    if sum(edit.runs) != size:
        raise InputError(
            f"{place}: its runs are of {sum(edit.runs)} pixels, and its shape is of {size}"
        )
    if not sum(edit.runs[1::2]):
        raise InputError(f"{place}: the painted mask is empty: it has no pixel")


def check_sequence(edits: tuple[Edit, ...], source: str) -> None:
    """Refuse an edit that no longer has its cell, or a new label that an earlier edit uses.

    Raises
    ------
    InputError
        Names the edit, the cell, and the earlier edit.
    """
    gone: dict[int, str] = {}
    used: dict[int, int] = {}
    parts: dict[int, int] = {}
    for number, edit in enumerate(edits, 1):
        place = f"{source}: {edit_text(number, edit)}"
        for label in edit.changed:
            if label in gone:
                raise InputError(f"{place} is of cell {label}, which {gone[label]}")
        if isinstance(edit, Move) and edit.cell in parts:
            raise InputError(
                f"{place}: cell {edit.cell} was made by edit {parts[edit.cell]} (split) and has no "
                "centre to move"
            )
        for label in edit.made:
            if label in used:
                raise InputError(
                    f"{place}: label {label} is already used by edit {used[label]}: choose another"
                )
        used |= {label: used.get(label, number) for label in (*edit.changed, *edit.made)}
        if isinstance(edit, Split):
            parts |= dict.fromkeys(edit.made, number)
        if isinstance(edit, Remove):
            gone[edit.cell] = f"edit {number} removed"
        if isinstance(edit, Merge):
            text = f"edit {number} merged into cell {edit.cells[0]}"
            gone |= dict.fromkeys(edit.cells[1:], text)
