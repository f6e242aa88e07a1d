"""The resin in whole slices: by grey value, without charging artefacts, consistent along z."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels import morphology
from hela_dask.kernels.charging import charging_artefacts
from hela_dask.kernels.filters import gaussian
from hela_dask.kernels.grey_levels import GreyLevels, SliceLevels, padding, slice_levels
from hela_dask.parameters import BackgroundParameters
from hela_dask.trace import NO_TRACE, Trace

__all__ = [
    "TRUNCATE",
    "background_block",
    "background_halo",
    "background_reach",
    "background_slice",
    "classify_slices",
    "consistent_levels",
    "likeness",
    "majority",
    "resin_slice",
    "slice_statistics",
    "thresholds",
    "use_neighbours",
]

TRUNCATE = 3.0
"""Where the low-pass is cut off, in standard deviations."""

# A slice's own levels count where their difference is this near to that of its neighbours.
_CONTRAST = 1.5


def background_reach(parameters: BackgroundParameters, thickness: float) -> tuple[int, int]:
    """Slices on either side that levels are compared with, and that vote, for a thickness in nm."""
    return _half(parameters.levels, thickness), _half(parameters.smoothing, thickness)


def background_halo(parameters: BackgroundParameters, thickness: float) -> int:
    """Slices on either side that the background of a slice depends on, for a thickness in nm."""
    return sum(background_reach(parameters, thickness))


def background_block(
    block: NDArray[Any],
    voxel: tuple[float, float, float],
    parameters: BackgroundParameters,
    grey_levels: GreyLevels | None = None,
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Classify whole slices, one volume, as resin or not.

    Resin is every voxel with a grey value nearer to that of resin than a fraction of the way from
    that of cells, and charging artefacts. Each slice is measured against its own grey levels, since
    brightness jumps from slice to slice; slices without levels, or with outlying ones, use those of
    their neighbours. :func:`hela_dask.background` computes the same slab by slab.

    Parameters
    ----------
    block : ndarray, (z, y, x)
        Grey values of whole planes with bright resin, any real type.
    voxel : tuple of float
        Voxel size (z, y, x) in nm.
    parameters : BackgroundParameters
    grey_levels : GreyLevels, optional
        Of the volume, for slices that show only cells or only resin, far from any with both.

    Returns
    -------
    resin : ndarray of bool, (z, y, x)
        All false where neither a slice nor its neighbours nor the volume has the grey levels of
        resin. A slice of one grey value is copied from its neighbours.
    thresholds : ndarray of float64, (z,)
        Threshold of the resin; NaN where it is unknown.
    """
    pixel = voxel[1], voxel[2]
    half, reach = background_reach(parameters, voxel[0])
    facts = use_neighbours(slice_statistics(block, pixel=pixel), half=half, grey_levels=grey_levels)
    sigma = (parameters.blur / pixel[0], parameters.blur / pixel[1])
    smooth = gaussian(np.asarray(block, np.float32), sigma, TRUNCATE)
    votes = classify_slices(block, smooth, facts, pixel=pixel, parameters=parameters)
    return majority(votes, reach=reach), thresholds(facts, contrast=parameters.contrast)[:, 0]


def slice_statistics(block: NDArray[Any], *, pixel: tuple[float, float]) -> NDArray[np.float64]:
    """Grey levels of cells and resin of each slice, and whether it shows one grey value; (z, 3)."""
    found = np.full((len(block), 3), np.nan)
    for row, plane in zip(found, block, strict=True):
        grey_levels = slice_levels(plane, pixel)
        row[:] = grey_levels.cell, grey_levels.resin, plane.min() == plane.max()
    return found


def use_neighbours(
    facts: NDArray[np.float64],
    wanted: slice = slice(None),
    *,
    half: int,
    grey_levels: GreyLevels | None = None,
) -> NDArray[np.float64]:
    """Replace the levels of the slices `wanted` by those that each is measured by.

    See :func:`consistent_levels`.
    """
    typical = grey_levels.typical if grey_levels is not None else SliceLevels()
    own = [SliceLevels(cell, resin) for cell, resin, _ in facts]
    found = facts[wanted].copy()
    for index, row in zip(range(len(facts))[wanted], found, strict=True):
        used = consistent_levels(own, index, half, typical)
        row[:2] = used.cell, used.resin
    return found


def classify_slices(
    block: NDArray[Any],
    smooth: NDArray[np.float32],
    facts: NDArray[np.float64],
    *,
    pixel: tuple[float, float],
    parameters: BackgroundParameters,
    trace: Trace = NO_TRACE,
) -> NDArray[np.int8]:
    """Classify each slice independently: 1 is resin, -1 is not, 0 in slices of one grey value.

    Parameters
    ----------
    block, smooth : ndarray, (z, y, x)
        Grey values, and the same after the low-pass.
    facts : ndarray, (z, 3)
        As :func:`use_neighbours` gives them.
    pixel : tuple of float
        Pixel size (y, x) in nm.
    parameters : BackgroundParameters
    trace : Trace, optional
        Keeps the steps of slices of the block, for pictures.
    """
    votes = np.zeros(block.shape, np.int8)
    for z, (cell, resin, blank) in enumerate(facts):
        if not blank:
            grey_levels = SliceLevels(cell, resin)
            found = resin_slice(
                block[z], smooth[z], grey_levels, pixel, parameters, trace=trace, z=z
            )
            votes[z] = np.where(found, np.int8(1), np.int8(-1))
    return votes


