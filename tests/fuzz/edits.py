"""A valid file of edits, and its reader under test."""

from __future__ import annotations

from pathlib import Path

from hela_dask.editing.edits import Edits, Paint

__all__ = ["EDITS", "read_edits"]

_BY = {"by": "A", "on": "2026-11-28T03:04:05+00:00", "centre": [0, 5, 5], "cell": 3}
_MASK = {"compartment": "cell", "slice": 2, "low": [1, 2], "shape": [2, 3], "runs": [1, 5]}
_GRID = {"shape": [4, 16, 16], "voxel_size": [50.0, 10.0, 10.0], "translation": [0, 0, 0]}
EDITS = {
    "format": "hela-dask edits",
    "version": 1,
    "image": _GRID,
    "edits": [
        {"kind": "split", "points": [[0, 5, 5], [50, 60, 5]], "cells": [3, 9], **_BY},
        {"kind": "paint", **_MASK, **_BY},
    ],
}


def read_edits(folder: Path) -> None:
    """Read it; it is written as it was read, and each mask has a pixel."""
    found = Edits.read(folder / "edits.json")
    found.write(folder / "edits.json")
    assert Edits.read(folder / "edits.json") == found
    assert all(edit.mask.any() for edit in found.edits if isinstance(edit, Paint))
