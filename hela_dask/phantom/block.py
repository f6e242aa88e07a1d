"""Any window of a phantom, put together from tiles that are always computed whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.errors import ParameterError
from hela_dask.phantom.geometry import Shapes, build_shapes
from hela_dask.phantom.lattice import TILE, Grid
from hela_dask.phantom.plan import PhantomSpec
from hela_dask.phantom.texture import paint

__all__ = ["phantom_block"]


class Block(NamedTuple):
    """A window of a phantom, or a tile of it."""

    image: NDArray[np.uint8]
    nuclei: NDArray[np.uint16]
    cells: NDArray[np.uint16]
    classes: NDArray[np.uint8]


def _tile(spec: PhantomSpec, origin: Sequence[int]) -> Block:
    """Image, nuclei, cells and classes of one tile, (y, z, x)."""
    grid = Grid(origin, spec.voxel_size)
    shapes = build_shapes(grid, spec)
    image, debris = paint(grid, spec, shapes)
    nuclei = np.zeros(grid.shape, np.uint16)
    cells = np.zeros(grid.shape, np.uint16)
    classes = np.full(grid.shape, 4, np.uint8)
    classes[debris] = 3
    if shapes is not None:
        _label(spec, shapes, nuclei, cells, classes)
    return Block(image, nuclei, cells, classes)


def _label(
    spec: PhantomSpec,
    shapes: Shapes,
    nuclei: NDArray[np.uint16],
    cells: NDArray[np.uint16],
    classes: NDArray[np.uint8],
) -> None:
    inside = shapes.cell_mask()
    core = shapes.nucleus_mask() & inside
    cells[inside] = shapes.owner[inside]
    nuclei[core] = shapes.owner[core]
    whole = np.array([False, *(cell.complete for cell in spec.cells)])[cells]
    classes[inside] = 3
    classes[whole] = 5
    classes[shapes.envelope_mask() & whole] = 1
    classes[core & whole] = 2


def phantom_block(  # noqa: PLR0917 the six ends of a window read best in this order
    spec: PhantomSpec, z0: int, z1: int, y0: int, y1: int, x0: int, x1: int
) -> Block:
    """A window of a phantom; the same bits whatever the window.

    The ends of the window are half-open ranges of voxels inside the shape; ParameterError when it
    is empty or not inside.

    Returns
    -------
    image, nuclei, cells, classes
        uint8 grey values, uint16 instances of nuclei and of cells (with their nuclei), and uint8
        classes: 1 envelope, 2 nucleus and 5 cytoplasm of the complete cells, 3 all of the cells
        that a side cuts and loose pieces, 4 resin.
    """
    low, high = (z0, y0, x0), (z1, y1, x1)
    for a, b, size, axis in zip(low, high, spec.shape, "zyx", strict=True):
        if not 0 <= a < b <= size:
            raise ParameterError(
                f"the window {a}:{b} in {axis} is empty or not inside the phantom's {size} voxels"
            )
    window = Box.of(zip(low, high, strict=True))
    shape = window.shape
    out = Block(
        np.empty(shape, np.uint8),
        np.empty(shape, np.uint16),
        np.empty(shape, np.uint16),
        np.empty(shape, np.uint8),
    )
    for place, part in window.chunks(TILE):
        origin = [at * side for at, side in zip(place, TILE, strict=True)]
        target, (z, y, x) = part.relative_to(window), part.relative_to(origin)
        tile = _tile(spec, origin)
        pairs: list[tuple[NDArray[Any], NDArray[Any]]] = list(zip(out, tile, strict=True))
        for whole, piece in pairs:
            whole[target] = piece[y, z, x].transpose(1, 0, 2)
    return out
