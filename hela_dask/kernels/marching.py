"""Marching cubes: the triangles of a level of a volume, without normals and in one pass.

The cases are made from the cube itself: on each face, the level cuts off every run of corners
inside, so that neighbouring cubes always agree and the surface has no holes; the cuts of the faces
join to loops, and a loop is a fan of triangles.

See Also
--------
W. E. Lorensen and H. E. Cline, "Marching cubes", SIGGRAPH 1987.
``skimage.measure.marching_cubes(method="lorensen")`` : the same surface, with normals.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.compiled import compiled
from hela_dask.types import Floats, Grey

__all__ = ["march"]

# Corner z, y, x of a cube has the number 4 z + 2 y + x. An edge joins its lower corner and the one
# beside it along an axis.
_EDGES = [(corner, axis) for axis in range(3) for corner in range(8) if not corner & (4 >> axis)]


def _faces() -> list[list[int]]:
    """The corners of each face, in one sense as seen from outside."""
    found = []
    for axis, side in itertools.product(range(3), (0, 1)):
        one, other = (4 >> along for along in range(3) if along != axis)
        base = side * (4 >> axis)
        ring = [base, base + one, base + one + other, base + other]
        found.append(ring if (axis + side) % 2 else ring[::-1])
    return found


def _loops(case: int) -> list[list[int]]:
    """The loops of cut edges of a cube; bit n of the `case`: corner n is inside."""
    after: dict[int, int] = {}
    for ring in _faces():
        inside = [bool(case >> corner & 1) for corner in ring]
        edges = [
            _EDGES.index((min(a, b), 2 - (a ^ b).bit_length() + 1))
            for a, b in zip(ring, ring[1:] + ring[:1], strict=True)
        ]
        for at in range(4):
            if inside[at] and not inside[(at + 1) % 4]:  # the run that ends here began at `first`
                first = at
                while inside[first - 1]:
                    first -= 1
                after[edges[at]] = edges[first - 1]
    loops = []
    while after:
        loop = [next(iter(after))]
        while (following := after.pop(loop[-1])) != loop[0]:
            loop.append(following)
        loops.append(loop)
    return loops


def _cases() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number of triangles of each case, and their edges."""
    found = [
        [
            (loop[0], loop[at], loop[at + 1])
            for loop in _loops(case)
            for at in range(1, len(loop) - 1)
        ]
        for case in range(256)
    ]
    counts = np.array([len(triangles) for triangles in found])
    edges = np.zeros((256, counts.max(), 3), np.int64)
    for case, triangles in enumerate(found):
        edges[case, : len(triangles)] = np.array(triangles).reshape(-1, 3)
    return counts, edges


_COUNTS, _TRIANGLES = _cases()
_CORNERS = np.array([corner for corner, _ in _EDGES])
_AXES = np.array([axis for _, axis in _EDGES])


def march(image: Grey, level: float) -> tuple[Floats, NDArray[np.int32]]:
    """Triangulate where an image passes a level.

    Parameters
    ----------
    image
        (z, y, x), of any layout in memory. Its last voxels are repeated once beyond each side.
    level
        Voxels above it are inside.

    Returns
    -------
    vertices : ndarray of float64, (n, 3)
        z, y, x in voxels, from the centre of the first one; from -1 to one beyond the last.
    faces : ndarray of int32, (m, 3)
        Vertices of each triangle, all in the same sense. Triangles share their vertices.
    """
    return _march(image, np.float32(level), _COUNTS, _TRIANGLES, _CORNERS, _AXES)


@compiled
def _march(
    image: Grey,
    level: np.float32,
    counts: NDArray[np.int64],
    triangles: NDArray[np.int64],
    corners: NDArray[np.int64],
    axes: NDArray[np.int64],
) -> tuple[Floats, NDArray[np.int32]]:
    depth, height, width = image.shape
    planes = np.empty((2, height + 2, width + 2), np.float32)
    inside = np.zeros((2, height + 2, width + 2), np.uint8)
    # Number + 1 of the vertex on the edge along y and x of the lower and the upper slice, and
    # along z between them; 0 where there is none yet.
    known = np.zeros((5, height + 2, width + 2), np.int32)
    codes = np.empty(width + 1, np.uint8)
    vertices, n = np.empty((4096, 3), np.float64), 0
    faces, m = np.empty((4096, 3), np.int32), 0
    _load(image[0], level, planes[1], inside[1])
    for z in range(depth + 1):
        planes[0], inside[0], known[:2] = planes[1], inside[1], known[2:4]
        known[2:] = 0
        _load(image[min(z, depth - 1)], level, planes[1], inside[1])
        for y in range(height + 1):
            if not _codes(inside, y, codes):
                continue
            for x in range(width + 1):
                case = codes[x]
                if case in (0, 255):
                    continue
                if n + 12 > len(vertices):
                    vertices = _longer(vertices)
                if m + 12 > len(faces):
                    faces = _longer(faces)
                for number in range(counts[case]):
                    for corner in range(3):
                        edge = triangles[case, number, corner]
                        axis, low = axes[edge], corners[edge]
                        up, down, aside = low >> 2, y + ((low >> 1) & 1), x + (low & 1)
                        kind = 4 if axis == 0 else 2 * up + axis - 1
                        if known[kind, down, aside] == 0:
                            _place(planes, level, (up, down, aside), axis, vertices[n])
                            vertices[n, 0] += z - 1
                            n += 1
                            known[kind, down, aside] = n
                        faces[m, corner] = known[kind, down, aside] - 1
                    m += 1
    return vertices[:n].copy(), faces[:m].copy()


@compiled
def _load(plane: Grey, level: np.float32, padded: Grey, inside: NDArray[np.uint8]) -> None:
    """A slice with its last pixels repeated, and which pixels are inside."""
    height, width = plane.shape
    for y in range(height + 2):
        row, source = padded[y], plane[min(max(y - 1, 0), height - 1)]
        for x in range(width):
            row[x + 1] = source[x]
        row[0], row[width + 1] = row[1], row[width]
        for x in range(width + 2):
            inside[y, x] = row[x] > level


@compiled
def _codes(inside: NDArray[np.uint8], y: int, codes: NDArray[np.uint8]) -> bool:
    """The case of each cube of a row; whether the level passes any of them."""
    a, b, c, d = inside[0, y], inside[0, y + 1], inside[1, y], inside[1, y + 1]
    for x in range(len(codes)):
        codes[x] = (
            a[x]
            | (a[x + 1] << 1)
            | (b[x] << 2)
            | (b[x + 1] << 3)
            | (c[x] << 4)
            | (c[x + 1] << 5)
            | (d[x] << 6)
            | (d[x + 1] << 7)
        )
    count = np.uint32(0)
    for x in range(len(codes)):
        count += np.uint32((codes[x] != 0) & (codes[x] != 255))
    return bool(count > 0)


@compiled
def _place(
    planes: Grey, level: np.float32, corner: tuple[int, int, int], axis: int, vertex: Floats
) -> None:
    """Where an edge passes the level, from the lower slice, by linear interpolation."""
    z, y, x = corner
    one = np.float64(planes[z, y, x])
    other = np.float64(planes[z + (axis == 0), y + (axis == 1), x + (axis == 2)])
    vertex[0], vertex[1], vertex[2] = z, y - 1, x - 1
    vertex[axis] += (level - one) / (other - one)


@compiled
def _longer(rows: NDArray[Any]) -> NDArray[Any]:
    """The rows, with room for as many more."""
    more = np.empty((2 * len(rows), rows.shape[1]), rows.dtype)
    more[: len(rows)] = rows
    return more
