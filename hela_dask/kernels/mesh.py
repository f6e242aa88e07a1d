"""Closed triangle meshes of labelled objects: marching cubes of block fractions.

A block holds the share of its voxels that are the object's. The surface is where the share,
interpolated linearly between the centres of blocks, crosses one half.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.measure import marching_cubes

from hela_dask.kernels.compiled import compiled
from hela_dask.types import Bounds, Floats, Grey, Sides

__all__ = ["Grid", "Mesh", "contour"]

_RIM = 1.0  # nm between the cap of a cut object and the rim of the rest
_FLAT = 1.5 * _RIM  # a vertex so close to a cut side stays on it
_THIN = 1e-4  # blocks: the frame between cap and rim


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh, oriented outward where it is closed.

    Attributes
    ----------
    vertices : ndarray of float64, (n, 3)
        z, y, x in nm.
    faces : ndarray of int32, (m, 3)
        Vertices of each triangle, counterclockwise from outside in x, y, z order.
    """

    vertices: Floats
    faces: NDArray[np.int32]

    def volume(self) -> float:
        """Enclosed volume, nm³: the sum of the signed tetrahedra of all triangles."""
        middle = self.vertices.mean(axis=0) if len(self.vertices) else np.zeros(3)
        return _volume_and_area(self.vertices, self.faces, middle)[0]

    def area(self) -> float:
        """Area, nm²."""
        return _volume_and_area(self.vertices, self.faces, np.zeros(3))[1]

    def vertex_normals(self) -> Floats:
        """Outward normals of length one at the vertices, weighted by area."""
        return _vertex_normals(self.vertices, self.faces)

    def is_closed(self) -> bool:
        """Whether each edge has exactly two triangles, which run along it in opposite directions.

        Such a mesh has no hole, and one orientation.
        """
        directed = self._directed_edges()
        codes = directed[:, 0] * len(self.vertices) + directed[:, 1]
        back = directed[:, 1] * len(self.vertices) + directed[:, 0]
        codes.sort()
        back.sort()
        return bool(np.all(codes[1:] != codes[:-1]) and np.array_equal(codes, back))

    def euler_number(self) -> int:
        """Vertices - edges + triangles: 2 for a sphere, 0 for a torus; a sum over the pieces."""
        return len(np.unique(self.faces)) - len(self.edges()) + len(self.faces)

    def edges(self) -> NDArray[np.int64]:
        """The edges, (n, 2), each once, lower vertex first."""
        ends = np.sort(self._directed_edges(), axis=1)
        codes = np.unique(ends[:, 0] * len(self.vertices) + ends[:, 1])
        return np.stack(np.divmod(codes, max(1, len(self.vertices))), axis=1)

    def _directed_edges(self) -> NDArray[np.int64]:
        return self.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).astype(np.int64)


@dataclass(frozen=True)
class Grid:
    """Blocks of voxels around an object, in an array with a frame of two blocks on each side.

    Attributes
    ----------
    centres : (z, y, x) of ndarray of float64
        Places of the blocks without the frame, nm. The last block of a volume may be thinner.
    bounds : ((z0, z1), (y0, y1), (x0, x1))
        Outer edges of the blocks without the frame, nm.
    cut : ((bool, bool), …)
        Whether the lower and the upper side are sides of the volume.
    """

    centres: tuple[Floats, Floats, Floats]
    bounds: Bounds
    cut: Sides

    @property
    def shape(self) -> tuple[int, int, int]:
        """Blocks, with the frame."""
        z, y, x = (len(centres) + 4 for centres in self.centres)
        return z, y, x

    def places(self, vertices: Floats) -> Floats:
        """Array indices (with the frame) in nm."""
        found = np.empty_like(vertices)
        for axis, (centres, (low, high), (low_cut, high_cut)) in enumerate(
            zip(self.centres, self.bounds, self.cut, strict=True)
        ):
            first, last = 2 * (centres[0] - low), 2 * (high - centres[-1])
            # The cap lies on a cut side, its rim a little inside: no two vertices at one place.
            before = [low, low, low + _RIM] if low_cut else [low - 1.5 * first, low - first / 2]
            after = [high - _RIM, high, high] if high_cut else [high + last / 2, high + 1.5 * last]
            known = np.concatenate([before, centres, after])
            indices = np.arange(2.0, len(centres) + 2)
            stop = len(centres) + 3
            below = [0, 1 - _THIN, 1] if low_cut else [0, 1]
            above = [stop - 1, stop - 1 + _THIN, stop] if high_cut else [stop - 1, stop]
            found[:, axis] = np.interp(
                vertices[:, axis], np.concatenate([below, indices, above]), known
            )
        return found

    def sides(self, vertices: Floats) -> NDArray[np.uint8]:
        """The cut sides that each vertex (nm) lies on: a bit each, z first, lower before upper."""
        found = np.zeros(len(vertices), np.uint8)
        for axis, (ends, cuts) in enumerate(zip(self.bounds, self.cut, strict=True)):
            for upper, (end, is_cut) in enumerate(zip(ends, cuts, strict=True)):
                if is_cut:
                    found[np.abs(vertices[:, axis] - end) < _FLAT] |= 1 << (2 * axis + upper)
        return found

    def flatten(self, mesh: Mesh) -> Mesh:
        """A mesh with the vertices near a cut side exactly on it."""
        places, sides, ends = mesh.vertices.copy(), self.sides(mesh.vertices), self.ends()
        for axis in range(3):
            for upper in range(2):
                places[(sides >> (2 * axis + upper)) & 1 == 1, axis] = ends[upper, axis]
        return Mesh(places, mesh.faces)

    def ends(self) -> Floats:
        """The lowest and the highest place of a vertex, (2, 3), nm: on cut sides, else infinite."""
        found = np.array([[-np.inf] * 3, [np.inf] * 3])
        for axis, (ends, cuts) in enumerate(zip(self.bounds, self.cut, strict=True)):
            for upper, (end, is_cut) in enumerate(zip(ends, cuts, strict=True)):
                if is_cut:
                    found[upper, axis] = end
        return found

    def cap(self, fraction: Grey) -> None:
        """Prepare the frame on cut sides: the object continues to the side, and ends there."""
        for axis, (low_cut, high_cut) in enumerate(self.cut):
            along = np.moveaxis(fraction, axis, 0)
            if low_cut:
                along[1] = along[2]
                along[0] = 0
            if high_cut:
                along[-2] = along[-3]
                along[-1] = 0


