"""Measures of the shape of one cell and its nucleus, from the labels of its box."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hela_dask.box import Box
from hela_dask.columns import OBJECT_MEASURES, SHAPE_COLUMNS
from hela_dask.errors import InputError
from hela_dask.formatting import by_axis
from hela_dask.geometry import checked_voxel_size
from hela_dask.kernels.filters import TRUNCATE
from hela_dask.kernels.grid import block_mean, factors_for, mark_label
from hela_dask.kernels.morphology import depth_inside
from hela_dask.kernels.pieces import fill_cavities, piece_sizes
from hela_dask.kernels.shape import (
    Hull,
    Moments,
    convex_hull,
    find_moments,
    holds_ball,
    invagination_depth,
    layer_thickness,
    protruding_share,
    sphericity,
)
from hela_dask.kernels.surface import Surface, crop_fraction, find_surface
from hela_dask.kernels.topology import count_handles
from hela_dask.parameters import MeasureParameters
from hela_dask.types import Floats, Grey, Shape, Sides, Triple, Voxel

__all__ = [
    "WHOLE",
    "ShapedObject",
    "find_shapes",
    "measure_object",
    "measure_shape",
    "measured_voxels",
    "shape_measures",
]

WHOLE: Sides = ((False, False), (False, False), (False, False))
"""No side of the volume cuts the cell."""

_SLAB = 16  # slices of labels that are read at a time

_PIECE = 0.1  # of the largest piece of an object: smaller ones are crumbs

# Sigmas in the least axis of an object with an area that smoothing changes by less than about 6 %.
_RESOLVED = 4.0


@dataclass(frozen=True)
class ShapedObject:
    """A cell or a nucleus: its fraction image without cavities, and its surface."""

    fraction: Grey
    voxel: Voxel
    origin: Floats  # centre of the first voxel of `fraction`, from that of the box, nm
    sigma: float  # of the smoothing of the surface, nm
    surface: Surface
    cut: bool
    hull: Hull | None  # None where it is cut, or lies in a plane

    @cached_property
    def moments(self) -> Moments:
        """Volume, centroid and axes."""
        return find_moments(self.fraction, self.voxel)


def measure_shape(
    cells: Any,
    nuclei: Any,
    label: int,
    voxel_size: Triple,
    *,
    cut: Sides = WHOLE,
    parameters: MeasureParameters | None = None,
) -> dict[str, float]:
    """Measure the shape of a cell, of its nucleus, and the place of the nucleus in the cell.

    Parameters
    ----------
    cells, nuclei : (z, y, x) array, or None for `nuclei`
        Labels of the cell's box, of any resolution; they are read in slabs of slices. The cell
        includes its nucleus, which has the same label.
    label : int
        Of the cell.
    voxel_size : (z, y, x) in nm
    cut : pairs of bool for z, y and x
        Whether the lower and the upper side of the box are sides of the volume. Labels that reach
        such a side continue beyond it; elsewhere they end.
    parameters : MeasureParameters, optional

    Returns
    -------
    dict of str to float
        The columns of :data:`hela_dask.columns.SHAPE_COLUMNS`. NaN: all of a cell or a nucleus that
        is absent; all but the area of one that is cut, and the place of the nucleus in a cut cell;
        the measures with a convex hull of an object that lies in one plane.

    Raises
    ------
    InputError
        When the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> z, y, x = np.ogrid[-30:31, -30:31, -30:31]
    >>> ball = (z**2 + y**2 + x**2 < 25**2).astype(np.uint16)
    >>> measures = measure_shape(ball, None, 1, (40.0, 40.0, 40.0))
    >>> round(measures["cell_max_diameter"], -2), round(measures["cell_sphericity"], 2)
    (2000.0, 1.0)
    """
    p = parameters or MeasureParameters()
    return shape_measures(*find_shapes(cells, nuclei, label, voxel_size, cut=cut, parameters=p), p)


def find_shapes(
    cells: Any,
    nuclei: Any,
    label: int,
    voxel_size: Triple,
    *,
    cut: Sides = WHOLE,
    parameters: MeasureParameters | None = None,
) -> tuple[ShapedObject | None, ShapedObject | None]:
    """The surfaces of a cell and of its nucleus; None: absent, or less than half a voxel.

    Parameters and errors are those of :func:`measure_shape`.
    """
    p = parameters or MeasureParameters()
    voxel = checked_voxel_size(voxel_size)
    if nuclei is not None and nuclei.shape != cells.shape:
        raise InputError(
            f"cells are {by_axis(cells.shape)} and nuclei {by_axis(nuclei.shape)} voxels: "
            "give one box of both"
        )
    cell = _find(cells, label, voxel, cut, p)
    nucleus = None if nuclei is None else _find(nuclei, label, voxel, cut, p)
    return cell, nucleus


def shape_measures(
    cell: ShapedObject | None, nucleus: ShapedObject | None, p: MeasureParameters
) -> dict[str, float]:
    """The measures of :func:`measure_shape`, of the surfaces of :func:`find_shapes`."""
    measures = dict.fromkeys(SHAPE_COLUMNS, math.nan)
    for part, found in (("cell", cell), ("nucleus", nucleus)):
        if found is not None:
            measures |= {f"{part}_{name}": value for name, value in _common(found).items()}
    if nucleus is not None and not nucleus.cut:
        holes = _holes(nucleus, p)
        measures |= {f"nucleus_{name}": value for name, value in holes.items()}
    if cell is not None and not cell.cut:
        depth = depth_inside(cell.surface.inside, cell.voxel)
        measures["cell_protrusions"] = protruding_share(
            cell.fraction, depth, cell.voxel, p.protrusion
        )
        if nucleus is not None and not nucleus.cut:
            measures |= _place(nucleus, cell, depth)
    return measures


def measure_object(
    labels: Any,
    label: int,
    voxel_size: Triple,
    *,
    cut: Sides = WHOLE,
    parameters: MeasureParameters | None = None,
) -> dict[str, float]:
    """Measure the shape of one object of any kind.

    Parameters
    ----------
    labels : (z, y, x) array
        Labels of the object's box, of any resolution. They are read in blocks of so many voxels as
        their attribute ``tile`` states, if they have one, else in slabs of slices.
    label : int
        Of the object.
    voxel_size : (z, y, x) in nm
    cut : pairs of bool for z, y and x
        As in :func:`measure_shape`.
    parameters : MeasureParameters, optional

    Returns
    -------
    dict of str to float
        The columns of :data:`hela_dask.columns.OBJECT_MEASURES`; ``resolved`` is 0 or 1. The others
        are NaN: all of an object that is absent, or less than half a voxel of the resolution; all
        but the area of one that is cut; the measures with a convex hull of one in a plane.

    Examples
    --------
    >>> import numpy as np
    >>> z, y, x = np.ogrid[-30:31, -30:31, -30:31]
    >>> ring = (z**2 + (np.hypot(y, x) - 20) ** 2 < 8**2).astype(np.uint8)
    >>> measures = measure_object(ring, 1, (40.0, 40.0, 40.0))
    >>> measures["handles"], round(measures["max_diameter"], -2)
    (1.0, 2200.0)
    """
    p, voxel = parameters or MeasureParameters(), checked_voxel_size(voxel_size)
    measures = {**dict.fromkeys(OBJECT_MEASURES, math.nan), "resolved": 0.0}
    found = _find(labels, label, voxel, cut, p)
    if found is None:
        return measures
    measures |= _common(found)
    measures["resolved"] = float(found.moments.axes[2] >= _RESOLVED * found.sigma)
    if not found.cut:
        measures |= _holes(found, p)
        measures["protrusions"] = 1.0
        if holds_ball(found.surface.inside, found.voxel, p.protrusion):
            depth = depth_inside(found.surface.inside, found.voxel)
            measures["protrusions"] = protruding_share(
                found.fraction, depth, found.voxel, p.protrusion
            )
    return measures


def _find(
    labels: Any, label: int, voxel: Voxel, cut: Sides, p: MeasureParameters
) -> ShapedObject | None:
    """The object of a label; None where it is absent, or less than a voxel."""
    fraction, voxel = _fractions(labels, label, voxel, cut, p.resolution)
    if not fraction.any():
        return None
    sigma = max(p.smoothing, *voxel)
    reaches_side = any(
        side and bool(np.take(fraction, end, axis).any())
        for axis, sides in enumerate(cut)
        for side, end in zip(sides, (0, -1), strict=True)
    )
    fraction, first = crop_fraction(fraction, voxel, sigma, cut)
    fraction = fill_cavities(fraction)
    origin = np.array(first) * np.array(voxel)
    surface = find_surface(fraction, voxel, sigma)
    if not surface.inside.any():
        return None
    hull = None if reaches_side else convex_hull(surface)
    return ShapedObject(fraction, voxel, origin, sigma, surface, reaches_side, hull)


def measured_voxels(
    shape: Sequence[int], voxel: Voxel, parameters: MeasureParameters | None = None
) -> int:
    """Voxels of the fraction image of a box of labels, with the room around an object in it."""
    p = parameters or MeasureParameters()
    factors = _factors(voxel, p.resolution)
    size = [side * by for side, by in zip(voxel, factors, strict=True)]
    room = TRUNCATE * max(p.smoothing, *size) + p.handle
    return math.prod(
        -(-length // by) + 2 * math.ceil(room / side + 2)
        for length, by, side in zip(shape, factors, size, strict=True)
    )


def _factors(voxel: Voxel, resolution: float) -> Shape:
    """Voxels (z, y, x) that make one of about `resolution` nm."""
    return (max(1, int(resolution / voxel[0] + 1e-6)), *factors_for(voxel[1:], resolution))


def _fractions(
    labels: Any, label: int, voxel: Voxel, cut: Sides, resolution: float
) -> tuple[Grey, Voxel]:
    """Share of each voxel of about `resolution` (nm) that a label fills, and their size in nm.

    The last voxels are filled up with the space beyond the box, except on a side that cuts the
    object: there the shares are those of the part inside.
    """
    factors = _factors(voxel, resolution)
    shape = [-(-n // by) for n, by in zip(labels.shape, factors, strict=True)]
    fraction = np.zeros(shape, np.float32)
    depth, deep = labels.shape[0], factors[0]
    tile = getattr(labels, "tile", (_SLAB, *labels.shape[1:]))
    sides = [tile[0], *(-(-n // by) * by for n, by in zip(tile[1:], factors[1:], strict=True))]
    for _, box in Box.whole(labels.shape).chunks(sides):
        beyond = [
            (0, 0 if high_cut else -n % by)
            for n, by, (_, high_cut) in zip(box.shape[1:], factors[1:], cut[1:], strict=True)
        ]
        read = np.asarray(labels[tuple(box)])
        if factors == (1, 1, 1):
            mark_label(read, read.dtype.type(label), fraction[box])
            continue
        block = read == label
        _, rows, columns = box.coarsen(factors)
        for z, plane in enumerate(np.pad(block, [(0, 0), *beyond]), box.low[0]):
            if plane.any():
                slices = min(deep, depth - z // deep * deep) if cut[0][1] else deep
                fraction[z // deep, rows, columns] += block_mean(plane, factors[1:]) / np.float32(
                    slices
                )
    size = tuple(side * by for side, by in zip(voxel, factors, strict=True))
    return fraction, (size[0], size[1], size[2])


def _common(found: ShapedObject) -> dict[str, float]:
    """The measures that a cell and a nucleus have in common."""
    area = found.surface.area()
    measures = {"area": area / 1e6}
    if found.cut or not area:
        return measures
    moments = found.moments
    measures["sphericity"] = sphericity(moments.volume, area)
    for number, (length, direction) in enumerate(
        zip(moments.axes.tolist(), moments.directions.tolist(), strict=True), 1
    ):
        measures[f"axis_{number}"] = length
        for axis, part in zip("zyx", direction, strict=True):
            measures[f"axis_{number}_direction_{axis}"] = part
    if found.hull is not None:
        measures["solidity"] = moments.volume / found.hull.volume
        measures["ruffling"] = area / found.hull.area
        measures["max_diameter"] = found.hull.diameter
    return measures


def _holes(found: ShapedObject, p: MeasureParameters) -> dict[str, float]:
    """The pieces of a whole object, the holes right through it, and its invagination."""
    sizes = piece_sizes(found.surface.inside)
    pieces = np.count_nonzero(sizes >= _PIECE * sizes[0])
    handles = count_handles(found.surface.inside, found.voxel, p.handle)
    measures = {"pieces": float(pieces), "handles": float(handles)}
    if found.hull is not None:
        measures["invagination"] = invagination_depth(found.surface, found.hull, max(found.voxel))
    return measures


def _place(nucleus: ShapedObject, cell: ShapedObject, depth: Grey) -> dict[str, float]:
    """The place of a nucleus in its cell, with the depth (nm) of each voxel in the cell."""
    shift = nucleus.origin - cell.origin
    offset = nucleus.moments.centroid + shift - cell.moments.centroid
    measures = {f"nucleus_offset_{axis}": float(n) for axis, n in zip("zyx", offset, strict=True)}
    radius = math.cbrt(cell.moments.volume * 3 / (4 * math.pi))
    measures["polarisation"] = float(np.linalg.norm(offset)) / radius
    if len(nucleus.surface.faces) and len(cell.surface.faces):
        thickness = layer_thickness(nucleus.surface, cell.surface, depth, cell.voxel, shift)
        measures["cytoplasm_thickness_least"] = thickness.least
        measures["cytoplasm_thickness_median"] = thickness.median
    return measures
