"""A trained model: a folder with the network, its card and its curves; loaded once a process.

The network is an ONNX file, ours or of other software.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.errors import ExistsError, HelaDaskError, InputError, MissingInputError
from hela_dask.formatting import by_axis
from hela_dask.pages import Shown, make_card
from hela_dask.storage.contents import foreign_names
from hela_dask.storage.files import replaced, write_json, write_text
from hela_dask.tasks.markers import fingerprint, fingerprint_content
from hela_dask.unet.card import NETWORK, OLD_NETWORK, Card, card_text, read_card
from hela_dask.unet.engine import Network, check_installed

if TYPE_CHECKING:
    import pandas as pd

    from hela_dask import pages

__all__ = [
    "CARD",
    "FILES",
    "NETWORK",
    "OLD_NETWORK",
    "Model",
    "check_model",
    "find_model",
    "holds_model",
    "load_model",
    "save_model",
    "shipped_folder",
]

CARD = "card.json"
FILES = (NETWORK, CARD, "card.md", "history.csv", "curves.png", OLD_NETWORK)
"""All that is written into a model's folder, or was once."""

_SHIPPED = "shipped"


@dataclass(frozen=True)
class Model(Shown):
    """A network with its card."""

    folder: Path  # that it is from; of a network of other software, its file
    card: Card  # its inputs and outputs
    # float32 (n, y, x, channels) to raw outputs (n, outputs, y, x)
    network: Network = field(repr=False)

    def _card(self) -> pages.Card:
        card = self.card
        return make_card(
            f"Network {self.folder}",
            {
                "architecture": card.architecture,
                "outputs": ", ".join(card.outputs),
                "slices": str(card.slices),
                "voxel size": f"{by_axis(card.voxel_size)} nm (z, y, x)",
            },
            warnings=card.notes,
        )

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Outputs of a batch (n, y, x, channels), each between 0 and 1: (n, y, x, outputs).

        y and x are multiples of ``card.multiple``. Outputs are probabilities of the classes (that
        sum to 1 where there are several), the boundary's probability, and the distance.
        """
        raw = self.network(batch)
        if self.card.probabilities:
            return np.moveaxis(np.clip(raw, 0.0, 1.0), 1, -1)
        count = len(self.card.classes)
        if count > 1:
            classes = raw[:, :count]
            classes -= classes.max(axis=1, keepdims=True)
            np.exp(classes, out=classes)
            classes /= classes.sum(axis=1, keepdims=True)
        for at, name in enumerate(self.card.outputs):
            if (at == 0 and count == 1) or name == "boundary":
                raw[:, at] = 0.5 * (1 + np.tanh(0.5 * raw[:, at]))
            elif name == "distance":
                np.clip(raw[:, at], 0.0, 1.0, out=raw[:, at])
        return np.moveaxis(raw, 1, -1)

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process the model is loaded there: once, from its folder."""
        return load_model, (self.folder,)


def find_model(path: str | Path = "") -> tuple[Path, Card, str]:
    """Where a model is, its card, and a fingerprint of both; without loading the network.

    `path` is a folder that :func:`save_model` wrote, or an ``.onnx`` file of other software with a
    card of the same name that ends with ``.json``; empty: the model that comes with the package.

    Raises
    ------
    MissingInputError
        When there is no such folder or file.
    InputError
        When it is no model, its card is missing, or one of them is damaged.
    MissingDependencyError
        Without Keras, for a folder of an earlier version: its network must be converted.
    """
    place = Path(path) if str(path) else shipped_folder()
    network, card_path = _files(place, shipped=not str(path))
    try:
        card = read_card(card_path)
        facts = network.stat()
    except MissingInputError as error:
        raise InputError(_without_card(place, card_path)) from error
    except (OSError, ValueError) as error:
        raise InputError(f"the model in {place} cannot be read: {error}") from error
    digest = _digest(network.absolute(), facts.st_size, facts.st_mtime_ns)
    if card.network not in ("", digest):
        raise InputError(f"{network} is damaged, or is not the network of the card beside it")
    return place, card, fingerprint(digest, card.interface)


