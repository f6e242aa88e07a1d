"""Types of arrays, lengths and shapes that all rooms share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Bounds",
    "Factors",
    "Floats",
    "Grey",
    "Interval",
    "Labels",
    "Mask",
    "Pixel",
    "Plane",
    "Shape",
    "Sides",
    "Triple",
    "Voxel",
]

Mask = NDArray[np.bool_]
Grey = NDArray[np.float32]
"""Grey values, and filters of them."""
Floats = NDArray[np.float64]
Labels = NDArray[np.integer]
"""The number of an instance per voxel; 0 where there is none."""
Plane = NDArray[Any]
"""One slice, (y, x)."""

Triple = tuple[float, float, float]
"""Lengths along z, y and x, nm."""
Voxel = Triple
"""Size of a voxel (z, y, x), nm."""
Pixel = tuple[float, float]
"""Size of a pixel (y, x), nm."""
Interval = tuple[float, float]
"""A lower and an upper end, nm."""
Bounds = tuple[Interval, Interval, Interval]
"""The lower and the upper end of a part of a volume in z, y and x, nm."""

Sides = tuple[tuple[bool, bool], tuple[bool, bool], tuple[bool, bool]]
"""A property of the lower and the upper side of a volume along z, y and x."""

Shape = tuple[int, int, int]
"""Voxels along z, y and x."""
Factors = tuple[int, int]
"""Fine pixels per coarse pixel, y and x."""
