"""Method ``propagate``: nucleus and cell from the cell's centre slice up and down.

The classical method of the J. Imaging 2021 paper (sections 2.5 and 2.6), with the edges of its
super-pixels replaced by a membrane strength in nm, which also works where the nuclear envelope is
one pixel wide; see ``docs/method.md``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels import morphology, stack
from hela_dask.kernels.cell import basins, cell_slice, choose_basins
from hela_dask.kernels.levelling import brightness_offsets
from hela_dask.kernels.membrane import ridge_halo, ridge_plane, ridge_volume
from hela_dask.kernels.nucleus import (
    continue_nucleus,
    envelope_ring,
    outline_nucleus,
    smoothest_spot,
    start_nucleus,
)
from hela_dask.methods import Masks
from hela_dask.methods import propagate_steps as steps
from hela_dask.methods.trace import Trace
from hela_dask.parameters import Parameters, PropagateParameters

__all__ = ["propagate"]

Mask = NDArray[np.bool_]
Grey = NDArray[np.float32]
Voxel = tuple[float, float, float]

# Slices of membrane strength that are computed together.
_SLAB = 8


def propagate(
    image: NDArray[Any],
    background: Mask,
    voxel: Voxel,
    centre: tuple[int, int, int],
    parameters: Parameters,
    trace: Trace | None = None,
) -> Masks:
    """Nucleus and cell of one region; the signature is :class:`~hela_dask.methods.Method`'s."""
    p = parameters.propagate
    centre = (_nearest_shown(image, centre[0]), *centre[1:])
    nucleus = _nucleus(image, background, voxel, centre, p, trace)
    if not background.any():
        return Masks(
            nucleus,
            nucleus.copy(),
            np.zeros_like(nucleus),
            "no_resin",
            "no resin is visible in the region, so the cell cannot be told from its neighbours",
        )
    cell = _cell(image, nucleus, background, voxel, centre, p, trace=trace)
    nucleus &= cell
    if not nucleus.any():
        return Masks(
            nucleus,
            cell,
            np.zeros_like(nucleus),
            "no_nucleus",
            f"no smooth piece of {p.smallest_nucleus:g} µm² within {p.search / 1000:g} µm"
            f" of the centre in slice {centre[0] + 1} of the region",
        )
    return Masks(nucleus, cell, envelope_ring(nucleus, cell, p.envelope_width, voxel))


class _Membranes:
    """Membrane strength of a region's slices, a slab at a time so that memory stays bounded."""

    def __init__(
        self, image: NDArray[Any], background: Mask, voxel: Voxel, p: PropagateParameters
    ) -> None:
        self._image, self._background, self._voxel, self._p = image, background, voxel, p
        self._offsets = brightness_offsets(image, background, voxel, p.slow)
        self._scales = ((0.0, 1.0), (0.0, 1.0))
        self._first, self._slab = -1, (np.empty(0, np.float32), np.empty(0, np.float32))

    def ridges(self, z: int) -> tuple[Grey, Grey]:
        """Lines in the plane, and sheets in space, of one slice."""
        first = z - z % _SLAB
        if first != self._first:
            self._first, self._slab = first, self._compute(first)
        lines, sheets = self._slab
        return lines[z - first], sheets[z - first]

    def _compute(self, first: int) -> tuple[Grey, Grey]:
        p, depth = self._p, len(self._image)
        halo, last = ridge_halo(p.sheet_sigma, self._voxel), min(first + _SLAB, depth)
        low, high = max(0, first - halo), min(depth, last + halo)
        block = self._image[low:high].astype(np.float32)
        block -= self._offsets[low:high, None, None]
        pixel = self._voxel[1:]
        wanted = slice(first - low, last - low)
        lines = np.stack([ridge_plane(plane, p.line_sigma, pixel) for plane in block[wanted]])
        if depth == 1:  # nothing is known across slices
            return lines, lines
        return lines, ridge_volume(block, p.sheet_sigma, self._voxel, wanted)

    def calibrate(self, z: int, inside: Mask) -> None:
        """Measure what is normal inside the nucleus, from a mask of such pixels of a slice."""
        scales = []
        for ridge in self.ridges(z):
            values = ridge[inside]
            middle = float(np.median(values))
            scales.append((middle, max(float(np.median(np.abs(values - middle))), 1e-6)))
        self._scales = (scales[0], scales[1])

    def strength(self, z: int) -> Grey:
        """Deviations over the inside of the nucleus, of the stronger of line and sheet."""
        lines, sheets = (
            (ridge - np.float32(middle)) / np.float32(deviation)
            for ridge, (middle, deviation) in zip(self.ridges(z), self._scales, strict=True)
        )
        stronger: Grey = np.maximum(lines, sheets)
        return stronger

    def free(self, z: int) -> tuple[Grey, Mask]:
        """Membrane strength of a slice, and its tissue without membranes."""
        strength = self.strength(z)
        return strength, (strength < self._p.membrane) & ~self._background[z]


