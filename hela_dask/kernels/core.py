"""The core of a nucleus in space: the space that a sphere reaches without touching a membrane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.box import Box
from hela_dask.kernels import morphology
from hela_dask.kernels.bounded_distance import bounded_depth_volume
from hela_dask.kernels.components import seeded_component
from hela_dask.kernels.grid import block_mean, factors_for
from hela_dask.parameters import VolumetricParameters
from hela_dask.types import Grey, Mask, Voxel

__all__ = ["MAX_RESIN_SHARE", "Core", "equalise_slices", "fill_holes", "find_core"]


# 8-connected in a slice; from slice to slice only straight up and down.
_NEIGHBOURS = np.zeros((3, 3, 3), dtype=bool)
_NEIGHBOURS[1] = True
_NEIGHBOURS[:, 1, 1] = True

# Clearances, evenly spaced on a logarithmic scale: each a sixth smaller than the last.
_STEPS = 9

# Connectivity, and shares of membranes, are computed at pixels about this large: a third of the
# membranes' own scale of blur loses nothing.
_COARSE_PIXEL = 80.0

# Smaller areas of a slice, in nm², give no reliable statistics of the inside of a nucleus. Nor does
# one under half of the largest: near its ends a nucleus is mostly envelope.
_MIN_AREA = 1e6

# Where cytoplasm is looked for around a nucleus, nm beyond its clearance: behind the envelope.
_SHELL = (50.0, 250.0)

# A nucleus is surrounded by cytoplasm. More resin than this surrounds only a whole cell, or a bleb
# of one, not a nucleus.
MAX_RESIN_SHARE = 0.3

# A lobe does not add this much resin in one step.
_MAX_RESIN_INCREASE = 0.1

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
    described: bool = True,
) -> Core:
    """Grow from a seed through every gap that is wider than a membrane's own gaps.

    The nuclear envelope has gaps, and where one is wider than the clearance the nucleus leaks into
    the cytoplasm. A leak shows: the cytoplasm is full of membranes. So the clearance decreases step
    by step, which adds thin lobes, until a step adds tissue with a larger share of membranes around
    it than ``density``, or reaches the cell's own membrane, so that more than
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
    described
        Whether its surroundings are measured; if not, there are no ``others`` and no ``resin``.
    """
    p = parameters
    step = factors_for(voxel[1:], _COARSE_PIXEL)
    sparse = (slice(None, None, step[0]), slice(None, None, step[1]))
    coarse = (voxel[0], voxel[1] * step[0], voxel[2] * step[1])
    rough = resin[:, sparse[0], sparse[1]]
    depth = np.empty(rough.shape, dtype=np.float32)
    for part, known in bounded_depth_volume(free, voxel, p.widest, step):
        depth[part] = known
    share = _membrane_share(free, resin, step, coarse, p.surroundings)
    ball = _ball(depth.shape, (spot[0], spot[1] // step[0], spot[2] // step[1]), p.spot, coarse)
    core, clearance = _lower_clearance(depth, share, rough, ball, coarse, p)
    if not core.any():
        return Core(np.zeros(free.shape, dtype=bool), 0.0, np.empty((0, 3)), 0.0)
    others = (
        _other_nuclei(depth > clearance, core, share, p.density) if described else np.empty((0, 3))
    )
    del depth, share
    mask = _dilate_core(core, free, sparse, clearance, voxel)
    around = _resin_share(mask, resin, clearance, voxel) if described else 0.0
    return Core(mask, clearance, others * (1, *step), around)


def _lower_clearance(
    depth: Grey, share: Grey, resin: Mask, ball: Mask, voxel: Voxel, p: VolumetricParameters
) -> tuple[Mask, float]:
    """The component of the ball at the smallest clearance without a leak, and that clearance."""
    core, clearance, around = np.zeros(depth.shape, dtype=bool), 0.0, 0.0
    for radius in np.geomspace(p.widest, p.narrowest, _STEPS):
        wider = seeded_component(depth > radius, ball)
        if not wider.any():
            continue
        added = wider & ~core
        grown = np.count_nonzero(added) > _MIN_GROWTH * np.count_nonzero(core)
        if grown and share[added].mean() > p.density:
            break
        if grown:
            beside = _resin_share(wider, resin, 2 * radius, voxel)
            if core.any() and beside > min(MAX_RESIN_SHARE, around + _MAX_RESIN_INCREASE):
                break  # it has leaked as far as the cell's own membrane
            around = beside
        core, clearance = wider, float(radius)
    return core, clearance


def _membrane_share(
    free: Mask, resin: Mask, step: tuple[int, int], coarse: Voxel, sigma: float
) -> Grey:
    """Share of the tissue around each coarse voxel that membranes take."""
    sigmas = tuple(sigma / size for size in coarse)
    shape = tuple(-(-length // n) for length, n in zip(free.shape[1:], step, strict=True))
    part, whole = (np.empty((len(free), *shape), dtype=np.float32) for _ in range(2))
    for z in range(len(free)):
        whole[z] = block_mean(~resin[z], step)
        part[z] = block_mean(~(resin[z] | free[z]), step)
    for values in (part, whole):
        ndimage.gaussian_filter(values, sigmas, output=values, mode="nearest", truncate=3.0)
    np.maximum(whole, np.float32(0.05), out=whole)
    shares: Grey = np.divide(part, whole, out=part)
    return shares


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


def _other_nuclei(clear: Mask, core: Mask, share: Grey, density: float) -> NDArray[np.float64]:
    """A voxel of each further piece that is a quarter as large and as poor in membranes."""
    pieces, count = ndimage.label(clear)
    sizes = np.zeros(count + 1, dtype=np.int64)
    for plane in pieces:
        sizes += np.bincount(plane.ravel(), minlength=count + 1)
    sizes[0] = 0
    large = np.flatnonzero(sizes >= np.count_nonzero(core) / 4)
    found = []
    for label in large:
        piece = pieces == label
        if not (piece & core).any() and share[piece].mean() <= density:
            places = np.argwhere(piece)
            found.append(places[len(places) // 2])
    return np.array(found, dtype=np.float64).reshape(-1, 3)


def _dilate_core(
    core: Mask, free: Mask, sparse: tuple[slice, slice], clearance: float, voxel: Voxel
) -> Mask:
    """All free voxels within the clearance of the core, which is computed at every few pixels."""
    steps = zip(sparse, voxel[1:], strict=True)
    reach = clearance + max(part.step * size / 2 if part.step > 1 else 0.0 for part, size in steps)
    seeds = np.zeros(free.shape, dtype=bool)
    seeds[:, sparse[0], sparse[1]] = core
    grown = np.zeros(free.shape, dtype=bool)
    box = morphology.box_around(seeds, reach, voxel)
    near, here = grown[box], free[box]
    for part, distance in bounded_depth_volume(~seeds[box], voxel, reach):
        near[part] = (distance <= reach) & here[part]
    return grown


def _resin_share(core: Mask, resin: Mask, clearance: float, voxel: Voxel) -> float:
    """Share of resin in the surroundings of the core, beyond a membrane's width."""
    found = rim = 0
    near, far = (clearance + beyond for beyond in _SHELL)
    for inside, here in zip(core, resin, strict=True):
        if inside.any():
            box = morphology.box_around(inside, far, voxel[1:])
            away = morphology.distance_to(inside[box], voxel[1:], far)
            shell = (away > near) & (away <= far)
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
            rim = out & morphology.dilate(plane, 2 * max(*voxel[1:], 40.0), voxel[1:])
            peak[rim] = np.maximum(ndimage.maximum_filter(values, size=3)[rim], 1)
    pieces, count = ndimage.label(holes, structure=_NEIGHBOURS)
    if count == 0:
        return core
    rim = peaks > 0
    medians = ndimage.median(peaks[rim], pieces[rim], np.arange(1, count + 1))
    kept = np.concatenate([[True], np.nan_to_num(np.atleast_1d(medians)) > hole])
    filled = core.copy()
    filled[box[0]] |= holes & ~kept[pieces]
    return filled


