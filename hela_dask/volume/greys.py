"""Polarity of a volume's grey values, computed once, and the volume with bright resin."""

from __future__ import annotations

import dask
import dask.array as da
import xarray as xr
from dask.base import tokenize
from dask.delayed import Delayed

from hela_dask.errors import InputError
from hela_dask.geometry import Geometry, check_volume
from hela_dask.kernels.grey_levels import (
    GreyLevels,
    Votes,
    apply_polarity,
    slice_votes,
    volume_levels,
)
from hela_dask.parameters import BackgroundParameters

__all__ = [
    "GreyLevels",
    "delayed_levels",
    "grey_levels",
    "normalise_polarity",
    "vote_of_slice",
    "voting_slices",
]

_SLICES = 16  # that are looked at: each votes on its own, and the median counts


def grey_levels(volume: xr.DataArray, parameters: BackgroundParameters | None = None) -> GreyLevels:
    """Find whether resin is brighter than cells in a volume, and the grey levels of both.

    Sixteen slices spread over the volume are looked at: resin is smooth and cells are rough,
    whichever is the brighter; where no resin is in view, membranes are thin lines that are dark in
    an upright image. The result is an argument of :func:`~hela_dask.background`,
    :func:`~hela_dask.detect_cells` and :func:`~hela_dask.segment_cell`, which compute it if it is
    missing.

    Parameters
    ----------
    volume
        (z, y, x), grey values of any real type, coordinates in nm; a coarse level will do.
    parameters
        Their ``polarity`` is used if it is not 0.

    Returns
    -------
    GreyLevels
        ``inverted``, and ``cell`` and ``resin`` in the image as it is read if inverted.

    Raises
    ------
    InputError
        When `volume` is not a (z, y, x) array of real numbers.

    Examples
    --------
    >>> import hela_dask as hd
    >>> levels = hd.grey_levels(hd.open_volume("hela.ome.zarr"))
    >>> levels.inverted, levels.resin > levels.cell
    (False, True)
    """
    found: GreyLevels = delayed_levels(volume, parameters).compute()
    return found


def delayed_levels(volume: xr.DataArray, parameters: BackgroundParameters | None = None) -> Delayed:
    """:func:`grey_levels` as a delayed object."""
    _check(volume)
    polarity = (parameters or BackgroundParameters()).polarity
    pixel = Geometry.of(volume).pixel
    data = volume.data if isinstance(volume.data, da.Array) else da.from_array(volume.data)
    token = tokenize(data, polarity, pixel)
    vote = dask.delayed(slice_votes)  # type: ignore[attr-defined]
    votes = [
        vote(
            data[z].rechunk(-1).to_delayed()[0, 0],
            pixel,
            dask_key_name=f"grey-votes-{token}-{z}",
        )
        for z in voting_slices(volume.sizes["z"])
    ]
    grey_levels = dask.delayed(volume_levels)  # type: ignore[attr-defined]
    found: Delayed = grey_levels(votes, polarity, dask_key_name=f"grey-levels-{token}")
    return found


def voting_slices(count: int) -> list[int]:
    """Which of `count` slices (0-based) the grey levels are found in, spread evenly."""
    number = min(count, _SLICES)
    return [((2 * k + 1) * count) // (2 * number) for k in range(number)]


def vote_of_slice(volume: xr.DataArray, index: int) -> Votes:
    """The vote of one slice, read and computed by this thread; :func:`volume_levels` joins them.

    InputError when `volume` is not a (z, y, x) array of real numbers.
    """
    _check(volume)
    pixel = Geometry.of(volume).pixel
    plane = volume[index].compute(scheduler="synchronous").values
    return slice_votes(plane, pixel)


def _check(volume: xr.DataArray) -> None:
    check_volume(volume)
    if volume.dims != ("z", "y", "x") or volume.dtype.kind not in "iuf":
        raise InputError(
            "this takes a (z, y, x) volume of grey values, "
            f"not dims {volume.dims} of {volume.dtype}"
        )


def normalise_polarity(volume: xr.DataArray, grey_levels: GreyLevels) -> xr.DataArray:
    """The volume with bright resin and dark membranes, lazily where it is lazy."""
    if not grey_levels.inverted:
        return volume
    data = volume.data
    if not isinstance(data, da.Array):
        return volume.copy(data=apply_polarity(data, True))
    # As ``apply_polarity``, in dask's own operators.
    return volume.copy(data=~data if data.dtype.kind in "iu" else -data)
