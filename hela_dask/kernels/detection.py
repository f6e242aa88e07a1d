"""Cells in one slice: the maxima of the distance to the resin, highest first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.parameters import DetectParameters

__all__ = ["detect_slice", "remove_small_pieces"]

_CONNECTIVITY_8 = np.ones((3, 3), dtype=bool)

# Two maxima of one cell are never farther apart than this, in heights of the higher one.
_REACH = 2.5


def detect_slice(
    background: NDArray[np.bool_],
    distance: NDArray[np.float32],
    pixel: tuple[float, float],
    parameters: DetectParameters,
) -> NDArray[np.float64]:
    """Find the cells of one whole plane (J. Imaging 2021, section 2.4; method A.3).

    As published: the Euclidean distance to the background is an altitude map; its highest maximum
    is a cell, the square of +-1.2 heights around it is cleared, and so on. Differences:

    - Published, the plane's border counts as background, so a cell that it cuts in half is
      low, with several maxima that change from slice to slice. Here cells cut by the border
      continue for ``beyond``, followed by resin: half a cell has one maximum, slightly inside the
      border; and two cells that touch there have two maxima.
    - Published, the descent stops at half of the slice's highest maximum, so a cell that is small
      or flat in every slice is never detected. Here it goes down to ``smallest_height``, and
      :func:`~hela_dask.link_cells` separates low cells from debris by all slices together.
    - Pieces of background under ``smallest_resin`` (pale spots inside a cell) are not resin here.
    - A maximum that a ridge connects to an earlier cell, never lower than ``neck`` of the
      maximum's own height, is part of that cell.

    Parameters
    ----------
    background
        (y, x) mask of one whole plane, true in the resin.
    distance
        (y, x), nm, from each pixel to the resin that :func:`remove_small_pieces` leaves; its border
        is none. Infinite where there is no such resin.
    pixel
        Pixel size (y, x) in nm.
    parameters
        Parameters of the stage.

    Returns
    -------
    ndarray of float64, (cells, 3)
        Row, column and height (nm) of each cell, highest first; ties by row, then column. Never on
        a background pixel. Empty where a plane is all resin, or shows no resin at all: there are no
        maxima.
    """
    background = np.asarray(background, dtype=bool)
    if np.isinf(distance).any() or background.all():
        return np.empty((0, 3))
    altitude = np.minimum(distance, _border_distance(distance.shape, pixel, parameters.beyond))
    places, heights = _maxima(np.where(background, 0, altitude), parameters.smallest_height)
    centres = places * np.array(pixel)
    taken: list[int] = []
    joined: list[int] = []  # further maxima of the cells in `taken`
    for candidate, centre in enumerate(centres):
        cleared = parameters.suppression * heights[taken]
        if np.any(np.abs(centres[taken] - centre).max(axis=1, initial=0) <= cleared):
            continue
        known = np.array(taken + joined, dtype=int)
        near = known[np.hypot(*(centres[known] - centre).T) <= _REACH * heights[known]]
        ridge = parameters.neck * heights[candidate]
        if any(_saddle(altitude, places[candidate], places[other]) >= ridge for other in near):
            joined.append(candidate)
            continue
        taken.append(candidate)
        if len(taken) == parameters.cells_per_slice:
            break
    return np.column_stack([places[taken], heights[taken]])


def remove_small_pieces(
    mask: NDArray[np.bool_], pixel: tuple[float, float], smallest: float
) -> NDArray[np.bool_]:
    """Drop the 8-connected pieces of a plane's mask that are smaller than `smallest` µm²."""
    smallest = smallest * 1e6 / (pixel[0] * pixel[1])
    pieces, count = ndimage.label(mask, structure=_CONNECTIVITY_8)
    large = np.bincount(pieces.ravel(), minlength=count + 1) >= smallest
    large[0] = False
    kept: NDArray[np.bool_] = large[pieces]
    return kept


def _border_distance(
    shape: tuple[int, ...], pixel: tuple[float, float], beyond: float
) -> NDArray[np.float32]:
    """How far each pixel is from the plane's end, which lies `beyond` nm outside its border."""
    ends = [
        np.minimum(np.arange(1, count + 1), np.arange(count, 0, -1)) * step + beyond
        for count, step in zip(shape, pixel, strict=True)
    ]
    distance: NDArray[np.float32] = np.minimum.outer(*ends).astype(np.float32)
    return distance


def _maxima(
    altitude: NDArray[np.float32], lowest: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Places (n, 2) and heights of the regional maxima that are high enough, in rank order."""
    summit = (altitude > 0) & (altitude >= lowest)
    summit &= altitude == ndimage.maximum_filter(altitude, size=3)
    places = np.argwhere(summit)
    heights = altitude[summit].astype(float)
    order = np.lexsort((places[:, 1], places[:, 0], -heights))
    return places[order], heights[order]


def _saddle(
    altitude: NDArray[np.float32], one: NDArray[np.int64], other: NDArray[np.int64]
) -> float:
    """Lowest altitude on the straight line between two pixels."""
    steps = int(np.abs(other - one).max())
    line = np.rint(one + np.linspace(0, 1, steps + 1)[:, None] * (other - one)).astype(int)
    return float(altitude[line[:, 0], line[:, 1]].min())
