"""A box indexes an array as its slices do, and moves, grows and meets others as sets of voxels."""

from __future__ import annotations

import pickle

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hela_dask.box import Box

SHAPE = (7, 9)

ends = st.integers(-4, 14)
boxes = st.lists(st.tuples(ends, ends).map(sorted), min_size=2, max_size=2).map(Box.of)
steps = st.tuples(st.integers(1, 4), st.integers(1, 4))
moves = st.tuples(st.integers(-5, 5), st.integers(-5, 5))


def voxels(box: Box) -> set[tuple[int, ...]]:
    rows, columns = (range(part.start, part.stop) for part in box)
    return {(y, x) for y in rows for x in columns}


@given(boxes, boxes)
def test_two_boxes_share_the_voxels_that_both_hold(one: Box, other: Box) -> None:
    shared = one & other
    assert voxels(shared) == voxels(one) & voxels(other)
    assert shared.empty == (not voxels(shared))
    assert all(one.holds(at) and other.holds(at) for at in voxels(shared))


@given(boxes)
def test_a_clipped_box_indexes_the_voxels_inside_the_array(box: Box) -> None:
    array = np.zeros(SHAPE, int)
    array[box.clip(SHAPE)] = 1
    inside = voxels(box) & voxels(Box.whole(SHAPE))
    assert set(zip(*map(np.ndarray.tolist, np.nonzero(array)), strict=True)) == inside
    assert array[box.clip(SHAPE)].shape == box.clip(SHAPE).shape


@given(boxes, moves, st.integers(0, 3))
def test_shifts_and_growth_are_undone(box: Box, by: tuple[int, int], more: int) -> None:
    assert box.shift(by).relative_to(by) == box
    assert box.relative_to(box).low == (0, 0)
    assert box.grow(more).grow(-more) == box
    assert voxels(box) <= voxels(box.grow(more)) and box.grow((more, more)) == box.grow(more)
    assert box.voxel(box.low) == (0, 0)


@given(boxes, steps)
def test_coarse_voxels_are_those_that_hold_the_fine_ones(box: Box, by: tuple[int, int]) -> None:
    expected = {tuple(n // f for n, f in zip(at, by, strict=True)) for at in voxels(box)}
    assert expected == (voxels(box.coarsen(by)) if expected else set())
    assert box.scale(by).coarsen(by) == box
    assert voxels(box) <= voxels(box.coarsen(by).scale(by))


@given(boxes)
def test_a_box_is_a_value(box: Box) -> None:
    again = Box.of(box.pairs)
    assert again == box == pickle.loads(pickle.dumps(box)) and hash(again) == hash(box)
    assert isinstance(pickle.loads(pickle.dumps(box)), Box)
    assert Box.at(box.low, box.shape) == box


@given(boxes, steps)
def test_chunks_part_a_box_along_a_grid(box: Box, sides: tuple[int, int]) -> None:
    seen: set[tuple[int, ...]] = set()
    for place, part in box.chunks(sides):
        assert not part.empty and {part.coarsen(sides).low} == {place}
        assert part.coarsen(sides).shape == (1, 1) and not seen & voxels(part)
        seen |= voxels(part)
    assert seen == voxels(box)
