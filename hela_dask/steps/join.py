"""Parts of one cell that were detected as several: joined where no boundary separates them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.kernels.contacts import measure_contacts
from hela_dask.parameters import AssembleParameters
from hela_dask.types import Voxel

__all__ = [
    "Part",
    "apply_joined",
    "find_joined",
    "joinable",
    "joined_reason",
    "slab_contacts",
]


@dataclass(frozen=True)
class Part:
    """A cell that may be a part of another one.

    Attributes
    ----------
    label : int
        Of the cell.
    box : Box
        Voxels of the volume (z, y, x) that hold its masks.
    nucleus : Box or None
        Voxels that hold its nucleus; None where it has none, or it is withheld.
    size : float
        Volume of its masks, for the choice of the label that stays.
    """

    label: int
    box: Box
    nucleus: Box | None
    size: float


def joinable(parts: Sequence[Part]) -> list[tuple[int, int]]:
    """Pairs of adjacent cells that may be parts of one.

    One of the two has no nucleus, or the nuclei of both may be the same one: their boxes share more
    than half of the smaller. It is a first choice: :func:`find_joined` asks for more.
    """
    ordered = sorted(parts, key=lambda part: part.label)
    low = np.array([part.box.low for part in ordered], np.int64).reshape(-1, 3)
    high = np.array([part.box.high for part in ordered], np.int64).reshape(-1, 3)
    found = []
    for at, one in enumerate(ordered):
        near = (low <= high[at]).all(axis=1) & (high >= low[at]).all(axis=1)
        others = (ordered[other] for other in np.flatnonzero(near) if other > at)
        found += [
            (one.label, other.label) for other in others if _may_share(one.nucleus, other.nucleus)
        ]
    return found


def _may_share(one: Box | None, other: Box | None) -> bool:
    if one is None or other is None:
        return True
    shared = one & other
    return 2 * math.prod(shared.shape) > min(math.prod(one.shape), math.prod(other.shape))


def slab_contacts(
    cells: Iterable[NDArray[np.integer]],
    boundary: NDArray[np.uint8],
    voxel: Voxel,
    pairs: Collection[Sequence[int]],
) -> list[list[float]]:
    """Measure the contacts of some pairs of cells in a slab.

    Parameters
    ----------
    cells
        Slices (y, x), labels of the cells; 0 where there is none.
    boundary
        (z, y, x), probability of a boundary between cells; 255 is 1.
    voxel
        Voxel size (z, y, x) in nm.
    pairs
        Of labels, the lower one first.

    Returns
    -------
    list
        For each pair: both labels, the area in which they touch in µm², and the same times the mean
        probability of a boundary there.
    """
    total = {(low, high): np.zeros(2) for low, high in pairs}
    for plane, chance in zip(cells, boundary, strict=True):
        for pair, values in measure_contacts(plane, chance, voxel[1:]).items():
            if pair in total:
                total[pair] += values * voxel[0] * 1e-6
    return [[*pair, *values.tolist()] for pair, values in total.items()]


def find_joined(
    parts: Sequence[Part], contacts: Iterable[Sequence[float]], parameters: AssembleParameters
) -> dict[int, int]:
    """The cells that are parts of others, and the label that each one's voxels get.

    Two cells are one where they touch in at least ``least_contact`` and the mean probability of a
    boundary there is under ``boundary``, if one of them has no nucleus, or both have the same one:
    their masks share more than half of the larger, so that a nucleus that leaked into another one
    is not the same. Those with the same nucleus need not touch where their own parts are too small
    for that. The surest pairs come first; a part without a nucleus never joins two cells with one.
    The label of the part with a nucleus stays; of several, that of the largest.

    Parameters
    ----------
    parts
        All cells with masks.
    contacts
        Of all slabs, rows of :func:`slab_contacts` with the volumes of
        :func:`hela_dask.steps.assemble.shared_nuclei`.
    parameters
        Parameters of the stage.

    Returns
    -------
    dict of label to label
    """
    known = {part.label: part for part in parts}
    total: dict[tuple[int, int], NDArray[np.float64]] = {}
    for low, high, *values in contacts:
        pair = int(low), int(high)
        total[pair] = total.get(pair, np.zeros(5)) + values
    groups = {label: [part] for label, part in known.items()}  # the same list for all its labels
    surest = sorted(total.items(), key=lambda item: (item[1][1] / max(item[1][0], 1e-9), item[0]))
    for (low, high), (area, weighted, shared, *nuclei) in surest:
        one, other = groups[low], groups[high]
        same = 2 * shared > max(nuclei)
        touching = area >= parameters.least_contact
        if (not touching and not same) or (touching and weighted >= parameters.boundary * area):
            continue
        without = any(all(part.nucleus is None for part in group) for group in (one, other))
        if one is not other and (without or same):
            one += other
            groups |= {part.label: one for part in other}
    joined: dict[int, int] = {}
    for group in groups.values():
        kept = max(group, key=lambda part: (part.nucleus is not None, part.size, -part.label))
        joined |= {part.label: kept.label for part in group if part is not kept}
    return joined


def joined_reason(kept: int) -> str:
    """Why a cell has no label."""
    return f"no boundary separates it from cell {kept}, which has its voxels"


def apply_joined(owner: NDArray[np.uint16], joined: Mapping[int, int]) -> None:
    """Give the voxels of joined cells the label that stays, in place."""
    table = np.arange(int(owner.max(initial=0)) + 1, dtype=owner.dtype)
    for label, kept in joined.items():
        if label < len(table):
            table[label] = kept
    owner[:] = table[owner]
