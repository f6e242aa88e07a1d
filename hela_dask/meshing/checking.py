"""The distance of a mesh from the surface of its labels, over the whole object, slab by slab."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from hela_dask.box import Box
from hela_dask.geometry import Geometry
from hela_dask.kernels.label_distance import farthest_from_labels, side_centres
from hela_dask.kernels.mesh import Mesh
from hela_dask.kernels.mesh_distance import TriangleIndex, surface_points
from hela_dask.types import Floats, Labels, Mask

__all__ = ["Distances", "LabelSurface"]

_READ = 32 * 2**20  # bytes of labels, read at once
_MASK = 96 * 2**20  # voxels of a slab with its halo, and of an object that is kept as a whole
_SPACING = 1.0  # between points of the mesh that are measured, in units of the error


@dataclass(frozen=True)
class Distances:
    """Distances between a mesh and the surface of its labels.

    Attributes
    ----------
    to_labels, from_labels : float
        The largest distance of a point of the mesh from the labels' surface, and of a point of the
        labels' surface from the mesh, nm.
    beyond_share : float
        Share of the labels' surface that is farther than the error from the mesh.
    places : ndarray of float64, (n, 3)
        The points beyond the error in both directions, z, y, x in nm.
    """

    to_labels: float
    from_labels: float
    beyond_share: float
    places: Floats

    @property
    def largest(self) -> float:
        """In both directions, nm."""
        return max(self.to_labels, self.from_labels)


@dataclass
class LabelSurface:
    """The surface of an object: all sides between its voxels and others, or the volume's sides."""

    read: Callable[[Box], Labels]
    label: int
    box: Box
    geometry: Geometry
    error: float
    _kept: Mask | None = field(default=None, init=False)

    def measure(self, mesh: Mesh) -> Distances:
        """Distances of a mesh in both directions.

        The points of the mesh are its vertices and more on large triangles; those of the labels'
        surface are the centres of all sides of voxels. A point's distance from the other surface is
        exact, up to twice the error (from the labels; farther counts as infinite).
        """
        index = TriangleIndex.of(mesh, 2 * self.error)
        points = surface_points(mesh, _SPACING * self.error) - self._corner()
        slices = np.floor(points[:, 0] / self.geometry.voxel_size[0]).astype(np.int64)
        order = np.argsort(slices, kind="stable")
        points, slices = points[order], slices[order]
        to_labels = from_labels = 0.0
        sides = beyond_sides = 0
        places = [np.empty((0, 3))]
        for first, last, z0, mask in self._slabs():
            lower, upper = np.searchsorted(slices, (first, last))
            lower, upper = 0 if first == 0 else lower, upper if last < self._depth else len(points)
            down = np.array([z0 * self.geometry.voxel_size[0], 0, 0])
            part = points[lower:upper] - down
            to_labels, beyond = farthest_from_labels(
                part, mask, self.geometry.voxel_size, self.error, to_labels, self._reach
            )
            places.append(part[beyond] + down)
            lowest = first - z0 - (first == 0)
            part = side_centres(mask, lowest, last - z0, self.geometry.voxel_size) + down
            from_labels, beyond = index.farthest(part + self._corner(), self.error, from_labels)
            places.append(part[beyond])
            sides += len(part)
            beyond_sides += int(beyond.sum())
        found = np.concatenate(places) + self._corner()
        return Distances(to_labels, from_labels, beyond_sides / max(1, sides), found)

    @property
    def _depth(self) -> int:
        return self.box.shape[0]

    @property
    def _reach(self) -> float:
        return 2 * self.error

    def _corner(self) -> Floats:
        """The lowest place of the box, nm."""
        sizes = np.array(self.geometry.voxel_size)
        corner: Floats = np.array(self.geometry.origin) + (np.array(self.box.low) - 0.5) * sizes
        return corner

    def _slabs(self) -> Iterator[tuple[int, int, int, Mask]]:
        """Slabs of the object: first and last slice, first slice of the mask, and the mask."""
        depth, rows, columns = self.box.shape
        halo = math.ceil(self._reach / self.geometry.voxel_size[0]) + 1
        most = max(1, _MASK // (rows * columns))
        if most >= depth:
            if self._kept is None:
                self._kept = self._mask(0, depth)
            yield 0, depth, 0, self._kept
            return
        deep = max(1, most - 2 * halo, halo)
        for first in range(0, depth, deep):
            last = min(depth, first + deep)
            z0, z1 = max(0, first - halo), min(depth, last + halo)
            yield first, last, z0, self._mask(z0, z1)

    def _mask(self, first: int, last: int) -> Mask:
        """The object in some slices of its box."""
        z, y, x = self.box
        _, rows, columns = self.box.shape
        found = np.empty((last - first, rows, columns), dtype=bool)
        deep = max(1, _READ // (8 * rows * columns))
        for at in range(first, last, deep):
            end = min(last, at + deep)
            part = self.read(Box((slice(z.start + at, z.start + end), y, x)))
            np.equal(part, self.label, out=found[at - first : end - first])
        return found
