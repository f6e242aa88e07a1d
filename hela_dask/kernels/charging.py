"""Charging artefacts: dark parts of the resin, which differ from cells by having no sharp rim."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.kernels import morphology
from hela_dask.kernels.basins import prominent_basins
from hela_dask.kernels.compiled import compiled
from hela_dask.kernels.grid import block_mean, grid_factors, refine
from hela_dask.parameters import BackgroundParameters
from hela_dask.types import Grey, Labels

__all__ = ["charging_artefacts", "dark_pieces", "smooth_rims"]


_HIDDEN = -1  # neither a piece nor resin


def charging_artefacts(
    likeness: NDArray[np.float32],
    dark: NDArray[np.bool_],
    frame: NDArray[np.bool_],
    pixel: tuple[float, float],
    parameters: BackgroundParameters,
) -> NDArray[np.bool_]:
    """Dark pixels of a slice that are charging artefacts in the resin.

    Parameters
    ----------
    likeness
        (y, x), 0 at the grey value of cells and 1 at that of resin.
    dark
        (y, x), pixels too dark to be resin by their grey value alone.
    frame
        (y, x), pixels that show nothing: pieces that touch them have no rim there.
    pixel
        Pixel size (y, x) in nm.
    parameters
        Parameters of the stage.
    """
    factors = grid_factors(pixel)
    square = (pixel[0] * factors[0], pixel[1] * factors[1])
    coarse = block_mean(likeness, factors)
    pieces = dark_pieces(block_mean(dark, factors) > 0.5, square, parameters.neck)
    pieces[block_mean(frame, factors) > 0.5] = _HIDDEN
    smooth = smooth_rims(coarse, pieces, square, parameters)
    if not smooth.any():
        return np.zeros(dark.shape, dtype=bool)
    # Pixels that are dark in a square that is not belong to an artefact beside it.
    squares = smooth[np.maximum(pieces, 0)]
    beside = ndimage.binary_dilation(squares) & (pieces <= 0)
    found: NDArray[np.bool_] = dark & refine(squares | beside, factors, dark.shape)
    return found


def dark_pieces(dark: NDArray[np.bool_], pixel: tuple[float, float], neck: float) -> Labels:
    """The dark parts of a slice, cut at their necks: an artefact may be connected to a cell.

    Two parts are one where the neck between them is less than `neck` (nm) narrower, by radius, than
    the narrower of the two.
    """
    if dark.all():
        return np.ones(dark.shape, dtype=np.int32)
    return prominent_basins(morphology.depth_inside(dark, pixel), neck)


def smooth_rims(
    likeness: NDArray[np.float32],
    pieces: Labels,
    pixel: tuple[float, float],
    parameters: BackgroundParameters,
) -> NDArray[np.bool_]:
    """Which pieces (by number; 0 is false) fade into the resin instead of ending at a membrane.

    Over a membrane the grey value climbs from cell to resin within about 200 nm on the grid. An
    artefact may have a sharp side, but along half of its contact with resin the grey value rises
    more slowly. A piece with little contact is never an artefact: it belongs to the tissue around
    it.
    """
    flat = np.hypot(*np.gradient(likeness, *pixel)) * parameters.rim
    counts = np.zeros((2, 2, 3, int(pieces.max()) + 1), np.int64)
    _count_rims(np.ascontiguousarray(pieces), flat, counts)
    total = np.zeros(counts.shape[2:])
    for length, sides in zip(reversed(pixel), counts, strict=True):
        for found in sides:
            total += length * found
    rim, contact, smooth = total
    fades: NDArray[np.bool_] = (contact > parameters.contact * rim) & (2 * smooth > contact)
    fades[0] = False
    return fades


@compiled
def _count_rims(pieces: Labels, flat: Grey, counts: NDArray[np.int64]) -> None:
    """Count the sides of squares on the rims of pieces, in `counts`.

    `counts` is (2, 2, 3, pieces): squares below one another and beside one another; the piece is
    the first or the second of the two; all sides, those against resin, and those of these where the
    grey value rises slowly.
    """
    rows, columns = pieces.shape
    for y in range(rows):
        for x in range(columns):
            one = pieces[y, x]
            for axis in range(2):
                v, u = (y + 1, x) if axis == 0 else (y, x + 1)
                if v == rows or u == columns or pieces[v, u] == one:
                    continue
                other = pieces[v, u]
                fading = flat[y, x] + flat[v, u] < 2
                for side, (inside, outside) in enumerate(((one, other), (other, one))):
                    if inside > 0:
                        found = counts[axis, side, :, inside]
                        found[0] += 1
                        found[1] += outside == 0
                        found[2] += (outside == 0) & fading
