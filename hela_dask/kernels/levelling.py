"""Brightness differences between slices, which would look like membranes across z."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["brightness_offsets"]


def brightness_offsets(
    image: NDArray[Any],
    background: NDArray[np.bool_],
    voxel: tuple[float, float, float],
    slow: float,
    grid: float = 40.0,
) -> NDArray[np.float32]:
    """Offset to subtract from each slice so that adjacent ones are equally bright in the tissue.

    The median differences of adjacent slices over their common tissue are summed up; the slowly
    varying part of the sum is left in the image.

    Parameters
    ----------
    image, background
        (z, y, x) grey values, and true where there is resin.
    voxel
        Voxel size (z, y, x) in nm.
    slow
        Standard deviation, in nm along z, of the part that is left in.
    grid
        Spacing in nm at which pixels are sampled.

    Returns
    -------
    ndarray of float32, (z,)
    """
    step = tuple(max(1, int(grid / size)) for size in voxel[1:])
    steps = np.zeros(len(image))
    for z in range(1, len(image)):
        tissue = ~(
            background[z, :: step[0], :: step[1]] | background[z - 1, :: step[0], :: step[1]]
        )
        if tissue.any():
            upper = image[z, :: step[0], :: step[1]][tissue].astype(np.float32)
            lower = image[z - 1, :: step[0], :: step[1]][tissue].astype(np.float32)
            steps[z] = np.median(upper - lower)
    total = np.cumsum(steps)
    offsets: NDArray[np.float32] = (
        total - ndimage.gaussian_filter1d(total, slow / voxel[0], mode="nearest")
    ).astype(np.float32)
    return offsets
