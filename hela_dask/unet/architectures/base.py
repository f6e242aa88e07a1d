"""What an architecture is: what it sees and tells, how it is built, and how it is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Architecture", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """How an architecture is trained, unless something else is asked for.

    Attributes
    ----------
    optimiser : str
        ``adamw`` (clipped, with averaged weights), ``adam``, ``rmsprop`` or ``sgd`` (with
        momentum 0.9).
    rate : float
        Learning rate, at its highest.
    batch : int
        Patches a step.
    epochs : int
    steps : int
        Batches an epoch; 0: once over everything there is to learn from.
    schedule : str
        Of the rate: ``cosine`` (up over 100 steps or a tenth, then down to a hundredth),
        ``plateau`` (halved when the validation score has not risen for a third of `patience`) or
        ``constant``.
    patience : int
        Epochs without a better validation score after which training ends; 0: never.
    weighting : str
        Of the classes in the loss: ``softened`` (square root of median frequency, within 0.5 and
        3), ``median`` (median frequency) or ``none``.
    augmentation : str
        Of :data:`hela_dask.unet.augment.AUGMENTATIONS`.
    placing : str
        Of patches: ``random``, or ``grid``: half of one patch overlaps the next.
    source : str
        Where the recipe is from, and what of it had to be chosen here.
    """

    optimiser: str
    rate: float
    batch: int
    epochs: int
    steps: int = 0
    schedule: str = "constant"
    patience: int = 0
    weighting: str = "median"
    augmentation: str = "shifts"
    placing: str = "grid"
    source: str = ""


@dataclass(frozen=True)
class Architecture:
    """A network that can be trained here.

    Attributes
    ----------
    name : str
        As in ``--model``.
    title : str
        For people, with the source.
    classes : tuple of str
        What it tells, one of them a pixel; a single one is told from all else.
    recipe : Recipe
        How it is trained.
    build : callable
        ``build(weights=None)`` gives a ``keras.Model`` from (n, y, x, channels) to raw outputs
        (n, y, x, classes and extra); `weights` is a file to start from, or ``imagenet``.
    extra : tuple of str
        Outputs after the classes.
    slices : int
        Neighbouring slices that it sees.
    channels : str
        ``neighbours``, ``repeated`` or ``binary``, as of a model's card.
    plane : tuple of int or None
        Whole planes are shrunk to this, (y, x); None: it sees patches.
    patch : tuple of int
        (y, x) pixels in training.
    multiple : int
        y and x of an input are multiples of this.
    pixel : float
        Largest size of a pixel, nm; the level of the volume that it is shown.
    values : mapping of str to tuple of int
        Which values of published labels are which class; ``other`` is what is none of them.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    recipe: Recipe
    build: Callable[..., Any]
    extra: tuple[str, ...] = ()
    slices: int = 1
    channels: str = "neighbours"
    plane: tuple[int, int] | None = None
    patch: tuple[int, int] = (192, 192)
    multiple: int = 16
    pixel: float = 40.0
    values: dict[str, tuple[int, ...]] = field(
        default_factory=lambda: {"resin": (4,), "cell": (3, 5), "envelope": (1,), "nucleus": (2,)}
    )

    @property
    def seen(self) -> tuple[int, int]:
        """(y, x) pixels of what it is shown in training."""
        return self.plane or self.patch
