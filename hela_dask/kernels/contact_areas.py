"""Contacts of labels in a volume: neighbouring voxels along 13 directions, areas, and distances.

The numbers of neighbours are integers, so that slabs of a volume add up to the same whatever the
slabs. A contact's area is their weighted sum, by Crofton's formula: the mean over all directions of
the number of crossings of parallel lines with a surface is half its area per area of a line.
"""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.spatial import cKDTree

from hela_dask.types import Floats, Labels, Voxel

__all__ = ["DIRECTIONS", "contact_area", "count_neighbours", "least_distances"]

DIRECTIONS = tuple(
    step for step in itertools.product((0, 1), (-1, 0, 1), (-1, 0, 1)) if step > (0, 0, 0)
)
"""Steps (z, y, x) from a voxel to half of its 26 neighbours."""

_CODE = 2**32  # more than the largest label
_NORMALS = 2000  # orientations of a plane that the weights are fitted to


def count_neighbours(labels: Labels, slices: int) -> dict[tuple[int, int], NDArray[np.int64]]:
    """Count the neighbouring voxels of each pair of labels.

    Parameters
    ----------
    labels
        (z, y, x); 0 is none.
    slices
        Number of slices to which the lower voxels of the pairs belong. The next slice is read, if
        there is one.

    Returns
    -------
    dict of pair of labels to ndarray of int64, (13,)
        The lower label first; the number of pairs of neighbours along each of :data:`DIRECTIONS`.
    """
    found: dict[tuple[int, int], NDArray[np.int64]] = {}
    for number, step in enumerate(DIRECTIONS):
        block = labels[: slices + step[0]]
        low = block[tuple(slice(max(0, -n), -n if n > 0 else None) for n in step)]
        high = block[tuple(slice(max(0, n), n if n < 0 else None) for n in step)]
        differ = (low != high) & (low > 0) & (high > 0)
        pair = np.sort(np.stack([low[differ], high[differ]]).astype(np.int64), axis=0)
        codes, counts = np.unique(pair[0] * _CODE + pair[1], return_counts=True)
        for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
            row = found.setdefault(divmod(code, _CODE), np.zeros(len(DIRECTIONS), np.int64))
            row[number] = count
    return found


def contact_area(counts: NDArray[np.int64], voxel: Voxel) -> Floats:
    """Area in nm² of contacts from their numbers of neighbours (..., 13), for a voxel size in nm.

    Notes
    -----
    The weights of the directions are those for which the areas of planes of all orientations have
    the smallest squared error, by non-negative least squares. Weights in proportion to the solid
    angle of a direction (Legland, Kiêu and Devaux, Image Analysis & Stereology 26, 2007) are meant
    for voxels that are about as deep as wide.
    """
    area: Floats = counts @ _weights(voxel)
    return area


@functools.lru_cache
def _weights(voxel: Voxel) -> Floats:
    """Area in nm² that a pair of neighbours along each direction stands for."""
    steps = np.array(DIRECTIONS) * np.array(voxel)
    # Points that are evenly spread over half a sphere (Fibonacci's spiral).
    number = np.arange(_NORMALS) + 0.5
    height, turn = number / _NORMALS, np.pi * (1 + math.sqrt(5)) * number
    wide = np.sqrt(1 - height**2)
    normals = np.stack([height, wide * np.sin(turn), wide * np.cos(turn)], axis=1)
    # Pairs of neighbours per area of a plane, along each direction.
    density = np.abs(normals @ steps.T) / math.prod(voxel)
    scale = density.max()
    weights, _ = nnls(density / scale, np.ones(_NORMALS))
    fitted: Floats = weights / scale
    return fitted


def least_distances(labels: Labels, voxel: Voxel, reach: float) -> dict[tuple[int, int], float]:
    """Least distance in nm of each pair of labels that is nearer than `reach` (nm).

    It is that of their voxels' nearest corners: 0 where two voxels share one.

    Parameters
    ----------
    labels
        (z, y, x); 0 is none.
    voxel
        Voxel size (z, y, x) in nm.
    reach
        In nm.
    """
    corners = _corners(labels, voxel)
    trees = {label: cKDTree(points) for label, points in corners.items()}
    found: dict[tuple[int, int], float] = {}
    for one, other in itertools.combinations(sorted(corners), 2):
        points, tree = corners[one], trees[other]
        near = (points >= tree.mins - reach) & (points <= tree.maxes + reach)
        points = points[near.all(axis=1)]
        if len(points):
            distances, _ = tree.query(points, distance_upper_bound=reach)
            if math.isfinite(least := float(distances.min())):
                found[one, other] = least
    return found


def _corners(labels: Labels, voxel: Voxel) -> dict[int, Floats]:
    """The corners (n, 3), in nm, of each label's voxels that a voxel of another label shares."""
    around = np.pad(labels, 1)
    parts = [
        around[tuple(slice(1, None) if n else slice(None, -1) for n in corner)]
        for corner in itertools.product((0, 1), repeat=3)
    ]
    border = np.zeros(parts[0].shape, dtype=bool)
    for part in parts[1:]:
        border |= part != parts[0]
    places = np.argwhere(border)
    owners = np.stack([part[border] for part in parts], axis=1)
    return {
        label: places[(owners == label).any(axis=1)] * np.array(voxel)
        for label in np.unique(owners).tolist()
        if label
    }
