"""The colors of labels, as their group in the store states them, and the grey values shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hela_dask.running.provenance import read_grey_range
from hela_dask.storage.nodes import read_node

__all__ = ["shown_greys", "stated_colors"]

Color = tuple[int, int, int, int]


def stated_colors(group: Path) -> dict[int, Color]:
    """Red, green, blue and alpha (0 to 255) per label; empty where none are stated."""
    node = read_node(group)
    stated = {} if node is None else node.attributes
    image_label = stated.get("ome", stated).get("image-label") or {}
    return dict(_valid(image_label.get("colors") or []))


def _valid(rows: list[dict[str, object]]) -> Iterator[tuple[int, Color]]:
    for row in rows:
        label, rgba = row.get("label-value"), row.get("rgba")
        if isinstance(label, int) and isinstance(rgba, list) and len(rgba) == 4:
            red, green, blue, alpha = (int(part) for part in rgba)
            yield label, (red, green, blue, alpha)


def shown_greys(run: Path) -> tuple[float, float] | None:
    """Grey values for black and white: those of the run's tissue, and darker ones by half more."""
    known = read_grey_range(run)
    return None if known is None else (known[0] - 0.5 * (known[1] - known[0]), known[1])
