"""Masks of a plane with their edge moved by a length between pixels.

A mask is on pixels, its edge is not: as the contour of the blurred mask, it is known to a small
part of a pixel. Lengths from that contour are the same for any pixel size; those between the
centres of pixels are rounded to pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels import morphology
from hela_dask.kernels.compiled import compiled
from hela_dask.types import Grey, Mask, Voxel

__all__ = ["inset", "inset_to_size", "outset", "outset_planes"]


# Standard deviation of the blur, pixels: it turns the steps of an oblique edge into a line.
_BLUR = 0.8
_REACH = 2  # pixels: where the blur is cut
_RUN = 64  # pixels of a row that are passed over at once where there is no edge
_WEIGHTS = np.exp(-0.5 * (np.arange(_REACH + 1) / _BLUR) ** 2)
_WEIGHTS /= 2 * _WEIGHTS.sum() - _WEIGHTS[0]


def inset(mask: Mask, length: float, pixel: tuple[float, ...]) -> Mask:
    """The pixels of a plane's mask with their centre more than `length` (nm) inside its edge."""
    if length <= 0:
        return mask.copy()
    left = np.zeros(mask.shape, dtype=bool)
    box = morphology.box_around(mask, 4 * max(pixel), pixel)
    if left[box].size:
        left[box] = mask[box] & (_depth(mask[box], length, pixel) > length)
    return left


def inset_to_size(mask: Mask, size: int, most: float, pixel: tuple[float, ...]) -> Mask:
    """So many pixels of a plane's mask as nearly as possible: those farthest inside its edge.

    Pixels as far inside as others stay or go with them. None is removed that is more than `most`
    (nm) inside the edge.
    """
    left = mask.copy()
    more = np.count_nonzero(mask) - size
    if more <= 0 or most <= 0:
        return left
    box = morphology.box_around(mask, 4 * max(pixel), pixel)
    depth = _depth(mask[box], most, pixel)
    near = mask[box] & (depth < most + 0.1)  # all that may go, before they are rounded
    depths = np.round(depth[near], 2)  # the same however the plane lies
    ordered = np.sort(depths)
    length = min(float(ordered[more - 1]), most) if more <= ordered.size else most
    # Of the pixels as far inside as that, all are removed or none, whichever comes nearer.
    fewer, all_of_them = (np.searchsorted(ordered, length, side) for side in ("left", "right"))
    removed = depths < length if more - fewer < all_of_them - more else depths <= length
    left[box][near] = ~removed
    return left


def outset(mask: Mask, length: float, pixel: tuple[float, ...]) -> Mask:
    """A plane's mask, and the pixels with their centre at most `length` (nm) outside its edge."""
    grown = mask.copy()
    box = morphology.box_around(mask, length + 4 * max(pixel), pixel)
    if length > 0 and grown[box].size:
        grown[box] |= _depth(mask[box], length, pixel) >= -length
    return grown


def outset_planes(mask: Mask, length: float, voxel: Voxel) -> Mask:
    """The same for each slice of a (z, y, x) mask."""
    return np.stack([outset(plane, length, voxel[1:]) for plane in mask])


def _depth(mask: Mask, length: float, pixel: tuple[float, ...]) -> Grey:
    """How far the centre of each pixel is inside the edge, nm; exact up to a length."""
    mask = np.ascontiguousarray(mask)
    level = mask.astype(np.float32)
    edge = _runs_with_edge(mask)
    _blur_edge(mask.view(np.uint8), edge, _WEIGHTS, level)
    squared = np.full(mask.shape, np.inf, dtype=np.float32)
    _lower_near(level, edge, pixel[0], pixel[1], length, squared)
    _sign(squared, level)
    return squared


@compiled
def _sign(squared: Grey, level: Grey) -> None:
    """Squared distances into distances, negative outside, in place."""
    for y in range(squared.shape[0]):
        for x in range(squared.shape[1]):
            side = level[y, x] - np.float32(0.5)
            squared[y, x] = np.copysign(np.sqrt(squared[y, x]), side)


