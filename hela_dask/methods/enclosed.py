"""A nucleus in space: the piece of tissue between membranes at one place, and its outline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels import morphology, stack
from hela_dask.kernels.core import (
    MAX_RESIN_SHARE,
    Core,
    fill_holes,
    find_core,
    find_inside,
)
from hela_dask.kernels.levelling import equalise_slices
from hela_dask.kernels.nucleus import smoothest_spot
from hela_dask.kernels.outline import outline_volume
from hela_dask.kernels.subpixel import inset
from hela_dask.methods import volumetric_steps as steps
from hela_dask.methods.cells import basin_at_centre
from hela_dask.methods.membranes import Membranes
from hela_dask.methods.slices import is_blank
from hela_dask.parameters import VolumetricParameters
from hela_dask.trace import Trace
from hela_dask.types import Mask, Voxel

__all__ = ["Enclosed", "enclosed_nucleus"]


# Membrane strength is kept in tenths of a deviation, up to 25.5: an envelope is far above the
# inside, and larger values have no effect.
_TENTHS = 10


@dataclass(frozen=True)
class Enclosed:
    """The result of :func:`enclosed_nucleus`.

    Attributes
    ----------
    nucleus, outline : ndarray of bool, (z, y, x)
        Up to its envelope, and to the middle of it; empty where there is none.
    others : ndarray of float, (n, 3)
        z, y, x of a voxel of each further piece like it.
    reason : str
        Why there is none.
    """

    nucleus: Mask
    outline: Mask
    others: NDArray[np.float64]
    reason: str = ""


def enclosed_nucleus(
    image: NDArray[Any],
    background: Mask,
    voxel: Voxel,
    centre: tuple[int, int, int],
    parameters: VolumetricParameters,
    trace: Trace,
    *,
    known: Mask | None = None,
) -> Enclosed:
    """The nucleus around a cell's centre, between membranes detected in all slices at once.

    Parameters
    ----------
    image
        (z, y, x) grey values.
    background
        (z, y, x), true in the resin.
    voxel
        Voxel size (z, y, x) in nm.
    centre
        z, y, x, voxels; slice z is not empty, if any is not.
    parameters
        Of the method ``volumetric``.
    trace
        Keeps the steps.
    known
        (z, y, x), most of the nucleus, where it is known approximately. The spot lies in it, slices
        are levelled by the strength of membranes deeper in it than ``inside``, and no other nuclei
        are looked for. None: the spot lies in the cell's own part of the slice, approximately.
    """
    p = parameters
    core, strength, reason = _core(image, background, voxel, centre, p, trace, known=known)
    if reason:
        nothing = np.zeros(image.shape, dtype=bool)
        return Enclosed(nothing, nothing, core.others, reason)
    solid = fill_holes(core.mask, strength, voxel, p.hole * p.membrane * _TENTHS)
    steps.show_filled(trace, solid)
    outline = outline_volume(strength, solid, background, voxel, p)
    stack.keep_component(outline)
    steps.show_outline(trace, outline, p)
    nucleus = np.zeros_like(outline)
    for z in map(int, np.flatnonzero(outline.any(axis=(1, 2)))):
        nucleus[z] = inset(outline[z], p.envelope, voxel[1:])
        outline[z][morphology.pieces_without(outline[z], nucleus[z])] = False
    steps.show_nucleus(trace, nucleus, p)
    return Enclosed(nucleus, outline, core.others)


def _core(
    image: NDArray[Any],
    background: Mask,
    voxel: Voxel,
    centre: tuple[int, ...],
    p: VolumetricParameters,
    trace: Trace,
    *,
    known: Mask | None,
) -> tuple[Core, NDArray[np.uint8], str]:
    """The core of the nucleus, membrane strength, and why there is no nucleus."""
    membranes = Membranes(image, background, voxel, p)
    if known is None:
        own = basin_at_centre(~background[centre[0]], (centre[1], centre[2]), voxel[1:], p)
    else:  # with its surroundings: smooth tissue is recognised by the lines beside it
        own = morphology.dilate(known[centre[0]], p.spot, voxel[1:]) & ~background[centre[0]]
    spot = None
    if not is_blank(image[centre[0]]):
        spot = _spot(membranes, own, None if known is None else known[centre[0]], centre, voxel, p)
    if spot is None:
        nothing = Core(np.zeros(image.shape, dtype=bool), 0.0, np.empty((0, 3)), 0.0)
        return nothing, np.empty(0, np.uint8), "no tissue near the centre"
    steps.show_spot(trace, spot, image.shape, voxel, p)
    strength = _strength(image, membranes)
    del membranes
    if known is None:
        inside = find_inside(_free(strength, background, p), background, spot, voxel, p)
    else:  # so deep in it there is no envelope
        inside = np.stack([morphology.erode(plane, p.inside, voxel[1:]) for plane in known])
    equalise_slices(strength, inside, voxel, p.spot, p.membrane, _TENTHS)
    del inside
    free = _free(strength, background, p)
    core = find_core(free, background, spot, voxel, p, others=known is None)
    # Most of it has to lie in the cell's own part of its first slice: otherwise it belongs to a
    # neighbour.
    begun = core.mask[spot[0]]
    foreign = np.count_nonzero(begun & own) <= np.count_nonzero(begun) / 2
    steps.show_strength(trace, strength, _TENTHS, p)
    steps.show_free(trace, free)
    steps.show_core(trace, core, p)
    reason = _rejection_reason(core, voxel, p)
    if not reason and foreign:
        reason = "the nucleus nearest to the centre lies in another cell"
    return core, strength, reason


def _free(strength: NDArray[np.uint8], background: Mask, p: VolumetricParameters) -> Mask:
    """Tissue without membranes."""
    free: Mask = strength < p.membrane * _TENTHS
    free[background] = False
    return free


def _spot(
    membranes: Membranes,
    own: Mask,
    known: Mask | None,
    centre: tuple[int, ...],
    voxel: Voxel,
    p: VolumetricParameters,
) -> tuple[int, int, int] | None:
    """A smooth spot near the cell's centre.

    The statistics inside the nucleus are measured there.
    """
    z, y, x = centre
    place = smoothest_spot(membranes.ridges(z)[0], own, (y, x), voxel[1:], p, known=known)
    if place is None:
        return None
    spot = (z, *place)
    membranes.calibrate_ball(spot, p.spot)
    return spot


def _strength(image: NDArray[Any], membranes: Membranes) -> NDArray[np.uint8]:
    """Membrane strength of all slices; an empty slice gets the mean of its neighbours."""
    strength = np.empty(image.shape, dtype=np.uint8)
    shown = []
    for z, plane in enumerate(image):
        membranes.write_strength(z, _TENTHS, strength[z])
        if not is_blank(plane):
            shown.append(z)
    for z in sorted(set(range(len(image))) - set(shown)):
        low = max((at for at in shown if at < z), default=-1)
        high = min((at for at in shown if at > z), default=-1)
        sides = [strength[at].astype(np.uint16) for at in (low, high) if at >= 0]
        if sides:
            strength[z] = sum(sides) // len(sides)
    return strength


def _rejection_reason(core: Core, voxel: Voxel, p: VolumetricParameters) -> str:
    """The reason why the core is no nucleus; empty where it is one."""
    largest = float(core.mask.sum(axis=(1, 2)).max(initial=0)) * voxel[1] * voxel[2] * 1e-6
    if largest < p.smallest_nucleus:
        return (
            f"no piece without membranes of {p.smallest_nucleus:g} µm² in a slice within "
            f"{p.search / 1000:g} µm of the centre"
        )
    if core.resin > MAX_RESIN_SHARE:
        return (
            "the smoothest tissue near the centre is not a nucleus: "
            f"{core.resin:.0%} of what surrounds it is resin, not cytoplasm"
        )
    return ""
