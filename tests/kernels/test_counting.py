"""Counts along runs are those of a plain comparison."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from hela_dask.kernels.counting import count_labels


@pytest.mark.parametrize("width", [1, 63, 64, 65, 200])
def test_counts_and_extents_are_those_of_numpy(width: int) -> None:
    random = np.random.default_rng(width)
    labels = np.repeat(random.integers(0, 4, (3, 5, width)), 23, axis=2)[..., :width]
    labels[0, 0] = 2  # one run
    found = np.zeros((4, 7), np.int64)
    found[:, 1::2] = 10**6
    count_labels(labels.astype(np.uint16), found)
    np.testing.assert_array_equal(found[1:, 0], np.bincount(labels.ravel(), minlength=4)[1:])
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            ends = [side for part in box for side in (part.start, part.stop)]
            assert found[label, 1:].tolist() == ends
