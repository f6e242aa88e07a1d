"""Method ``propagate``: nucleus and cell from the cell's centre slice up and down.

The classical method of the J. Imaging 2021 paper (sections 2.5 and 2.6), with the edges of its
super-pixels replaced by a membrane strength in nm, which also works where the nuclear envelope is
one pixel wide; see ``docs/method.md``.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels import morphology, stack
from hela_dask.kernels.nucleus import (
    envelope_ring,
    outline_nucleus,
    propagate_nucleus,
    smoothest_spot,
    start_nucleus,
)
from hela_dask.kernels.subpixel import inset
from hela_dask.methods import propagate_steps as steps
from hela_dask.methods.base import BaseMethod
from hela_dask.methods.cells import basin_at_centre, segment_slices
from hela_dask.methods.membranes import Membranes
from hela_dask.methods.method import Masks, Window
from hela_dask.methods.slices import (
    disc_around,
    is_blank,
    largest_odd,
    nearest_filled_slice,
    outwards,
    window_memory,
)
from hela_dask.parameters import Parameters, PropagateParameters
from hela_dask.trace import NO_TRACE, Trace
from hela_dask.types import Grey, Mask, Voxel

__all__ = ["METHOD", "Propagate"]


class Propagate(BaseMethod):
    """The published classical method: slice by slice from the centre slice up and down."""

    parameters = PropagateParameters

    def memory(self, shape: tuple[int, int, int], itemsize: int) -> int:
        """Masks and membranes of the window, and filters of some slices at a time."""
        return window_memory(shape, itemsize + 7, 25)

    def __call__(self, window: Window, parameters: Parameters, *, trace: Trace = NO_TRACE) -> Masks:
        """As :meth:`hela_dask.methods.method.Method.__call__`."""
        image, background, voxel = window.image, window.background, window.voxel
        p = parameters.group(PropagateParameters)
        centre = (nearest_filled_slice(image, window.centre[0]), *window.centre[1:])
        nucleus, outline = _nucleus(image, background, voxel, centre, p, trace)
        if not background.any():
            return Masks.without_resin(nucleus, np.zeros_like(nucleus), outline)
        cell = segment_slices(image, nucleus, background, voxel, centre, p, trace=trace)
        nucleus &= cell
        if not nucleus.any():
            return Masks(
                nucleus,
                cell,
                np.zeros_like(nucleus),
                reason=f"no smooth piece of {p.smallest_nucleus:g} µm² within "
                f"{p.search / 1000:g} µm of the centre in slice {centre[0] + 1} of the region",
                flags=("no_nucleus",),
            )
        ring = envelope_ring(nucleus, cell, p.envelope_width, voxel)
        return Masks(nucleus, cell, ring, outline=outline)


METHOD = Propagate()


def _nucleus(
    image: NDArray[Any],
    background: Mask,
    voxel: Voxel,
    centre: tuple[int, int, int],
    p: PropagateParameters,
    trace: Trace,
) -> tuple[Mask, Mask]:
    """All slices of the nucleus, up to the inner face of its envelope and up to its middle."""
    pixel, start = voxel[1:], centre[0]
    nucleus = np.zeros(image.shape, dtype=bool)
    membranes = Membranes(image, background, voxel, p)
    begun = _start(membranes, background[start], centre, pixel, p, trace)
    if begun is None:
        return nucleus, nucleus
    first, clearance, spot = begun
    margin = p.reach + p.outside + clearance

    def outline(z: int, strength: Grey, core: Mask, box: tuple[slice, ...]) -> None:
        nucleus[z][box] = outline_nucleus(strength[box], core[box], background[z][box], pixel, p)
        steps.show_outline(trace, z, nucleus[z], p)

    outline(start, membranes.strength(start), first, morphology.box_around(first, margin, pixel))
    for direction in (1, -1):
        last_found, recent = start, deque([first], maxlen=max(1, int(p.memory / voxel[0])))
        for z in outwards(start, direction, len(image)):
            if is_blank(image[z]):
                continue
            strength, inside = membranes.free(z)
            previous = np.logical_or.reduce(recent)
            box = morphology.box_around(previous, margin, pixel)
            steps.show_pieces(
                trace, z, strength, inside, previous, clearance=clearance, pixel=pixel, p=p
            )
            core = np.zeros_like(previous)
            core[box] = propagate_nucleus(inside[box], previous[box], clearance, pixel, p)
            steps.show_core(trace, z, core, p)
            if core.any():
                last_found = z
                recent.append(core)
                outline(z, strength, core, box)
            elif abs(z - last_found) * voxel[0] > p.gap:
                break
    stack.bridge_gaps(nucleus)
    stack.majority(nucleus, largest_odd(p.smoothing / voxel[0]))
    stack.keep_component(nucleus, (start, *spot))
    steps.show_majority(trace, nucleus, "nucleus", p)
    middle = nucleus.copy()
    for z in map(int, np.flatnonzero(nucleus.any(axis=(1, 2)))):
        nucleus[z] = inset(nucleus[z], p.envelope, pixel)
    steps.show_nucleus(trace, nucleus, start, voxel, p)
    return nucleus, middle


def _start(
    membranes: Membranes,
    background: Mask,
    centre: tuple[int, int, int],
    pixel: tuple[float, float],
    p: PropagateParameters,
    trace: Trace,
) -> tuple[Mask, float, tuple[int, int]] | None:
    """Core of the nucleus in its first slice, its clearance and a spot in it; None without one."""
    z = centre[0]
    own = basin_at_centre(~background, centre[1:], pixel, p)
    spot = smoothest_spot(membranes.ridges(z)[0], own, centre[1:], pixel, p)
    if spot is None:
        return None
    inside_disc = disc_around(background.shape, spot, p.spot, pixel)
    membranes.calibrate(z, inside_disc)
    strength, inside = membranes.free(z)
    first, clearance = start_nucleus(inside, own, spot, pixel, p)
    if first.any():
        # The spot is smoother than the rest of the nucleus, with its nucleoli: measure all of it.
        membranes.calibrate(z, first)
        strength, inside = membranes.free(z)
        again, wider = start_nucleus(inside, own, spot, pixel, p)
        if again.any():
            first, clearance = again, wider
    steps.show_start(trace, z, own, inside_disc, p)
    steps.show_pieces(trace, z, strength, inside, None, clearance=clearance, pixel=pixel, p=p)
    steps.show_core(trace, z, first, p)
    return (first, clearance, spot) if first.any() else None
