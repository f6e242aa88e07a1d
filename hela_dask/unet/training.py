"""train: from an image and its labels to a model's folder."""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.errors import ExistsError, ParameterError
from hela_dask.storage.contents import foreign_names, remove_files
from hela_dask.storage.files import remove_folder, storage_errors
from hela_dask.storage.metadata import local_path
from hela_dask.storage.places import check_apart, enclosing_store, resolved
from hela_dask.tasks.progress import RunProgress
from hela_dask.tasks.versions import versions
from hela_dask.unet.ahead import PatchesAhead, check_processes, default_processes
from hela_dask.unet.architectures import Architecture, Recipe, get_architecture
from hela_dask.unet.architectures.weights import IMAGENET
from hela_dask.unet.backend import accelerator, keras
from hela_dask.unet.card import Card
from hela_dask.unet.curves import draw_curves
from hela_dask.unet.engine import check_installed
from hela_dask.unet.export import check_onnx, to_onnx
from hela_dask.unet.fitting import STATE_FILES, Fit, ValidationScores, evaluate_network
from hela_dask.unet.losses import make_loss
from hela_dask.unet.model import FILES, Model, holds_model, load_model, save_model
from hela_dask.unet.patches import Patches
from hela_dask.unet.targets import class_weights
from hela_dask.unet.training_data import (
    DataRequest,
    TrainingData,
    open_training_data,
    source_fingerprint,
)

__all__ = ["train", "unfinished"]

log = logging.getLogger(__name__)

_METHOD = ("optimiser", "schedule", "patience", "weighting", "augmentation", "placing", "dice")
_WHOLE = "model"  # in the folder of the unfinished training, until it is whole


def unfinished(out: str | Path) -> Path:
    """Path of the state of an unfinished training."""
    out = Path(out)
    return out.with_name(f"{out.name}.training")


def train(
    store: Any,
    labels: Any,
    out: str | Path,
    *,
    model: str | Architecture = "residual",
    classes: Mapping[str, Sequence[int]] | None = None,
    slices: tuple[int, int] | None = None,
    validation: tuple[int, int] | float | None = None,
    split: str = "blocks",
    mask: Any = None,
    mask_weight: float = 0.0,
    instances: Any = None,
    instance_classes: Mapping[str, Sequence[int]] | None = None,
    phantom: str | Path | None = None,
    phantom_share: float = 0.15,
    epochs: int | None = None,
    steps: int | None = None,
    batch: int | None = None,
    rate: float | None = None,
    seed: int = 0,
    weights: str | Path | None = None,
    voxel_size: tuple[float, float, float] | None = None,
    overwrite: bool = False,
    processes: int | None = None,
    progress: bool = False,
) -> Model:
    """Train a network on labelled slices, and keep it in a folder.

    Patches are read from the store a few blocks at a time, and are the same for a seed whatever the
    store's chunks. After each epoch the state is kept beside `out`: the same call again continues
    there, to the same weights. The weights of the epoch with the best validation score are kept:
    the mean over the classes of the intersection over union.

    Parameters
    ----------
    store : path or DataArray
        The image: an OME-Zarr, a TIFF stack, or a volume from :func:`~hela_dask.open_volume`.
    labels : path or array
        An OME-Zarr label group, a TIFF, a ``.npy`` or an array; slice k is slice k of the image,
        the pixels are the image's or a whole number of times finer. 0 is not labelled.
    out : path
        Folder of the model; made here.
    model : str or Architecture
        ``residual`` (this package's), ``unet``, ``vgg16``, ``resnet18``,
        ``inception-resnet-v2``, or ``hybrid``.
    classes : mapping of str to sequence of int, optional
        Which label values are which class; default: as published. A value of no class is an error.
    slices : (first, last), optional
        1-based, for training; needed where the image has more slices than the labels.
    validation : (first, last) or float, optional
        Slices held out, or their share; default: the last tenth.
    split : str
        ``blocks``, or ``random``: single slices held out, between training slices.
    mask : path or array, optional
        Where it is not 0, the weight of classes is `mask_weight`.
    mask_weight : float
        0 to 1.
    instances : path or array, optional
        Labels that separate cells, for a model that learns contacts and distances; default:
        `labels`, if they are as published (one cell is {1, 2, 5}, 3 are others).
    instance_classes : mapping, optional
        ``one``: values that together are one cell; ``others``: values of cells that are not
        separated. Default: each value but 0 is a cell.
    phantom : path, optional
        A store that :func:`~hela_dask.make_phantom` wrote, mixed in.
    phantom_share : float
        Of the patches.
    epochs, steps, batch : int, optional
        Default: the architecture's recipe.
    rate : float, optional
        Learning rate.
    seed : int
    weights : path, optional
        An ``.onnx`` file of a trained model, a ``.keras`` or an ``.h5`` file to start from;
        ``imagenet`` to download.
    voxel_size : (z, y, x) in nm, optional
        Of an image without a voxel size.
    overwrite : bool
        Replace a model in `out`, or an unfinished training with other arguments. Files that
        this function did not write are never removed.
    processes : int, optional
        Processes that make patches; 0: threads of this process. Default: 0 where the network learns
        on the CPU, else one per core but one, 16 at most. The patches are the same for any number.
    progress : bool
        Show a bar on a terminal.

    Returns
    -------
    Model

    Raises
    ------
    MissingDependencyError
        Without Keras, ONNX, and the library that ``KERAS_BACKEND`` names (default: TensorFlow).
    MissingInputError, InputError, ParameterError
        For a file that is not there, labels that do not fit the image or the classes, an empty
        split, an argument that makes no sense.
    ExistsError
        When `out` holds something already.

    Examples
    --------
    >>> import hela_dask as hd
    >>> hd.train("hela.ome.zarr", "labels.tif", "my-model", slices=(1, 180))  # doctest: +SKIP
    """
    architecture = model if isinstance(model, Architecture) else get_architecture(model)
    published = architecture.recipe
    architecture = _adjusted(
        architecture, {"epochs": epochs, "steps": steps, "batch": batch, "rate": rate}
    )
    request = DataRequest(
        *(store, labels, classes, slices, validation, split, mask, mask_weight),
        *(instances, instance_classes, phantom, phantom_share, voxel_size, seed),
    )
    if processes is not None:
        check_processes(processes)
    keras()
    check_onnx()
    check_installed()  # the trained network is loaded
    out = local_path(out)
    _check_place(out, store)
    _check_out(out, overwrite)
    training_data = open_training_data(architecture, request)
    if processes is None:
        processes = default_processes(accelerator=bool(accelerator()))
    return _Training(architecture, published, training_data, out, weights, seed, processes).run(
        overwrite=overwrite, progress=progress
    )


