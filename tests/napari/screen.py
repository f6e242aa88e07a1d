"""What tests of the widget share: their conditions, and time for Qt to work."""

from __future__ import annotations

import importlib
import importlib.util
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hela_dask as hd

__all__ = ["NEEDS_SCREEN", "open_review", "wait_for"]


NEEDS_SCREEN = [
    pytest.mark.screen,
    pytest.mark.skipif(
        importlib.util.find_spec("napari") is None, reason="napari is not installed"
    ),
    pytest.mark.skipif(not os.environ.get("DISPLAY"), reason="there is no display"),
]
"""Marks of tests that open a window."""


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Let Qt work until a condition holds; fails after so many seconds."""
    widgets: Any = importlib.import_module("qtpy.QtWidgets")
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        widgets.QApplication.processEvents()
        time.sleep(0.01)


def open_review(run: str | Path | hd.RunResult, *, show: bool = False) -> tuple[Any, Any]:
    """A viewer with the widget for a run, and the widget."""
    widget: Any = importlib.import_module("hela_dask.napari.widget")
    widgets: Any = importlib.import_module("qtpy.QtWidgets")
    viewer = hd.review(run, show=show)
    opened = [
        item
        for item in widgets.QApplication.allWidgets()
        if isinstance(item, widget.ReviewWidget) and item.viewer is viewer
    ]
    (review,) = opened
    review.panel.name.setText("A. Person")
    return viewer, review
