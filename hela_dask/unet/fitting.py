"""Epochs of training.

The rate, the best weights, early stopping, and continuing where it stopped.
"""

from __future__ import annotations

import itertools
import json
import logging
import math
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import TypeAdapter

from hela_dask.documents.reading import Document, check_document, parse_json
from hela_dask.errors import InputError, ParameterError
from hela_dask.storage.files import plain, replaced
from hela_dask.unet.architectures import Recipe
from hela_dask.unet.backend import keras
from hela_dask.unet.backends import make_steps, steps_per_call

__all__ = ["Fit", "State", "ValidationScores", "evaluate_network", "make_optimiser", "rate_at"]

log = logging.getLogger(__name__)

_WARM = 100  # steps, and a tenth of all at most
_LOWEST = 0.01  # of the rate, where a cosine ends
_STATE, _BEST = "state.npz", "best.npz"
STATE_FILES = (_STATE, _BEST)
"""The state of an unfinished training."""

Batch = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True)
class ValidationScores:
    """Scores of outputs on slices held out."""

    loss: float
    # Intersection over union of each class, pooled; nan if the class does not occur.
    ji: dict[str, float]
    accuracy: float  # share of correct pixels

    @property
    def score(self) -> float:
        """Mean of the classes' `ji`; nan if no class occurs."""
        found = [value for value in self.ji.values() if not math.isnan(value)]
        return float(np.mean(found)) if found else math.nan


def evaluate_network(
    predict: Callable[[NDArray[np.float32]], Any],
    batches: Iterable[Batch],
    classes: Sequence[str],
    loss: Callable[[Any, Any], Any],
) -> ValidationScores:
    """Score raw outputs, ``predict(images)``, on batches as the loss takes them.

    Pixels of weight 0 are left out. Of a model with a single class, its mask is scored.
    """
    ops = keras().ops
    count = max(2, len(classes))
    table = np.zeros((count, count), np.int64)
    losses = []
    for image, truth in batches:
        out = predict(image)
        losses.append(float(loss(ops.convert_to_tensor(truth), out)))
        raw = ops.convert_to_numpy(out)
        predicted = raw[..., 0] > 0 if len(classes) == 1 else raw[..., : len(classes)].argmax(-1)
        counted = truth[..., 1] > 0
        pairs = count * truth[..., 0][counted].astype(np.int64) + predicted[counted]
        table += np.bincount(pairs, minlength=count**2).reshape(count, count)
    right = np.diag(table)
    either = table.sum(0) + table.sum(1) - right
    ji = np.divide(right, either, out=np.full(count, np.nan), where=either > 0)
    shown = ji[-len(classes) :]
    return ValidationScores(
        float(np.mean(losses)),
        {name: float(value) for name, value in zip(classes, shown, strict=True)},
        float(right.sum() / max(1, table.sum())),
    )


@dataclass
class State:
    """Progress of a training."""

    epoch: int = 0  # epochs that are done
    # Highest score so far, and when
    best: float = -math.inf
    best_epoch: int = 0
    waited: int = 0  # epochs since the best, or since the rate was last lowered
    factor: float = 1.0  # of the rate, where it is lowered on a plateau
    seconds: float = 0.0
    history: list[dict[str, int | float]] = field(default_factory=list)  # one row per epoch


class _SavedState(Document):
    """The metadata beside the arrays of an unfinished training."""

    wanted: dict[str, Any]
    state: dict[str, Any]


