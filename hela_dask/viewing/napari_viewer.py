"""view: image, labels and table of a run in napari."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hela_dask.columns import COLUMNS
from hela_dask.errors import MissingDependencyError
from hela_dask.running.opening import open_run
from hela_dask.running.result import RunResult
from hela_dask.storage.metadata import read_image
from hela_dask.storage.urls import StorePath
from hela_dask.viewing.colors import shown_greys, stated_colors
from hela_dask.volume.opening import open_volume

__all__ = ["RUN_KEY", "color_dict", "needed_napari", "run_layers", "view"]

RUN_KEY = "hela_dask_run"
"""In the metadata of a layer: its run folder."""

_SHOWN = ("cells", "nuclei", "envelope", "background")
_VISIBLE = ("cells", "nuclei")
_OPACITY = 0.4
_TEXTS = ("status", "reason", "flags", "confidence", "doubtful_slices")


def view(run: str | Path | RunResult, *, show: bool = True) -> Any:
    """Open a run in napari: the image, the labels, and the measures as features of the labels.

    All resolutions are opened lazily, so that only the visible part is read. The cells have the
    colors of their labels in the store. With the pointer on a cell, napari shows its row of the
    table: number, status, confidence and measures.

    Parameters
    ----------
    run : path or RunResult
        A finished run.
    show : bool
        Show the window.

    Returns
    -------
    napari.Viewer
        With the layers ``image``, ``cells``, ``nuclei``, ``envelope`` and ``background``. In a
        script, ``napari.run()`` keeps the window open.

    Raises
    ------
    MissingDependencyError
        Without napari.
    MissingInputError, InputError
        As :func:`hela_dask.open_run`.

    Examples
    --------
    >>> import hela_dask as hd
    >>> viewer = hd.view("hela.run")  # doctest: +SKIP
    """
    result = run if isinstance(run, RunResult) else open_run(run)
    napari = needed_napari("view")
    viewer = napari.Viewer(title=f"hela_dask: {result.path.name}", show=show)
    for data, options, kind in run_layers(result):
        viewer.add_layer(napari.layers.Layer.create(data, options, kind))
    viewer.layers.selection.active = viewer.layers["cells"]  # the pointer shows its features
    _scale_bar(viewer).visible = True
    viewer.dims.set_current_step(0, _middle(result))
    return viewer


def needed_napari(command: str) -> Any:
    """The module napari; MissingDependencyError, which names the command, where it is missing."""
    if importlib.util.find_spec("napari") is None:
        raise MissingDependencyError(
            f"{command} needs napari, which is not installed: pip install 'hela_dask[napari]', or "
            "look at the run in a browser with --neuroglancer"
        )
    return importlib.import_module("napari")


def run_layers(result: RunResult) -> list[tuple[Any, dict[str, Any], str]]:
    """The layers of a run as napari's readers return them: data, options, and type of the layer.

    First the image, then the labels; each has its run folder in its metadata.
    """
    colormaps: Any = importlib.import_module("napari.utils.colormaps")
    mark = {RUN_KEY: str(result.path.absolute())}
    greys = shown_greys(result.path)
    data, options = _lazy(result.store)
    image = {**options, "name": "image", "contrast_limits": greys, "metadata": mark}
    layers: list[tuple[Any, dict[str, Any], str]] = [(data, image, "image")]
    for name in _SHOWN:
        if name not in result.label_paths:
            continue
        group = result.label_paths[name]
        data, options = _lazy(group)
        options |= {
            "name": name,
            "opacity": _OPACITY,
            "visible": name in _VISIBLE,
            "features": None if name == "background" else _features(result.cells),
            "metadata": mark,
        }
        if colors := stated_colors(group):
            options["colormap"] = colormaps.DirectLabelColormap(color_dict=color_dict(colors))
        layers.append((data, options, "labels"))
    return layers


def _middle(result: RunResult) -> int:
    """The middle slice."""
    return int(read_image(result.store).levels[0].shape[0] // 2)


def _scale_bar(viewer: Any) -> Any:
    """Of the canvas since napari 0.9, of the viewer before."""
    overlays = getattr(getattr(viewer, "canvas", None), "overlays", None)
    return viewer.scale_bar if overlays is None else overlays.scale_bar


def _lazy(group: StorePath) -> tuple[Any, dict[str, Any]]:
    """Each resolution with all slices, lazily, finest first; with the place of the voxels."""
    levels = read_image(group).levels
    whole = [at for at, level in enumerate(levels) if level.shape[0] == levels[0].shape[0]]
    arrays = [open_volume(group, level=at).data for at in whole]
    geometry = levels[0].geometry
    several = len(arrays) > 1  # napari takes a list of one for something else
    return arrays if several else arrays[0], {
        "multiscale": several,
        "scale": geometry.voxel_size,
        "translate": geometry.origin,
        "units": ("nm", "nm", "nm"),
        "axis_labels": ("z", "y", "x"),
    }


def _features(cells: pd.DataFrame) -> pd.DataFrame:
    """The measures by label, as napari joins them: its column ``index`` has the labels."""
    measures = [name for name, column in COLUMNS.items() if column.measure]
    names = [name for name in ("label", *_TEXTS, *measures) if name in cells]
    return cells[names].rename(columns={"label": "index"})


def color_dict(colors: dict[int, tuple[int, int, int, int]]) -> dict[int | None, Any]:
    """From 0 to 1, as napari has them; other labels are transparent."""
    found: dict[int | None, Any] = {None: "transparent"}
    for label, rgba in colors.items():
        found[label] = np.array(rgba, float) / 255
    return found
