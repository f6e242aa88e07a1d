"""Plots on axes: their scale, their contents, and no state of pyplot without a new figure."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection, PathCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

import hela_dask as hd
from hela_dask.errors import InputError, ParameterError
from hela_dask.figures.axes import plot_map, plot_plane, plot_points
from tests.results import make_masks
from tests.volumes import make_volume


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    from matplotlib import pyplot as plt

    plt.close("all")


@pytest.fixture
def ax() -> Axes:
    """Axes of a figure that pyplot does not know."""
    return Figure().add_subplot()


def outlines(axes: Axes) -> list[NDArray[np.float64]]:
    """The corners (x, y) of each outline."""
    found = [item for item in axes.collections if isinstance(item, PathCollection)]
    return [np.asarray(path.vertices) for item in found for path in item.get_paths()]


def test_a_plane_is_drawn_in_micrometres_at_its_place(ax: Axes) -> None:
    labels = np.zeros((20, 40), np.uint8)
    labels[5:15, 10:30] = 7
    image = np.full(labels.shape, 100, np.uint8)
    found = plot_plane(
        image, {"cell": labels}, (50.0, 100.0), ax=ax, corner=(3.0, 5.0), numbers=True
    )
    assert found is ax
    assert (ax.get_xlim(), ax.get_ylim()) == ((5.0, 9.0), (4.0, 3.0))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x (µm)", "y (µm)")
    assert ax.get_aspect() == 1.0
    (outline,) = outlines(ax)
    low, high = outline.min(axis=0), outline.max(axis=0)
    np.testing.assert_allclose(low, (6.0, 3.25), atol=0.06)
    np.testing.assert_allclose(high, (8.0, 3.75), atol=0.06)
    (number,) = [text for text in ax.texts if text.get_text() == "7"]
    assert low[0] < number.get_position()[0] < high[0]
    assert low[1] < number.get_position()[1] < high[1]


def test_masks_without_a_voxel_size_are_in_voxels() -> None:
    masks, window = make_masks()
    axes = masks.plot()
    assert axes.get_xlabel() == "x (voxels)" and axes.get_xlim() == (0.0, 50.0)
    assert "slice 3" in axes.get_title()  # with the largest part of the cell
    scaled = masks.plot(window, z=2)
    assert scaled.get_xlabel() == "x (µm)" and scaled.get_xlim() == (0.0, 2.0)
    assert len(outlines(scaled)) == 3
    legend = scaled.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [*("cell", "envelope", "nucleus")]
    assert len(outlines(masks.plot(z=1))) == 1, "only the cell is in this slice"


def test_masks_of_another_window_or_slice_are_refused(ax: Axes) -> None:
    masks, window = make_masks()
    small = hd.Window(window.image[1:], window.background[1:], window.voxel, (1, 1, 1))
    with pytest.raises(InputError, match="5 x 40 x 50 and the masks are 6 x 40 x 50"):
        masks.plot(small, ax=ax)
    with pytest.raises(ParameterError, match="no slice 6: the masks have the slices 0 to 5"):
        masks.plot(z=6, ax=ax)
    assert not ax.images


def dataset(origin: float = 0.0) -> tuple[xr.Dataset, xr.DataArray]:
    """Masks as of segment_cell in a window, and the volume around it."""
    masks, window = make_masks()
    grey = np.full((10, 60, 70), 210, np.uint8)
    grey[2:8, 10:50, 10:60] = window.image
    volume = make_volume(grey, translation=(origin, origin, origin))
    part = volume[2:8, 10:50, 10:60]
    names = {"nucleus": masks.nucleus, "cell": masks.cell, "envelope": masks.envelope}
    found = xr.Dataset(
        {name: (part.dims, mask) for name, mask in names.items()},
        coords=part.coords,
        attrs={"voxel_size": (50.0, 40.0, 40.0)},
    )
    return found, volume


@pytest.mark.parametrize("origin", [0.0, 1000.0])
def test_masks_of_a_cell_are_at_their_place_in_the_volume(ax: Axes, origin: float) -> None:
    masks, volume = dataset(origin)
    hd.plot_masks(masks, volume, ax=ax)
    left = (origin + 10 * 40 - 20) / 1000  # the edge of the first voxel
    np.testing.assert_allclose(ax.get_xlim(), (left, left + 2.0))
    np.testing.assert_array_equal(ax.images[0].get_array(), volume.values[5, 10:50, 10:60])
    assert ax.get_title() == f"z = {(origin + 5 * 50) / 1000:.3f} µm"
    other = hd.plot_masks(masks, z=origin + 3.4 * 50)
    assert other.get_title() == f"z = {(origin + 3 * 50) / 1000:.3f} µm"


def test_masks_of_another_grid_are_refused(ax: Axes) -> None:
    masks, volume = dataset()
    with pytest.raises(InputError, match="does not have the voxels of the masks"):
        hd.plot_masks(masks, volume[:, ::2, ::2], ax=ax)
    with pytest.raises(InputError, match="no 'envelope'"):
        hd.plot_masks(masks.drop_vars("envelope"), ax=ax)


def test_a_map_has_circles_of_the_diameters_and_grey_without_a_value(ax: Axes) -> None:
    places, wide = np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([0.5, np.nan])
    values = np.array([4.0, np.nan])
    plot_map(places, wide, values, [1, 2], ((0.0, 4.0), (0.0, 6.0)), label="volume", ax=ax)
    (circles,) = [item for item in ax.collections if isinstance(item, EllipseCollection)]
    np.testing.assert_array_equal(np.asarray(circles.get_offsets(), float), places[:, ::-1])
    np.testing.assert_allclose(np.asarray(circles.get_widths(), float), (0.5, 0.0))
    assert ax.get_ylim() == (4.0, 0.0), "y runs as in a picture"
    assert [text.get_text() for text in ax.texts] == ["1", "2"]
    array = circles.get_array()
    assert array is not None and np.ma.getmaskarray(np.ma.asarray(array)).tolist() == [False, True]


def test_points_of_cut_objects_are_hollow(ax: Axes) -> None:
    x = np.arange(3.0)
    plot_points(x, 2 * x, np.array([True, False, True]), labels=("a (µm³)", "b"), ax=ax)
    whole, cut = (item for item in ax.collections if isinstance(item, PathCollection))
    counts = [len(np.asarray(item.get_offsets())) for item in (whole, cut)]
    fills = [len(np.asarray(item.get_facecolor())) for item in (whole, cut)]
    assert counts == [2, 1] and fills == [1, 0]


def test_measured_objects_are_plotted_with_units(ax: Axes) -> None:
    objects = pd.DataFrame({"volume": [1.0, 2.0], "sphericity": [0.9, np.nan], "name": ["a", "b"]})
    found = hd.Measurement(objects.assign(complete=[True, False]), pd.DataFrame(), None, None)
    found.plot(ax=ax)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("volume (µm³)", "sphericity")
    with pytest.raises(ParameterError, match="did you mean 'volume'"):
        found.plot("volumes", ax=ax)
    with pytest.raises(ParameterError, match="'name' has no numbers"):
        found.plot("volume", "name", ax=ax)


def test_a_given_axes_leaves_pyplot_alone() -> None:
    code = (
        "import sys\n"
        "import numpy as np\n"
        "import hela_dask.figures, hela_dask.running.result, hela_dask.steps.plots\n"
        "from matplotlib.figure import Figure\n"
        "from hela_dask.figures.axes import plot_plane\n"
        "mask = np.eye(9, dtype=np.uint8)\n"
        "plot_plane(mask, {'cell': mask}, (40.0, 40.0), ax=Figure().add_subplot())\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
