"""The in-plane Gaussian, and its halo."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["TRUNCATE", "gaussian", "gaussian_halo"]

# Where the kernel is cut, in sigmas: scipy's and scikit-image's default, so that a Gaussian here
# is the same one as inside their edge detectors.
TRUNCATE = 4.0


def gaussian_halo(sigma: tuple[float, float], truncate: float = TRUNCATE) -> tuple[int, int]:
    """Pixels (y, x) on each side that one output pixel of :func:`gaussian` depends on."""
    return (int(truncate * sigma[0] + 0.5), int(truncate * sigma[1] + 0.5))


def gaussian(
    image: NDArray[Any], sigma: tuple[float, float], truncate: float = TRUNCATE
) -> NDArray[np.float32]:
    """Blur a plane, or each plane of a stack, with a Gaussian.

    Parameters
    ----------
    image
        (..., y, x), any integer or float type; leading axes are not blurred.
    sigma
        Standard deviation (y, x) in pixels.
    truncate
        Where the kernel is cut, in sigmas.

    Returns
    -------
    ndarray of float32
        Same shape; beyond the border the image is reflected. Each pixel is summed in double
        precision in an order that does not depend on where in the array it lies.
    """
    planes = (0.0,) * (image.ndim - 2)
    blurred: NDArray[np.float32] = ndimage.gaussian_filter(
        image,
        sigma=(*planes, *sigma),
        output=np.float32,
        mode="reflect",
        radius=(*(0 for _ in planes), *gaussian_halo(sigma, truncate)),
    )
    return blurred
