"""Method ``unet``: a network tells what each voxel is, one partition tells whose it is.

The published networks label every nucleus in view and no cell of its own (PLoS ONE 2020). Here the
nuclei are taken as seeds and all tissue of the region is given to one of them, by a flood that is
slow where the network sees a contact of cells; see ``docs/method.md``.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.errors import InputError
from hela_dask.kernels import morphology, stack
from hela_dask.kernels.instances import (
    nearest_piece,
    nucleus_pieces,
    own_slice,
    partition,
    thick,
    thin,
    weighed,
    without_strays,
)
from hela_dask.kernels.levels import GreyLevels
from hela_dask.methods.enclosed import enclosed_nucleus
from hela_dask.methods.method import NO_RESIN_SEEN, BaseMethod, Masks, Network, Window
from hela_dask.methods.slices import blank, odd, window_memory
from hela_dask.methods.unet_steps import (
    show_nuclei,
    show_outputs,
    show_own,
    show_partition,
    show_settled,
)
from hela_dask.parameters import Parameters, UnetParameters, VolumetricParameters
from hela_dask.statuses import NO_RESIN, SEGMENTED
from hela_dask.trace import NO_TRACE, Trace
from hela_dask.types import Labels, Mask, Voxel
from hela_dask.unet.backend import NETWORK_MEMORY, check_installed
from hela_dask.unet.card import EXTRA
from hela_dask.unet.inference import predict_slices
from hela_dask.unet.model import Model, find_model, load_model

__all__ = ["METHOD", "Unet"]


_CLASSES = ("resin", "cell", "nucleus")  # that the network must predict
_REACH = 1000.0  # nm, at which the distance that networks tell ends
_ALIKE = 0.5  # of two nuclei, to be the same one: so much of the larger is shared
_AGREED = 0.9  # of both together, in a slice: where they share less, a network only adds
_STRAY = 0.1  # of the cell's own nucleus: a smaller one that is whole is none
_SOME = 16  # slices whose grey values are looked at, where the volume's are not known


class Unet(BaseMethod):
    """A network's classes, and one partition of the tissue; for data like its training slices."""

    parameters = UnetParameters
    reads = (VolumetricParameters,)  # membranes decide where the network and they differ

    def memory(self, shape: tuple[int, int, int], itemsize: int) -> int:
        """Classes and masks of the window, and a network at work."""
        return NETWORK_MEMORY + window_memory(shape, itemsize + 12)

    def check(self, parameters: Parameters) -> Network:
        """A network that predicts resin, cells and nuclei."""
        check_installed()
        found = find_model(parameters.group(UnetParameters).model)
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
        region = _Region(model, window.image, window.voxel, window.levels, parameters, trace)
        return region.masks(window.background, window.centre)


METHOD = Unet()


