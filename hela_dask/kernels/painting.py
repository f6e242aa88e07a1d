"""Labels of coarse pixels on fine ones: cells of a tile, and the nuclei in it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.compiled import compiled
from hela_dask.types import Factors, Mask

__all__ = ["Place", "expand_labels", "paint_cells", "paint_nucleus", "repeat_pixels"]

Place = tuple[int, int, int, int]
"""Row and column of the plane that an array begins at, and fine pixels in a coarse one (y, x)."""


def repeat_pixels(
    plane: NDArray[Any], rows: slice, columns: slice, factors: Factors
) -> NDArray[Any]:
    """Some rows and columns of a fine plane, each pixel with the value of its coarse one."""
    fine = np.empty((rows.stop - rows.start, columns.stop - columns.start), plane.dtype)
    _repeat_pixels(np.ascontiguousarray(plane), fine, rows.start, columns.start, *factors)
    return fine


def expand_labels(cells: NDArray[Any], resin: Mask) -> NDArray[Any]:
    """Labels of a coarse plane, and in the resin those beside it: of several the lowest label.

    So tissue that the coarse pixels did not resolve gets a label.
    """
    if not cells.any():
        return cells
    if cells.shape != resin.shape:
        raise ValueError(f"cells have shape {cells.shape}, the resin {resin.shape}")
    found = cells.copy()
    _label_beside(np.ascontiguousarray(cells), np.ascontiguousarray(resin), found)
    return found


@compiled
def _label_beside(cells: NDArray[Any], resin: Mask, found: NDArray[Any]) -> None:
    """Give each pixel of the resin without a label the lowest one of its neighbours, in place."""
    rows, columns = cells.shape
    for y in range(rows):
        top, low = max(y - 1, 0), min(y + 2, rows)
        for x in range(columns):
            if not resin[y, x] or cells[y, x]:
                continue
            for v in range(top, low):
                for u in range(max(x - 1, 0), min(x + 2, columns)):
                    label = cells[v, u]
                    if label > 0 and (not found[y, x] or label < found[y, x]):
                        found[y, x] = label


@compiled
def paint_cells(cells: NDArray[Any], resin: Mask, owners: NDArray[Any], place: Place) -> None:
    """Label the tissue of a tile, in place: each pixel by its coarse one.

    Parameters
    ----------
    cells
        (y, x) labels of the tile; all of it is written.
    resin
        (y, x), of the tile.
    owners
        (y, x) labels of the whole coarse plane, see :func:`expand_labels`.
    place
        Of the tile.
    """
    top, left, height, width = place
    last_y, columns = owners.shape[0] - 1, cells.shape[1]
    for y in range(cells.shape[0]):
        row = owners[min((y + top) // height, last_y)]
        start, at = 0, left // width
        while start < columns:
            owner = row[min(at, row.size - 1)]
            stop, at = _run_end(row, at, left, width, columns)
            here, free = cells[y, start:stop], resin[y, start:stop]
            if owner:
                for x in range(here.size):
                    here[x] = 0 if free[x] else owner
            else:
                here[:] = 0
            start = stop


@compiled
def paint_nucleus(
    labels: tuple[NDArray[Any], NDArray[Any], NDArray[Any]],
    nucleus: tuple[Mask, Mask],
    label: int,
    resin: Mask,
    owners: tuple[NDArray[Any], NDArray[Any]],
    place: Place,
) -> None:
    """Write a nucleus and its envelope into a part of a tile, on pixels of no other cell, in place.

    Parameters
    ----------
    labels
        (y, x) nuclei, cells and envelopes of the part.
    nucleus
        (y, x) the nucleus, and the pixels within the envelope's width of it.
    label
        Of the cell.
    resin
        (y, x), of the part.
    owners
        (y, x) of the whole coarse plane: labels of cells, see :func:`expand_labels`, and of nuclei
        and envelopes without a cell.
    place
        Of the part.
    """
    top, left, height, width = place
    nuclei, cells, envelope = labels
    inside, near = nucleus
    claimed, alone = owners
    last_y, last_x = claimed.shape[0] - 1, claimed.shape[1] - 1
    for y in range(near.shape[0]):
        v = min((y + top) // height, last_y)
        for x in range(near.shape[1]):
            if not near[y, x]:
                continue
            u = min((x + left) // width, last_x)
            own, bare = claimed[v, u] == label, alone[v, u] == label
            if inside[y, x] and (own or bare):
                nuclei[y, x] = label
                if own:
                    cells[y, x] = label
            elif not resin[y, x] and (bare or cells[y, x] == label):
                envelope[y, x] = label


@compiled
def _repeat_pixels(
    plane: NDArray[Any], fine: NDArray[Any], top: int, left: int, height: int, width: int
) -> None:
    last_y, columns = plane.shape[0] - 1, fine.shape[1]
    for y in range(fine.shape[0]):
        number = min((y + top) // height, last_y)
        if y and number == min((y - 1 + top) // height, last_y):
            fine[y] = fine[y - 1]
            continue
        row = plane[number]
        start, at = 0, left // width
        while start < columns:
            value = row[min(at, row.size - 1)]
            stop, at = _run_end(row, at, left, width, columns)
            fine[y, start:stop] = value
            start = stop


@compiled
def _run_end(row: NDArray[Any], at: int, left: int, width: int, columns: int) -> tuple[int, int]:
    """Where the fine pixels of a run of equal coarse ones end, and the coarse pixel there."""
    last = row.size - 1
    value = row[min(at, last)]
    while at < last and row[at] == value:
        at += 1
    if row[min(at, last)] == value:
        return columns, last + 1
    return min(at * width - left, columns), at
