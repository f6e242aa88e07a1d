"""Cells and boxes on the command line."""

from __future__ import annotations

import pytest

from hela_dask.cli.options import parse_box, parse_cells
from hela_dask.errors import ParameterError


@pytest.mark.parametrize("text", ["0", "-1", "", "a", "3,,8", "1.5"])
def test_cells_are_whole_numbers_from_1(text: str) -> None:
    with pytest.raises(ParameterError, match="--cells"):
        parse_cells(text)


@pytest.mark.parametrize("text", ["", "0:1", "0:1,0:1", "1:0,0:1,0:1", "0:1,0:1,0:nan", "a,b,c"])
def test_a_box_is_three_rising_ranges(text: str) -> None:
    with pytest.raises(ParameterError, match="--box"):
        parse_box(text)


def test_cells_and_box_are_read() -> None:
    assert parse_cells(None) is None
    assert parse_cells(" 3, 8") == [3, 8]
    assert parse_box(None) is None
    assert parse_box("0:1,2:3.5,-1:1e4") == ((0, 1), (2, 3.5), (-1, 10000))
