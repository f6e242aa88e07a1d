"""Strips of dots: any name of a group, a single cell, the same bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.image import imread

from hela_dask.figures import strips
from hela_dask.figures.strips import draw_strips


def test_strips_are_drawn_for_any_group(tmp_path: Path) -> None:
    groups = {
        r"$\frac{a}$": [np.array([3.0])],
        "many volumes\nwith a name that is too long": [np.arange(5.0) + k for k in range(20)],
        "": [np.zeros(4)],
    }
    first, second = (
        draw_strips(groups, tmp_path / f"{k}.png", label="volume, µm³", width=500) for k in "ab"
    )
    assert first.read_bytes() == second.read_bytes()
    assert imread(first).shape[:2] == (630, 1340)
    one, other = (path.with_suffix(".svg").read_text() for path in (first, second))
    assert one == other
    assert ">volume, µm³<" in one and "n = 4 cells, 1 volume" in one


def test_the_marks_are_explained_and_volumes_have_different_shapes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(strips, "save", lambda figure, path, *_: drawn.append(figure))
    draw_strips({"a": [np.arange(9.0), np.arange(8.0), np.zeros(0)]}, "x.png", label="v")
    (axes,) = drawn[0].axes
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text().split()[:2] for text in legend.get_texts()] == [
        ["a", "cell"], ["a", "volume:"], ["a", "group:"], ["a", "group:"],
    ]  # fmt: skip
    dots = [item for item in axes.collections if isinstance(item, PathCollection)]
    first, second = (np.asarray(dot.get_paths()[0].vertices) for dot in dots)
    assert first.shape != second.shape
    assert min(dot.get_sizes()[0] for dot in dots) >= 36
    assert [text.get_text() for text in axes.texts] == ["1", "2"]
    assert axes.get_xticklabels()[0].get_text() == "a\nn = 17 cells, 2 volumes"


def test_each_cell_is_a_dot_and_each_volume_a_strip(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(strips, "save", lambda figure, path, *_: drawn.append(figure))
    draw_strips(
        {"a": [np.array([3.0, 1.0]), np.array([5.0])], "b": [np.array([2.0])]}, "x.png", label="v"
    )
    (axes,) = drawn[0].axes
    dots = [
        np.asarray(item.get_offsets())
        for item in axes.collections
        if isinstance(item, PathCollection)
    ]
    assert [sorted(dot[:, 1]) for dot in dots] == [[1.0, 3.0], [5.0], [2.0]]
    # The strips of a group are side by side, within its place.
    left, right, other = (dot[:, 0] for dot in dots)
    assert -0.5 < left.min() < left.max() < right.min() < 0.5 < other.min()
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "a\nn = 3 cells, 2 volumes",
        "b\nn = 1 cell, 1 volume",
    ]
