"""A trained model: a folder with the network, its card and its curves; loaded once a process."""

from __future__ import annotations

import functools
import os
import threading
import zipfile
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.errors import ExistsError, HelaDaskError, InputError, MissingInputError
from hela_dask.storage.contents import foreign_names
from hela_dask.storage.files import replaced, write_json, write_text
from hela_dask.tasks.markers import fingerprint_content
from hela_dask.unet.backend import keras
from hela_dask.unet.card import Card, card_text, read_card

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CARD",
    "FILES",
    "NETWORK",
    "Model",
    "find_model",
    "holds_model",
    "load_model",
    "save_model",
    "shipped_folder",
]

NETWORK, CARD = "model.keras", "card.json"
FILES = (NETWORK, CARD, "card.md", "history.csv", "curves.png")
"""All that is written into a model's folder."""

_SHIPPED = "shipped"


@dataclass(frozen=True)
class Model:
    """A network with its card."""

    folder: Path  # that it is from
    card: Card  # its inputs and outputs
    # float32 (n, y, x, channels) to raw outputs (n, y, x, outputs)
    network: Any = field(repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Outputs of a batch (n, y, x, channels), each between 0 and 1: (n, y, x, outputs).

        y and x are multiples of ``card.multiple``. Outputs are probabilities of the classes (that
        sum to 1 where there are several), the boundary's probability, and the distance.
        """
        with self._lock:  # threads of a worker take turns: each run uses all that it may
            raw = np.asarray(self.network.predict_on_batch(batch), dtype=np.float32)
        count = len(self.card.classes)
        if count > 1:
            classes = raw[..., :count]
            classes -= classes.max(axis=-1, keepdims=True)
            np.exp(classes, out=classes)
            classes /= classes.sum(axis=-1, keepdims=True)
        for at, name in enumerate(self.card.outputs):
            if (at == 0 and count == 1) or name == "boundary":
                raw[..., at] = 0.5 * (1 + np.tanh(0.5 * raw[..., at]))
            elif name == "distance":
                np.clip(raw[..., at], 0.0, 1.0, out=raw[..., at])
        return raw


def find_model(path: str | Path = "") -> tuple[Path, Card, str]:
    """Where a model is, its card, and a fingerprint of its network; without loading that.

    `path` is a folder that :func:`save_model` wrote; empty: the model that comes with the package.
    MissingInputError where there is no such folder; InputError where it is no model's, or broken.
    """
    folder = Path(path) if str(path) else shipped_folder()
    if not folder.is_dir():
        raise MissingInputError(
            f"no model folder at {folder}"
            if str(path)
            else "this installation comes without a model: name one with --model MODEL "
            "(hela-dask train makes them)"
        )
    network = folder / NETWORK
    try:
        card = read_card(folder / CARD)
        facts = network.stat()
    except FileNotFoundError as error:
        missing = CARD if isinstance(error, MissingInputError) else NETWORK
        raise InputError(
            f"{folder} is not a model: {missing} is missing; hela-dask train writes such a folder"
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(f"the model in {folder} cannot be read: {error}") from error
    return folder, card, _digest(network.absolute(), facts.st_size, facts.st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _digest(network: Path, size: int, changed: int) -> str:
    """A fingerprint of the file; tasks ask for it each time, and it is read once a process.

    InputError where it is cut off or damaged (it is an archive, with a checksum of each part), or
    may not be read.
    """
    del size, changed  # another file has others
    try:
        with zipfile.ZipFile(network) as archive:
            sound = archive.testzip() is None
    except zipfile.BadZipFile:
        sound = False
    except OSError as error:
        raise InputError(f"the network in {network.parent} cannot be read: {error}") from error
    if not sound:
        raise InputError(f"the network in {network.parent} cannot be read: {NETWORK} is damaged")
    return fingerprint_content(network)


def load_model(path: str | Path = "") -> Model:
    """The model in a folder, as for :func:`find_model`; a process loads each once.

    Raises
    ------
    MissingDependencyError
        Without TensorFlow.
    MissingInputError, InputError
        As :func:`find_model`, and when the network does not fit its card.
    """
    keras()
    folder, _, digest = find_model(path)
    return _load(folder.absolute(), digest)


@functools.lru_cache(maxsize=4)
def _load(folder: Path, digest: str) -> Model:
    """Of a folder with such a network."""
    del digest  # a changed file is another model
    _, card, _ = find_model(folder)
    try:
        network = keras().saving.load_model(folder / NETWORK, compile=False)
        seen, predicted = network.input_shape[-1], network.output_shape[-1]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"the network in {folder} cannot be read: {NETWORK} is of another Keras"
        ) from error
    wanted = 3 if card.channels == "repeated" else card.slices
    if (seen, predicted) != (wanted, len(card.outputs)):
        raise InputError(
            f"{folder}: the network takes {seen} channels and gives {predicted}, "
            f"its card has {wanted} and {len(card.outputs)}"
        )
    return Model(folder, card, network)


def holds_model(folder: Path) -> bool:
    """Whether a folder holds a model; else it is new or empty.

    ExistsError where it is, or holds, something else.
    """
    if not os.path.lexists(folder):
        return False
    if not folder.is_dir():
        raise ExistsError(f"{folder} is no folder: name another --out for the model")
    if not foreign_names(folder, ()):
        return False
    try:
        read_card(folder / CARD)
    except HelaDaskError as error:
        raise ExistsError(
            f"{folder} holds something else than a model: name another --out for the model"
        ) from error
    return True


def save_model(
    folder: str | Path, network: Any, card: Card, history: pd.DataFrame | None = None
) -> None:
    """Keep a network with its card; each file is written whole or not at all, the network last.

    `network` is of standard layers. `history` has one row per epoch, ``epoch``, ``loss`` and the
    other scores; it is kept as ``history.csv``. ExistsError where the folder, which is made where
    it is not there, holds something else than a model.
    """
    folder = Path(folder)
    holds_model(folder)
    write_json(folder / CARD, card.to_dict())
    write_text(folder / "card.md", card_text(card))
    if history is not None:
        with replaced(folder / "history.csv") as temporary:
            history.to_csv(temporary, index=False, lineterminator="\n")
    with replaced(folder / NETWORK) as temporary:
        named = temporary.with_suffix(".keras")  # the suffix is the format
        try:
            _without_optimiser(network).save(named)
            named.replace(temporary)
        finally:
            named.unlink(missing_ok=True)


def _without_optimiser(network: Any) -> Any:
    """The network without its optimiser, which has a state of thrice its size."""
    bare = type(network).from_config(network.get_config())
    bare.set_weights(network.get_weights())
    return bare


def shipped_folder() -> Path:
    """Folder of the shipped model."""
    return Path(str(resources.files("hela_dask.unet") / _SHIPPED))
