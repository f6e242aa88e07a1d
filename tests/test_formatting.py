"""Numbers and names as text."""

from __future__ import annotations

import pytest

from hela_dask.formatting import by_axis, listed, swapped_axes


def test_names_are_listed_with_the_number_of_those_left_out() -> None:
    assert listed([]) == "" and listed(["a"]) == "a" and listed(["a", "b"]) == "a and b"
    assert listed(["a", "b", "c", "d"], 3) == "a, b, c and 1 more"
    assert listed(["a, b", "c", "d"], separator="; ") == "a, b; c and d"


def test_an_unknown_length_has_a_question_mark() -> None:
    assert by_axis((518, 8192, None)) == "518 x 8192 x ?"


@pytest.mark.parametrize(
    ("shape", "wanted", "order"),
    [
        ((768, 700, 200), (200, 700, 768), "x, y, z"),
        ((700, 200, 768), (200, 700, 768), "y, z, x"),
        ((768, 768, 200), (200, 768, 768), "x, y, z"),
        ((8, 6), (6, 8), "x, y"),
        ((200, 700, 768), (200, 700, 768), None),
        ((200, 700, 767), (200, 700, 768), None),
    ],
)
def test_a_shape_with_swapped_axes_is_recognised(
    shape: tuple[int, ...], wanted: tuple[int, ...], order: str | None
) -> None:
    hint = swapped_axes(shape, wanted)
    assert (f"in the order {order}; transpose the array to " in hint) if order else not hint
