"""The classes that a network predicts for a volume, lazily."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

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
    "Sampling",
    "class_labels",
    "classifier",
    "classify",
    "neighbours",
    "network_depth",
    "sampled_outputs",
    "sampling",
]

SLAB = 8
"""Slices in a task, at most; fewer where planes are large."""

_SLACK = 1e-6  # slices
_VIEWS = 2  # of a volume: as it is, and turned

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

    Examples
    --------
    >>> import hela_dask as hd
    >>> found = hd.classify(hd.open_volume("hela.ome.zarr"))
    >>> "nucleus" in found, found.sizes["z"]
    (True, 64)
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
        nm; the slices of :func:`sampling` are predicted, every other one turned.
        :func:`hela_dask.kernels.stack.interpolate_planes` gives all slices.

    Returns
    -------
    dask.array.Array of uint8, (slices, y, x, names)
    """
    folder, card, _ = classifier(model)
    predicted = sampling(Geometry.of(volume), spacing)
    slices, turned = predicted.slices, predicted.turned
    return _predicted(
        volume,
        folder,
        card,
        grey_levels,
        kernel=_sampled,
        predicted=predicted,
        outputs=len(names),
        chosen=tuple(card.outputs.index(name) for name in names),
        first=slices.start,
        step=slices.step,
        first_turned=turned.start,
    )


def network_depth(plane: tuple[int, ...], halo: int, every: int) -> int:
    """Slices in a task of :func:`sampled_outputs`, of which every n-th is predicted.

    They are a whole multiple of those between two slices of the same view.
    """
    whole = _VIEWS * every
    return -(-slab_depth(plane, halo, SLAB) // whole) * whole


class Sampling(NamedTuple):
    """The slices of a volume that a network predicts.

    A network's errors depend on how the image lies. So every other slice goes through it turned,
    and the mean of both views is more exact.
    """

    slices: range
    plain: range  # those that the network sees as they are
    turned: range  # those that it sees transposed, with their neighbours in reverse, and moved

    @property
    def views(self) -> tuple[range, range]:
        """The slices of each view."""
        return self.plain, self.turned


def sampling(geometry: Geometry, spacing: float) -> Sampling:
    """The slices that are predicted, at most `spacing` nm apart; one at least.

    They lie at multiples of their distance in nm, so that they are the same in any part of a
    volume.
    """
    depth, size = geometry.shape[0], geometry.voxel_size[0]
    every = max(1, math.floor(spacing / size + _SLACK))
    index = math.floor(geometry.origin[0] / size + 0.5 - _SLACK)  # of the first slice
    first = min(-index % every, depth - 1)
    starts = [first, first + every]
    if (index + first) // every % _VIEWS:
        starts.reverse()
    plain, turned = (range(start, depth, _VIEWS * every) for start in starts)
    return Sampling(range(first, depth, every), plain, turned)


def _predicted(
    volume: xr.DataArray,
    folder: Path,
    card: Card,
    grey_levels: GreyLevels | None,
    *,
    kernel: Callable[..., NDArray[np.uint8]],
    predicted: Sampling | None = None,
    **options: Any,
) -> da.Array:
    """A kernel of this module over slabs of a volume; it returns all or the predicted slices."""
    voxel = Geometry.of(volume).voxel_size
    halo = neighbours(card, voxel)
    data = lazy_data(volume, "iuf", "grey values")
    slices = None if predicted is None else predicted.slices
    plane = data.shape[1:]
    depth = network_depth(plane, halo, slices.step) if slices else slab_depth(plane, halo, SLAB)
    return overlap_slabs(
        kernel,
        slabs_of(data, depth, halo),
        halo,
        name="classify",
        dtype=np.uint8,
        sampled=slices,
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
    **options: Any,
) -> Iterator[NDArray[np.uint8]]:
    """The outputs (y, x, outputs) of the wanted slices of a block of grey values, one by one."""
    greys = grey_levels.low or 0.0, grey_levels.high or 0.0  # where no slice shows anything
    seen = apply_polarity(block, grey_levels.inverted)
    return predict_slices(load_model(model), seen, voxel, greys, wanted, reach=reach, **options)


def _outputs(block: NDArray[Any], wanted: slice, **options: Any) -> NDArray[np.uint8]:
    """All outputs, (z, y, x, outputs)."""
    return np.stack(list(_planes(block, wanted, **options)))


def _sampled(
    block: NDArray[Any],
    wanted: slice,
    *,
    chosen: tuple[int, ...],
    first: int,
    step: int,
    first_turned: int,
    **options: Any,
) -> NDArray[np.uint8]:
    """Some outputs of every n-th slice from the first one on, (z, y, x, outputs)."""
    slices = slice(wanted.start + first, wanted.stop, step)
    turned = range(wanted.start + first_turned, wanted.stop, _VIEWS * step)
    planes = list(_planes(block, slices, turned=turned, outputs=chosen, **options))
    return np.stack(planes) if planes else np.empty((0, *block.shape[1:], len(chosen)), np.uint8)


def _most_probable(
    block: NDArray[Any], wanted: slice, *, values: tuple[int, ...], **options: Any
) -> NDArray[np.uint8]:
    """The label of the most probable class, (z, y, x)."""
    known = np.array(values, np.uint8)
    found = _planes(block, wanted, **options)
    return np.stack([known[plane[..., : len(known)].argmax(-1)] for plane in found])