def majority(
    votes: NDArray[np.int8], wanted: slice = slice(None), *, reach: int
) -> NDArray[np.bool_]:
    """Majority of the slices within `reach`, for each of the slices `wanted`.

    A tie takes the value of the slice itself, and if that is empty the value of the first one near
    it.
    """
    slices = range(len(votes))[wanted]
    found = np.empty((len(slices), *votes.shape[1:]), dtype=bool)
    for z, out in zip(slices, found, strict=True):
        first = max(0, z - reach)
        near = votes[first : z + reach + 1]
        own = votes[z] if votes[z].any() else votes[first]
        out[:] = 2 * near.sum(axis=0, dtype=np.int8) + own > 0
    return found


def thresholds(facts: NDArray[np.float64], *, contrast: float) -> NDArray[np.float64]:
    """The threshold of the resin, (z, 1); NaN where it is unknown."""
    cell, resin, blank = facts.T
    found = np.where((resin > cell) & (blank == 0), cell + contrast * (resin - cell), np.nan)
    return found[:, None]


def background_slice(
    image: NDArray[Any],
    pixel: tuple[float, float],
    parameters: BackgroundParameters,
    grey_levels: GreyLevels | None = None,
) -> NDArray[np.bool_]:
    """True where one whole plane shows resin, without neighbours: see :func:`background_block`."""
    resin, _ = background_block(image[None], (math.inf, *pixel), parameters, grey_levels)
    found: NDArray[np.bool_] = resin[0]
    return found


def consistent_levels(
    grey_levels: Sequence[SliceLevels], index: int, half: int, typical: SliceLevels
) -> SliceLevels:
    """The grey levels used for a slice.

    Its own, unless it has none or their difference deviates from the neighbours': then the medians
    of those within `half` slices, and where none of these has any, `typical`.
    """
    near = [
        (level.cell, level.resin)
        for level in grey_levels[max(0, index - half) : index + half + 1]
        if level.visible
    ]
    if not near:
        return typical
    cell, resin = (float(value) for value in np.median(near, axis=0))
    own = grey_levels[index]
    if own.visible and 1 / _CONTRAST <= (own.resin - own.cell) / (resin - cell) <= _CONTRAST:
        return own
    return SliceLevels(cell, resin)


def likeness(smooth: NDArray[np.float32], grey_levels: SliceLevels) -> NDArray[np.float32]:
    """0 at the grey value of cells, 1 at that of resin, of a slice after the low-pass."""
    scaled: NDArray[np.float32] = (smooth - np.float32(grey_levels.cell)) / np.float32(
        grey_levels.resin - grey_levels.cell
    )
    return scaled


def resin_slice(
    image: NDArray[Any],
    smooth: NDArray[np.float32],
    grey_levels: SliceLevels,
    pixel: tuple[float, float],
    parameters: BackgroundParameters,
    *,
    trace: Trace = NO_TRACE,
    z: int = 0,
) -> NDArray[np.bool_]:
    """Resin of one whole slice with known grey levels; all false where they are not.

    A frame of one dark grey value around the image is no cell: it counts as resin. `trace`
    keeps the steps as those of slice `z`.
    """
    if not grey_levels.visible:
        return np.zeros(image.shape, dtype=bool)
    p = parameters
    like = likeness(smooth, grey_levels)
    frame = padding(image, image.min(), pixel)
    # A pale spot in a cell has no membrane around it: it must not count as the rim of an artefact.
    dark = ~morphology.remove_pieces((like >= p.contrast) | frame, p.smallest_gap, pixel)
    artefact = charging_artefacts(like, dark, frame, pixel, p)
    cells = morphology.remove_pieces(dark & ~artefact, p.smallest_fragment, pixel)
    resin = morphology.remove_pieces(~cells, p.smallest_gap, pixel)
    _show(trace, z, grey_levels, like, {"dark": dark, "smear": artefact, "resin": resin}, p)
    return resin


def _show(
    trace: Trace,
    z: int,
    grey_levels: SliceLevels,
    like: NDArray[np.float32],
    found: dict[str, NDArray[np.bool_]],
    p: BackgroundParameters,
) -> None:
    """Keep the steps of one slice, for pictures."""
    trace.show(
        "likeness to resin",
        f"0 at the grey value of cells ({grey_levels.cell:.0f} in this slice), 1 at that of resin "
        f"({grey_levels.resin:.0f}), after a low-pass of {p.blur:g} nm. Resin begins at "
        f"{p.contrast:g}.",
        like,
        z,
    )
    trace.show(
        "too dark for resin",
        f"Pixels below {p.contrast:g}: cells, but also charging artefacts in the resin. Pale "
        f"spots under {p.smallest_gap:g} µm² are filled.",
        found["dark"],
        z,
    )
    trace.show(
        "charging artefacts",
        f"Dark parts that fade into the resin: along half of their contact with it, the climb "
        f"from cell to resin takes longer than {p.rim:g} nm, so there is no membrane.",
        found["smear"],
        z,
    )
    trace.show(
        "resin of the slice alone",
        f"The rest, with the artefacts; pieces of cell under {p.smallest_fragment:g} µm² that "
        f"float "
        f"in it are resin too, and pieces of resin under {p.smallest_gap:g} µm² are cell.",
        found["resin"],
        z,
    )


def _half(height: float, thickness: float) -> int:
    """Slices on either side that a window of `height` nm reaches."""
    return math.floor(height / (2 * thickness) + 1e-6)
