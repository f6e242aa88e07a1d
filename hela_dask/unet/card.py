"""The card of a model: its inputs and outputs, training data, and scores."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field

from hela_dask.documents.reading import Document, Lengths, check_document, read_json
from hela_dask.errors import InputError
from hela_dask.formatting import by_axis
from hela_dask.storage.files import plain

__all__ = [
    "CHANNELS",
    "CLASSES",
    "EXTRA",
    "GREYS",
    "NETWORK",
    "OLD_NETWORK",
    "USUAL_FACTOR",
    "Card",
    "card_text",
    "read_card",
]

NETWORK = "network.onnx"
OLD_NETWORK = "model.keras"  # of folders written before networks were ONNX files
"""Files of a network in a model's folder."""
CLASSES = ("resin", "cell", "envelope", "nucleus")
"""The classes of a voxel; ``cell`` is all of a cell but its nucleus and the nucleus' envelope."""
EXTRA = ("boundary", "distance")
"""Further outputs of a network: contact with another cell, and the distance to the own cell's
border (1 is 1000 nm and more)."""
GREYS = ("span", "values")
"""Units of the input: the span of a volume's grey values (0 is membranes, 1 is resin), or the grey
values themselves."""
USUAL_FACTOR = 2.0
"""Largest ratio of a volume's voxel size to that of a network, along each axis, that a method takes
without a remark."""
_SLACK = 1e-6
CHANNELS = ("neighbours", "repeated", "binary")
"""Input channels of a slice.

It and its neighbours, its grey values three times, or the pixels darker than resin.
"""

_INTERFACE = (
    *("classes", "extra", "voxel_size", "slices", "channels", "plane", "multiple"),
    *("greys", "mean", "std", "probabilities"),
)


