"""Single bodies of a phantom, stamped into a tile: mitochondria, granules, vesicles, debris.

Space is cut into boxes; the content of a box is drawn from hashes of its place, so a body that lies
across two tiles is drawn the same in both. Bodies are stamped in the order of their boxes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hela_dask.phantom.lattice import Field, Grid, uniform
from hela_dask.phantom.plan import PhantomSpec
from hela_dask.types import Triple

__all__ = ["Debris", "coverage", "stamp_debris", "stamp_organelles"]

Draws = list[float]
"""Random numbers in [0, 1) of one body: its kind, its size and so on."""

_ORGANELLE, _DEBRIS = 201, 202
_BOX = 900.0  # nm, side of a box that holds a few organelles
_DRAWN = 420.0  # nm, radius of the smallest lump in the truth
_CLEFT = 0.45  # depth that clefts may reach, in radii of a lobulated nucleus
_CLEARING = 2600.0  # nm, side of a box that may hold debris


def coverage(distance: Field, pixel: float) -> Field:
    """How much of a pixel lies inside a surface, from the signed distance of its centre."""
    out = distance * np.float32(-1.0 / pixel)
    out += np.float32(0.5)
    return np.clip(out, np.float32(0), np.float32(1), out=out)


@dataclass
class Debris:
    """Bodies that float in the resin of a tile, (y, z, x)."""

    solid: Field  # signed distance to lumps of cytoplasm and filled vesicles
    tint: Field  # grey added by rims, specks and contents
    halo: Field  # how much a body nearby clears the resin of charge, 0 to 1
    inner: Field  # grey added inside lumps
    # Near lumps large enough for the truth; smaller ones count as resin, as in real labels
    drawn: NDArray[np.bool_]


@dataclass(frozen=True)
class _Window:
    """The part of a tile around one body."""

    part: tuple[slice, slice, slice]
    z: Field
    y: Field
    x: Field

    def turned(self, way: float) -> tuple[Field, Field]:
        """Coordinates along and across a direction in the plane."""
        c, s = np.float32(math.cos(way)), np.float32(math.sin(way))
        return c * self.x + s * self.y, c * self.y - s * self.x


def _boxes(grid: Grid, side: float, reach: float) -> Iterable[tuple[int, ...]]:
    return itertools.product(
        *(
            range(math.floor((low - reach) / side), math.floor((high + reach) / side) + 1)
            for low, high in zip(grid.low, grid.high, strict=True)
        )
    )


def _window(grid: Grid, at: Triple, reach: float) -> _Window | None:
    box = grid.box(at, (reach,) * 3)
    if box.empty:
        return None
    z, y, x = box
    return _Window(
        (y, z, x),
        grid.z[:, z] - np.float32(at[0]),
        grid.y[y] - np.float32(at[1]),
        grid.x[:, :, x] - np.float32(at[2]),
    )


class _Layout:
    """Where bodies may lie: distances to the smooth ellipsoids of all cells and nuclei."""

    def __init__(self, spec: PhantomSpec) -> None:
        cells = spec.cells
        self.label = np.array([cell.label for cell in cells])
        self.centre = np.array([cell.centre for cell in cells])
        self.radii = np.array([cell.radii for cell in cells])
        self.core = np.array([cell.nucleus_centre for cell in cells])
        self.core_radii = np.array([cell.nucleus_radii for cell in cells])
        self.angle = np.array([cell.angle for cell in cells])
        self.radius = np.array([cell.radius for cell in cells])
        self.way = np.array(
            [2 * math.pi * float(uniform(spec.seed, 101, cell.label, 77)) for cell in cells]
        )

    def _distance(
        self, at: NDArray[np.float64], centre: NDArray[np.float64], radii: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        dz, dy, dx = (at[:, None, :] - centre).transpose(2, 0, 1)
        c, s = np.cos(self.angle), np.sin(self.angle)
        a, b = c * dy + s * dx, c * dx - s * dy
        q = np.sqrt((dz / radii[:, 0]) ** 2 + (a / radii[:, 1]) ** 2 + (b / radii[:, 2]) ** 2)
        return np.asarray((q - 1) * np.sqrt(radii[:, 1] * radii[:, 2]), dtype=np.float64)

    def depth(
        self, at: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Of points (n, 3) in nm: distance to the cell, to its nucleus, and the polar side.

        Inside a cell, the distance to the cell is the smaller one of those to its surface and to
        the contact with a neighbour.
        """
        cell = self._distance(at, self.centre, self.radii)
        nearest = cell.argmin(1)
        rows = np.arange(len(at))
        nucleus = self._distance(at, self.core, self.core_radii)[rows, nearest]
        delta = at - self.centre[nearest]
        lean = np.cos(self.way[nearest]) * delta[:, 2] + np.sin(self.way[nearest]) * delta[:, 1]
        first = cell[rows, nearest]
        if len(self.label) > 1:
            contact = (first - np.partition(cell, 1, axis=1)[:, 1]) / 2
            first = np.where(first < 0, np.maximum(first, contact), first)
        return first, nucleus, lean / self.radius[nearest]


