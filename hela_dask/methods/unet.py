"""Method ``unet``: a network predicts classes, and a watershed assigns them to cells.

The published networks label every nucleus in view, not a single cell (PLoS ONE 2020). Here the
nuclei are the seeds of a watershed of all tissue of the region, with a high cost where the network
predicts a contact of cells; see ``docs/method.md``.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.errors import InputError
from hela_dask.kernels import morphology, stack
from hela_dask.kernels.grey_levels import GreyLevels
from hela_dask.kernels.instances import (
    drop_small_pieces,
    fuse_with_membranes,
    largest_piece_slice,
    nearest_piece,
    nucleus_pieces,
    subsample,
    upsample,
    watershed_cells,
)
from hela_dask.kernels.subpixel import outset
from hela_dask.methods.enclosed import enclosed_nucleus
from hela_dask.methods.method import NO_RESIN_SEEN, BaseMethod, Masks, Network, Window
from hela_dask.methods.slices import is_blank, largest_odd, window_memory
from hela_dask.methods.unet_steps import (
    show_fused,
    show_nuclei,
    show_outputs,
    show_own,
    show_watershed,
)
from hela_dask.parameters import Parameters, UnetParameters, VolumetricParameters
from hela_dask.statuses import NO_RESIN, SEGMENTED
from hela_dask.trace import NO_TRACE, Trace
from hela_dask.types import Labels, Mask, Voxel
from hela_dask.unet.card import EXTRA
from hela_dask.unet.engine import NETWORK_MEMORY
from hela_dask.unet.inference import predict_slices
from hela_dask.unet.model import Model, check_model, load_model

__all__ = ["METHOD", "Unet"]


_CLASSES = ("resin", "cell", "nucleus")  # that the network must predict
_REACH = 1000.0  # nm, the largest distance that networks predict
MIN_IOU = 0.5  # smallest IoU of the two nuclei to be the same one: intersection over the larger
MIN_AGREEMENT = 0.9  # smallest share of their union in a slice: below it, a network only adds
MIN_RELATIVE_SIZE = 0.1  # relative to the cell's own nucleus: smaller whole pieces are dropped
N_SAMPLED_SLICES = 16  # slices sampled for grey values if those of the volume are unknown


class Unet(BaseMethod):
    """A network's classes, and a watershed of the tissue; for data like its training slices."""

    parameters = UnetParameters
    reads = (VolumetricParameters,)  # membranes are fused with the network

    def memory(self, shape: tuple[int, int, int], itemsize: int) -> int:
        """Classes and masks of the window, and a network at work."""
        return NETWORK_MEMORY + window_memory(shape, itemsize + 12)

    def check(self, parameters: Parameters) -> Network:
        """A network that predicts resin, cells and nuclei."""
        found = check_model(parameters.group(UnetParameters).model)
        if missing := [name for name in _CLASSES if name not in found[1].classes]:
            raise InputError(
                f"the model in {found[0]} does not predict {missing[0]}: method unet needs the "
                f"classes {', '.join(_CLASSES)}"
            )
        return found

    def __call__(self, window: Window, parameters: Parameters, *, trace: Trace = NO_TRACE) -> Masks:
        """As :meth:`hela_dask.methods.method.Method.__call__`.

        Raises
        ------
        HelaDaskError
            As :meth:`check`.
        """
        self.check(parameters)
        model = load_model(parameters.group(UnetParameters).model)
        region = _WindowPrediction(
            model, window.image, window.voxel, window.grey_levels, parameters, trace
        )
        return region.masks(window.background, window.centre)


METHOD = Unet()


