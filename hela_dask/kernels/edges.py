"""A slice as a binary plane, which a U-Net sees, and the nucleus by Canny edges in a cell.

The steps and their order are those of Hosangadi et al.; their pixels were 10 nm for the input of
the U-Net, and 40 nm for the nucleus.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import canny
from skimage.filters import threshold_otsu
from skimage.measure import regionprops

from hela_dask.kernels import morphology
from hela_dask.kernels.filters import gaussian
from hela_dask.parameters import HybridParameters
from hela_dask.types import Mask, Pixel

__all__ = ["PUBLISHED_BAND", "NucleusSteps", "nucleus_plane", "preprocess_plane"]


PUBLISHED_BAND = (94.0, 130.0)
"""Grey values of nuclei in the paper, of 8 bit."""


class NucleusSteps(NamedTuple):
    """The results of the steps of :func:`nucleus_plane` in a slice, each (y, x).

    Attributes
    ----------
    texture : ndarray of float64
        Standard deviation of grey values around each pixel.
    pieces : ndarray of bool
        The pieces between edges.
    candidate : ndarray of bool
        The largest piece that may be the nucleus; empty where there is none.
    refined : ndarray of bool
        Pixels with the grey values of a nucleus in its place; the candidate if there are none.
    nucleus : ndarray of bool
    """

    texture: NDArray[np.float64]
    pieces: Mask
    candidate: Mask
    refined: Mask
    nucleus: Mask


def preprocess_plane(plane: NDArray[Any], pixel: Pixel, p: HybridParameters) -> Mask:
    """Pixels darker than resin, the input of the U-Net: blurred, below Otsu's threshold, not small.

    Parameters
    ----------
    plane
        (y, x) grey values with bright resin.
    pixel
        Pixel size (y, x) in nm.
    p
        ``blur`` and ``smallest_tissue`` are used.
    """
    smooth = gaussian(plane, (p.blur / pixel[0], p.blur / pixel[1]))
    if smooth.min() == smooth.max():
        return np.zeros(plane.shape, dtype=bool)
    return morphology.remove_pieces(smooth <= threshold_otsu(smooth), p.smallest_tissue, pixel)


def nucleus_plane(
    plane: NDArray[Any],
    cell: Mask,
    pixel: Pixel,
    p: HybridParameters,
    middle: tuple[float, float] | None = None,
) -> NucleusSteps:
    """The nucleus of one cell in one slice, by edges of its texture.

    Parameters
    ----------
    plane
        (y, x) grey values with bright resin.
    cell
        (y, x) the cell with its nucleus.
    pixel
        Pixel size (y, x) in nm.
    p
        As :meth:`~hela_dask.parameters.HybridParameters.chosen`.
    middle
        y, x in pixels that the nucleus is near to; if None, the cell's centroid.
    """
    nothing = np.zeros(plane.shape, dtype=bool)
    if not cell.any() or plane.min() == plane.max():
        return NucleusSteps(nothing.astype(float), nothing, nothing, nothing, nothing)
    texture = _texture(plane, pixel, p)
    where = np.ones_like(cell) if p.published else cell
    pieces = _between(_edges(texture, where, pixel, p), pixel, p)
    if middle is None:
        y, x = np.nonzero(cell)
        middle = float(y.mean()), float(x.mean())
    candidate = _candidate(pieces, cell, middle, pixel, p)
    if not candidate.any():
        return NucleusSteps(texture, pieces, candidate, candidate, candidate)
    refined = _refined(plane, cell, candidate, pixel, p)
    size = np.count_nonzero(refined) * pixel[0] * pixel[1] * 1e-6
    grown = morphology.dilate(refined, p.growth_large if size > p.large else p.growth, pixel)
    return NucleusSteps(texture, pieces, candidate, refined, morphology.fill(grown))


def _texture(plane: NDArray[Any], pixel: Pixel, p: HybridParameters) -> NDArray[np.float64]:
    """Standard deviation of the smoothed grey values in a square around each pixel."""
    smooth = gaussian(plane, (p.smoothing / pixel[0], p.smoothing / pixel[1])).astype(float)
    smooth -= smooth.mean()  # differences of squares of large numbers are inexact
    width = tuple(2 * max(1, round((p.texture / size - 1) / 2)) + 1 for size in pixel)
    mean = ndimage.uniform_filter(smooth, width)
    square = ndimage.uniform_filter(smooth * smooth, width)
    deviation: NDArray[np.float64] = np.sqrt(np.maximum(square - mean * mean, 0.0))
    return deviation


def _edges(texture: NDArray[np.float64], where: Mask, pixel: Pixel, p: HybridParameters) -> Mask:
    """Canny's edges; their thresholds are relative to the slopes of `where`."""
    sigma = p.edge / float(np.mean(pixel))
    blurred = ndimage.gaussian_filter(texture, sigma, mode="nearest")
    slope = np.hypot(ndimage.sobel(blurred, 0), ndimage.sobel(blurred, 1))
    high = float(np.quantile(slope[where], p.strong))
    edges: Mask = canny(texture, sigma, p.weak * high, high, mode="nearest")
    return edges


