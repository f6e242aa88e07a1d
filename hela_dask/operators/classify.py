"""What a network makes of a volume, lazily: blocks of whole planes with their neighbours."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize
from numpy.typing import NDArray

from hela_dask.errors import InputError
from hela_dask.kernels.levels import GreyLevels, upright
from hela_dask.unet.backend import check_installed
from hela_dask.unet.card import Card
from hela_dask.unet.inference import predict_slices
from hela_dask.unet.model import find_model, load_model
from hela_dask.volume.greys import delayed_levels
from hela_dask.volume.opening import check_volume, voxel_size

__all__ = ["SLAB", "classifier", "classify", "classify_slices", "neighbours"]

SLAB = 16
"""Slices in a task."""

log = logging.getLogger(__name__)

_META = np.empty((0, 0, 0, 0), np.uint8)


def classify(
    volume: xr.DataArray, model: str | Path = "", *, levels: GreyLevels | None = None
) -> xr.Dataset:
    """What a network tells of each voxel, lazily.

    A task holds whole planes and the neighbours that the network sees; in the plane they go
    through it in tiles that overlap. How many planes are in a task changes nothing.

    Parameters
    ----------
    volume
        (z, y, x), grey values of any real type, coordinates in nm. The network sees it at the
        voxel size of its training, whatever this one's is.
    model
        Folder of the model; empty: the one that comes with this package.
    levels
        What :func:`~hela_dask.grey_levels` found; if None, it is found with the first slice.

    Returns
    -------
    xarray.Dataset
        A variable (z, y, x) of uint8 for each output, 255 is 1: the classes' probabilities, and
        what else the model tells; see :class:`~hela_dask.unet.card.Card`.

    Raises
    ------
    MissingDependencyError
        Without TensorFlow.
    MissingInputError, InputError
        When there is no such model, it is broken, or `volume` is not (z, y, x) of real numbers.
    """
    check_volume(volume)
    if volume.dims != ("z", "y", "x") or volume.dtype.kind not in "iuf":
        raise InputError(
            "this takes a (z, y, x) volume of grey values, "
            f"not dims {volume.dims} of {volume.dtype}"
        )
    folder, card, digest = classifier(model)
    data = volume.data if isinstance(volume.data, da.Array) else da.from_array(volume.data)
    voxel = voxel_size(volume)
    if said := card.resampling(voxel):
        log.warning("%s", said)
    known = levels if levels is not None else delayed_levels(volume)
    name = f"classify-{tokenize(data, voxel, digest, known)}"
    halo, parts = neighbours(card, voxel), []
    for z0 in range(0, len(data), SLAB):
        first, stop = max(0, z0 - halo), min(z0 + SLAB, len(data))
        block = data[first : stop + halo].rechunk(-1)
        parts.append(
            block.map_blocks(
                _classify_block,
                voxel=voxel,
                levels=known,
                wanted=slice(z0 - first, stop - first),
                model=str(folder.absolute()),
                chunks=((stop - z0,), *block.chunks[1:], (len(card.outputs),)),
                new_axis=3,
                dtype=np.uint8,
                meta=_META,
                name=f"{name}-{z0}",
            )
        )
    found = da.concatenate(parts)
    return xr.Dataset(
        {name: (volume.dims, found[..., at]) for at, name in enumerate(card.outputs)},
        coords=volume.coords,
        attrs={**volume.attrs, "model": str(folder), "network": digest},
    )


def classifier(model: str | Path = "") -> tuple[Path, Card, str]:
    """Where a model is that tells classes of grey values, its card and its fingerprint.

    Raises
    ------
    MissingDependencyError
        Without TensorFlow.
    MissingInputError, InputError
        When there is no such model, it is broken, or it tells a cell from a binary plane.
    """
    check_installed()
    found = find_model(model)
    if found[1].channels == "binary":
        raise InputError(
            f"the model in {found[0]} sees one cell as a binary plane, not a volume's grey values: "
            "it serves a method of its own, not whole volumes"
        )
    return found


def neighbours(card: Card, voxel: tuple[float, float, float]) -> int:
    """How many slices on either side a model sees in a volume of this voxel size."""
    half = card.slices // 2
    return max(half, math.ceil(half * card.voxel_size[0] / voxel[0]))


def classify_slices(
    block: NDArray[Any],
    *,
    voxel: tuple[float, float, float],
    levels: GreyLevels,
    wanted: slice,
    model: str,
) -> Iterator[NDArray[np.uint8]]:
    """The wanted slices of a block of grey values as they are stored, (y, x, outputs) each."""
    greys = levels.low or 0.0, levels.high or 0.0  # where nothing is shown, nothing is told
    seen = upright(block, levels.inverted)
    return predict_slices(load_model(model), seen, voxel, greys, wanted)


def _classify_block(block: NDArray[Any], **how: Any) -> NDArray[np.uint8]:
    """The same, (z, y, x, outputs)."""
    return np.stack(list(classify_slices(block, **how)))
