"""The effect of each step: the same cell again with one step turned off."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from benchmarks.measuring import side_by_side
from benchmarks.stacks import Overrides, Stack, agreement, known_results, segment_stack
from hela_dask.methods.names import DEFAULT_METHOD
from hela_dask.running.scoring import CLASSES

__all__ = ["STEPS", "ablation"]

STEPS: tuple[tuple[str, Overrides], ...] = (
    ("the network alone", {"unet": {"membranes": 0.0}}),
    ("membranes have twice the weight", {"unet": {"membranes": 2.0}}),
    ("the network sees slices 100 nm apart", {"unet": {"spacing": 100.0}}),
    ("membranes are seen in the plane only", {"volumetric": {"sheet_sigma": 0.0}}),
    ("slices are not equalised", {"volumetric": {"slow": 1.0}}),
    ("the widest clearance is the only one", {"volumetric": {"narrowest": 300.0}}),
    ("leaks are not separated from lobes", {"volumetric": {"density": 1.0}}),
    ("every hole in the nucleus is kept", {"volumetric": {"hole": 0.0}}),
    ("every hole in the nucleus is filled", {"volumetric": {"hole": 1e6}}),
    ("the core is the nucleus", {"volumetric": {"inside": 0.0, "outside": 0.0}}),
    ("touching cells are not separated", {"volumetric": {"saddle": 1e6}}),
    ("parts behind a neck belong to the cell", {"volumetric": {"neck": 0.0}}),
    ("no majority along z for the cell", {"volumetric": {"smoothing": 0.0}}),
    ("grey levels of each slice alone", {"background": {"levels": 0.0}}),
    ("resin begins half-way to its grey value", {"background": {"contrast": 0.5}}),
    ("charging artefacts are cells", {"background": {"contact": 1.0}}),
    (
        "small pieces are left as they are",
        {"background": {"smallest_fragment": 0.0, "smallest_gap": 0.0}},
    ),
    ("no majority along z for the resin", {"background": {"smoothing": 0.0}}),
)
"""The disabled steps, and the parameters that disable them, by stage."""


def ablation(
    stack: Stack,
    steps: Sequence[tuple[str, Overrides]] = STEPS,
    *,
    method: str = DEFAULT_METHOD,
    processes: int = 1,
) -> list[dict[str, Any]]:
    """JI of every class with all steps, and without each; printed too.

    Returns
    -------
    list of dict
        A row each: ``step``, ``overrides``, a pooled JI for each class, and ``nucleus_slices``,
        the mean over slices of the nucleus.
    """
    known = known_results(stack, method)
    tried: list[tuple[str, Overrides]] = [("all steps", {}), *steps]
    found = side_by_side(
        partial(_scored, stack, method, known), [overrides for _, overrides in tried], processes
    )
    rows = []
    for (name, overrides), row in zip(tried, found, strict=True):
        print(f"{name:<44}" + "".join(f"{value:>9.4f}" for value in row.values()), flush=True)
        rows.append({"step": name, "overrides": overrides, **row})
    return rows


def _scored(stack: Stack, method: str, known: xr.Dataset, overrides: Overrides) -> dict[str, float]:
    """JI of every class with some parameters."""
    classes = {key: values for key, values in CLASSES.items() if np.isin(values, stack.truth).any()}
    masks = segment_stack(stack, method=method, overrides=overrides, known=known)
    masks["cytoplasm"] = masks["cell"] & ~masks["nucleus"]
    scores = agreement(masks, stack, classes)
    row = {key: round(scores[key].pooled.ji, 4) for key in classes}
    return {**row, "nucleus_slices": round(scores["nucleus"].summaries()["ji"]["mean"], 4)}
