"""Steps of a part of a window are kept where they belong in it."""

from __future__ import annotations

import numpy as np

from hela_dask.box import Box
from hela_dask.trace import NO_TRACE, Trace


def test_steps_of_a_part_are_kept_on_planes_of_the_window() -> None:
    trace = Trace(1, 4, 9)
    part = trace.within(Box.of([(3, 6), (2, 4), (1, 4)]), (10, 6, 5))
    data = np.arange(18).reshape(3, 2, 3) + 1
    part.show("all", lambda z: f"Slice {z}.", data)
    part.show("one", "One.", data[1], 1, unit="nm")
    part.show("called", "Called.", lambda z: data[z])
    part.show("ignored", "Ignored.", data[2], 2)
    assert trace.steps[1] == trace.steps[9] == []
    first, second, third = trace.steps[4]
    assert (first.title, first.caption) == ("all", "Slice 1.")
    for step in (first, second, third):
        assert step.plane.shape == (6, 5)
        np.testing.assert_array_equal(step.plane[2:4, 1:4], data[1])
        assert step.plane.sum() == data[1].sum()


def test_nothing_is_kept_of_a_part_of_nothing() -> None:
    part = NO_TRACE.within(Box.of([(0, 2), (0, 2), (0, 2)]), (4, 4, 4))
    part.show("all", "All.", np.zeros((2, 2, 2)))
    assert part.steps == NO_TRACE.steps == {}
