"""Masks of regions become labels of the volume: by slab, one owner a voxel, whatever the slabs."""

from __future__ import annotations

import colorsys
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.errors import InputError
from hela_dask.geometry import Geometry
from hela_dask.parameters import AssembleParameters
from hela_dask.steps.assemble import (
    CellMasks,
    assemble_slab,
    check_labels,
    encode_masks,
    find_ceded,
    label_colors,
    label_properties,
    plan_slabs,
)
from hela_dask.storage import store

SHAPE = (10, 30, 40)
VOXEL = (50.0, 40.0, 40.0)


def keep(
    folder: Path, label: int, origin: tuple[int, int, int], seed: int, size: tuple[int, int, int]
) -> CellMasks:
    """Random masks of one cell, kept as a run keeps them."""
    rng = np.random.default_rng(seed)
    cell = rng.random(size) < 0.8
    bits = encode_masks(cell & (rng.random(size) < 0.3), cell, rng.random(size) < 0.2)
    path = store.create_scratch(folder / str(label), bits.shape, bits.dtype)
    store.write_scratch(path, bits)
    return CellMasks(label, path, Box.at(origin, size))


@pytest.fixture
def masks(tmp_path: Path) -> list[CellMasks]:
    """Three cells that overlap; the second is in slices 3 to 7 only."""
    return [
        keep(tmp_path, 3, (0, 0, 0), 1, (10, 12, 14)),
        keep(tmp_path, 1, (3, 8, 9), 2, (5, 15, 20)),
        keep(tmp_path, 2, (0, 15, 20), 3, (10, 15, 20)),
    ]


class Labels(NamedTuple):
    nuclei: NDArray[np.uint16]
    cells: NDArray[np.uint16]
    envelope: NDArray[np.uint16]


def assemble(masks: list[CellMasks], depth: int, tissue: float = 0.0) -> Labels:
    """Labels of a volume, slab by slab; so much of it is no resin, whoever claims it or not."""
    resin = (np.random.default_rng(9).random(SHAPE) >= tissue).astype(np.uint8)
    ranges = [(z, min(z + depth, SHAPE[0])) for z in range(0, SHAPE[0], depth)]
    slabs = [
        assemble_slab(slab, resin[slab.z0 : slab.z1], AssembleParameters(reach=150.0))
        for slab in plan_slabs(ranges, Geometry(SHAPE, VOXEL), masks)
    ]
    for slab, (first, end) in zip(slabs, ranges, strict=True):
        np.testing.assert_array_equal(slab.resin, resin[first:end] > 0)
    return Labels(
        *(np.concatenate([getattr(slab, name) for slab in slabs]) for name in Labels._fields)
    )


def test_bits_hold_all_masks_and_a_nucleus_is_part_of_its_cell() -> None:
    nucleus, cell, ring = (
        np.array([mark == "#" for mark in drawn]) for drawn in ("##...", "#.##.", ".##.#")
    )
    assert encode_masks(nucleus, cell, ring).tolist() == [11, 11, 6, 2, 0]
    # Without a cell, what is around the nucleus is delivered as it is.
    assert encode_masks(nucleus, np.zeros(5, bool), ring).tolist() == [9, 9, 4, 0, 4]
    # The outline is kept beside them, and claims nothing.
    outline = np.array([mark == "#" for mark in "###.."])
    assert encode_masks(nucleus, cell, ring, outline).tolist() == [11, 11, 14, 2, 0]


def test_the_labels_do_not_depend_on_the_slabs(masks: list[CellMasks]) -> None:
    whole = assemble(masks, 10, tissue=0.6)
    # Pieces that nobody claims have been joined to cells, by what slices nearby say too.
    assert np.count_nonzero(whole.cells) > np.count_nonzero(assemble(masks, 10).cells)
    for depth in (1, 3, 4):
        for part, other in zip(whole, assemble(masks[::-1], depth, tissue=0.6), strict=True):
            np.testing.assert_array_equal(part, other)


