"""HTML from templates that escape every value: pages of the report, and cards for notebooks.

No other room writes HTML. The templates are in ``templates/``; a value is never marked as safe.
"""

from __future__ import annotations

from hela_dask.pages.cards import Card, Shown, make_card
from hela_dask.pages.page import Figure, Frame, as_figure, as_frame, read_figure, render

__all__ = [
    "Card",
    "Figure",
    "Frame",
    "Shown",
    "as_figure",
    "as_frame",
    "make_card",
    "read_figure",
    "render",
]
