"""Method ``volumetric``: nucleus and cell from evidence in three dimensions; the default.

Membranes are told in the plane and across slices at once, the nucleus is one piece of space
between them, and its outline is the envelope's line in space; see ``docs/method.md``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels import morphology, stack
from hela_dask.kernels.core import MOST_RESIN, Core, even_out, fill_holes, find_core
from hela_dask.kernels.levels import GreyLevels
from hela_dask.kernels.nucleus import envelope_ring, smoothest_spot
from hela_dask.kernels.outline import outline_volume
from hela_dask.methods import NO_RESIN, Masks
from hela_dask.methods.cells import own_piece, segment_slices
from hela_dask.methods.membranes import Membranes
from hela_dask.methods.slices import blank, nearest_shown
from hela_dask.methods.trace import Trace
from hela_dask.methods.volumetric_steps import Shown
from hela_dask.parameters import Parameters, VolumetricParameters

__all__ = ["volumetric"]

Mask = NDArray[np.bool_]
Grey = NDArray[np.float32]
Voxel = tuple[float, float, float]

# Membrane strength is kept in tenths of a deviation, up to 25.5: an envelope is far over that
# of the inside, and how far does not matter.
_TENTHS = 10


def volumetric(
    image: NDArray[Any],
    background: Mask,
    voxel: Voxel,
    centre: tuple[int, int, int],
    parameters: Parameters,
    *,
    trace: Trace | None = None,
    levels: GreyLevels | None = None,
) -> Masks:
    """Nucleus and cell of one region; the signature is :class:`~hela_dask.methods.Method`'s."""
    del levels  # membranes are told by their own contrast
    p = parameters.volumetric
    centre = (nearest_shown(image, centre[0]), *centre[1:])
    shown = Shown(trace)
    nucleus, outline, found, reason = _nucleus(image, background, voxel, centre, p, shown)
    if not background.any():
        ring = envelope_ring(nucleus, ~nucleus, p.envelope_width, voxel)
        return Masks(nucleus, nucleus.copy(), ring, "no_resin", NO_RESIN, outline=outline)
    cell = segment_slices(image, nucleus, background, voxel, centre, p, trace=trace)
    nucleus &= cell
    if not nucleus.any():
        return Masks(nucleus, cell, np.zeros_like(nucleus), "no_nucleus", reason)
    ring = envelope_ring(nucleus, cell, p.envelope_width, voxel)
    twins = [cell[tuple(int(at) for at in place)] for place in found.others]
    if any(twins):
        why = f"{sum(twins) + 1} nuclei in one cell; the one nearest its centre is outlined"
        return Masks(nucleus, cell, ring, "ok", why, ("two_nuclei",), outline)
    return Masks(nucleus, cell, ring, outline=outline)


def _nucleus(
    image: NDArray[Any],
    background: Mask,
    voxel: Voxel,
    centre: tuple[int, int, int],
    p: VolumetricParameters,
    shown: Shown,
) -> tuple[Mask, Mask, Core, str]:
    """The nucleus, up to its envelope and to the middle of it; its core; and why there is none."""
    core, strength, reason = _core(image, background, voxel, centre, p, shown)
    if reason:
        nothing = np.zeros(image.shape, dtype=bool)
        return nothing, nothing, core, reason
    solid = fill_holes(core.mask, strength, voxel, p.hole * p.membrane * _TENTHS)
    shown.filled(solid)
    outline = outline_volume(strength, solid, background, voxel, p)
    stack.keep_component(outline)
    shown.outline(outline, p)
    nucleus = np.zeros_like(outline)
    for z in map(int, np.flatnonzero(outline.any(axis=(1, 2)))):
        nucleus[z] = morphology.erode(outline[z], p.inset(voxel[1:]), voxel[1:])
        outline[z][morphology.pieces_without(outline[z], nucleus[z])] = False
    shown.nucleus(nucleus, p)
    return nucleus, outline, core, ""


def _core(
    image: NDArray[Any],
    background: Mask,
    voxel: Voxel,
    centre: tuple[int, ...],
    p: VolumetricParameters,
    shown: Shown,
) -> tuple[Core, NDArray[np.uint8], str]:
    """The core of the nucleus, membrane strength, and why there is no nucleus."""
    membranes = Membranes(image, background, voxel, p)
    own = own_piece(~background[centre[0]], (centre[1], centre[2]), voxel[1:], p)
    spot = _spot(membranes, own, centre, voxel, p)
    if spot is None:
        nothing = Core(np.zeros(image.shape, dtype=bool), 0.0, np.empty((0, 3)), 0.0)
        return nothing, np.empty(0, np.uint8), "no tissue near the centre"
    shown.spot(spot, image.shape, voxel, p)
    strength = _strength(image, membranes)
    del membranes
    first = find_core(_free(strength, background, p), background, spot, voxel, p, described=False)
    even_out(strength, first.mask, voxel, p.spot)
    del first
    free = _free(strength, background, p)
    core = find_core(free, background, spot, voxel, p)
    # Most of it has to lie in the cell's own part of its first slice: else it is a neighbour's.
    begun = core.mask[spot[0]]
    foreign = np.count_nonzero(begun & own) <= np.count_nonzero(begun) / 2
    shown.strength(strength, _TENTHS, p)
    shown.free(free)
    shown.core(core, p)
    reason = _not_a_nucleus(core, voxel, p)
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
    centre: tuple[int, ...],
    voxel: Voxel,
    p: VolumetricParameters,
) -> tuple[int, int, int] | None:
    """A smooth spot near the cell's centre; what is normal inside the nucleus is measured there."""
    z, y, x = centre
    place = smoothest_spot(membranes.ridges(z)[0], own, (y, x), voxel[1:], p)
    if place is None:
        return None
    spot = (z, *place)
    membranes.calibrate_ball(spot, p.spot)
    return spot


def _strength(image: NDArray[Any], membranes: Membranes) -> NDArray[np.uint8]:
    """Membrane strength of all slices; one that shows nothing is between its neighbours."""
    strength = np.empty(image.shape, dtype=np.uint8)
    shown = []
    for z, plane in enumerate(image):
        strength[z] = np.clip(membranes.strength(z) * _TENTHS, 0, 255)
        if not blank(plane):
            shown.append(z)
    for z in sorted(set(range(len(image))) - set(shown)):
        low = max((at for at in shown if at < z), default=-1)
        high = min((at for at in shown if at > z), default=-1)
        sides = [strength[at].astype(np.uint16) for at in (low, high) if at >= 0]
        if sides:
            strength[z] = sum(sides) // len(sides)
    return strength


def _not_a_nucleus(core: Core, voxel: Voxel, p: VolumetricParameters) -> str:
    """Why what was found is no nucleus; empty where it is one."""
    largest = float(core.mask.sum(axis=(1, 2)).max(initial=0)) * voxel[1] * voxel[2] * 1e-6
    if largest < p.smallest_nucleus:
        return (
            f"no piece without membranes of {p.smallest_nucleus:g} µm² in a slice within "
            f"{p.search / 1000:g} µm of the centre"
        )
    if core.resin > MOST_RESIN:
        return (
            "the smoothest tissue near the centre is not a nucleus: "
            f"{core.resin:.0%} of what surrounds it is resin, not cytoplasm"
        )
    return ""
