"""Fraction images of balls, ellipsoids and tori at any position and rotation; their measures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from scipy.special import ellipeinc, ellipkinc

__all__ = ["Shape", "ball", "ellipsoid", "torus"]


@dataclass(frozen=True)
class Shape:
    """An ellipsoid of three half axes, or a torus of its two radii; nm.

    The longest half axis of an ellipsoid is the first; of a torus, the first radius is that of its
    ring.
    """

    radii: tuple[float, ...]

    @property
    def is_torus(self) -> bool:
        """Whether it is a torus."""
        return len(self.radii) == 2

    @property
    def reach(self) -> float:
        """The largest distance from the centre, nm."""
        return sum(self.radii) if self.is_torus else max(self.radii)

    @property
    def volume(self) -> float:
        """Volume, nm³."""
        if self.is_torus:
            return 2 * math.pi**2 * self.radii[0] * self.radii[1] ** 2
        return 4 / 3 * math.pi * math.prod(self.radii)

    @property
    def area(self) -> float:
        """Area of the surface, nm² (of an ellipsoid by Legendre's formula)."""
        if self.is_torus:
            return 4 * math.pi**2 * self.radii[0] * self.radii[1]
        a, b, c = self.radii
        if a == c:
            return 4 * math.pi * a**2
        angle = math.acos(c / a)
        m = (a * a * (b * b - c * c)) / (b * b * (a * a - c * c))
        curved = ellipeinc(angle, m) * math.sin(angle) ** 2 + ellipkinc(angle, m) * (c / a) ** 2
        return float(2 * math.pi * (c * c + a * b / math.sin(angle) * curved))

    @property
    def axes(self) -> tuple[float, ...]:
        """Full lengths of the ellipsoid of the same second moments, nm."""
        if not self.is_torus:
            return tuple(2 * radius for radius in self.radii)
        ring, tube = self.radii
        wide = 2 * math.sqrt(5 * (ring**2 / 2 + 3 / 8 * tube**2))
        return wide, wide, 2 * math.sqrt(5 * tube**2 / 4)

    @property
    def hull(self) -> tuple[float, float]:
        """Volume (nm³) and area (nm²) of the convex hull."""
        if not self.is_torus:
            return self.volume, self.area
        ring, tube = self.radii
        # The outer half of the tube, and a cylinder with two flat sides instead of the inner one.
        volume = (
            math.pi**2 * ring * tube**2 + 4 / 3 * math.pi * tube**3 + 2 * math.pi * ring**2 * tube
        )
        area = 2 * math.pi**2 * ring * tube + 4 * math.pi * tube**2 + 2 * math.pi * ring**2
        return volume, area

    def draw(
        self,
        voxel: tuple[float, ...],
        seed: int = 0,
        blocks: tuple[int, int, int] = (1, 1, 1),
        margin: float = 0.0,
    ) -> NDArray[np.float32]:
        """Its fraction image (z, y, x) at a position and rotation drawn from a seed.

        Each voxel is the mean of so many points (z, y, x) that lie inside or not.
        """
        rng = np.random.default_rng(seed)
        turn = Rotation.from_quat(rng.normal(size=4)).as_matrix()
        shift = rng.uniform(-0.5, 0.5, 3) * voxel
        places = []
        for size, by, offset in zip(voxel, blocks, shift, strict=True):
            count = 2 * math.ceil((self.reach + margin) / size + 1)
            fine = (np.arange(count * by) + 0.5) * (size / by) - count * size / 2
            places.append(fine + offset)
        planes = []
        for z in places[0]:
            y, x = np.meshgrid(places[1], places[2], indexing="ij")
            inside = self._holds([row[0] * z + row[1] * y + row[2] * x for row in turn])
            planes.append(
                inside.reshape(len(y) // blocks[1], blocks[1], -1, blocks[2]).mean((1, 3))
            )
        found = np.stack(planes).reshape(-1, blocks[0], *planes[0].shape).mean(axis=1)
        return np.asarray(found, np.float32)

    def _holds(self, place: list[NDArray[np.float64]]) -> NDArray[np.bool_]:
        if self.is_torus:
            ring, tube = self.radii
            return (np.hypot(place[1], place[2]) - ring) ** 2 + place[0] ** 2 < tube**2
        squares = [(part / radius) ** 2 for part, radius in zip(place, self.radii, strict=True)]
        return sum(squares[1:], squares[0]) < 1


def ball(radius: float) -> Shape:
    """A ball."""
    return Shape((radius, radius, radius))


def ellipsoid(a: float, b: float, c: float) -> Shape:
    """An ellipsoid of half axes in descending order."""
    return Shape((a, b, c))


def torus(ring: float, tube: float) -> Shape:
    """A torus: radius of its ring and of its tube."""
    return Shape((ring, tube))
