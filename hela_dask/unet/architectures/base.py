"""Definition of an architecture: its inputs and outputs, its construction, and its training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Architecture", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """Training of an architecture, unless other values are requested."""

    # ``adamw`` (clipped, with averaged weights), ``adam``, ``rmsprop`` or ``sgd`` (with momentum
    # 0.9)
    optimiser: str
    rate: float  # learning rate, at its highest
    batch: int  # patches a step
    epochs: int
    steps: int = 0  # batches an epoch; 0: one pass over all training data
    # Of the rate: ``cosine`` (up over 100 steps or a tenth, then down to a hundredth), ``plateau``
    # (halved when the validation score has not risen for a third of `patience`) or ``constant``
    schedule: str = "constant"
    # Epochs without a better validation score after which training ends; 0: never
    patience: int = 0
    # Of the classes in the loss: ``softened`` (square root of median frequency, within 0.5 and 3),
    # ``median`` (median frequency) or ``none``
    weighting: str = "median"
    augmentation: str = "shifts"  # of :data:`hela_dask.unet.augment.AUGMENTATIONS`
    # Of patches: ``grid``: half of one patch overlaps the next; ``random``; or ``space``: anywhere,
    # in any direction, see :mod:`hela_dask.unet.cuts`
    placing: str = "grid"
    dice: float = 0.0  # weight of the Dice loss beside the cross-entropy
    source: str = ""  # source of the recipe, and the values that had to be chosen here


@dataclass(frozen=True)
class Architecture:
    """A network that can be trained here."""

    name: str  # as in ``--model``
    title: str  # for people, with the source
    # Its classes, one of them per pixel; a single one is separated from all else
    classes: tuple[str, ...]
    recipe: Recipe  # how it is trained
    # ``build(weights=None)`` gives a ``keras.Model`` from (n, y, x, channels) to raw outputs (n, y,
    # x, classes and extra); `weights` is a file to start from, or ``imagenet``
    build: Callable[..., Any]
    extra: tuple[str, ...] = ()  # outputs after the classes
    slices: int = 1  # neighbouring slices that it sees
    channels: str = "neighbours"  # ``neighbours``, ``repeated`` or ``binary``, as of a model's card
    # Whole planes are shrunk to this, (y, x); None: it sees patches
    plane: tuple[int, int] | None = None
    patch: tuple[int, int] = (192, 192)  # (y, x) pixels in training
    multiple: int = 16  # y and x of an input are multiples of this
    pixel: float = 40.0  # largest size of a pixel, nm; the level of the volume that it is shown
    # Which values of published labels are which class; ``other`` are all other pixels
    values: dict[str, tuple[int, ...]] = field(
        default_factory=lambda: {"resin": (4,), "cell": (3, 5), "envelope": (1,), "nucleus": (2,)}
    )

    @property
    def seen(self) -> tuple[int, int]:
        """(y, x) pixels of a training patch."""
        return self.plane or self.patch
