"""Closed triangle meshes of labelled objects: marching cubes of block fractions, then smoothing.

A block holds the share of its voxels that are the object's. The surface is where the share,
interpolated linearly between the centres of blocks, crosses one half. It is smoothed, so that
deep slices leave no terraces, but no vertex moves farther than a given distance from its place.
This is the constraint of S. F. F. Gibson, "Constrained elastic surface nets", MICCAI 1998. The
filter is that of G. Taubin, "A signal processing approach to fair surface design", SIGGRAPH 1995,
which does not shrink convex parts as plain averaging does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from skimage.measure import marching_cubes

from hela_dask.types import Bounds, Floats, Grey, Sides

__all__ = ["Grid", "Mesh", "contour", "smooth_mesh", "with_volume"]

_PASS_BAND = (0.5, -0.53)  # Taubin's lambda and mu
_ITERATIONS = 15
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
        a, b, c = ((self.vertices - middle)[self.faces[:, corner]] for corner in range(3))
        return -float(np.einsum("ij,ij->", a, np.cross(b, c))) / 6

    def area(self) -> float:
        """Area, nm²."""
        return float(np.linalg.norm(self._normals(), axis=1).sum()) / 2

    def vertex_normals(self) -> Floats:
        """Outward normals of length one at the vertices, weighted by area."""
        normals = -self._normals()
        sums = np.empty_like(self.vertices)
        for axis in range(3):
            sums[:, axis] = np.bincount(
                self.faces.ravel(), np.repeat(normals[:, axis], 3), len(self.vertices)
            )
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        unit: Floats = np.divide(sums, lengths, out=np.zeros_like(sums), where=lengths > 0)
        return unit

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

    def _normals(self) -> Floats:
        a, b, c = (self.vertices[self.faces[:, corner]] for corner in range(3))
        normals: Floats = np.cross(b - a, c - a)
        return normals


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

    def clip(self, vertices: Floats) -> Floats:
        """Places (nm) that are beyond a cut side, moved onto it."""
        low, high = (
            [
                ends[end] if cut[end] else sign * np.inf
                for ends, cut in zip(self.bounds, self.cut, strict=True)
            ]
            for end, sign in ((0, -1), (1, 1))
        )
        found: Floats = np.clip(vertices, low, high)
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


def smooth_mesh(mesh: Mesh, limit: float, grid: Grid) -> Mesh:
    """A smoother mesh with each vertex at most `limit` (nm) from its place.

    Every point of a triangle is a mean of its corners, so the whole surface moves by no more, in
    both directions. Vertices on a cut side stay on it.
    """
    edges = mesh.edges()
    count = len(mesh.vertices)
    ones = np.ones(len(edges))
    one_way = sparse.csr_array((ones, (edges[:, 0], edges[:, 1])), shape=(count, count))
    near = one_way + one_way.T
    share = 1 / np.maximum(near.sum(axis=1), 1)[:, None]
    fixed = _fixed(mesh.vertices, grid)
    moved = mesh.vertices.copy()
    for _ in range(_ITERATIONS):
        for factor in _PASS_BAND:
            step = factor * (share * (near @ moved) - moved)
            step[fixed] = 0
            moved = grid.clip(_within(moved + step, mesh.vertices, limit))
    return Mesh(moved, mesh.faces)


def with_volume(mesh: Mesh, volume: float, origin: Mesh, limit: float, grid: Grid) -> Mesh:
    """The mesh moved along its normals until it encloses `volume` (nm³).

    No vertex leaves the distance `limit` (nm) from its place in `origin`.
    """
    fixed = _fixed(origin.vertices, grid)
    for _ in range(3):
        missing = volume - mesh.volume()
        step = missing / max(mesh.area(), 1e-9) * mesh.vertex_normals()
        step[fixed] = 0
        moved = grid.clip(_within(mesh.vertices + step, origin.vertices, limit))
        mesh = Mesh(moved, mesh.faces)
    return mesh


def _within(places: Floats, origins: Floats, limit: float) -> Floats:
    """Places brought back to the distance `limit` from their origins where they are farther."""
    away = places - origins
    lengths = np.linalg.norm(away, axis=1, keepdims=True)
    scale = np.minimum(1, limit / np.maximum(lengths, 1e-12))
    found: Floats = origins + away * scale
    return found


def _fixed(vertices: Floats, grid: Grid) -> NDArray[np.bool_]:
    """The axes along which a vertex may not move: across the cut side that it lies on."""
    fixed = np.zeros(vertices.shape, dtype=bool)
    for axis, (ends, cuts) in enumerate(zip(grid.bounds, grid.cut, strict=True)):
        for end, is_cut in zip(ends, cuts, strict=True):
            if is_cut:
                fixed[:, axis] |= np.abs(vertices[:, axis] - end) < _FLAT
    return fixed
