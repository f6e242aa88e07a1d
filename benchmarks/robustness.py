"""How far the Jaccard index falls on damaged stacks: ``python -m benchmarks.robustness``."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from benchmarks.damage import DAMAGES, Damage
from benchmarks.stacks import (
    CLASSES,
    Stack,
    agreement,
    data_folder,
    real_stack,
    segment_stack,
)
from hela_dask.methods.names import DEFAULT_METHOD

__all__ = ["MOST", "RANGES", "indices", "robustness", "segment", "table"]

MOST = 0.02
"""The Jaccard index of no class may fall by more."""

# First and last slice, the slice of the cell's centre, and the one that single damage befalls.
RANGES = {"whole": (1, 180, 150, 45), "middle": (121, 150, 136, 128), "pole": (15, 64, 60, 45)}


def segment(stack: Stack, method: str = DEFAULT_METHOD) -> tuple[xr.Dataset, float]:
    """Masks of the stack's cell, and the seconds that it took."""
    start = time.perf_counter()
    masks = segment_stack(stack, method=method)
    return masks, time.perf_counter() - start


def indices(masks: xr.Dataset, stack: Stack, without: int | None = None) -> dict[str, float]:
    """JI of nucleus, cell and background, one slice (0-based) perhaps left out."""
    if without is not None:
        kept = np.delete(np.arange(len(stack.image)), without)
        masks = masks.isel(z=kept)
        stack = replace(stack, image=stack.image[kept], truth=stack.truth[kept])
    scores = agreement(masks, stack)
    return {name: scores[name].pooled.ji for name in CLASSES}


def robustness(
    stack: Stack,
    ranges: Sequence[str],
    *,
    method: str = DEFAULT_METHOD,
    damages: Iterable[Damage] = DAMAGES,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """JI without damage, and how far it falls with each, in each range of slices."""
    found: dict[str, Any] = {}
    for name in ranges:
        first, last, centre, place = RANGES[name]
        part = stack.slices(first, last, centre)
        masks, seconds = segment(part, method)
        whole = indices(masks, part)
        tell(_line(f"{name}, slices {first}-{last}, undamaged", whole, ""))
        rows = {}
        for damage in damages:
            harmed = damage.apply(part, place - first)
            result, _ = segment(harmed, method)
            # A slice that shows nothing weighs ten times more here than in a stack of 300.
            hidden = place - first if damage.blind else None
            before = indices(masks, part, hidden)
            after = indices(result, harmed, hidden)
            fall = {key: before[key] - after[key] for key in CLASSES}
            rows[damage.name] = {"fall": fall}
            worst = max(fall.values())
            tell(_line(damage.name, fall, "" if worst <= MOST else "  FAILS"))
        found[name] = {
            "slices": [first, last],
            "place": place,
            "ji": whole,
            "seconds": seconds,
            "damages": rows,
        }
    return found


def _line(name: str, values: dict[str, float], note: str) -> str:
    return f"{name:<44}" + "".join(f"{values[key]:>12.4f}" for key in CLASSES) + note


def table(found: dict[str, Any]) -> list[str]:
    """The result as Markdown."""
    lines = [
        "| damage | " + " | ".join(f"{part}: {key}" for part in found for key in CLASSES) + " |",
        "|---|" + "---|" * (len(found) * len(CLASSES)),
    ]
    whole = [f"{found[part]['ji'][key]:.3f}" for part in found for key in CLASSES]
    lines.append("| JI without | " + " | ".join(whole) + " |")
    for name in next(iter(found.values()))["damages"]:
        falls = [found[part]["damages"][name]["fall"][key] for part in found for key in CLASSES]
        cells = [f"**{fall:+.3f}**" if fall > MOST else f"{fall:+.3f}" for fall in falls]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    """Print a line a damage: how far the JI of nucleus, cell and background falls."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", default=DEFAULT_METHOD)
    parser.add_argument("--range", choices=tuple(RANGES), action="append", help="default: all")
    parser.add_argument("--only", help="damages whose name holds this text")
    parser.add_argument("--json", type=Path, help="also write everything here")
    options = parser.parse_args()
    damages = [damage for damage in DAMAGES if not options.only or options.only in damage.name]
    found = robustness(
        real_stack(data_folder()),
        options.range or tuple(RANGES),
        method=options.method,
        damages=damages,
        tell=lambda line: print(line, flush=True),
    )
    if options.json:
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
