"""Whole planes in memory, as kernels take them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.detection import detect_slice as detect
from hela_dask.kernels.detection import remove_small_pieces
from hela_dask.kernels.distance import distance_slice
from hela_dask.parameters import DetectParameters

__all__ = ["detect_slice"]


def detect_slice(
    background: NDArray[np.bool_], pixel: tuple[float, float], parameters: DetectParameters
) -> NDArray[np.float64]:
    """The cells of a plane, with the distance that they stand out of."""
    large = remove_small_pieces(background, pixel, parameters.smallest_resin)
    return detect(background, distance_slice(large, pixel, border=False), pixel, parameters)