def test_a_withheld_nucleus_takes_no_voxel_from_another(masks: list[CellMasks]) -> None:
    plain = assemble(masks, 10)
    withheld = [replace(item, withheld=item.label == 2) for item in masks]
    found = assemble(withheld, 10)
    assert not (found.nuclei == 2).any() and not (found.envelope == 2).any()
    first = next(item for item in masks if item.label == 1)
    nucleus = np.asarray(store.read_scratch(first.path)[:]) & 1 > 0
    kept = (plain.nuclei == 1).sum()
    assert nucleus.sum() >= (found.nuclei == 1).sum() > kept
    for depth in (1, 4):
        for part, other in zip(found, assemble(withheld[::-1], depth), strict=True):
            np.testing.assert_array_equal(part, other)


def test_ceded_voxels_do_not_depend_on_the_slabs(masks: list[CellMasks]) -> None:
    plain = assemble(masks, 10)
    masks = [replace(item, cedes_to={2: (1, 3), 3: (1,)}.get(item.label, ())) for item in masks]
    whole = assemble(masks, 10)
    assert np.count_nonzero(whole.nuclei == 2) < np.count_nonzero(plain.nuclei == 2)
    first = next(item for item in masks if item.label == 1)
    mine = np.asarray(store.read_scratch(first.path)[:]) & 2 > 0
    assert (whole.cells[first.box] == 1)[mine].all()
    for depth in (1, 3, 4):
        for part, other in zip(whole, assemble(masks[::-1], depth), strict=True):
            np.testing.assert_array_equal(part, other)


def drawn(
    folder: Path, label: int, cell: str, centre: int | None, first: int = 0, nucleus: bool = False
) -> CellMasks:
    """A cell of one row of voxels, or its nucleus alone, and where along the row its centre is."""
    mask = np.array([[[mark == "#" for mark in cell]]])
    none = np.zeros_like(mask)
    bits = encode_masks(mask if nucleus else none, none if nucleus else mask, none)
    path = store.create_scratch(folder / str(label), bits.shape, bits.dtype)
    store.write_scratch(path, bits)
    box = Box.at((4, 7, first), (1, 1, len(cell)))
    return CellMasks(label, path, box, centre=None if centre is None else (4, 7, centre))


def test_a_cell_that_reaches_over_a_centre_cedes(tmp_path: Path) -> None:
    one = drawn(tmp_path, 1, "########", 2)
    two = drawn(tmp_path, 2, "####", 6, first=5)
    far = drawn(tmp_path, 5, "###", 10, first=9)
    for order in permutations([one, two, far]):
        assert find_ceded(order) == {1: (2,)}
    # A third one that it reaches over too; a nucleus alone is reason enough.
    three = drawn(tmp_path, 3, "#", 4, first=4, nucleus=True)
    assert find_ceded([three, two, one]) == {1: (2, 3)}


def test_no_cell_cedes_if_the_centres_do_not_show_a_leak(tmp_path: Path) -> None:
    one = drawn(tmp_path, 1, "########", 2)
    mutual = drawn(tmp_path, 2, "#######", 6, first=1)
    lost = drawn(tmp_path, 3, "##.##", 6, first=4)  # it does not cover its own centre
    unknown = drawn(tmp_path, 4, "#####", None, first=4)
    elsewhere = replace(one, label=6, centre=(3, 7, 5))  # another slice
    for other in (mutual, lost, unknown):
        assert find_ceded([one, other]) == find_ceded([other, one]) == {}
    assert find_ceded([elsewhere]) == find_ceded([]) == {}
    hole = drawn(tmp_path, 7, "####.###", 2)  # its box holds the centre, its masks do not
    assert find_ceded([hole, drawn(tmp_path, 8, "#", 4, first=4)]) == {}


