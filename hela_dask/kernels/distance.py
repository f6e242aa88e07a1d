"""Distance of each pixel of a plane from the resin (Euclidean distance transform).

The altitude map for the detection of cells.
"""

from __future__ import annotations

import edt
import numpy as np
from numpy.typing import NDArray

__all__ = ["distance_slice"]


def distance_slice(
    background: NDArray[np.bool_], pixel: tuple[float, float], *, border: bool = True
) -> NDArray[np.float32]:
    """Exact Euclidean distance, in the plane, from each pixel to the nearest background pixel.

    Parameters
    ----------
    background
        (y, x) mask of one whole plane, true in the resin.
    pixel
        Pixel size (y, x) in nm; the two may differ.
    border
        Whether the plane is surrounded by background (as in method A.3 for the detection of cells):
        a pixel of the outermost row is then one pixel away from it at most.

    Returns
    -------
    ndarray of float32, (y, x)
        nm between pixel centres; 0 in the background. Where there is no background at all, and the
        border is none either, the distance is undefined: infinite everywhere.
    """
    tissue = np.ascontiguousarray(~np.asarray(background, dtype=bool))
    distance: NDArray[np.float32] = edt.edt(
        tissue, anisotropy=(float(pixel[0]), float(pixel[1])), black_border=border, parallel=1
    )
    return distance
