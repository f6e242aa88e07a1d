"""Tissue of a slice that no region claimed: assignment to the cells of the plane."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from hela_dask.box import Box
from hela_dask.kernels.compiled import compiled
from hela_dask.parameters import AssembleParameters
from hela_dask.types import Labels, Mask

__all__ = ["NearbyMasks", "assign_unclaimed", "pack_claims", "unclaimed_halo"]

Ids: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class NearbyMasks:
    """Voxels that the region of one cell claims in the slices near one, a bit each.

    Parameters
    ----------
    origin : tuple of int
        Row and column of the first pixel in the plane.
    claims : ndarray of uint8, shape (slices, y, x / 8)
        As from :func:`pack_claims`.
    at : int
        Which of them is the slice; it may lie before or after them.
    """

    origin: tuple[int, ...]
    claims: npt.NDArray[np.uint8]
    at: int

    def sides(self, rows: Ids, columns: Ids, halo: int) -> tuple[Mask, Mask]:
        """Which pixels of the plane the region claims above the slice, and which below it."""
        found = np.zeros((2, rows.size), np.bool_)
        y, x = rows - self.origin[0], columns - self.origin[1]
        _find_claims(self.claims, self.at, halo, y, x, found)
        return found[0], found[1]


def pack_claims(masks: Mask) -> npt.NDArray[np.uint8]:
    """Claims of a region, (slices, y, x), with a bit per voxel for :class:`NearbyMasks`."""
    return np.packbits(masks, axis=-1, bitorder="little")


@compiled
def _find_claims(
    claims: npt.NDArray[np.uint8], at: int, halo: int, rows: Ids, columns: Ids, found: Mask
) -> None:
    """Set which pixels are claimed in one of the slices before `at`, and in one after it."""
    depth, height, width = claims.shape
    for pixel in range(rows.size):
        y, x = rows[pixel], columns[pixel]
        if y < 0 or x < 0 or y >= height or x >= 8 * width:
            continue
        for side in range(2):
            for away in range(1, halo + 1):
                z = at + away if side else at - away
                if 0 <= z < depth and (claims[z, y, x >> 3] >> (x & 7)) & 1:
                    found[side, pixel] = True
                    break


def unclaimed_halo(step: float, parameters: AssembleParameters) -> int:
    """Slices on each side of one that the assignment of its tissue depends on; `step` is in nm."""
    return int(parameters.reach / step)


def assign_unclaimed(
    cells: Labels,
    free: Mask,
    around: Mapping[int, NearbyMasks],
    pixel: tuple[float, float],
    halo: int,
    parameters: AssembleParameters,
) -> Labels:
    """Cells of one plane, with their unclaimed tissue added.

    Regions are segmented independently, and each leaves out tissue that it assigns to a neighbour:
    a sliver between two cells, a protrusion beyond a neck, a bleb that one slice cuts off. A
    connected piece of such tissue belongs to a cell that continues there:

    - Half of it lies between claims of the cell's region, in slices above and below, within
      ``reach`` on each side. Of several such cells, the one with the largest share.
    - Or it has no more than ``largest_piece``, touches nothing but resin and this cell, and the
      region claims ``cover`` of it within ``reach`` above, or below.

    Another piece of no more than ``largest_piece`` between several cells is divided: each of its
    pixels goes to the nearest of those that it touches, a tie to the lower label. All others stay
    free: vesicles in the resin, the body of a neighbour without a label.

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
    halo : int
        Slices within reach, see :func:`unclaimed_halo`.
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
    only = np.zeros(count + 1, cells.dtype)
    only[touched] = owners
    only[~small | (neighbours != 1)] = 0
    owner = _continued(pieces, sizes, only, around, halo, parameters.cover)
    joined[free] = owner[pieces[free]]
    between = np.flatnonzero(small & (neighbours > 1) & (owner == 0))
    for piece, box in _boxes(pieces, between):
        here = pieces[box] == piece
        joined[box][here] = _nearest(cells[box], owners[touched == piece], pixel)[here]
    return joined


def _continued(
    pieces: npt.NDArray[np.integer],
    sizes: Ids,
    only: Labels,
    around: Mapping[int, NearbyMasks],
    halo: int,
    cover: float,
) -> Labels:
    """The cell that each piece continues, 0 where none; `only` are those that a piece touches."""
    rows, columns = np.nonzero(pieces)
    piece = pieces[rows, columns]
    most, owner = np.zeros(sizes.size, np.int64), np.zeros_like(only)
    for label in sorted(around):
        above, below = around[label].sides(rows, columns, halo)
        over, under, both = (
            np.bincount(piece[side], minlength=sizes.size) for side in (above, below, above & below)
        )
        end = (only == label) & (np.maximum(over, under) >= cover * sizes)
        shared = np.where(end, sizes, np.where(2 * both >= sizes, both, 0))
        owner[shared > most] = label
        np.maximum(most, shared, out=most)
    owner[0] = 0
    return owner


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
