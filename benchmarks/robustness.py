"""How far the Jaccard index falls on damaged stacks: ``python -m benchmarks.robustness``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from benchmarks import results
from benchmarks.damage import BLIND, DAMAGES
from benchmarks.stacks import SCORED, Stack, agreement, data_folder, real_stack, segment_stack
from hela_dask.methods.names import DEFAULT_METHOD

__all__ = ["LARGEST_FALL", "RANGES", "indices", "robustness"]

LARGEST_FALL = 0.02
"""The Jaccard index of no class may fall by more."""

# First and last slice, the slice of the cell's centre, and the slice of single-slice damage.
RANGES = {"whole": (1, 180, 150, 45), "middle": (121, 150, 136, 128), "pole": (15, 64, 60, 45)}


def indices(masks: xr.Dataset, stack: Stack, without: int | None = None) -> dict[str, float]:
    """JI of nucleus, cell and background; the slice `without` (0-based) is left out."""
    if without is not None:
        kept = np.delete(np.arange(len(stack.image)), without)
        masks = masks.isel(z=kept)
        stack = replace(stack, image=stack.image[kept], truth=stack.truth[kept])
    scores = agreement(masks, stack)
    return {name: scores[name].pooled.ji for name in SCORED}


def robustness(
    stack: Stack,
    ranges: Iterable[str] = RANGES,
    *,
    method: str = DEFAULT_METHOD,
    damages: Iterable[str] = DAMAGES,
) -> dict[str, Any]:
    """JI without damage, and how far it falls with each, in each range of slices; printed too."""
    found: dict[str, Any] = {}
    for name in ranges:
        first, last, centre, place = RANGES[name]
        part = stack.slices(first, last, centre)
        masks = segment_stack(part, method=method)
        whole = indices(masks, part)
        _show(f"{name}, slices {first}-{last}, undamaged", whole)
        rows = {}
        for damage in damages:
            harmed = DAMAGES[damage](part, place - first)
            # A slice that shows nothing weighs ten times more here than in a stack of 300.
            hidden = place - first if damage in BLIND else None
            before = indices(masks, part, hidden)
            after = indices(segment_stack(harmed, method=method), harmed, hidden)
            fall = {key: before[key] - after[key] for key in SCORED}
            rows[damage] = {"fall": fall}
            _show(damage, fall, "  FAILS" if max(fall.values()) > LARGEST_FALL else "")
        found[name] = {
            "slices": [first, last],
            "place": place,
            "ji": whole,
            "damages": rows,
        }
    return found


def _show(name: str, values: Mapping[str, float], note: str = "") -> None:
    print(
        f"{name:<44}" + "".join(f"{value:>12.4f}" for value in values.values()) + note, flush=True
    )


def main() -> None:
    """Print a line per damage: how far the JI of nucleus, cell and background falls."""
    parser = results.parser(__doc__)
    parser.add_argument("--method", default=DEFAULT_METHOD)
    parser.add_argument("--range", choices=tuple(RANGES), action="append", help="default: all")
    parser.add_argument("--only", default="", help="damages that have this text in their name")
    parser.add_argument("--json", type=Path, help="also write everything here")
    options = parser.parse_args()
    found = robustness(
        real_stack(data_folder()),
        options.range or RANGES,
        method=options.method,
        damages=[damage for damage in DAMAGES if options.only in damage],
    )
    if options.json:
        results.write(found, options.json)


if __name__ == "__main__":
    main()
