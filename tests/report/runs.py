"""A small run folder of two cells, its scores and its page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hela_dask.evaluation.evaluate import score_classes, score_instances
from hela_dask.report import write_report
from hela_dask.storage import store
from hela_dask.storage.label_groups import create_labels
from tests.report.pages import Page

SHAPE, SIZE = (6, 300, 320), (250.0, 40.0, 40.0)
ID = "0123456789abcdef" * 2


def make_run(folder: Path) -> Path:
    """A run of two cells: 4 is whole, 9 failed; written as the pipeline writes it."""
    image = store.create_image(folder / "a.ome.zarr", SHAPE, np.uint8, SIZE, name="image")
    nuclei, cells = np.zeros((2, *SHAPE), np.uint32)
    cells[1:5, 100:200, 100:200], nuclei[2:4, 130:170, 130:170] = 4, 4
    grey = np.random.default_rng(0).integers(90, 110, SHAPE).astype(np.uint8) + 40 * (cells == 0)
    images: list[tuple[Any, np.ndarray, Any]] = [(image, grey.astype(np.uint8), "mean")]
    for name, labels in (("nuclei", nuclei), ("cells", cells)):
        group = create_labels(
            image.folder,
            name,
            SHAPE,
            np.uint32,
            SIZE,
            source_image=image.path,
            run=folder / "a.run",
            run_id=ID,
        )
        images.append((group, labels, "nearest"))
    for group, data, how in images:
        for z0, z1 in store.slabs(group):
            store.write_slab(group, z0, data[z0:z1], downsample=how)
    run = folder / "a.run"
    table = pd.DataFrame(
        {
            "label": [4, 9],
            "z": [625.0, 500.0],
            "y": [6000.0, 2000.0],
            "x": [6000.0, 2000.0],
            "height": [2000.0, 900.0],
            "first_slice": [2, 1],
            "last_slice": [5, 6],
            "status": ["cut_by_volume", "failed"],
            "reason": ["", "ValueError: <script>alert(1)</script> & more"],
            "flags": ["no_protrusions", ""],
            "touches_first_slice": [True, True],
            "touches_last_slice": [False, False],
            "touches_side": [False, False],
            "complete": [False, False],
            "nucleus_volume": [0.256, np.nan],
            "cell_volume": [3.2, np.nan],
            "seconds": [1.5, 0.2],
            "peak_memory": [200.0, 100.0],
        }
    )
    detections = table[["z", "y", "x", "height"]].assign(slice=[3, 3], rank=[1, 2], thickness=250.0)
    store.write_table(run / "cells", table)
    store.write_table(run / "detections", detections)
    facts = {
        "id": ID,
        "store": str(image.path),
        "image": {
            "shape": SHAPE,
            "voxel_size": SIZE,
            "extent": [1500.0, 12_000.0, 12_800.0],
            "dtype": "uint8",
        },
        "method": "propagate",
        "parameters": {"detect": {"resolution": 40.0}},
        "labels": {name: str(image.path / "labels" / name) for name in ("nuclei", "cells")},
        "state": "finished",
        "started": "2026-01-02T03:04:05+00:00",
        "timings": {"detect": 2.0, "segment": 130.5},
        "warnings": ["cell 9 failed <&>"],
        "versions": {"hela_dask": "0.1.0", "numpy": "2.0"},
    }
    store.write_json(run / "run.json", facts)
    store.write_text(run / "run.id", f"hela_dask run {ID}\n")
    return run


def score(run: Path, kind: str) -> None:
    """Scores against a truth that is the prediction, one pixel off."""
    labels = json.loads((run / "run.json").read_text())["labels"]
    truth = run.parent / "truth.npy"
    classes = np.full(SHAPE, 4, np.uint8)
    classes[1:5, 100:200, 101:201], classes[2:4, 130:170, 131:171] = 5, 2
    found: dict[str, Any] = {"slices": [1, 6]}
    if kind == "classes":
        np.save(truth, classes)
        predicted = {"nucleus": labels["nuclei"], "cell": labels["cells"]}
        wanted = {"nucleus": [2], "cell": [2, 5]}
        found |= score_classes(predicted, truth, wanted).to_dict()
        found["truth"] = {"classes": str(truth)}
    else:
        np.save(truth, (classes != 4).astype(np.uint8))
        found["cell"] = score_instances(labels["cells"], truth).to_dict()
        found["truth"] = {"cell": str(truth)}
    store.write_json(run / "scores.json", found)


def read(run: Path) -> Page:
    return Page(write_report(run).read_text(encoding="utf-8"))
