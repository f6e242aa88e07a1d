"""Every figure of docs/methods.md: ``python -m benchmarks.methods --models FOLDER --write``.

All methods on the same labelled slices of the real cell: those without a network, and the networks
that come with the package or have a folder in FOLDER. Rows that were measured before are kept, so
that models may be measured one at a time (``--only NAME``).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import comparison, pages, pictures, results
from benchmarks.comparison import ALONE, COMPARED, PUBLISHED, UNTAUGHT
from benchmarks.runs import RANGES, curves, figures
from benchmarks.stacks import (
    UNSEEN,
    Overrides,
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
from hela_dask.volume.greys import grey_levels, normalise_polarity

__all__ = ["everything", "measure", "reservations", "shipped", "variants"]

CLASSICAL = [name for name in METHODS if not has_network(name)]
SHIPPED = "shipped"
TIMED = 8  # slices that a network is timed on


def measure(
    stack: Stack, method: str, overrides: Overrides | None = None, first: int = 1
) -> dict[str, Any]:
    """One method on a stack: its scores in ranges of slices, a curve per class, and its speed.

    Parameters
    ----------
    stack : Stack
    method : str
        Of :data:`hela_dask.METHODS`.
    overrides : dict, optional
        Parameters other than the defaults, by group and name.
    first : int
        1-based number of the stack's first slice.
    """
    start = time.process_time()
    masks = segment_stack(stack, method=method, overrides=overrides)
    seconds = time.process_time() - start
    scores = agreement(masks, stack, COMPARED)
    return {
        "method": method,
        "measured": results.today(),
        "commit": results.commit(),
        "machine": results.machine(),
        "status": masks.attrs["status"],
        "first": first,
        "ranges": _ranges(scores, first, first + len(stack.image) - 1),
        "curves": curves(scores),
        "megavoxels": stack.image.size / 1e6 / seconds,
    }


def _ranges(scores: ClassScores, first: int, last: int) -> dict[str, Any]:
    """Figures of each range of slices, as far as it was measured."""
    found = {}
    for ends in ((first, last), *RANGES.values(), UNSEEN):
        low, high = max(ends[0], first), min(ends[1], last)
        if low <= high and f"{low}-{high}" not in found:
            part = scores.within(low - first + 1, high - first + 1)
            found[f"{low}-{high}"] = {name: figures(part[name]) for name in COMPARED}
    return found


def _measure_model(stack: Stack, folder: Path, first: int, **overrides: Any) -> dict[str, Any]:
    """The method of a model with some of its parameters, and facts of its card and its files."""
    path, card, _ = find_model(folder)
    method = _method(card)
    given = {method: {"model": str(path), **overrides}}
    network = _network_speed(stack, load_model(path), Parameters.from_dict(given))
    return {
        **measure(stack, method, given, first),
        "architecture": card.architecture,
        "split": card.split.get("kind", ""),
        "learned": list(card.split.get("train", ())),
        "reservations": reservations(card),
        "held_slices": list(card.split.get("validation", ())),
        "training_seconds": card.training.get("seconds"),
        "accelerator": card.training.get("accelerator", ""),
        "network_megavoxels": network,
        "size_mb": round((path / NETWORK).stat().st_size / 1e6, 6),
    }


def _method(card: Card) -> str:
    return "hybrid" if card.channels == "binary" else "unet"


def variants(card: Card) -> dict[str, dict[str, Any]]:
    """Parameters that a model is measured with, by the end of the row's name."""
    if _method(card) == "hybrid":
        return {"": {}, PUBLISHED: {"preset": "published"}}
    if card.architecture == "residual":
        return {"": {}, ALONE: {"membranes": 0.0}}
    return {"": {"membranes": 0.0}}  # a network of the papers, which had nothing else


