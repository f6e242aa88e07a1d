"""Shapes of a phantom: cells, nuclei and floating debris as implicit surfaces over one tile.

A surface is where its function is 0; inside it is negative, and near the surface its value is
about the distance in nm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hela_dask.phantom.lattice import Floats, Grid, uniform
from hela_dask.phantom.plan import PhantomCell, PhantomSpec

__all__ = ["FAR", "Shapes", "build_shapes"]

FAR = np.float32(1e6)
_ENVELOPE = 100.0  # width of the truth's envelope class outside the nucleus, nm
_MARGIN = 260.0  # least cytoplasm between nucleus and cell surface, nm
_BRIDGE = 500.0  # range over which two cells in contact grow together, nm

# Streams of random numbers: first key of every field.
_BODY, _NUCLEUS, _GROOVE, _LOBE = 101, 102, 103, 104


@dataclass
class Shapes:
    """What is where in a tile; all arrays (y, z, x).

    Attributes
    ----------
    cell
        Signed distance to the nearest cell's surface.
    other
        Half the difference to the second nearest: distance to the contact between two cells.
    owner
        Label of the nearest cell, 0 where none is near.
    nucleus
        Signed distance to the owner's nucleus.
    hull
        Distance to the nearest smooth ellipsoid, without ruffles.
    polar
        How far towards the organelle-rich side of its cell a voxel lies, -1 to 1.
    """

    cell: Floats
    other: Floats
    owner: NDArray[np.int32]
    nucleus: Floats
    hull: Floats
    polar: Floats

    def nucleus_mask(self) -> NDArray[np.bool_]:
        """The truth's nuclei: up to the inner face of the envelope."""
        return self.nucleus < 0

    def envelope_mask(self) -> NDArray[np.bool_]:
        """The truth's envelope: a rim outside the nucleus."""
        return (self.nucleus >= 0) & (self.nucleus < _ENVELOPE) & self.cell_mask()

    def cell_mask(self) -> NDArray[np.bool_]:
        """The truth's cells, with their nuclei."""
        return self.cell < 0


def near(grid: Grid, cell: PhantomCell, reach: float) -> bool:
    """Whether a tile comes within `reach` nm of a cell's box."""
    wide = max(cell.radii[1:]) + reach
    halves = (cell.radii[0] + reach, wide, wide)
    return all(
        low - half <= centre <= high + half
        for low, high, centre, half in zip(grid.low, grid.high, cell.centre, halves, strict=True)
    )


def ellipsoid(
    grid: Grid, centre: tuple[float, ...], radii: tuple[float, ...], angle: float
) -> Floats:
    """About the distance in nm to an ellipsoid turned in the plane."""
    dz, dy, dx = (
        axis - np.float32(at) for axis, at in zip((grid.z, grid.y, grid.x), centre, strict=True)
    )
    c, s = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    a = (c * dy + s * dx) / np.float32(radii[1])
    b = (c * dx - s * dy) / np.float32(radii[2])
    flat = a * a + b * b
    total = flat + (dz / np.float32(radii[0])) ** 2
    np.sqrt(total, out=total)
    total -= np.float32(1)
    total *= np.float32((radii[1] * radii[2]) ** 0.5)
    return np.asarray(total, dtype=np.float32)


def ruffle(radius: float) -> float:
    """Size of a cell's surface structure against a real cell's (8.5 µm), from its radius."""
    return min(1.0, math.pow(radius / 4500.0, 0.7))


def _body(grid: Grid, spec: PhantomSpec, cell: PhantomCell, hull: Floats) -> Floats:
    """Surface of a cell: an ellipsoid with large lobes, parted by clefts, and small blebs.

    The absolute value of a random field gives rounded lobes with sharp clefts between them.
    """
    key = (spec.seed, _BODY, cell.label)
    scale = ruffle(cell.radius)
    body = hull.copy()
    near_surface = np.abs(hull) < 1600.0
    if not near_surface.any():
        return body
    low = grid.field(cell.radius * 0.8, *key, 0)
    body -= np.float32(0.055 * cell.radius) * low
    lobes = np.sqrt(np.abs(grid.field(1250.0 * scale, *key, 1)))
    lobes -= np.float32(0.80)
    lobes *= np.float32(620.0 * scale)
    body -= lobes
    blebs = np.sqrt(np.abs(grid.field(420.0 * scale, *key, 2)))
    blebs -= np.float32(0.8)
    blebs *= np.float32(170.0 * scale)
    body -= blebs
    return body


def _nucleus(grid: Grid, spec: PhantomSpec, cell: PhantomCell) -> Floats:
    """Surface of a nucleus: folds, polar lobes, deep grooves, and the channel of one of them."""
    key = (spec.seed, _NUCLEUS, cell.label)
    centre, radii = cell.nucleus_centre, cell.nucleus_radii
    wide = (radii[1] * radii[2]) ** 0.5
    f = ellipsoid(grid, centre, radii, cell.angle)
    if (f.min() > 1500.0) or (f.max() < -0.65 * wide and not cell.hole):
        return f
    scale = min(1.0, wide / 2500.0)
    waves = grid.field(1300.0 * scale, *key, 0)
    f -= np.float32(120.0 * scale) * waves
    f -= np.float32(28.0 * scale) * grid.field(380.0 * scale, *key, 1)
    f = _with_islands(grid, key, f, centre, radii, wide)
    f = _with_grooves(grid, key, f, waves, centre, wide)
    if cell.hole:
        f = np.maximum(f, _channel(grid, key, waves, centre, wide))
    return f


