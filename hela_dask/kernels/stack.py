"""Masks of a whole region, a slice at a time: the majority along z, and connected components."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.kernels.morphology import box_around
from hela_dask.kernels.pieces import keep_piece
from hela_dask.types import Mask

__all__ = ["bridge_gaps", "interpolate_planes", "keep_component", "majority"]


def bridge_gaps(mask: Mask) -> None:
    """Fill empty slices of a (z, y, x) mask with the intersection of their neighbours, in place."""
    found = np.flatnonzero(mask.any(axis=(1, 2)))
    for low, high in itertools.pairwise(found):
        mask[low + 1 : high] = mask[low] & mask[high]


def majority(mask: Mask, width: int) -> None:
    """Replace each slice by the majority of the `width` slices around it, in place.

    Parameters
    ----------
    mask
        (z, y, x). Beyond its ends the outermost slices are repeated.
    width
        An odd number of slices.
    """
    half, depth = width // 2, len(mask)
    if half == 0 or depth < width:
        return
    last = mask[-1].copy()
    earlier = deque([mask[0].copy()] * half, maxlen=half)  # slices as they were
    for z in range(depth):
        votes = mask[z].astype(np.int16)
        for other in earlier:
            votes += other
        for other in (mask[at] if at < depth else last for at in range(z + 1, z + half + 1)):
            votes += other
        earlier.append(mask[z].copy())
        mask[z] = votes > half


def interpolate_planes(sampled: Any, views: Sequence[range], window: Box) -> NDArray[np.uint8]:
    """A part of a volume that is known in some slices, in one view or in several.

    Each view is interpolated linearly between its slices, and stays as it is beyond its first and
    its last one; the result is the mean of all views.

    Parameters
    ----------
    sampled
        (slices, y, x) of uint8, any array that can be sliced: the known slices of all views, in
        their order in the volume.
    views
        The numbers of their slices in the volume, for each view; all have the same step.
    window
        The part of the volume.
    """
    z, *plane = window
    given = [view for view in views if len(view)]
    number = {at: k for k, at in enumerate(sorted(itertools.chain(*given)))}
    wanted = [[_around(view, at) for view in given] for at in range(z.start, z.stop)]
    used = [number[at] for each in wanted for lower, upper, _ in each for at in (lower, upper)]
    low, high = min(used), max(used) + 1
    planes: NDArray[np.uint8] = np.asarray(sampled[(slice(low, high), *plane)])
    found = np.empty((z.stop - z.start, *planes.shape[1:]), np.uint8)
    step = given[0].step
    whole = step * len(given)
    kind: type[np.unsignedinteger[Any]] = np.uint16 if whole * 256 < 2**16 else np.uint32
    for k, each in enumerate(wanted):
        total = np.full(found.shape[1:], whole // 2, kind)
        for lower, upper, past in each:
            for at, share in ((lower, step - past), (upper, past)):
                if share:
                    total += planes[number[at] - low] * kind(share)
        found[k] = total // kind(whole)
    return found


def _around(view: range, at: int) -> tuple[int, int, int]:
    """The known slices at or before a slice and after it, and how far it is past the first."""
    if not view[0] < at < view[-1]:
        end = view[0] if at <= view[0] else view[-1]
        return end, end, 0
    past = (at - view.start) % view.step
    return (at - past, at - past + (view.step if past else 0), past)


def keep_component(mask: Mask, spot: tuple[int, int, int] | None = None) -> None:
    """Keep one component, in place: the one at a spot, or the largest.

    Pieces are 8-connected in their slice, and connected where they overlap from slice to slice.
    Voxels have no labels: runs of them are joined.

    Parameters
    ----------
    mask
        (z, y, x).
    spot
        z, y, x in the component that is wanted; None, or a spot outside the mask, is the largest.
    """
    box = box_around(mask, 0.0, (1.0, 1.0, 1.0))
    keep_piece(mask[box], None if spot is None or not box.holds(spot) else box.voxel(spot))
