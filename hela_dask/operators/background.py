"""The background of a volume, lazily: levels, low-pass, classification, majority along z."""

from __future__ import annotations

from typing import Any

import dask
import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hela_dask.geometry import Geometry
from hela_dask.kernels import background as kernels
from hela_dask.kernels.grey_levels import GreyLevels, apply_polarity
from hela_dask.operators.filters import gaussian
from hela_dask.operators.slabs import as_slabs, lazy_data, map_slabs, overlap_slabs, slab_depth
from hela_dask.parameters import BackgroundParameters
from hela_dask.trace import Trace
from hela_dask.volume.greys import delayed_levels

__all__ = ["SLAB", "background", "background_depth", "background_with_statistics", "show_slice"]

SLAB = 16
"""Slices in a task, at most, fewer where planes are large; and in a unit of a run."""


def background_depth(
    plane: tuple[int, ...], parameters: BackgroundParameters, thickness: float
) -> int:
    """Slices in a task, for planes of a shape in pixels and slices of a thickness in nm."""
    return slab_depth(plane, max(kernels.background_reach(parameters, thickness)), SLAB)


def background(
    volume: xr.DataArray,
    parameters: BackgroundParameters | None = None,
    *,
    grey_levels: GreyLevels | None = None,
) -> xr.DataArray:
    """Classify each voxel of a volume as resin or not, lazily.

    Grey levels and charging artefacts are properties of whole slices and their neighbours, so a
    task holds a few whole slices; how many changes nothing.

    Parameters
    ----------
    volume : DataArray, (z, y, x)
        Grey values of any real type, coordinates in nm.
    parameters : BackgroundParameters, optional
    grey_levels : GreyLevels, optional
        Result of :func:`~hela_dask.grey_levels`; if None, it is computed with the first slice.

    Returns
    -------
    DataArray
        bool, true in the resin; named ``background``.

    Raises
    ------
    InputError
        When `volume` is not a (z, y, x) array of real numbers.

    Examples
    --------
    >>> import hela_dask as hd
    >>> volume = hd.open_volume("hela.ome.zarr")
    >>> resin = hd.background(volume)
    >>> resin.shape, resin.dtype.name
    ((64, 200, 200), 'bool')
    >>> bool(resin[32, 0, 0])
    True
    """
    return background_with_statistics(volume, parameters, grey_levels=grey_levels)[0]


def background_with_statistics(
    volume: xr.DataArray,
    parameters: BackgroundParameters | None = None,
    *,
    grey_levels: GreyLevels | None = None,
    slab: int | None = None,
) -> tuple[xr.DataArray, da.Array]:
    """The background, and the statistics of each slice that it depends on.

    Parameters
    ----------
    volume, parameters, grey_levels
        As for :func:`background`.
    slab : int, optional
        Slices in a task, at most; default: :data:`SLAB`. Where few slices of a volume are
        wanted, thin slabs compute fewer of those between them.

    Returns
    -------
    background : DataArray of bool, (z, y, x)
    facts : dask.array.Array of float64, (z, 3)
        Grey values of cells and of resin by which a slice is measured (NaN where they are not
        known), and 1 where it shows one grey value only; for
        :func:`hela_dask.kernels.background.thresholds`.
    """
    p = parameters or BackgroundParameters()
    voxel = Geometry.of(volume).voxel_size
    image, smooth, facts = _inputs(volume, p, grey_levels, slab or SLAB)
    votes = map_slabs(
        kernels.classify_slices,
        image,
        smooth,
        facts,
        name="background",
        dtype=np.int8,
        pixel=voxel[1:],
        parameters=p,
    )
    _, reach = kernels.background_reach(p, voxel[0])
    found = overlap_slabs(
        kernels.majority, votes, reach, name="background-majority", dtype=bool, reach=reach
    )
    named = volume.copy(data=found).rename("background")
    return named.assign_attrs(long_name="background"), facts


def show_slice(
    volume: xr.DataArray,
    index: int,
    parameters: BackgroundParameters,
    grey_levels: GreyLevels,
    trace: Trace,
) -> None:
    """Classify one slice by itself, for the pictures of its steps.

    Parameters
    ----------
    volume : DataArray, (z, y, x)
        Grey values, coordinates in nm.
    index : int
        Of the slice, from 0.
    parameters, grey_levels
        As for :func:`background`.
    trace : Trace
        Of slice 0; keeps the steps.
    """
    image, smooth, facts = _inputs(volume, parameters, grey_levels, 1)
    parts = (array[index : index + 1] for array in (image, smooth, facts))
    block, blurred, known = dask.compute(*parts, scheduler="synchronous")  # type: ignore[attr-defined,no-untyped-call]
    pixel = Geometry.of(volume).pixel
    kernels.classify_slices(block, blurred, known, pixel=pixel, parameters=parameters, trace=trace)


def _inputs(
    volume: xr.DataArray, p: BackgroundParameters, grey_levels: GreyLevels | None, slab: int
) -> tuple[da.Array, da.Array, da.Array]:
    """Upright grey values, the same after the low-pass, and the facts of each slice."""
    data = lazy_data(volume, "iuf", "grey values")
    voxel = Geometry.of(volume).voxel_size
    half, reach = kernels.background_reach(p, voxel[0])
    known: Any = grey_levels if grey_levels is not None else delayed_levels(volume, p)
    image = as_slabs(data, max(half, reach), slab)
    if grey_levels is None or grey_levels.inverted:
        image = map_slabs(
            _apply_polarity, image, name="upright", dtype=image.dtype, grey_levels=known
        )
    smooth = gaussian(volume.copy(data=image), p.blur, kernels.TRUNCATE).data
    own = map_slabs(
        kernels.slice_statistics,
        image,
        name="background-levels",
        dtype=np.float64,
        width=3,
        pixel=voxel[1:],
    )
    facts = overlap_slabs(
        kernels.use_neighbours,
        own,
        half,
        name="background-neighbours",
        dtype=np.float64,
        half=half,
        grey_levels=known,
    )
    return image, smooth, facts


def _apply_polarity(block: NDArray[Any], grey_levels: GreyLevels) -> NDArray[Any]:
    return apply_polarity(block, grey_levels.inverted)