class _WindowPrediction:
    """The predictions of the network in a window.

    The most probable class, and the cost of the watershed.
    """

    def __init__(
        self,
        model: Model,
        image: NDArray[Any],
        voxel: Voxel,
        grey_levels: GreyLevels | None,
        parameters: Parameters,
        trace: Trace,
    ) -> None:
        p = parameters.group(UnetParameters)
        self._names, self._voxel, self._parameters = model.card.classes, voxel, parameters
        self._p, self._image, self._trace = p, image, trace
        z, y, x = (max(1, int(p.grid / size)) for size in voxel)
        z = min(z, len(image))
        self._step, self._grid = (z, y, x), (z * voxel[0], y * voxel[1], x * voxel[2])
        self._classes = np.empty(image.shape, np.uint8)
        # Its probability of a nucleus, for the fusion with membranes.
        self._nucleus_probability = np.empty(image.shape if p.membranes else (0, 0, 0), np.uint8)
        outputs = model.card.outputs
        at = {name: outputs.index(name) for name in (*self._names, *EXTRA) if name in outputs}
        costs = []
        # Slice by slice, to keep only the needed outputs.
        for z, found in enumerate(predict_slices(model, image, voxel, _greys(image, grey_levels))):
            self._classes[z] = found[..., : len(self._names)].argmax(-1)
            if p.membranes:
                self._nucleus_probability[z] = found[..., at["nucleus"]]
            cost = functools.partial(self._cost_of, found=found, at=at)
            if z % self._step[0] == self._step[0] // 2:
                costs.append(subsample(cost(z)[None], (1, y, x))[0])
            show_outputs(trace, z, model.card, found, cost)
        self._cost = np.stack(costs)

    def _cost_of(self, z: int, found: NDArray[np.uint8], at: dict[str, int]) -> NDArray[np.uint8]:
        """Cost of the watershed: from 0 in the middle of a cell to 255 in a contact."""
        if "distance" in at:
            distance = found[..., at["distance"]].astype(np.float32)
        else:
            depth = morphology.depth_inside(self._classes[z] != at["resin"], self._voxel[1:])
            distance = np.minimum(depth / _REACH, 1.0) * 255
        boundary = found[..., at["boundary"]] if "boundary" in at else np.float32(0)
        cost: NDArray[np.uint8] = ((2.0 * boundary + (255.0 - distance)) / 3.0).astype(np.uint8)
        return cost

    def _class_mask(self, name: str) -> Mask:
        """Where a class is the most probable; nowhere if the network has no such class."""
        if name not in self._names:
            return np.zeros(self._classes.shape, dtype=bool)
        found: Mask = self._classes == self._names.index(name)
        return found

    def masks(self, background: Mask, centre: tuple[int, int, int]) -> Masks:
        """The nucleus nearest to the centre, and its basin of the tissue."""
        p, voxel = self._p, self._voxel
        nucleus, step = self._class_mask("nucleus"), self._step
        nuclei = nucleus_pieces(nucleus, p.neck, p.smallest_nucleus, voxel, step)
        spot = tuple(at // by for at, by in zip(centre, step, strict=True))
        own = nearest_piece(nuclei, spot, self._grid, p.search)
        show_nuclei(self._trace, lambda z: upsample(nuclei, z, nucleus.shape[1:], step), p)
        nuclei = drop_small_pieces(nuclei, own, MIN_RELATIVE_SIZE)
        self._keep_nucleus(nucleus, nuclei, own)
        show_own(self._trace, nucleus, p)
        if own and p.membranes:
            self._fuse(nucleus, (nuclei > 0) & (nuclei != own), background, centre[0])
        if not background.any():
            return self._result(nucleus, nucleus.copy(), NO_RESIN, NO_RESIN_SEEN)
        if not own:
            why = (
                f"the network sees no nucleus of {p.smallest_nucleus:g} µm³ within "
                f"{p.search / 1000:g} µm of the centre"
            )
            return self._result(nucleus, nucleus.copy(), reason=why, flags=("no_nucleus",))
        cell = self._cell(nucleus, nuclei, own, ~background)
        return self._result(nucleus & cell, cell)

    def _keep_nucleus(self, nucleus: Mask, nuclei: Labels, own: int) -> None:
        """Keep one of all nuclei, in place; without holes that are too small to be real."""
        # Voxels between those of the grid belong to the nucleus of their nearest grid point.
        near = np.stack([ndimage.maximum_filter(plane == own, 3) for plane in nuclei])
        near &= (nuclei == own) | (nuclei == 0)
        hole, pixel = self._p.smallest_hole, self._voxel[1:]
        for z in range(len(nucleus)):
            if own and nucleus[z].any():
                nucleus[z] &= upsample(near, z, nucleus.shape[1:], self._step)
                nucleus[z] = ~morphology.remove_pieces(~nucleus[z], hole, pixel)
            else:
                nucleus[z] = False

    def _fuse(self, nucleus: Mask, others: Mask, background: Mask, start: int) -> None:
        """Fuse the network's nucleus, in place, with the one that membranes enclose."""
        p, voxel, image = self._p, self._voxel, self._image
        size = np.count_nonzero(nucleus, axis=(1, 2))
        size[[is_blank(plane) for plane in image]] = 0
        usual = np.flatnonzero(size >= max(1, size.max() / 2))
        if not usual.size:
            return
        z = int(usual[np.argmin(np.abs(usual - start))])
        y, x = np.unravel_index(
            int(np.argmax(morphology.depth_inside(nucleus[z], voxel[1:]))), nucleus[z].shape
        )
        spot, params = (z, int(y), int(x)), self._parameters.group(VolumetricParameters)
        # With its surroundings: smooth tissue is recognised by the lines beside it.
        around = morphology.dilate(nucleus[z], params.spot, voxel[1:]) & ~background[z]
        enclosed = enclosed_nucleus(
            image, background, voxel, spot, params, self._trace, own=around
        ).nucleus
        shared = np.count_nonzero(enclosed & nucleus)
        if shared < MIN_IOU * max(np.count_nonzero(enclosed), np.count_nonzero(nucleus)):
            return  # it leaked, or found something else: only the network is used
        for at, (plane, inside) in enumerate(zip(nucleus, enclosed, strict=True)):
            near = plane | inside
            if near.any():
                both, either = np.count_nonzero(plane & inside), np.count_nonzero(near)
                trusted = bool(both >= MIN_AGREEMENT * either)
                found = fuse_with_membranes(
                    self._nucleus_probability[at],
                    inside,
                    near,
                    p.membranes,
                    voxel[1:],
                    trusted=trusted,
                )
                found &= ~upsample(others, at, plane.shape, self._step)
                plane[:] = ~morphology.remove_pieces(~found, p.smallest_hole, voxel[1:])
        stack.keep_component(nucleus)
        show_fused(self._trace, nucleus)

    def _cell(self, nucleus: Mask, nuclei: Labels, own: int, tissue: Mask) -> Mask:
        """The basin of the nucleus, cleaned slice by slice."""
        p, voxel, step = self._p, self._voxel, self._step
        shares = watershed_cells(subsample(tissue, step), self._cost, nuclei, p.side, self._grid)
        mine = shares == own
        cell = np.zeros(nucleus.shape, dtype=bool)
        for z, inside in enumerate(nucleus):
            plane = upsample(mine, z, inside.shape, step) & tissue[z]
            cell[z] = largest_piece_slice(plane | inside, inside, p.neck, voxel[1:])
        stack.bridge_gaps(cell)
        stack.majority(cell, largest_odd(p.smoothing / voxel[0]))
        cell &= tissue
        cell |= nucleus
        stack.keep_component(cell)
        show_watershed(
            self._trace, tissue, lambda z: upsample(shares, z, cell.shape[1:], step), cell
        )
        return cell

    def _result(
        self,
        nucleus: Mask,
        cell: Mask,
        status: str = SEGMENTED,
        reason: str = "",
        flags: tuple[str, ...] = (),
    ) -> Masks:
        """With the envelope, and the nucleus up to the middle of it."""
        p = self._p
        envelope = self._class_mask("envelope") & cell & ~nucleus
        outline = np.zeros_like(nucleus)
        for z in np.flatnonzero(nucleus.any(axis=(1, 2))):
            outline[z] = outset(nucleus[z], p.envelope, self._voxel[1:]) & cell[z]
        return Masks(nucleus, cell, envelope, status, reason, flags, outline)


def _greys(image: NDArray[Any], grey_levels: GreyLevels | None) -> tuple[float, float]:
    """The grey values that become 0 and 1: the volume's, or else the region's own."""
    if grey_levels is not None and grey_levels.low is not None and grey_levels.high is not None:
        return grey_levels.low, grey_levels.high
    low, high = np.quantile(image[:: max(1, len(image) // N_SAMPLED_SLICES)], (0.02, 0.98))
    return float(low), float(high)
