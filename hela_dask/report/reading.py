"""Planes of an image and its labels, at the level of the pyramid that suits a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from hela_dask.geometry import Geometry
from hela_dask.storage.urls import StorePath
from hela_dask.types import Plane
from hela_dask.volume.grids import compute, place_on_grid
from hela_dask.volume.opening import open_volume, read_image

__all__ = ["View", "open_view"]


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
