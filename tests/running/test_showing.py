"""Plots of the result of a run: the slice, the cells, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection, PathCollection
from matplotlib.figure import Figure

import hela_dask as hd
from hela_dask.errors import InputError, MissingInputError, ParameterError
from tests.scenes import BALLS, SHAPE, VOXEL


@pytest.fixture
def ax() -> Iterator[Axes]:
    yield Figure().add_subplot()


def test_a_slice_has_the_grey_values_and_the_outlines(known: hd.RunResult, ax: Axes) -> None:
    assert known.plot_slice(21, ax=ax) is ax
    grey = hd.open_volume(known.store).values[20]
    np.testing.assert_array_equal(ax.images[0].get_array(), grey)
    height, width = (n * size / 1000 for n, size in zip(SHAPE[1:], VOXEL[1:], strict=True))
    half = VOXEL[1] / 2000
    np.testing.assert_allclose(ax.get_xlim(), (-half, width - half))
    np.testing.assert_allclose(ax.get_ylim(), (height - half, -half))
    cells = hd.open_volume(known.label_paths["cells"]).values[20]
    shapes = [item for item in ax.collections if isinstance(item, PathCollection)]
    assert len(shapes[0].get_paths()) == len(np.unique(cells)) - 1 == len(BALLS)
    assert "slice 21 of 40" in ax.get_title()
    assert sorted(text.get_text() for text in ax.texts) == ["1", "2", "3", "4"]


def test_a_centre_of_the_table_is_inside_its_outline(known: hd.RunResult, ax: Axes) -> None:
    label = int(known.cells["label"].iloc[0])
    known.plot_slice(21, cells=[label], numbers=False, ax=ax)
    (cell, _) = (item for item in ax.collections if isinstance(item, PathCollection))
    (path,) = cell.get_paths()
    row = known.cells.iloc[0]
    assert path.contains_point((row["x"] / 1000, row["y"] / 1000))
    assert not ax.texts


def test_without_a_number_the_slice_with_most_cells_is_drawn(known: hd.RunResult, ax: Axes) -> None:
    known.plot_slice(ax=ax)
    number = int(ax.get_title().split("slice ")[1].split(" of")[0])
    inside = known.cells["first_slice"].le(number) & known.cells["last_slice"].ge(number)
    assert inside.sum() == len(known.cells)


@pytest.mark.parametrize("number", [0, 41, -1, 2.5, True, "3"])
def test_a_slice_that_is_not_there_is_refused(known: hd.RunResult, ax: Axes, number: int) -> None:
    with pytest.raises(ParameterError, match="the image has the slices 1 to 40"):
        known.plot_slice(number, ax=ax)
    assert not ax.images


def test_unknown_cells_and_lost_files_are_refused(first: hd.RunResult, ax: Axes) -> None:
    with pytest.raises(InputError, match="no cell 99"):
        first.plot_slice(21, cells=[99], ax=ax)
    first.label_paths["cells"].rename(first.path / "elsewhere")
    with pytest.raises(MissingInputError, match="are gone"):
        first.plot_slice(21, ax=ax)


def test_a_map_has_a_circle_per_cell(known: hd.RunResult, ax: Axes) -> None:
    known.plot_cells("nucleus_volume", ax=ax)
    (circles,) = (item for item in ax.collections if isinstance(item, EllipseCollection))
    np.testing.assert_allclose(
        np.asarray(circles.get_offsets(), float), known.cells[["x", "y"]] / 1000
    )
    np.testing.assert_allclose(
        np.asarray(circles.get_widths(), float), known.cells["cell_diameter"] / 1000
    )
    np.testing.assert_allclose(
        np.asarray(circles.get_array()), known.cells["nucleus_volume"].to_numpy()
    )
    figure = ax.figure
    assert any(part.get_ylabel() == "nucleus volume (µm³)" for part in figure.axes)
    with pytest.raises(ParameterError, match="did you mean 'cell_volume'"):
        known.plot_cells("cell_volumes", ax=ax)
