"""The distance of a mesh from the surface of its labels, over the whole object, slab by slab."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hela_dask.geometry import Geometry
from hela_dask.kernels.label_distance import farthest_from_labels, side_centres
from hela_dask.kernels.mesh import Mesh
from hela_dask.kernels.mesh_distance import TriangleIndex, surface_points
from hela_dask.kernels.voxel_bits import Bits
from hela_dask.meshing.voxels import ObjectVoxels
from hela_dask.types import Floats

__all__ = ["Distances", "LabelSurface"]

_SLAB_VOXELS = 96 * 2**20  # voxels that are looked at together
_SPACING = 1.0  # between points of the mesh that are measured, in units of the error


@dataclass(frozen=True)
class Distances:
    """Distances between a mesh and the surface of its labels.

    Attributes
    ----------
    to_labels, from_labels : float
        The largest distance of a point of the mesh from the labels' surface, and of a point of the
        labels' surface from the mesh, nm.
    count : int
        The sides of voxels that are the labels' surface.
    places : ndarray of float64, (n, 3)
        The points of the mesh beyond the error, z, y, x in nm.
    sides : ndarray of float64, (n, 3)
        The centres of the sides of voxels beyond the error, z, y, x in nm.
    """

    to_labels: float
    from_labels: float
    count: int
    places: Floats
    sides: Floats

    @property
    def beyond_share(self) -> float:
        """Share of the labels' surface that is farther than the error from the mesh."""
        return len(self.sides) / max(1, self.count)

    @property
    def largest(self) -> float:
        """In both directions, nm."""
        return max(self.to_labels, self.from_labels)


@dataclass
class LabelSurface:
    """The surface of an object: all sides between its voxels and others, or the volume's sides."""

    voxels: ObjectVoxels
    geometry: Geometry
    error: float

    def measure(self, mesh: Mesh) -> Distances:
        """Distances of a mesh in both directions.

        The points of the mesh are its vertices and more on large triangles; those of the labels'
        surface are the centres of all sides of voxels. A point's distance from the other surface is
        exact, up to twice the error (from the labels; farther counts as infinite).
        """
        size = np.array(self.geometry.voxel_size)
        index = TriangleIndex.of(mesh, 2 * self.error)
        points = surface_points(mesh, _SPACING * self.error) - self._corner()
        slices = np.floor(points[:, 0] / size[0]).astype(np.int64)
        order = np.argsort(slices, kind="stable")
        points, slices = points[order], slices[order]
        to_labels = from_labels = 0.0
        count = 0
        places, sides = [np.empty((0, 3))], [np.empty((0, 3))]
        for first, last, z0, bits in self._slabs():
            lower, upper = np.searchsorted(slices, (first, last))
            lower = 0 if first == 0 else lower
            upper = upper if last < self.voxels.depth else len(points)
            down = np.array([z0 * size[0], 0, 0])
            part = points[lower:upper] - down
            to_labels, beyond = farthest_from_labels(
                part, bits, self.geometry.voxel_size, self.error, to_labels, self._reach
            )
            places.append(part[beyond] + down)
            lowest = first - z0 - (first == 0)
            part = side_centres(bits, lowest, last - z0, self.geometry.voxel_size) + down
            from_labels, beyond = index.farthest(part + self._corner(), self.error, from_labels)
            sides.append(part[beyond])
            count += len(part)
        return Distances(
            to_labels,
            from_labels,
            count,
            np.concatenate(places) + self._corner(),
            np.concatenate(sides) + self._corner(),
        )

    @property
    def _reach(self) -> float:
        return 2 * self.error

    def _corner(self) -> Floats:
        """The lowest place of the box, nm."""
        sizes = np.array(self.geometry.voxel_size)
        low = np.array(self.voxels.box.low)
        corner: Floats = np.array(self.geometry.origin) + (low - 0.5) * sizes
        return corner

    def _slabs(self) -> Iterator[tuple[int, int, int, Bits]]:
        """Slabs of the object: first and last slice, first slice of the voxels, and the voxels."""
        depth, rows, columns = self.voxels.box.shape
        halo = math.ceil(self._reach / self.geometry.voxel_size[0]) + 1
        most = max(1, _SLAB_VOXELS // (rows * columns))
        deep = depth if most >= depth else max(1, most - 2 * halo, halo)
        for first in range(0, depth, deep):
            last = min(depth, first + deep)
            z0, z1 = max(0, first - halo), min(depth, last + halo)
            yield first, last, z0, self.voxels.slices(z0, z1)
