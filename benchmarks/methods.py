"""Every figure of docs/methods.md: ``python -m benchmarks.methods --models FOLDER --write``.

All methods on the same labelled slices of the real cell: the classical ones, and those with a
network that comes with the package or has a folder in FOLDER. What was measured before is kept, so
that models may be measured one at a time (``--only NAME``).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import methods_page, pictures
from benchmarks.methods_page import ALONE, PUBLISHED, UNTAUGHT
from benchmarks.results import DOCS, commit, keep, read, today
from benchmarks.runs import RANGES, curves, figures
from benchmarks.stacks import (
    UNSEEN,
    Stack,
    agreement,
    as_volume,
    data_folder,
    real_stack,
    segment_stack,
)
from hela_dask.evaluation.scores import ClassScores
from hela_dask.kernels.edges import preprocess_plane
from hela_dask.methods.names import METHODS
from hela_dask.methods.registry import has_network
from hela_dask.parameters import Parameters
from hela_dask.unet.architectures import get_architecture
from hela_dask.unet.card import Card
from hela_dask.unet.inference import predict_slices
from hela_dask.unet.model import NETWORK, Model, find_model, load_model, shipped_folder
from hela_dask.volume.greys import grey_levels, upright_volume

__all__ = [
    "SCORED",
    "measure",
    "measure_model",
    "reservations",
    "shipped",
    "variants",
    "whole_command",
]

CLASSICAL = [name for name in METHODS if not has_network(name)]

SCORED: dict[str, tuple[int, ...]] = {"nucleus": (2,), "cell": (1, 2, 5)}
SHIPPED = "shipped"
TIMED = 8  # slices that a network is timed on


def measure(
    stack: Stack, method: str, parameters: Parameters | None = None, first: int = 1
) -> dict[str, Any]:
    """One method on a stack: its scores in ranges of slices, a curve a class, and its speed.

    Parameters
    ----------
    stack : Stack
    method : str
        Of :data:`hela_dask.METHODS`.
    parameters : Parameters, optional
    first : int
        1-based number of the stack's first slice.
    """
    start = time.process_time()
    masks = segment_stack(stack, method=method, parameters=parameters)
    seconds = time.process_time() - start
    scores = agreement(masks, stack, SCORED)
    last = first + len(stack.image) - 1
    return {
        "method": method,
        "measured": today(),
        "commit": commit(),
        "status": masks.attrs["status"],
        "first": first,
        "ranges": _ranges(scores, first, last),
        "curves": curves(scores),
        "megavoxels": stack.image.size / 1e6 / seconds,
    }


def _ranges(scores: ClassScores, first: int, last: int) -> dict[str, Any]:
    """Figures of each range of slices, as far as it is there."""
    found = {}
    for ends in ((first, last), *RANGES.values(), UNSEEN):
        low, high = max(ends[0], first), min(ends[1], last)
        if low <= high and f"{low}-{high}" not in found:
            part = scores.within(low - first + 1, high - first + 1)
            found[f"{low}-{high}"] = {name: figures(part[name]) for name in SCORED}
    return found


def measure_model(stack: Stack, folder: Path, first: int = 1, **knobs: Any) -> dict[str, Any]:
    """The method of a model with some of its knobs, and what its card and its files say."""
    path, card, _ = find_model(folder)
    method = _method(card)
    parameters = Parameters.from_dict({method: {"model": str(path), **knobs}})
    model = load_model(path)
    network = _network_speed(stack, model, parameters)
    row = measure(stack, method, parameters, first)
    return {
        **row,
        "architecture": card.architecture,
        "split": card.split.get("kind", ""),
        "learned": list(card.split.get("train", ())),
        "reservations": reservations(card),
        "held_slices": list(card.split.get("validation", ())),
        "training_seconds": card.training.get("seconds"),
        "network_megavoxels": network,
        "size_mb": round((path / NETWORK).stat().st_size / 1e6, 3),
    }


def _method(card: Card) -> str:
    return "hybrid" if card.channels == "binary" else "unet"


def variants(card: Card) -> dict[str, dict[str, Any]]:
    """What is added to the name of a model's row, and the knobs that it is measured with."""
    if _method(card) == "hybrid":
        return {"": {}, PUBLISHED: {"preset": "published"}}
    if card.architecture == "residual":
        return {"": {}, ALONE: {"membranes": 0.0}}
    return {"": {"membranes": 0.0}}  # a network of the papers, which had nothing else


def _network_speed(stack: Stack, model: Model, parameters: Parameters) -> float:
    """Megavoxels that the network alone tells in a second of a core."""
    volume = as_volume(stack.image, stack.voxel)
    levels = grey_levels(volume, parameters.background)
    image = upright_volume(volume[:TIMED], levels).values
    greys = (levels.low or 0.0, levels.high or 1.0)
    if model.card.channels == "binary":
        knobs, pixel = parameters.hybrid, stack.voxel[1:]
        image = np.stack([preprocess_plane(plane, pixel, knobs) for plane in image])
    list(predict_slices(model, image[:1], stack.voxel, greys))  # it is compiled here
    start = time.process_time()
    for _ in predict_slices(model, image, stack.voxel, greys):
        pass
    return float(image.size / 1e6 / (time.process_time() - start))


