"""Parts of planes in the order of a plan: the image's values, each chunk read once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.volume.planned_reads import (
    PlannedReads,
    Wanted,
    chunk_part,
    chunks_around,
    whole_box,
)

_SHAPE = (61, 83)
_IMAGE = np.random.default_rng(0).integers(1, 255, (3, *_SHAPE)).astype(np.uint8)

chunks = st.tuples(st.integers(5, 70), st.integers(5, 90))


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    ends = [sorted(draw(st.sets(st.integers(0, n), min_size=2, max_size=2))) for n in _SHAPE]
    return Box.of(ends)


class Reader:
    """Counts how often each pixel's chunk is read."""

    def __init__(self, chunk: Sequence[int]) -> None:
        self.chunk, self.times, self.calls = chunk, Counter[tuple[int, ...]](), 0

    def __call__(self, rows: slice, columns: slice) -> NDArray[Any]:
        self.calls += 1
        self.times.update(place for place, _ in Box((rows, columns)).chunks(self.chunk))
        return _IMAGE[:, rows, columns]


@settings(max_examples=60, deadline=None)
@given(st.lists(boxes(), min_size=1, max_size=8), chunks)
def test_parts_are_those_of_the_image_and_each_chunk_is_read_once(
    parts: list[Box], chunk: tuple[int, int]
) -> None:
    read = Reader(chunk)
    plan = [whole_box(box, chunk) for box in parts]
    reads = PlannedReads(read, plan, chunk, _SHAPE)
    for box in parts:
        np.testing.assert_array_equal(reads.take(), _IMAGE[:, *box])
    assert set(read.times.values()) == {1}
    assert not reads.kept, "nothing is held after the last part"


@settings(max_examples=60, deadline=None)
@given(st.lists(boxes(), min_size=1, max_size=8), chunks, st.integers(0, 6000))
def test_what_is_held_has_a_limit_and_the_values_are_the_same(
    parts: list[Box], chunk: tuple[int, int], budget: int
) -> None:
    reads = PlannedReads(
        Reader(chunk), [whole_box(box, chunk) for box in parts], chunk, _SHAPE, budget
    )
    for box in parts:
        np.testing.assert_array_equal(reads.take(), _IMAGE[:, *box])
        assert sum(kept.data.nbytes for kept in reads.kept.values()) <= budget


@settings(max_examples=60, deadline=None)
@given(boxes(), chunks, st.tuples(st.integers(1, 12), st.integers(1, 12)), st.data())
def test_chunks_of_needed_squares_are_read_and_no_others(
    box: Box, chunk: tuple[int, int], side: tuple[int, int], data: st.DataObject
) -> None:
    halo = data.draw(st.tuples(st.integers(0, 9), st.integers(0, 9)))
    grid = box.relative_to(box.low).coarsen(side).shape
    number = data.draw(st.integers(0, 2**16))
    squares = np.random.default_rng(number).random(grid) < 0.1
    needed = np.zeros(_SHAPE, bool)
    for place in zip(*np.nonzero(squares), strict=True):
        square = Box.at(place, (1, 1)).scale(side).shift(box.low) & box
        needed[square.grow(halo).clip(_SHAPE)] = True
    places = chunks_around(squares, side, box, halo, chunk, _SHAPE)
    with_some = {place for place, part in Box.whole(_SHAPE).chunks(chunk) if needed[part].any()}
    assert places == with_some
    outer = box.grow(halo).clip(_SHAPE)
    if places:
        read = Reader(chunk)
        part = PlannedReads(read, [Wanted(outer, places)], chunk, _SHAPE).take()
        where = needed[outer]
        np.testing.assert_array_equal(part[:, where], _IMAGE[:, *outer][:, where])
        assert set(read.times) == places


def test_chunks_beside_one_another_are_read_in_one_go() -> None:
    chunk = (10, 10)
    read = Reader(chunk)
    plan = [
        whole_box(Box.of([(0, 61), (0, 83)]), chunk),
        whole_box(Box.of([(5, 6), (5, 6)]), chunk),
    ]
    reads = PlannedReads(read, plan, chunk, _SHAPE)
    reads.take()
    reads.take()
    assert read.calls == 1


@pytest.mark.parametrize(
    ("chunk", "size", "part"),
    [
        ((512, 512), 16, (512, 512)),
        ((4096, 4096), 16, (1024, 1024)),
        ((16384, 16384), 32, (512, 1024)),
        ((3000, 1), 2**20, (12, 1)),
        ((1, 1), 2**30, (1, 1)),
    ],
)
def test_large_chunks_are_read_in_parts(
    chunk: tuple[int, int], size: int, part: tuple[int, int]
) -> None:
    assert chunk_part(chunk, size) == part


def test_planes_that_are_one_chunk_are_not_held_as_a_whole() -> None:
    shape, depth, largest = (4096, 4096), 8, 0

    def read(rows: slice, columns: slice) -> NDArray[Any]:
        nonlocal largest
        part = np.zeros((depth, rows.stop - rows.start, columns.stop - columns.start), np.uint8)
        largest = max(largest, part.nbytes)
        return part

    tiles = [box for _, box in Box.whole(shape).chunks((512, 512))]
    chunk = chunk_part(shape, depth)
    plan = [whole_box(tile.grow(13).clip(shape), chunk) for tile in tiles]
    reads = PlannedReads(read, plan, chunk, shape)
    for _ in tiles:
        reads.take()
        assert sum(kept.data.nbytes for kept in reads.kept.values()) <= 64 * 2**20
    assert largest < 80 * 2**20 < depth * 4096 * 4096
