"""Plain U-Nets: four classes in patches (PLoS ONE 2020), and the hybrid method's binary one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hela_dask.unet.architectures.base import Architecture, Recipe
from hela_dask.unet.architectures.weights import load_initial_weights
from hela_dask.unet.backend import keras
from hela_dask.unet.card import CLASSES

__all__ = ["HYBRID", "UNET", "build_hybrid", "build_unet"]


def build_unet(weights: str | Path | None = None, *, width: int = 64) -> Any:
    """The U-Net of four classes: (n, y, x, 1) in, (n, y, x, 4) out; multiples of 8.

    Three blocks down and three up, each of one 3 x 3 convolution with `width` channels, so that
    with input and outputs there are the published twenty layers; the features of each block down
    are joined to the block up. `weights` is a file of a network of this architecture.
    """
    image = keras().Input((None, None, 1), name="slice")
    x = _down_and_up(image, [width] * 3, width, _conv)
    raw = keras().layers.Conv2D(len(CLASSES), 1, name="outputs")(x)
    return load_initial_weights(keras().Model(image, raw, name="unet"), weights)


def build_hybrid(weights: str | Path | None = None, *, width: int = 16) -> Any:
    """The standard U-Net of one class: (n, y, x, 1) in, (n, y, x, 1) out; multiples of 16.

    Four levels of two 3 x 3 convolutions, channels doubling from `width`; the sigmoid is applied by
    the caller. The paper does not give the channels; 16 are common at this size, and enough for an
    image of two values. `weights` is a file of a network of this architecture.
    """
    image = keras().Input((None, None, 1), name="tissue")
    x = _down_and_up(image, [width * 2**level for level in range(4)], width * 16, _twice)
    raw = keras().layers.Conv2D(1, 1, name="outputs")(x)
    return load_initial_weights(keras().Model(image, raw, name="hybrid"), weights)


def _down_and_up(
    x: Any, widths: Sequence[int], bottom: int, block: Callable[[Any, int, str], Any]
) -> Any:
    """Blocks of these channels down, one at the bottom, and up, with skip connections."""
    layers = keras().layers
    kept = []
    for level, width in enumerate(widths):
        x = block(x, width, f"down{level}")
        kept.append(x)
        x = layers.MaxPooling2D(2, name=f"pool{level}")(x)
    x = block(x, bottom, "bottom")
    for level, width in reversed(list(enumerate(widths))):
        x = layers.Conv2DTranspose(width, 2, strides=2, name=f"grow{level}")(x)
        x = layers.Concatenate(name=f"join{level}")([x, kept[level]])
        x = block(x, width, f"up{level}")
    return x


def _conv(x: Any, width: int, name: str) -> Any:
    return keras().layers.Conv2D(
        width,
        3,
        padding="same",
        activation="relu",
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)


def _twice(x: Any, width: int, name: str) -> Any:
    return _conv(_conv(x, width, f"{name}_first"), width, f"{name}_second")


UNET = Architecture(
    name="unet",
    title="U-Net of four classes in patches of 128 x 128 (Karabağ et al., PLoS ONE 2020)",
    classes=CLASSES,
    patch=(128, 128),
    multiple=8,
    build=build_unet,
    recipe=Recipe(
        optimiser="rmsprop",
        rate=1e-3,
        batch=64,
        epochs=15,
        source="Karabağ et al., PLoS ONE 2020; rate, batch and widths are not given there",
    ),
)

HYBRID = Architecture(
    name="hybrid",
    title="binary U-Net on thresholded planes of 256 x 256 (Hosangadi et al.)",
    classes=("cell",),
    channels="binary",
    plane=(256, 256),
    multiple=16,
    pixel=10.0,
    build=build_hybrid,
    values={"other": (3, 4), "cell": (1, 2, 5)},
    recipe=Recipe(
        optimiser="adam",
        rate=1e-3,
        batch=8,
        epochs=100,
        schedule="plateau",
        patience=15,
        weighting="none",
        augmentation="binary",
        source="Hosangadi et al.; rate and widths are not given there",
    ),
)
