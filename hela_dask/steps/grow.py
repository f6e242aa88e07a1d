"""More room for a cell that reaches a side of its window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np

from hela_dask.box import Box
from hela_dask.geometry import Geometry
from hela_dask.kernels.quality import FACES, face_areas
from hela_dask.parameters import RegionParameters
from hela_dask.steps.regions import Region, window_ends
from hela_dask.types import Mask

__all__ = ["grow_region", "segment_grown"]

Found = TypeVar("Found")


_LEAST_AREA = 0.5  # µm² of the cell on a side of its window; less is a thin protrusion


def grow_region(
    region: Region, cell: Mask, geometry: Geometry, parameters: RegionParameters
) -> Region:
    """Grow a region where its cell reaches a side of the window.

    Each such side is moved outwards by ``cap``, as far as the volume goes and the window is no
    larger than that of a whole cell, ``width`` and ``depth``.

    Parameters
    ----------
    region
        One of :func:`~hela_dask.steps.regions.cell_regions`.
    cell
        (z, y, x) of the window, its cell.
    geometry
        Of the volume, at the level of the window.
    parameters
        Parameters of the stage.

    Returns
    -------
    Region
        The same one where no side is moved.
    """
    areas = face_areas(cell, geometry.voxel_size)
    moved = np.array(
        [areas[name] >= _LEAST_AREA and name not in region.ends for name in FACES]
    ).reshape(3, 2)
    box = np.array(region.box)
    most = np.array([parameters.depth, parameters.width, parameters.width])
    room = np.maximum(most - (box[:, 1] - box[:, 0]), 0)
    steps = moved * np.minimum(parameters.cap, room / np.maximum(moved.sum(axis=1), 1))[:, None]
    # Whole voxels, so that a window never has more of them than one of width and depth.
    voxels = np.floor(steps / np.array(geometry.voxel_size)[:, None] + 1e-6).astype(int)
    if not voxels.any():
        return region
    window = region.window(geometry)
    pairs = zip(window.pairs, voxels.tolist(), strict=True)
    grown = Box.of((low - down, high + up) for (low, high), (down, up) in pairs)
    larger = grown.clip(geometry.shape)
    if larger == window:
        return region
    bounds = geometry.bounds_of(larger)
    return replace(region, box=bounds, ends=window_ends(bounds, geometry))


def segment_grown(
    segment: Callable[[Region, Callable[[Mask], bool]], Found],
    cell: Callable[[Found], Mask],
    region: Region,
    geometry: Geometry,
    parameters: RegionParameters,
) -> tuple[Region, Found]:
    """Segment a region, and again as long as it grows; the last region and its result.

    Parameters
    ----------
    segment
        Segments a region. Its second argument is a function that is true for a cell for which the
        region grows; the result then needs the cell only.
    cell
        The cell of a result, (z, y, x) of the window.
    region, geometry, parameters
        As in :func:`grow_region`.
    """
    while True:
        found = segment(region, partial(_grows, region, geometry, parameters))
        larger = grow_region(region, cell(found), geometry, parameters)
        if larger == region:
            return region, found
        region = larger


def _grows(region: Region, geometry: Geometry, parameters: RegionParameters, cell: Mask) -> bool:
    return grow_region(region, cell, geometry, parameters) != region
