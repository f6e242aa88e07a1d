"""One slice along any axis with its labels, at the finest level that is not too large."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from hela_dask.geometry import Geometry
from hela_dask.storage.metadata import Level
from hela_dask.storage.urls import StorePath
from hela_dask.types import Bounds, Pixel, Plane
from hela_dask.volume.grids import compute, place_on_grid
from hela_dask.volume.opening import open_volume, read_image

__all__ = ["Slice", "read_slice"]


@dataclass(frozen=True)
class Slice:
    """A slice that was read.

    Attributes
    ----------
    image : (rows, columns)
        Grey values. Rows run along z, or y in a slice along z; columns along x, or y in one along
        x.
    nuclei, cells : (rows, columns) or None
        Instance labels on the same pixels.
    pixel : (rows, columns) in nm
    level : int
        Of the pyramid of the image, 0 the finest.
    step : (rows, columns)
        Every so many pixels of the level.
    """

    image: Plane
    nuclei: Plane | None
    cells: Plane | None
    pixel: Pixel
    level: int
    step: tuple[int, int]


def read_slice(
    store: StorePath,
    labels: tuple[Path | None, Path | None],
    axis: str,
    number: int,
    *,
    bounds: Bounds | None = None,
    pixels: int,
) -> Slice:
    """Read one slice at full resolution, or coarser if it has too many pixels.

    Only the chunks that hold its pixels are read.

    Parameters
    ----------
    store : Path
        The image.
    labels : pair of Path or None
        The label groups of nuclei and cells.
    axis : "z", "y" or "x"
    number : int
        Of the slice along the axis, at full resolution, from 1.
    bounds : optional
        The part of the volume to read, nm; along the axis it holds the slice.
    pixels : int
        At most so many along each side: the finest level with as few is read, and if even the
        coarsest has more, every second, third, … pixel of it.
    """
    levels = read_image(store).levels
    whole = [k for k, level in enumerate(levels) if level.shape[0] == levels[0].shape[0]]
    fitting = [k for k in whole if max(_size(levels[k], axis, bounds)) <= pixels]
    chosen = min(fitting, default=whole[-1])
    volume = open_volume(store, level=chosen)
    geometry = Geometry.of(volume)
    along = "zyx".index(axis)
    fine = levels[0].geometry
    place = fine.origin[along] + (number - 1) * fine.voxel_size[along]
    index = int(np.abs(geometry.positions(axis) - place).argmin())
    box = geometry.box(bounds if bounds is not None else geometry.bounds)
    steps = tuple(-(-length // pixels) for length in _size(levels[chosen], axis, bounds))
    sides = [name for name in "zyx" if name != axis]
    part = {name: box["zyx".index(name)] for name in sides}
    part = {
        name: slice(span.start, span.stop, step)
        for (name, span), step in zip(part.items(), steps, strict=True)
    }
    image = volume.isel({axis: slice(index, index + 1), **part})
    size = Geometry.of(image).voxel_size
    rows, columns = (size["zyx".index(name)] for name in sides)
    found = [_plane(place_on_grid(path, image), axis) for path in labels]
    plane = _plane(image, axis)
    assert plane is not None
    return Slice(plane, found[0], found[1], (rows, columns), chosen, (steps[0], steps[1]))


def _size(level: Level, axis: str, bounds: Bounds | None) -> list[int]:
    """Pixels of a slice of a level along its two sides."""
    geometry = level.geometry
    shape = geometry.shape if bounds is None else geometry.box(bounds).shape
    return [length for name, length in zip("zyx", shape, strict=True) if name != axis]


def _plane(volume: xr.DataArray | None, axis: str) -> Plane | None:
    return None if volume is None else compute(volume.isel({axis: 0}))
