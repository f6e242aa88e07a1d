"""Canny edges whose thresholds follow the slice's own contrast."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import canny

__all__ = ["edges"]


def edges(
    image: NDArray[Any], sigma: tuple[float, float], quantile: float, low: float
) -> NDArray[np.bool_]:
    """Canny edges of a whole plane, with relative thresholds.

    The high threshold is the gradient magnitude that a fraction `quantile` of the pixels stay
    below, the low one `low` times that (J. Imaging 2021, section 2.3; as MATLAB's ``edge``): with
    fixed thresholds nothing is found at large sigma.

    Parameters
    ----------
    image
        (y, x) grey values.
    sigma
        Standard deviation (y, x) of the Gaussian, in pixels.
    quantile, low
        Fractions, see above.
    """
    smooth = ndimage.gaussian_filter(image.astype(np.float32), sigma, mode="nearest")
    magnitude = np.hypot(ndimage.sobel(smooth, 0), ndimage.sobel(smooth, 1))
    high = float(np.quantile(magnitude, quantile))
    if high <= 0:
        return np.zeros(image.shape, dtype=bool)
    found: NDArray[np.bool_] = canny(
        smooth, sigma=0, low_threshold=low * high, high_threshold=high, mode="nearest"
    )
    return found
