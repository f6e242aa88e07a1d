"""The effect of each step: the same cell again with one step turned off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.stacks import Stack, agreement, segment_stack
from hela_dask.methods.names import DEFAULT_METHOD
from hela_dask.parameters import Parameters
from hela_dask.running.scoring import CLASSES

__all__ = ["STEPS", "ablation"]

Overrides = dict[str, dict[str, Any]]

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
) -> list[dict[str, Any]]:
    """JI of every class with all steps, and without each; printed too.

    Returns
    -------
    list of dict
        A row each: ``step``, ``overrides``, a pooled JI for each class, and ``nucleus_slices``,
        the mean over slices of the nucleus.
    """
    rows = []
    resin = None
    classes = {key: values for key, values in CLASSES.items() if np.isin(values, stack.truth).any()}
    for name, overrides in (("all steps", {}), *steps):
        masks = segment_stack(
            stack,
            method=method,
            parameters=Parameters.from_dict(overrides),
            resin=None if "background" in overrides else resin,
        )
        # The first row has all steps, and so the resin of every row that does not change it.
        resin = masks["background"] if resin is None else resin
        masks["cytoplasm"] = masks["cell"] & ~masks["nucleus"]
        scores = agreement(masks, stack, classes)
        row = {key: round(scores[key].pooled.ji, 4) for key in classes}
        row["nucleus_slices"] = round(scores["nucleus"].summaries()["ji"]["mean"], 4)
        print(f"{name:<44}" + "".join(f"{value:>9.4f}" for value in row.values()), flush=True)
        rows.append({"step": name, "overrides": overrides, **row})
    return rows
