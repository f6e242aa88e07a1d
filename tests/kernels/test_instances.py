"""Nuclei of drawn regions: which piece, and the fusion of two sources."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.instances import (
    fuse_with_membranes,
    nearest_piece,
    nucleus_pieces,
    subsample,
    upsample,
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
