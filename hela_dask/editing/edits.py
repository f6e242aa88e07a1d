"""``edits.json``: the edits of a run's cells, in the order in which they were made."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from hela_dask.documents.reading import Document, Lengths, check_document, read_json
from hela_dask.editing.kinds import (
    COMPARTMENTS,
    KINDS,
    Add,
    Compartment,
    Edit,
    Merge,
    Move,
    Paint,
    Remove,
    Split,
    edit_text,
    now,
)
from hela_dask.editing.parsing import check_sequence, parse_edit
from hela_dask.errors import InputError
from hela_dask.formatting import by_axis, counted, listed, swapped_axes
from hela_dask.geometry import Geometry
from hela_dask.storage.files import plain, write_text
from hela_dask.types import Shape, Triple, Voxel

__all__ = [
    "COMPARTMENTS",
    "EDITS_FILE",
    "KINDS",
    "Add",
    "Compartment",
    "Edit",
    "Edits",
    "ImageGrid",
    "Merge",
    "Move",
    "Paint",
    "Remove",
    "Split",
    "edit_text",
    "now",
]

EDITS_FILE = "edits.json"
"""The name in a run folder."""

_FORMAT, _VERSION = "hela-dask edits", 1
_LARGEST = 2**28  # bytes; some thousand painted slices
_Size = Annotated[int, Field(ge=1)]


class _Grid(Document):
    shape: Annotated[list[_Size], Field(min_length=3, max_length=3)]
    voxel_size: Lengths
    translation: Lengths


class _File(Document):
    format: str
    version: int
    image: _Grid
    edits: list[Any]


class _Head(Document):
    format: str
    version: int


@dataclass(frozen=True)
class ImageGrid:
    """The voxels of the finest level of an image; every triple is z, y, x.

    Attributes
    ----------
    shape : tuple of int
        Voxels.
    voxel_size : tuple of float
        nm.
    translation : tuple of float
        Centre of the first voxel, nm.
    """

    shape: Shape
    voxel_size: Voxel
    translation: Triple

    @classmethod
    def of(cls, geometry: Geometry) -> ImageGrid:
        """Those of a geometry."""
        return cls(geometry.shape, geometry.voxel_size, geometry.origin)

    @property
    def geometry(self) -> Geometry:
        """The same as a geometry."""
        return Geometry(self.shape, self.voxel_size, self.translation)

    def same(self, other: ImageGrid) -> bool:
        """Whether both are the same voxels, but for the rounding of numbers in a file."""
        small = 1e-6 * min(self.voxel_size)
        pairs = zip(
            (*self.voxel_size, *self.translation),
            (*other.voxel_size, *other.translation),
            strict=True,
        )
        return self.shape == other.shape and all(abs(a - b) <= small for a, b in pairs)

    def __str__(self) -> str:
        return (
            f"{by_axis(self.shape)} voxels (z, y, x) of {by_axis(self.voxel_size)} nm with the "
            f"first centre at {', '.join(f'{at:g}' for at in self.translation)} nm"
        )


@dataclass(frozen=True)
class Edits:
    """The edits of the cells of a run, in the order in which they were made.

    Attributes
    ----------
    image : ImageGrid
        The image that they were made on.
    edits : tuple of Edit
        See :mod:`hela_dask.editing.kinds`.

    Examples
    --------
    >>> grid = ImageGrid((10, 20, 20), (50.0, 10.0, 10.0), (0.0, 0.0, 0.0))
    >>> move = Move(cell=3, centre=(50, 100, 100), to=(100, 90, 100), by="A. Person")
    >>> edits = Edits(grid).add(move)
    >>> edits.labels, edits.without_last().edits
    ({3}, ())
    """

    image: ImageGrid
    edits: tuple[Edit, ...] = ()

    @classmethod
    def read(cls, path: str | Path, image: ImageGrid | None = None) -> Edits:
        """The edits of a file.

        Parameters
        ----------
        path : path
        image : ImageGrid, optional
            Of the image that they are for: compared with that of the file before the edits are
            read, as places and slices of another image have no meaning.

        Raises
        ------
        MissingInputError
            When there is no such file.
        InputError
            For a file that is damaged, or of another format, version or image, and an edit that
            cannot be made; names the file, and the number and kind of the edit.
        """
        content, source = read_json(path, _LARGEST), str(path)
        if not isinstance(content, dict) or "format" not in content:
            raise InputError(
                f"{path} is no file of edits: it must be a table with format ({_FORMAT!r}), "
                f"version ({_VERSION}), image (shape, voxel_size and translation of the volume) "
                "and edits"
            )
        head = check_document(content, _Head, source)
        if head.format != _FORMAT:
            raise InputError(f"{path} is no file of edits: its format is {head.format[:40]!r}")
        if head.version != _VERSION:
            raise InputError(
                f"{path} has version {head.version} of its format, and this hela_dask reads "
                f"version {_VERSION}: read it with the hela_dask that wrote it"
            )
        file = check_document(content, _File, source)
        z, y, x = file.image.shape
        grid = ImageGrid((z, y, x), file.image.voxel_size, file.image.translation)
        if not all(math.isfinite(size) and size > 0 for size in grid.voxel_size):
            raise InputError(f"{path}: image.voxel_size must be three lengths in nm over 0")
        if image is not None:
            cls(grid).check_grid(image, source)
        edits = tuple(
            parse_edit(item, number, source, grid.geometry)
            for number, item in enumerate(file.edits, 1)
        )
        check_sequence(edits, source)
        return cls(grid, edits)

    def write(self, path: str | Path) -> None:
        """Write all edits to a file, whole or not at all, with a line per edit.

        Raises
        ------
        StorageError
            When it cannot be written.
        """
        head = {"format": _FORMAT, "version": _VERSION, "image": plain(self.image)}
        lines = [json.dumps(plain(edit.record()), ensure_ascii=False) for edit in self.edits]
        text = json.dumps(head, ensure_ascii=False)[:-1]
        body = "".join(f"\n{line}{',' * (line is not lines[-1])}" for line in lines)
        write_text(path, f'{text}, "edits": [{body}\n]}}\n')

    def add(self, edit: Edit) -> Edits:
        """With one edit more, checked as :meth:`read` does; InputError where it cannot be made."""
        number = len(self.edits) + 1
        content = json.loads(json.dumps(plain(edit.record())))
        checked = parse_edit(content, number, "the new edit", self.image.geometry)
        edits = (*self.edits, checked)
        check_sequence(edits, "the new edit")
        return replace(self, edits=edits)

    def without_last(self) -> Edits:
        """Without the last edit; without any, the same."""
        return replace(self, edits=self.edits[:-1])

    @property
    def labels(self) -> set[int]:
        """Labels of all edited cells, also of those that edits make, merge or remove."""
        return {label for edit in self.edits for label in (*edit.changed, *edit.made)}

    @property
    def new_labels(self) -> set[int]:
        """Labels of the cells that the edits make."""
        return {label for edit in self.edits for label in edit.made}

    @property
    def authors(self) -> list[str]:
        """The names of all authors, in the order of their first edits."""
        return list(dict.fromkeys(edit.by for edit in self.edits))

    @property
    def fingerprint(self) -> str:
        """A short name for exactly these edits of this image, with authors, times and notes."""
        content = plain([self.image, [edit.record() for edit in self.edits]])
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]

    def check_grid(self, grid: ImageGrid, source: str | Path) -> None:
        """Refuse an image with other voxels; `source` is the file of the edits.

        Raises
        ------
        InputError
            Names both grids.
        """
        if not self.image.same(grid):
            raise InputError(
                f"{source} has edits of another image: of {self.image}; this image has {grid}"
                f"{swapped_axes(self.image.shape, grid.shape)}"
            )

    def __str__(self) -> str:
        """A count with names: 3 edits by A and B."""
        return f"{counted(len(self.edits), 'edit')} by {listed(self.authors) or 'no author'}"
