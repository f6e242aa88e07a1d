"""The published method on one slice, each step the obvious scikit-image call (J. Imaging 2021)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import feature, filters, measure, morphology, segmentation

__all__ = ["plain_background", "plain_cell", "plain_nucleus"]

Image = NDArray[Any]
Mask = NDArray[np.bool_]


def plain_background(image: Image, pixel: float) -> Mask:
    """Resin of a slice (section 2.3), `pixel` in nm."""
    smooth = _low_pass(image, pixel)
    high = float(np.quantile(_gradient(smooth, 90, pixel), 0.7))
    square = np.ones((_pixels(210, pixel),) * 2, bool)
    edges = morphology.dilation(_edges(smooth, 90, pixel, high), square)
    pieces = measure.label(~edges, connectivity=2)
    bright = min(max(160.0, filters.threshold_otsu(smooth)), 200.0)
    mask = np.zeros(image.shape, bool)
    for piece in measure.regionprops(pieces, smooth):
        if piece.intensity_mean > bright and piece.area * pixel**2 > 1e4:
            mask[pieces == piece.label] = True
    mask = ndimage.binary_fill_holes(mask)
    mask = morphology.closing(mask, _disc(390, pixel))
    mask = morphology.opening(mask, _disc(190, pixel))
    if mask.any():
        near = ndimage.distance_transform_edt(~mask) * pixel <= 500
        mask = mask | (near & (smooth > smooth[mask].mean() - 5))
    mask = morphology.closing(mask, _disc(40, pixel))
    grown: Mask = morphology.dilation(mask, _disc(20, pixel))
    return grown


def plain_nucleus(image: Image, background: Mask, centre: tuple[int, int], pixel: float) -> Mask:
    """The nucleus in its first slice (section 2.5): nearest super-pixel, grown to the envelope."""
    smooth = _low_pass(image, pixel)
    # In the tissue only: where most is resin, its noise is no measure. Canny's own gradient is
    # eight times a derivative.
    high = 8 * float(np.quantile(_gradient(smooth, 40, pixel)[~background], 0.7))
    edges = _edges(smooth, 40, pixel, high)
    near = ndimage.distance_transform_edt(~edges) * pixel <= 50
    pieces = measure.label(~near & ~background, connectivity=2)
    pieces = morphology.remove_small_objects(pieces, max_size=round(1e6 / pixel**2))
    pieces = segmentation.clear_border(pieces)
    if not pieces.any():
        return np.zeros(image.shape, bool)
    away = {
        piece.label: np.hypot(*(np.subtract(piece.coords, centre).T)).min()
        for piece in measure.regionprops(pieces)
    }
    mask = ndimage.binary_fill_holes(pieces == min(away, key=lambda label: away[label]))
    outside = ndimage.distance_transform_edt(~mask) * pixel
    rings = [
        float(np.median(smooth[(outside > r - 10) & (outside <= r)]))
        for r in range(10, 501, 10)
        if ((outside > r - 10) & (outside <= r)).any()
    ]
    for _ in range(25):
        rim = morphology.dilation(mask, morphology.disk(1)) & ~mask & (smooth > min(rings) + 15)
        rim = morphology.remove_small_objects(rim, max_size=7)
        mask |= rim
        if rim.sum() * pixel**2 < 15e3:
            break
    mask = morphology.closing(mask, _disc(50, pixel))
    mask = ndimage.binary_fill_holes(mask)
    grown: Mask = morphology.dilation(mask, _disc(50, pixel))
    return grown & ~(ndimage.distance_transform_edt(~background) * pixel <= 190)


def plain_cell(nucleus: Mask, background: Mask, pixel: float) -> Mask:
    """The cell in one slice (section 2.6): basins of the distance to the resin, protrusions."""
    distance = ndimage.distance_transform_edt(~background)
    distance = filters.gaussian(distance, 10 / pixel, preserve_range=True)
    distance = np.minimum(distance, 0.7 * distance.max())
    basins = segmentation.watershed(-distance)
    own = np.isin(basins, np.unique(basins[nucleus]))
    mask = own & ~background & ~nucleus
    mask = morphology.closing(mask, _disc(90, pixel))
    mask = ndimage.binary_fill_holes(mask | nucleus)
    pieces = measure.label(~background & ~mask)
    for piece in measure.regionprops(pieces):
        small = piece.area < 0.35 * nucleus.sum()
        inside = min(piece.bbox[:2]) > 0 and piece.bbox[2] < mask.shape[0]
        if small and inside and piece.bbox[3] < mask.shape[1]:
            part = pieces == piece.label
            if (morphology.dilation(part, morphology.disk(1)) & mask).any():
                mask |= part
    mask = morphology.opening(mask, _disc(90, pixel))
    mask = morphology.closing(mask, _disc(90, pixel))
    pieces = measure.label(mask)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    largest: Mask = (pieces == int(np.argmax(sizes))) & mask
    return largest & ~background


def _low_pass(image: Image, pixel: float) -> NDArray[np.float64]:
    smooth: NDArray[np.float64] = filters.gaussian(
        image.astype(float), 20 / pixel, preserve_range=True
    )
    return smooth


def _gradient(smooth: NDArray[np.float64], sigma: float, pixel: float) -> NDArray[np.float64]:
    blurred = filters.gaussian(smooth, sigma / pixel, preserve_range=True)
    found: NDArray[np.float64] = np.hypot(filters.sobel_h(blurred), filters.sobel_v(blurred))
    return found


def _edges(smooth: NDArray[np.float64], sigma: float, pixel: float, high: float) -> Mask:
    """Canny with a low threshold of 0.4 of the high one."""
    edges: Mask = feature.canny(smooth, sigma / pixel, 0.4 * high, high)
    return edges


def _pixels(length: float, pixel: float) -> int:
    return max(1, round(length / pixel))


def _disc(radius: float, pixel: float) -> NDArray[np.uint8]:
    found: NDArray[np.uint8] = morphology.disk(_pixels(radius, pixel))
    return found
