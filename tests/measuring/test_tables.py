"""Objects that one task measures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hela_dask.evaluation.instances import InstanceLabels
from hela_dask.measuring.tables import group_objects, voxels_read

SHAPE = (400, 2000, 2000)


def drawn(count: int, side: int) -> NDArray[np.int64]:
    """Rows of counts of cubes at random places."""
    low = np.random.default_rng(0).integers(0, np.array(SHAPE) - side, (count, 3))
    rows = np.zeros((count, 12), np.int64)
    rows[:, 0], rows[:, 2] = np.arange(count) + 5, side**3
    rows[:, 6::2], rows[:, 7::2] = low, low + side
    return rows


def opened(planes: bool) -> InstanceLabels:
    stored = (1, *SHAPE[1:]) if planes else (32, 128, 128)
    return InstanceLabels(Path("o"), "", SHAPE, np.dtype(np.uint16), stored, planes)


@pytest.mark.parametrize(("planes", "most"), [(False, 800), (True, 60)])
def test_ten_thousand_small_objects_are_a_few_hundred_tasks(planes: bool, most: int) -> None:
    counts, labels = drawn(10_000, 10), opened(planes)
    groups = list(group_objects(counts, labels))
    assert sorted(label for group in groups for label in group.labels) == counts[:, 0].tolist()
    assert len(groups) <= most
    for group in groups:
        limit = 2**27 if planes else 2**22
        assert len(group.labels) <= 256
        assert voxels_read(list(group.box.shape), labels) <= limit
        for label, box in zip(group.labels, group.boxes, strict=True):
            assert box.pairs == counts[label - 5, 6:].reshape(3, 2).tolist()


def test_large_objects_are_tasks_alone() -> None:
    groups = list(group_objects(drawn(30, 170), opened(planes=False)))
    assert [len(group.labels) for group in groups] == [1] * 30
