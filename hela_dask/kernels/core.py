"""The core of a nucleus in space: the space that a sphere reaches without touching a membrane."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.box import Box
from hela_dask.kernels import morphology
from hela_dask.kernels.clearance import count_limits
from hela_dask.kernels.compiled import compiled
from hela_dask.kernels.components import GrowingComponent
from hela_dask.kernels.gaussian import blur_volume
from hela_dask.kernels.grid import block_shares, factors_for
from hela_dask.kernels.pieces import Pieces
from hela_dask.parameters import VolumetricParameters
from hela_dask.types import Grey, Mask, Voxel

__all__ = [
    "MAX_RESIN_SHARE",
    "Core",
    "fill_holes",
    "find_core",
    "find_inside",
]


# 8-connected in a slice; from slice to slice only straight up and down.
_NEIGHBOURS = np.zeros((3, 3, 3), dtype=bool)
_NEIGHBOURS[1] = True
_NEIGHBOURS[:, 1, 1] = True

# Clearances, evenly spaced on a logarithmic scale: each a sixth smaller than the last.
_STEPS = 9

# Shares of membranes are computed at pixels about this large: less than half of their blur.
_COARSE_PIXEL = 80.0

# Where cytoplasm is looked for around a nucleus, nm beyond its clearance: behind the envelope.
_SHELL = (50.0, 250.0)

# A nucleus is surrounded by cytoplasm. More resin than this surrounds only a whole cell, or a bleb
# of one, not a nucleus.
MAX_RESIN_SHARE = 0.3

# A lobe does not add this much resin in one step.
_MAX_RESIN_INCREASE = 0.1

# Pockets of the envelope take at most this part of the voxels that a step adds.
_MAX_FAR = 0.04

# A step that adds less than this part is too small to be measured.
_MIN_GROWTH = 0.02


@dataclass(frozen=True)
class Core:
    """The result of :func:`find_core`.

    Attributes
    ----------
    mask : ndarray of bool, (z, y, x)
        Tissue without membranes in one piece; empty where there is none.
    clearance : float
        Distance from membranes, in nm, at which it is one piece; 0 where there is none.
    others : ndarray of float, (n, 3)
        z, y, x of a voxel of each further piece like it, at least a quarter as large: of other
        nuclei.
    resin : float
        Share of resin in its surroundings in its slices: high around a whole cell.
    """

    mask: Mask
    clearance: float
    others: NDArray[np.float64]
    resin: float


def find_core(
    free: Mask,
    resin: Mask,
    spot: tuple[int, int, int],
    voxel: Voxel,
    parameters: VolumetricParameters,
    *,
    others: bool = True,
) -> Core:
    """Grow from a seed through every gap that is wider than a membrane's own gaps.

    The nuclear envelope has gaps, and where one is wider than the clearance the nucleus leaks into
    the cytoplasm. A leak shows: the cytoplasm is full of membranes. So the clearance decreases step
    by step, which adds thin lobes, until a step adds tissue far from the core with a larger share
    of membranes around it than ``density``, or reaches the cell's own membrane, so that more than
    :data:`MAX_RESIN_SHARE` of its surroundings are resin, or suddenly much more.

    Parameters
    ----------
    free, resin
        (z, y, x) tissue without membranes, and resin.
    spot
        z, y, x near the middle of the nucleus, voxels.
    voxel
        Voxel size (z, y, x) in nm.
    parameters
        ``widest``, ``narrowest``, ``surroundings``, ``density`` and ``spot`` are used.
    others
        Whether other nuclei are looked for.
    """
    p = parameters
    clear = count_limits(free, voxel, _clearances(p))
    share = _MembraneShare(free, resin, voxel, p)
    core, level, clearance = _lower_clearance(clear, share, resin, spot, voxel, p)
    if not core.any():
        return Core(core, 0.0, np.empty((0, 3)), 0.0)
    places = _other_nuclei(clear >= level, core, share) if others else np.empty((0, 3))
    del clear, share
    mask = _within(core, free, clearance, voxel)
    return Core(mask, clearance, places, _resin_share(mask, resin, clearance, voxel))


def find_inside(
    free: Mask,
    resin: Mask,
    spot: tuple[int, int, int],
    voxel: Voxel,
    parameters: VolumetricParameters,
) -> Mask:
    """Only the mask of :func:`find_core`, of the same arguments."""
    p = parameters
    clear = count_limits(free, voxel, _clearances(p))
    share = _MembraneShare(free, resin, voxel, p)
    core, _, clearance = _lower_clearance(clear, share, resin, spot, voxel, p)
    return _within(core, free, clearance, voxel) if core.any() else core


def _clearances(p: VolumetricParameters) -> NDArray[np.float32]:
    """From the largest to the smallest, nm."""
    return np.geomspace(p.widest, p.narrowest, _STEPS).astype(np.float32)


def _lower_clearance(
    clear: NDArray[np.uint8],
    share: _MembraneShare,
    resin: Mask,
    spot: tuple[int, int, int],
    voxel: Voxel,
    p: VolumetricParameters,
) -> tuple[Mask, int, float]:
    """The component of the ball at the smallest clearance without a leak, and that clearance.

    The clearance is also given as the level of `clear`.
    """
    level, clearance, around, size = 0, 0.0, 0.0, 0
    ball = _ball(clear.shape, spot, p.spot, voxel)
    growing = GrowingComponent(clear)
    for number, radius in enumerate(_clearances(p)):
        least = _STEPS - number
        added = growing.lower(least, ball)
        if not size + added:
            continue
        if added > _MIN_GROWTH * size:
            away = 2 * float(radius)
            room = [int((away + _SHELL[1]) / side) + 1 for side in voxel]
            box = growing.box.grow(room).clip(clear.shape)
            step = growing.joined[box] == number + 1
            core = growing.mask(number, box)
            if _leaks(core, step, share, box.low, clearance, voxel):
                break
            core |= step
            beside = _resin_share(core, resin[box], away, voxel)
            if size and beside > min(MAX_RESIN_SHARE, around + _MAX_RESIN_INCREASE):
                break  # it has leaked as far as the cell's own membrane
            around = beside
        level, clearance, size = least, float(radius), size + added
    return growing.mask(_STEPS + 1 - level if size else 0), level, clearance


def _leaks(
    core: Mask,
    added: Mask,
    share: _MembraneShare,
    low: tuple[int, ...],
    clearance: float,
    voxel: Voxel,
) -> bool:
    """Whether a step adds tissue far from the core, and among membranes.

    A smaller clearance adds a rim all around the core, and lobes of the nucleus behind narrow
    places. A rim lies among the membranes of the envelope, but near; a lobe far, but in a nucleus.
    The masks begin at voxel `low`.
    """
    far = added.copy()
    box = morphology.box_around(core, 2 * clearance, voxel)
    distant = far[box]
    distant &= count_limits(~core[box], voxel, [2 * clearance]) > 0
    if np.count_nonzero(far) <= _MAX_FAR * np.count_nonzero(added):
        return False
    return share.is_dense(far, low)


class _MembraneShare:
    """Share of the tissue around each voxel that membranes take; it varies slowly."""

    def __init__(self, free: Mask, resin: Mask, voxel: Voxel, p: VolumetricParameters) -> None:
        self._density = p.density
        self._step = step = factors_for(voxel[1:], _COARSE_PIXEL)
        sides = zip(voxel, (1, *step), strict=True)
        self._sigmas = [p.surroundings / (size * n) for size, n in sides]
        self._free, self._resin = free, resin

    @cached_property
    def _shares(self) -> Grey:
        """Of blocks of pixels; computed when they are needed."""
        part, whole = block_shares(self._free, self._resin, self._step)
        for values in (part, whole):
            blur_volume(values, self._sigmas, 3.0)
        np.maximum(whole, np.float32(0.05), out=whole)
        shares: Grey = np.divide(part, whole, out=part)
        return shares

    def is_dense(self, mask: Mask, low: tuple[int, ...] = (0, 0, 0)) -> bool:
        """Whether its mean over a mask, which begins at a voxel, is too high for a nucleus."""
        total, count = _sum_at(self._shares, mask, (low[0], low[1], low[2]), self._step)
        return total > self._density * count


@compiled
def _sum_at(
    values: Grey, mask: Mask, low: tuple[int, int, int], block: tuple[int, int]
) -> tuple[float, int]:
    """Sum of the blocks' values over the voxels of a mask, and their number."""
    total, count = 0.0, 0
    for z in range(mask.shape[0]):
        for y in range(mask.shape[1]):
            row, inside = values[z + low[0], (y + low[1]) // block[0]], mask[z, y]
            for x in range(mask.shape[2]):
                if inside[x]:
                    total += row[(x + low[2]) // block[1]]
                    count += 1
    return total, count


def _ball(shape: tuple[int, ...], spot: tuple[int, int, int], radius: float, voxel: Voxel) -> Mask:
    box = Box.at(spot, (1, 1, 1)).grow([int(radius / size) + 1 for size in voxel]).clip(shape)
    z, y, x = np.ogrid[box]
    squared = (
        ((z - spot[0]) * voxel[0]) ** 2
        + ((y - spot[1]) * voxel[1]) ** 2
        + ((x - spot[2]) * voxel[2]) ** 2
    )
    ball = np.zeros(shape, dtype=bool)
    ball[box] = squared <= radius**2
    return ball


def _other_nuclei(clear: Mask, core: Mask, share: _MembraneShare) -> NDArray[np.float64]:
    """A voxel of each further piece that is a quarter as large and as poor in membranes."""
    pieces = Pieces(clear)
    large = (pieces.sizes >= np.count_nonzero(core) / 4) & (pieces.shared(core) == 0)
    found = [
        pieces.middle(number)
        for number in np.flatnonzero(large).tolist()
        if not share.is_dense(pieces.mask(number))
    ]
    return np.array(found, dtype=np.float64).reshape(-1, 3)


def _within(core: Mask, mask: Mask, distance: float, voxel: Voxel) -> Mask:
    """The voxels of a mask within a distance (nm) of the core."""
    found = np.zeros(mask.shape, dtype=bool)
    box = morphology.box_around(core, distance, voxel)
    found[box] = (count_limits(~core[box], voxel, [distance]) == 0) & mask[box]
    return found


def _resin_share(core: Mask, resin: Mask, clearance: float, voxel: Voxel) -> float:
    """Share of resin in the surroundings of the core, beyond a membrane's width."""
    found = rim = 0
    near, far = (clearance + beyond for beyond in _SHELL)
    for inside, here in zip(core, resin, strict=True):
        if inside.any():
            box = morphology.box_around(inside, far, voxel[1:])
            shell = morphology.shell(inside[box], near, far, voxel[1:])
            rim += int(np.count_nonzero(shell))
            found += int(np.count_nonzero(shell & here[box]))
    return found / rim if rim else 0.0


def fill_holes(
    core: Mask, strength: NDArray[Any], voxel: tuple[float, float, float], hole: float
) -> Mask:
    """Fill the holes of the core in its slices, unless an envelope surrounds them.

    Nucleoli have faint rims and belong to the nucleus. A channel of cytoplasm through it has the
    envelope around it, a strong one: it stays a hole, in all slices, although its ends, where the
    envelope lies flat, look fainter.

    Parameters
    ----------
    core
        (z, y, x).
    strength
        (z, y, x) membrane strength.
    voxel
        Voxel size (z, y, x) in nm.
    hole
        A hole is kept where the median strength along its rim, at its strongest line, is more.
    """
    box = ndimage.find_objects(core.view(np.uint8))
    if not box:
        return core
    inner, here = core[box[0]], strength[box[0]]
    holes = np.zeros_like(inner)
    peaks = np.zeros(inner.shape, dtype=here.dtype)
    for plane, out, peak, values in zip(inner, holes, peaks, here, strict=True):
        out[:] = morphology.fill(plane) & ~plane
        if out.any():
            # The line runs where the strength is highest across the rim, a membrane's width in.
            near = morphology.box_around(out, 0.0, voxel[1:])
            rim = out & morphology.dilate(plane, 2 * max(*voxel[1:], 40.0), voxel[1:])
            wide = near.grow(1).clip(plane.shape)
            highest = ndimage.maximum_filter(values[wide], size=3)[near.relative_to(wide)]
            peak[near] = np.where(rim[near], np.maximum(highest, 1), 0)
    pieces, count = ndimage.label(holes, structure=_NEIGHBOURS)
    if count == 0:
        return core
    rim = peaks > 0
    medians = ndimage.median(peaks[rim], pieces[rim], np.arange(1, count + 1))
    kept = np.concatenate([[True], np.nan_to_num(np.atleast_1d(medians)) > hole])
    filled = core.copy()
    filled[box[0]] |= holes & ~kept[pieces]
    return filled
