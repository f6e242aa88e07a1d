"""Tables of contacts: units, thin pixels, and slabs in any order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hela_dask.parameters import MeasureParameters
from hela_dask.steps.contacts import (
    combine_contacts,
    contacts_halo,
    contacts_of_slab,
    contacts_table,
    find_contacts,
)
from hela_dask.types import Triple

VOXEL = (50.0, 40.0, 40.0)


def drawn(voxel: Triple = VOXEL) -> np.ndarray:
    """A ball of radius 1000 nm of labels 2 and 5, and label 1, 400 nm in y beside it."""
    places = [np.arange(-1200, 1200, size) + size / 2 for size in voxel]
    z, y, x = np.meshgrid(*places, indexing="ij")
    inside = z**2 + y**2 + x**2 < 1000**2
    labels = np.pad(
        np.where(inside, np.where(x + z > 0, 5, 2), 0), [(0, 0), (0, len(y[0])), (0, 0)]
    )
    labels[:, round(2600 / voxel[1]) :] = 1
    return labels.astype(np.uint16)


@pytest.mark.parametrize("voxel", [VOXEL, (50.0, 10.0, 10.0), (100.0, 20.0, 20.0)])
def test_areas_and_distances(voxel: Triple) -> None:
    table = find_contacts(drawn(voxel), voxel).set_index(["label", "other"])
    assert table.index.tolist() == [(1, 2), (1, 5), (2, 5)]
    assert table["contact_area"].loc[2, 5] == pytest.approx(np.pi, rel=0.02)
    assert table["contact_area"].loc[1].tolist() == [0, 0]
    assert table["distance"].loc[2, 5] == 0
    assert table["distance"].loc[1].tolist() == pytest.approx([400.0, 400.0], abs=50.0)


@pytest.mark.parametrize("depth", [3, 20])
def test_slabs_in_any_order_add_up_to_the_same(depth: int) -> None:
    labels, p = drawn(), MeasureParameters()
    halo, parts = contacts_halo(VOXEL, p), []
    for first in range(0, len(labels), depth):
        last = min(len(labels), first + depth)
        low, high = max(0, first - halo), min(len(labels), last + halo)
        parts.append(contacts_of_slab(labels[low:high], VOXEL, first - low, high - last, p))
    together = contacts_table(combine_contacts(parts[::-1]))
    pd.testing.assert_frame_equal(together, find_contacts(labels, VOXEL), check_exact=True)


def test_no_cells_have_no_contacts() -> None:
    table = find_contacts(np.zeros((4, 5, 6), np.uint8), VOXEL)
    assert list(table) == ["label", "other", "contact_area", "distance"]
    assert not len(table)
    far = np.zeros((4, 5, 100), np.uint8)
    far[..., 0], far[..., 99] = 1, 2
    assert not len(find_contacts(far, VOXEL))