def _draw(
    grid: Grid, spec: PhantomSpec, stream: int, side: float, reach: float, count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Keys (n, 4: box and number in it) and places (n, 3, nm) of all bodies of a kind."""
    boxes = np.array(list(_boxes(grid, side, reach)), np.int64)
    keys = np.repeat(boxes, count, axis=0)
    number = np.tile(np.arange(count), len(boxes))
    keys = np.concatenate([keys, number[:, None]], axis=1)
    place = np.stack(
        [(keys[:, k] + uniform(spec.seed, stream, *keys.T, k)) * side for k in range(3)],
        axis=1,
    )
    return keys, place


def stamp_organelles(grid: Grid, spec: PhantomSpec, tint: Field, rough: Field) -> None:
    """Draw mitochondria, granules and vesicles of the cytoplasm into `tint`, in place.

    They crowd around the nucleus, most of them on one side of it, and leave the cell's rim clear.
    `rough` is a random field that makes their outlines irregular.
    """
    reach = 900.0
    keys, place = _draw(grid, spec, _ORGANELLE, _BOX, reach, 9)
    layout = _Layout(spec)
    cell, nucleus, polar = layout.depth(place)
    chance = uniform(spec.seed, _ORGANELLE, *keys.T, 3)
    crowd = 0.22 + 0.85 * np.clip(0.5 + 1.3 * polar, 0.0, 1.0)
    # The clefts of a lobulated nucleus hold organelles; those that fall into a lobe are hidden.
    clear = -_CLEFT * float(layout.core_radii[:, 1:].mean()) if spec.lobulated else 120.0
    crowd *= np.clip((-cell - 250.0) / 700.0, 0.0, 1.0) * (nucleus > clear)
    draws = [uniform(spec.seed, _ORGANELLE, *keys.T, k) for k in range(4, 12)]
    for i in np.flatnonzero(chance < crowd):
        r = [float(draw[i]) for draw in draws]
        at = (float(place[i, 0]), float(place[i, 1]), float(place[i, 2]))
        if r[0] < 0.52:
            _mitochondrion(grid, at, r, tint, rough)
        elif r[0] < 0.80:
            _granule(grid, at, r, tint)
        else:
            _vesicle(grid, at, r, tint, rough)


def _mitochondrion(grid: Grid, at: Triple, r: Draws, tint: Field, rough: Field) -> None:
    """A bent rod, dark with a darker rim and faint cristae."""
    wide = 100.0 + 130.0 * r[1]
    long = 80.0 + 620.0 * r[2] ** 2
    window = _window(grid, at, min(880.0, long + wide + 60.0))
    if window is None:
        return
    way, rise = 2 * math.pi * r[3], 0.9 * (r[4] - 0.5)
    c, s = math.cos(way) * math.cos(rise), math.sin(way) * math.cos(rise)
    t = math.sin(rise)
    z, y, x = window.z, window.y, window.x
    along = np.float32(c) * x + np.float32(s) * y + np.float32(t) * z
    side = np.float32(-math.sin(way)) * x + np.float32(math.cos(way)) * y
    side = side - np.float32(0.5 * (r[5] - 0.5) / max(long, 200.0)) * along * along
    up = np.float32(math.cos(rise)) * z - np.float32(t) * (
        np.float32(math.cos(way)) * x + np.float32(math.sin(way)) * y
    )
    past = np.maximum(np.abs(along) - np.float32(long), np.float32(0))
    d = np.sqrt(past * past + side * side + up * up)
    d -= np.float32(wide)
    d += np.float32(30.0) * rough[window.part]
    pixel = grid.voxel_size[2]
    inside = coverage(d, pixel)
    rim = inside - coverage(d + np.float32(36.0), pixel)
    fill = -5.0 - 19.0 * r[6]
    body = tint[window.part]
    body *= np.float32(1) - inside
    body += np.float32(fill) * inside
    body -= np.float32(25.0) * rim
    if r[7] < 0.7:
        wave = np.abs((along / np.float32(105.0) + np.float32(3) * r[7]) % np.float32(2) - 1)
        wave += np.float32(0.25) * rough[window.part]
        core = coverage(d + np.float32(50.0), pixel)
        body -= np.float32(13.0) * np.clip(wave * 3 - 2, 0, 1).astype(np.float32) * core


def _granule(grid: Grid, at: Triple, r: Draws, tint: Field) -> None:
    """A small dark body."""
    size = 35.0 + 80.0 * r[1] ** 2
    window = _window(grid, at, size + 60.0)
    if window is None:
        return
    z, y, x = window.z, window.y, window.x
    d = np.sqrt(z * z * np.float32(0.6) + y * y + x * x * np.float32(0.7 + 0.6 * r[3]))
    inside = coverage(d - np.float32(size), grid.voxel_size[2])
    tint[window.part] -= np.float32(22.0 + 34.0 * r[2] ** 2) * inside


def _vesicle(grid: Grid, at: Triple, r: Draws, tint: Field, rough: Field) -> None:
    """A round body with a dark rim; its inside is that of the cytoplasm, brighter, or darker."""
    size = 70.0 + 260.0 * r[1] ** 2.5
    window = _window(grid, at, size + 120.0)
    if window is None:
        return
    z, y, x = window.z, window.y, window.x
    d = np.sqrt(z * z + y * y + x * x * np.float32(0.6 + 0.8 * r[3]))
    d -= np.float32(size)
    d += np.float32(28.0) * rough[window.part]
    pixel = grid.voxel_size[2]
    inside = coverage(d, pixel)
    rim = inside - coverage(d + np.float32(40.0), pixel)
    body = tint[window.part]
    body *= np.float32(1) - inside
    body += np.float32(14.0 if r[2] > 0.85 else -18.0 * r[2]) * inside
    body -= np.float32(24.0) * rim


def stamp_debris(grid: Grid, spec: PhantomSpec, rough: Field) -> Debris:
    """Lumps, vesicles and specks that float in the resin, most of them close to cells."""
    solid = np.full(grid.shape, 1e6, np.float32)
    tint, halo, inner = (np.zeros(grid.shape, np.float32) for _ in range(3))
    debris = Debris(solid, tint, halo, inner, np.zeros(grid.shape, np.bool_))
    keys, place = _draw(grid, spec, _DEBRIS, _CLEARING, 1400.0, 40)
    cell, _, _ = _Layout(spec).depth(place)
    chance = uniform(spec.seed, _DEBRIS, *keys.T, 3)
    draws = [uniform(spec.seed, _DEBRIS, *keys.T, k) for k in range(4, 12)]
    crowd = np.where(cell > 250.0, np.clip(0.8 - (cell - 250.0) / 5000.0, 0.3, 1.0), 0.0)
    for i in np.flatnonzero(chance < crowd):
        r = [float(draw[i]) for draw in draws]
        at = (float(place[i, 0]), float(place[i, 1]), float(place[i, 2]))
        room = float(cell[i])
        if r[0] < 0.27:
            _lump(grid, at, r, room, debris, rough)
        elif r[0] < 0.36:
            _bubble(grid, at, r, room, debris, rough)
        else:
            _speck(grid, at, r, debris)
    return debris


def _lump(grid: Grid, at: Triple, r: Draws, room: float, debris: Debris, rough: Field) -> None:
    """A cut-off piece of cytoplasm, with the grey of a cell."""
    size = min(90.0 + 860.0 * r[1] ** 2.6, 0.85 * room)
    window = _window(grid, at, 1.5 * size + 150.0)
    if window is None:
        return
    z = window.z
    a, b = window.turned(math.pi * r[2])
    thin = np.float32(1.0 + 1.6 * r[3] ** 2)
    d = np.sqrt(z * z + a * a + b * b * thin)
    d -= np.float32(size)
    d += np.float32(0.2 * size) * rough[window.part]
    if r[4] < 0.4:  # something inside it
        shell = np.abs(d + np.float32(0.45 * size)) - np.float32(24.0)
        debris.inner[window.part] -= np.float32(24.0) * coverage(shell, grid.voxel_size[2])
    if size > _DRAWN:
        debris.drawn[window.part] |= d < 0
    part = debris.solid[window.part]
    np.minimum(part, d, out=part)


def _bubble(grid: Grid, at: Triple, r: Draws, room: float, debris: Debris, rough: Field) -> None:
    """A hollow vesicle: a thin dark skin around resin, some with grainy contents."""
    size = min(150.0 + 650.0 * r[1] ** 2.5, 0.85 * room)
    window = _window(grid, at, 1.3 * size + 120.0)
    if window is None:
        return
    z, y, x = window.z, window.y, window.x
    d = np.sqrt(z * z + y * y + x * x * np.float32(0.75 + 0.5 * r[2]))
    d -= np.float32(size)
    d += np.float32(18.0) * rough[window.part]
    pixel = grid.voxel_size[2]
    inside = coverage(d, pixel)
    rim = inside - coverage(d + np.float32(48.0), pixel)
    part = debris.tint[window.part]
    part *= np.float32(1) - inside
    part -= np.float32(55.0) * rim
    part -= np.float32(4.0 + 20.0 * r[3]) * inside
    if r[4] < 0.5:
        grains = np.clip(rough[window.part] - np.float32(0.9), 0, 1)
        part -= np.float32(45.0) * grains * inside


def _speck(grid: Grid, at: Triple, r: Draws, debris: Debris) -> None:
    """A small dark thread or dot, with the bright halo of its charge."""
    size = 28.0 + 60.0 * r[1] ** 2
    window = _window(grid, at, 980.0 if r[5] < 0.2 else 6 * size + 40.0)
    if window is None:
        return
    z = window.z
    a, b = window.turned(math.pi * r[2])
    stretch = np.float32(1.0 / (1.0 + 5.0 * r[3]))
    d = np.sqrt(z * z + a * a * stretch * stretch + b * b)
    part = debris.tint[window.part]
    part -= np.float32(35.0 + 60.0 * r[4]) * coverage(d - np.float32(size), grid.voxel_size[2])
    if r[5] < 0.2:
        away = np.sqrt(z * z + a * a + b * b)
        glow = np.clip(np.float32(1.4) - away / np.float32(700.0), 0, 1)
        part += np.float32(7.0) * glow * glow
        halo = debris.halo[window.part]
        np.maximum(halo, glow, out=halo)