def reservations(card: Card) -> list[str]:
    """Why a model is not comparable with what was published; empty where it is."""
    training, recipe = card.training, get_architecture(card.architecture).recipe
    found = []
    if card.channels == "repeated" and not training.get("pretrained"):
        found.append(UNTAUGHT)
    epochs = int(training.get("epochs", 0))
    waited = epochs - int(training.get("best_epoch", epochs))
    ended = recipe.patience > 0 and waited >= recipe.patience  # as the recipe has it
    if epochs < recipe.epochs and not ended:
        found.append(f"{epochs} of {recipe.epochs} epochs")
    shown, wanted = training.get("patches_an_epoch", 0), training.get("patches_of_recipe", 0)
    if shown < wanted:
        found.append(f"{shown:,} of {wanted:,} patches an epoch")
    return found


def _models(folder: Path | None) -> dict[str, Path]:
    """Folders of models, by name; with the one of the package."""
    models = {SHIPPED: shipped_folder()}
    if folder is None:
        return models
    if not folder.is_dir():
        raise SystemExit(f"{folder} is not a folder of models")
    found = {path.parent.name: path.parent for path in sorted(folder.glob(f"*/{NETWORK}"))}
    return {**models, **found}


def everything(
    stack: Stack, models: Mapping[str, Path], only: Sequence[str], first: int
) -> dict[str, Any]:
    """A row a method that needs no network, and a row a model; those of `only` if any are named."""
    unknown = set(only) - set(CLASSICAL) - set(models)
    if unknown:
        known = ", ".join([*CLASSICAL, *models])
        raise SystemExit(f"there is no {', '.join(sorted(unknown))}; known: {known}")
    rows: dict[str, Any] = {}
    for name in (*CLASSICAL, *models):
        if only and name not in only:
            continue
        if name in models:
            measured = {
                name + more: measure_model(stack, models[name], first, **knobs)
                for more, knobs in variants(find_model(models[name])[1]).items()
            }
        else:
            measured = {name: measure(stack, name, first=first)}
        for title, row in measured.items():
            _tell(title, row)
        rows.update(measured)
    return rows


def shipped() -> dict[str, Any]:
    """What the card of the network that comes with the package says of how good it is."""
    _, card, _ = find_model(shipped_folder())
    return {
        "architecture": card.architecture,
        "judged": card.scores["judged"],
        "note": card.notes[-1],
        "command": card.training["command"],
    }


def _tell(title: str, row: Mapping[str, Any]) -> None:
    for part, classes in row["ranges"].items():
        told = "  ".join(
            f"{key} JI {found['ji']} (slices {found['ji_mean']})" for key, found in classes.items()
        )
        print(f"{title:<16} {part:<8} {told}", flush=True)


def parse() -> argparse.Namespace:
    """What was typed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=Path, help="a folder with a folder for each model")
    parser.add_argument("--only", action="append", default=[], help="a method or a model's folder")
    parser.add_argument("--slices", default="1:180", help="1-based, both included")
    parser.add_argument("--json", type=Path, default=DOCS / "methods.json")
    parser.add_argument("--write", action="store_true", help="the JSON, the page, its pictures")
    parser.add_argument("--page", action="store_true", help="only make the page from the JSON")
    return parser.parse_args()


def whole_command(rows: Mapping[str, Any]) -> str:
    """What measures all that is kept at once, in whatever parts it was measured."""
    trained = set(rows) - set(CLASSICAL) - {SHIPPED}
    return " ".join(
        ["python -m benchmarks.methods", *(["--models FOLDER"] if trained else []), "--write"]
    )


def main() -> None:
    """Measure, print, and with ``--write`` keep."""
    options = parse()
    kept = read(options.json).get("methods", {})
    rows = kept.get("rows", {})
    if not options.page:
        first, last = (int(end) for end in options.slices.split(":"))
        stack = real_stack(data_folder())
        centre = min(max(stack.centre[0] + 1, first), last)
        stack = stack.slices(first, last, centre)
        rows = {**rows, **everything(stack, _models(options.models), options.only, first)}
        if options.write:
            found = {"rows": rows, "shipped": shipped()}
            keep("methods", found, whole_command(rows), options.json)
    if options.write or options.page:
        folder = options.json.with_suffix("")
        folder.mkdir(exist_ok=True)
        pictures.curves(methods_page.drawn(rows), folder)
        phantoms = read(DOCS / "accuracy.json").get("phantoms", {})
        text = methods_page.render(read(options.json)["methods"], phantoms)
        options.json.with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
