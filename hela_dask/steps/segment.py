"""One region of a volume in, its nucleus and cell out, by any method."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import dask
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.errors import InputError
from hela_dask.geometry import Geometry
from hela_dask.kernels.background import thresholds
from hela_dask.kernels.grid import block_mean
from hela_dask.kernels.packed_labels import PackedLabels
from hela_dask.kernels.stack import interpolate_planes
from hela_dask.methods.method import Masks, Outputs, Window
from hela_dask.methods.names import DEFAULT_METHOD
from hela_dask.methods.registry import MethodLike, get_method
from hela_dask.operators.background import background_with_statistics
from hela_dask.parameters import (
    Parameters,
    QualityParameters,
)
from hela_dask.statuses import NO_RESIN
from hela_dask.steps.coarse_labels import CoarseLabels, Outline
from hela_dask.steps.confidence import NUMBERS, compute_confidence, measure_quality
from hela_dask.steps.grow import segment_grown
from hela_dask.steps.refine import volume_refiner
from hela_dask.trace import NO_TRACE, Trace
from hela_dask.types import Mask
from hela_dask.unet.card import USUAL_FACTOR
from hela_dask.volume.greys import GreyLevels, normalise_polarity
from hela_dask.volume.greys import grey_levels as find_grey_levels
from hela_dask.volume.opening import working_volume

if TYPE_CHECKING:
    from hela_dask.steps.regions import Region

__all__ = ["predict_window", "segment_cell", "segment_window"]

log = logging.getLogger(__name__)


_MASKS = ("nucleus", "cell", "envelope", "background")
_SLAB = 16  # slices of a region that are refined at a time


def segment_cell(
    volume: xr.DataArray,
    region: Region,
    method: MethodLike = DEFAULT_METHOD,
    *,
    parameters: Parameters | None = None,
    background: xr.DataArray | None = None,
    grey_levels: GreyLevels | None = None,
    grow: bool = False,
    trace: Trace = NO_TRACE,
) -> xr.Dataset:
    """Segment the nucleus and the cell of one region.

    They are computed on pixels of about 40 nm (``[working] resolution``), for any pixel size of the
    volume, and refined on its own pixels if these are smaller. A network sees whole planes of
    `volume`.

    Parameters
    ----------
    volume
        (z, y, x) grey values, coordinates in nm: the whole volume, or any part of it that holds
        the region. A network also sees slices at either end of it: with fewer than three, or
        200 nm, in the part, the masks there may be others than those of the whole volume.
    region
        One of :func:`~hela_dask.cell_regions`.
    method
        One of :data:`hela_dask.METHODS`, a method, or a function of a window and parameters.
    parameters
        All parameters; the method takes its own.
    background
        True in the resin, on the grid of `volume`; kept as it is. If None, it is computed from the
        whole planes of `volume` that overlap the region, with their halo.
    grey_levels
        Result of :func:`~hela_dask.grey_levels` for the whole volume; if None, it is found in
        `volume`, or in the region alone where the background is given and no network is asked.
        The input of a network depends on it: for a part of a volume, give that of the whole.
    grow
        Make the window larger where the cell reaches a side of it, as a run does; see
        :func:`hela_dask.steps.grow.grow_region`.
    trace
        Keeps the results of each step in some slices, see :class:`hela_dask.trace.Trace`. The
        window stays as it is.

    Returns
    -------
    xarray.Dataset
        In memory, on the voxels of the window: ``nucleus``, ``cell`` (with its nucleus),
        ``envelope`` and ``background``, bool; ``attrs`` hold ``label``, ``status``, ``reason``,
        ``flags`` (comma separated), ``confidence`` and its numbers as in the cells table, and
        ``instability``, a share for each slice, see
        :func:`hela_dask.steps.confidence.measure_quality`.

    Raises
    ------
    ParameterError
        For an unknown method.
    InputError
        When `volume` holds no voxel of the region, `region` is none, or `background` is on
        another grid.
    HelaDaskError
        When the method has a network that is not there, or cannot be used.

    Examples
    --------
    >>> import hela_dask as hd
    >>> volume = hd.open_volume("hela.ome.zarr")
    >>> cells = hd.link_cells(hd.detect_cells(volume), volume)
    >>> region = hd.cell_regions(cells, volume)[1]
    >>> masks = hd.segment_cell(volume, region, "volumetric")
    >>> masks.attrs["status"], list(masks)[:3]
    ('segmented', ['nucleus', 'cell', 'envelope'])
    """
    parameters = parameters or Parameters()
    get_method(method)
    if not hasattr(region, "slices"):
        raise InputError(f"a region is one of those of cell_regions, not {type(region).__name__}")
    working = working_volume(volume, parameters.working.resolution)
    geometry = Geometry.of(working)
    if region.window(geometry).empty:
        raise InputError(f"the region of cell {region.label} lies outside the volume")
    factors = Geometry.of(volume).factors(geometry)
    network = get_method(method).check(parameters)
    message = network[1].resampling(geometry.voxel_size, USUAL_FACTOR) if network else ""
    if message:
        log.warning("%s", message)
    asked = get_method(method).asks(parameters)
    if grey_levels is None:
        whole = background is None or asked is not None
        seen = working if whole else working[region.window(geometry)]
        grey_levels = find_grey_levels(seen, parameters.background)

    def segment(
        region: Region, grows: Callable[[Mask], bool] | None = None
    ) -> tuple[xr.Dataset, list[float], xr.DataArray | None]:
        window = region.window(geometry)
        resin, begins, given = _resin(working, window, background, volume, parameters, grey_levels)
        masks = segment_window(
            working[window],
            region,
            method,
            parameters=parameters,
            background=resin,
            grey_levels=grey_levels,
            predicted=predict_window(working, window, asked, grey_levels),
            grows=grows,
            trace=trace,
        )
        return masks, begins, given

    if grow and not trace.steps:
        region, (coarse_labels, begins, given) = segment_grown(
            segment, lambda found: found[0]["cell"].values, region, geometry, parameters.region
        )
    else:
        coarse_labels, begins, given = segment(region)
    if factors == (1, 1):
        return coarse_labels.drop_vars("outline")
    image = volume[region.window(geometry).scale((1, *factors)).clip(volume.shape)]
    fine = _refine_masks(
        coarse_labels,
        image,
        factors,
        begins,
        grey_levels=grey_levels,
        parameters=parameters,
        method=method,
    )
    return fine if given is None else _with_background(fine, given)


def segment_window(
    window: xr.DataArray,
    region: Region,
    method: MethodLike,
    *,
    parameters: Parameters,
    background: NDArray[np.bool_],
    grey_levels: GreyLevels,
    predicted: Mapping[str, NDArray[np.uint8]] | None = None,
    grows: Callable[[Mask], bool] | None = None,
    trace: Trace = NO_TRACE,
) -> xr.Dataset:
    """Segment the cell of one region on its window of the working level, and on no finer one.

    Parameters
    ----------
    window
        (z, y, x) grey values of the region.
    region, method, parameters, grey_levels, trace
        As in :func:`segment_cell`.
    background
        (z, y, x), true in the resin.
    predicted
        The outputs of a network that the method asks for, (z, y, x) each.
    grows
        Function that is true for a cell for which the window is enlarged.

    Returns
    -------
    xarray.Dataset
        As of :func:`segment_cell`, and ``outline``: the nucleus up to the middle of its envelope.
        Nothing but the cell counts where the window is enlarged.
    """
    image = normalise_polarity(window, grey_levels)
    geometry = Geometry.of(window)
    voxel = geometry.voxel_size
    seen = Window(
        image.values,
        background,
        voxel,
        geometry.index(region.centre),
        grey_levels,
        predicted or {},
        grows,
    )
    masks = get_method(method)(seen, parameters, trace=trace)
    whole = grows is None or not grows(masks.cell)
    found = {
        "nucleus": masks.nucleus,
        "cell": masks.cell,
        "envelope": masks.envelope,
        "background": background,
        "outline": masks.nucleus if masks.outline is None else masks.outline,
    }
    return xr.Dataset(
        {name: (image.dims, mask) for name, mask in found.items()},
        coords=image.coords,
        attrs={
            "label": region.label,
            **(_attributes(masks, background, voxel, region, parameters.quality) if whole else {}),
            "voxel_size": voxel,
        },
    )


def _resin(
    working: xr.DataArray,
    window: Box,
    background: xr.DataArray | None,
    volume: xr.DataArray,
    parameters: Parameters,
    grey_levels: GreyLevels,
) -> tuple[Mask, list[float], xr.DataArray | None]:
    """Resin of the window on the working level, its thresholds, and the given background."""
    unknown = [math.nan] * (window[0].stop - window[0].start)
    if background is not None:
        if background.shape != volume.shape:
            raise InputError(
                f"the background's shape {background.shape} is not the volume's, {volume.shape}"
            )
        factors = Geometry.of(volume).factors(Geometry.of(working))
        if factors == (1, 1):
            return np.asarray(background[window].values, dtype=bool), unknown, None
        fine = window.scale((1, *factors)).clip(volume.shape)
        planes = [
            block_mean(np.asarray(plane), factors) >= 0.5 for plane in background[fine].values
        ]
        return np.stack(planes), unknown, background[fine]
    found, facts = background_with_statistics(
        working, parameters.background, grey_levels=grey_levels
    )
    resin, known = dask.compute(found[window].data, facts[window[0]])  # type: ignore[attr-defined,no-untyped-call]
    begins = thresholds(known, contrast=parameters.background.contrast)[:, 0]
    return resin, begins.tolist(), None


def predict_window(
    working: xr.DataArray, window: Box, asked: Outputs | None, grey_levels: GreyLevels
) -> dict[str, NDArray[np.uint8]]:
    """Outputs of a network in the window; whole planes go through it, as in a run."""
    if asked is None:
        return {}
    from hela_dask.operators.classify import classifier, neighbours, sampled_outputs, sampling

    geometry = Geometry.of(working)
    halo = neighbours(classifier(asked.model)[1], geometry.voxel_size)
    z, y, x = window
    beyond = 2 * sampling(geometry, asked.spacing).slices.step - 1 + halo  # slices that it needs
    first = max(0, z.start - beyond)
    part = working[first : z.stop + beyond]
    found = sampled_outputs(part, asked.model, grey_levels, asked.names, asked.spacing)
    planes = np.asarray(found[:, y, x])  # of all outputs, which the network gives at once
    views = sampling(Geometry.of(part), asked.spacing).views
    here = Box((slice(z.start - first, z.stop - first), slice(None), slice(None)))
    return {
        name: interpolate_planes(planes[..., at], views, here)
        for at, name in enumerate(asked.names)
    }


def _refine_masks(
    coarse_labels: xr.Dataset,
    image: xr.DataArray,
    factors: tuple[int, int],
    thresholds: list[float],
    *,
    grey_levels: GreyLevels,
    parameters: Parameters,
    method: MethodLike,
) -> xr.Dataset:
    """The masks on the pixels of the image, some slices at a time."""
    known = coarse_labels.attrs["status"] != NO_RESIN
    masks = {name: np.empty(image.shape, dtype=bool) for name in _MASKS}
    for z0 in range(0, image.shape[0], _SLAB):
        part = slice(z0, z0 + _SLAB)
        nuclei, cells, envelope = (
            coarse_labels[name].values[part].astype(np.uint16) for name in _MASKS[:3]
        )
        if not known:
            cells[:] = 0
        planes = CoarseLabels(
            PackedLabels.from_labels(
                nuclei, cells, envelope, coarse_labels["background"].values[part]
            ),
            thresholds[part],
            [Outline(1, (0, 0), coarse_labels["outline"].values[part], nuclei > 0)],
        )
        refiner = volume_refiner(
            image, part, grey_levels, planes, factors=factors, parameters=parameters, method=method
        )
        tile = refiner.tile(Box.whole(image.shape[1:]))
        for name, found in zip(_MASKS, tile, strict=True):
            masks[name][part] = np.asarray(found) > 0
    if not known:
        masks["cell"] = masks["nucleus"].copy()
    return xr.Dataset(
        {name: (image.dims, mask) for name, mask in masks.items()},
        coords=image.coords,
        attrs={**coarse_labels.attrs, "voxel_size": Geometry.of(image).voxel_size},
    )


def _with_background(masks: xr.Dataset, background: xr.DataArray) -> xr.Dataset:
    """The masks where the background is as it was given."""
    resin = np.asarray(background, dtype=bool)
    cell = masks["cell"] & (~resin | masks["nucleus"])
    return masks.assign(
        cell=cell, envelope=masks["envelope"] & cell, background=(masks["cell"].dims, resin)
    )


def _attributes(
    masks: Masks,
    resin: NDArray[np.bool_],
    voxel: tuple[float, float, float],
    region: Region,
    parameters: QualityParameters,
) -> dict[str, Any]:
    """Status, reason, flags, confidence and its numbers."""
    known = masks.status != NO_RESIN  # otherwise the cell is its nucleus
    cell = masks.cell if known else np.zeros_like(masks.cell)
    found = measure_quality(
        masks.nucleus,
        cell,
        resin,
        voxel,
        parameters,
        ends=region.ends,
    )
    confidence, doubts = compute_confidence(found, parameters, flags=masks.flags)
    reasons = [text for text in (masks.reason, *found["reasons"]) if text]
    return {
        "status": masks.status,
        "reason": "; ".join(reasons),
        "flags": ",".join(dict.fromkeys((*masks.flags, *found["flags"], *doubts))),
        "confidence": confidence,
        **{name: found[name] for name in NUMBERS},
        "instability": found["instability"],
    }
