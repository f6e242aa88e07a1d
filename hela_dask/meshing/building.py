"""The mesh of one labelled object: its blocks slab by slab, contour, smoothing, simplification."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from hela_dask.box import Box
from hela_dask.errors import InputError
from hela_dask.geometry import Geometry
from hela_dask.kernels.mesh import Grid, Mesh, contour
from hela_dask.kernels.mesh_simplify import simplify_mesh
from hela_dask.kernels.mesh_smooth import smooth_mesh, with_volume
from hela_dask.kernels.quality import FACES
from hela_dask.meshing.checking import Distances, LabelSurface
from hela_dask.types import Grey, Labels, Shape

__all__ = [
    "VOLUME",
    "MeshError",
    "ObjectMesh",
    "block_fractions",
    "block_sides",
    "build_mesh",
    "grid_around",
]

VOLUME = 0.01
"""The largest relative difference between the volumes of a mesh and its labels."""

_SLAB_BYTES = 32 * 2**20  # of labels, read at once
_FIRST = 0.3  # tolerance of the first simplification, in units of the error
# Where a mesh is too far from the labels in a try: the factor of the tolerance for the next one,
# how far around in units of the error, and the factor elsewhere. With 0, all triangles there stay.
_TRIES = (
    (0.5, 3.0, 0.85),
    (0.3, 4.0, 0.85),
    (0.0, 5.0, 0.75),
    (0.0, 6.0, 0.65),
    (0.0, 10.0, 0.5),
    (0.0, 10.0, 0.5),
)


class MeshError(InputError):
    """An object has no mesh that is closed, of its volume and near its labels."""


@dataclass(frozen=True)
class ObjectMesh:
    """A mesh and its measures."""

    mesh: Mesh
    grid: Grid  # of the blocks that it was made from
    measures: dict[str, Any]


def block_sides(geometry: Geometry, error: float) -> Shape:
    """Voxels of a block along z, y, x: no side is longer than `error` (nm), or than a voxel."""
    z, y, x = (max(1, math.floor(error / size + 1e-6)) for size in geometry.voxel_size)
    return z, y, x


def grid_around(box: Box, geometry: Geometry, sides: Shape) -> tuple[Box, Grid]:
    """The whole blocks around a box of voxels, and their places."""
    whole = box.coarsen(sides).scale(sides).clip(geometry.shape)
    centres, bounds, cut = [], [], []
    for axis, part in enumerate(whole):
        size, origin = (
            geometry.voxel_size[axis],
            geometry.origin[axis] - geometry.voxel_size[axis] / 2,
        )
        starts = np.arange(part.start, part.stop, sides[axis])
        ends = np.minimum(starts + sides[axis], part.stop)
        centres.append(origin + (starts + ends) / 2 * size)
        bounds.append((origin + part.start * size, origin + part.stop * size))
        cut.append((box[axis].start == 0, box[axis].stop == geometry.shape[axis]))
    z, y, x = centres
    return whole, Grid((z, y, x), (bounds[0], bounds[1], bounds[2]), (cut[0], cut[1], cut[2]))


def build_mesh(
    read: Callable[[Box], Labels], label: int, box: Box, geometry: Geometry, error: float
) -> ObjectMesh | None:
    """The closed mesh of an object, at most `error` (nm) from the surface of its labels.

    `read` gives the labels in a box of voxels, and `box` holds the whole object. None where no
    block is half full of it. Half of the error is for smoothing, the rest for simplification; the
    volume is corrected after both.

    Raises
    ------
    MeshError
        When the mesh is not closed, when its volume differs by more than 1 % from that of the
        labels, or when a part of it is farther than `error` from their surface.
    """
    sides = block_sides(geometry, error)
    whole, grid = grid_around(box, geometry, sides)
    fraction, voxels = block_fractions(read, label, whole, sides, grid)
    grid.cap(fraction)
    surface = contour(fraction, grid, math.prod(sides))
    del fraction
    if not len(surface.faces):
        return None
    volume = voxels * math.prod(geometry.voxel_size)
    smooth = smooth_mesh(surface, error / 2, grid)
    smooth = with_volume(smooth, volume, surface, error / 2, grid)
    del surface
    _check_volume(smooth.volume() / volume - 1, error, sides)
    labels = LabelSurface(read, label, box, geometry, error)
    mesh, found = _simplified(smooth, labels, volume, grid)
    enclosed = mesh.volume()
    cuts = [flag for pair in grid.cut for flag in pair]
    measures = {
        "triangles": len(mesh.faces),
        "mesh_volume": enclosed / 1e9,
        "labels_volume": volume / 1e9,
        "volume_difference": enclosed / volume - 1,
        "mesh_area": mesh.area() / 1e6,
        "mesh_distance": found.to_labels,
        "labels_distance": found.from_labels,
        "labels_beyond": found.beyond_share,
        "closed": mesh.is_closed(),
        "euler_number": mesh.euler_number(),
        "flat_sides": ", ".join(name for name, cut in zip(FACES, cuts, strict=True) if cut),
    }
    _check(measures, error, sides)
    return ObjectMesh(mesh, grid, measures)


def _simplified(
    smooth: Mesh, labels: LabelSurface, volume: float, grid: Grid
) -> tuple[Mesh, Distances]:
    """The smooth mesh with fewer triangles, and its distances from the labels.

    The surface is simplified less around each place that is too far away, and everywhere where the
    volume is wrong, until both are right; where they are not in the last try, it stays as it is.
    """
    error = labels.error
    sides = grid.sides(smooth.vertices)
    tolerance = np.full(len(smooth.vertices), _FIRST * error, np.float32)
    least: Distances | None = None
    for factor, around, elsewhere in _TRIES:
        mesh = grid.flatten(simplify_mesh(smooth, tolerance, sides))
        mesh = with_volume(mesh, volume, mesh, error / 2, grid)
        if abs(mesh.volume() / volume - 1) > VOLUME:
            tolerance *= factor
            continue
        found = labels.measure(mesh)
        if found.largest <= error:
            return mesh, found
        if found.to_labels <= error:
            # Details that the smooth surface lacks as well are no fault of simplification.
            least = least or labels.measure(smooth)
            if found.from_labels <= least.from_labels:
                return mesh, found
        distances, _ = KDTree(found.places).query(
            smooth.vertices, distance_upper_bound=around * error
        )
        tolerance[np.isfinite(distances)] *= factor
        tolerance *= elsewhere
    return smooth, least or labels.measure(smooth)


def _check(measures: dict[str, Any], error: float, sides: Shape) -> None:
    if not measures["closed"]:
        raise MeshError("the mesh is not closed or not oriented, which is a fault of this program")
    _check_volume(measures["volume_difference"], error, sides)
    if measures["mesh_distance"] > error:
        raise MeshError(
            f"the mesh is {measures['mesh_distance']:.0f} nm away from the labels, more than the "
            f"--error of {error:g} nm: {_remedy(error, sides)}"
        )


def _check_volume(difference: float, error: float, sides: Shape) -> None:
    if abs(difference) > VOLUME:
        raise MeshError(
            f"the volume of the mesh differs by {difference:+.1%} from that of the labels, more "
            f"than {VOLUME:.0%}: {_remedy(error, sides)}"
        )


def _remedy(error: float, sides: Shape) -> str:
    if math.prod(sides) > 1:
        return f"give an --error of less than {error:g} nm"
    return "the object is a single voxel thin in many places"


def block_fractions(
    read: Callable[[Box], Labels], label: int, whole: Box, sides: Shape, grid: Grid
) -> tuple[Grey, int]:
    """The share of the object in each block, with an empty frame; and its number of voxels."""
    fraction: Grey = np.zeros(grid.shape, np.float32)
    inner = fraction[2:-2, 2:-2, 2:-2]
    _, rows, columns = whole.shape
    deep = sides[0] * max(1, _SLAB_BYTES // (8 * rows * columns * sides[0]))
    starts = [
        np.arange(0, length, side, dtype=np.int64)
        for length, side in zip(whole.shape, sides, strict=True)
    ]
    lengths = [_lengths(begin, length) for begin, length in zip(starts, whole.shape, strict=True)]
    plane = np.multiply.outer(lengths[1], lengths[2])
    voxels = 0
    z, y, x = whole
    for z0 in range(z.start, z.stop, deep):
        z1 = min(z0 + deep, z.stop)
        counts = (read(Box((slice(z0, z1), y, x))) == label).astype(np.uint32)
        for axis, begin in enumerate((np.arange(0, z1 - z0, sides[0]), *starts[1:])):
            counts = np.add.reduceat(counts, begin, axis=axis)
        voxels += int(counts.sum(dtype=np.int64))
        first = (z0 - z.start) // sides[0]
        depth = lengths[0][first : first + len(counts), None, None]
        inner[first : first + len(counts)] = counts / (depth * plane)
    return fraction, voxels


def _lengths(starts: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Voxels of each block along an axis."""
    return np.diff(np.append(starts, length))
