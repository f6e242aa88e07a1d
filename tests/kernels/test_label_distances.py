"""Least distances of labels, against all pairs of corners."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from hela_dask.kernels import label_distances
from hela_dask.kernels.label_distances import least_distances

VOXEL = (50.0, 40.0, 30.0)


def blocks(seed: int) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    labels = np.zeros((12, 30, 40), np.uint16)
    for label in (3, 4, 9, 500, 70, 8):
        low = [int(rng.integers(0, length - 4)) for length in labels.shape]
        high = [at + int(rng.integers(1, 9)) for at in low]
        labels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = label
    return labels


def all_pairs(labels: np.ndarray[Any, Any]) -> dict[tuple[int, int], float]:
    corners = {
        int(label): np.unique(
            np.concatenate(
                [
                    np.argwhere(labels == label) + corner
                    for corner in itertools.product((0, 1), repeat=3)
                ]
            ),
            axis=0,
        )
        * np.array(VOXEL)
        for label in np.unique(labels[labels > 0])
    }
    return {
        pair: float(cdist(*(corners[label] for label in pair)).min())
        for pair in itertools.combinations(sorted(corners), 2)
    }


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("most", [0, 2**20])
def test_the_least_of_all_pairs_of_corners(
    seed: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels, reach = blocks(seed), 400.0
    find = label_distances._near_pairs
    if most == 0:  # every pair is left to the tree

        def by_tree(*args: Any) -> Any:
            pairs, squares = find(*args)
            return pairs, np.full(len(squares), -(reach**2))

        monkeypatch.setattr(label_distances, "_near_pairs", by_tree)
    found = least_distances(labels, VOXEL, reach)
    expected = {pair: least for pair, least in all_pairs(labels).items() if least < reach}
    assert found.keys() == expected.keys()
    for pair, least in expected.items():
        assert found[pair] == pytest.approx(least, rel=1e-12)
