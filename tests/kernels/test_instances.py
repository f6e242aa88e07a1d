"""Nuclei and cells of drawn regions: which piece, whose tissue, what hangs on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.instances import (
    drop_small_pieces,
    fuse_with_membranes,
    largest_piece_slice,
    nearest_piece,
    nucleus_pieces,
    subsample,
    upsample,
    watershed_cells,
)

VOXEL = (50.0, 40.0, 40.0)
SHAPE = (12, 80, 160)


def ball(
    centre: tuple[float, ...], radius: float, shape: tuple[int, ...] = SHAPE
) -> NDArray[np.bool_]:
    """All within a radius (nm) of a centre (nm)."""
    places = np.indices(shape) * np.reshape(VOXEL, (3, 1, 1, 1))
    away: NDArray[np.bool_] = ((places - np.reshape(centre, (3, 1, 1, 1))) ** 2).sum(
        axis=0
    ) <= radius**2
    return away


LEFT, RIGHT = ball((300, 1600, 1600), 1000), ball((300, 1600, 4400), 1000)


def test_touching_nuclei_are_two_and_specks_are_none() -> None:
    nuclei = LEFT | RIGHT
    nuclei[6, 38:42, 60:95] = True  # a bridge of 160 nm
    nuclei[2, 5:8, 5:8] = True
    pieces = nucleus_pieces(nuclei, 80.0, 0.5, VOXEL, (1, 1, 1))
    assert pieces.max() == 2
    assert pieces[6, 40, 40] == 1
    assert pieces[6, 40, 110] == 2
    assert pieces[2, 6, 6] == 0
    np.testing.assert_array_equal(pieces > 0, nuclei & (pieces > 0))
    assert (pieces > 0)[LEFT | RIGHT].all()
    wide = nucleus_pieces(nuclei, 40.0, 0.5, VOXEL, (1, 1, 1))
    assert wide.max() == 1  # the bridge is wider than that neck
    assert nucleus_pieces(nuclei, 80.0, 50.0, VOXEL, (1, 1, 1)).max() == 0
    coarse = nucleus_pieces(nuclei, 80.0, 0.5, VOXEL, (2, 2, 2))
    agree = coarse == subsample(pieces, (2, 2, 2))
    assert agree.mean() > 0.99
    assert (upsample(coarse, 7, SHAPE[1:], (2, 2, 2)) == pieces[7]).mean() > 0.97


def test_the_nearest_piece_is_that_of_the_nearest_voxel() -> None:
    pieces = np.where(LEFT, 1, np.where(RIGHT, 2, 0)).astype(np.int32)
    assert nearest_piece(pieces, (6, 40, 45), VOXEL, 5000.0) == 1
    assert nearest_piece(pieces, (6, 40, 80), VOXEL, 5000.0) == 2
    assert nearest_piece(pieces, (6, 40, 74), VOXEL, 300.0) == 0
    assert nearest_piece(np.zeros_like(pieces), (6, 40, 40), VOXEL, 5000.0) == 0
    pieces[0, 0, 0] = 3
    assert nearest_piece(pieces, (0, 0, 0), VOXEL, 5000.0) == 3


def test_a_small_piece_is_no_nucleus_unless_a_side_cuts_it() -> None:
    pieces = np.where(LEFT, 1, 0).astype(np.int32)
    pieces[5:8, 38:42, 100:104] = 2  # whole, and small
    pieces[5:8, :4, 100:104] = 3  # as small, but cut
    pieces[ball((300, 1600, 5200), 240)] = 4  # whole, and some times as large
    kept = drop_small_pieces(pieces, 1, 0.02)
    assert np.unique(kept).tolist() == [0, 1, 3, 4]
    np.testing.assert_array_equal(kept, np.where(pieces == 2, 0, pieces))
    np.testing.assert_array_equal(drop_small_pieces(pieces, 2, 0.02), pieces)
    assert np.unique(drop_small_pieces(pieces, 1, 0.1)).tolist() == [0, 1, 3]


def test_tissue_goes_to_its_nucleus_up_to_the_contact() -> None:
    tissue = np.zeros(SHAPE, dtype=bool)
    tissue[:, 10:70, 5:155] = True
    cost = np.full(SHAPE, 100, np.uint8)
    cost[:, :, 70] = 255  # not in the middle: the contact decides, not the distance
    seeds = np.where(LEFT, 1, np.where(RIGHT, 2, 0)).astype(np.int32)
    shares = watershed_cells(tissue, cost, seeds, 400.0, VOXEL)
    assert (shares[:, 10:70, 5:70] == 1).all()
    assert (shares[:, 10:70, 71:155] == 2).all()
    np.testing.assert_array_equal(shares > 0, tissue)


def test_cells_without_a_nucleus_in_view_come_from_the_sides() -> None:
    tissue = np.ones(SHAPE, dtype=bool)
    cost = np.full(SHAPE, 100, np.uint8)
    cost[:, :, 90] = 255
    seeds = LEFT.astype(np.int32)
    tissue[:, :, 0:3] = tissue[:, 0:3] = tissue[:, -3:] = False
    shares = watershed_cells(tissue, cost, seeds, 400.0, VOXEL)
    assert (shares[:, 5:75, 91:] == 2).all()
    assert (shares[:, 5:75, 5:90] == 1).all()
    subsample = watershed_cells(tissue, cost, seeds, 4000.0, VOXEL)
    assert subsample.max() == 1  # nothing at the sides is so deep


def test_a_slice_keeps_the_piece_with_the_nucleus_and_no_bleb_on_a_neck() -> None:
    mask = np.zeros((60, 120), dtype=bool)
    mask[10:50, 5:35] = True
    mask[28:30, 35:50] = True  # a neck of 80 nm
    mask[5:55, 50:110] = True  # larger, but without the nucleus
    nucleus = np.zeros_like(mask)
    nucleus[20:40, 10:25] = True
    own = largest_piece_slice(mask, nucleus, 80.0, (40.0, 40.0))
    assert own[10:50, 5:35].sum() > 0.98 * 40 * 30
    assert not own[:, 40:].any()
    largest = largest_piece_slice(mask, np.zeros_like(mask), 80.0, (40.0, 40.0))
    assert largest[30, 80]
    assert not largest[30, 20]
    assert not largest_piece_slice(np.zeros_like(mask), nucleus, 80.0, (40.0, 40.0)).any()


def test_a_network_is_fused_with_the_membranes_outline() -> None:
    outline = np.zeros((40, 40), dtype=bool)
    outline[10:30, 10:30] = True
    rows = np.full((40, 40), 26, np.uint8)  # log odds of -2.1, not for a nucleus
    # One pixel inside is not enough at this weight, two are.
    found = fuse_with_membranes(rows, outline, outline, 1.0, (40.0, 40.0))
    assert found[11:29, 11:29].all()
    assert found.sum() == 18 * 18
    np.testing.assert_array_equal(
        fuse_with_membranes(rows, outline, outline, 3.0, (40.0, 40.0)), outline
    )
    # Pixels half as large: as far in nm.
    finer = fuse_with_membranes(rows, outline, outline, 1.0, (20.0, 20.0))
    assert finer.sum() == 14 * 14
    certain = np.full((40, 40), 255, np.uint8)
    near = fuse_with_membranes(certain, outline, outline, 1.0, (40.0, 40.0))
    assert near[6:34, 20].all()  # 160 nm around it, whatever the network says
    assert near[:, 20].sum() == 28
    # From 80 nm on it is all the same how far outside: a certain network fills a wide gap.
    assert not fuse_with_membranes(certain, outline, outline, 3.0, (40.0, 40.0))[:9].any()
    gap = outline.copy()
    gap[14:26, 14:26] = False
    assert fuse_with_membranes(certain, gap, outline, 1.5, (40.0, 40.0))[10:30, 10:30].all()
    nothing = np.zeros((40, 40), np.uint8)
    assert not fuse_with_membranes(nothing, outline, outline, 1.0, (40.0, 40.0)).any()


def test_a_network_that_is_not_trusted_adds_and_takes_nothing_away() -> None:
    outline = np.zeros((40, 40), dtype=bool)
    outline[10:30, 10:30] = True
    probability = np.zeros((40, 40), np.uint8)
    probability[30:34, 10:20] = 255
    found = fuse_with_membranes(probability, outline, outline, 1.5, (40.0, 40.0), trusted=False)
    np.testing.assert_array_equal(found, outline | (probability > 0))
    probability[probability > 0] = 200  # less sure than outside by 80 nm takes
    found = fuse_with_membranes(probability, outline, outline, 1.5, (40.0, 40.0), trusted=False)
    assert found[30, 10:20].all() and not found[31:].any()
