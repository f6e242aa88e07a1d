"""A MoBIE project that shows the image and the labels of a run, with the table of cells.

Specification: https://mobie.github.io/specs/mobie_spec.html, version 0.3.0.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hela_dask.running.provenance import read_grey_range
from hela_dask.running.result import RunResult
from hela_dask.running.tables import segmented_cells
from hela_dask.storage.files import replaced, write_json
from hela_dask.storage.metadata import read_image
from hela_dask.storage.places import relative_path
from hela_dask.storage.urls import StorePath, StoreUrl, local_folder
from hela_dask.units import to_nm

__all__ = ["mobie_files", "write_mobie"]

_VERSION = "0.3.0"
_SHOWN = ("cells", "nuclei")  # labels with a table
_AXES = "zyx"


def mobie_files(result: RunResult) -> list[str]:
    """The files of a project."""
    name = _dataset(result)
    tables = [f"{name}/tables/{labels}/default.tsv" for labels in _SHOWN]
    return ["project.json", f"{name}/dataset.json", *tables]


def write_mobie(result: RunResult, folder: Path) -> None:
    """Write the files of a project; image and labels stay where they are, and are linked."""
    name = _dataset(result)
    inside = folder / name
    table = _table(result)
    for labels in _SHOWN:
        path = inside / "tables" / labels / "default.tsv"
        with replaced(path) as temporary:
            table.to_csv(temporary, sep="\t", index=False, lineterminator="\n", na_rep="nan")
    write_json(inside / "dataset.json", _dataset_facts(result, inside))
    project = {"specVersion": _VERSION, "datasets": [name], "defaultDataset": name}
    write_json(folder / "project.json", project)


def _dataset(result: RunResult) -> str:
    """A name without the characters that the specification forbids."""
    name = result.store.name.removesuffix(".zarr").removesuffix(".ome")
    return re.sub(r"[^\w.-]+", "-", name) or "dataset"


def _dataset_facts(result: RunResult, inside: Path) -> dict[str, Any]:
    def stored(path: StorePath) -> dict[str, Any]:
        if isinstance(path, StoreUrl) and path.scheme.startswith("http"):
            return {"ome.zarr.s3": {"s3Address": str(path)}}
        path = local_folder(path)
        return {"ome.zarr": {"relativePath": relative_path(path, inside)}}

    sources: dict[str, Any] = {"image": {"image": {"imageData": stored(result.store)}}}
    for labels in _SHOWN:
        sources[labels] = {
            "segmentation": {
                "imageData": stored(result.label_paths[labels]),
                "tableData": {"tsv": {"relativePath": f"tables/{labels}"}},
            }
        }
    image = {
        "name": "image",
        "sources": ["image"],
        "color": "white",
        "contrastLimits": _contrast(result),
        "opacity": 1.0,
    }
    displays: list[dict[str, Any]] = [{"imageDisplay": image}]
    for labels in _SHOWN:
        shown = {"name": labels, "sources": [labels], "lut": "glasbey", "opacity": 0.4}
        displays.append({"segmentationDisplay": shown})
    view = {"isExclusive": True, "uiSelectionGroup": "bookmark", "sourceDisplays": displays}
    return {
        "is2D": False,
        "description": f"Cells and nuclei of {result.store.name}, segmented by hela_dask",
        "sources": sources,
        "views": {"default": view},
    }


def _contrast(result: RunResult) -> list[float]:
    """The grey values that are shown as black and white: those of the run, or all of the type."""
    if (known := read_grey_range(result.path)) is not None:
        return list(known)
    dtype = read_image(result.store).dtype
    if dtype.kind == "f":
        return [0.0, 1.0]
    return [float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)]


def _table(result: RunResult) -> pd.DataFrame:
    """A row per cell with labels: its number, its centre and its window in the image's unit."""
    cells = segmented_cells(result.cells)
    units = read_image(result.label_paths["cells"]).units
    factors = {axis: to_nm(unit) or 1.0 for axis, unit in zip(_AXES, units, strict=True)}
    places = {f"anchor_{axis}": cells[axis] / factors[axis] for axis in "xyz"}
    for end, name in ((0, "min"), (1, "max")):
        for axis in "xyz":
            places[f"bb_{name}_{axis}"] = cells[f"box_{axis}{end}"] / factors[axis]
    window = [f"box_{axis}{end}" for axis in _AXES for end in (0, 1)]
    others = cells.drop(columns=["label", *_AXES, *window])
    return pd.DataFrame({"label_id": cells["label"], **places}).join(others)
