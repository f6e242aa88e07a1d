"""The outline of a nucleus: the strongest surface of membrane around its core."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from hela_dask.kernels import morphology
from hela_dask.kernels.bounded_distance import bounded_depth_volume
from hela_dask.parameters import VolumetricParameters
from hela_dask.types import Mask

__all__ = ["outline_volume"]


_CONNECTIVITY_6 = ndimage.generate_binary_structure(3, 1)


def outline_volume(
    strength: NDArray[Any],
    core: Mask,
    background: Mask,
    voxel: tuple[float, float, float],
    parameters: VolumetricParameters,
) -> Mask:
    """The nucleus up to the middle of its envelope, in space.

    A watershed of the membrane strength between the inside of the core and all that is further
    than ``outside`` from it. Only the band between the two is flooded.

    Parameters
    ----------
    strength
        (z, y, x) membrane strength.
    core, background
        (z, y, x) from :func:`~hela_dask.kernels.core.find_core`, holes filled; the resin.
    voxel
        Voxel size (z, y, x) in nm.
    parameters
        ``inside`` and ``outside`` are used.
    """
    p = parameters
    found = np.zeros(core.shape, dtype=bool)
    box = morphology.box_around(core, p.outside, voxel)
    inner = np.ascontiguousarray(core[box])
    inside, outside = np.empty_like(inner), np.empty_like(inner)
    for part, depth in bounded_depth_volume(inner, voxel, p.inside):
        inside[part] = depth > p.inside
    for plane, deep in zip(inner, inside, strict=True):
        deep[morphology.pieces_without(plane, deep)] = True  # too thin to have an inside
    for part, distance in bounded_depth_volume(~inner, voxel, p.outside):
        outside[part] = distance > p.outside
    outside |= background[box]
    band = ~(inside | outside)
    near = ndimage.binary_dilation(band, _CONNECTIVITY_6)
    markers = np.zeros(inner.shape, dtype=np.int8)
    markers[outside & near] = 2
    markers[inside & near] = 1
    found[box] = (watershed(strength[box], markers, mask=near) == 1) | inside
    return found
