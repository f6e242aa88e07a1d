"""A slice that xarray plots has its axes in nm, and a colour bar with the name of its values."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

import hela_dask as hd
from hela_dask.storage import store


@pytest.fixture
def volume(tmp_path: Path) -> xr.DataArray:
    rows, columns = np.indices((48, 64))
    cell = np.hypot(rows - 24, columns - 30) < 16
    grey = np.where(cell, 110, 200) + np.random.default_rng(0).normal(0, 5, (3, 48, 64))
    path = tmp_path / "hela.ome.zarr"
    image = store.create_image(path, grey.shape, np.uint8, (50.0, 40.0, 40.0), name="hela")
    store.write_slab(image, 0, grey.astype(np.uint8), downsample="mean")
    return hd.open_volume(path)


def drawn(plane: xr.DataArray) -> Figure:
    figure = plt.figure(figsize=(5, 4))
    plane.plot(ax=figure.add_subplot())  # type: ignore[call-arg]
    return figure


@pytest.mark.parametrize(
    ("what", "label"),
    [
        ("open_volume", "image"),
        ("gaussian", "image"),
        ("background", "background"),
        ("distance", "distance from the background [nm]"),
    ],
)
def test_axes_are_in_nm_and_the_colour_bar_has_a_name(
    volume: xr.DataArray, tmp_path: Path, what: str, label: str
) -> None:
    shown = {
        "open_volume": lambda: volume,
        "gaussian": lambda: hd.gaussian(volume, 80.0),
        "background": lambda: hd.background(volume),
        "distance": lambda: hd.distance(hd.background(volume)),
    }[what]()
    figure = drawn(shown[1])
    axes, bar = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x [nm]", "y [nm]")
    assert axes.get_title() == "z = 50.0 [nm]"
    assert bar.get_ylabel().replace("\n", " ") == label
    figure.savefig(tmp_path / f"{what}.png", dpi=80)
    plt.close(figure)
