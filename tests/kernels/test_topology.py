"""Euler characteristic and handles of drawn masks."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.measure import euler_number

from hela_dask.kernels.topology import count_handles, euler_characteristic
from tests.shapes import torus

VOXEL = (50.0, 40.0, 40.0)


@pytest.mark.parametrize("share", [0.1, 0.4, 0.8])
def test_euler_characteristic_is_that_of_scikit_image(share: float) -> None:
    mask = np.random.default_rng(0).random((7, 8, 9)) < share
    assert euler_characteristic(mask) == euler_number(mask, connectivity=3)
    assert euler_characteristic(np.zeros((2, 3, 4), bool)) == 0


@pytest.mark.parametrize("seed", range(3))
def test_a_torus_has_one_handle_until_its_hole_is_too_narrow(seed: int) -> None:
    mask = torus(700.0, 300.0).draw(VOXEL, seed) > 0.5
    assert [count_handles(mask, VOXEL, width) for width in (0.0, 200.0, 550.0, 900.0)] == [
        1,
        1,
        1,
        0,
    ]


def test_pieces_cavities_and_pits_are_no_handles() -> None:
    mask = np.zeros((30, 40, 70), bool)
    mask[5:25, 5:35, 5:35] = mask[5:25, 5:35, 40:65] = True
    mask[12:18, 15:25, 15:25] = False  # a cavity
    mask[5:20, 15:25, 48:58] = False  # a pit
    assert count_handles(mask, VOXEL, 200.0) == 0
    mask[:, 15:25, 48:58] = False  # right through
    assert count_handles(mask, VOXEL, 200.0) == 1


def test_a_thin_bridge_over_a_hole_makes_no_handle() -> None:
    mask = np.zeros((30, 60, 60), bool)
    mask[5:25, 5:40, 5:55] = True
    mask[5:25, 20:40, 20:40] = False  # a bay
    mask[14, 39, 20:40] = True  # a bridge of one voxel across its mouth
    assert count_handles(mask, VOXEL, 0.0) == 1
    assert count_handles(mask, VOXEL, 200.0) == 0
