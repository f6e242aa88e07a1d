"""Chains of detections: linked, split at pinches, fragments merged."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hela_dask.kernels.chains import link_detections, merge_fragments, split_chains


def parts(*heights: float) -> list[int]:
    """How many slices each part of one straight chain gets, in the order of z."""
    count = len(heights)
    chain = split_chains(
        np.zeros(count, np.int64), np.zeros((count, 2)), np.array(heights, float), 0.8
    )
    changes = np.flatnonzero(np.diff(chain)) + 1
    return [int(length) for length in np.diff([0, *changes, count])]


@pytest.mark.parametrize(
    ("heights", "expected"),
    [
        ((3, 5, 6, 6, 5, 4, 2), [7]),  # a cell
        ((3, 5, 6, 5, 2, 5, 6, 4, 3), [5, 4]),  # one on another
        ((3, 5, 6, 4, 3, 3, 4, 6, 5), [5, 4]),
        ((6, 6, 6, 3, 6, 6, 6), [7]),  # a bad slice
        ((5, 5.5, 6, 5.3, 4, 5.2, 6, 5), [5, 3]),  # abrupt, but both go on rising
        ((2, 4, 5, 4, 2, 4, 5, 4, 2, 4, 5, 4, 2), [5, 4, 4]),  # three
        ((5, 4.5, 5, 4.4, 5), [5]),
        ((4,), [1]),
        ((4, 2), [2]),
    ],
)
def test_chains_are_parted_where_they_are_narrow(
    heights: tuple[float, ...], expected: list[int]
) -> None:
    assert parts(*heights) == expected
    assert sum(expected) == len(heights)


def test_the_narrow_slice_goes_to_the_nearer_side() -> None:
    heights = np.array([3.0, 6, 4, 2, 4, 6, 3]) * 1000
    places = np.zeros((7, 2))
    for beside, expected in ((0.0, [0, 0, 0, 0, 1, 1, 1]), (900.0, [0, 0, 0, 1, 1, 1, 1])):
        places[4:] = 1000.0
        places[3] = beside
        chain = split_chains(np.zeros(7, np.int64), places, heights, 0.8)
        assert chain.tolist() == expected


def test_other_chains_keep_their_numbers() -> None:
    chain = np.array([0, 1, 0, 1, 0, 1, 0, 1, 0, 1])
    heights = np.where(chain == 0, 4000.0, 0) + np.where(chain == 1, np.arange(10) % 6 * 1000, 0)
    split = split_chains(chain, np.zeros((10, 2)), heights, 0.8)
    np.testing.assert_array_equal(split[chain == 0], 0)


def pieces(
    *rows: tuple[int, int, float, float, float],
) -> tuple[NDArray[np.int64], list[NDArray[np.float64]]]:
    """Chain, depth, y, x and height (µm) of each detection, as the kernel takes them."""
    table = np.array(sorted(rows, key=lambda row: row[1]), dtype=float)
    found = [table[:, 1], 1000 * table[:, 2:4], 1000 * table[:, 4]]
    return table[:, 0].astype(np.int64), found


def test_pieces_of_a_cell_are_one_chain() -> None:
    # The highest place of a broad cell jumps from one of its ends to the other.
    chain, rest = pieces(
        *((0, z, 10.0, 10.0, 5.0) for z in range(6)), *((1, z, 10.0, 14.0, 4.0) for z in (6, 7))
    )
    assert merge_fragments(chain, *rest).tolist() == [0] * 6 + [1] * 2  # half is no majority
    chain, rest = pieces(
        *((0, z, 10.0, 10.0, 5.0) for z in range(6)), *((1, z, 10.0, 14.0, 4.0) for z in (5, 6, 7))
    )
    assert set(merge_fragments(chain, *rest)) == {0}


def test_a_neighbour_and_a_cell_on_top_stay_apart() -> None:
    chain, rest = pieces(
        *((0, z, 10.0, 10.0, 5.0) for z in range(6)),
        *((1, z, 10.0, 15.1, 4.0) for z in range(6)),
        *((2, z, 10.0, 10.0, 4.0) for z in range(6, 9)),
    )
    np.testing.assert_array_equal(merge_fragments(chain, *rest), chain)


def test_pieces_of_pieces_go_to_the_largest() -> None:
    chain, rest = pieces(
        *((0, z, 10.0, 10.0, 5.0) for z in range(6)),
        *((1, z, 10.0, 14.0, 4.0) for z in (5, 6)),
        *((2, z, 10.0, 17.0, 2.0) for z in (6,)),
    )
    rest[2][rest[2] == 4000.0] = [4500.0, 3000.0]
    assert set(merge_fragments(chain, *rest)) == {0}


def test_the_order_within_a_slice_decides_nothing() -> None:
    rng = np.random.default_rng(0)
    depths = np.repeat(np.arange(12.0), 6)
    places = rng.uniform(0, 30000, (72, 2))
    heights = rng.uniform(1000, 5000, 72)

    def groups(order: NDArray[np.int64]) -> set[frozenset[int]]:
        chain = link_detections(
            depths[order], places[order], heights[order], distance=3000.0, gap=1
        )
        chain = merge_fragments(chain, depths[order], places[order], heights[order])
        return {frozenset(order[chain == number].tolist()) for number in np.unique(chain)}

    expected = groups(np.arange(72))
    order = np.lexsort((rng.random(72), depths))
    assert groups(order) == expected
    assert 1 < len(expected) < 72