def _between(edges: Mask, pixel: Pixel, p: HybridParameters) -> Mask:
    """Pieces between edges that were widened by a diamond, large ones only."""
    reach = [int(p.gap / size + 1e-6) for size in pixel]
    rows, columns = np.ogrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1]
    diamond = abs(rows) * pixel[0] + abs(columns) * pixel[1] <= p.gap * (1 + 1e-6)
    free: Mask = ~ndimage.binary_dilation(edges, diamond)
    return morphology.remove_pieces(free, p.smallest_piece, pixel)


def _candidate(
    pieces: Mask, cell: Mask, middle: tuple[float, float], pixel: Pixel, p: HybridParameters
) -> Mask:
    """The largest piece, its holes filled, with the size, the place and the shape of a nucleus.

    Each piece is filled separately, so that a ring of resin around a cell is not filled.
    """
    labels, _ = ndimage.label(pieces)
    largest, best = 0.0, np.zeros_like(cell)
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        filled = morphology.fill(labels[box] == label)
        size = np.count_nonzero(filled) * pixel[0] * pixel[1] * 1e-6
        beyond = np.count_nonzero(filled & ~cell[box]) * pixel[0] * pixel[1] * 1e-6
        if not p.smallest <= size <= p.largest or size <= p.smallest_nucleus:
            continue
        if size <= largest or beyond >= p.outside:
            continue
        (piece,) = regionprops(filled.astype(np.uint8))
        y, x = (at + part.start for at, part in zip(piece.centroid, box, strict=True))
        away = np.hypot((y - middle[0]) * pixel[0], (x - middle[1]) * pixel[1])
        roundness = 4 * np.pi * piece.area / max(piece.perimeter, 1.0) ** 2
        if away <= p.distance and roundness >= p.circularity:
            largest, best = size, np.zeros_like(cell)
            best[box] = filled
    return best


def _refined(
    plane: NDArray[Any], cell: Mask, candidate: Mask, pixel: Pixel, p: HybridParameters
) -> Mask:
    """The piece with a nucleus' grey values that is like the candidate in size and place."""
    low, high = PUBLISHED_BAND
    if not p.published:
        low, high = np.quantile(plane[cell], (p.darkest, p.brightest))
    labels, count = ndimage.label((plane >= low) & (plane <= high) & cell)
    if not count:
        return candidate
    sizes = np.bincount(labels.ravel())[1:]
    wanted = np.count_nonzero(candidate)
    likeness = np.minimum(sizes, wanted) / np.maximum(sizes, wanted)
    y, x = np.nonzero(candidate)
    for at in np.argsort(-likeness, kind="stable"):
        if likeness[at] < p.likeness:
            break
        found: Mask = labels == at + 1
        rows, columns = np.nonzero(found)
        away = np.hypot((rows.mean() - y.mean()) * pixel[0], (columns.mean() - x.mean()) * pixel[1])
        if away <= p.shift:
            return found
    return candidate
