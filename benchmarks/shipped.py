"""The model that comes with the package: ``python -m benchmarks.shipped FOLDER --write``.

The recipe is trained twice in FOLDER, hours each on one core, and goes on where it was stopped: on
slices 1-140 of the real stack, which is judged on 151-180, and unchanged on 1-180, which goes into
the package. Its card says which figures are which.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

import hela_dask as hd
from benchmarks.methods import measure
from benchmarks.stacks import REAL_VOXEL, UNSEEN, Stack, data_folder, real_stack
from hela_dask.parameters import Parameters
from hela_dask.unet.card import Card
from hela_dask.unet.model import CARD, find_model, load_model, save_model, shipped_folder

__all__ = ["TRAININGS", "described", "differences", "judge", "trained"]

TRAININGS = {"judged": (1, 140), "shipped": (1, 180)}
"""Slices that the recipe learns from, and those that it holds out to choose the best weights."""
VALIDATION = (141, 150)
PHANTOM: dict[str, Any] = {
    "shape": (200, 512, 512),
    "cells": 4,
    "diameter": 9.0,
    "seed": 1,
    "voxel_size": REAL_VOXEL,
}
LIMIT = 6e6  # bytes that the package may grow by
_UNCHANGED = {
    *("epochs", "steps", "batch", "rate", "optimiser", "seed", "recipe"),
    *("label_values", "mask_weight", "phantom_share", "pretrained"),
}


def trained(folder: Path, name: str, data: Path) -> Path:
    """A training of :data:`TRAININGS`: the folder of its model, made or already there."""
    out, phantom = folder / name, folder / "phantom.ome.zarr"
    if (out / CARD).is_file():
        return out
    if not phantom.exists():
        hd.make_phantom(phantom, **PHANTOM)
    real = data / "roi1656"
    hd.train(
        real / "raw_z001-300.tif",
        real / "labels_all_nuclei_z001-180.tif",
        out,
        voxel_size=REAL_VOXEL,
        slices=TRAININGS[name],
        validation=VALIDATION,
        mask=real / "restored_z001-300.tif",
        instances=real / "labels_z001-180.tif",
        instance_classes={"one": (1, 2, 5), "others": (3,)},
        phantom=phantom,
        progress=True,
    )
    return out


def judge(stack: Stack, model: Path) -> dict[str, float]:
    """JI of a model on the slices that it is judged on, pooled."""
    first, last = UNSEEN
    unseen = stack.slices(first, last, (first + last) // 2)
    row = measure(unseen, "unet", Parameters.from_dict({"unet": {"model": str(model)}}), first)
    found = row["ranges"][f"{first}-{last}"]
    return {f"ji_{name}": figures["ji"] for name, figures in found.items()}


def differences(judged: Card, shipped: Card) -> list[str]:
    """What of the recipe is not the same in both; nothing should be."""
    found = [name for name in _UNCHANGED if judged.training.get(name) != shipped.training.get(name)]
    found += [
        name
        for name in ("architecture", "classes", "extra", "voxel_size", "slices", "channels")
        if getattr(judged, name) != getattr(shipped, name)
    ]
    return found


def described(shipped: Card, judged: Card, scores: dict[str, float]) -> Card:
    """The card of the model that ships, with the figures of the one that was judged."""
    (low, high), (first, last) = judged.split["train"][0], VALIDATION
    note = (
        f"validation_* and ji_* are of this model, on slices {first}-{last}, by which its weights "
        f"were chosen. judged is of the same recipe trained on slices {low}-{high}: the nucleus "
        f"and the cell with it in slices {UNSEEN[0]}-{UNSEEN[1]}, which it never saw. This model "
        "has learned from those, so that it has no figure of its own for them."
    )
    command = "python -m benchmarks.shipped FOLDER --write"
    return replace(
        shipped,
        scores={**shipped.scores, "judged": scores},
        training={**shipped.training, "command": command},
        notes=(*shipped.notes, note),
    )


def ship(model: Path, card: Card, out: Path) -> None:
    """Put a model into the package, with another card."""
    history = pd.read_csv(model / "history.csv")
    save_model(out, load_model(model).network, card, history)
    shutil.copyfile(model / "curves.png", out / "curves.png")
    size = sum(file.stat().st_size for file in out.iterdir())
    print(f"{out}: {size / 1e6:.2f} MB")
    if size > LIMIT:
        raise SystemExit(f"the model takes {size / 1e6:.1f} MB, more than {LIMIT / 1e6:g}")


def main() -> None:
    """Train what is not there, judge, print, and with ``--write`` ship."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="of the two trainings and their phantom")
    parser.add_argument("--write", action="store_true", help="into the package")
    options = parser.parse_args()
    data, folder = data_folder(), options.folder
    folder.mkdir(parents=True, exist_ok=True)
    models = {name: trained(folder, name, data) for name in TRAININGS}
    judged, shipped = (find_model(model)[1] for model in models.values())
    if changed := differences(judged, shipped):
        sys.exit(f"the two trainings differ in {', '.join(changed)}")
    scores = judge(real_stack(data), models["judged"])
    print("  ".join(f"{name} {value:.4f}" for name, value in scores.items()))
    if options.write:
        ship(models["shipped"], described(shipped, judged, scores), shipped_folder())


if __name__ == "__main__":
    # One thread: with others, sums are taken in another order and the weights are not the same.
    for variable in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ[variable] = "1"
    main()