class _Region:
    """What the network makes of a region: the likeliest class, and how hard the way is."""

    def __init__(
        self,
        model: Model,
        image: NDArray[Any],
        voxel: Voxel,
        levels: GreyLevels | None,
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
        # How sure it is of a nucleus, as far as that is looked at again.
        self._sure = np.empty(image.shape if p.membranes else (0, 0, 0), np.uint8)
        outputs = model.card.outputs
        at = {name: outputs.index(name) for name in (*self._names, *EXTRA) if name in outputs}
        hard = []
        # Slice by slice, so that only what is needed of the outputs is kept.
        for z, found in enumerate(predict_slices(model, image, voxel, _greys(image, levels))):
            self._classes[z] = found[..., : len(self._names)].argmax(-1)
            if p.membranes:
                self._sure[z] = found[..., at["nucleus"]]
            way = functools.partial(self._way, found=found, at=at)
            if z % self._step[0] == self._step[0] // 2:
                hard.append(thin(way(z)[None], (1, y, x))[0])
            show_outputs(trace, z, model.card, found, way)
        self._hard = np.stack(hard)

    def _way(self, z: int, found: NDArray[np.uint8], at: dict[str, int]) -> NDArray[np.uint8]:
        """How hard it is to get on: from 0 in the middle of a cell to 255 in a contact."""
        if "distance" in at:
            distance = found[..., at["distance"]].astype(np.float32)
        else:
            depth = morphology.depth_inside(self._classes[z] != at["resin"], self._voxel[1:])
            distance = np.minimum(depth / _REACH, 1.0) * 255
        boundary = found[..., at["boundary"]] if "boundary" in at else np.float32(0)
        way: NDArray[np.uint8] = ((2.0 * boundary + (255.0 - distance)) / 3.0).astype(np.uint8)
        return way

    def _is(self, name: str) -> Mask:
        """Where a class is the likeliest; nowhere if the network does not know it."""
        if name not in self._names:
            return np.zeros(self._classes.shape, dtype=bool)
        found: Mask = self._classes == self._names.index(name)
        return found

    def masks(self, background: Mask, centre: tuple[int, int, int]) -> Masks:
        """The nucleus nearest to the centre, and its share of the tissue."""
        p, voxel = self._p, self._voxel
        nucleus, step = self._is("nucleus"), self._step
        nuclei = nucleus_pieces(nucleus, p.neck, p.smallest_nucleus, voxel, step)
        spot = tuple(at // by for at, by in zip(centre, step, strict=True))
        own = nearest_piece(nuclei, spot, self._grid, p.search)
        show_nuclei(self._trace, lambda z: thick(nuclei, z, nucleus.shape[1:], step), p)
        nuclei = without_strays(nuclei, own, _STRAY)
        self._keep(nucleus, nuclei, own)
        show_own(self._trace, nucleus, p)
        if own and p.membranes:
            self._settle(nucleus, (nuclei > 0) & (nuclei != own), background, centre[0])
        if not background.any():
            return self._delivered(nucleus, nucleus.copy(), NO_RESIN, NO_RESIN_SEEN)
        if not own:
            why = (
                f"the network sees no nucleus of {p.smallest_nucleus:g} µm³ within "
                f"{p.search / 1000:g} µm of the centre"
            )
            return self._delivered(nucleus, nucleus.copy(), reason=why, flags=("no_nucleus",))
        cell = self._cell(nucleus, nuclei, own, ~background)
        return self._delivered(nucleus & cell, cell)

    def _keep(self, nucleus: Mask, nuclei: Labels, own: int) -> None:
        """Of all nuclei one, in place; without holes that are too small to be real."""
        # Voxels between those of the grid are the nucleus' whose next one they are.
        near = np.stack([ndimage.maximum_filter(plane == own, 3) for plane in nuclei])
        near &= (nuclei == own) | (nuclei == 0)
        hole, pixel = self._p.smallest_hole, self._voxel[1:]
        for z in range(len(nucleus)):
            if own and nucleus[z].any():
                nucleus[z] &= thick(near, z, nucleus.shape[1:], self._step)
                nucleus[z] = ~morphology.remove_pieces(~nucleus[z], hole, pixel)
            else:
                nucleus[z] = False

    def _settle(self, nucleus: Mask, others: Mask, background: Mask, start: int) -> None:
        """Weigh the network's nucleus, in place, against the one that membranes enclose."""
        p, voxel, image = self._p, self._voxel, self._image
        size = np.count_nonzero(nucleus, axis=(1, 2))
        size[[blank(plane) for plane in image]] = 0
        usual = np.flatnonzero(size >= max(1, size.max() / 2))
        if not usual.size:
            return
        z = int(usual[np.argmin(np.abs(usual - start))])
        y, x = np.unravel_index(
            int(np.argmax(morphology.depth_inside(nucleus[z], voxel[1:]))), nucleus[z].shape
        )
        spot, knobs = (z, int(y), int(x)), self._parameters.group(VolumetricParameters)
        # With what lies around it: where tissue is smooth is told by the lines beside it.
        around = morphology.dilate(nucleus[z], knobs.spot, voxel[1:]) & ~background[z]
        enclosed = enclosed_nucleus(
            image, background, voxel, spot, knobs, self._trace, own=around
        ).nucleus
        shared = np.count_nonzero(enclosed & nucleus)
        if shared < _ALIKE * max(np.count_nonzero(enclosed), np.count_nonzero(nucleus)):
            return  # it leaked, or found something else: the network is alone
        for at, (plane, inside) in enumerate(zip(nucleus, enclosed, strict=True)):
            near = plane | inside
            if near.any():
                both, either = np.count_nonzero(plane & inside), np.count_nonzero(near)
                trusted = bool(both >= _AGREED * either)
                found = weighed(
                    self._sure[at], inside, near, p.membranes, voxel[1:], trusted=trusted
                )
                found &= ~thick(others, at, plane.shape, self._step)
                plane[:] = ~morphology.remove_pieces(~found, p.smallest_hole, voxel[1:])
        stack.keep_component(nucleus)
        show_settled(self._trace, nucleus)

    def _cell(self, nucleus: Mask, nuclei: Labels, own: int, tissue: Mask) -> Mask:
        """The share of the tissue that the nucleus gets, cleaned slice by slice."""
        p, voxel, step = self._p, self._voxel, self._step
        shares = partition(thin(tissue, step), self._hard, nuclei, p.side, self._grid)
        mine = shares == own
        cell = np.zeros(nucleus.shape, dtype=bool)
        for z, inside in enumerate(nucleus):
            plane = thick(mine, z, inside.shape, step) & tissue[z]
            cell[z] = own_slice(plane | inside, inside, p.neck, voxel[1:])
        stack.bridge_gaps(cell)
        stack.majority(cell, odd(p.smoothing / voxel[0]))
        cell &= tissue
        cell |= nucleus
        stack.keep_component(cell)
        show_partition(self._trace, tissue, lambda z: thick(shares, z, cell.shape[1:], step), cell)
        return cell

    def _delivered(
        self,
        nucleus: Mask,
        cell: Mask,
        status: str = SEGMENTED,
        reason: str = "",
        flags: tuple[str, ...] = (),
    ) -> Masks:
        """With the envelope, and the nucleus up to the middle of it."""
        p = self._p
        envelope = self._is("envelope") & cell & ~nucleus
        outline = np.zeros_like(nucleus)
        for z in np.flatnonzero(nucleus.any(axis=(1, 2))):
            outline[z] = morphology.dilate(nucleus[z], p.envelope, self._voxel[1:]) & cell[z]
        return Masks(nucleus, cell, envelope, status, reason, flags, outline)


def _greys(image: NDArray[Any], levels: GreyLevels | None) -> tuple[float, float]:
    """The grey values that become 0 and 1: the volume's, or else the region's own."""
    if levels is not None and levels.low is not None and levels.high is not None:
        return levels.low, levels.high
    low, high = np.quantile(image[:: max(1, len(image) // _SOME)], (0.02, 0.98))
    return float(low), float(high)
