"""The outline of a nucleus: the strongest surface of membrane around its core."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels import morphology
from hela_dask.kernels.clearance import count_limits
from hela_dask.kernels.flooding import INSIDE, OPEN, OUTSIDE, flood
from hela_dask.parameters import VolumetricParameters
from hela_dask.types import Mask

__all__ = ["outline_volume"]


def outline_volume(
    strength: NDArray[np.uint8],
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
    markers = np.full(inner.shape, OPEN, dtype=np.int8)
    markers[count_limits(~inner, voxel, [p.outside]) > 0] = OUTSIDE
    markers[background[box]] = OUTSIDE
    inside = count_limits(inner, voxel, [p.inside]) > 0
    for plane, marked, deep in zip(inner, markers, inside, strict=True):
        thin = morphology.pieces_without(plane, deep)  # they have no inside
        marked[deep | thin] = INSIDE
    flood(strength[box], markers)
    found[box] = markers == INSIDE
    return found
