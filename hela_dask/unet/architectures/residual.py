"""Ours.

A compact residual U-Net with five slices as input that also predicts contacts and distances.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hela_dask.unet.architectures.base import Architecture, Recipe
from hela_dask.unet.architectures.weights import load_initial_weights
from hela_dask.unet.backend import keras
from hela_dask.unet.card import CLASSES, EXTRA

__all__ = ["RESIDUAL", "build_residual"]

_SLICES = 5


def build_residual(weights: str | Path | None = None, *, width: int = 24) -> Any:
    """Five slices (n, y, x, 5) in, (n, y, x, 6) out; y and x are multiples of 16.

    The first layer halves the plane, so that nearly all work is done on pixels twice as large;
    two thin layers at full resolution set the outline. The first block has `width` channels, the
    lowest six times as many. `weights` is a file of a network of this architecture.
    """
    layers = keras().layers
    image = keras().Input((None, None, _SLICES), name="slices")
    fine = layers.Conv2D(8, 3, padding="same", activation="relu", name="fine")(image)
    x = layers.Conv2D(width, 2, strides=2, activation="relu", name="stem")(image)
    kept, widths = [], (width, 2 * width, 4 * width)
    for level, channels in enumerate(widths):
        x = _block(x, channels, f"down{level}")
        kept.append(x)
        x = layers.MaxPooling2D(2, name=f"pool{level}")(x)
    x = _block(x, 6 * width, "bottom1", dilation=2)
    x = _block(x, 6 * width, "bottom2", dilation=4)
    for level, channels in reversed(list(enumerate(widths))):
        x = layers.Conv2D(channels, 1, name=f"up{level}_narrow")(x)
        x = layers.UpSampling2D(2, name=f"up{level}_grow")(x)
        x = layers.Add(name=f"up{level}_join")([x, kept[level]])
        x = _block(x, channels, f"up{level}")
    x = layers.Conv2DTranspose(16, 2, strides=2, name="refine")(x)
    x = layers.Concatenate(name="with_fine")([x, fine])
    x = layers.Conv2D(16, 3, padding="same", activation="relu", name="outline")(x)
    raw = layers.Conv2D(len(CLASSES) + len(EXTRA), 1, name="outputs")(x)
    return load_initial_weights(keras().Model(image, raw, name="residual"), weights)


def _block(x: Any, width: int, name: str, dilation: int = 1) -> Any:
    """Two 3 x 3 convolutions and a short cut."""
    layers = keras().layers
    short = x
    if x.shape[-1] != width:
        short = layers.Conv2D(width, 1, use_bias=False, name=f"{name}_short")(x)
    for number, rate in ((1, 1), (2, dilation)):
        x = layers.Conv2D(
            width,
            3,
            padding="same",
            dilation_rate=rate,
            use_bias=False,
            name=f"{name}_conv{number}",
        )(x)
        x = layers.BatchNormalization(momentum=0.95, name=f"{name}_norm{number}")(x)
        if number == 1:
            x = layers.Activation("relu", name=f"{name}_relu{number}")(x)
    joined = layers.Add(name=f"{name}_add")([x, short])
    return layers.Activation("relu", name=f"{name}_out")(joined)


RESIDUAL = Architecture(
    name="residual",
    title="compact residual U-Net over five slices, with contacts and distances (this package)",
    classes=CLASSES,
    extra=EXTRA,
    slices=_SLICES,
    patch=(192, 192),
    multiple=16,
    build=build_residual,
    recipe=Recipe(
        optimiser="adamw",
        rate=2e-3,
        batch=8,
        epochs=80,
        steps=100,
        schedule="cosine",
        weighting="softened",
        augmentation="greys",
        placing="space",
        dice=1.0,
        source="this package's own",
    ),
)
