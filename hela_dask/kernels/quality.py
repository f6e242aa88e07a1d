"""Regularity of the masks of a cell, slice by slice.

Measures that show errors without a truth.

They need no reference outline. Outlines of real cells rarely have these properties: changes within
a few slices, jumps between slices, borders without resin, no cytoplasm between nucleus and
membrane, or an end at the side of a window.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hela_dask.kernels.morphology import box_around, dilate
from hela_dask.parameters import QualityParameters
from hela_dask.types import Floats, Mask

__all__ = ["FACES", "Profile", "beside", "face_areas", "surface_profile"]


FACES = ("first slice", "last slice", "lowest y", "highest y", "lowest x", "highest x")
"""Of a window or a volume: the ends of z, of y and of x."""

# Mean over all directions of the length of a line over that of the pixel edges along it.
_CROSSINGS = np.pi / 4


@dataclass(frozen=True)
class Profile:
    """A mask slice by slice; all of one length, the number of slices.

    Attributes
    ----------
    area : ndarray of float64
        µm².
    length : ndarray of float64
        Of the outline, µm; contours along the window's sides are no outline.
    unsteady : ndarray of float64
        µm² that the slice has and most slices around it have not, or the reverse.
    leap : ndarray of float64
        µm² by which the slice differs from the one before, minus the differences of its neighbours.
    slope : ndarray of float64
        µm² that the slice loses or gains where the surface is off along z by ``drift``.
    """

    area: Floats
    length: Floats
    unsteady: Floats
    leap: Floats
    slope: Floats

    @property
    def jitter(self) -> float:
        """Mean width in nm of the band along the outline that does not last; NaN without one."""
        length = float(self.length.sum())
        return float(self.unsteady.sum()) / length * 1000 if length else float("nan")

    @property
    def jump(self) -> float:
        """The largest leap, as a share of the area of a usual slice; NaN without a mask."""
        there = self.area[self.area > 0]
        return float(self.leap.max() / np.median(there)) if there.size else float("nan")

    @property
    def instability(self) -> Floats:
        """Share of each slice that is unsteady or on a slope, at most 1; 0 in empty slices."""
        doubtful = np.minimum(self.unsteady + self.slope, self.area)
        share: Floats = np.divide(
            doubtful, self.area, out=np.zeros_like(self.area), where=self.area > 0
        )
        return share


def surface_profile(
    mask: Mask, voxel: tuple[float, float, float], parameters: QualityParameters
) -> Profile:
    """Jitter and jumps of the outline of a mask along z.

    A place that enters the mask and leaves it once, as under any slope, agrees in every slice
    with the majority of the slices around it; and a slope that lasts changes each slice by about
    as much as the one before. So neither a cone nor a ball is unsteady or leaps.

    Parameters
    ----------
    mask
        (z, y, x) of one window; beyond its ends the outermost slices are repeated.
    voxel
        Voxel size (z, y, x), nm.
    parameters
        Parameters of the stage.

    Returns
    -------
    Profile
    """
    rows, columns, pixel = _grid(voxel, parameters)
    unit = pixel[0] * pixel[1] * 1e-6
    depth = len(mask)
    area, length, unsteady, changed = np.zeros((4, depth))
    if mask.any():
        box = box_around(mask, 0.0, voxel)
        part = mask[:, box[1], box[2]][:, rows, columns]
        half = max(1, round(parameters.span / 2 / voxel[0]))
        for z, usual in enumerate(_majority(part, half)):
            area[z] = np.count_nonzero(part[z]) * unit
            length[z] = _length(mask[z, rows, columns], pixel) if area[z] else 0.0
            unsteady[z] = np.count_nonzero(part[z] ^ usual) * unit
            if z:
                changed[z] = np.count_nonzero(part[z] ^ part[z - 1]) * unit
    around = changed.copy()  # the mean of the steps to both neighbours
    around[:-1] = (changed[:-1] + changed[1:]) / 2
    leap = _excess_over_median(changed, area, max(1, round(parameters.span / voxel[0])))
    return Profile(area, length, unsteady, leap, around * (parameters.drift / voxel[0]))


def beside(
    mask: Mask,
    others: Mask,
    voxel: tuple[float, float, float],
    parameters: QualityParameters,
    *,
    outside: bool = False,
) -> float:
    """Share of a mask's outline, seen in the plane, that has some of `others` beside it.

    Parameters
    ----------
    mask, others
        (z, y, x) of one window.
    voxel
        Voxel size (z, y, x), nm.
    parameters
        Parameters of the stage; ``beside`` is the largest distance.
    outside
        Count pixels outside `others` instead.

    Returns
    -------
    float
        From 0 to 1; NaN where there is no outline.
    """
    rows, columns, pixel = _grid(voxel, parameters)
    length = with_others = 0.0
    for z in np.flatnonzero(mask.any(axis=(1, 2))):
        part = box_around(mask[z], parameters.beside, voxel[1:])
        plane, other = (of[z][part][rows, columns] for of in (mask, others))
        other = ~other if outside else other
        near = dilate(other, parameters.beside, pixel) if other.any() else other
        length += _length(plane, pixel)
        with_others += _length(plane, pixel, near)
    return with_others / length if length else float("nan")


def face_areas(mask: Mask, voxel: tuple[float, float, float]) -> dict[str, float]:
    """Area in µm² of the mask in each of :data:`FACES` of its window."""
    areas = {}
    for axis in range(3):
        one, other = (size for at, size in enumerate(voxel) if at != axis)
        for end, name in zip((0, -1), FACES[2 * axis : 2 * axis + 2], strict=True):
            plane = np.take(mask, end, axis=axis)
            areas[name] = float(np.count_nonzero(plane)) * one * other * 1e-6
    return areas


def _grid(
    voxel: tuple[float, float, float], p: QualityParameters
) -> tuple[slice, slice, tuple[float, float]]:
    """Sampled rows and columns, and their spacing, nm."""
    y, x = (max(1, int(p.resolution / size)) for size in voxel[1:])
    return slice(None, None, y), slice(None, None, x), (voxel[1] * y, voxel[2] * x)


def _majority(mask: Mask, half: int) -> Iterator[Mask]:
    """For each slice, the majority of the `2 half + 1` slices around it."""
    last = len(mask) - 1
    votes = np.zeros(mask.shape[1:], np.int32)
    for at in range(-half, half + 1):
        votes += mask[min(max(at, 0), last)]
    for z in range(len(mask)):
        yield votes > half
        votes += mask[min(z + half + 1, last)]
        votes -= mask[max(z - half, 0)]


def _length(plane: Mask, pixel: tuple[float, float], only: Mask | None = None) -> float:
    """Length in µm of the outline; `only`: where the pixel outside the mask is one of these."""
    total = 0.0
    for axis, size in ((0, pixel[1]), (1, pixel[0])):
        low, high = (plane[:-1], plane[1:]) if axis == 0 else (plane[:, :-1], plane[:, 1:])
        edge = low ^ high
        if only is not None:
            before, after = (only[:-1], only[1:]) if axis == 0 else (only[:, :-1], only[:, 1:])
            edge &= np.where(low, after, before)
        total += int(np.count_nonzero(edge)) * size
    return total * _CROSSINGS / 1000


def _excess_over_median(changed: Floats, area: Floats, half: int) -> Floats:
    """How much each change exceeds the median of those `half` before and after it.

    Only steps from or to a slice that has the mask count: its first slices are compared with the
    following ones.
    """
    there = area > 0
    there[1:] |= area[:-1] > 0
    there[0] = False
    beyond = np.zeros_like(changed)
    for z in map(int, np.flatnonzero(there)):
        near = np.arange(max(1, z - half), min(len(changed), z + half + 1))
        near = near[there[near] & (near != z)]
        if near.size:
            beyond[z] = max(0.0, changed[z] - float(np.median(changed[near])))
    return beyond
