"""Planes of an image and its labels, at the level of the pyramid that suits a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from hela_dask.geometry import Geometry
from hela_dask.storage.urls import StorePath
from hela_dask.types import Plane
from hela_dask.volume.opening import open_volume, read_image

__all__ = ["View", "compute", "open_view", "place_on_grid"]


@dataclass(frozen=True)
class View:
    """An image with its labels on the same lazy grid."""

    image: xr.DataArray  # (z, y, x), as the labels are
    nuclei: xr.DataArray | None
    cells: xr.DataArray | None

    @property
    def voxel_size(self) -> tuple[float, float, float]:
        """(z, y, x) in nm."""
        return Geometry.of(self.image).voxel_size

    @property
    def pixel(self) -> tuple[float, float]:
        """(y, x) in nm."""
        return self.voxel_size[1:]

    def plane(self, **where: int) -> tuple[Plane, Plane | None, Plane | None]:
        """Grey values, nuclei and cells of one plane, as ``plane(z=12)``."""
        return (
            compute(self.image.isel(where)),
            None if self.nuclei is None else compute(self.nuclei.isel(where)),
            None if self.cells is None else compute(self.cells.isel(where)),
        )

    def window(self, centre: tuple[float, float], reach: float) -> View:
        """The part within ``reach`` nm of (y, x) in the plane; slices are all kept."""
        part = {
            axis: slice(middle - reach, middle + reach)
            for axis, middle in zip("yx", centre, strict=True)
        }
        return View(
            self.image.sel(part),
            None if self.nuclei is None else self.nuclei.sel(part),
            None if self.cells is None else self.cells.sel(part),
        )


def compute(array: xr.DataArray) -> Plane:
    """The values, read by threads of this process even where a cluster is connected."""
    return np.asarray(array.compute(scheduler="threads").values)


def open_view(
    store: StorePath,
    nuclei: Path | None,
    cells: Path | None,
    *,
    pixels: int | None = None,
    resolution: float | None = None,
) -> View:
    """Open an image and its labels for pictures.

    With `pixels`: the finest level of all slices with at most this many pixels in y and x; if even
    the coarsest has more, every second, third, … pixel of it. With `resolution`: the coarsest level
    with pixels of at most this many nm.
    """
    if pixels is None:
        image = open_volume(store, resolution)
    else:
        levels = read_image(store).levels
        whole = [k for k, level in enumerate(levels) if level.shape[0] == levels[0].shape[0]]
        fitting = [k for k in whole if max(levels[k].shape[1:]) <= pixels]
        image = open_volume(store, level=min(fitting, default=whole[-1]))
        step = -(-max(image.shape[1:]) // pixels)
        if step > 1:
            image = image.isel(y=slice(None, None, step), x=slice(None, None, step))
    return View(image, *(place_on_grid(path, image) for path in (nuclei, cells)))


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