def _adjusted(architecture: Architecture, wanted: Mapping[str, Any]) -> Architecture:
    """With the requested values instead of the recipe's."""
    given = {name: value for name, value in wanted.items() if value is not None}
    for name, value in given.items():
        if not 0 < value < np.inf:
            raise ParameterError(f"{name} must be more than 0, not {value:g}")
    recipe = dataclasses.replace(architecture.recipe, **given)
    return dataclasses.replace(architecture, recipe=recipe)


def _check_out(out: Path, overwrite: bool) -> None:
    """Raise when the folder holds something that may not be replaced."""
    there = holds_model(out)
    _only(out, FILES)
    state = unfinished(out)
    if os.path.lexists(state) and not state.is_dir():
        raise ExistsError(f"{state} is in the way of the unfinished training: name another --out")
    _only(state, (*STATE_FILES, _WHOLE))
    _only(state / _WHOLE, FILES)
    if there and not overwrite:
        raise ExistsError(f"{out} holds a model already: name another --out, or give --overwrite")


def _only(folder: Path, files: Sequence[str]) -> None:
    others = foreign_names(folder, files)
    if others:
        raise ExistsError(
            f"{folder} holds {others[0]}, which train did not write, so it is not replaced: move "
            "that away, or name another --out"
        )


def _check_place(out: Path, store: Any) -> None:
    """A model lies neither in nor around the image, nor in any other Zarr."""
    if isinstance(store, str | os.PathLike) and Path(store).exists():
        check_apart(local_path(Path(store)), {"--out": out})
    elif (outer := enclosing_store(out)) is not None:
        raise ParameterError(f"--out {out} lies inside the Zarr {outer}: choose another")