def _network_speed(stack: Stack, model: Model, parameters: Parameters) -> float:
    """Megavoxels per second and core that the network alone predicts."""
    volume = as_volume(stack.image, stack.voxel)
    levels = grey_levels(volume, parameters.background)
    image = normalise_polarity(volume[:TIMED], levels).values
    greys = (levels.low or 0.0, levels.high or 1.0)
    if model.card.channels == "binary":
        hybrid, pixel = parameters.hybrid, stack.voxel[1:]
        image = np.stack([preprocess_plane(plane, pixel, hybrid) for plane in image])
    list(predict_slices(model, image[:1], stack.voxel, greys))  # it is compiled here
    start = time.process_time()
    for _ in predict_slices(model, image, stack.voxel, greys):
        pass
    return float(image.size / 1e6 / (time.process_time() - start))


def reservations(card: Card) -> list[str]:
    """Why a model is not comparable with the published one; empty where it is."""
    training, recipe = card.training, get_architecture(card.architecture).recipe
    found = []
    pretrained = training.get("pretrained", "")
    if card.channels == "repeated":
        if not pretrained:
            found.append(UNTAUGHT)
        elif pretrained.endswith(".onnx"):
            found.append(f"weights of {Path(pretrained).name}, not known to be those of ImageNet")
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
    """A row per method without a network and per model; those of `only` if any are named."""
    if unknown := set(only) - set(CLASSICAL) - set(models):
        known = ", ".join([*CLASSICAL, *models])
        raise SystemExit(f"there is no {', '.join(sorted(unknown))}; known: {known}")
    rows: dict[str, Any] = {}
    for name in (*CLASSICAL, *models):
        if only and name not in only:
            continue
        if name in models:
            measured = {
                name + end: _measure_model(stack, models[name], first, **overrides)
                for end, overrides in variants(find_model(models[name])[1]).items()
            }
        else:
            measured = {name: measure(stack, name, first=first)}
        for title, row in measured.items():
            _show(title, row)
        rows.update(measured)
    return rows


def _show(title: str, row: Mapping[str, Any]) -> None:
    for part, classes in row["ranges"].items():
        scores = "  ".join(
            f"{key} JI {found['ji']} (slices {found['ji_mean']})" for key, found in classes.items()
        )
        print(f"{title:<16} {part:<8} {scores}", flush=True)


def shipped() -> dict[str, Any]:
    """How good the network that comes with the package is, from its card."""
    _, card, _ = find_model(shipped_folder())
    return {
        "architecture": card.architecture,
        "judged": card.scores["judged"],
        "note": card.notes[-1],
        "command": card.training["command"],
    }


def _whole_command(rows: Mapping[str, Any]) -> str:
    """The command that measures all rows at once."""
    trained = set(rows) - set(CLASSICAL) - {SHIPPED}
    return f"python -m benchmarks.methods {'--models FOLDER ' if trained else ''}--write"


def main() -> None:
    """Measure, print, and with ``--write`` keep."""
    parser = results.parser(__doc__, write="the JSON, the page, its pictures")
    parser.add_argument("--models", type=Path, help="a folder with a folder for each model")
    parser.add_argument("--only", action="append", default=[], help="a method or a model's folder")
    parser.add_argument("--slices", default="1:180", help="1-based, both included")
    parser.add_argument("--json", type=Path, default=results.DOCS / "methods.json")
    parser.add_argument("--page", action="store_true", help="only make the page from the JSON")
    options = parser.parse_args()
    if not options.page:
        first, last = map(int, options.slices.split(":"))
        stack = real_stack(data_folder())
        centre = min(max(stack.centre[0] + 1, first), last)
        measured = everything(
            stack.slices(first, last, centre), _models(options.models), options.only, first
        )
        if options.write:
            kept = results.read(options.json).get("methods", {}).get("rows", {})
            found = {"rows": {**kept, **measured}, "shipped": shipped()}
            results.keep("methods", found, _whole_command(found["rows"]), options.json)
    if options.write or options.page:
        found = results.read(options.json)
        folder = options.json.with_suffix("")
        folder.mkdir(exist_ok=True)
        pictures.curves(comparison.drawn(found["methods"]["rows"]), folder)
        figures = {**pages.load_figures(), "methods": found}
        pages.write("methods", figures, options.json.with_suffix(".md"))


if __name__ == "__main__":
    main()
