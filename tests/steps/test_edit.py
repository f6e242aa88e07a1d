"""Edits of labels on drawn tiles: each voxel, and the slabs that an edit touches."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hela_dask.box import Box
from hela_dask.editing.edits import Merge, Paint, Remove, Split
from hela_dask.kernels.packed_labels import CELL, NUCLEUS
from hela_dask.steps.edit import (
    LabelEdit,
    Part,
    Partition,
    Piece,
    edit_tile,
    edits_of_slab,
    partition_cell,
    partition_place,
    partition_step,
)
from hela_dask.steps.refine import TileLabels
from hela_dask.storage import store

AT = (0.0, 0.0, 0.0)
HERE: dict[str, Any] = {"centre": AT, "by": "A", "on": "2026-01-01"}


def tile(cells: Any, nuclei: Any = None, envelope: Any = None, resin: Any = None) -> TileLabels:
    shape = np.shape(cells)
    arrays = [np.zeros(shape) if item is None else item for item in (nuclei, cells, envelope)]
    n, c, e = (np.array(item, np.uint16) for item in arrays)
    return TileLabels(n, c, e, np.array(np.zeros(shape) if resin is None else resin, np.uint8))


def paint(mask: Any, cell: int = 1, low: tuple[int, int] = (0, 0), z: int = 0, **more: Any) -> Any:
    return LabelEdit(
        Paint.of(
            np.array(mask, bool), low, cell=cell, centre=AT, slice=z, by="A",
            **{"compartment": "cell", **more},
        )
    )  # fmt: skip


ROW = Box.of([(0, 1), (0, 6)])


def test_painting_a_cell_in_resin_a_neighbour_and_its_own_nucleus() -> None:
    labels = tile(
        [[[1, 1, 2, 2, 2, 0]]],
        [[[1, 0, 2, 0, 0, 0]]],
        [[[0, 1, 0, 2, 0, 0]]],
        [[[0, 0, 0, 0, 0, 1]]],
    )
    edit_tile(labels, [paint([[1, 1, 1, 1, 0, 1]])], 0, ROW)
    assert labels.cells.tolist() == [[[1, 1, 1, 1, 2, 1]]]
    assert labels.nuclei.tolist() == [[[1, 0, 0, 0, 0, 0]]]
    assert labels.envelope.tolist() == [[[0, 1, 0, 0, 0, 0]]]
    assert labels.background.tolist() == [[[0, 0, 0, 0, 0, 0]]]


def test_painting_and_erasing_a_nucleus() -> None:
    before = tile([[[1, 1, 2, 2, 0, 0]]], [[[0, 1, 2, 0, 0, 0]]], [[[1, 0, 0, 2, 0, 0]]])
    labels = tile(before.cells, before.nuclei, before.envelope)
    edit_tile(labels, [paint([[1, 0, 1, 1, 1, 0]], compartment="nucleus")], 0, ROW)
    assert labels.cells.tolist() == [[[1, 1, 1, 1, 1, 0]]]
    assert labels.nuclei.tolist() == [[[1, 1, 1, 1, 1, 0]]]
    assert not labels.envelope.any()
    labels = tile(before.cells, before.nuclei, before.envelope)
    edit_tile(labels, [paint(np.ones((1, 6)), compartment="nucleus", erase=True)], 0, ROW)
    assert labels.cells.tolist() == before.cells.tolist()
    assert labels.nuclei.tolist() == [[[0, 0, 2, 0, 0, 0]]]
    assert labels.envelope.tolist() == [[[0, 0, 0, 2, 0, 0]]]
    edit_tile(labels, [paint(np.ones((1, 6)), cell=2, erase=True)], 0, ROW)
    assert labels.cells.tolist() == [[[1, 1, 0, 0, 0, 0]]]
    assert not labels.nuclei.any() and not labels.envelope.any()


def test_a_mask_is_cut_by_tiles_and_slabs() -> None:
    mask = np.random.default_rng(0).random((40, 30)) > 0.5
    edit = paint(mask, low=(5, 7), z=3)
    whole = np.zeros((6, 50, 50), np.uint16)
    for z0, z1 in ((0, 2), (2, 6)):
        for y in (0, 16, 32):
            for x in (0, 20, 40):
                box = Box.of([(y, min(y + 16, 50)), (x, min(x + 20, 50))])
                labels = tile(np.zeros((z1 - z0, *box.shape)))
                edit_tile(labels, [edit], z0, box)
                whole[z0:z1, *box] = labels.cells
    assert np.flatnonzero(whole.any(axis=(1, 2))).tolist() == [3]
    np.testing.assert_array_equal(whole[3, 5:45, 7:37], mask)
    assert whole.sum() == mask.sum()


def test_edits_are_made_in_order() -> None:
    merge = LabelEdit(Merge(cells=(2, 1), centres=(AT, AT), by="A"))
    remove = LabelEdit(Remove(cell=2, **HERE))
    labels = tile([[[1, 2, 3, 0, 0, 0]]])
    edit_tile(labels, [merge, paint([[0, 0, 0, 1, 0, 0]], cell=3), remove], 0, ROW)
    assert labels.cells.tolist() == [[[0, 0, 3, 3, 0, 0]]]
    labels = tile([[[1, 2, 3, 0, 0, 0]]])
    edit_tile(labels, [remove, paint([[0, 0, 0, 1, 0, 0]], cell=2)], 0, ROW)
    assert labels.cells.tolist() == [[[1, 0, 3, 2, 0, 0]]]


def test_the_edits_of_a_slab() -> None:
    partition = Partition(Path("p"), (0, 0, 0), (1, 1, 1), "f")
    cut = Split(points=(AT, AT), cells=(5, 6), cell=5, **HERE)
    edits = [
        paint([[1]], cell=1, z=12),
        LabelEdit(Merge(cells=(2, 1), centres=(AT, AT), by="A")),
        LabelEdit(cut, partition),
        LabelEdit(Merge(cells=(3, 6), centres=(AT, AT), by="A")),
        LabelEdit(Remove(cell=2, **HERE)),
        LabelEdit(Split(points=(AT, AT), cells=(9, 10), cell=9, **HERE)),
    ]

    def kinds(labels: set[int], z0: int, z1: int) -> list[int]:
        found = edits_of_slab(edits, labels, z0, z1)
        return [edits.index(item) for item in found]

    assert kinds(set(), 0, 10) == []
    assert kinds(set(), 10, 20) == [0, 1, 4]  # the painted cell is merged and removed
    assert kinds({2, 9}, 0, 10) == [4]  # a split without parts changes nothing
    assert kinds({5}, 0, 10) == [2, 3]
    assert kinds({3}, 0, 10) == []
    assert kinds({6}, 0, 10) == [3]


def masks(path: Path, cell: Any, nucleus: Any, low: tuple[int, int, int]) -> Piece:
    bits = (cell * CELL + nucleus * NUCLEUS).astype(np.uint8)
    store.write_scratch(store.create_scratch(path, bits.shape, bits.dtype), bits)
    return Piece(path, Box.at(low, bits.shape), "m")


def split_of(
    pieces: list[Piece], box: Box, points: Any, factors: Any, path: Path, step: Any = (1, 1, 1)
) -> Partition:
    parts, lost = partition_cell(pieces, box, points, (50.0, 40.0, 40.0), factors, step)
    assert lost == []
    store.write_scratch(store.create_scratch(path, parts.shape, parts.dtype), parts)
    return Partition(path, *partition_place(box, factors, step), "f")


@pytest.mark.parametrize("step", [(1, 1, 1), (2, 2, 2)])
@pytest.mark.parametrize("factor", [1, 2])
def test_a_split_reaches_each_voxel_of_the_cell(tmp_path: Path, step: Any, factor: int) -> None:
    """Two pieces with a nucleus each, side by side; labels reach beyond the masks."""
    cell, nucleus = np.ones((8, 10, 10), bool), np.zeros((8, 10, 10), bool)
    nucleus[2:6, 2:8, 2:8] = True
    pieces = [
        masks(tmp_path / name, cell, nucleus, low)
        for name, low in (("a", (3, 20, 10)), ("b", (3, 20, 20)))
    ]
    box, points = Box.of([(3, 11), (20, 30), (10, 30)]), [(7, 25, 15), (7, 25, 25)]
    found = split_of(pieces, box, points, (factor, factor), tmp_path / "p", step)
    edit = Split(points=(AT, AT), cells=(4, 9), cell=4, **HERE)
    shape = (14, 40 * factor, 40 * factor)
    whole, nuclei = np.zeros(shape, np.uint16), np.zeros(shape, np.uint16)
    whole[box.scale((1, factor, factor))] = 4
    whole[1, 23 * factor, 12 * factor] = whole[12, 23 * factor, 28 * factor] = 4  # beyond the masks
    whole[0, 0, 0] = 7
    for x in (10, 20):
        nuclei[5:9, 22 * factor : 28 * factor, (x + 2) * factor : (x + 8) * factor] = 4
    labels = tile(whole, nuclei)
    edit_tile(labels, [LabelEdit(edit, found)], 0, Box.whole(shape[1:]))
    middle = 20 * factor
    assert set(np.unique(labels.cells)) == {0, 4, 7, 9} and labels.cells[0, 0, 0] == 7
    assert (labels.cells[whole == 4] != 0).all()
    assert (labels.nuclei[..., :middle][nuclei[..., :middle] > 0] == 4).all()
    assert (labels.nuclei[..., middle:][nuclei[..., middle:] > 0] == 9).all()
    inner = labels.nuclei > 0
    np.testing.assert_array_equal(labels.cells[inner], labels.nuclei[inner])
    assert labels.cells[1, 23 * factor, 12 * factor] == 4
    assert labels.cells[12, 23 * factor, 28 * factor] == 9
    away = np.abs(np.nonzero(labels.cells == 9)[2].min() - middle)
    assert away <= 2 * factor * step[2]


def test_a_part_is_split_again_inside_itself(tmp_path: Path) -> None:
    cell = np.ones((4, 6, 30), bool)
    piece = masks(tmp_path / "a", cell, np.zeros_like(cell), (0, 0, 0))
    first = split_of([piece], piece.box, [(2, 3, 4), (2, 3, 25)], (1, 1), tmp_path / "p")
    inside = Piece(piece.path, piece.box, "m", inside=(Part(first, 2),))
    _, lost = partition_cell(
        [inside], piece.box, [(2, 3, 4), (2, 3, 25)], (50.0, 40.0, 40.0), (1, 1), (1, 1, 1)
    )
    assert lost == [0]
    second = split_of([inside], piece.box, [(2, 3, 20), (2, 3, 27)], (1, 1), tmp_path / "q")
    labels = tile(np.full(cell.shape, 1))
    edits = [
        LabelEdit(Split(points=(AT, AT), cells=(1, 2), cell=1, **HERE), first),
        LabelEdit(Split(points=(AT, AT), cells=(2, 3), cell=2, **HERE), second),
    ]
    edit_tile(labels, edits, 0, Box.whole(cell.shape[1:]))
    row = labels.cells[2, 3]
    assert row[4] == 1 and row[20] == 2 and row[27] == 3 and (np.diff(row.astype(int)) >= 0).all()


def test_a_withheld_nucleus_is_no_seed(tmp_path: Path) -> None:
    cell, nucleus = np.ones((5, 9, 20), bool), np.zeros((5, 9, 20), bool)
    nucleus[2, 4, 2:9] = True
    piece = masks(tmp_path / "a", cell, nucleus, (0, 0, 0))
    points = [(2, 4, 3), (2, 4, 17)]
    for withheld, expected in ((False, True), (True, False)):
        given = Piece(piece.path, piece.box, "m", withheld)
        parts, _ = partition_cell([given], piece.box, points, (50.0, 40.0, 40.0), (1, 1), (1, 1, 1))
        assert ((parts >> 8) != (parts & 255)).any() == expected


def test_the_step_keeps_a_split_within_memory() -> None:
    voxel = (50.0, 40.0, 40.0)
    assert partition_step(Box.of([(0, 100)] * 3), voxel) == (1, 1, 1)
    large = Box.of([(0, 700), (0, 1000), (0, 1000)])
    step = partition_step(large, voxel)
    assert math.prod(-(-n // by) for n, by in zip(large.shape, step, strict=True)) < 2**24
    sizes = [length * by for length, by in zip(voxel, step, strict=True)]
    assert max(sizes) < 2 * min(sizes) < 1000