def _nucleus(
    image: NDArray[Any],
    background: Mask,
    voxel: Voxel,
    centre: tuple[int, int, int],
    p: PropagateParameters,
    trace: Trace | None,
) -> Mask:
    """All slices of the nucleus, up to the inner face of its envelope."""
    pixel, start = voxel[1:], centre[0]
    nucleus = np.zeros(image.shape, dtype=bool)
    membranes = _Membranes(image, background, voxel, p)
    begun = _start(membranes, background[start], centre, pixel, p, trace)
    if begun is None:
        return nucleus
    first, clearance, spot = begun
    margin = p.reach + p.outside + clearance

    def outline(z: int, strength: Grey, core: Mask, box: tuple[slice, slice]) -> None:
        nucleus[z][box] = outline_nucleus(strength[box], core[box], background[z][box], pixel, p)
        if trace is not None and trace.z == z:
            steps.show_outline(trace, nucleus[z], p)

    outline(start, membranes.strength(start), first, _box(first, margin, pixel))
    for direction in (1, -1):
        last_found, recent = start, deque([first], maxlen=max(1, int(p.memory / voxel[0])))
        for z in _outwards(start, direction, len(image)):
            if _blank(image[z]):
                continue
            strength, inside = membranes.free(z)
            previous = np.logical_or.reduce(recent)
            box = _box(previous, margin, pixel)
            if trace is not None and trace.z == z:
                steps.show_pieces(
                    trace, strength, inside, previous, clearance=clearance, pixel=pixel, p=p
                )
            core = np.zeros_like(previous)
            core[box] = continue_nucleus(inside[box], previous[box], clearance, pixel, p)
            if trace is not None and trace.z == z:
                steps.show_core(trace, core, p)
            if core.any():
                last_found = z
                recent.append(core)
                outline(z, strength, core, box)
            elif abs(z - last_found) * voxel[0] > p.gap:
                break
    stack.bridge_gaps(nucleus)
    stack.majority(nucleus, _odd(p.smoothing / voxel[0]))
    stack.keep_component(nucleus, (start, *spot))
    if trace is not None:
        steps.show_majority(trace, nucleus, "nucleus", p)
    for z in map(int, np.flatnonzero(nucleus.any(axis=(1, 2)))):
        nucleus[z] = morphology.erode(nucleus[z], p.envelope, pixel)
    if trace is not None:
        steps.show_nucleus(trace, nucleus, start, voxel, p)
    return nucleus


def _start(
    membranes: _Membranes,
    background: Mask,
    centre: tuple[int, int, int],
    pixel: tuple[float, float],
    p: PropagateParameters,
    trace: Trace | None,
) -> tuple[Mask, float, tuple[int, int]] | None:
    """Core of the nucleus in its first slice, its clearance and a spot in it; None without one."""
    z = centre[0]
    own = _own_piece(~background, centre[1:], pixel, p)
    spot = smoothest_spot(membranes.ridges(z)[0], own, centre[1:], pixel, p)
    if spot is None:
        return None
    disc = _disc(background.shape, spot, p.spot, pixel)
    membranes.calibrate(z, disc)
    strength, inside = membranes.free(z)
    first, clearance = start_nucleus(inside, own, spot, pixel, p)
    if first.any():
        # The spot is smoother than the rest of the nucleus, with its nucleoli: measure all of it.
        membranes.calibrate(z, first)
        strength, inside = membranes.free(z)
        again, wider = start_nucleus(inside, own, spot, pixel, p)
        if again.any():
            first, clearance = again, wider
    if trace is not None and trace.z == z:
        steps.show_start(trace, own, disc, p)
        steps.show_pieces(trace, strength, inside, None, clearance=clearance, pixel=pixel, p=p)
        steps.show_core(trace, first, p)
    return (first, clearance, spot) if first.any() else None


