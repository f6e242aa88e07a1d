"""Random numbers tied to places: hashes of lattice points and the smooth fields between them.

Nothing here has a state. A number depends on the seed and on where it is, so whoever asks for a
piece of a field, in whatever order, gets the same bits.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter
from scipy.sparse import csr_array

from hela_dask.box import Box

__all__ = ["TILE", "Grid", "grain", "mix", "normal", "uniform"]

TILE = (8, 256, 256)
"""The pieces that a phantom is computed in, voxels; their corners lie at multiples of these."""

Field = NDArray[np.float32]

# A cubic B-spline through white noise has this mean standard deviation an axis.
_SPLINE_DEVIATION = 0.479**0.5
_PERIODS = (512, 480)
_PLANES = 6


def mix(*keys: ArrayLike) -> NDArray[np.uint32]:
    """Hash whole numbers, broadcast against each other, into well-mixed 32 bits."""
    state = np.uint32(0x9E3779B9)
    with np.errstate(over="ignore"):
        value = np.asarray(state)
        for key in keys:
            word = np.asarray(key, dtype=np.int64).astype(np.uint32)
            value = (value ^ word) * np.uint32(0x85EBCA6B)
            value = value ^ (value >> np.uint32(15))
            value = value * np.uint32(0xC2B2AE35)
            value = value ^ (value >> np.uint32(13))
            value = value * np.uint32(0x27D4EB2F) + np.uint32(0x165667B1)
            value = value ^ (value >> np.uint32(16))
    return np.asarray(value, dtype=np.uint32)


def uniform(*keys: ArrayLike) -> NDArray[np.float64]:
    """Numbers in [0, 1), one for each combination of keys."""
    return mix(*keys).astype(np.float64) / 2.0**32


def normal(*keys: ArrayLike) -> Field:
    """Nearly normal numbers, mean 0 and deviation 1, within +-3.5: the sum of a hash's bytes."""
    word = mix(*keys)
    total = np.zeros(word.shape, np.int32)
    for shift in (0, 8, 16, 24):
        total += ((word >> np.uint32(shift)) & np.uint32(255)).astype(np.int32)
    return ((total - 510) / 147.8).astype(np.float32)


