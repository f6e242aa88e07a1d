"""Filters of a volume, lazily."""

from __future__ import annotations

import numpy as np
import xarray as xr
from dask_image import ndfilters

from hela_dask.errors import ParameterError
from hela_dask.geometry import Geometry
from hela_dask.kernels.filters import gaussian as kernel
from hela_dask.operators.slabs import lazy_data, map_slabs

__all__ = ["gaussian"]


def gaussian(volume: xr.DataArray, sigma: float, truncate: float = 4.0) -> xr.DataArray:
    """Smooth each slice of a volume with a Gaussian, lazily (method A.1).

    In the plane only, as the published low-pass: slices are several pixels apart. It is
    :func:`dask_image.ndfilters.gaussian_filter` with as much overlap as the kernel needs.

    Parameters
    ----------
    volume : DataArray, (z, y, x)
        Grey values of any real type, coordinates in nm; they are converted to float32 first.
    sigma : float
        Standard deviation in nm, the same in y and in x also where the pixels are not square.
        The slice is reflected at its border.
    truncate : float
        Where the kernel is cut off, in standard deviations.

    Returns
    -------
    DataArray
        float32, with the chunks of `volume` and the same bits whatever they are.

    Raises
    ------
    ParameterError
        For a `sigma` below zero or not finite.
    InputError
        When `volume` is not a (z, y, x) array of real numbers.

    Examples
    --------
    >>> import hela_dask as hd
    >>> volume = hd.open_volume("hela.ome.zarr")
    >>> smooth = hd.gaussian(volume, 160.0)
    >>> float(smooth[32].std()) < float(volume[32].std())
    True
    """
    if not 0 <= sigma < np.inf:
        raise ParameterError(f"sigma must be a length in nm, zero or more, not {sigma!r}")
    data = lazy_data(volume, "iufb", "grey values")
    pixel = Geometry.of(volume).pixel
    pixels = (0.0, sigma / pixel[0], sigma / pixel[1])
    # A kernel may be wider than a chunk, or than the slice.
    reach = [int(np.ceil(truncate * size)) for size in pixels]
    whole = {axis: -1 for axis in (1, 2) if min(data.chunks[axis]) <= reach[axis]}
    source = data.rechunk(whole).astype(np.float32)
    if any(data.shape[axis] <= reach[axis] for axis in (1, 2)):
        planes = source.rechunk({1: -1, 2: -1})
        result = map_slabs(
            kernel,
            planes,
            name="gaussian_filter",
            dtype=np.float32,
            sigma=pixels[1:],
            truncate=truncate,
        )
    else:
        result = ndfilters.gaussian_filter(source, pixels, mode="reflect", truncate=truncate)
    return volume.copy(data=result.rechunk(data.chunks))
