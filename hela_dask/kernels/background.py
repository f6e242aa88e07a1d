"""The resin in one whole slice: super-pixels between edges, then the bright pixels near them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from hela_dask.kernels import morphology
from hela_dask.kernels.edges import edges
from hela_dask.parameters import BackgroundParameters

__all__ = ["background_slice"]


def background_slice(
    image: NDArray[Any], pixel: tuple[float, float], parameters: BackgroundParameters
) -> NDArray[np.bool_]:
    """True where a slice shows resin (J. Imaging 2021, section 2.3, with relative grey values).

    Large smooth pieces between Canny edges that are brighter than Otsu's threshold are resin.
    They include charging smears, which no threshold on pixels would keep. Then bright pixels
    near them are added, which follows the membrane into narrow clefts; fragments of cells that
    float in the resin count as resin, and tiny bright spots in a cell as the cell.

    Parameters
    ----------
    image
        (y, x) grey values of one whole plane, any real type.
    pixel
        Pixel size (y, x) in nm.
    parameters
        Knobs of the stage.

    Returns
    -------
    ndarray of bool, (y, x)
        All false where no resin is visible: where Otsu's threshold does not split the grey
        values into two separate classes.
    """
    p = parameters
    grey = _blur(image, p.blur, pixel)
    threshold = _resin_threshold(grey, p.separability)
    if threshold is None:
        return np.zeros(image.shape, dtype=bool)
    resin = _bright_superpixels(grey, threshold, pixel, p)
    resin = morphology.close(resin, p.closing, pixel)
    resin = morphology.open_(resin, p.opening, pixel)
    if not resin.any():
        return resin
    cell, bright = float(np.median(grey[grey <= threshold])), float(np.median(grey[resin]))
    level = cell + p.contrast * (bright - cell)
    near = morphology.dilate(resin, p.reach, pixel)
    resin |= near & (_blur(image, p.detail, pixel) > level)
    resin = ~morphology.remove_pieces(~resin, p.smallest_fragment, pixel)
    return morphology.remove_pieces(resin, p.smallest_gap, pixel)


def _blur(image: NDArray[Any], sigma: float, pixel: tuple[float, float]) -> NDArray[np.float32]:
    blurred: NDArray[np.float32] = ndimage.gaussian_filter(
        image, (sigma / pixel[0], sigma / pixel[1]), output=np.float32, truncate=3.0
    )
    return blurred


def _resin_threshold(grey: NDArray[np.float32], separability: float) -> float | None:
    """Otsu's threshold, or None where the classes that it makes explain too little."""
    low, high = float(grey.min()), float(grey.max())
    if not low < high:
        return None
    threshold = float(threshold_otsu(grey))
    bright = grey > threshold
    share = float(bright.mean())
    step = float(grey[bright].mean(dtype=np.float64)) - float(grey[~bright].mean(dtype=np.float64))
    explained = share * (1 - share) * step**2 / float(grey.var(dtype=np.float64))
    return threshold if explained >= separability else None


def _bright_superpixels(
    grey: NDArray[np.float32],
    threshold: float,
    pixel: tuple[float, float],
    p: BackgroundParameters,
) -> NDArray[np.bool_]:
    """Pieces between widened edges whose mean grey value is over the threshold."""
    sigma = (p.sigma / pixel[0], p.sigma / pixel[1])
    width = tuple(2 * int(p.edge_width / (2 * size)) + 1 for size in pixel)
    walls = ndimage.maximum_filter(edges(grey, sigma, p.edge_quantile, p.edge_low), size=width)
    pieces, _ = ndimage.label(~walls, structure=morphology.EIGHT)
    sizes = morphology.areas(pieces, pixel)
    sums = np.bincount(pieces.ravel(), weights=grey.ravel())
    mean = sums / np.maximum(np.bincount(pieces.ravel()), 1)
    kept = (sizes > p.smallest_piece) & (mean > threshold)
    found: NDArray[np.bool_] = kept[pieces]
    return found