def _spline_weights(phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of the four lattice points around each phase in [0, 1): (n, 4)."""
    t, u = phase, 1.0 - phase
    inner = 4.0 - 6.0 * t**2 + 3.0 * t**3
    outer = 4.0 - 6.0 * u**2 + 3.0 * u**3
    return np.stack([u**3, inner, outer, t**3], axis=1) / 6.0


def _spline_slopes(phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """Derivatives of the spline weights by the phase: (n, 4)."""
    t, u = phase, 1.0 - phase
    inner = -12.0 * t + 9.0 * t**2
    outer = 12.0 * u - 9.0 * u**2
    return np.stack([-3.0 * u**2, inner, outer, 3.0 * t**2], axis=1) / 6.0


@functools.lru_cache(maxsize=4096)
def _operator(start: int, count: int, step: int, slope: bool) -> tuple[int, int, Any]:
    """First lattice point, their number, and the sparse matrix from lattice to voxels."""
    index = np.arange(start, start + count)
    base = index // step
    phase = (index % step) / step
    weights = (_spline_slopes(phase) / step) if slope else _spline_weights(phase)
    first, points = int(base[0]) - 1, int(base[-1] - base[0]) + 4
    columns = (base - base[0])[:, None] + np.arange(4)
    pointers = np.arange(0, 4 * count + 1, 4)
    matrix = csr_array(
        ((weights / _SPLINE_DEVIATION).astype(np.float32).ravel(), columns.ravel(), pointers),
        shape=(count, points),
    )
    return first, points, matrix


class Grid:
    """The voxels of one tile or of a part of it, and smooth random fields over them.

    All arrays of a tile are float32 in the order (y, z, x), the cheapest for interpolation. The
    first voxel `origin`, `voxel_size` (nm) and `count` (voxels, a whole tile unless given) are z,
    y, x.
    """

    def __init__(
        self, origin: Sequence[int], voxel_size: Sequence[float], count: Sequence[int] = TILE
    ) -> None:
        self.origin = (int(origin[0]), int(origin[1]), int(origin[2]))
        self.voxel_size = tuple(float(size) for size in voxel_size)
        self.count = (int(count[0]), int(count[1]), int(count[2]))
        self.shape = (self.count[1], self.count[0], self.count[2])
        nm = [
            ((start + np.arange(count)) * size).astype(np.float32)
            for start, count, size in zip(self.origin, self.count, self.voxel_size, strict=True)
        ]
        self.z = nm[0][None, :, None]
        self.y = nm[1][:, None, None]
        self.x = nm[2][None, None, :]
        self.low = tuple(float(axis[0]) for axis in nm)
        self.high = tuple(float(axis[-1]) for axis in nm)

    def box(self, centre: Sequence[float], half: Sequence[float]) -> Box:
        """The voxels in a box (centre and half lengths in nm); empty where there is none."""
        return Box.of(
            (math.ceil((at - reach - low) / size), math.floor((at + reach - low) / size) + 1)
            for low, size, at, reach in zip(self.low, self.voxel_size, centre, half, strict=True)
        ).clip(self.count)

    def within(
        self, centre: Sequence[float], half: Sequence[float]
    ) -> tuple[Grid, tuple[slice, slice, slice]] | None:
        """The part of the tile in a box (centre and half lengths in nm), and where it lies.

        It has all slices of the tile; None where the box misses it.
        """
        box = self.box(centre, half)
        if box.empty:
            return None
        _, y, x = box
        origin = (self.origin[0], self.origin[1] + y.start, self.origin[2] + x.start)
        part = Grid(origin, self.voxel_size, (self.count[0], *box.shape[1:]))
        return part, (y, slice(None), x)

    def wider(self) -> Grid:
        """The same voxels and one more on every side."""
        origin = [at - 1 for at in self.origin]
        return Grid(origin, self.voxel_size, [count + 2 for count in self.count])

    def _lattice(
        self, key: Sequence[int], spacing: Sequence[float]
    ) -> tuple[Field, tuple[int, int, int]]:
        steps = [
            max(1, round(nm / size)) for nm, size in zip(spacing, self.voxel_size, strict=True)
        ]
        points = []
        for start, count, step in zip(self.origin, self.count, steps, strict=True):
            first, number, _ = _operator(start, count, step, False)
            points.append(np.arange(first, first + number))
        z, y, x = np.ix_(*points)
        return normal(*key, z, y, x), (steps[0], steps[1], steps[2])

    def field(self, spacing: float | Sequence[float], *key: int) -> Field:
        """A smooth random field, mean 0 and deviation 1, with grains of about `spacing` nm."""
        return self._fields(spacing, key, gradient=False)[0]

    def sloped_field(self, spacing: float | Sequence[float], *key: int) -> tuple[Field, Field]:
        """A field and the length of its gradient in the plane, per nm."""
        value, slope = self._fields(spacing, key, gradient=True)
        return value, slope

    def _fields(
        self, spacing: float | Sequence[float], key: Sequence[int], *, gradient: bool
    ) -> list[Field]:
        three = [float(spacing)] * 3 if isinstance(spacing, int | float) else list(spacing)
        lattice, steps = self._lattice(key, three)
        operators = [
            [_operator(start, count, step, slope)[2] for slope in (False, True)]
            for start, count, step in zip(self.origin, self.count, steps, strict=True)
        ]
        nz, ny, nx = lattice.shape
        depth, _, width = self.count
        planes = operators[0][0] @ lattice.reshape(nz, ny * nx)
        columns = np.ascontiguousarray(planes.reshape(depth * ny, nx).T)

        def finish(along_x: Any, along_y: Any) -> Field:
            rows = (along_x @ columns).reshape(width, depth, ny).transpose(2, 1, 0)
            flat = np.ascontiguousarray(rows).reshape(ny, depth * width)
            return np.asarray((along_y @ flat).reshape(self.shape), dtype=np.float32)

        value = finish(operators[2][0], operators[1][0])
        if not gradient:
            return [value]
        by_y = finish(operators[2][0], operators[1][1]) / np.float32(self.voxel_size[1])
        by_x = finish(operators[2][1], operators[1][0]) / np.float32(self.voxel_size[2])
        by_y *= by_y
        by_x *= by_x
        by_y += by_x
        return [value, np.sqrt(by_y, out=by_y)]


@functools.lru_cache(maxsize=2)
def _bank(seed: int, period: int, sigma: float) -> Field:
    """Planes of correlated noise, deviation 1, periodic and padded by a tile."""
    stream = np.random.Generator(np.random.Philox(key=[seed, period]))
    planes = stream.standard_normal((_PLANES, period, period), dtype=np.float32)
    planes = gaussian_filter(planes, (0, sigma, sigma), mode="wrap")
    planes /= planes.std()
    return np.pad(planes, ((0, 0), (0, TILE[1]), (0, TILE[2])), mode="wrap")


def grain(grid: Grid, seed: int, sigma: float) -> Field:
    """Detector noise of a tile, deviation 1, blurred by `sigma` pixels, new in every slice.

    Two periodic banks are added, each moved by a separate offset in every slice: the sum repeats
    only every 7680 pixels, and costs a copy.
    """
    out = np.zeros(grid.shape, np.float32)
    for period in _PERIODS:
        bank = _bank(seed, period, sigma)
        for k in range(TILE[0]):
            z = grid.origin[0] + k
            y = int(mix(seed, period, 1, z) % period + grid.origin[1]) % period
            x = int(mix(seed, period, 2, z) % period + grid.origin[2]) % period
            out[:, k] += bank[z % _PLANES, y : y + TILE[1], x : x + TILE[2]]
    out *= np.float32(0.5**0.5)
    return out