def test_a_piece_left_out_in_one_slice_is_joined_by_its_neighbours(tmp_path: Path) -> None:
    cell = np.zeros((10, 6, 12), bool)
    cell[:, 1:5, :6] = True
    cell[2, 2:4, 6:9] = True  # the protrusion, in one slice; tissue is seen in all
    bits = encode_masks(np.zeros_like(cell), cell, np.zeros_like(cell))
    path = store.create_scratch(tmp_path / "1", bits.shape, bits.dtype)
    store.write_scratch(path, bits)
    masks = [CellMasks(1, path, Box.whole((10, 6, 12)))]
    resin = np.ones((10, 6, 12), np.uint8)
    resin[:, 1:5, :6] = resin[:, 2:4, 6:9] = 0
    for depth in (10, 4, 3):
        ranges = [(z, min(z + depth, 10)) for z in range(0, 10, depth)]
        found = np.concatenate(
            [
                assemble_slab(slab, resin[slab.z0 : slab.z1], AssembleParameters(reach=150.0)).cells
                for slab in plan_slabs(ranges, Geometry((10, 6, 12), VOXEL), masks)
            ]
        )
        # Three slices on each side, by 50 nm.
        assert [plane[2, 7] for plane in found] == [1, 1, 1, 1, 1, 1, 0, 0, 0, 0]


def test_all_that_is_claimed_is_labelled_once(masks: list[CellMasks]) -> None:
    nuclei, cells, envelope = assemble(masks, 4)
    claimed = np.zeros(SHAPE, bool)
    for item in masks:
        claimed[item.box] |= np.asarray(store.read_scratch(item.path)[:]) > 0
    np.testing.assert_array_equal(cells > 0, claimed)
    np.testing.assert_array_equal(nuclei[nuclei > 0], cells[nuclei > 0])
    assert set(np.unique(nuclei)) == {0, 1, 2, 3}
    np.testing.assert_array_equal(envelope[envelope > 0], cells[envelope > 0])
    assert set(np.unique(envelope)) == {0, 1, 2, 3} and not (nuclei > 0)[envelope > 0].any()
    assert nuclei.dtype == cells.dtype == envelope.dtype == np.uint16


def test_a_slab_knows_only_the_cells_that_reach_into_it(masks: list[CellMasks]) -> None:
    slabs = plan_slabs([(0, 3), (3, 8), (8, 10)], Geometry(SHAPE, VOXEL), masks)
    assert [[item.label for item in slab.masks] for slab in slabs] == [[2, 3], [1, 2, 3], [2, 3]]


def test_no_cells_give_empty_labels() -> None:
    for labels in assemble([], 4):
        assert labels.shape == SHAPE and not labels.any()


def test_labels_that_do_not_fit_are_refused() -> None:
    check_labels([1, 65535])
    for label in (0, 65536):
        with pytest.raises(InputError, match=str(label)):
            check_labels([label])


def test_colours_are_distinct_and_stay() -> None:
    colors = label_colors(range(1, 31))
    assert len(set(colors.values())) == 30
    assert all(0 <= part <= 255 for rgba in colors.values() for part in rgba)
    assert label_colors([7])[7] == colors[7]


def test_properties_are_one_plain_row_a_cell() -> None:
    cells = pd.DataFrame(
        {"label": [4, 9], "status": ["segmented", "failed"], "volume": [1.5, np.nan]}
    )
    assert label_properties(cells, ["status", "volume", "other"]) == [
        {"label-value": 4, "status": "segmented", "volume": 1.5},
        {"label-value": 9, "status": "failed", "volume": None},
    ]


def test_a_nucleus_is_paler_than_its_cell_and_of_the_same_hue() -> None:
    for label in (1, 2, 17, 4000):
        cell, nucleus = (label_colors([label], pale=pale)[label] for pale in (False, True))
        hues = [colorsys.rgb_to_hsv(*(part / 255 for part in rgba[:3])) for rgba in (cell, nucleus)]
        assert hues[0][0] == pytest.approx(hues[1][0], abs=0.02)
        assert hues[1][1] < hues[0][1] - 0.2
