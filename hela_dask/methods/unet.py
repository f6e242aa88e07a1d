"""Method ``unet``: nuclei by a network and by membranes together, a cell around each; the default.

The published networks label every nucleus in view, not a single cell, and no step follows them
(PLoS ONE 2020). Here the probability of a nucleus, predicted for the whole volume, shows which
tissue is a nucleus; the membranes of ``volumetric`` show where it ends. The cell is found as by
``volumetric``, and ends at the boundaries between cells that the network predicts; see
``docs/method.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.box import Box
from hela_dask.errors import InputError
from hela_dask.kernels import morphology, stack
from hela_dask.kernels.instances import (
    fuse_with_membranes,
    nearest_piece,
    nucleus_pieces,
    upsample,
)
from hela_dask.kernels.nucleus import envelope_ring
from hela_dask.kernels.subpixel import outset_planes
from hela_dask.methods.base import BaseMethod
from hela_dask.methods.cells import segment_slices
from hela_dask.methods.enclosed import Enclosed, enclosed_nucleus
from hela_dask.methods.method import Masks, Network, Outputs, Window
from hela_dask.methods.slices import is_blank, nearest_filled_slice, window_memory
from hela_dask.methods.unet_steps import show_fused, show_nuclei, show_own, show_probability
from hela_dask.parameters import Parameters, UnetParameters, VolumetricParameters
from hela_dask.trace import NO_TRACE, Trace
from hela_dask.types import Labels, Mask, Voxel
from hela_dask.unet.engine import check_installed
from hela_dask.unet.model import check_model, find_model

__all__ = ["METHOD", "Unet"]


_OUTPUTS, _BOUNDARY = ("nucleus",), "boundary"  # of the network
_LIKELY = 128  # of 255: a nucleus is more likely than not
_SURE = 160  # of 255: a boundary ends a cell; less sure ones at a cell's ends cut off its pieces
_MIN_IOU = 0.5  # smallest IoU of the two nuclei to be the same one: intersection over the larger
_MIN_AGREEMENT = 0.9  # smallest share of their union in a slice: below it, a network only adds


class Unet(BaseMethod):
    """Nuclei by a network and by membranes together, cells by the distance to the resin."""

    parameters = UnetParameters
    reads = (VolumetricParameters,)  # membranes, and the cell

    def memory(self, shape: tuple[int, int, int], itemsize: int) -> int:
        """As ``volumetric``, with the outputs of the network, and its nuclei."""
        return window_memory(shape, itemsize + 13, 19)

    def check(self, parameters: Parameters) -> Network:
        """A network that predicts nuclei."""
        check_installed()
        return _suitable(check_model(parameters.group(UnetParameters).model))

    def asks(self, parameters: Parameters) -> Outputs:
        """The probability of a nucleus, and of a boundary between cells."""
        model, card, _ = _suitable(find_model(parameters.group(UnetParameters).model))
        boundary = _BOUNDARY if _BOUNDARY in card.outputs else ""
        names = (*_OUTPUTS, *filter(None, [boundary]))
        return Outputs(model, names, parameters.group(UnetParameters).spacing, boundary)

    def __call__(self, window: Window, parameters: Parameters, *, trace: Trace = NO_TRACE) -> Masks:
        """As :meth:`hela_dask.methods.method.Method.__call__`.

        Raises
        ------
        InputError
            When the window has no probability of a nucleus.
        """
        if (probability := window.predicted.get("nucleus")) is None:
            raise InputError("method unet needs the probability of a nucleus in its window")
        image, background, voxel = window.image, window.background, window.voxel
        p = parameters.group(UnetParameters)
        membranes = parameters.group(VolumetricParameters)
        centre = (nearest_filled_slice(image, window.centre[0]), *window.centre[1:])
        show_probability(trace, probability)
        pieces = _Pieces(probability, voxel, p)
        own = pieces.nearest(centre) if _scaled(window, p) else 0
        show_nuclei(trace, pieces.plane, p)
        nucleus = pieces.mask(own)
        show_own(trace, nucleus, p)
        reason = ""
        if not own:
            found = enclosed_nucleus(image, background, voxel, centre, membranes, trace)
            nucleus, reason = found.nucleus, found.reason
        if not background.any():
            if own:
                _fuse(window, nucleus, partial(pieces.others, own), centre[0], parameters, trace)
            ring = envelope_ring(nucleus, ~nucleus, p.envelope_width, voxel)
            return Masks.without_resin(nucleus, ring, outset_planes(nucleus, p.envelope, voxel))
        contacts = window.predicted.get(_BOUNDARY)
        cell = segment_slices(
            image,
            nucleus,
            background,
            voxel,
            centre,
            membranes,
            contacts=None if contacts is None else contacts >= _SURE,
            trace=trace,
        )
        if window.grows is not None and window.grows(cell):
            nothing = np.zeros_like(cell)
            return Masks(nothing, cell, nothing)
        if own:
            _fuse(window, nucleus, partial(pieces.others, own), centre[0], parameters, trace)
        if (nucleus & ~cell).any():
            cell |= nucleus
            stack.keep_component(cell)
            nucleus &= cell
        if own and (more := pieces.within(cell, nucleus)).any():
            nucleus |= more
            cell |= more
        if not nucleus.any():
            nothing = np.zeros_like(nucleus)
            return Masks(nucleus, cell, nothing, reason=reason, flags=("no_nucleus",))
        ring = envelope_ring(nucleus, cell, p.envelope_width, voxel)
        return Masks(nucleus, cell, ring, outline=outset_planes(nucleus, p.envelope, voxel))


METHOD = Unet()


def _suitable(network: Network) -> Network:
    """The network, if its card has the outputs that the method needs."""
    folder, card, _ = network
    if missing := [name for name in _OUTPUTS if name not in card.outputs]:
        raise InputError(
            f"the model in {folder} does not predict {missing[0]}: method unet needs the "
            f"class {', '.join(_OUTPUTS)}"
        )
    return network


def _scaled(window: Window, p: UnetParameters) -> bool:
    """Whether the network's grey values had their unit: a span that ends at resin."""
    levels = window.grey_levels
    if window.background.any() or levels is None or levels.resin is not None:
        return True
    return find_model(p.model)[1].greys != "span"


