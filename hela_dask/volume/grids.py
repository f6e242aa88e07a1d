"""Volumes on the grid of another, and their values in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from hela_dask.geometry import Geometry
from hela_dask.types import Plane
from hela_dask.volume.opening import open_volume

__all__ = ["compute", "place_on_grid"]


def compute(array: xr.DataArray) -> Plane:
    """The values, read by threads of this process even where a cluster is connected."""
    return np.asarray(array.compute(scheduler="threads").values)


def place_on_grid(path: Path | None, image: xr.DataArray) -> xr.DataArray | None:
    """Labels at the pixels of the image."""
    if path is None:
        return None
    labels = open_volume(path, max(Geometry.of(image).pixel))
    half = [0.501 * size for size in Geometry.of(labels).voxel_size]
    ends = {axis: (float(image[axis][0]), float(image[axis][-1])) for axis in "zyx"}
    # No chunk is read that the image does not cover.
    part = {
        axis: slice(low - slack, high + slack)
        for (axis, (low, high)), slack in zip(ends.items(), half, strict=True)
    }
    labels = labels.sel(part)
    same = labels.shape == image.shape and all(
        np.allclose(labels[axis], image[axis]) for axis in "zyx"
    )
    if same:
        return labels
    return labels.sel({axis: image[axis] for axis in "zyx"}, method="nearest")
