"""The cell in one slice: basins of the distance to the resin that hold the nucleus."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.kernels import morphology
from hela_dask.kernels.basins import prominent_basins, spread_basins
from hela_dask.kernels.compiled import compiled
from hela_dask.kernels.distance import depth_on_grid
from hela_dask.parameters import MethodParameters
from hela_dask.types import Labels, Mask

__all__ = ["basins", "cell_slice", "choose_basins"]


def basins(
    tissue: Mask,
    pixel: tuple[float, float],
    parameters: MethodParameters,
    contacts: Mask | None = None,
) -> Labels:
    """Split touching cells of a slice where the tissue between them is narrow (method A.7).

    Basins of the distance to the resin. Two summits are one basin unless the saddle between them is
    lower than both by ``saddle``, so ruffles and blebs stay with their cell. Basins meet on a grid
    of ``grid`` nm; their outline against the resin is not
    touched.

    Parameters
    ----------
    tissue
        (y, x), false in the resin.
    pixel, parameters
        Pixel size (y, x) in nm; ``saddle`` and ``grid`` are used.
    contacts
        (y, x), true where a boundary between cells is known: it limits the distance as resin does,
        and belongs to the nearest basin.

    Returns
    -------
    ndarray of int32, (y, x)
        0 in the resin.
    """
    inside = tissue if contacts is None else tissue & ~contacts
    y, x = (
        max(1, min(length, int(parameters.grid / size)))
        for length, size in zip(tissue.shape, pixel, strict=True)
    )
    height = depth_on_grid(inside, pixel, (y, x))
    if not height.any() or np.isinf(height).any():  # infinite without resin: nothing to split by
        return tissue.astype(np.int32)
    return spread_basins(prominent_basins(height, parameters.saddle), tissue, pixel, (y, x))


def cell_slice(
    pieces: Labels,
    nucleus: Mask,
    previous: Mask | None,
    centre: tuple[int, int],
    pixel: tuple[float, float],
    parameters: MethodParameters,
) -> Mask:
    """The basins of a slice that are the cell, cleaned (method A.7).

    Basins are kept that hold part of the nucleus, or that the cell of the slice before covers;
    without either, the one at the centre. Then parts behind a thin neck are removed.

    Parameters
    ----------
    pieces
        (y, x) from :func:`basins`.
    nucleus
        (y, x) nucleus of this slice, perhaps empty.
    previous
        (y, x) cell of the slice before, None in the first.
    centre
        y, x of the cell's centre, pixels.
    pixel, parameters
        Pixel size (y, x) in nm; ``nucleus_share``, ``cover`` and ``neck`` are used.
    """
    chosen = choose_basins(pieces, nucleus, previous, centre, parameters)
    return _remove_necks(chosen, pixel, parameters.neck)


def choose_basins(
    pieces: Labels,
    nucleus: Mask,
    previous: Mask | None,
    centre: tuple[int, int],
    parameters: MethodParameters,
) -> Mask:
    """The basins of a slice that :func:`cell_slice` keeps, and the nucleus, not cleaned yet.

    Parameters
    ----------
    pieces, nucleus, previous, centre, parameters
        As in :func:`cell_slice`; ``nucleus_share`` and ``cover`` are used.
    """
    p = parameters
    before = np.zeros_like(nucleus) if previous is None else previous
    sizes, shared, covered = _count(pieces, nucleus, before, int(pieces.max()) + 1)
    keep = np.zeros(len(sizes), dtype=bool)
    if shared.any():
        keep |= (shared >= p.nucleus_share * shared.sum()) | (shared > sizes / 2)
    if previous is not None:
        keep |= covered >= p.cover * sizes
    elif not shared.any():
        keep[pieces[centre]] = True
    keep[0] = False
    chosen: Mask = keep[pieces] | nucleus
    return chosen


@compiled
def _count(pieces: Labels, nucleus: Mask, previous: Mask, count: int) -> NDArray[np.int64]:
    """Pixels of each piece: all, those in the nucleus, and those in the slice before; (3, n)."""
    found = np.zeros((3, count), np.int64)
    for y in range(pieces.shape[0]):
        for x in range(pieces.shape[1]):
            piece = pieces[y, x]
            found[0, piece] += 1
            found[1, piece] += nucleus[y, x]
            found[2, piece] += previous[y, x]
    return found


def _remove_necks(mask: Mask, pixel: tuple[float, float], radius: float) -> Mask:
    """The largest piece of the opening by a disc, and the mask within the disc of it."""
    found = np.zeros(mask.shape, dtype=bool)
    box = morphology.box_around(mask, radius, pixel)
    part = mask[box]
    if not part.size:
        return found
    pieces, count = ndimage.label(morphology.erode(part, radius, pixel))
    if count:
        largest: Mask = pieces == np.argmax(morphology.areas(pieces, pixel))
        # The eroded piece begins a pixel beyond the radius.
        found[box] = morphology.dilate(largest, radius + max(pixel), pixel) & part
    return found
