"""Whole runs with default parameters, on the real cell and on phantoms, and their scores."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from scipy import ndimage
from skimage.filters import threshold_otsu

import hela_dask as hd
from benchmarks.stacks import REAL_VOXEL
from hela_dask.demo import DemoSize, complete_scores
from hela_dask.evaluation.evaluate import score_classes, score_instances
from hela_dask.evaluation.predictions import predictions_of
from hela_dask.evaluation.scores import ClassScore, ClassScores
from hela_dask.phantom import make_phantom, plan_phantom
from hela_dask.running.provenance import read_run
from hela_dask.running.scoring import CLASSES

__all__ = [
    "CLASSES",
    "RANGES",
    "curves",
    "figures",
    "otsu",
    "phantom_run",
    "real_run",
    "score_real",
    "truth_path",
]

SURFACES = ("nucleus", "cell")

# All labelled slices; the lower pole of the cell; the rest.
RANGES = {"1-180": (1, 180), "1-74": (1, 74), "75-180": (75, 180)}


def truth_path(data: Path) -> Path:
    """The published labels of the real cell."""
    return data / "roi1656" / "labels_z001-180.tif"


def real_run(data: Path, folder: Path, method: str, workers: int | None = None) -> Path:
    """The real stack converted and segmented with default parameters; the run folder.

    What is in `folder` already is continued, as a run always is.
    """
    store = folder / f"roi1656-{method}.ome.zarr"
    source = data / "roi1656" / "raw_z001-300.tif"
    if not store.exists():
        hd.convert(source, store, voxel_size=REAL_VOXEL)
    run = folder / f"roi1656-{method}.run"
    result = hd.run(store, run, method=method, workers=workers, progress=False)
    return result.path


def score_real(run: Path, data: Path) -> dict[str, Any]:
    """Scores of a run on the real stack in each range of slices, and a curve a class."""
    facts = read_run(run)
    predicted = predictions_of(Path(facts["labels"]["cells"]).parent)
    scores = score_classes(
        predicted, truth_path(data), CLASSES, slices=RANGES["1-180"], hausdorff=SURFACES
    )
    seconds = {stage: round(value, 1) for stage, value in facts["timings"].items()}
    return {
        "workers": facts["dask"].get("workers"),
        "cores": os.cpu_count(),
        "seconds": {**seconds, "all": round(sum(seconds.values()), 1)},
        "ranges": {
            part: {name: figures(scores.within(*ends)[name]) for name in CLASSES}
            for part, ends in RANGES.items()
        },
        "curves": curves(scores),
    }


def figures(score: ClassScore) -> dict[str, Any]:
    found: dict[str, Any] = {"ji": score.pooled.ji, "ac": score.pooled.ac}
    for ratio in ("ji", "ac"):
        for kind, value in score.summaries()[ratio].items():
            found[f"{ratio}_{kind}"] = value
    found["slices"] = sum(counts.present for counts in score.slices)
    found["hausdorff_mean"], found["hausdorff_95"] = score.surface.mean, score.surface.p95
    return {
        key: None if isinstance(value, float) and np.isnan(value) else round(value, 4)
        for key, value in found.items()
    }


def curves(scores: ClassScores) -> dict[str, list[float | None]]:
    """JI of every slice; None where neither truth nor prediction is."""
    return {
        name: [round(counts.ji, 4) if counts.present else None for counts in scores[name].slices]
        for name in scores.classes
    }


def otsu(data: Path) -> dict[str, Any]:
    """Resin as what is brighter than Otsu's threshold of each slice, blurred by one pixel."""
    truth = tifffile.imread(truth_path(data))
    image = tifffile.imread(data / "roi1656" / "raw_z001-300.tif", key=range(len(truth)))
    blurred = (ndimage.gaussian_filter(plane.astype(np.float32), 1.0) for plane in image)
    resin = np.stack([plane > threshold_otsu(plane) for plane in blurred]).astype(np.uint8)
    scores = score_classes(
        resin, truth, {"background": CLASSES["background"]}, hausdorff=False, voxel_size=REAL_VOXEL
    )
    return {part: figures(scores.within(*ends)["background"]) for part, ends in RANGES.items()}


def phantom_run(folder: Path, method: str, seed: int, workers: int | None = None) -> dict[str, Any]:
    """The demo's phantom with another seed, segmented and matched with its own truth."""
    size = DemoSize(seed=seed)
    store = folder / f"phantom-{seed}.ome.zarr"
    plan = {
        "shape": size.shape,
        "cells": size.cells,
        "diameter": size.diameter,
        "seed": seed,
        "voxel_size": size.voxel_size,
    }
    if not store.exists():
        make_phantom(store, **plan)  # type: ignore[arg-type]
    start = time.perf_counter()
    result = hd.run(
        store,
        folder / f"phantom-{seed}-{method}.run",
        method=method,
        labels=folder / f"phantom-{seed}-{method}.labels",
        workers=workers,
        progress=False,
    )
    seconds = time.perf_counter() - start
    truth = store / "labels"
    figures = complete_scores(
        score_instances(result.label_paths["cells"], truth / "true_cells").matching,
        score_instances(result.label_paths["nuclei"], truth / "true_nuclei").matching,
        true=[cell.label for cell in plan_phantom(**plan).cells if cell.complete],  # type: ignore[arg-type]
        predicted=result.cells.label[result.cells.complete].tolist(),
    )
    return {name: round(value, 4) for name, value in figures.items()} | {
        "seconds": round(seconds, 1)
    }
