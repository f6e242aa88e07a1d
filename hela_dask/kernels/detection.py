"""Cells in one slice: the summits of the distance to the resin, highest first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.kernels.distance import distance_slice
from hela_dask.kernels.filters import gaussian
from hela_dask.parameters import DetectParameters

__all__ = ["detect_slice"]

_EIGHT = np.ones((3, 3), dtype=bool)


def detect_slice(
    background: NDArray[np.bool_], pixel: tuple[float, float], parameters: DetectParameters
) -> NDArray[np.float64]:
    """Find the cells of one whole plane (J. Imaging 2021, section 2.4; METHODS A.3).

    As published: the Euclidean distance to the background is an altitude map, the plane's border
    counting as background; its highest summit is a cell, the square of +-1.2 heights around it is
    cleared, and so on down to a fraction of the highest. Three things differ, because on real
    slices one cell otherwise has several summits or a wrong one:

    - pieces of background under ``smallest_resin`` (pale spots inside a cell) are not resin here;
    - the altitude is smoothed before its summits are looked for, their heights are not;
    - a summit joined to a higher one by a ridge hardly lower than itself is the same cell.

    Parameters
    ----------
    background
        (y, x) mask of one whole plane, true in the resin.
    pixel
        Pixel size (y, x) in nm.
    parameters
        Knobs of the stage.

    Returns
    -------
    ndarray of float64, (cells, 3)
        Row, column and height (nm) of each cell, highest first; ties by row, then column. Empty
        where a plane is all resin, or shows no resin at all: there nothing stands out.
    """
    background = np.asarray(background, dtype=bool)
    resin = _without_specks(background, parameters.smallest_resin * 1e6 / (pixel[0] * pixel[1]))
    if not resin.any() or background.all():
        return np.empty((0, 3))
    height = distance_slice(resin, pixel)
    sigma = (parameters.smoothing / pixel[0], parameters.smoothing / pixel[1])
    altitude = gaussian(height, sigma) if parameters.smoothing else height
    rows, columns, heights = _summits(np.where(background, 0, altitude), height, parameters)
    centres = np.stack([rows * pixel[0], columns * pixel[1]], axis=1)
    most = parameters.cells_per_slice or len(rows)
    taken: list[int] = []
    for candidate, (centre, top) in enumerate(zip(centres, heights, strict=True)):
        gap = np.abs(centres[taken] - centre)
        if np.any(gap.max(axis=1, initial=0) <= parameters.suppression * heights[taken]):
            continue
        near = np.hypot(*gap.T) <= parameters.reach * heights[taken]
        others = [taken[index] for index in np.flatnonzero(near)]
        if any(
            _saddle(altitude, rows, columns, candidate, other) >= parameters.neck * top
            for other in others
        ):
            continue
        taken.append(candidate)
        if len(taken) == most:
            break
    return np.stack([rows[taken], columns[taken], heights[taken]], axis=1).astype(float)


def _without_specks(mask: NDArray[np.bool_], smallest: float) -> NDArray[np.bool_]:
    """Drop the 8-connected pieces of `mask` with fewer than `smallest` pixels."""
    pieces, count = ndimage.label(mask, structure=_EIGHT)
    large = np.bincount(pieces.ravel(), minlength=count + 1) >= smallest
    large[0] = False
    kept: NDArray[np.bool_] = large[pieces]
    return kept


def _summits(
    altitude: NDArray[np.float32], height: NDArray[np.float32], parameters: DetectParameters
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Rows, columns and heights of the regional maxima that are high enough, in rank order."""
    summit = (altitude > 0) & (altitude == ndimage.maximum_filter(altitude, size=3))
    rows, columns = np.nonzero(summit)
    heights = height[rows, columns]
    high = heights >= parameters.lowest_height * heights.max(initial=0)
    rows, columns, heights = rows[high], columns[high], heights[high]
    order = np.lexsort((columns, rows, -heights))
    return rows[order], columns[order], heights[order]


def _saddle(
    altitude: NDArray[np.float32],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    one: int,
    other: int,
) -> float:
    """Lowest altitude on the straight line between two summits."""
    span = max(abs(int(rows[one] - rows[other])), abs(int(columns[one] - columns[other])))
    along = np.linspace(0.0, 1.0, span + 1)
    line_rows = np.rint(rows[one] + along * (rows[other] - rows[one])).astype(int)
    line_columns = np.rint(columns[one] + along * (columns[other] - columns[one])).astype(int)
    return float(altitude[line_rows, line_columns].min())
