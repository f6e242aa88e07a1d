"""Lobulated nuclei and ruffled cell ends: the shapes of a phantom of kind ``"lobulated"``.

A nucleus is cleft from its poles: sheets of cytoplasm, wide at the pole and thin below, leave lobes
that the last slices show as islands and the next ones as a nucleus with deep folds. Its ends are
slanted, so that the envelope is cut obliquely over a wide area. The ends of a cell are cleft in the
same way into ruffles and blebs. The constants were fitted to a HeLa cell at 50 x 40 x 40 nm
(EMPIAR-10094); ``python -m benchmarks.accuracy likeness`` measures both.
"""

from __future__ import annotations

import math

import numpy as np

from hela_dask.phantom.lattice import Field, Grid, uniform
from hela_dask.phantom.plan import PhantomCell
from hela_dask.phantom.surfaces import join, ruffle

__all__ = ["cleft_nucleus", "ruffled_end", "true_distance"]

_LOBES, _BLEBS, _SLANT = 121, 122, 123  # streams of random numbers
_FLATNESS = 2.5  # exponent of the superellipsoid of a nucleus: 2 is an ellipsoid
_SLANTED = 0.3  # largest slope of a nucleus against the axis z
_CLEFT_FROM = 0.56  # height where the clefts of a nucleus begin, as a share of its half height
_CLEFT_LEAST, _CLEFT_MOST = 70.0, 950.0  # half width of a cleft at its bottom and at the pole, nm
_LOBE = 1700.0  # nm, width of a lobe of a nucleus of 4500 nm half width
_BEND = 140.0  # nm, deviation of a cleft from a smooth sheet
_ROUND = 300.0  # nm, radius of the corners of lobes
_RUFFLED_FROM = 0.68  # as _CLEFT_FROM, of a cell
_RUFFLE = 1100.0  # nm, height of ruffles
_GAPS = 0.15  # the higher, the more resin between them
_BLEB = 850.0  # nm, width of a bleb
_STEEPEST = 1.5  # slopes above it are those of the border of a computed box


def cleft_nucleus(grid: Grid, cell: PhantomCell, key: tuple[int, ...]) -> Field:
    """A slanted superellipsoid with clefts that reach from the poles into it."""
    centre, radii = cell.nucleus_centre, cell.nucleus_radii
    wide = (radii[1] * radii[2]) ** 0.5
    scale = min(1.0, wide / 4500.0)
    way = 2 * math.pi * float(uniform(*key, _SLANT, 0))
    slant = _SLANTED * (0.4 + 0.6 * float(uniform(*key, _SLANT, 1)))
    dy, dx = grid.y - np.float32(centre[1]), grid.x - np.float32(centre[2])
    lean = np.float32(slant * math.sin(way)) * dy + np.float32(slant * math.cos(way)) * dx
    height = grid.z - np.float32(centre[0]) - lean
    c, s = np.float32(math.cos(cell.angle)), np.float32(math.sin(cell.angle))
    a = (c * dy + s * dx) / np.float32(radii[1])
    b = (c * dx - s * dy) / np.float32(radii[2])
    f = (a * a + b * b) ** np.float32(_FLATNESS / 2)
    f = f + (np.abs(height) / np.float32(radii[0])) ** np.float32(_FLATNESS)
    f = f ** np.float32(1 / _FLATNESS)
    f -= np.float32(1)
    f *= np.float32(wide)
    share = np.abs(height) / np.float32(radii[0])
    sheet = _clefts(grid, key, share, radii[0], scale)
    return -join(-f, sheet, _ROUND * scale)


def ruffled_end(grid: Grid, cell: PhantomCell, key: tuple[int, ...], body: Field) -> Field:
    """The surface of a cell, with ends along z that consist of ruffles and blebs.

    A random field is added to the distance, the more the nearer the end: where it is high, pieces
    stand out of the cell, and where it is low, resin lies between them.
    """
    height = np.abs(grid.z - np.float32(cell.centre[0])) / np.float32(cell.radii[0])
    share = np.clip((height - np.float32(_RUFFLED_FROM)) / np.float32(1 - _RUFFLED_FROM), 0, 1)
    if not share.any():
        return body
    scale = ruffle(cell.radius)
    blebs, slope = grid.sloped_field(_BLEB * scale, *key, _BLEBS, 0)
    small = grid.field(0.45 * _BLEB * scale, *key, _BLEBS, 1)
    blebs += np.float32(0.35) * small
    np.clip(blebs, np.float32(-1.5), np.float32(1.1), out=blebs)
    amount = np.float32(_RUFFLE * scale) * share
    out = body + amount * (np.float32(_GAPS) - blebs)
    out /= np.sqrt(np.float32(1) + np.square(amount * slope))
    return np.asarray(out, dtype=np.float32)


def _clefts(grid: Grid, key: tuple[int, ...], height: Field, length: float, scale: float) -> Field:
    """Distance to sheets that are open towards the poles, negative inside: where a field is 0.

    `height` is a share of the half height `length` of the nucleus.
    """
    lobe = _LOBE * scale
    level = _CLEFT_FROM + np.float32(0.07) * grid.field(2500.0 * scale, *key, _LOBES, 1)
    value, slope = grid.sloped_field((1.4 * lobe, lobe, lobe), *key, _LOBES, 0)
    across = value / (slope + np.float32(0.2 / lobe))
    across += np.float32(_BEND * scale) * grid.field(0.6 * lobe, *key, _LOBES, 2)
    under = np.maximum(level - height, np.float32(0)) * np.float32(length)
    above = np.clip((height - level) / (np.float32(1) - level), 0, np.float32(1.2))
    width = _CLEFT_LEAST + (_CLEFT_MOST - _CLEFT_LEAST) * np.square(above)
    width *= np.float32(scale)
    return np.asarray(np.sqrt(across * across + under * under) - width, dtype=np.float32)


def true_distance(f: Field, voxel_size: tuple[float, ...]) -> tuple[Field, Field]:
    """A function of place as a distance in nm to its surface, and how flat the surface lies.

    The function is divided by the length of its gradient; `flat` is 1 where the surface is parallel
    to the slices and 0 where it is perpendicular to them. Both lack the outermost voxels of `f`.
    """
    inner = (slice(1, -1),) * 3
    spacing = (voxel_size[1], voxel_size[0], voxel_size[2])
    by_y, by_z, by_x = (
        np.asarray(np.gradient(f, size, axis=axis))[inner] for axis, size in enumerate(spacing)
    )
    steep = np.sqrt(by_y * by_y + by_z * by_z + by_x * by_x)
    flat = np.abs(by_z) / np.maximum(steep, np.float32(1e-6))
    distance = f[inner] / np.clip(steep, np.float32(0.3), np.float32(_STEEPEST))
    return np.asarray(distance, np.float32), np.asarray(flat, np.float32)
