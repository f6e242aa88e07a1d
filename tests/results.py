"""One object of each public class of results, made by hand from values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import hela_dask as hd
from hela_dask.evaluation.evaluate import score
from hela_dask.explaining.explain import ExplainedStep
from hela_dask.planning.disk import DiskNeed
from hela_dask.planning.show import PlannedStage
from hela_dask.storage.metadata import read_image
from hela_dask.tasks.cluster.findings import Row
from tests.scenes import make_scene

__all__ = ["make_masks", "make_results"]

PNG = b"\x89PNG"


def make_masks() -> tuple[hd.Masks, hd.Window]:
    """A square cell with a square nucleus in a window of 6 x 40 x 50 voxels."""
    cell = np.zeros((6, 40, 50), bool)
    cell[1:5, 5:35, 10:40] = True
    cell[3, 5:35, 40:45] = True  # the largest part is in this slice
    nucleus, envelope = np.zeros_like(cell), np.zeros_like(cell)
    envelope[2:4, 12:28, 17:33] = True
    nucleus[2:4, 13:27, 18:32] = True
    envelope &= ~nucleus
    image = np.where(cell, np.uint8(130), np.uint8(210))
    window = hd.Window(image, ~cell, (50.0, 40.0, 40.0), (3, 20, 25))
    return hd.Masks(nucleus, cell, envelope), window


def cells_table(text: str) -> pd.DataFrame:
    """A whole cell, and one that failed for a reason."""
    rows: dict[str, Any] = {
        "label": [1, 2],
        "z": [1000.0, 2000.0],
        "y": [3000.0, 6000.0],
        "x": [4000.0, 9000.0],
        "height": [1500.0, 2000.0],
        "first_slice": [2, 10],
        "last_slice": [20, 30],
        "status": ["segmented", "failed"],
        "reason": ["", text],
        "nucleus_volume": [20.5, np.nan],
        "cell_volume": [60.25, np.nan],
        "cell_diameter": [4860.0, np.nan],
        "complete": [True, False],
    }
    return pd.DataFrame(rows)


def make_results(folder: Path, text: str) -> dict[str, Any]:
    """An object of each class, by name; `text` is in each that holds any text or path."""
    place = folder / text.replace("/", "|")
    cells = cells_table(text)
    stages = (PlannedStage("background", 4, memory=2**28, seconds=3.0), PlannedStage(text, None))
    disk = DiskNeed(2**30, 2**24, 100, place, place, 2**36, 2**36, same=True)
    sizes: Any = {"shape": (64, 200, 200), "working_shape": (64, 100, 100)}
    objects = pd.DataFrame(
        {"label": [1, 2], "volume": [1.5, 2.5], "sphericity": [0.9, np.nan], text: ["a", text]}
    ).assign(complete=[True, False])
    contacts = pd.DataFrame({"label": [1], "neighbour": [2], "contact_area": [0.5]})
    rows = (Row("worker", "ok", text), Row("disk", "failed", text, "use another"))
    truth = np.zeros((2, 8, 8), np.uint8)
    truth[:, 2:6, 2:6] = 1
    masks, window = make_masks()
    box = (0.0, 2000.0), (0.0, 3000.0), (0.0, 4000.0)
    store = make_scene(folder / "balls.ome.zarr")
    step = ExplainedStep(text, text, place)
    compared = pd.DataFrame({"measure": ["cell_volume"], "group": [text], "p_adjusted": [0.5]})
    return {
        "Assignment": hd.Assignment(
            pd.DataFrame({"label": [1], "cell": [1], "crosses_border": [False], text: [text]}),
            pd.DataFrame({"label": [1], "n_organelles": [1]}),
            place,
            place,
        ),
        "ClassScores": score(truth, truth, classes={"nucleus": [1]}, hausdorff=False),
        "Checkup": hd.Checkup(rows, {"numpy": text}, 3.2),
        "ClusterCheck": hd.ClusterCheck(text, rows, text, 3.2),
        "Comparison": hd.Comparison(
            place,
            place / "comparison.html",
            pd.DataFrame({"group": [text] * 2, "run": ["a", "b"], "cell_volume": [1.0, 2.0]}),
            compared,
            1,
            (text,),
        ),
        "Explanation": hd.Explanation(1, 2, place, place, (step,)),
        "Export": hd.Export("tiff", place, (place / "cells.tif",)),
        "Finding": hd.Finding(text, text, text),
        "GreyLevels": hd.GreyLevels(True, 100.0, 200.0),
        "Image": read_image(store),
        "InstanceScores": score(truth, truth, hausdorff=False),
        "Masks": masks,
        "Measurement": hd.Measurement(objects, contacts, place, place),
        "Parameters": hd.Parameters.from_dict({"detect": {"spacing": 500.0}}),
        "ParameterGroup": hd.PropagateParameters(),
        "Plan": hd.Plan(
            place, place, place, **sizes, voxel_size=(100.0, 40.0, 40.0), stages=stages, workers=2,
            memory=2**32, memory_needed=2**30, disk=disk, cells=text,
        ),
        "Region": hd.Region(3, (1000.0, 2000.0, 3000.0), box, reason=text),
        "RunResult": hd.RunResult(
            place, place, cells, {"cells": place}, place / "report.html", warnings=(text,)
        ),
        "Sample": hd.Sample(text, text, text, text, place, (place,), 1, text, (text,)),
        "Status": hd.Status(place, "failed", error=text, notes=(text,), progress={"seconds": 75.0}),
        "Trace": hd.Trace(1, 2),
        "Verification": hd.Verification(
            place, None, 10, 2**20, 1.5, (hd.Finding(text, text, text),), (text,)
        ),
        "Window": window,
    }  # fmt: skip
