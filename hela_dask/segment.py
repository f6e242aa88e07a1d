"""One region of a volume in, its nucleus and cell out, by any method."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hela_dask.errors import InputError
from hela_dask.lazy import background as lazy_background
from hela_dask.methods import DEFAULT_METHOD, get_method
from hela_dask.parameters import Parameters
from hela_dask.volume import voxel_size

if TYPE_CHECKING:
    from hela_dask.methods import Trace
    from hela_dask.regions import Region

__all__ = ["segment_cell"]


def segment_cell(
    volume: xr.DataArray,
    region: Region,
    method: str = DEFAULT_METHOD,
    *,
    parameters: Parameters | None = None,
    background: xr.DataArray | None = None,
    trace: Trace | None = None,
) -> xr.Dataset:
    """Segment the nucleus and the cell of one region.

    Parameters
    ----------
    volume
        (z, y, x) grey values, coordinates in nm: the whole volume, or any part of it that holds
        the region.
    region
        One of :func:`~hela_dask.cell_regions`.
    method
        One of :data:`hela_dask.methods.METHODS`.
    parameters
        All knobs; the method takes its own.
    background
        True in the resin, on the grid of `volume`. If None, it is computed from the whole planes
        of `volume` that the region has a part of.
    trace
        Told what each step makes of one slice of the region, see :class:`~hela_dask.methods.Trace`.

    Returns
    -------
    xarray.Dataset
        In memory, on the region's voxels: ``nucleus``, ``cell`` (with its nucleus), ``envelope``
        and ``background``, bool; ``attrs`` hold ``label``, ``status``, ``reason`` and ``flags``
        (comma separated) as in the cells table.

    Raises
    ------
    ParameterError
        For an unknown method.
    InputError
        When `volume` holds no voxel of the region, or `background` is on another grid.
    """
    parameters = parameters or Parameters()
    segment = get_method(method)
    window = region.slices(volume)
    if any(part.stop <= part.start for part in window):
        raise InputError(f"the region of cell {region.label} lies outside the volume")
    if background is None:
        background = lazy_background(volume[window[0]], parameters.background)[
            :, window[1], window[2]
        ]
    elif background.shape == volume.shape:
        background = background[window]
    else:
        raise InputError(
            f"the background's shape {background.shape} is not the volume's, {volume.shape}"
        )
    image = volume[window]
    resin: NDArray[np.bool_] = np.asarray(background.values, dtype=bool)
    voxel = voxel_size(volume)
    masks = segment(image.values, resin, voxel, _centre(image, region, voxel), parameters, trace)
    found = {
        "nucleus": masks.nucleus,
        "cell": masks.cell,
        "envelope": masks.envelope,
        "background": resin,
    }
    return xr.Dataset(
        {name: (image.dims, mask) for name, mask in found.items()},
        coords=image.coords,
        attrs={
            "label": region.label,
            "status": masks.status,
            "reason": masks.reason,
            "flags": ",".join(masks.flags),
            "voxel_size": voxel,
            "units": "nanometer",
        },
    )


def _centre(
    image: xr.DataArray, region: Region, voxel: tuple[float, float, float]
) -> tuple[int, int, int]:
    """The region's centre in voxels of its image, inside it."""
    z, y, x = (
        min(max(round((at - float(image[axis][0])) / size), 0), image.sizes[axis] - 1)
        for axis, at, size in zip("zyx", region.centre, voxel, strict=True)
    )
    return z, y, x
