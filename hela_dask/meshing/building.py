"""The mesh of one labelled object: its blocks slab by slab, contour, smoothing, simplification."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from hela_dask.box import Box
from hela_dask.errors import InputError
from hela_dask.geometry import Geometry
from hela_dask.kernels.mesh import Grid, Mesh, contour
from hela_dask.kernels.mesh_distance import TriangleIndex
from hela_dask.kernels.mesh_simplify import simplify_mesh
from hela_dask.kernels.mesh_smooth import smooth_mesh, with_volume
from hela_dask.kernels.quality import FACES
from hela_dask.kernels.voxel_bits import count_blocks
from hela_dask.meshing.checking import Distances, LabelSurface
from hela_dask.meshing.voxels import ObjectVoxels
from hela_dask.types import Floats, Grey, Mask, Shape

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

_SLAB_VOXELS = 2**26  # that are counted together
_SLAB_BLOCKS = 2**21  # that they make at most
_MISSED = 1e-3  # share of the labels' surface that simplification may miss beside lost details
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


def build_mesh(voxels: ObjectVoxels, geometry: Geometry, error: float) -> ObjectMesh | None:
    """The closed mesh of an object, at most `error` (nm) from the surface of its labels.

    None where no block is half full of it. Half of the error is for smoothing, the rest for
    simplification; the volume is corrected after both.

    Raises
    ------
    MeshError
        When the mesh is not closed, when its volume differs by more than 1 % from that of the
        labels, or when a part of it is farther than `error` from their surface.
    """
    sides = block_sides(geometry, error)
    whole, grid = grid_around(voxels.box, geometry, sides)
    fraction, count = block_fractions(voxels, whole, sides, grid)
    grid.cap(fraction)
    surface = contour(fraction, grid, math.prod(sides))
    del fraction
    if not len(surface.faces):
        return None
    volume = count * math.prod(geometry.voxel_size)
    smooth = smooth_mesh(surface, error / 2, grid)
    smooth = with_volume(smooth, volume, surface, error / 2, grid)
    del surface
    _check_volume(smooth.volume() / volume - 1, error, sides)
    labels = LabelSurface(voxels, geometry, error)
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
    Where the smooth surface lacks details, the mesh may miss :data:`_MISSED` of the surface more.
    """
    error = labels.error
    sides = grid.sides(smooth.vertices)
    tolerance = np.full(len(smooth.vertices), _FIRST * error, np.float32)
    reference: TriangleIndex | None = None
    for factor, around, elsewhere in _TRIES:
        mesh = grid.flatten(simplify_mesh(smooth, tolerance, sides))
        mesh = with_volume(mesh, volume, mesh, error / 2, grid)
        if not abs(mesh.volume() / volume - 1) <= VOLUME:
            tolerance *= factor or elsewhere
            continue
        found = labels.measure(mesh)
        if found.largest <= error:
            return mesh, found
        # Details that the smooth surface lacks as well are no fault of simplification, and their
        # edges move with each try.
        reference = reference or TriangleIndex.of(smooth, 2 * error)
        lost = found.sides[reference.farthest(found.sides, error, np.inf)[1]]
        missed = found.sides[~_near(found.sides, lost, error)]
        allowed = _MISSED * found.count if len(lost) else 0
        if found.to_labels <= error and len(missed) <= allowed:
            return mesh, found
        places = np.concatenate([found.places, missed])
        tolerance[_near(smooth.vertices, places, around * error)] *= factor
        tolerance *= elsewhere
    return smooth, labels.measure(smooth)


def _near(points: Floats, others: Floats, distance: float) -> Mask:
    """Which points are at most so far (nm) from one of the others."""
    if not len(others):
        return np.zeros(len(points), bool)
    distances, _ = KDTree(others).query(points, distance_upper_bound=distance)
    near: Mask = np.isfinite(distances)
    return near


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
    if not abs(difference) <= VOLUME:
        raise MeshError(
            f"the volume of the mesh differs by {difference:+.1%} from that of the labels, more "
            f"than {VOLUME:.0%}: {_remedy(error, sides)}"
        )


def _remedy(error: float, sides: Shape) -> str:
    if math.prod(sides) > 1:
        return f"give an --error of less than {error:g} nm"
    return "the object is a single voxel thin in many places"


def block_fractions(voxels: ObjectVoxels, whole: Box, sides: Shape, grid: Grid) -> tuple[Grey, int]:
    """The share of the object in each block, with an empty frame; and its number of voxels."""
    fraction: Grey = np.zeros(grid.shape, np.float32)
    inner = fraction[2:-2, 2:-2, 2:-2]
    lengths = [
        _lengths(np.arange(0, length, side, dtype=np.int64), length)
        for length, side in zip(whole.shape, sides, strict=True)
    ]
    plane = np.multiply.outer(lengths[1], lengths[2])
    deep = min(
        _SLAB_VOXELS // (sides[0] * math.prod(voxels.box.shape[1:])),
        _SLAB_BLOCKS // math.prod(inner.shape[1:]),
    )
    deep = max(1, deep)  # blocks
    z0, y0, x0 = (at - low for at, low in zip(voxels.box.low, whole.low, strict=True))
    found = 0
    for first in range(0, len(inner), deep):
        part = inner[first : first + deep]
        low, high = (at * sides[0] - z0 for at in (first, first + len(part)))
        bits = voxels.slices(max(0, low), min(voxels.depth, high))
        counts = count_blocks(bits, sides, (max(0, -low), y0, x0), part.shape)
        found += int(counts.sum(dtype=np.int64))
        part[:] = counts / (lengths[0][first : first + len(part), None, None] * plane)
    return fraction, found


def _lengths(starts: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Voxels of each block along an axis."""
    return np.diff(np.append(starts, length))
