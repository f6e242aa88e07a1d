"""From the predictions of a network per voxel to the nucleus of a cell."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from hela_dask.kernels import morphology
from hela_dask.types import Labels, Mask, Voxel

__all__ = [
    "fuse_with_membranes",
    "nearest_piece",
    "nucleus_pieces",
    "subsample",
    "upsample",
]

Step = tuple[int, int, int]

# nm: the unit of distance, and the range over which it accumulates.
_UNIT, _INSIDE, _OUTSIDE = 40.0, 160.0, 80.0
_MIN_PROBABILITY = 0.01  # limit of a network's probabilities
# Log odds from which on a network alone means a nucleus: it prefers envelopes.
_NUCLEUS_LOG_ODDS = -0.5


def subsample(array: NDArray[Any], step: Step) -> NDArray[Any]:
    """Every n-th voxel along z, y and x: the middle one of each block."""
    return np.ascontiguousarray(array[tuple(slice(by // 2, None, by) for by in step)])


def upsample(coarse: NDArray[Any], z: int, shape: tuple[int, ...], step: Step) -> NDArray[Any]:
    """Slice `z` of the input of :func:`subsample`, of `shape` (y, x), by nearest neighbour."""
    rows, columns = (
        np.minimum(np.arange(length) // by, short - 1)
        for length, by, short in zip(shape, step[1:], coarse.shape[1:], strict=True)
    )
    found: NDArray[Any] = coarse[min(z // step[0], len(coarse) - 1)][np.ix_(rows, columns)]
    return found


def nucleus_pieces(nucleus: Mask, neck: float, smallest: float, voxel: Voxel, step: Step) -> Labels:
    """The nuclei of a region on a coarser grid: 3-D components, split where they are thin.

    Parameters
    ----------
    nucleus
        (z, y, x), true in every nucleus.
    neck
        Nuclei that touch in less than twice this are two, nm.
    smallest
        Smaller pieces are dropped, µm³; of a region that is shallower than a ball of that volume,
        those smaller than such a part of it.
    voxel
        Voxel size (z, y, x) in nm.
    step
        Voxels (z, y, x) that make one of the grid; along z no more than there are.

    Returns
    -------
    ndarray of int32, of the shape that :func:`subsample` gives
        0 where there is none.
    """
    flat = (1, *step[1:])
    planes = nucleus[step[0] // 2 :: step[0]]
    core = np.concatenate(
        [subsample(morphology.erode(plane, neck, voxel[1:])[None], flat) for plane in planes]
    )
    pieces, count = ndimage.label(core)
    size = float(np.prod(voxel)) * float(np.prod(step)) * 1e-9
    sizes = np.bincount(pieces.ravel(), minlength=count + 1) * size
    # A region less deep than a ball of this size holds such a part of one.
    shallow = smallest ** (2 / 3) * (np.pi / 6) ** (1 / 3) * len(nucleus) * voxel[0] / 1000
    large = sizes >= min(smallest, shallow)
    large[0] = False
    number = np.where(large, np.cumsum(large), 0).astype(np.int32)
    return _grow_together(number[pieces], subsample(planes, flat))


def _grow_together(markers: Labels, mask: Mask) -> Labels:
    """The pieces of a mask, in which all markers grow at one speed; without a marker, 0."""
    whole, _ = ndimage.label(mask)
    found = np.zeros(markers.shape, np.int32)
    for piece, box in enumerate(ndimage.find_objects(whole), 1):
        here = whole[box] == piece
        inside = np.where(here, markers[box], 0)
        some = np.unique(inside[inside > 0])
        if some.size == 1:
            found[box][here] = some[0]
        elif some.size:
            even = np.zeros(inside.shape, np.uint8)
            found[box][here] = watershed(even, inside, mask=here)[here]
    return found


def nearest_piece(pieces: Labels, centre: tuple[int, ...], voxel: Voxel, reach: float) -> int:
    """The piece nearest to a place, by its nearest voxel; 0 where none is within `reach` nm.

    Of several that are as near, the largest.
    """
    places = np.argwhere(pieces > 0)
    if not len(places):
        return 0
    away = np.sqrt((((places - centre) * np.asarray(voxel)) ** 2).sum(axis=1))
    labels = pieces[tuple(places.T)]
    count = int(pieces.max())
    near = np.full(count + 1, np.inf)
    np.minimum.at(near, labels, away)
    sizes = np.bincount(labels, minlength=count + 1)
    best = min(range(1, count + 1), key=lambda label: (near[label], -sizes[label]))
    return best if near[best] <= reach else 0


def fuse_with_membranes(
    probability: NDArray[np.uint8],
    outline: Mask,
    near: Mask,
    weight: float,
    pixel: tuple[float, ...],
    *,
    trusted: bool = True,
) -> Mask:
    """A slice of the nucleus from two sources: a network, and the outline that membranes give.

    For each 40 nm that a pixel lies inside that outline, up to 160 nm, the log odds of the network
    are raised by `weight`, and outside it, up to 80 nm, they are lowered.

    Parameters
    ----------
    probability
        (y, x), probability of a nucleus; 255 is certain.
    outline
        (y, x), inside the outline.
    near
        (y, x): pixels farther than 160 nm from this are no nucleus.
    weight
        Weight of the membranes beside the network.
    pixel
        Pixel size (y, x) in nm.
    trusted
        Whether low probabilities of the network count too; if not, it only adds to the outline from
        membranes.
    """
    found = np.zeros(probability.shape, dtype=bool)
    box = morphology.box_around(near, _INSIDE, pixel)
    inside = outline[box]
    away = morphology.depth_inside(inside, pixel, _INSIDE)
    away -= morphology.distance_to(inside, pixel, _INSIDE)
    chance = probability[box] / np.float32(255)
    odds = np.log((chance + _MIN_PROBABILITY) / (1 + _MIN_PROBABILITY - chance)) - _NUCLEUS_LOG_ODDS
    if not trusted:
        odds = np.maximum(odds, 0)
    odds += np.float32(weight / _UNIT) * np.clip(away, -_OUTSIDE, _INSIDE)
    around = morphology.distance_to(near[box], pixel, _INSIDE) <= _INSIDE
    found[box] = (odds > 0) & around
    return found