def rate_at(recipe: Recipe, step: int, steps: int, factor: float = 1.0) -> float:
    """The learning rate at a step (from 0) of all `steps`."""
    if recipe.schedule != "cosine":
        return recipe.rate * factor
    warm = min(1.0, (step + 1) / max(1, min(_WARM, steps // 10)))
    down = 0.5 * (1 + math.cos(math.pi * min(step / steps, 1.0)))
    return recipe.rate * warm * (_LOWEST + (1 - _LOWEST) * down)


def make_optimiser(recipe: Recipe) -> Any:
    """The recipe's optimiser, in Keras."""
    kinds = keras().optimizers
    if recipe.optimiser == "adamw":
        return kinds.AdamW(
            recipe.rate, weight_decay=1e-4, use_ema=True, ema_momentum=0.98, clipnorm=1.0
        )
    if recipe.optimiser == "sgd":
        return kinds.SGD(recipe.rate, momentum=0.9)
    return {"adam": kinds.Adam, "rmsprop": kinds.RMSprop}[recipe.optimiser](recipe.rate)


class Fit:
    """A training in a folder, which can be continued after each epoch.

    Parameters
    ----------
    network : keras.Model
        With the weights that it starts from.
    loss : callable
        From :func:`~hela_dask.unet.losses.make_loss`.
    steps : int
        Batches an epoch.
    folder : Path
        For its state; made here.
    wanted : mapping
        All that the result depends on. A state of anything else, or one that cannot be read, is
        refused with a ParameterError or InputError, or passed over where `anew`.
    """

    def __init__(
        self,
        network: Any,
        loss: Callable[[Any, Any], Any],
        recipe: Recipe,
        steps: int,
        *,
        folder: Path,
        wanted: Mapping[str, Any],
        anew: bool = False,
    ) -> None:
        self.network, self.loss, self.recipe, self.steps = network, loss, recipe, steps
        self.state = State()
        self._folder, self._wanted = folder, plain(wanted)
        self._optimiser = make_optimiser(recipe)
        self._optimiser.build(network.trainable_variables)
        self._steps = make_steps(network, loss, self._optimiser)
        if (folder / _STATE).is_file():
            self._read(anew)

    def run(
        self,
        batches: Callable[[], Iterable[Batch]],
        evaluate: Callable[[], ValidationScores],
        *,
        on_step: Callable[[int], None] = lambda _: None,
        on_epoch: Callable[[Mapping[str, float]], None] = lambda _: None,
    ) -> None:
        """Train to the end, and leave the network with its best weights.

        ``batches()`` gives those of the next epoch; `evaluate` scores the network with its
        current weights; `on_step` is called with the number of further steps, `on_epoch` with each
        row of the history. ParameterError where the loss is no longer a number.
        """
        state = self.state
        while state.epoch < self.recipe.epochs and not self._should_stop():
            start = time.perf_counter()
            loss = self._epoch(batches(), on_step)
            row = self._evaluate(evaluate, loss)
            state.seconds += time.perf_counter() - start
            row["seconds"] = round(state.seconds, 1)
            state.history.append(row)
            self._write()
            on_epoch(row)
        with np.load(self._folder / _BEST) as kept:
            self.network.set_weights([kept[name] for name in kept.files])

    @property
    def history(self) -> pd.DataFrame:
        """One row per epoch."""
        return pd.DataFrame(self.state.history)

    def _should_stop(self) -> bool:
        patience = self.recipe.patience
        return bool(patience) and self.state.epoch - self.state.best_epoch >= patience

    def predict(self, images: NDArray[np.float32]) -> Any:
        """Raw outputs with the network's current weights, as a tensor of the library."""
        return self._steps.predict(images)

    def _epoch(self, batches: Iterable[Batch], on_step: Callable[[int], None]) -> float:
        """One more; gives the mean loss."""
        state, total = self.state, self.recipe.epochs * self.steps
        count, batches = steps_per_call(self.steps), iter(batches)
        losses: list[float] = []
        self._steps.start()
        started = None  # the losses of a call are read after the next call has started
        for first in itertools.count(state.epoch * self.steps, count):
            some = list(itertools.islice(batches, count))
            if not some:
                break
            images, targets = (np.stack(parts) for parts in zip(*some, strict=True))
            rates = [
                rate_at(self.recipe, first + number, total, state.factor)
                for number in range(len(some))
            ]
            before, started = started, self._steps.run(images, targets, np.array(rates, "f4"))
            losses += self._numbers(before, on_step)
        losses += self._numbers(started, on_step)
        self._steps.finish()
        state.epoch += 1
        return float(np.mean(losses))

    def _numbers(self, losses: Any, on_step: Callable[[int], None]) -> list[float]:
        """The losses of a call, once its steps are done; none of no call."""
        if losses is None:
            return []
        found: list[float] = keras().ops.convert_to_numpy(losses).tolist()
        if not all(map(math.isfinite, found)):
            raise ParameterError(
                f"the loss is no longer a number in epoch {self.state.epoch + 1}: start again with "
                f"a lower --rate than {self.recipe.rate:g}"
            )
        on_step(len(found))
        return found

    def _evaluate(self, evaluate: Callable[[], ValidationScores], loss: float) -> dict[str, float]:
        """Score, with averaged weights if there are any; keep the best."""
        state, raw = self.state, self.network.get_weights()
        self._optimiser.finalize_variable_values(self.network.trainable_variables)
        found = evaluate()
        score = found.score if math.isfinite(found.score) else -1.0
        row = {
            "epoch": state.epoch,
            "loss": loss,
            "validation_loss": found.loss,
            "validation_score": found.score,
            "validation_accuracy": found.accuracy,
            **{f"ji_{name}": value for name, value in found.ji.items()},
            "rate": float(self._optimiser.learning_rate),
        }
        state.waited += 1
        if score > state.best:
            state.best, state.best_epoch, state.waited = score, state.epoch, 0
            _write_arrays(self._folder / _BEST, self.network.get_weights())
        elif self.recipe.schedule == "plateau" and state.waited > self.recipe.patience // 3:
            state.factor, state.waited = state.factor / 2, 0
        self.network.set_weights(raw)
        return row

    def _variables(self) -> list[Any]:
        return [*self.network.weights, *self._optimiser.variables]

    def _write(self) -> None:
        about = json.dumps({"wanted": self._wanted, "state": vars(self.state)})
        arrays = [keras().ops.convert_to_numpy(variable) for variable in self._variables()]
        _write_arrays(self._folder / _STATE, [np.array(about), *arrays])

    def _read(self, anew: bool) -> None:
        path = self._folder / _STATE
        try:
            with np.load(path) as kept:
                about, *arrays = [kept[name] for name in kept.files]
            found = check_document(parse_json(str(about), str(path)), _SavedState, str(path))
            before, state = found.wanted, TypeAdapter(State).validate_python(found.state)
            own = [tuple(variable.shape) for variable in self._variables()]
            if own != [array.shape for array in arrays] and before == self._wanted:
                raise ValueError("its arrays have other shapes")
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            if anew:
                return
            raise InputError(
                f"{path} cannot be read, so that training cannot continue: start anew with "
                f"--overwrite ({error})"
            ) from error
        names = {*before, *self._wanted}
        other = sorted(name for name in names if before.get(name) != self._wanted.get(name))
        if other and anew:
            return
        if other:
            raise ParameterError(
                f"{self._folder} holds an unfinished training with another {', '.join(other)}: "
                "repeat its command to continue, or give --overwrite to start anew"
            )
        self.state = state
        for variable, array in zip(self._variables(), arrays, strict=True):
            variable.assign(array)
        log.info("continuing after epoch %d", self.state.epoch)


def _write_arrays(path: Path, arrays: Sequence[NDArray[Any]]) -> None:
    """In their order, whole or not at all."""
    with replaced(path) as temporary, temporary.open("wb") as file:
        np.savez(file, *arrays)
