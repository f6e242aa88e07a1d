"""The model that comes with the package: ``python -m benchmarks.shipped FOLDER --write``.

The recipe is trained twice in FOLDER, three to four hours each on one core, and continues where it
was stopped: on slices 61-129 of the real stack, which is evaluated on both ends, 1-60 and 130-180,
and unchanged on 1-180, which goes into the package. Its card names the model of each figure.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

import hela_dask as hd
from benchmarks import results
from benchmarks.methods import measure
from benchmarks.stacks import (
    REAL_VOXEL,
    Stack,
    data_folder,
    raw_path,
    real_stack,
    truth_path,
)
from hela_dask.unet.card import Card
from hela_dask.unet.model import CARD, NETWORK, find_model, save_model, shipped_folder

__all__ = ["LIMIT", "described", "differences"]

TRAININGS = {"judged": (61, 129), "shipped": (1, 180)}
"""Slices that the recipe learns from, and those that it holds out to choose the best weights."""
VALIDATION = (91, 99)
JUDGED = ((1, 60), (130, 180))
"""Slices that evaluate the first training, which learns no class of them: one pole of the nucleus,
and more than its middle."""
PHANTOM: dict[str, Any] = {
    "shape": (200, 512, 512),
    "cells": 4,
    "diameter": 9.0,
    "seed": 1,
    "voxel_size": REAL_VOXEL,
}
COMMAND = "python -m benchmarks.shipped FOLDER --write"
LIMIT = 6e6  # bytes that the package may grow by
_SAME_TRAINING = (
    *("epochs", "steps", "batch", "rate", "optimiser", "seed", "recipe"),
    *("label_values", "mask_weight", "phantom_share", "pretrained"),
)
_SAME_CARD = ("architecture", "classes", "extra", "voxel_size", "slices", "channels")


def _trained(folder: Path, name: str, data: Path) -> Path:
    """A training of :data:`TRAININGS`: the folder of its model, made or already there."""
    out, phantom = folder / name, folder / "phantom.ome.zarr"
    if (out / CARD).is_file():
        return out
    if not phantom.exists():
        hd.make_phantom(phantom, **PHANTOM)
    real = data / "roi1656"
    hd.train(
        raw_path(data),
        real / "labels_all_nuclei_z001-180.tif",
        out,
        voxel_size=REAL_VOXEL,
        slices=TRAININGS[name],
        validation=VALIDATION,
        mask=real / "restored_z001-300.tif",
        instances=truth_path(data),
        instance_classes={"one": (1, 2, 5), "others": (3,)},
        phantom=phantom,
        progress=True,
    )
    return out


def _evaluate(stack: Stack, model: Path) -> dict[str, dict[str, float]]:
    """Pooled JI of a model on slices that it did not learn from."""
    given, scores = {"unet": {"model": str(model)}}, {}
    for first, last in JUDGED:
        unseen = stack.slices(first, last, (first + last) // 2)
        found = measure(unseen, "unet", given, first)["ranges"][f"{first}-{last}"]
        scores[f"{first}-{last}"] = {f"ji_{name}": known["ji"] for name, known in found.items()}
    return scores


def differences(scored: Card, shipped: Card) -> list[str]:
    """Parts of the recipe that the two trainings do not share; there should be none."""
    trainings = scored.training, shipped.training
    return [
        *(name for name in _SAME_TRAINING if trainings[0].get(name) != trainings[1].get(name)),
        *(name for name in _SAME_CARD if getattr(scored, name) != getattr(shipped, name)),
    ]


def described(shipped: Card, scored: Card, scores: dict[str, dict[str, float]]) -> Card:
    """The card of the model that ships, with the figures of the one that was evaluated."""
    (first, last), parts = VALIDATION, scored.split["train"]
    ends = " and ".join(f"{low}-{high}" for low, high in JUDGED)
    note = (
        f"validation_* and ji_* are of this model, on slices {first}-{last}, by which its weights "
        f"were chosen. `judged` is of the same recipe trained on slices {parts[0][0]}-"
        f"{parts[-1][1]}: the nucleus and the cell with it in slices {ends}, of which it learned "
        "no class. Patches that are cut across slices showed it grey values of these slices. "
        "This model was trained on these slices, so it has no such score for them."
    )
    return replace(
        shipped,
        scores={**shipped.scores, "judged": scores},
        training={**shipped.training, "command": COMMAND},
        notes=(*shipped.notes, note),
    )


def _ship(model: Path, card: Card, out: Path) -> None:
    """Put a model into the package, with another card."""
    history = pd.read_csv(model / "history.csv")
    save_model(out, (model / NETWORK).read_bytes(), card, history)
    shutil.copyfile(model / "curves.png", out / "curves.png")
    size = sum(file.stat().st_size for file in out.iterdir())
    print(f"{out}: {size / 1e6:.2f} MB")
    if size > LIMIT:
        raise SystemExit(f"the model takes {size / 1e6:.1f} MB, more than {LIMIT / 1e6:g}")


def main() -> None:
    """Train the models that are missing, evaluate, print, and with ``--write`` ship."""
    parser = results.parser(__doc__, write="into the package")
    parser.add_argument("folder", type=Path, help="of the two trainings and their phantom")
    options = parser.parse_args()
    data, folder = data_folder(), options.folder
    folder.mkdir(parents=True, exist_ok=True)
    models = {name: _trained(folder, name, data) for name in TRAININGS}
    scored, shipped = (find_model(model)[1] for model in models.values())
    if changed := differences(scored, shipped):
        sys.exit(f"the two trainings differ in {', '.join(changed)}")
    scores = _evaluate(real_stack(data), models["judged"])
    for part, values in scores.items():
        print(part, "  ".join(f"{name} {value:.4f}" for name, value in values.items()))
    if options.write:
        _ship(models["shipped"], described(shipped, scored, scores), shipped_folder())


if __name__ == "__main__":
    # One thread: with others, sums are taken in another order and the weights are not the same.
    for variable in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ[variable] = "1"
    main()
