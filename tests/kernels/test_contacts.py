"""Contacts of drawn cells: their length, and the boundary across them."""

from __future__ import annotations

import numpy as np
import pytest

from hela_dask.kernels.contacts import measure_contacts

PIXEL = (40.0, 20.0)


def test_a_contact_has_its_length_and_its_boundary() -> None:
    cells = np.zeros((12, 20), np.uint16)
    cells[2:10, 2:10], cells[2:10, 10:18] = 7, 3
    boundary = np.zeros(cells.shape, np.uint8)
    boundary[2:6, 12] = 255  # 40 nm beside the line, along half of it
    boundary[8, 17] = 255  # 150 nm away
    found = measure_contacts(cells, boundary, PIXEL)
    assert list(found) == [(3, 7)]
    np.testing.assert_allclose(found[3, 7], [8 * 40.0, 4 * 40.0])


def test_the_order_of_axes_and_labels_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    cells = np.kron(rng.integers(0, 4, (5, 6)), np.ones((4, 4), int)).astype(np.uint16)
    boundary = rng.integers(0, 256, cells.shape).astype(np.uint8)
    found = measure_contacts(cells, boundary, PIXEL)
    turned = measure_contacts(cells.T, boundary.T, PIXEL[::-1])
    flipped = measure_contacts(cells[::-1, ::-1], boundary[::-1, ::-1], PIXEL)
    assert set(found) == set(turned) == set(flipped)
    assert all(low < high for low, high in found)
    for pair, values in found.items():
        np.testing.assert_allclose(turned[pair], values)
        np.testing.assert_allclose(flipped[pair], values)


@pytest.mark.parametrize("cells", [np.zeros((4, 4), np.uint16), np.ones((4, 4), np.uint16)])
def test_one_cell_touches_nothing(cells: np.ndarray[tuple[int, int], np.dtype[np.uint16]]) -> None:
    assert measure_contacts(cells, np.full(cells.shape, 255, np.uint8), PIXEL) == {}
