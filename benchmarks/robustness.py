"""How far the Jaccard index falls on damaged stacks: ``python -m benchmarks.robustness``."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.damage import DAMAGES, Damage
from benchmarks.stacks import (
    CLASSES,
    Stack,
    agreement,
    data_folder,
    real_stack,
    segment_stack,
)
from hela_dask.methods import DEFAULT_METHOD

__all__ = ["MOST", "RANGES", "measure", "robustness", "table"]

MOST = 0.02
"""The Jaccard index of no class may fall by more."""

# First and last slice, the slice of the cell's centre, and the one that single damage befalls.
RANGES = {"middle": (106, 165, 136, 128), "pole": (15, 74, 60, 45)}


def measure(stack: Stack, method: str = DEFAULT_METHOD) -> dict[str, float]:
    """JI of nucleus, cell and background, and the seconds that it took."""
    start = time.perf_counter()
    masks = segment_stack(stack, method=method)
    seconds = time.perf_counter() - start
    scores = agreement(masks, stack)
    return {**{name: scores[name].pooled.ji for name in CLASSES}, "seconds": seconds}


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
        whole = measure(part, method)
        tell(_line(f"{name}, slices {first}-{last}, undamaged", whole, ""))
        rows = {}
        for damage in damages:
            harmed = measure(damage.apply(part, place - first), method)
            fall = {key: whole[key] - harmed[key] for key in CLASSES}
            rows[damage.name] = {"fall": fall, "seconds": harmed["seconds"]}
            worst = max(fall.values())
            tell(_line(damage.name, fall, "" if worst <= MOST else "  FAILS"))
        found[name] = {"slices": [first, last], "place": place, "ji": whole, "damages": rows}
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
