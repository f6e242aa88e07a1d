"""The resin in whole slices: by grey value, without charging smears, consistent along z."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.kernels import morphology
from hela_dask.kernels.levels import GreyLevels, SliceLevels, padding, slice_levels
from hela_dask.kernels.smears import smears
from hela_dask.parameters import BackgroundParameters

if TYPE_CHECKING:
    from hela_dask.trace import Trace

__all__ = [
    "background_block",
    "background_halo",
    "background_slice",
    "consistent_levels",
    "likeness",
    "resin_slice",
]

# A slice's own levels count where their difference is this near to that of its neighbours.
_CONTRAST = 1.5


def background_halo(parameters: BackgroundParameters, thickness: float) -> int:
    """Slices on either side that :func:`background_block` looks at, for slices so thick (nm)."""
    return _half(parameters.levels, thickness) + _half(parameters.smoothing, thickness)


def background_block(
    block: NDArray[Any],
    voxel: tuple[float, float, float],
    parameters: BackgroundParameters,
    levels: GreyLevels | None = None,
    wanted: slice = slice(None),
    *,
    trace: Trace | None = None,
) -> tuple[NDArray[np.bool_], list[float]]:
    """Where slices show resin.

    Resin is what is nearer to the grey value of resin than a fraction of the way from that of
    cells, in smears of charge too. Each slice is measured against its own grey levels, since
    brightness jumps from slice to slice; its neighbours' stand in where it has none, or odd ones.

    Parameters
    ----------
    block
        (z, y, x) upright grey values of whole planes, any real type: those that are wanted with
        :func:`background_halo` more on either side, fewer only where the volume ends.
    voxel
        Voxel size (z, y, x) in nm.
    parameters
        Knobs of the stage.
    levels
        Of the volume, for slices that show only cells or only resin, far from any with both.
    wanted
        Slices of the block.
    trace
        Told what each step makes of one slice of the block, for pictures; None for nobody.

    Returns
    -------
    resin : ndarray of bool, (z, y, x)
        Of the wanted slices. All false where neither a slice nor its neighbours nor the volume
        show what resin looks like. A slice of one grey value is what its neighbours are.
    thresholds : list of float
        The grey value where resin begins, a number a wanted slice; NaN where it is not known.
    """
    start, stop, _ = wanted.indices(len(block))
    reach, pixel = _half(parameters.smoothing, voxel[0]), (voxel[1], voxel[2])
    first, last = max(0, start - reach), min(len(block), stop + reach)
    half = _half(parameters.levels, voxel[0])
    typical = levels.typical if levels is not None else SliceLevels()
    origin = max(0, first - half)
    own = [slice_levels(plane, pixel) for plane in block[origin : last + half]]
    thresholds = [math.nan] * (stop - start)

    def vote(z: int) -> NDArray[np.int8]:
        """Of a slice: 1 for resin, -1 for not, 0 where it shows nothing."""
        if block[z].min() == block[z].max():
            return np.zeros(block.shape[1:], np.int8)
        at = consistent_levels(own, z - origin, half, typical)
        if at.visible and start <= z < stop:
            thresholds[z - start] = at.cell + parameters.contrast * (at.resin - at.cell)
        told = trace if trace is not None and trace.z == z else None
        found = resin_slice(block[z], at, pixel, parameters, told)
        return np.where(found, np.int8(1), np.int8(-1))

    resin = np.empty((stop - start, *block.shape[1:]), dtype=bool)
    votes: dict[int, NDArray[np.int8]] = {}
    for out, z in zip(resin, range(start, stop), strict=True):
        near = range(max(first, z - reach), min(last, z + reach + 1))
        votes = {at: votes[at] if at in votes else vote(at) for at in near}
        # A draw is decided by the slice itself, and where that shows nothing by the one before.
        own_vote = votes[z] if votes[z].any() else votes[near.start]
        out[:] = 2 * sum(votes.values()) + own_vote > 0
    return resin, thresholds


def background_slice(
    image: NDArray[Any],
    pixel: tuple[float, float],
    parameters: BackgroundParameters,
    levels: GreyLevels | None = None,
) -> NDArray[np.bool_]:
    """True where one whole plane shows resin, by itself: see :func:`background_block`."""
    resin, _ = background_block(image[None], (math.inf, *pixel), parameters, levels)
    found: NDArray[np.bool_] = resin[0]
    return found


def consistent_levels(
    levels: Sequence[SliceLevels], index: int, half: int, typical: SliceLevels
) -> SliceLevels:
    """The levels that a slice is measured by.

    Its own, unless it has none or their difference is far from the neighbours': then the medians
    of those within `half` slices, and where none of these has any, `typical`.
    """
    near = [
        (level.cell, level.resin)
        for level in levels[max(0, index - half) : index + half + 1]
        if level.visible
    ]
    if not near:
        return typical
    cell, resin = (float(value) for value in np.median(near, axis=0))
    own = levels[index]
    if own.visible and 1 / _CONTRAST <= (own.resin - own.cell) / (resin - cell) <= _CONTRAST:
        return own
    return SliceLevels(cell, resin)


def likeness(
    image: NDArray[Any], levels: SliceLevels, pixel: tuple[float, float], blur: float
) -> NDArray[np.float32]:
    """0 at the grey value of cells, 1 at that of resin, after a low-pass of `blur` nm."""
    sigma = (blur / pixel[0], blur / pixel[1])
    grey = ndimage.gaussian_filter(image, sigma, output=np.float32, truncate=3.0)
    scaled: NDArray[np.float32] = (grey - np.float32(levels.cell)) / np.float32(
        levels.resin - levels.cell
    )
    return scaled


def resin_slice(
    image: NDArray[Any],
    levels: SliceLevels,
    pixel: tuple[float, float],
    parameters: BackgroundParameters,
    trace: Trace | None = None,
) -> NDArray[np.bool_]:
    """Resin of one whole slice whose levels are known; all false where they are not.

    A frame of one dark grey value around the image is no cell: it counts as resin. A `trace` is
    told what each step makes of it.
    """
    if not levels.visible:
        return np.zeros(image.shape, dtype=bool)
    p = parameters
    like = likeness(image, levels, pixel, p.blur)
    frame = padding(image, image.min(), pixel)
    # A pale spot in a cell has no membrane around it: it must not be taken for a smear's rim.
    dark = ~morphology.remove_pieces((like >= p.contrast) | frame, p.smallest_gap, pixel)
    smear = smears(like, dark, frame, pixel, p)
    cells = morphology.remove_pieces(dark & ~smear, p.smallest_fragment, pixel)
    resin = morphology.remove_pieces(~cells, p.smallest_gap, pixel)
    if trace is not None:
        _show(trace, levels, like, {"dark": dark, "smear": smear, "resin": resin}, p)
    return resin


def _show(
    trace: Trace,
    levels: SliceLevels,
    like: NDArray[np.float32],
    found: dict[str, NDArray[np.bool_]],
    p: BackgroundParameters,
) -> None:
    """What the steps made of one slice, for pictures."""
    trace.show(
        "likeness to resin",
        f"0 at the grey value of cells ({levels.cell:.0f} in this slice), 1 at that of resin "
        f"({levels.resin:.0f}), after a low-pass of {p.blur:g} nm. Resin begins at {p.contrast:g}.",
        like,
        trace.z,
    )
    trace.show(
        "too dark for resin",
        f"What lies below {p.contrast:g}: cells, but also smears of charge in the resin. Pale "
        f"spots under {p.smallest_gap:g} µm² are filled.",
        found["dark"],
        trace.z,
    )
    trace.show(
        "smears of charge",
        f"Dark parts that fade into the resin: along half of their contact with it, the climb "
        f"from cell to resin takes longer than {p.rim:g} nm, so there is no membrane.",
        found["smear"],
        trace.z,
    )
    trace.show(
        "resin of the slice alone",
        f"The rest, with the smears; pieces of cell under {p.smallest_fragment:g} µm² that float "
        f"in it are resin too, and pieces of resin under {p.smallest_gap:g} µm² are cell.",
        found["resin"],
        trace.z,
    )


def _half(height: float, thickness: float) -> int:
    """Slices on either side that a window of `height` nm reaches."""
    return math.floor(height / (2 * thickness) + 1e-6)
