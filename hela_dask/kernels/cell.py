"""The cell in one slice: basins of the distance to the resin that hold the nucleus."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.kernels import morphology
from hela_dask.kernels.basins import prominent_basins
from hela_dask.parameters import MethodParameters
from hela_dask.types import Mask

__all__ = ["basins", "cell_slice", "choose_basins"]


def basins(
    tissue: Mask,
    pixel: tuple[float, float],
    parameters: MethodParameters,
    contacts: Mask | None = None,
) -> NDArray[np.int32]:
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
    fine = morphology.depth_inside(tissue if contacts is None else tissue & ~contacts, pixel)
    if not np.isfinite(fine).all():  # no resin at all: nothing to split by
        return tissue.astype(np.int32)
    step = tuple(max(1, int(parameters.grid / size)) for size in pixel)
    height = fine[step[0] // 2 :: step[0], step[1] // 2 :: step[1]]
    if not height.any():
        return tissue.astype(np.int32)
    split = prominent_basins(height, parameters.saddle)
    # Tissue too thin to be on the grid belongs to the nearest basin.
    nearest = ndimage.distance_transform_edt(
        split == 0, return_distances=False, return_indices=True
    )
    rows, columns = (
        np.minimum(np.arange(length) // size, short - 1)
        for length, size, short in zip(tissue.shape, step, split.shape, strict=True)
    )
    full: NDArray[np.int32] = split[tuple(nearest)][np.ix_(rows, columns)]
    return full * tissue


def cell_slice(
    pieces: NDArray[np.int32],
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
    pieces: NDArray[np.int32],
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
    count = int(pieces.max()) + 1
    sizes = np.bincount(pieces.ravel(), minlength=count)
    keep = np.zeros(count, dtype=bool)
    if nucleus.any():
        shared = np.bincount(pieces[nucleus], minlength=count)
        keep |= (shared >= p.nucleus_share * nucleus.sum()) | (shared > sizes / 2)
    if previous is not None:
        keep |= np.bincount(pieces[previous], minlength=count) >= p.cover * sizes
    elif not nucleus.any():
        keep[pieces[centre]] = True
    keep[0] = False
    chosen: Mask = keep[pieces] | nucleus
    return chosen


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
