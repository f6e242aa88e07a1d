"""One region of a volume in, its nucleus and cell out, by any method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hela_dask.errors import InputError
from hela_dask.greys import GreyLevels, grey_levels, upright_volume
from hela_dask.lazy import background as lazy_background
from hela_dask.methods import DEFAULT_METHOD, Masks, get_method
from hela_dask.parameters import Parameters, QualityParameters
from hela_dask.quality import NUMBERS, judge, measure_quality
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
    levels: GreyLevels | None = None,
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
        of `volume` that the region has a part of, and some beside them.
    levels
        What :func:`~hela_dask.grey_levels` found in the whole volume; if None, it is found in
        `volume`, or in the region alone where the background is given.
    trace
        Told what each step makes of one slice of the region, see :class:`~hela_dask.methods.Trace`.

    Returns
    -------
    xarray.Dataset
        In memory, on the region's voxels: ``nucleus``, ``cell`` (with its nucleus), ``envelope``
        and ``background``, bool; ``attrs`` hold ``label``, ``status``, ``reason``, ``flags``
        (comma separated), ``confidence`` and the numbers it is made of as in the cells table, and
        ``doubt``, a share for each slice, see :func:`hela_dask.quality.measure_quality`.

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
    if levels is None:
        seen = volume if background is None else volume[window]
        levels = grey_levels(seen, parameters.background)
    if background is None:
        background = lazy_background(volume, parameters.background, levels=levels)[window]
    elif background.shape == volume.shape:
        background = background[window]
    else:
        raise InputError(
            f"the background's shape {background.shape} is not the volume's, {volume.shape}"
        )
    image = upright_volume(volume[window], levels)
    resin: NDArray[np.bool_] = np.asarray(background.values, dtype=bool)
    voxel = voxel_size(volume)
    masks = segment(image.values, resin, voxel, region.voxel(image), parameters, trace)
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
            **_said(masks, resin, voxel, region, parameters.quality),
            "voxel_size": voxel,
            "units": "nanometer",
        },
    )


def _said(
    masks: Masks,
    resin: NDArray[np.bool_],
    voxel: tuple[float, float, float],
    region: Region,
    parameters: QualityParameters,
) -> dict[str, Any]:
    """Status, reason, flags, confidence and what it is made of."""
    known = masks.status != "no_resin"  # else the cell is its nucleus, for want of better
    cell = masks.cell if known else np.zeros_like(masks.cell)
    found = measure_quality(
        masks.nucleus,
        cell,
        resin,
        voxel,
        parameters,
        ends=region.ends,
        clipped=region.window_clipped,
    )
    confidence, doubts = judge(found, parameters, flags=masks.flags)
    reasons = [text for text in (masks.reason, *found["reasons"]) if text]
    return {
        "status": masks.status,
        "reason": "; ".join(reasons),
        "flags": ",".join(dict.fromkeys((*masks.flags, *found["flags"], *doubts))),
        "confidence": confidence,
        **{name: found[name] for name in NUMBERS},
        "doubt": found["doubt"],
    }
