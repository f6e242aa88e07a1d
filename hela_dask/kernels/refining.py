"""What was decided on coarse pixels, on the image's own: only near the borders that were decided.

All of it is bounded: a pixel depends on what lies a few coarse pixels around it, and a nucleus on
its own box, so a plane may be refined in tiles.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.kernels import morphology
from hela_dask.kernels.compiled import compiled
from hela_dask.kernels.flooding import INSIDE, OPEN, OUTSIDE, flood

__all__ = ["grown", "mixed", "refine_nucleus", "refine_resin", "resin_halo", "spread"]

Mask = NDArray[np.bool_]
Grey = NDArray[np.float32]
Factors = tuple[int, int]

_TRUNCATE = 3.0  # standard deviations at which the low-pass is cut
_BLOCK = 32  # coarse pixels: the low-pass is taken on squares of these where there is a border


def spread(plane: NDArray[Any], rows: slice, columns: slice, factors: Factors) -> NDArray[Any]:
    """Some rows and columns of a fine plane, each pixel with the value of its coarse one."""
    fine = np.empty((rows.stop - rows.start, columns.stop - columns.start), plane.dtype)
    _spread(np.ascontiguousarray(plane), fine, rows.start, columns.start, *factors)
    return fine


def mixed(resin: Mask) -> Mask:
    """Coarse pixels that have both resin and tissue among their neighbours and themselves."""
    tissue_near = ~ndimage.binary_erosion(resin, morphology.EIGHT, border_value=1)
    found: Mask = ndimage.binary_dilation(resin, morphology.EIGHT) & tissue_near
    return found


def grown(cells: NDArray[Any], resin: Mask) -> NDArray[Any]:
    """Labels of a coarse plane, and in the resin those beside it: of several the lowest.

    So tissue that the coarse pixels were too large to show has an owner.
    """
    if not cells.any():
        return cells
    top = np.iinfo(cells.dtype).max
    lowest = ndimage.minimum_filter(np.where(cells > 0, cells, top), 3, mode="nearest")
    taken = resin & (cells == 0) & (lowest < top)
    found: NDArray[Any] = np.where(taken, lowest, cells)
    return found


def resin_halo(blur: float, pixel: tuple[float, ...]) -> tuple[int, int]:
    """Fine pixels (y, x) around a tile that :func:`refine_resin` looks at, for `blur` in nm."""
    y, x = (math.ceil(_TRUNCATE * blur / size) + 1 for size in pixel)
    return y, x


def refine_resin(
    grey: NDArray[Any],
    origin: tuple[int, int],
    tile: tuple[slice, slice],
    resin: Mask,
    near: Mask,
    threshold: float,
    *,
    factors: Factors,
    pixel: tuple[float, float],
    blur: float,
) -> Mask:
    """Resin of a tile of one slice, its border at the grey value where resin begins.

    Far from any border, and in coarse pixels most of which say otherwise (smears of charge, what
    the slices beside it decided), what was decided stays.

    Parameters
    ----------
    grey
        (y, x) upright grey values of the tile and :func:`resin_halo` around it, less where the
        plane ends.
    origin
        Row and column of the plane that `grey` begins at.
    tile
        Rows and columns of the plane; they begin and end where coarse pixels do, or the plane.
    resin, near
        (y, x) of the whole coarse plane: what was decided, and :func:`mixed` of it.
    threshold
        Grey value where resin begins; NaN where the slice has none: nothing is refined.
    factors
        Fine pixels in a coarse one, y and x.
    pixel
        Size of a fine pixel, nm.
    blur
        Low-pass before grey values are compared, nm.
    """
    rows, columns = tile
    fine = spread(resin, rows, columns, factors)
    part = _coarse(tile, factors, resin.shape)
    here = np.ascontiguousarray(near[part])
    if math.isnan(threshold) or not here.any():
        return fine
    bright = np.zeros(fine.shape, dtype=bool)
    sigma, halo = tuple(blur / size for size in pixel), resin_halo(blur, pixel)
    shift = tuple(at.start - begin for at, begin in zip(tile, origin, strict=True))
    for box in _blocks(here, factors, fine.shape):
        low = [part.start + by for part, by in zip(box, shift, strict=True)]
        high = [part.stop + by for part, by in zip(box, shift, strict=True)]
        first = [max(0, at - more) for at, more in zip(low, halo, strict=True)]
        outer = tuple(
            slice(at, end + more) for at, end, more in zip(first, high, halo, strict=True)
        )
        smooth = ndimage.gaussian_filter(grey[outer], sigma, output=np.float32, truncate=_TRUNCATE)
        inner = tuple(
            slice(at - skip, end - skip) for at, end, skip in zip(low, high, first, strict=True)
        )
        bright[box] = smooth[inner] >= threshold
    _settle(fine, bright, np.ascontiguousarray(resin[part]), here, *factors)
    return fine


def refine_nucleus(
    lines: Grey,
    outline: Mask,
    resin: Mask,
    voxels: tuple[Factors, tuple[float, float]],
    inset: float,
) -> Mask:
    """A nucleus of one slice, on fine pixels, from its outline on coarse ones.

    The outline, which runs through the middle of the envelope, moves by at most one and a half
    coarse pixels to the strongest line there; then `inset` is taken off.

    Parameters
    ----------
    lines
        (y, x) membrane strength on the fine pixels of a box around the nucleus.
    outline
        (y, x) the nucleus up to the middle of its envelope, on the coarse pixels of the box.
    resin
        (y, x) true in the resin, on the fine pixels.
    voxels
        Fine pixels in a coarse one (y, x), and the size of a fine pixel, nm.
    inset
        From the middle of the envelope to the nucleus, nm.
    """
    factors, pixel = voxels
    coarse = (pixel[0] * factors[0], pixel[1] * factors[1])
    reach = 1.5 * max(coarse)
    inside = morphology.erode(outline, reach, coarse)
    inside |= morphology.pieces_without(outline, inside)
    near = morphology.dilate(outline, reach, coarse)
    markers = np.where(inside, INSIDE, np.where(near, OPEN, OUTSIDE)).astype(np.int8)
    fine = spread(markers, slice(0, lines.shape[0]), slice(0, lines.shape[1]), factors)
    fine[resin] = OUTSIDE
    flood(lines, fine)
    return morphology.erode(fine == INSIDE, inset, pixel)


def _coarse(
    tile: tuple[slice, slice], factors: Factors, shape: tuple[int, ...]
) -> tuple[slice, slice]:
    """The coarse pixels of a tile."""
    y, x = (
        slice(part.start // by, min(-(-part.stop // by), length))
        for part, by, length in zip(tile, factors, shape, strict=True)
    )
    return y, x


def _blocks(here: Mask, factors: Factors, shape: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """Squares of the tile that hold a border, in fine pixels."""
    return [
        (
            slice(y * factors[0], min((y + _BLOCK) * factors[0], shape[0])),
            slice(x * factors[1], min((x + _BLOCK) * factors[1], shape[1])),
        )
        for y in range(0, here.shape[0], _BLOCK)
        for x in range(0, here.shape[1], _BLOCK)
        if here[y : y + _BLOCK, x : x + _BLOCK].any()
    ]


@compiled
def _spread(
    plane: NDArray[Any], fine: NDArray[Any], top: int, left: int, height: int, width: int
) -> None:
    last_y, last_x = plane.shape[0] - 1, plane.shape[1] - 1
    for y in range(fine.shape[0]):
        row = plane[min((y + top) // height, last_y)]
        at, rest = left // width, left % width
        for x in range(fine.shape[1]):
            fine[y, x] = row[min(at, last_x)]
            rest += 1
            if rest == width:
                at, rest = at + 1, 0


@compiled
def _settle(fine: Mask, bright: Mask, resin: Mask, near: Mask, height: int, width: int) -> None:
    """Coarse pixels near a border take what most of their fine ones agree with."""
    rows, columns = fine.shape
    for y in range(near.shape[0]):
        for x in range(near.shape[1]):
            if not near[y, x]:
                continue
            top, bottom = y * height, min((y + 1) * height, rows)
            left, right = x * width, min((x + 1) * width, columns)
            if y == near.shape[0] - 1:
                bottom = rows
            if x == near.shape[1] - 1:
                right = columns
            count = 0
            for j in range(top, bottom):
                for i in range(left, right):
                    count += bright[j, i]
            size = (bottom - top) * (right - left)
            agree = 2 * count >= size if resin[y, x] else 2 * count <= size
            if agree:
                for j in range(top, bottom):
                    for i in range(left, right):
                        fine[j, i] = bright[j, i]
