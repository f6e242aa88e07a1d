"""Layers of a picture in few bytes, without the farthest layer of membranes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.compiled import compiled
from hela_dask.kernels.raster import SAMPLE, THICKNESS, Layers
from hela_dask.types import Interval

__all__ = ["PACKED", "pack_layers", "unpack_layers"]

PACKED = 4
"""Numbers that a sample is packed into."""

_STEPS = 2**16 - 2  # of heights
_MOST = 254.0  # of an opacity, of 255


def pack_layers(layers: Layers, heights: Interval) -> NDArray[np.uint16]:
    """Layers as numbers, (4, rows, columns): heights, those of membranes, tones, opacity and cuts.

    Heights are kept in steps of a 65,534th of the range `heights` (nm), tones and opacities in
    steps of 1/255. A sample without a surface is 0.
    """
    packed = np.zeros((PACKED, *layers.shape), np.uint16)
    _pack(layers, heights[0], heights[1], packed)
    return packed


def unpack_layers(packed: NDArray[np.uint16], heights: Interval) -> Layers:
    """The layers that :func:`pack_layers` has packed; the farthest layer is infinitely far."""
    layers = np.empty(packed.shape[1:], SAMPLE)
    _unpack(packed, heights[0], heights[1], layers)
    return layers


@compiled
def _pack(layers: Layers, low: float, high: float, packed: NDArray[np.uint16]) -> None:
    for row in range(layers.shape[0]):
        for column in range(layers.shape[1]):
            sample = layers[row, column]
            opaque, front = sample.height > -np.inf, sample.front > -np.inf
            if not opaque and not front:
                continue
            if opaque:
                packed[0, row, column] = _step(sample.height, low, high)
            if front:
                packed[1, row, column] = _step(sample.front, low, high)
            tones = (int(sample.tone * 255 + 0.5) << 8) + int(sample.front_tone * 255 + 0.5)
            opacity = 255 * (1 - np.exp(-sample.thickness / THICKNESS))
            packed[2, row, column] = tones
            packed[3, row, column] = (int(min(opacity, _MOST) + 0.5) << 8) + sample.cut


@compiled
def _step(height: float, low: float, high: float) -> int:
    return 1 + int(min(max((height - low) / (high - low), 0.0), 1.0) * _STEPS + 0.5)


@compiled
def _unpack(packed: NDArray[np.uint16], low: float, high: float, layers: Layers) -> None:
    size = (high - low) / _STEPS
    for row in range(layers.shape[0]):
        for column in range(layers.shape[1]):
            opaque, front = packed[0, row, column], packed[1, row, column]
            tones, rest = packed[2, row, column], packed[3, row, column]
            sample = layers[row, column]
            sample.height = low + (opaque - 1.0) * size if opaque else -np.inf
            sample.front = low + (front - 1.0) * size if front else -np.inf
            sample.tone, sample.front_tone = (tones >> 8) / 255, (tones & 255) / 255
            sample.back, sample.back_tone = -np.inf, 0.0
            sample.thickness = int(-np.log(1.0 - (rest >> 8) / 255) * THICKNESS + 0.5)
            sample.cut = rest & 255
