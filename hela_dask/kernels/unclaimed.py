"""Tissue of a slice that no region claimed: assignment to the cells of the plane."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from hela_dask.box import Box
from hela_dask.parameters import AssembleParameters
from hela_dask.types import Labels, Mask

__all__ = ["NearbyMasks", "assign_unclaimed", "unclaimed_halo"]

Ids: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class NearbyMasks:
    """The masks of the region of one cell in the slices near one.

    Parameters
    ----------
    origin : tuple of int
        Row and column of the masks' first pixel in the plane.
    masks : ndarray of uint8, shape (slices, y, x)
        Slices at most :func:`unclaimed_halo` away.
    bit : int
        The bit of the masks for "cell".
    """

    origin: tuple[int, ...]
    masks: npt.NDArray[np.uint8]
    bit: int = 1

    def claims(self, rows: Ids, columns: Ids) -> Mask:
        """Whether the region claims some pixels of the plane, (slices, pixels)."""
        y, x = rows - self.origin[0], columns - self.origin[1]
        _, height, width = self.masks.shape
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        claimed = np.zeros((len(self.masks), rows.size), np.bool_)
        claimed[:, inside] = (self.masks[:, y[inside], x[inside]] & self.bit) > 0
        return claimed


def unclaimed_halo(step: float, parameters: AssembleParameters) -> int:
    """Slices on each side of one that the assignment of its tissue depends on; `step` is in nm."""
    return int(parameters.reach / step)


def assign_unclaimed(
    cells: Labels,
    free: Mask,
    around: Mapping[int, NearbyMasks],
    pixel: tuple[float, float],
    parameters: AssembleParameters,
) -> Labels:
    """Cells of one plane, with their unclaimed tissue added.

    Regions are segmented independently, and each leaves out tissue that it assigns to a neighbour:
    a sliver between two cells, a protrusion beyond a neck. A connected piece of such tissue, up to
    ``largest_piece``, that touches nothing but resin and one cell is that cell's if, within
    ``reach`` along z, its region claims ``cover`` of the piece's pixels: the cell continues there.
    A piece between several cells is divided: each of its pixels goes to the nearest of those that
    it touches, a tie to the lower label. A piece that touches no cell (a vesicle in the resin),
    that is connected to the body of a neighbour without a label, or that no region claims, stays
    free.

    The rule depends on one whole plane, and along z on the claims of regions, which no other piece
    changes: the result does not depend on slabs or chunks.

    Parameters
    ----------
    cells : ndarray of int, shape (y, x)
        Labels, at most one per pixel.
    free : ndarray of bool, shape (y, x)
        Tissue without a label.
    around : mapping of label to NearbyMasks
        Of every cell in the plane.
    pixel : tuple of float
        Pixel size in y and x, nm.
    parameters : AssembleParameters

    Returns
    -------
    ndarray of int, shape (y, x)
        Labels with the pieces added; labelled pixels keep their labels.
    """
    joined = cells.copy()
    if not free.any() or not cells.any():
        return joined
    pieces, count = ndimage.label(free)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    small = sizes * (pixel[0] * pixel[1] / 1e6) <= parameters.largest_piece
    touched, owners = _contacts(pieces, free, cells)
    neighbours = np.bincount(touched, minlength=count + 1)
    owner = np.zeros(count + 1, cells.dtype)
    owner[touched] = owners
    owner[~small | (neighbours != 1)] = 0
    _assign_covered(joined, pieces, owner, sizes, around, parameters.cover)
    for piece, box in _boxes(pieces, np.flatnonzero(small & (neighbours > 1))):
        here = pieces[box] == piece
        joined[box][here] = _nearest(cells[box], owners[touched == piece], pixel)[here]
    return joined


def _contacts(pieces: npt.NDArray[np.integer], free: Mask, cells: Labels) -> tuple[Ids, Ids]:
    """Each pair of a piece and a cell that share a pixel's edge."""
    width, owned = int(cells.max()) + 1, cells > 0
    keys = []
    for axis in (0, 1):
        for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:-1], np.s_[1:])):
            here = (one, np.s_[:]) if axis == 0 else (np.s_[:], one)
            there = (other, np.s_[:]) if axis == 0 else (np.s_[:], other)
            meets = free[here] & owned[there]
            piece, cell = pieces[here][meets], cells[there][meets]
            keys.append(np.unique(piece.astype(np.int64) * width + cell))
    pairs = np.unique(np.concatenate(keys))
    return pairs // width, pairs % width


def _assign_covered(
    joined: Labels,
    pieces: npt.NDArray[np.integer],
    owner: Labels,
    sizes: Ids,
    around: Mapping[int, NearbyMasks],
    cover: float,
) -> None:
    """Add the pieces that the region of their owner claims in a slice near this one."""
    places = np.flatnonzero((owner > 0)[pieces])
    piece = pieces.ravel()[places]
    most = np.zeros(sizes.size, np.int64)
    for label in map(int, np.unique(owner[owner > 0])):
        mine = owner[piece] == label
        claims = around[label].claims(*np.divmod(places[mine], pieces.shape[1]))
        for slice_ in claims:
            np.maximum(most, np.bincount(piece[mine][slice_], minlength=sizes.size), out=most)
    covered = most >= cover * sizes
    joined.ravel()[places] = np.where(covered[piece], owner[piece], 0)


def _boxes(pieces: npt.NDArray[np.integer], wanted: Ids) -> Iterator[tuple[int, Box]]:
    """Pieces, and the part of the plane that holds each and the pixels around it."""
    if wanted.size:
        kept = np.arange(int(pieces.max()) + 1, dtype=pieces.dtype)
        kept[~np.isin(kept, wanted)] = 0
        found = ndimage.find_objects(kept[pieces])
        for piece in map(int, wanted):
            yield piece, Box(found[piece - 1]).grow(1).clip(pieces.shape)


def _nearest(cells: Labels, owners: Ids, pixel: tuple[float, float]) -> Labels:
    """For each pixel the nearest of some cells, of equals the lowest label."""
    labels = np.sort(owners)
    away = [ndimage.distance_transform_edt(cells != label, sampling=pixel) for label in labels]
    nearest: Labels = labels[np.argmin(away, axis=0)].astype(cells.dtype)
    return nearest
