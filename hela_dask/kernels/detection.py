"""Cells in one slice: the summits of the distance to the resin, highest first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.parameters import DetectParameters

__all__ = ["detect_slice", "without_specks"]

_EIGHT = np.ones((3, 3), dtype=bool)

# Two summits of one cell are never further apart than this, in heights of the higher one.
_REACH = 2.5


def detect_slice(
    background: NDArray[np.bool_],
    distance: NDArray[np.float32],
    pixel: tuple[float, float],
    parameters: DetectParameters,
) -> NDArray[np.float64]:
    """Find the cells of one whole plane (J. Imaging 2021, section 2.4; method A.3).

    As published: the Euclidean distance to the background is an altitude map; its highest summit
    is a cell, the square of +-1.2 heights around it is cleared, and so on. What is different:

    - Published, the plane's border counts as background, so a cell that it cuts in half stands
      low, with several summits that change from slice to slice. Here what the border cuts is
      taken to go on for ``beyond``, and then comes resin: half a cell has one summit, a little
      inside the border; and two that touch there have two, as they would not if tissue had no end.
    - Published, the descent stops at half of the slice's highest summit, so a cell that is small
      or flat in every slice is never seen. Here it goes down to ``smallest_height``, and
      :func:`~hela_dask.link_cells` tells low cells from debris by what the slices say together.
    - Pieces of background under ``smallest_resin`` (pale spots inside a cell) are not resin here.
    - A summit that a ridge joins to a cell already found, never lower than ``neck`` of the
      summit's own height, is part of that cell.

    Parameters
    ----------
    background
        (y, x) mask of one whole plane, true in the resin.
    distance
        (y, x), nm, from each pixel to the resin that :func:`without_specks` leaves; its border is
        none. Infinite where there is no such resin.
    pixel
        Pixel size (y, x) in nm.
    parameters
        Knobs of the stage.

    Returns
    -------
    ndarray of float64, (cells, 3)
        Row, column and height (nm) of each cell, highest first; ties by row, then column. Never
        on a background pixel. Empty where a plane is all resin, or shows no resin at all:
        there nothing stands out.
    """
    background = np.asarray(background, dtype=bool)
    if np.isinf(distance).any() or background.all():
        return np.empty((0, 3))
    altitude = np.minimum(distance, _to_border(distance.shape, pixel, parameters.beyond))
    places, heights = _summits(np.where(background, 0, altitude), parameters.smallest_height)
    centres = places * np.array(pixel)
    taken: list[int] = []
    joined: list[int] = []  # further summits of the cells in `taken`
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


def without_specks(
    mask: NDArray[np.bool_], pixel: tuple[float, float], smallest: float
) -> NDArray[np.bool_]:
    """Drop the 8-connected pieces of a plane's mask that are smaller than `smallest` µm²."""
    smallest = smallest * 1e6 / (pixel[0] * pixel[1])
    pieces, count = ndimage.label(mask, structure=_EIGHT)
    large = np.bincount(pieces.ravel(), minlength=count + 1) >= smallest
    large[0] = False
    kept: NDArray[np.bool_] = large[pieces]
    return kept


def _to_border(
    shape: tuple[int, ...], pixel: tuple[float, float], beyond: float
) -> NDArray[np.float32]:
    """How far each pixel is from the plane's end, which lies `beyond` nm outside its border."""
    ends = [
        np.minimum(np.arange(1, count + 1), np.arange(count, 0, -1)) * step + beyond
        for count, step in zip(shape, pixel, strict=True)
    ]
    distance: NDArray[np.float32] = np.minimum.outer(*ends).astype(np.float32)
    return distance


def _summits(
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
