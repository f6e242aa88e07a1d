"""Refine labels of coarse pixels on the image's own pixels, near their borders only.

All operators are bounded: a pixel depends on the few coarse pixels around it, and a nucleus on its
own box, so a plane may be refined in tiles.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.kernels import morphology
from hela_dask.kernels.compiled import compiled
from hela_dask.kernels.flooding import INSIDE, OPEN, OUTSIDE, flood
from hela_dask.kernels.painting import Place, repeat_pixels
from hela_dask.kernels.subpixel import inset_to_size
from hela_dask.types import Factors, Grey, Mask

__all__ = [
    "BLOCK",
    "border_pixels",
    "refine_nucleus",
    "refine_resin",
    "resin_halo",
    "squares_with_border",
]

BLOCK = 8
"""Coarse pixels: the low-pass is taken on squares of these where there is a border."""

_TRUNCATE = 3.0  # standard deviations at which the low-pass is cut


def border_pixels(resin: Mask) -> Mask:
    """Coarse pixels that have both resin and tissue among their neighbours and themselves."""
    found = np.empty(resin.shape, np.bool_)
    _mixed(np.ascontiguousarray(resin), found)
    return found


@compiled
def _mixed(mask: Mask, found: Mask) -> None:
    """Where the 3 x 3 pixels around one, as far as they are in the plane, are not all alike."""
    rows, columns = mask.shape
    some, every = np.empty(columns, np.bool_), np.empty(columns, np.bool_)
    for y in range(rows):
        above, here, below = mask[max(y - 1, 0)], mask[y], mask[min(y + 1, rows - 1)]
        for x in range(columns):
            some[x] = above[x] | here[x] | below[x]
            every[x] = above[x] & here[x] & below[x]
        row = found[y]
        for x in range(1, columns - 1):
            row[x] = (some[x - 1] | some[x] | some[x + 1]) & ~(
                every[x - 1] & every[x] & every[x + 1]
            )
        for x in (0, columns - 1):
            first, last = max(x - 1, 0), min(x + 1, columns - 1)
            row[x] = (some[first] | some[x] | some[last]) & ~(every[first] & every[x] & every[last])


def squares_with_border(near: Mask) -> Mask:
    """Which squares of ``BLOCK`` coarse pixels, from the first one on, have a border in them.

    `near` is (y, x), of :func:`border_pixels`.
    """
    height, width = (-(-length // BLOCK) * BLOCK for length in near.shape)
    padded = np.zeros((height, width), np.bool_)
    padded[: near.shape[0], : near.shape[1]] = near
    squares = padded.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    return np.asarray(squares.any(axis=(1, 3)))


def resin_halo(blur: float, pixel: tuple[float, ...]) -> tuple[int, int]:
    """Fine pixels (y, x) around a tile that :func:`refine_resin` looks at, for `blur` in nm."""
    y, x = (math.ceil(_TRUNCATE * blur / size) + 1 for size in pixel)
    return y, x


def refine_resin(
    grey: NDArray[Any],
    origin: tuple[int, ...],
    tile: Box,
    resin: Mask,
    near: Mask,
    threshold: float,
    *,
    factors: Factors,
    pixel: tuple[float, float],
    blur: float,
) -> Mask:
    """Resin of a tile of one slice, its border at the grey value where resin begins.

    Far from any border, and in coarse pixels most of which disagree (charging artefacts, majority
    along z), the coarse label stays.

    Parameters
    ----------
    grey
        (y, x) grey values with bright resin, of the tile and :func:`resin_halo` around it, less
        where the plane ends. Only squares of ``BLOCK`` coarse pixels with a border are looked at,
        and the halo around them.
    origin
        Row and column of the plane that `grey` begins at.
    tile
        Rows and columns of the plane; they begin and end where coarse pixels do, or the plane.
    resin, near
        (y, x) of the whole coarse plane: the coarse resin, and :func:`border_pixels` of it.
    threshold
        Threshold of the resin; NaN if the slice has none: nothing is refined.
    factors
        Fine pixels in a coarse one, y and x.
    pixel
        Size of a fine pixel, nm.
    blur
        Low-pass before grey values are compared, nm.
    """
    rows, columns = tile
    fine = repeat_pixels(resin, rows, columns, factors)
    part = tile.coarsen(factors).clip(resin.shape)
    here = np.ascontiguousarray(near[part])
    if math.isnan(threshold) or not here.any():
        return fine
    bright = np.zeros(fine.shape, dtype=bool)
    weights = _weights(blur / pixel[0]), _weights(blur / pixel[1])
    place = rows.start - origin[0], columns.start - origin[1], *factors
    _brighter(grey, bright, here, place, weights, threshold)
    _majority_of_block(fine, bright, np.ascontiguousarray(resin[part]), here, *factors)
    return fine


def refine_nucleus(
    lines: Callable[[Mask], Grey],
    outline: Mask,
    nucleus: Mask,
    resin: Mask,
    voxels: tuple[Factors, tuple[float, float]],
    envelope: float,
) -> Mask:
    """A nucleus of one slice, on fine pixels, from its outline on coarse ones.

    The outline, which runs through the middle of the envelope, moves by at most one and a half
    coarse pixels to the strongest line there; pieces without a nucleus go. The nucleus ends at one
    distance from that line, at which it has the area that it has on coarse pixels.

    Parameters
    ----------
    lines
        Gives the membrane strength (y, x) on the fine pixels of a box around the nucleus. It is
        needed only where the mask that is passed is true.
    outline
        (y, x) the nucleus up to the middle of its envelope, on the coarse pixels of the box.
    nucleus
        (y, x) the nucleus, on the coarse pixels.
    resin
        (y, x) true in the resin, on the fine pixels.
    voxels
        Fine pixels in a coarse one (y, x), and the size of a fine pixel, nm.
    envelope
        From the middle of the envelope to the nucleus on coarse pixels, nm; on fine ones it is at
        most twice as far.
    """
    factors, pixel = voxels
    outline = outline & ~morphology.pieces_without(outline, nucleus & outline)
    if not outline.any():
        return np.zeros(resin.shape, dtype=bool)
    coarse = (pixel[0] * factors[0], pixel[1] * factors[1])
    reach = 1.5 * max(coarse)
    inside = morphology.erode(outline, reach, coarse)
    inside |= morphology.pieces_without(outline, inside)
    near = morphology.dilate(outline, reach, coarse)
    markers = np.where(inside, INSIDE, np.where(near, OPEN, OUTSIDE)).astype(np.int8)
    whole = slice(0, resin.shape[0]), slice(0, resin.shape[1])
    fine = repeat_pixels(markers, *whole, factors)
    fine[resin] = OUTSIDE
    flood(lines(fine == OPEN), fine)
    size = int(np.count_nonzero(repeat_pixels(nucleus, *whole, factors)))
    return inset_to_size(fine == INSIDE, size, 2 * envelope, pixel)


def _weights(sigma: float) -> Grey:
    """Of a low-pass: the middle one, then those on either side."""
    at = np.arange(int(_TRUNCATE * sigma + 0.5) + 1)
    bell = np.exp(-0.5 * (at / sigma) ** 2) if sigma > 0 else np.ones(1)
    weights: Grey = (bell / (2 * bell.sum() - bell[0])).astype(np.float32)
    return weights


@compiled
def _brighter(
    grey: NDArray[Any],
    bright: Mask,
    here: Mask,
    place: Place,
    weights: tuple[Grey, Grey],
    threshold: float,
) -> None:
    """Where the low-pass of grey values is at least the threshold, in blocks with a border."""
    top, left, height, width = place
    weights_y, weights_x = weights
    rows, columns = bright.shape
    last_y, last_x = grey.shape[0] - 1, grey.shape[1] - 1
    reach_y, reach_x = len(weights_y) - 1, len(weights_x) - 1
    line = np.empty(columns + 2 * reach_x, np.float32)
    room = np.empty((BLOCK * height + 2 * reach_y) * columns, np.float32)
    for block_y in range(0, here.shape[0], BLOCK):
        end = 0  # of the run of blocks with a border, which are taken at once
        for start in range(0, here.shape[1], BLOCK):
            if start < end or not _any_in_block(here, block_y, start):
                continue
            end = start + BLOCK
            while end < here.shape[1] and _any_in_block(here, block_y, end):
                end += BLOCK
            y0, x0 = block_y * height, start * width
            y1, x1 = min(y0 + BLOCK * height, rows), min(end * width, columns)
            size = x1 - x0
            deep = y1 - y0 + 2 * reach_y
            summed = room[: deep * size].reshape(deep, size)
            for j in range(deep):
                row = grey[_reflect(y0 + top - reach_y + j, last_y)]
                first = x0 + left - reach_x
                if first >= 0 and first + size + 2 * reach_x <= len(row):
                    line[: size + 2 * reach_x] = row[first : first + size + 2 * reach_x]
                else:
                    for i in range(size + 2 * reach_x):
                        line[i] = row[_reflect(first + i, last_x)]
                _weighted_mean(line, summed[j], weights_x)
            for j in range(y1 - y0):
                _weighted_mean_rows(summed[j : j + 2 * reach_y + 1], line[:size], weights_y)
                for i in range(size):
                    bright[y0 + j, x0 + i] = line[i] >= threshold


@compiled
def _any_in_block(mask: Mask, y: int, x: int) -> bool:
    return bool(mask[y : y + BLOCK, x : x + BLOCK].any())


@compiled
def _weighted_mean(line: Grey, out: Grey, weights: Grey) -> None:
    """Weighted means along a line that is longer than the output by the reach on each side."""
    size, reach = len(out), len(weights) - 1
    middle = line[reach : reach + size]
    for i in range(size):
        out[i] = weights[0] * middle[i]
    for k in range(1, reach + 1):
        low, high, weight = line[reach - k : reach - k + size], line[reach + k :], weights[k]
        for i in range(size):
            out[i] += weight * (low[i] + high[i])


@compiled
def _weighted_mean_rows(rows: Grey, out: Grey, weights: Grey) -> None:
    """Weighted means across rows."""
    reach = len(weights) - 1
    for i in range(len(out)):
        out[i] = weights[0] * rows[reach, i]
    for k in range(1, reach + 1):
        low, high, weight = rows[reach - k], rows[reach + k], weights[k]
        for i in range(len(out)):
            out[i] += weight * (low[i] + high[i])


@compiled
def _reflect(at: int, last: int) -> int:
    """A place of a line of pixels that is mirrored at its ends."""
    while at < 0 or at > last:
        at = -at - 1 if at < 0 else 2 * last + 1 - at
    return at


@compiled
def _majority_of_block(
    fine: Mask, bright: Mask, resin: Mask, near: Mask, height: int, width: int
) -> None:
    """Coarse pixels near a border take the majority of their fine ones."""
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
