"""Phantoms with known damage, of the image or of the true masks, from none to much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.phantom.block import phantom_block
from hela_dask.phantom.plan import plan_phantom

__all__ = ["MASK_DAMAGES", "Truth", "balls", "damage_image", "damage_mask", "draw_phantom"]

Mask = NDArray[np.bool_]
Voxel = tuple[float, float, float]

MASK_DAMAGES = ("shifted slices", "leak", "lost pieces", "lost slices")


@dataclass(frozen=True)
class Truth:
    """A phantom in memory: grey values, instances, and where its resin is."""

    image: NDArray[np.uint8]
    nuclei: NDArray[Any]
    cells: NDArray[Any]
    voxel: Voxel

    @property
    def resin(self) -> Mask:
        """True outside of all cells."""
        outside: Mask = self.cells == 0
        return outside

    def window(self, label: int, margin: float) -> tuple[slice, slice, slice]:
        """A cell's box and `margin` (nm) around it, inside the volume."""
        low, high = (getattr(np.argwhere(self.cells == label), of)(axis=0) for of in ("min", "max"))
        parts = [
            slice(max(0, int(a - margin / size)), min(n, int(b + margin / size) + 1))
            for a, b, size, n in zip(low, high, self.voxel, self.cells.shape, strict=True)
        ]
        return parts[0], parts[1], parts[2]


def draw_phantom(shape: Sequence[int], cells: int, diameter: float, voxel: Voxel) -> Truth:
    """A phantom as ``make_phantom`` writes it, without a file."""
    spec = plan_phantom(shape, cells, diameter, 0, voxel)
    block = phantom_block(spec, 0, shape[0], 0, shape[1], 0, shape[2])
    return Truth(block.image, block.nuclei, block.cells, voxel)


def balls(shape: Sequence[int], voxel: Voxel, spots: NDArray[Any], radius: float) -> Mask:
    """True within `radius` (nm) of any of the spots (n, 3; voxels)."""
    places = [np.arange(n) * size for n, size in zip(shape, voxel, strict=True)]
    found = np.zeros(tuple(shape), bool)
    for spot in spots:
        z, y, x = ((at - k * size) ** 2 for at, k, size in zip(places, spot, voxel, strict=True))
        found |= z[:, None, None] + y[:, None] + x < radius**2
    return found


def damage_image(truth: Truth, levels: Mapping[int, float], seed: int) -> NDArray[np.uint8]:
    """The image, each cell damaged as much as its level (0 to 1) says.

    Holes in its envelope, resin around it that looks like cytoplasm, slices of it shifted by up
    to 400 nm or blurred, and noise.
    """
    rng = np.random.default_rng(seed)
    grey = truth.image.astype(np.float32)
    for label, level in levels.items():
        window = truth.window(label, 600.0)
        part, cell = grey[window], truth.cells[window] == label
        nucleus = truth.nuclei[window] == label
        tissue = part[cell & ~nucleus]
        envelope = ndimage.binary_dilation(nucleus, iterations=3) & cell
        rim = ndimage.binary_dilation(cell, iterations=3) & (truth.cells[window] == 0)
        holes = _at(rng, envelope & ~nucleus, round(5 * level))
        hole = balls(cell.shape, truth.voxel, holes, 500 + 500 * level) & envelope
        part[hole] = rng.choice(part[nucleus], int(hole.sum()))
        pieces = _at(rng, rim, round(6 * level))
        filled = balls(cell.shape, truth.voxel, pieces, 400 + 800 * level)
        filled &= truth.cells[window] == 0
        part[filled] = rng.choice(tissue, int(filled.sum()))
        for plane in part:
            if rng.random() < 0.35 * level:
                away = rng.normal(0, 400 * level, 2) / truth.voxel[1:]
                plane[:] = ndimage.shift(plane, away, order=1, mode="nearest")
            if rng.random() < 0.2 * level:
                plane[:] = ndimage.gaussian_filter(plane, 200 * level / truth.voxel[1])
        part += rng.normal(0, 15 * level, part.shape)
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)


def damage_mask(mask: Mask, voxel: Voxel, how: str, level: float, seed: int) -> Mask:
    """A true mask with one of :data:`MASK_DAMAGES`, as much as `level` (0 to 1) says."""
    rng = np.random.default_rng(seed)
    found = mask.copy()
    if how == "shifted slices":
        for plane in found:
            away = rng.normal(0, 300 * level, 2) / voxel[1:]
            plane[:] = ndimage.shift(plane, away, order=0)
    elif how in ("leak", "lost pieces"):
        edge = mask ^ ndimage.binary_erosion(mask)
        spots = balls(mask.shape, voxel, _at(rng, edge, 2), 1 + 1200 * level)
        found = found | spots if how == "leak" else found & ~spots
    else:
        lost = rng.random(len(mask)) < 0.6 * level
        found[lost] = ndimage.binary_erosion(
            mask[lost], np.ones((1, 3, 3), bool), int(10 * level) + 1
        )
    return found


def _at(rng: np.random.Generator, where: Mask, count: int) -> NDArray[Any]:
    places = np.argwhere(where)
    return places[rng.integers(0, len(places), count)] if len(places) else places
