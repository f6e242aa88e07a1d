"""The cell around a nucleus, from its centre slice up and down; for every classical method."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels import stack
from hela_dask.kernels.cell import basins, cell_slice, choose_basins
from hela_dask.methods import propagate_steps as steps
from hela_dask.methods.slices import is_blank, largest_odd, outwards
from hela_dask.parameters import MethodParameters
from hela_dask.trace import NO_TRACE, Trace
from hela_dask.types import Mask, Voxel

__all__ = ["basin_at_centre", "segment_slices"]


def segment_slices(
    image: NDArray[Any],
    nucleus: Mask,
    background: Mask,
    voxel: Voxel,
    centre: tuple[int, int, int],
    p: MethodParameters,
    *,
    contacts: Mask | None = None,
    trace: Trace = NO_TRACE,
) -> Mask:
    """All slices of the cell, from its centre slice up and down.

    `contacts` are true where a boundary between cells is known, (z, y, x).
    """
    pixel = voxel[1:]
    cell = np.zeros(nucleus.shape, dtype=bool)

    def find(z: int, previous: Mask | None) -> Mask:
        known = None if contacts is None else contacts[z]
        pieces = basins(~background[z], pixel, p, known)
        found = cell_slice(pieces, nucleus[z], previous, centre[1:], pixel, p)
        steps.show_basins(
            trace,
            z,
            background[z],
            pieces,
            lambda _: choose_basins(pieces, nucleus[z], previous, centre[1:], p),
            found,
            pixel=pixel,
            p=p,
        )
        return found

    start = centre[0]
    cell[start] = find(start, None)
    for direction in (1, -1):
        previous = cell[start]
        for z in outwards(start, direction, len(cell)):
            if is_blank(image[z]):
                continue
            previous = find(z, previous)
            if not previous.any():
                break
            cell[z] = previous
    stack.bridge_gaps(cell)
    stack.majority(cell, largest_odd(p.smoothing / voxel[0]))
    cell &= ~background
    cell |= nucleus
    stack.keep_component(cell)
    steps.show_majority(trace, cell, "cell", p)
    return cell


def basin_at_centre(
    tissue: Mask, centre: tuple[int, int], pixel: tuple[float, float], p: MethodParameters
) -> Mask:
    """The basin of a slice at the cell's centre; all tissue if that lies in the resin."""
    if not tissue[centre]:
        return tissue
    pieces = basins(tissue, pixel, p)
    own: Mask = pieces == pieces[centre]
    return own
