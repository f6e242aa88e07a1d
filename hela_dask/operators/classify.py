"""The classes that a network predicts for a volume, lazily."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hela_dask.errors import InputError
from hela_dask.geometry import Geometry
from hela_dask.kernels.grey_levels import GreyLevels, apply_polarity
from hela_dask.operators.slabs import lazy_data, overlap_slabs, slab_depth, slabs_of
from hela_dask.unet.card import Card
from hela_dask.unet.inference import predict_slices
from hela_dask.unet.model import check_model, load_model
from hela_dask.volume.greys import delayed_levels

__all__ = [
    "SLAB",
    "class_labels",
    "classifier",
    "classify",
    "neighbours",
    "network_depth",
    "sampled_outputs",
    "sampling",
]

SLAB = 16
"""Slices in a task, at most; fewer where planes are large."""

log = logging.getLogger(__name__)


def classify(
    volume: xr.DataArray, model: str | Path = "", *, grey_levels: GreyLevels | None = None
) -> xr.Dataset:
    """Predict the class of each voxel by a network, lazily.

    A task holds whole planes and the neighbours that the network sees; in the plane they go
    through it in tiles that overlap. How many planes are in a task changes nothing.

    Parameters
    ----------
    volume
        (z, y, x), grey values of any real type, coordinates in nm. The network sees it at the
        voxel size of its training, whatever this one's is.
    model
        Folder of the model, or an ``.onnx`` file with its card; empty: the shipped one.
    grey_levels
        Result of :func:`~hela_dask.grey_levels`; if None, it is found with the first slice.

    Returns
    -------
    xarray.Dataset
        A variable (z, y, x) of uint8 for each output, 255 is 1: the classes' probabilities, and the
        other outputs of the model; see :class:`~hela_dask.unet.card.Card`.

    Raises
    ------
    MissingDependencyError
        Without ONNX Runtime.
    MissingInputError, InputError
        When there is no such model, it is broken, or `volume` is not (z, y, x) of real numbers.
    """
    lazy_data(volume, "iuf", "grey values")
    folder, card, digest = classifier(model)
    if message := card.resampling(Geometry.of(volume).voxel_size):
        log.warning("%s", message)
    found = _predicted(
        volume,
        folder,
        card,
        grey_levels,
        kernel=_outputs,
        outputs=len(card.outputs),
    )
    return xr.Dataset(
        {name: (volume.dims, found[..., at]) for at, name in enumerate(card.outputs)},
        coords=volume.coords,
        attrs={**volume.attrs, "model": str(folder), "network": digest},
    )


def class_labels(
    volume: xr.DataArray, model: str | Path, grey_levels: GreyLevels, values: Sequence[int]
) -> da.Array:
    """Label each voxel with its most probable class, lazily.

    Parameters
    ----------
    volume, model, grey_levels
        As for :func:`classify`.
    values : sequence of int
        The label of each class, in the order of the model's card.

    Returns
    -------
    dask.array.Array of uint8, (z, y, x)
    """
    folder, card, _ = classifier(model)
    return _predicted(
        volume,
        folder,
        card,
        grey_levels,
        kernel=_most_probable,
        values=tuple(values),
    )


def sampled_outputs(
    volume: xr.DataArray,
    model: str | Path,
    grey_levels: GreyLevels | None,
    names: Sequence[str],
    spacing: float,
) -> da.Array:
    """Some outputs of a network in slices that are at most `spacing` nm apart, lazily.

    Parameters
    ----------
    volume, model, grey_levels
        As for :func:`classify`.
    names : sequence of str
        Of outputs of the model.
    spacing : float
        nm; of every :func:`sampling` slices the first is predicted. Outputs hardly change within
        100 nm, and :func:`hela_dask.kernels.stack.interpolate_planes` gives the slices between.

    Returns
    -------
    dask.array.Array of uint8, (slices, y, x, names)
    """
    folder, card, _ = classifier(model)
    every = sampling(Geometry.of(volume).voxel_size, spacing)
    return _predicted(
        volume,
        folder,
        card,
        grey_levels,
        kernel=_sampled,
        every=every,
        outputs=len(names),
        chosen=tuple(card.outputs.index(name) for name in names),
        step=every,
    )


def network_depth(plane: tuple[int, ...], halo: int, every: int) -> int:
    """Slices in a task of :func:`sampled_outputs`, of which every n-th is predicted."""
    return -(-slab_depth(plane, halo, SLAB) // every) * every


def sampling(voxel: tuple[float, float, float], spacing: float) -> int:
    """Of so many slices one is predicted."""
    return max(1, int(spacing / voxel[0]))


def _predicted(
    volume: xr.DataArray,
    folder: Path,
    card: Card,
    grey_levels: GreyLevels | None,
    *,
    kernel: Callable[..., NDArray[np.uint8]],
    every: int = 1,
    **options: Any,
) -> da.Array:
    """A kernel of this module over slabs of a volume; it returns every n-th slice."""
    voxel = Geometry.of(volume).voxel_size
    halo = neighbours(card, voxel)
    data = lazy_data(volume, "iuf", "grey values")
    return overlap_slabs(
        kernel,
        slabs_of(data, network_depth(data.shape[1:], halo, every), halo),
        halo,
        name="classify",
        dtype=np.uint8,
        every=every,
        voxel=voxel,
        grey_levels=grey_levels if grey_levels is not None else delayed_levels(volume),
        model=str(folder.absolute()),
        reach=halo,
        **options,
    )


def classifier(model: str | Path = "") -> tuple[Path, Card, str]:
    """Path of a model that predicts classes from grey values, its card and its fingerprint.

    Raises
    ------
    MissingDependencyError
        Without ONNX Runtime.
    MissingInputError, InputError
        When there is no such model, it is broken, or it predicts a cell from a binary plane.
    """
    found = check_model(model)
    if found[1].channels == "binary":
        raise InputError(
            f"the model in {found[0]} sees one cell as a binary plane, not a volume's grey values: "
            "it serves a single method, not whole volumes"
        )
    return found


def neighbours(card: Card, voxel: tuple[float, float, float]) -> int:
    """How many slices on either side a model sees in a volume of this voxel size."""
    half = card.slices // 2
    return max(half, math.ceil(half * card.voxel_size[0] / voxel[0]))


def _planes(
    block: NDArray[Any],
    wanted: slice,
    *,
    voxel: tuple[float, float, float],
    grey_levels: GreyLevels,
    model: str,
    reach: int,
) -> Iterator[NDArray[np.uint8]]:
    """The outputs (y, x, outputs) of the wanted slices of a block of grey values, one by one."""
    greys = grey_levels.low or 0.0, grey_levels.high or 0.0  # where no slice shows anything
    seen = apply_polarity(block, grey_levels.inverted)
    return predict_slices(load_model(model), seen, voxel, greys, wanted, reach=reach)


def _outputs(block: NDArray[Any], wanted: slice, **options: Any) -> NDArray[np.uint8]:
    """All outputs, (z, y, x, outputs)."""
    return np.stack(list(_planes(block, wanted, **options)))


def _sampled(
    block: NDArray[Any], wanted: slice, *, chosen: tuple[int, ...], step: int, **options: Any
) -> NDArray[np.uint8]:
    """Some outputs of every n-th slice, (z, y, x, outputs)."""
    slices = slice(wanted.start, wanted.stop, step)
    return np.stack([plane[..., chosen] for plane in _planes(block, slices, **options)])


def _most_probable(
    block: NDArray[Any], wanted: slice, *, values: tuple[int, ...], **options: Any
) -> NDArray[np.uint8]:
    """The label of the most probable class, (z, y, x)."""
    known = np.array(values, np.uint8)
    found = _planes(block, wanted, **options)
    return np.stack([known[plane[..., : len(known)].argmax(-1)] for plane in found])