def _cell(
    image: NDArray[Any],
    nucleus: Mask,
    background: Mask,
    voxel: Voxel,
    centre: tuple[int, int, int],
    p: PropagateParameters,
    *,
    trace: Trace | None,
) -> Mask:
    """All slices of the cell, from its centre slice up and down."""
    pixel = voxel[1:]
    cell = np.zeros(nucleus.shape, dtype=bool)

    def find(z: int, previous: Mask | None) -> Mask:
        pieces = basins(~background[z], pixel, p)
        found = cell_slice(pieces, nucleus[z], previous, centre[1:], pixel, p)
        if trace is not None and trace.z == z:
            chosen = choose_basins(pieces, nucleus[z], previous, centre[1:], p)
            steps.show_basins(trace, background[z], pieces, chosen, found, pixel=pixel, p=p)
        return found

    start = centre[0]
    cell[start] = find(start, None)
    for direction in (1, -1):
        previous = cell[start]
        for z in _outwards(start, direction, len(cell)):
            if _blank(image[z]):
                continue
            previous = find(z, previous)
            if not previous.any():
                break
            cell[z] = previous
    stack.bridge_gaps(cell)
    stack.majority(cell, _odd(p.smoothing / voxel[0]))
    cell &= ~background
    cell |= nucleus
    stack.keep_component(cell)
    if trace is not None:
        steps.show_majority(trace, cell, "cell", p)
    return cell


def _blank(plane: NDArray[Any]) -> bool:
    """Whether a slice shows nothing: a lost one that was filled with one value."""
    return bool(plane.min() == plane.max())


def _nearest_shown(image: NDArray[Any], start: int) -> int:
    """The slice nearest to `start` that shows something; `start` where none does."""
    order = sorted(range(len(image)), key=lambda z: abs(z - start))
    return next((z for z in order if not _blank(image[z])), start)


def _outwards(start: int, direction: int, length: int) -> Iterator[int]:
    """Slices from the one next to `start` to the end of the region."""
    return iter(range(start + 1, length) if direction > 0 else range(start - 1, -1, -1))


def _own_piece(
    tissue: Mask, centre: tuple[int, int], pixel: tuple[float, float], p: PropagateParameters
) -> Mask:
    """The basin of a slice at the cell's centre; all tissue where that lies in the resin."""
    if not tissue[centre]:
        return tissue
    pieces = basins(tissue, pixel, p)
    own: Mask = pieces == pieces[centre]
    return own


def _odd(number: float) -> int:
    """The largest odd whole number up to this one, at least 1."""
    return 2 * max(0, int((number - 1) // 2)) + 1


def _disc(
    shape: tuple[int, ...], spot: tuple[int, int], radius: float, pixel: tuple[float, ...]
) -> Mask:
    """True within `radius` (nm) of a spot of a plane."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    away = np.hypot((rows - spot[0]) * pixel[0], (columns - spot[1]) * pixel[1])
    inside: Mask = away <= radius
    return inside


def _box(mask: Mask, margin: float, pixel: tuple[float, ...]) -> tuple[slice, slice]:
    """The rows and columns that hold the mask, and `margin` (nm) more on each side."""
    bounds = []
    for axis in (0, 1):
        places = np.flatnonzero(mask.any(axis=1 - axis))
        more = int(margin / pixel[axis]) + 2
        bounds.append(slice(max(0, int(places[0]) - more), int(places[-1]) + more + 1))
    return bounds[0], bounds[1]
