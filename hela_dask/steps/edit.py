"""Edits of finished labels: voxels merged, split, painted and erased, tile by tile."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.editing.edits import Merge, Paint, Remove, Split
from hela_dask.kernels.packed_labels import CELL, ENVELOPE, NUCLEUS
from hela_dask.kernels.splitting import nearest_parts, reduce_mask, split_mask
from hela_dask.steps.refine import TileLabels
from hela_dask.storage import store
from hela_dask.types import Mask, Voxel

__all__ = [
    "LabelEdit",
    "Part",
    "Partition",
    "Piece",
    "edit_tile",
    "edits_of_slab",
    "partition_cell",
    "partition_place",
    "partition_step",
]

_LARGEST = 2**24  # voxels that a split is computed on
_ROOM = 2  # voxels around the cell, for labels beyond its masks
_CLAIMED = NUCLEUS | CELL | ENVELOPE


@dataclass(frozen=True)
class Partition:
    """Where the parts of a split cell are kept, and where in the volume they belong.

    The array is (z, y, x) of uint16: the number of the part that a voxel of cytoplasm belongs to,
    from 1, plus 256 times that of a voxel of nucleus or envelope. All of its voxels have a part;
    those beyond it have that of the nearest one.

    Attributes
    ----------
    path : Path
        A scratch array.
    low : tuple of int
        Voxel of the image's finest level (z, y, x) that it begins at.
    step : tuple of int
        Voxels of the image's finest level in one of it.
    fingerprint : str
        Hash of everything that it depends on.
    """

    path: Path
    low: tuple[int, int, int]
    step: tuple[int, int, int]
    fingerprint: str


@dataclass(frozen=True)
class Part:
    """One part of a partition; `number` is from 1."""

    partition: Partition
    number: int


@dataclass(frozen=True)
class Piece:
    """Masks that a cell is made of.

    Attributes
    ----------
    path : Path
        A scratch array of bits, as :func:`hela_dask.steps.assemble.encode_masks` makes them.
    box : Box
        Voxels of the working level that it covers.
    fingerprint : str
        Of the masks.
    withheld : bool
        Whether its nucleus is left out of the labels.
    inside : tuple of Part
        Parts of earlier splits that it is limited to.
    """

    path: Path
    box: Box
    fingerprint: str
    withheld: bool = False
    inside: tuple[Part, ...] = ()


@dataclass(frozen=True)
class LabelEdit:
    """An edit of finished labels.

    Attributes
    ----------
    edit : Merge, Split, Paint or Remove
    partition : Partition, optional
        The parts of a split cell; a split without one changes nothing.
    """

    edit: Merge | Split | Paint | Remove
    partition: Partition | None = None

    @property
    def key(self) -> list[str]:
        """All that its effect depends on."""
        return [self.edit.content, self.partition.fingerprint if self.partition else ""]


def edits_of_slab(
    edits: Sequence[LabelEdit], labels: Collection[int], z0: int, z1: int
) -> tuple[LabelEdit, ...]:
    """The edits that may change a slab, in order.

    Parameters
    ----------
    edits
        All of them.
    labels
        Of the cells with masks in the slab.
    z0, z1
        Its slices, half open.
    """
    there, found = set(labels), []
    for item in edits:
        edit = item.edit
        if isinstance(edit, Paint):
            if not z0 <= edit.slice < z1:
                continue
            there |= {edit.cell} if not edit.erase else set()
        elif isinstance(edit, Merge):
            if not there.intersection(edit.cells[1:]):
                continue
            there = (there - set(edit.cells[1:])) | {edit.cells[0]}
        elif isinstance(edit, Split):
            if edit.cell not in there or item.partition is None:
                continue
            there |= set(edit.cells)
        elif edit.changed[0] not in there:
            continue
        found.append(item)
    return tuple(found)


def edit_tile(labels: TileLabels, edits: Sequence[LabelEdit], z0: int, tile: Box) -> TileLabels:
    """Change the labels of a tile, in place; returns them.

    Parameters
    ----------
    labels
        (slices, y, x), of the image's finest level.
    edits
        Of the slab, in order.
    z0
        First slice.
    tile
        Rows and columns.
    """
    box = Box.at((z0, *tile.low), labels.cells.shape)
    for item in edits:
        edit = item.edit
        if isinstance(edit, Paint):
            _paint(labels, edit, box)
        elif isinstance(edit, Merge):
            for array in _instances(labels):
                array[np.isin(array, edit.cells[1:])] = edit.cells[0]
        elif isinstance(edit, Remove):
            for array in _instances(labels):
                array[array == edit.cell] = 0
        elif item.partition is not None:
            _split(labels, edit, item.partition, box)
    return labels


def _instances(labels: TileLabels) -> tuple[NDArray[np.uint16], ...]:
    return labels.nuclei, labels.cells, labels.envelope


def _paint(labels: TileLabels, edit: Paint, box: Box) -> None:
    """Paint or erase the pixels of an edit in a box of the image."""
    shared = edit.box & box
    if shared.empty:
        return
    mask = edit.mask[tuple(shared.relative_to(edit.box)[1:])]
    z, *place = shared.relative_to(box)
    nuclei, cells, envelope, resin = (array[z.start][tuple(place)] for array in labels)
    if edit.erase:
        arrays = (nuclei, envelope) if edit.compartment == "nucleus" else (nuclei, cells, envelope)
        for array in arrays:
            array[mask & (array == edit.cell)] = 0
        return
    cells[mask] = edit.cell
    resin[mask] = 0
    if edit.compartment == "nucleus":
        nuclei[mask] = edit.cell
        envelope[mask] = 0
        return
    for array in (nuclei, envelope):
        array[mask & (array != edit.cell)] = 0


def _split(labels: TileLabels, edit: Split, partition: Partition, box: Box) -> None:
    """Give each voxel of the cell in a box of the image the label of its part."""
    if not any((array == edit.cell).any() for array in _instances(labels)):
        return
    names = np.array([0, *edit.cells], labels.cells.dtype)
    voxels = [np.arange(axis.start, axis.stop) for axis in box]
    parts, (planes, rows, columns) = _read_parts(partition, voxels)
    for z, plane in enumerate(planes):
        for array, bits in zip(_instances(labels), (8, 0, 8), strict=True):
            y, x = np.nonzero(array[z] == edit.cell)
            array[z][y, x] = names[parts[plane, rows[y], columns[x]] >> bits & 255]
        whole = np.maximum(labels.nuclei[z], labels.envelope[z])
        inner = np.isin(whole, edit.cells) & np.isin(labels.cells[z], edit.cells)
        labels.cells[z][inner] = whole[inner]


def _read_parts(
    partition: Partition, voxels: Sequence[NDArray[np.int64]]
) -> tuple[NDArray[np.uint16], list[NDArray[np.int64]]]:
    """Slices of a partition, and positions in them of voxels of the image, axis by axis."""
    stored = store.read_scratch(partition.path)
    planes, rows, columns = (
        np.clip((at - low) // step, 0, length - 1)
        for at, low, step, length in zip(
            voxels, partition.low, partition.step, stored.shape, strict=True
        )
    )
    first, last = int(planes.min()), int(planes.max())
    return np.asarray(stored[first : last + 1]), [planes - first, rows, columns]


def partition_step(box: Box, voxel: Voxel) -> tuple[int, int, int]:
    """Voxels of the working level in one that a split is computed on: as few as memory allows.

    `box` holds the cell; `voxel` is the size (z, y, x) of its voxels in nm.
    """
    step = [1, 1, 1]
    while math.prod(-(-n // by) + 2 * _ROOM for n, by in zip(box.shape, step, strict=True)) > (
        _LARGEST
    ):
        sizes = [size * by for size, by in zip(voxel, step, strict=True)]
        step[sizes.index(min(sizes))] += 1
    return step[0], step[1], step[2]


def partition_cell(
    pieces: Sequence[Piece],
    box: Box,
    points: Sequence[tuple[int, int, int]],
    voxel: Voxel,
    factors: tuple[int, int],
    step: tuple[int, int, int],
) -> tuple[NDArray[np.uint16], list[int]]:
    """The array of a :class:`Partition`, and the positions of points outside the cell.

    Parameters
    ----------
    pieces
        The masks of the cell.
    box
        Voxels of the working level (z, y, x), with all pieces in it.
    points
        Voxels of the working level.
    voxel
        Size of a voxel of the working level, nm.
    factors
        Pixels of the image in one of the working level, y and x.
    step
        Voxels of the working level in one of the array, see :func:`partition_step`.
    """
    reduced = [
        (reduce_mask(cell, step), reduce_mask(nucleus, step, every=True))
        for cell, nucleus in _layers(pieces, box, factors, step[0])
    ]
    cell, nucleus = (
        np.pad(np.concatenate([layer[number] for layer in reduced]), _ROOM) for number in (0, 1)
    )
    seeds: Any = [
        tuple((at - low) // by + _ROOM for at, low, by in zip(point, box.low, step, strict=True))
        for point in points
    ]
    size: Any = tuple(length * by for length, by in zip(voxel, step, strict=True))
    parts, whole, lost = split_mask(cell, nucleus, seeds, size)
    if lost:
        return np.zeros(cell.shape, np.uint16), lost
    filled = nearest_parts(parts, size)
    inner = nearest_parts(np.where(whole, parts, np.uint8(0)), size) if whole.any() else filled
    return filled + inner * np.uint16(256), []


def partition_place(
    box: Box, factors: tuple[int, int], step: tuple[int, int, int]
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """`low` and `step` of a :class:`Partition`, from the arguments of :func:`partition_cell`."""
    fine = (1, *factors)
    low: Any = tuple(
        (at - _ROOM * by) * factor for at, by, factor in zip(box.low, step, fine, strict=True)
    )
    size: Any = tuple(by * factor for by, factor in zip(step, fine, strict=True))
    return low, size


def _layers(
    pieces: Sequence[Piece], box: Box, factors: tuple[int, int], depth: int
) -> Iterator[tuple[Mask, Mask]]:
    """Cell and nucleus in layers of so many slices of a box of the working level."""
    arrays = [store.read_scratch(piece.path) for piece in pieces]
    low, high = box.low[0], box.high[0]
    for z in range(low, high, depth):
        layer = Box((slice(z, min(z + depth, high)), *box[1:]))
        cell, nucleus = (np.zeros(layer.shape, bool) for _ in range(2))
        for piece, array in zip(pieces, arrays, strict=True):
            shared = piece.box & layer
            if shared.empty:
                continue
            bits = np.asarray(array[tuple(shared.relative_to(piece.box))])
            there = (bits & np.uint8(CELL if piece.withheld else _CLAIMED)) > 0
            for part in piece.inside:
                there &= _inside(part, shared, factors)
            place = tuple(shared.relative_to(layer))
            cell[place] |= there
            if not piece.withheld:
                nucleus[place] |= there & ((bits & np.uint8(NUCLEUS)) > 0)
        yield cell, nucleus


def _inside(part: Part, box: Box, factors: tuple[int, int]) -> Mask:
    """Voxels of a box of the working level that belong to a part of an earlier split."""
    voxels = [
        np.arange(axis.start, axis.stop) * factor + factor // 2
        for axis, factor in zip(box, (1, *factors), strict=True)
    ]
    parts, places = _read_parts(part.partition, voxels)
    found: Mask = (parts[np.ix_(*places)] & 255) == part.number
    return found