def _files(place: Path, *, shipped: bool) -> tuple[Path, Path]:
    """The network and the card of a model; an old network is converted."""
    if place.suffix == ".onnx" and not place.is_dir():
        if not place.is_file():
            raise MissingInputError(f"no network at {place}")
        return place, place.with_suffix(".json")
    if place.is_file():
        raise InputError(
            f"{place} is not a model: name a folder that hela-dask train wrote, or an .onnx file"
        )
    if not place.is_dir():
        raise MissingInputError(
            "this installation comes without a model: name one with --model MODEL "
            "(hela-dask train makes them)"
            if shipped
            else f"no model folder at {place}"
        )
    network = place / NETWORK
    if not network.is_file():
        if not (place / OLD_NETWORK).is_file():
            missing = NETWORK if (place / CARD).is_file() else CARD
            raise InputError(
                f"{place} is not a model: {missing} is missing; hela-dask train writes such a "
                "folder"
            )
        from hela_dask.unet.old_folder import convert_folder  # it needs Keras

        convert_folder(place)
    return network, place / CARD


def _without_card(place: Path, card: Path) -> str:
    if place.suffix == ".onnx":
        return (
            f"{place} has no card: write {card.name} beside it, with architecture (any name), "
            "classes and voxel_size, and what else differs from a network of hela-dask train"
        )
    return f"{place} is not a model: {CARD} is missing; hela-dask train writes such a folder"


@functools.lru_cache(maxsize=8)
def _digest(network: Path, size: int, changed: int) -> str:
    """A fingerprint of the file; tasks ask for it each time, and it is read once a process."""
    del size, changed  # another file has others
    try:
        return fingerprint_content(network)
    except OSError as error:
        raise InputError(f"{network} cannot be read: {error}") from error


def check_model(path: str | Path = "") -> tuple[Path, Card, str]:
    """As :func:`find_model`; the network is loaded and compared with its card too.

    Raises
    ------
    MissingDependencyError, MissingInputError, InputError
        As :func:`load_model`.
    """
    load_model(path)
    return find_model(path)


def load_model(path: str | Path = "") -> Model:
    """The model of a path, as for :func:`find_model`; a process loads each once.

    Raises
    ------
    MissingDependencyError
        Without ONNX Runtime.
    MissingInputError, InputError
        As :func:`find_model`, and when the network does not fit its card.
    """
    check_installed()
    place, _, digest = find_model(path)
    return _load(place.absolute(), digest)


@functools.lru_cache(maxsize=4)
def _load(place: Path, digest: str) -> Model:
    """Of a place with such a network and card."""
    del digest  # a changed file is another model
    network, _ = _files(place, shipped=False)
    _, card, _ = find_model(place)
    try:
        content = network.read_bytes()
    except OSError as error:
        raise InputError(f"{network} cannot be read: {error}") from error
    return Model(place, card, Network(content, card, str(network)))


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
    folder: str | Path, network: bytes, card: Card, history: pd.DataFrame | None = None
) -> None:
    """Keep a network with its card; each file is written whole or not at all, the network last.

    `network` is the content of an ONNX file; the card gets its fingerprint. `history` has one row
    per epoch, ``epoch``, ``loss`` and the other scores; it is kept as ``history.csv``. ExistsError
    where the folder, which is made where it is not there, holds something else than a model.
    """
    folder = Path(folder)
    holds_model(folder)
    with replaced(folder / NETWORK) as temporary:
        temporary.write_bytes(network)
        card = replace(card, network=fingerprint_content(temporary))
        write_json(folder / CARD, card.to_dict())
        write_text(folder / "card.md", card_text(card))
        if history is not None:
            with replaced(folder / "history.csv") as table:
                history.to_csv(table, index=False, lineterminator="\n")
    (folder / OLD_NETWORK).unlink(missing_ok=True)


def shipped_folder() -> Path:
    """Folder of the shipped model."""
    return Path(str(resources.files("hela_dask.unet") / _SHIPPED))