def contour(fraction: Grey, grid: Grid, block: int) -> Mesh:
    """The surface where the share of an object in blocks of so many voxels is one half.

    `fraction` is (z, y, x) with the frame of the grid, which :meth:`Grid.cap` has prepared. The
    level lies a little below one half: no share has its value, so that no vertex lies on the centre
    of a block, and no face of a cell of blocks is ambiguous to marching cubes.
    """
    level = 0.5 - 1 / (4 * max(block, 16))
    if not (fraction > level).any():
        return Mesh(np.empty((0, 3)), np.empty((0, 3), np.int32))
    vertices, faces, _, _ = marching_cubes(fraction, level)
    mesh = Mesh(grid.places(vertices.astype(np.float64)), faces.astype(np.int32))
    return mesh if mesh.volume() >= 0 else Mesh(mesh.vertices, mesh.faces[:, ::-1].copy())


@compiled
def _normal(vertices: Floats, a: int, b: int, c: int) -> tuple[float, float, float]:
    """The outward normal of a triangle; its length is twice the area."""
    bz, by, bx = (
        vertices[b, 0] - vertices[a, 0],
        vertices[b, 1] - vertices[a, 1],
        vertices[b, 2] - vertices[a, 2],
    )
    cz, cy, cx = (
        vertices[c, 0] - vertices[a, 0],
        vertices[c, 1] - vertices[a, 1],
        vertices[c, 2] - vertices[a, 2],
    )
    return by * -cx + bx * cy, bx * -cz + bz * cx, bz * -cy + by * cz


@compiled
def _volume_and_area(
    vertices: Floats, faces: NDArray[np.int32], middle: Floats
) -> tuple[float, float]:
    """Enclosed volume and area; places are taken from `middle`, for the precision."""
    volume, area = 0.0, 0.0
    for row in range(len(faces)):
        a, b, c = faces[row, 0], faces[row, 1], faces[row, 2]
        z, y, x = _normal(vertices, a, b, c)
        area += np.sqrt(z * z + y * y + x * x)
        volume += (
            z * (vertices[a, 0] - middle[0])
            + y * (vertices[a, 1] - middle[1])
            + x * (vertices[a, 2] - middle[2])
        )
    return volume / 6, area / 2


@compiled
def _vertex_normals(vertices: Floats, faces: NDArray[np.int32]) -> Floats:
    """Outward normals of length one, 0 where triangles have no area."""
    found = np.zeros_like(vertices)
    for row in range(len(faces)):
        z, y, x = _normal(vertices, faces[row, 0], faces[row, 1], faces[row, 2])
        for corner in range(3):
            at = faces[row, corner]
            found[at, 0] += z
            found[at, 1] += y
            found[at, 2] += x
    for at in range(len(found)):
        length = np.sqrt(found[at, 0] ** 2 + found[at, 1] ** 2 + found[at, 2] ** 2)
        if length > 0:
            for axis in range(3):
                found[at, axis] /= length
    return found
