"""Plots of the masks of one cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from hela_dask.errors import InputError
from hela_dask.geometry import Geometry
from hela_dask.types import Plane

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_masks"]

_MASKS = ("cell", "envelope", "nucleus")


def plot_masks(
    masks: xr.Dataset,
    volume: xr.DataArray | None = None,
    z: float | None = None,
    *,
    filled: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Plot the outlines of one cell in a slice.

    Parameters
    ----------
    masks : xarray.Dataset
        As from :func:`~hela_dask.segment_cell`.
    volume : DataArray, (z, y, x), optional
        Grey values below the outlines: a volume that holds the window, with the same voxels. One
        slice of the window is read. Default: grey.
    z : float, optional
        Place of the slice, nm; the nearest one is drawn. Default: the slice with the largest part
        of the cell.
    filled : bool
        Tint the masks, too.
    ax : matplotlib.axes.Axes, optional
        Default: axes of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        In µm, in the coordinates of the masks.

    Raises
    ------
    InputError
        When `masks` lack the nucleus, the envelope or the cell, or `volume` has no such voxels.

    Examples
    --------
    >>> import hela_dask as hd
    >>> region = hd.Region.from_row(hd.open_run("hela.run").cells.iloc[1].to_dict())
    >>> volume = hd.open_volume("hela.ome.zarr")
    >>> masks = hd.segment_cell(volume, region, "volumetric")
    >>> hd.plot_masks(masks, volume).get_xlabel()
    'x (µm)'
    """
    from hela_dask.figures.axes import plot_plane

    if missing := [name for name in _MASKS if name not in masks]:
        raise InputError(f"the masks have no {missing[0]!r}: give those of segment_cell")
    cell = masks["cell"]
    geometry = Geometry.of(cell.assign_attrs(voxel_size=masks.attrs.get("voxel_size")))
    places = geometry.positions("z")
    if z is None:
        at = int(cell.values.sum(axis=(1, 2)).argmax())
    else:
        at = int(np.abs(places - z).argmin())
    _, (top, _), (left, _) = geometry.bounds
    return plot_plane(
        None if volume is None else _plane(volume, cell, at),
        {name: masks[name].values[at] for name in _MASKS},
        geometry.pixel,
        ax=ax,
        corner=(top / 1000, left / 1000),
        title=f"z = {places[at] / 1000:.3f} µm",
        filled=filled,
    )


def _plane(volume: xr.DataArray, cell: xr.DataArray, at: int) -> Plane:
    """Grey values of a slice of the window."""
    where = {"z": cell["z"][at], "y": cell["y"], "x": cell["x"]}
    try:
        part = volume.sel(where, method="nearest", tolerance=0.01)
    except KeyError as error:
        raise InputError(
            "the volume does not have the voxels of the masks: give the one that was segmented"
        ) from error
    return np.asarray(part.compute(scheduler="threads").values)
