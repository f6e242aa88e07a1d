"""Scores near the poles of a nucleus and at the ends of a cell, on phantoms: a truth for both.

The published labels of the real cell end before its upper pole. A phantom of the kind
``"lobulated"`` has poles and ends like those of the real cell, and a plain one has simple poles:
the difference of their scores is the effect of the shape.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.likeness import ENDS
from benchmarks.measuring import timed
from benchmarks.stacks import Stack, phantom_stack, segment_stack
from hela_dask.running.scoring import CLASSES

__all__ = ["DIAMETER", "SHAPE", "pole_scores", "real_size"]

SHAPE = (300, 500, 500)
"""Voxels of 50 x 40 x 40 nm: the window of the real cell."""
DIAMETER = 14.7
"""Of the phantom's cells, µm: the largest that the window holds."""
NEAR = 2000.0
"""Slices up to so many nm inside and a quarter of it outside a pole are near it."""

Mask = NDArray[np.bool_]


def real_size(kind: str, seed: int) -> Stack:
    """A phantom of the size of the real stack."""
    return phantom_stack(SHAPE, DIAMETER, seed, kind=kind)


def pole_scores(stack: Stack, method: str) -> dict[str, float]:
    """JI of nucleus and cell over all slices, near the poles and at the ends.

    Returns
    -------
    dict
        ``nucleus``, ``nucleus_poles``, ``cell``, ``cell_ends``, and ``seconds`` of the method.
    """
    seconds, masks = timed(lambda: segment_stack(stack, method=method).load())
    true = {name: np.isin(stack.truth, CLASSES[name]) for name in ("nucleus", "cell")}
    found = {name: np.asarray(masks[name].values) for name in true}
    poles, ends = near_poles(true["nucleus"], stack.voxel[0]), at_ends(true["cell"])
    row = {
        "nucleus": jaccard(true["nucleus"], found["nucleus"]),
        "nucleus_poles": jaccard(true["nucleus"][poles], found["nucleus"][poles]),
        "cell": jaccard(true["cell"], found["cell"]),
        "cell_ends": jaccard(true["cell"][ends], found["cell"][ends]),
    }
    row = {name: round(float(value), 4) for name, value in row.items()}
    return {**row, "seconds": round(seconds, 1)}


def near_poles(nucleus: Mask, spacing: float) -> Mask:
    """Slices near the first and the last one of a nucleus, unless the stack ends there."""
    there = np.flatnonzero(nucleus.any((1, 2)))
    z = np.arange(len(nucleus))
    out = np.zeros(len(z), bool)
    for deep, shown in ((z - there[0], there[0] > 0), (there[-1] - z, there[-1] < z[-1])):
        if shown:
            out |= (deep * spacing < NEAR) & (deep * spacing >= -NEAR / 4)
    return out


def at_ends(cell: Mask) -> Mask:
    """Slices with less than a share of the largest area of a cell, empty ones beside them too."""
    area = cell.sum((1, 2))
    return np.asarray(area < ENDS[1] * area.max())


def jaccard(one: Mask, other: Mask) -> float:
    """Common voxels of two masks over those of either; 1 where both are empty."""
    either = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / either if either else 1.0
