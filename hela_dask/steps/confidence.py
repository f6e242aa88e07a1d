"""Confidence of a cell's masks: numbers, flags in words, and one confidence.

The instability is the sum of ``number / limit`` over the numbers of :data:`LIMITS`, each with its
limit in ``[quality]``: how many limits they reach together. A number that does not exist, since
there is no nucleus or no resin, and each flag of the method or of the assembly count as one limit.
The confidence is ``1 / (1 + (instability / 3)²)``: 1 for an instability of zero, and a half where
three limits are reached.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import numpy as np

from hela_dask.formatting import number_runs
from hela_dask.kernels.quality import beside, face_areas, surface_profile
from hela_dask.parameters import QualityParameters
from hela_dask.statuses import SEGMENTED
from hela_dask.types import Mask

__all__ = [
    "CONFIDENCE_FLAGS",
    "EXPLANATIONS",
    "LIMITS",
    "NUCLEUS_NUMBERS",
    "NUMBERS",
    "compute_confidence",
    "measure_quality",
    "nucleus_withheld",
    "slice_ranges",
]


LIMITS = {
    "nucleus_jitter": ("nucleus_jitter", "unsteady_nucleus"),
    "cell_jitter": ("cell_jitter", "unsteady_cell"),
    "nucleus_jump": ("jump", "nucleus_jumps"),
    "cell_jump": ("jump", "cell_jumps"),
    "contact": ("contact", "little_resin"),
    "nucleus_exposed": ("exposed", "nucleus_at_membrane"),
    "beyond_window": ("window", ""),
}
"""Number of the cells table: the parameter with its limit, and the flag if it is over it.