@dataclass(frozen=True)
class _Training:
    """One training, with its inputs."""

    architecture: Architecture
    published: Recipe
    training_data: TrainingData
    out: Path
    weights: str | Path | None
    seed: int
    processes: int  # that make patches

    def run(self, *, overwrite: bool, progress: bool) -> Model:
        """Train, and keep the result."""
        recipe, training_data = self.architecture.recipe, self.training_data
        patches = Patches(
            self.architecture,
            training_data.labelled_volumes,
            shares=training_data.shares,
            batch=recipe.batch,
            seed=self.seed,
        )
        steps = recipe.steps or len(patches)
        keras().utils.set_random_seed(self.seed)
        shares = class_weights(training_data.counts, recipe.weighting)
        loss = make_loss(
            shares,
            single=len(self.architecture.classes) == 1,
            extra=bool(self.architecture.extra),
            dice=recipe.dice,
        )
        fit = Fit(
            self.architecture.build(self.weights),
            loss,
            recipe,
            steps,
            folder=unfinished(self.out),
            wanted=self._wanted(steps),
            anew=overwrite,
        )
        self._fit(fit, patches, steps, progress)
        # Patches of an epoch by the recipe: the card records a shortened training.
        wanted = self.published.steps * self.published.batch or len(patches) * recipe.batch
        return self._keep(fit, steps, shares, wanted, overwrite)

    def _fit(self, fit: Fit, patches: Patches, steps: int, progress: bool) -> None:
        epochs = self.architecture.recipe.epochs

        ahead = PatchesAhead(
            patches, range(fit.state.epoch, epochs), steps, processes=self.processes
        )

        def evaluate() -> ValidationScores:
            return evaluate_network(
                fit.predict,
                patches.validation(self.training_data.held),
                self.architecture.classes,
                fit.loss,
            )

        with ahead, RunProgress(progress) as shown:
            shown.stage("training", epochs * steps, fit.state.epoch * steps)

            def on_epoch(row: Mapping[str, float]) -> None:
                shown.info(
                    f"epoch {row['epoch']:.0f} of {epochs}: loss {row['loss']:.3f}, validation "
                    f"score {row['validation_score']:.3f} (best {fit.state.best:.3f})"
                )

            fit.run(ahead.epoch, evaluate, on_step=shown.advance, on_epoch=on_epoch)
            shown.end_stage()

    def _keep(
        self, fit: Fit, steps: int, shares: NDArray[np.float32], wanted: int, overwrite: bool
    ) -> Model:
        """Write the model's folder, whole or not at all; the state is no longer needed."""
        state = unfinished(self.out)
        whole = state / _WHOLE
        card = self._card(fit, steps, shares, wanted)
        save_model(whole, to_onnx(fit.network), card, fit.history)
        draw_curves(fit.history, whole / "curves.png")
        _check_out(self.out, overwrite)  # it may be hours since the first look
        with storage_errors(self.out):
            if any(self.out.glob("*")):
                log.warning("the model in %s is replaced", self.out)
            place = resolved(self.out)  # if `out` is a link, its target is replaced
            if place.exists():
                remove_folder(place)
            whole.rename(place)
        remove_files(state, STATE_FILES)
        return load_model(self.out)

    def _wanted(self, steps: int) -> dict[str, Any]:
        """All that the result depends on, by the names of the options."""
        recipe = dataclasses.asdict(self.architecture.recipe)
        return {
            "model": self.architecture.name,
            **{name: recipe[name] for name in ("epochs", "batch", "rate")},
            "steps": steps,
            "seed": self.seed,
            "weights": self.weights if _is_name(self.weights) else source_fingerprint(self.weights),
            "recipe": {name: recipe[name] for name in _METHOD},
            **self.training_data.wanted,
        }

    def _card(self, fit: Fit, steps: int, shares: NDArray[np.float32], wanted: int) -> Card:
        architecture, training_data, state = self.architecture, self.training_data, fit.state
        best = state.history[state.best_epoch - 1]
        names = training_data.held.class_map.classes
        return Card(
            architecture=architecture.name,
            classes=architecture.classes,
            extra=architecture.extra,
            slices=architecture.slices,
            channels=architecture.channels,
            plane=architecture.plane,
            multiple=architecture.multiple,
            voxel_size=training_data.voxel_size,
            data=training_data.data,
            split=training_data.split.to_dict(),
            scores={
                name: value for name, value in best.items() if name.startswith(("validation", "ji"))
            },
            training={
                "epochs": state.epoch,
                "best_epoch": state.best_epoch,
                "steps": steps * state.epoch,
                "batch": architecture.recipe.batch,
                "patches_an_epoch": steps * architecture.recipe.batch,
                "patches_of_recipe": wanted,
                "rate": architecture.recipe.rate,
                "optimiser": architecture.recipe.optimiser,
                "seed": self.seed,
                "library": keras().backend.backend(),
                "accelerator": accelerator(),
                "class_weights": dict(zip(names, map(float, shares), strict=True)),
                "label_values": {
                    name: list(training_data.held.class_map.values[name]) for name in names
                },
                "mask_weight": training_data.held.mask_weight
                if training_data.held.mask is not None
                else None,
                "phantom_share": sum(training_data.shares[1:]),
                "pretrained": "" if self.weights is None else str(self.weights),
                "recipe": architecture.recipe.source,
                "seconds": round(state.seconds, 1),
                "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
            },
            versions=versions(training=True),
            notes=self._notes(),
        )

    def _notes(self) -> tuple[str, ...]:
        notes = [f"{self.architecture.title}."]
        if self.training_data.split.kind == "random":
            notes.append(
                "Slices were held out at random: each has neighbours that were learned from, so "
                "the scores are too good. A split by blocks is the honest one."
            )
        return tuple(notes)


def _is_name(weights: str | Path | None) -> bool:
    """Of weights that are downloaded."""
    return weights == IMAGENET
