"""A cell split at points: which parts, which voxels, and that no nucleus is cut."""

from __future__ import annotations

import numpy as np
import pytest

from hela_dask.kernels.splitting import nearest_parts, reduce_mask, split_mask

VOXEL = (50.0, 40.0, 40.0)


def dumbbell() -> np.ndarray:
    """Two cubes of 9 voxels along x, joined by a bridge of 3 x 3 x 4 voxels."""
    cell = np.zeros((11, 11, 26), bool)
    cell[1:10, 1:10, 1:10] = cell[1:10, 1:10, 16:25] = True
    cell[4:7, 4:7, 10:16] = True
    return cell


def test_two_lobes_are_split_in_their_bridge() -> None:
    cell = dumbbell()
    parts, whole, lost = split_mask(cell, np.zeros_like(cell), [(5, 5, 3), (2, 2, 20)], VOXEL)
    assert lost == [] and not whole.any()
    np.testing.assert_array_equal(parts > 0, cell)
    assert (parts[:, :, :10][cell[:, :, :10]] == 1).all()
    assert (parts[:, :, 16:][cell[:, :, 16:]] == 2).all()
    other, _, _ = split_mask(cell, np.zeros_like(cell), [(2, 2, 20), (5, 5, 3)], VOXEL)
    assert (other[:, :, :10][cell[:, :, :10]] == 2).all()


def test_pieces_of_nucleus_are_never_cut() -> None:
    """A block in which the distance has one summit, with two flat nuclei, one across the middle."""
    cell = np.zeros((9, 20, 20), bool)
    cell[1:8, 1:19, 1:19] = True
    nucleus = np.zeros_like(cell)
    nucleus[3:6, 3:5, 3:17] = nucleus[3:6, 7:17, 3:17] = True  # the second holds the middle
    nucleus[3:6, 5, 3] = False
    parts, whole, lost = split_mask(cell, nucleus, [(4, 3, 10), (4, 15, 10)], VOXEL)
    assert lost == []
    np.testing.assert_array_equal(whole, nucleus)
    assert (parts[3:6, 3:5, 3:17] == 1).all() and (parts[3:6, 7:17, 3:17] == 2).all()


def test_a_piece_without_a_point_goes_whole_to_one_part() -> None:
    cell = dumbbell()
    nucleus = np.zeros_like(cell)
    nucleus[5, 5, 2:12] = True  # from the first lobe into the bridge
    nucleus[5, 7, 20:23] = True
    nucleus[2, 2, 4] = True
    parts, whole, _ = split_mask(cell, nucleus, [(2, 2, 4), (5, 7, 21)], VOXEL)
    assert (parts[5, 5, 2:12] == 1).all() and whole[5, 5, 2:12].all()


def test_points_in_one_piece_cut_it() -> None:
    cell = dumbbell()
    nucleus = np.zeros_like(cell)
    nucleus[5, 5, 3:23] = True
    parts, whole, _ = split_mask(cell, nucleus, [(5, 5, 4), (5, 5, 21)], VOXEL)
    assert not whole.any()
    assert parts[5, 5, 4] == 1 and parts[5, 5, 21] == 2


def test_voxels_that_no_seed_reaches_go_to_the_nearest_part() -> None:
    cell = dumbbell()
    cell[5, 0, 2] = False
    cell[0, 0, 25] = True  # touches nothing
    parts, _, _ = split_mask(cell, np.zeros_like(cell), [(5, 5, 3), (5, 5, 20)], VOXEL)
    assert parts[0, 0, 25] == 2


@pytest.mark.parametrize(
    ("points", "lost"),
    [
        ([(5, 5, 3), (5, 5, 12)], []),
        ([(5, 5, 3), (0, 5, 20)], []),  # beside the cell
        ([(5, 5, 3), (0, 0, 13)], [1]),
        ([(0, 0, 13), (5, 5, 3)], [0]),
        ([(5, 5, 3), (5, 5, 3)], [1]),
        ([(5, 5, 3), (5, 5, 20), (40, 5, 3)], [2]),
        ([(5, 5, 3), (-3, 5, 3)], [1]),
    ],
)
def test_points_outside_the_cell_are_named(
    points: list[tuple[int, int, int]], lost: list[int]
) -> None:
    cell = dumbbell()
    assert split_mask(cell, np.zeros_like(cell), points, VOXEL)[2] == lost


def test_masks_on_coarser_voxels() -> None:
    mask = np.zeros((5, 4, 4), bool)
    mask[0:2, 0:2, 0:2] = mask[4, 3, 3] = True
    some, every = reduce_mask(mask, (2, 2, 2)), reduce_mask(mask, (2, 2, 2), every=True)
    assert some.shape == every.shape == (3, 2, 2)
    assert np.argwhere(some).tolist() == [[0, 0, 0], [2, 1, 1]]
    assert np.argwhere(every).tolist() == [[0, 0, 0]]
    assert reduce_mask(mask, (1, 1, 1)) is mask


def test_the_nearest_part_counts_in_nm() -> None:
    parts = np.zeros((5, 1, 5), np.uint8)
    parts[0, 0, 0], parts[2, 0, 4] = 1, 2
    assert nearest_parts(parts, (10.0, 1.0, 1.0))[0, 0, 4] == 1
    assert nearest_parts(parts, (1.0, 1.0, 1.0))[0, 0, 4] == 2
    assert not nearest_parts(np.zeros_like(parts), VOXEL).any()
