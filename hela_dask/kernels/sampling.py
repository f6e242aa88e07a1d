"""Grey values between voxels, by linear interpolation in space."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.compiled import compiled
from hela_dask.types import Grey

__all__ = ["sample_linear"]


def sample_linear(block: NDArray[Any], at: NDArray[np.floating]) -> Grey:
    """Values at positions between voxels, by linear interpolation.

    As :func:`scipy.ndimage.map_coordinates` of order 1, several times as fast.

    Parameters
    ----------
    block
        (z, y, x).
    at
        (3, n) positions z, y, x in voxels, within the block: 0 is the centre of the first voxel.

    Returns
    -------
    ndarray of float32, (n,)
    """
    found = np.empty(at.shape[1], dtype=np.float32)
    _sample(np.ascontiguousarray(block), np.ascontiguousarray(at, dtype=np.float32), found)
    return found


@compiled
def _sample(block: NDArray[Any], at: Grey, found: Grey) -> None:
    depth, rows, columns = block.shape
    one = np.float32(1)
    for n in range(found.size):
        z0 = min(int(at[0, n]), max(depth - 2, 0))
        y0 = min(int(at[1, n]), max(rows - 2, 0))
        x0 = min(int(at[2, n]), max(columns - 2, 0))
        z1, y1, x1 = min(z0 + 1, depth - 1), min(y0 + 1, rows - 1), min(x0 + 1, columns - 1)
        z, y, x = at[0, n] - z0, at[1, n] - y0, at[2, n] - x0
        near = (one - y) * (
            (one - x) * np.float32(block[z0, y0, x0]) + x * np.float32(block[z0, y0, x1])
        ) + y * ((one - x) * np.float32(block[z0, y1, x0]) + x * np.float32(block[z0, y1, x1]))
        far = (one - y) * (
            (one - x) * np.float32(block[z1, y0, x0]) + x * np.float32(block[z1, y0, x1])
        ) + y * ((one - x) * np.float32(block[z1, y1, x0]) + x * np.float32(block[z1, y1, x1]))
        found[n] = (one - z) * near + z * far
