"""The reader of run folders in napari: a run that is dropped on the window opens as layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hela_dask.running.identity import is_run_folder
from hela_dask.running.opening import open_run
from hela_dask.viewing.napari_viewer import run_layers

__all__ = ["get_reader"]

Layers = list[tuple[Any, dict[str, Any], str]]


def get_reader(path: str | Sequence[str]) -> Callable[[object], Layers] | None:
    """The reader of a path, as npe2 asks for it; None where the path is no run folder."""
    if not isinstance(path, str) or not is_run_folder(Path(path)):
        return None
    return lambda _: run_layers(open_run(path))