@compiled
def _runs_with_edge(mask: Mask) -> Mask:
    """Runs of a row's pixels with pixels in reach of the blur that are not all alike."""
    rows, columns = mask.shape
    count = -(-columns // _RUN)
    some, every = np.zeros((rows, count), np.bool_), np.ones((rows, count), np.bool_)
    for y in range(rows):
        for run in range(count):
            part = mask[y, run * _RUN : (run + 1) * _RUN]
            set_here = 0
            for value in part:
                set_here += value
            some[y, run], every[y, run] = set_here > 0, set_here == part.size
    found = np.zeros((rows, count), np.bool_)
    for y in range(rows):
        for run in range(count):
            near = (
                slice(max(0, y - _REACH), y + _REACH + 1),
                slice(max(0, run - 1), run + 2),
            )
            found[y, run] = some[near].any() and not every[near].all()
    return found


@compiled
def _blur_edge(
    mask: NDArray[np.uint8], edge: Mask, weights: NDArray[np.float64], level: Grey
) -> None:
    """A Gaussian blur of the runs with an edge, in place; the outermost pixels are repeated.

    Elsewhere the mask is its own blur.
    """
    rows, columns = mask.shape
    line = np.empty(_RUN + 2 * _REACH, np.float32)
    for y in range(rows):
        for run in range(edge.shape[1]):
            if not edge[y, run]:
                continue
            first, last = run * _RUN, min((run + 1) * _RUN, columns)
            for at in range(last - first + 2 * _REACH):
                x = min(max(first + at - _REACH, 0), columns - 1)
                total = weights[0] * mask[y, x]
                for away in range(_REACH, 0, -1):
                    above, below = max(y - away, 0), min(y + away, rows - 1)
                    total += weights[away] * (mask[above, x] + mask[below, x])
                line[at] = total
            for at in range(last - first):
                total = weights[0] * line[at + _REACH]
                for away in range(_REACH, 0, -1):
                    sides = float(line[at + _REACH - away]) + float(line[at + _REACH + away])
                    total += weights[away] * sides
                level[y, first + at] = total


@compiled
def _lower_near(
    level: Grey, edge: Mask, height: float, width: float, length: float, squared: Grey
) -> None:
    """Squared distances to the contour of one half, for pixels within a length of it.

    Between four pixels the contour is one line, or two, from side to side of their square.
    """
    rows, columns = level.shape
    side = max(height, width)
    reach = max(length + 0.5 * side, 4.0 * side)  # thin parts are outside their own edge
    y, x = np.empty(4), np.empty(4)
    for j in range(rows - 1):
        for run in range(edge.shape[1]):
            if not (edge[j, run] or edge[j + 1, run]):
                continue
            for i in range(run * _RUN, min((run + 1) * _RUN, columns - 1)):
                a, b = level[j, i] - 0.5, level[j, i + 1] - 0.5
                c, d = level[j + 1, i + 1] - 0.5, level[j + 1, i] - 0.5
                count = 0
                if (a > 0) != (b > 0):
                    y[count], x[count] = 0.0, a / (a - b)
                    count += 1
                if (b > 0) != (c > 0):
                    y[count], x[count] = b / (b - c), 1.0
                    count += 1
                if (c > 0) != (d > 0):
                    y[count], x[count] = 1.0, d / (d - c)
                    count += 1
                if (d > 0) != (a > 0):
                    y[count], x[count] = a / (a - d), 0.0
                    count += 1
                # With four crossings, the first is joined to the second or to the last.
                turned = count == 4 and (a > 0) == (a + b + c + d > 0)
                for line in range(count // 2):
                    first = 2 * line + 1 if turned else 2 * line
                    second = (first + 1) % count
                    y0, x0 = (j + y[first]) * height, (i + x[first]) * width
                    along_y, along_x = (
                        (j + y[second]) * height - y0,
                        (i + x[second]) * width - x0,
                    )
                    whole = max(along_y**2 + along_x**2, 1e-12)
                    low_y, high_y = min(y0, y0 + along_y), max(y0, y0 + along_y)
                    low_x, high_x = min(x0, x0 + along_x), max(x0, x0 + along_x)
                    top = max(0, int(np.ceil((low_y - reach) / height)))
                    for v in range(top, min(rows, int((high_y + reach) / height) + 1)):
                        from_y = v * height - y0
                        beside = max(0.0, low_y - v * height, v * height - high_y)
                        wide = np.sqrt(max(0.0, reach**2 - beside**2))
                        left = max(0, int(np.ceil((low_x - wide) / width)))
                        row = squared[v, left : min(columns, int((high_x + wide) / width) + 1)]
                        for k in range(row.size):
                            from_x = (left + k) * width - x0
                            part = (from_y * along_y + from_x * along_x) / whole
                            part = min(1.0, max(0.0, part))
                            apart = (from_y - part * along_y) ** 2 + (from_x - part * along_x) ** 2
                            row[k] = min(row[k], apart)