def equalise_slices(
    strength: NDArray[np.uint8], core: Mask, voxel: tuple[float, float, float], span: float
) -> None:
    """Equalise the membrane strength of slices, in place.

    Focus, contrast and noise drift along z, and with them the roughness inside the nucleus. Its
    median, and the distance from there to the eighth decile, are set to the typical values of the
    core's slices; both are medians along z, so that one odd slice stays odd.

    Parameters
    ----------
    strength
        (z, y, x) membrane strength.
    core
        (z, y, x) a first core.
    voxel
        Voxel size (z, y, x) in nm.
    span
        Height in nm of the medians along z.
    """
    slices, numbers = [], []
    largest = np.count_nonzero(core, axis=(1, 2)).max(initial=0)
    least = max(_MIN_AREA / (voxel[1] * voxel[2]), largest / 2)
    for z in range(len(core)):
        inside = morphology.fill(core[z])
        if inside.sum() >= least:
            slices.append(z)
            numbers.append(np.percentile(strength[z][inside], (50, 80)))
    if len(slices) < 2:
        return
    known = np.array(numbers)
    known[:, 1] = np.maximum(known[:, 1] - known[:, 0], 1)
    size = 2 * int(span / voxel[0] / 2) + 1
    smooth = ndimage.median_filter(known, size=(min(size, len(known)), 1), mode="nearest")
    usual = np.median(known, axis=0)
    for z in range(len(strength)):
        middle, spread = smooth[int(np.argmin(np.abs(np.array(slices) - z)))]
        even = (strength[z] - np.float32(middle)) * np.float32(usual[1] / spread) + usual[0]
        strength[z] = np.clip(np.rint(even), 0, 255)