def _with_islands(
    grid: Grid,
    key: tuple[int, ...],
    f: Floats,
    centre: tuple[float, ...],
    radii: tuple[float, ...],
    wide: float,
) -> Floats:
    """Add lobes at both poles: the last slices of a nucleus show them as islands."""
    for pole in (-1, 1):
        turn = 2 * math.pi * float(uniform(*key, _LOBE, pole + 1))
        number = 2 + int(uniform(*key, _LOBE, pole + 3) < 0.5)
        for k in range(number):
            way = turn + 2 * math.pi * k / number
            out = 0.40 * wide
            size = wide * (0.25 + 0.06 * float(uniform(*key, _LOBE, 10 * k + pole + 5)))
            at = (
                centre[0] + pole * 0.80 * radii[0],
                centre[1] + out * math.sin(way),
                centre[2] + out * math.cos(way),
            )
            lobe = ellipsoid(grid, at, (1.15 * size, size, size), 0.0)
            f = _join(f, lobe, 0.12 * wide)
    return f


def _join(a: Floats, b: Floats, reach: float) -> Floats:
    """Union of two shapes, with a fillet of about `reach` nm (polynomial smooth minimum)."""
    h = np.float32(reach) - np.abs(a - b)
    np.maximum(h, np.float32(0), out=h)
    h *= h
    h *= np.float32(0.25 / reach)
    return np.asarray(np.minimum(a, b) - h, dtype=np.float32)


def _with_grooves(
    grid: Grid,
    key: tuple[int, ...],
    f: Floats,
    waves: Floats,
    centre: tuple[float, ...],
    wide: float,
) -> Floats:
    """Cut invaginations: thin, wavy sheets of cytoplasm that reach deep into the nucleus."""
    half = min(75.0, 0.03 * wide)
    dz, dy, dx = (
        axis - np.float32(at) for axis, at in zip((grid.z, grid.y, grid.x), centre, strict=True)
    )
    for k in range(3):
        way = 2 * math.pi * float(uniform(*key, _GROOVE, k, 0))
        inner = wide * (0.45 + 0.3 * float(uniform(*key, _GROOVE, k, 1)))
        height = wide * (0.15 + 0.2 * float(uniform(*key, _GROOVE, k, 2)))
        level = wide * 0.8 * (float(uniform(*key, _GROOVE, k, 3)) - 0.5)
        tilt = 0.8 * (float(uniform(*key, _GROOVE, k, 4)) - 0.5)
        c, s = np.float32(math.cos(way)), np.float32(math.sin(way))
        along = c * dx + s * dy
        across = (c * dy - s * dx) + np.float32(tilt) * dz + np.float32(0.05 * wide) * waves
        rise = (dz - np.float32(level)) / np.float32(height)
        depth = np.float32(inner) * (np.float32(1) + np.float32(0.5) * rise * rise) - along
        sheet = np.maximum(np.abs(across) - np.float32(half), depth)
        f = np.maximum(f, -sheet)
    return f


def _channel(
    grid: Grid, key: tuple[int, ...], waves: Floats, centre: tuple[float, ...], wide: float
) -> Floats:
    """Minus the distance to a slanted channel through the whole nucleus, positive inside it."""
    way = 2 * math.pi * float(uniform(*key, _GROOVE, 99, 0))
    off = 0.22 * wide
    dz = grid.z - np.float32(centre[0])
    lean = np.float32(0.25)
    c, s = math.cos(way), math.sin(way)
    dy = grid.y - np.float32(centre[1] + off * s) - lean * np.float32(c) * dz
    dx = grid.x - np.float32(centre[2] + off * c) + lean * np.float32(s) * dz
    radius = np.float32(min(360.0, 0.13 * wide))
    away = np.sqrt(dy * dy + dx * dx)
    return np.asarray(radius * (np.float32(1) + np.float32(0.12) * waves) - away, np.float32)


def build_shapes(grid: Grid, spec: PhantomSpec) -> Shapes | None:
    """All shapes of a tile; None where no cell comes near it."""
    reach = 3000.0
    cells = [cell for cell in spec.cells if near(grid, cell, reach)]
    if not cells:
        return None
    shape = grid.shape
    first = np.full(shape, FAR, np.float32)
    second = np.full(shape, FAR, np.float32)
    owner = np.zeros(shape, np.int32)
    nucleus = np.full(shape, FAR, np.float32)
    nearest = np.full(shape, FAR, np.float32)
    polar = np.zeros(shape, np.float32)
    for cell in cells:
        hull = ellipsoid(grid, cell.centre, cell.radii, cell.angle)
        np.minimum(nearest, hull, out=nearest)
        if hull.min() > 1500.0:
            continue
        body = _body(grid, spec, cell, hull)
        wins = body < first
        second = np.where(wins, first, np.minimum(second, body))
        first = np.where(wins, body, first)
        owner[wins] = cell.label
        inner = np.maximum(_nucleus(grid, spec, cell), body + np.float32(_MARGIN))
        nucleus = np.where(wins, inner, nucleus)
        way = 2 * math.pi * float(uniform(spec.seed, _BODY, cell.label, 77))
        lean = np.float32(math.cos(way)) * (grid.x - np.float32(cell.centre[2]))
        lean = lean + np.float32(math.sin(way)) * (grid.y - np.float32(cell.centre[1]))
        polar = np.where(wins, lean / np.float32(cell.radius), polar)
    contact = (second - first) * np.float32(0.5)
    nucleus = np.maximum(nucleus, np.float32(_MARGIN / 2) - contact)
    surface = _join(first, second, _BRIDGE)
    owner[surface >= 0] = 0
    return Shapes(surface, contact, owner, nucleus, nearest, polar)