@dataclass(frozen=True)
class Card:
    """A model's card; kept as ``card.json`` beside the weights, and as ``card.md`` for people."""

    architecture: str  # of :data:`hela_dask.unet.architectures.ARCHITECTURES`
    # Of :data:`CLASSES`, in the order of its outputs; a single one is separated from all else
    classes: tuple[str, ...]
    voxel_size: tuple[float, float, float]  # z, y, x of the training data, nm
    extra: tuple[str, ...] = ()  # of :data:`EXTRA`, the outputs after the classes
    slices: int = 1  # neighbouring slices that it sees, an odd number
    channels: str = "neighbours"  # of :data:`CHANNELS`
    # Whole planes are shrunk to this before it sees them; None: it sees tiles
    plane: tuple[int, int] | None = None
    multiple: int = 16  # height and width of its input are multiples of this
    # Training data (with fingerprints), split of the slices, scores on the slices held out, seed,
    # steps, seconds and command, and software versions
    data: tuple[Mapping[str, Any], ...] = ()
    split: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # remarks for the reader
    # Its input is (grey value - mean) / std, in units of :data:`GREYS`
    greys: str = "span"
    mean: float = 0.0
    std: float = 1.0
    probabilities: bool = False  # outputs are from 0 to 1; else logits, and the distance
    network: str = ""  # fingerprint of its file; empty: unknown, as of other software

    def __post_init__(self) -> None:
        for name, known in (("classes", CLASSES), ("extra", EXTRA)):
            if unknown := [item for item in getattr(self, name) if item not in known]:
                raise InputError(
                    f"a model's {name} cannot be {unknown[0]!r}; known: {', '.join(known)}"
                )
        if self.channels not in CHANNELS:
            raise InputError(
                f"a model's channels cannot be {self.channels!r}; known: {', '.join(CHANNELS)}"
            )
        if self.greys not in GREYS:
            raise InputError(f"a model's greys cannot be {self.greys!r}; known: {', '.join(GREYS)}")
        if not (math.isfinite(self.mean) and 0 < self.std < math.inf):
            raise InputError("a model's mean is a number, and its std a number above 0")
        if not self.classes or self.slices % 2 == 0 or min(self.voxel_size) <= 0:
            raise InputError(
                "a model has one class or more, an odd number of slices, and a voxel size"
            )

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of its outputs, in their order."""
        return self.classes + self.extra

    @property
    def n_channels(self) -> int:
        """Number of channels of its input."""
        return 3 if self.channels == "repeated" else self.slices

    @property
    def interface(self) -> dict[str, Any]:
        """All that a prediction depends on, beside the network itself."""
        return {name: getattr(self, name) for name in _INTERFACE}

    def normalisation(self, low: float, high: float) -> tuple[float, float]:
        """Offset and scale of the input, (grey value - offset) * scale.

        `low` and `high` are the volume's grey values of membranes and resin.
        """
        span = (high - low if high > low else 1.0) if self.greys == "span" else 1.0
        first = low if self.greys == "span" else 0.0
        return first + self.mean * span, 1.0 / (span * self.std)

    def resampling(self, voxel: Sequence[float], factor: float = 1.02) -> str:
        """A remark if voxels (z, y, x in nm) differ from the network's by more than a factor."""
        ratios = np.divide(voxel, self.voxel_size)
        if self.plane is not None or np.maximum(ratios, 1 / ratios).max() <= factor + _SLACK:
            return ""
        own, other = by_axis(self.voxel_size), by_axis(voxel)
        return (
            f"the {self.architecture} network learned from voxels of {own} nm, and what it is to "
            f"see has {other} nm: it is resampled for it, and the prediction is resampled back"
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        found: dict[str, Any] = plain(dataclasses.asdict(self))
        return found

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The card that :meth:`to_dict` gave; InputError for missing or invalid fields."""
        known = {item.name for item in dataclasses.fields(cls)}
        lists = {"classes", "extra", "voxel_size", "plane", "data", "notes"}
        try:
            given: dict[str, Any] = {
                name: tuple(value) if name in lists and value is not None else value
                for name, value in values.items()
                if name in known
            }
            return cls(**given)
        except (TypeError, AttributeError) as error:
            raise InputError(f"not a model's card: {error}") from error


def read_card(path: Path) -> Card:
    """The card in a file that :meth:`Card.to_dict` gave.

    InputError where it is damaged, or something is missing or makes no sense; MissingInputError or
    StorageError where there is no such file, or it cannot be read.
    """
    content = read_json(path)
    check_document(content, _CardDocument, str(path))
    return Card.from_dict(content)


class _CardDocument(Document):
    """``card.json``."""

    architecture: str
    classes: list[str]
    voxel_size: Lengths
    extra: list[str] = Field(default_factory=list)
    slices: int = Field(default=1, ge=1, le=1001)
    channels: str = "neighbours"
    plane: Annotated[list[int], Field(min_length=2, max_length=2)] | None = None
    multiple: int = Field(default=16, ge=1, le=512)
    data: list[dict[str, Any]] = Field(default_factory=list)
    split: dict[str, Any] = Field(default_factory=dict)
    scores: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    notes: list[str] = Field(default_factory=list)
    greys: str = "span"
    mean: float = 0.0
    std: float = 1.0
    probabilities: bool = False
    network: str = ""


def card_text(card: Card) -> str:
    """The card as Markdown."""
    sizes = by_axis(card.voxel_size)
    sees = {
        "neighbours": f"{card.slices} neighbouring slices" if card.slices > 1 else "one slice",
        "repeated": "one slice, its grey values three times",
        "binary": "one slice, thresholded: pixels darker than resin",
    }[card.channels]
    shape = "tiles" if card.plane is None else f"planes of {card.plane[0]} x {card.plane[1]} pixels"
    lines = [
        f"# {card.architecture}",
        "",
        f"- Outputs: {', '.join(card.outputs)}.",
        f"- Sees: {sees}, in {shape}, at {sizes} nm (z, y, x).",
        f"- Grey values: {_greys_text(card)}",
    ]
    for title, part in (
        ("Learned from", card.data),
        ("Split", card.split),
        ("Scores", card.scores),
        ("Training", card.training),
        ("Versions", card.versions),
    ):
        if part:
            lines += ["", f"## {title}", "", *_lines(plain(part))]
    if card.notes:
        lines += ["", "## Notes", "", *(f"- {note}" for note in card.notes)]
    return "\n".join(lines) + "\n"


def _greys_text(card: Card) -> str:
    """The input's units and scale, as sentences."""
    scaled = f"; less {card.mean:g}, divided by {card.std:g}"
    scaled = scaled if (card.mean, card.std) != (0.0, 1.0) else ""
    if card.greys == "values":
        return f"as they are{scaled}."
    return (
        "in units of the span from membranes to resin (the 2 % and 98 % quantiles of the volume's "
        f"slices on pixels of 80 nm), so that a x + b makes no difference{scaled}."
    )


def _lines(value: Any, indent: str = "") -> list[str]:
    """A nested value as a Markdown list."""
    if isinstance(value, Mapping):
        lines = []
        for name, item in value.items():
            if isinstance(item, Mapping) and item:
                lines += [f"{indent}- {name}:", *_lines(item, indent + "  ")]
            else:
                lines.append(f"{indent}- {name}: {_short(item)}")
        return lines
    return [line for item in value for line in _lines(item, indent)]


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(
            "-".join(map(str, item)) if isinstance(item, list) else _short(item) for item in value
        )
    return escape(str(value), quote=False)  # a reader of Markdown passes HTML on