A window that cuts its cell is always flagged.
"""

NUMBERS: Final = tuple(LIMITS)
"""Measures of each cell: columns of the cells table."""

NUCLEUS_NUMBERS: Final = ("nucleus_jitter", "nucleus_jump", "nucleus_exposed")
"""Those that are measured of the nucleus."""

CONFIDENCE_FLAGS: Final = frozenset(flag for _, flag in LIMITS.values() if flag)
"""Flags of numbers over their limits."""

_CUTS = ("nucleus_cut", "larger_than_window")
# Limits that, reached together, leave a confidence of a half: about half of them.
_HALF_CONFIDENCE = 3.0

EXPLANATIONS = {
    "unsteady_nucleus": "the outline of the nucleus varies from slice to slice",
    "unsteady_cell": "the outline of the cell varies from slice to slice",
    "nucleus_jumps": "the nucleus grows, shrinks or moves abruptly from one slice to the next",
    "cell_jumps": "the cell grows, shrinks or moves abruptly from one slice to the next",
    "little_resin": "much of the membrane has no resin beside it, so where the cell ends is a guess"
    " there",
    "nucleus_at_membrane": "much of the nucleus reaches the cell's membrane: it may have leaked"
    " through its envelope, or the cell may be cut too small",
    "larger_than_window": "the cell continues beyond its window; give it more room: width, depth "
    "and"
    " room in [region]",
    "nucleus_cut": "the volume ends inside the nucleus; its volume is of the part inside",
    "two_nuclei": "two nuclei in one cell: it may be dividing, or two cells may be taken for one",
    "ceded": "it reached over the centre of a neighbour, which did not reach over its own: it has"
    " leaked, and all that both claimed is the neighbour's",
    "moved": "its centre was moved by hand",
    "added": "its centre was added by hand",
    "edited": "a person has edited it: edited_by and edited_on of the table",
    "no_nucleus": "no nucleus was found",
    "nucleus_withheld": "a nucleus was found, but its confidence is too low, so it is left out of "
    "labels/nuclei;"
    " [quality] withhold = 0 delivers it",
}
"""The meaning of each flag."""


def measure_quality(
    nucleus: Mask,
    cell: Mask,
    background: Mask,
    voxel: tuple[float, float, float],
    parameters: QualityParameters,
    *,
    ends: Collection[str] = (),
) -> dict[str, Any]:
    """Measure the masks of one cell.

    Parameters
    ----------
    nucleus, cell, background
        (z, y, x) of the cell's window, bool; the cell holds its nucleus. An unknown cell is empty.
    voxel
        Voxel size (z, y, x), nm.
    parameters
        Parameters of the stage; only those in ``measuring`` matter here.
    ends
        Which of :data:`~hela_dask.kernels.quality.FACES` of the window are sides of the volume.

    Returns
    -------
    dict
        ``nucleus_jitter``, ``cell_jitter``
            Mean width of the band along the outline that does not last along z, nm.
        ``nucleus_jump``, ``cell_jump``
            Largest change of area between adjacent slices minus the change in the slices around
            them, as a share of the median area.
        ``contact``
            Share of the cell's outline without resin beside it.
        ``nucleus_exposed``
            Share of the nucleus' outline without cytoplasm beside it.
        ``beyond_window``
            Area of the cell on sides of the window inside the volume, over the median area of its
            slices.
        ``instability``
            For each slice of the window, the share of nucleus or cell (the larger) that varies
            or slopes away, a list.
        ``reasons``
            Cuts by the window's sides, a list of clauses.
        ``flags``
            ``nucleus_cut``, ``larger_than_window``, both or none, a list.

        A number is NaN without its mask.
    """
    inner, outer = (surface_profile(mask, voxel, parameters) for mask in (nucleus, cell))
    usual = float(np.median(outer.area[outer.area > 0])) if outer.area.any() else math.nan
    reached = {
        name: area
        for name, area in face_areas(cell, voxel).items()
        if area > 0 and name not in ends
    }
    cut = [name for name, area in face_areas(nucleus, voxel).items() if area > 0 and name in ends]
    reasons = []
    if reached:
        reasons.append(f"the cell continues beyond its window ({', '.join(reached)})")
    return {
        "nucleus_jitter": inner.jitter,
        "cell_jitter": outer.jitter,
        "nucleus_jump": inner.jump,
        "cell_jump": outer.jump,
        "contact": 1 - beside(cell, background, voxel, parameters),
        "nucleus_exposed": beside(nucleus, cell, voxel, parameters, outside=True)
        if outer.area.any()
        else math.nan,
        "beyond_window": sum(reached.values()) / usual,
        "instability": np.maximum(inner.instability, outer.instability).round(4).tolist(),
        "reasons": reasons,
        "flags": [flag for flag, found in zip(_CUTS, (cut, reached), strict=True) if found],
    }


def compute_confidence(
    numbers: Mapping[str, Any],
    parameters: QualityParameters,
    *,
    flags: Collection[str] = (),
) -> tuple[float, list[str]]:
    """One confidence from a cell's numbers, and the flags of those over their limits.

    Parameters
    ----------
    numbers
        With the names of :data:`LIMITS`; missing numbers are None or NaN.
    parameters
        Parameters of the stage: the limits.
    flags
        Flags of the method.

    Returns
    -------
    confidence : float
        In [0, 1], see the formula above; 0 of empty masks, NaN where nothing was measured.
    flags : list of str
        In the order of :data:`LIMITS`.
    """
    if not any(name in numbers for name in LIMITS):
        return math.nan, []
    known = {
        name: float(numbers[name])
        for name in LIMITS
        if numbers.get(name) is not None and math.isfinite(numbers[name])
    }
    if not known:
        return 0.0, []
    shares = {name: value / getattr(parameters, LIMITS[name][0]) for name, value in known.items()}
    method_flags = {flag for flag in flags if flag} - {*_CUTS, *CONFIDENCE_FLAGS, "no_nucleus"}
    instability = math.fsum(shares.values()) + len(LIMITS) - len(shares) + len(method_flags)
    over = [LIMITS[name][1] for name, share in shares.items() if share > 1]
    return 1 / (1 + (instability / _HALF_CONFIDENCE) ** 2), [flag for flag in over if flag]


def nucleus_withheld(row: Mapping[str, Any], parameters: QualityParameters) -> bool:
    """Whether the confidence is too low to deliver the nucleus of a cell.

    That is so where the confidence of the cell is under ``withhold``, and the numbers of the
    nucleus alone (:data:`NUCLEUS_NUMBERS`) reach one limit together: the instability is not only
    that of the cell's outline.

    Parameters
    ----------
    row
        ``status``, ``flags`` and the numbers of a cell, as a marker keeps them.
    parameters
        Parameters of the stage: the limits.
    """
    flags = str(row.get("flags", "")).split(",")
    if row.get("status") != SEGMENTED or "no_nucleus" in flags:
        return False
    confidence, _ = compute_confidence(row, parameters, flags=flags)
    own = math.fsum(
        float(row[name]) / getattr(parameters, LIMITS[name][0])
        for name in NUCLEUS_NUMBERS
        if row.get(name) is not None and math.isfinite(row[name])
    )
    return confidence < parameters.withhold and own >= 1


def slice_ranges(
    instability: Sequence[float],
    first: int,
    parameters: QualityParameters,
    within: tuple[int, int] | None = None,
) -> str:
    """The slices with a high instability, as text: ``"slices 1-10, 27-45"``.

    The word in front keeps a spreadsheet from reading ``10-12`` as a date, or ``1, 200`` as a
    number.

    Parameters
    ----------
    instability
        A share for each slice, as :func:`measure_quality` gives it.
    first
        Number of the first of them.
    parameters
        Parameters of the stage; the parameter ``instability`` is the limit.
    within
        First and last slice that the cell has in the labels; others are left out.
    """
    low, high = within or (first, first + len(instability))
    over = [
        number
        for number, share in enumerate(instability, first)
        if share > parameters.doubt and low <= number <= high
    ]
    ranges = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in number_runs(over))
    if not ranges:
        return ""
    return f"{'slice' if len(over) == 1 else 'slices'} {ranges}"
