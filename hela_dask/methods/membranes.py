"""Membrane strength of each pixel of a region, a slab of slices at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.levelling import brightness_offsets
from hela_dask.kernels.membrane import ridge_halo, ridge_plane, ridge_volume, stronger_of_two
from hela_dask.methods.slices import disc_around, is_blank
from hela_dask.parameters import MethodParameters
from hela_dask.types import Grey, Mask, Voxel

__all__ = ["SLAB", "Membranes"]


# Slices of membrane strength that are computed together.
SLAB = 16


class Membranes:
    """Membrane strength of a region's slices, a slab at a time so that memory stays bounded."""

    def __init__(
        self, image: NDArray[Any], background: Mask, voxel: Voxel, p: MethodParameters
    ) -> None:
        self._image, self._background, self._voxel, self._p = image, background, voxel, p
        self._offsets = brightness_offsets(image, background, voxel, p.slow)
        self._scales = ((0.0, 1.0), (0.0, 1.0))
        self._first, self._slab = -1, (np.empty(0, np.float32), np.empty(0, np.float32))

    def ridges(self, z: int) -> tuple[Grey, Grey]:
        """Lines in the plane, and sheets in space, of one slice."""
        first = z - z % SLAB
        if first != self._first:
            self._first, self._slab = first, self._compute(first)
        lines, sheets = self._slab
        return lines[z - first], sheets[z - first]

    def _compute(self, first: int) -> tuple[Grey, Grey]:
        p, depth = self._p, len(self._image)
        halo, last = ridge_halo(p.sheet_sigma, self._voxel), min(first + SLAB, depth)
        # The window of one cell is in the memory of one task: it has no chunks to overlap.
        low, high = max(0, first - halo), min(depth, last + halo)
        block = self._image[low:high].astype(np.float32)
        block -= self._offsets[low:high, None, None]
        pixel = self._voxel[1:]
        wanted = slice(first - low, last - low)
        lines = np.stack([ridge_plane(plane, p.line_sigma, pixel) for plane in block[wanted]])
        if depth == 1 or p.sheet_sigma == 0:  # nothing is known across slices, or asked
            return lines, lines
        return lines, ridge_volume(block, p.sheet_sigma, self._voxel, wanted)

    def calibrate(self, z: int, inside: Mask) -> None:
        """Measure the statistics inside the nucleus, from a mask of such pixels of a slice."""
        lines, sheets = self.ridges(z)
        self._scales = (_scale(lines[inside]), _scale(sheets[inside]))

    def calibrate_ball(self, spot: tuple[int, int, int], radius: float) -> None:
        """Measure the statistics inside the nucleus: the tissue within `radius` (nm) of a spot."""
        reach = int(radius / self._voxel[0])
        lines: list[Grey] = []
        sheets: list[Grey] = []
        for z in range(max(0, spot[0] - reach), min(len(self._image), spot[0] + reach + 1)):
            if is_blank(self._image[z]):
                continue
            across = np.sqrt(radius**2 - ((z - spot[0]) * self._voxel[0]) ** 2)
            inside = disc_around(self._image.shape[1:], spot[1:], across, self._voxel[1:])
            inside &= ~self._background[z]
            for found, ridge in zip((lines, sheets), self.ridges(z), strict=True):
                found.append(ridge[inside])
        self._scales = (_scale(np.concatenate(lines)), _scale(np.concatenate(sheets)))

    def strength(self, z: int) -> Grey:
        """Deviations over the inside of the nucleus, of the stronger of line and sheet."""
        lines, sheets = (
            (ridge - np.float32(middle)) / np.float32(deviation)
            for ridge, (middle, deviation) in zip(self.ridges(z), self._scales, strict=True)
        )
        stronger: Grey = np.maximum(lines, sheets)
        return stronger

    def write_strength(self, z: int, unit: int, out: NDArray[np.uint8]) -> None:
        """The same in whole parts of a deviation, of which `unit` make one, from 0 to 255."""
        lines, sheets = self.ridges(z)
        scales = np.array(self._scales, np.float32)
        stronger_of_two(lines, sheets, scales, np.float32(unit), out)

    def free(self, z: int) -> tuple[Grey, Mask]:
        """Membrane strength of a slice, and its tissue without membranes."""
        strength = self.strength(z)
        return strength, (strength < self._p.membrane) & ~self._background[z]


def _scale(values: Grey) -> tuple[float, float]:
    """Median, and median deviation from it."""
    middle = float(np.median(values))
    return middle, max(float(np.median(np.abs(values - middle))), 1e-6)