class _Pieces:
    """The nuclei of a network in a window, as pieces on a coarser grid."""

    def __init__(self, probability: NDArray[np.uint8], voxel: Voxel, p: UnetParameters) -> None:
        self._probability = probability
        self._voxel, self._p = voxel, p
        z, y, x = (max(1, int(p.grid / size)) for size in voxel)
        self._step = (min(z, len(probability)), y, x)
        self._grid = (self._step[0] * voxel[0], y * voxel[1], x * voxel[2])
        self._pieces: Labels = nucleus_pieces(
            probability >= _LIKELY, p.neck, p.smallest_nucleus, voxel, self._step
        )

    def nearest(self, centre: tuple[int, ...]) -> int:
        """The piece nearest to a voxel; 0 where none is near."""
        spot = tuple(at // by for at, by in zip(centre, self._step, strict=True))
        return nearest_piece(self._pieces, spot, self._grid, self._p.search)

    def plane(self, z: int) -> Labels:
        """The pieces in a slice."""
        return upsample(self._pieces, z, self._probability.shape[1:], self._step)

    def mask(self, label: int) -> Mask:
        """A piece on the window's voxels, without holes that are too small to be real."""
        return self._at_full_size(self._pieces == label, Box.whole(self._probability.shape))

    def others(self, label: int, box: Box) -> Mask:
        """The same of all pieces but one, in a part of the window."""
        return self._at_full_size((self._pieces > 0) & (self._pieces != label), box)

    def _at_full_size(self, chosen: Mask, box: Box) -> Mask:
        """Some pieces on the voxels of a part of the window."""
        found = np.zeros(box.shape, dtype=bool)
        # With two points more on each side nothing at its sides is a piece: no hole is cut there.
        at = morphology.box_around(chosen, 0.0, (1.0, 1.0, 1.0)).grow((0, 2, 2)).clip(chosen.shape)
        scaled, last = at.scale(self._step), np.equal(at.high, chosen.shape)
        ends = np.where(last, self._probability.shape, scaled.high)  # of the grid's last points
        part = Box.of(zip(scaled.low, ends, strict=True))
        part = Box(((part & box)[0], *part[1:]))
        if at.empty or (part & box).empty:
            return found
        # Voxels between those of the grid belong to the nucleus of their nearest grid point.
        near = np.stack([ndimage.maximum_filter(plane, 3) for plane in chosen[at]])
        near &= chosen[at] | (self._pieces[at] == 0)
        slices, rows, columns = (
            np.minimum(np.arange(p.start, p.stop) // by, here.stop - 1) - here.start
            for p, by, here in zip(part, self._step, at, strict=True)
        )
        hole, pixel = self._p.smallest_hole, self._voxel[1:]
        inside = self._probability[part] >= _LIKELY
        for z, plane in zip(slices, inside, strict=True):
            own = plane & near[z][np.ix_(rows, columns)]
            plane[:] = morphology.fill_small(own, hole, pixel)
        shared = part & box
        found[shared.relative_to(box)] = inside[shared.relative_to(part)]
        return found

    def within(self, cell: Mask, nucleus: Mask) -> Mask:
        """All pieces that lie in a cell for the most part, beside its nucleus."""
        y, x = self._step[1:]
        here, own = (
            mask[self._step[0] // 2 :: self._step[0], y // 2 :: y, x // 2 :: x]
            for mask in (cell, nucleus)
        )
        count = int(self._pieces.max(initial=0)) + 1
        size = np.bincount(self._pieces.ravel(), minlength=count)
        inside = np.bincount(self._pieces[here], minlength=count)
        known = np.bincount(self._pieces[own], minlength=count)
        chosen = (inside > size / 2) & (known < size / 2)
        chosen[0] = False
        return self._at_full_size(chosen[self._pieces], Box.whole(cell.shape))


def _fuse(
    window: Window,
    nucleus: Mask,
    others: Callable[[Box], Mask],
    start: int,
    parameters: Parameters,
    trace: Trace,
) -> None:
    """Fuse the network's nucleus, in place, with the one that membranes enclose.

    Membranes are detected around the network's nucleus only. `others` are the network's other
    nuclei in a part of the window.
    """
    p, voxel = parameters.group(UnetParameters), window.voxel
    if not p.membranes:
        return
    box = morphology.box_around(nucleus, p.margin, voxel)
    part = nucleus[box]
    found = _enclosed(window, part, box, start, parameters, trace)
    if found is None:
        return  # it leaked, or found something else: only the network is used
    for plane, inside, likely, foreign in zip(
        part, found.nucleus, window.predicted["nucleus"][box], others(box), strict=True
    ):
        near = plane | inside
        if near.any():
            both, either = np.count_nonzero(plane & inside), np.count_nonzero(near)
            fused = fuse_with_membranes(
                likely,
                inside,
                near,
                p.membranes,
                voxel[1:],
                trusted=bool(both >= _MIN_AGREEMENT * either),
            )
            fused &= ~foreign
            plane[:] = morphology.fill_small(fused, p.smallest_hole, voxel[1:])
    show_fused(trace, nucleus)


def _enclosed(
    window: Window,
    nucleus: Mask,
    box: Box,
    start: int,
    parameters: Parameters,
    trace: Trace,
) -> Enclosed | None:
    """The nucleus between membranes in a part of the window; None where it is another one."""
    params, voxel = parameters.group(VolumetricParameters), window.voxel
    image, background = (np.ascontiguousarray(of[box]) for of in (window.image, window.background))
    size = np.count_nonzero(nucleus, axis=(1, 2))
    size[[is_blank(plane) for plane in image]] = 0
    usual = np.flatnonzero(size >= max(1, size.max() / 2))
    if not usual.size:
        return None
    z = int(usual[np.argmin(np.abs(usual - (start - box.low[0])))])
    depth = morphology.depth_inside(nucleus[z], voxel[1:])
    y, x = np.unravel_index(int(np.argmax(depth)), depth.shape)
    within = trace.within(box, window.image.shape)
    spot = (z, int(y), int(x))
    found = enclosed_nucleus(image, background, voxel, spot, params, within, known=nucleus)
    shared = np.count_nonzero(found.nucleus & nucleus)
    larger = max(np.count_nonzero(found.nucleus), np.count_nonzero(nucleus))
    return found if shared >= _MIN_IOU * larger else None
