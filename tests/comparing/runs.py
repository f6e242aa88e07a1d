"""Small run folders with known cells, written as a run writes them; nothing is segmented."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hela_dask.columns import MEASURES
from hela_dask.running.tables import add_measurements
from hela_dask.steps.measure import measurements
from hela_dask.storage import store
from hela_dask.tasks.versions import versions

__all__ = ["DRAWN", "VOXEL", "draw_cells", "make_group", "make_run"]

VOXEL = (50.0, 40.0, 40.0)
SHAPE = (300, 500, 500)
DRAWN = [name for name in MEASURES if name.endswith(("_volume", "_to_cell")) or "_diam" in name]
DRAWN = [name for name in DRAWN if "max" not in name]  # of cells that are drawn without a shape


def draw_cells(rng: np.random.Generator, count: int, larger: float = 1.0) -> pd.DataFrame:
    """Voxels of the cells of one volume, which share an offset; nuclei that much larger."""
    offset = rng.normal(scale=0.1, size=2)
    nucleus, cell = np.exp(rng.normal(offset, 0.15, (count, 2))).T
    volumes = {
        "nucleus": 600 * larger * nucleus,
        "cell": 2100 * cell,
        "envelope": np.full(count, 40.0) * rng.uniform(0.9, 1.1, count),
    }
    return pd.DataFrame({f"{name}_voxels": _voxels(values) for name, values in volumes.items()})


def _voxels(volumes: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.round(volumes * 1e9 / np.prod(VOXEL)).astype(np.int64)


def make_run(run: Path, drawn: pd.DataFrame, *, cut: int = 0, **facts: Any) -> Path:
    """Write the run of a volume; its last `cut` cells touch the first slice."""
    count = len(drawn)
    counts = drawn.assign(label=np.arange(1, count + 1))
    for axis, side in zip("zyx", SHAPE, strict=True):
        counts[f"{axis}0"], counts[f"{axis}1"] = 1, side - 1
    counts["nucleus_z0"], counts["nucleus_z1"] = 10, 100
    counts.loc[count - cut :, "z0"] = 0
    found = pd.DataFrame({"label": counts["label"], "status": "segmented", "reason": ""})
    found = found.assign(flags="", confidence=0.9, seconds=2.0)
    store.write_table(run / "cells", add_measurements(found, measurements(counts, VOXEL, SHAPE)))
    extent = [side * step for side, step in zip(SHAPE, VOXEL, strict=True)]
    run_id = hashlib.md5(str(run).encode()).hexdigest()
    content = {
        "id": run_id,
        "state": "finished",
        "store": str(run.with_suffix(".ome.zarr")),
        "fingerprint": run_id,
        "method": "unet",
        "network": "",
        "image": {"shape": SHAPE, "voxel_size": VOXEL, "extent": extent},
        "parameters": {"detect": {"spacing": 1000.0}},
        "cells": None,
        "box": None,
        "versions": versions(),
    }
    store.write_json(run / "run.json", content | facts)
    store.write_text(run / "run.id", f"hela_dask run {run_id}\n")
    return run


def make_group(
    folder: Path, name: str, volumes: int, *, seed: int, larger: float = 1.0, cells: int = 8
) -> list[Path]:
    """Runs of several volumes of one kind of cells, two cells more of which are cut."""
    rng = np.random.default_rng(seed)
    return [
        make_run(folder / f"{name}{k}.run", draw_cells(rng, cells + 2, larger), cut=2)
        for k in range(1, volumes + 1)
    ]
