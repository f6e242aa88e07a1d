"""Whole runs with default parameters, on the real cell and on phantoms, and their scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

import hela_dask as hd
from benchmarks.measuring import timed
from benchmarks.stacks import REAL_VOXEL, raw_path, real_stack, truth_path
from hela_dask.demo import DemoSize, complete_scores
from hela_dask.evaluation.evaluate import score_classes, score_instances
from hela_dask.evaluation.predictions import predictions_of
from hela_dask.evaluation.scores import ClassScore, ClassScores
from hela_dask.phantom import make_phantom, plan_phantom
from hela_dask.running.provenance import read_run
from hela_dask.running.scoring import CLASSES

__all__ = ["RANGES", "curves", "figures", "otsu", "phantom_run", "predictions", "real_run"]
__all__ += ["score_real"]

SURFACES = ("nucleus", "cell")

# All labelled slices; the lower pole of the cell; the rest.
RANGES = {"1-180": (1, 180), "1-74": (1, 74), "75-180": (75, 180)}


def real_run(data: Path, folder: Path, method: str, workers: int | None = None) -> Path:
    """The real stack converted and segmented with default parameters; the run folder.

    A run that is in `folder` already is continued.
    """
    store = folder / f"roi1656-{method}.ome.zarr"
    if not store.exists():
        hd.convert(raw_path(data), store, voxel_size=REAL_VOXEL)
    run = folder / f"roi1656-{method}.run"
    return hd.run(store, run, method=method, workers=workers, progress=False).path


def predictions(run: Path) -> Mapping[str, Path]:
    """The label groups of a run by class."""
    return predictions_of(hd.open_run(run).label_paths["cells"].parent)


def score_real(run: Path, data: Path) -> dict[str, Any]:
    """Scores of a run on the real stack in each range of slices, and a curve per class."""
    facts = read_run(run)
    scores = score_classes(
        predictions(run), truth_path(data), CLASSES, slices=RANGES["1-180"], hausdorff=SURFACES
    )
    seconds = {stage: round(value, 1) for stage, value in facts["timings"].items()}
    return {
        "workers": facts["dask"].get("workers"),
        "seconds": {**seconds, "all": round(sum(seconds.values()), 1)},
        "ranges": {
            part: {name: figures(scores.within(*ends)[name]) for name in CLASSES}
            for part, ends in RANGES.items()
        },
        "curves": curves(scores),
    }


def figures(score: ClassScore) -> dict[str, Any]:
    """Pooled JI and AC, their summaries over slices, and distances of the surfaces in nm."""
    found: dict[str, Any] = {"ji": score.pooled.ji, "ac": score.pooled.ac}
    for ratio in ("ji", "ac"):
        for kind, value in score.summaries()[ratio].items():
            found[f"{ratio}_{kind}"] = value
    found["slices"] = sum(counts.present for counts in score.slices)
    found["hausdorff_mean"], found["hausdorff_95"] = score.surface.mean, score.surface.p95
    return {key: None if math.isnan(value) else round(value, 4) for key, value in found.items()}


def curves(scores: ClassScores) -> dict[str, list[float | None]]:
    """JI of every slice; None where neither truth nor prediction is."""
    return {
        name: [round(counts.ji, 4) if counts.present else None for counts in scores[name].slices]
        for name in scores.classes
    }


def otsu(data: Path) -> dict[str, Any]:
    """Resin as all pixels above Otsu's threshold of each slice (sigma 1 pixel); printed too."""
    stack = real_stack(data)
    blurred = (ndimage.gaussian_filter(plane.astype(np.float32), 1.0) for plane in stack.image)
    resin = np.stack([plane > threshold_otsu(plane) for plane in blurred]).astype(np.uint8)
    classes = {"background": CLASSES["background"]}
    scores = score_classes(resin, stack.truth, classes, hausdorff=False, voxel_size=REAL_VOXEL)
    found = {part: figures(scores.within(*ends)["background"]) for part, ends in RANGES.items()}
    print(f"Otsu, background: {found['1-180']['ji']:.4f}", flush=True)
    return found


def phantom_run(folder: Path, method: str, seed: int, workers: int | None = None) -> dict[str, Any]:
    """The demo's phantom with another seed, segmented and matched with its own truth."""
    size: dict[str, Any] = asdict(DemoSize(seed=seed))
    store, name = folder / f"phantom-{seed}.ome.zarr", f"phantom-{seed}-{method}"
    if not store.exists():
        make_phantom(store, **size)
    seconds, result = timed(
        lambda: hd.run(
            store,
            folder / f"{name}.run",
            method=method,
            labels=folder / f"{name}.labels",
            workers=workers,
            progress=False,
        )
    )
    truth = store / "labels"
    found = complete_scores(
        score_instances(result.label_paths["cells"], truth / "true_cells").matching,
        score_instances(result.label_paths["nuclei"], truth / "true_nuclei").matching,
        true=[cell.label for cell in plan_phantom(**size).cells if cell.complete],
        predicted=result.cells.label[result.cells.complete].tolist(),
    )
    return {**{key: round(value, 4) for key, value in found.items()}, "seconds": round(seconds, 1)}
