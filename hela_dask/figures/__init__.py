"""Pictures of a volume and its cells, from arrays and tables to PNG or JPEG files."""

from __future__ import annotations

from hela_dask.figures.plots import draw_chains, draw_curves, draw_matching
from hela_dask.figures.space import draw_space
from hela_dask.figures.steps import Mark, Panel, draw_panel, draw_sheet, measure
from hela_dask.figures.tissue import (
    draw_detections,
    draw_errors,
    draw_orthogonal,
    draw_overlay,
)

__all__ = [
    "Mark",
    "Panel",
    "draw_chains",
    "draw_curves",
    "draw_detections",
    "draw_errors",
    "draw_matching",
    "draw_orthogonal",
    "draw_overlay",
    "draw_panel",
    "draw_sheet",
    "draw_space",
    "measure",
]
