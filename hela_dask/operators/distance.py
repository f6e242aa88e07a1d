"""The distance from the background, lazily."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hela_dask.geometry import Geometry
from hela_dask.kernels.distance import distance_slice
from hela_dask.operators.slabs import as_slabs, lazy_data, map_slabs

__all__ = ["distance", "distance_slabs"]


def distance(background: xr.DataArray, *, border: bool = True) -> xr.DataArray:
    """Euclidean distance in the plane from each voxel to the background, lazily (method A.3).

    Parameters
    ----------
    background : DataArray of bool, (z, y, x)
        True in the resin, coordinates in nm.
    border : bool
        Whether the slice is surrounded by background, as in the published cell detection. If
        not, a slice without any background is infinitely far from it.

    Returns
    -------
    DataArray
        float32, nm, exact and unbounded; 0 in the background; named ``distance``.

    Raises
    ------
    InputError
        When `background` is not a boolean (z, y, x) array.

    Examples
    --------
    >>> import hela_dask as hd
    >>> resin = hd.background(hd.open_volume("hela.ome.zarr"))
    >>> away = hd.distance(resin)
    >>> away.attrs["units"], float(away[32].max()) > 1000
    ('nm', True)
    """
    data = lazy_data(background, "b", "booleans, true in the resin")
    pixel = Geometry.of(background).pixel
    result = distance_slabs(as_slabs(data), pixel, border=border)
    named = background.copy(data=result).rename("distance")
    return named.assign_attrs(long_name="distance from the background", units="nm")


def distance_slabs(resin: da.Array, pixel: tuple[float, float], *, border: bool) -> da.Array:
    """The same of an array in slabs, for a pixel size (y, x) in nm."""
    return map_slabs(
        _distance, resin, name="distance", dtype=np.float32, pixel=pixel, border=border
    )


def _distance(block: NDArray[np.bool_], **options: Any) -> NDArray[np.float32]:
    return np.stack([distance_slice(plane, **options) for plane in block])
