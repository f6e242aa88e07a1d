"""What each step adds: the same cell again with one step turned off."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.stacks import Stack, agreement, segment_stack
from hela_dask.methods import DEFAULT_METHOD
from hela_dask.parameters import Parameters
from hela_dask.running.scoring import CLASSES

__all__ = ["STEPS", "Overrides", "ablation"]

Overrides = dict[str, dict[str, Any]]

STEPS: tuple[tuple[str, Overrides], ...] = ()
"""What is turned off, and the knobs that do it, by stage."""


def ablation(
    stack: Stack,
    steps: Sequence[tuple[str, Overrides]] = STEPS,
    *,
    method: str = DEFAULT_METHOD,
    tell: Callable[[str], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """JI of every class with all steps, and without each; per-slice mean of the nucleus.

    Returns
    -------
    list of dict
        A row each: ``step``, ``overrides``, a pooled JI for each class, ``nucleus_slices``,
        ``seconds``.
    """
    rows = []
    classes = {key: values for key, values in CLASSES.items() if np.isin(values, stack.truth).any()}
    for name, overrides in (("all steps", {}), *steps):
        start = time.perf_counter()
        masks = segment_stack(stack, method=method, parameters=Parameters.from_dict(overrides))
        seconds = time.perf_counter() - start
        masks["cytoplasm"] = masks["cell"] & ~masks["nucleus"]
        scores = agreement(masks, stack, classes)
        row = {key: round(scores[key].pooled.ji, 4) for key in classes}
        row["nucleus_slices"] = round(scores["nucleus"].summaries()["ji"]["mean"], 4)
        tell(f"{name:<44}" + "".join(f"{value:>9.4f}" for value in row.values()))
        rows.append({"step": name, "overrides": overrides, **row, "seconds": round(seconds, 1)})
    return rows
