"""Encoders made for photographs, with a head that predicts four classes (PLoS ONE 2020)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hela_dask.unet.architectures.base import Architecture, Recipe
from hela_dask.unet.architectures.weights import imagenet_encoder, load_initial_weights
from hela_dask.unet.backend import keras
from hela_dask.unet.card import CLASSES

__all__ = ["INCEPTION", "RESNET18", "VGG16", "build_inception", "build_resnet18", "build_vgg16"]

PLANE = (360, 480)
_CAFFE = (-103.939, -116.779, -123.68)  # means subtracted from the training images of VGG16, 0-255
_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, 0-1
_LAST_OF_INCEPTION = "block17_20_ac"  # at a sixteenth of the size


def build_vgg16(
    weights: str | Path | None = None, *, plane: tuple[int, int] = PLANE, width: int = 512
) -> Any:
    """VGG16 with a decoder like SegNet's: as many blocks up as down, without short cuts.

    SegNet unpools values to their positions; here they are interpolated. `weights` is a file or
    ``"imagenet"``; the input is (n, *plane, 3); the decoder's first block has at most `width`
    channels.
    """
    layers = keras().layers
    image = keras().Input((*plane, 3), name="plane")
    shown = layers.Rescaling(255.0, offset=list(_CAFFE), name="shown")(image)
    encoder = imagenet_encoder("VGG16", "vgg16", weights, shown)
    sizes = [encoder.get_layer(f"block{level}_conv1").output.shape[1:3] for level in range(1, 6)]
    x = encoder.output
    for level, (size, channels) in reversed(
        list(enumerate(zip(sizes, (64, 128, 256, 512, 512), strict=True), start=1))
    ):
        x = _grow(x, size, f"grow{level}")
        for number in range(1, 3):
            x = _conv(x, min(width, channels), f"up{level}_{number}")
    raw = layers.Conv2D(len(CLASSES), 1, name="outputs")(x)
    return load_initial_weights(
        keras().Model(image, raw, name="vgg16"), weights, encoder, imagenet=True
    )


def build_resnet18(
    weights: str | Path | None = None, *, plane: tuple[int, int] = PLANE, width: int = 64
) -> Any:
    """ResNet18, its last two stages at a sixteenth of the size, with a head like DeepLab v3+'s.

    `weights` is a file (Keras has none of ImageNet's for it); the input is (n, *plane, 3); the
    first stage has `width` channels.
    """
    layers = keras().layers
    image = keras().Input((*plane, 3), name="plane")
    x = layers.Normalization(
        mean=list(_MEAN), variance=[value**2 for value in _SPREAD], name="shown"
    )(image)
    x = _conv(x, width, "stem", size=7, strides=2)
    x = layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(x)
    low = x
    for stage, (strides, dilation) in enumerate(((1, 1), (2, 1), (2, 1), (1, 2)), start=1):
        for block in (1, 2):
            step = strides if block == 1 else 1
            x = _basic(x, width * 2 ** (stage - 1), f"stage{stage}_{block}", step, dilation)
        low = x if stage == 1 else low
    encoder = keras().Model(image, x, name="resnet18_encoder")
    raw = _deeplab(low, x, plane, 4 * width)
    return load_initial_weights(keras().Model(image, raw, name="resnet18"), weights, encoder)


def build_inception(
    weights: str | Path | None = None, *, plane: tuple[int, int] = PLANE, width: int = 256
) -> Any:
    """Inception-ResNet-v2 up to a sixteenth of the size, with a head like DeepLab v3+'s.

    `weights` is a file or ``"imagenet"``; the input is (n, *plane, 3), y and x at least 75; the
    head has `width` channels.
    """
    layers = keras().layers
    image = keras().Input((*plane, 3), name="plane")
    shown = layers.Rescaling(2.0, offset=-1.0, name="shown")(image)
    encoder = imagenet_encoder("InceptionResNetV2", "inception-resnet-v2", weights, shown)
    pool = next(layer for layer in encoder.layers if isinstance(layer, layers.MaxPooling2D))
    raw = _deeplab(pool.output, encoder.get_layer(_LAST_OF_INCEPTION).output, plane, width)
    network = keras().Model(image, raw, name="inception-resnet-v2")
    return load_initial_weights(network, weights, encoder, imagenet=True)


def _deeplab(low: Any, high: Any, plane: Sequence[int], width: int) -> Any:
    """Context at several widths, joined with the features at a quarter of the size."""
    layers = keras().layers
    seen = [_conv(high, width, "context1", size=1)]
    seen += [_conv(high, width, f"context{rate}", dilation=rate) for rate in (6, 12, 18)]
    x = layers.Concatenate(name="contexts")(seen)
    x = _conv(x, width, "context", size=1)
    x = _grow(x, low.shape[1:3], "grow_context")
    x = layers.Concatenate(name="with_low")([x, _conv(low, 48, "low", size=1)])
    x = _conv(_conv(x, width, "head1"), width, "head2")
    raw = layers.Conv2D(len(CLASSES), 1, name="classes")(x)
    return _grow(raw, plane, "outputs")


def _grow(x: Any, size: Sequence[int], name: str) -> Any:
    return keras().layers.Resizing(*size, interpolation="bilinear", name=name)(x)


def _conv(
    x: Any, width: int, name: str, *, size: int = 3, strides: int = 1, dilation: int = 1
) -> Any:
    """Convolution, normalisation, rectifier."""
    return keras().layers.Activation("relu", name=f"{name}_relu")(
        _normed(x, width, name, size=size, strides=strides, dilation=dilation)
    )


def _normed(
    x: Any, width: int, name: str, *, size: int = 3, strides: int = 1, dilation: int = 1
) -> Any:
    layers = keras().layers
    x = layers.Conv2D(
        width,
        size,
        strides=strides,
        dilation_rate=dilation,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    return layers.BatchNormalization(name=f"{name}_norm")(x)


def _basic(x: Any, width: int, name: str, strides: int, dilation: int) -> Any:
    """ResNet's block of two convolutions."""
    layers = keras().layers
    short = x
    if strides != 1 or x.shape[-1] != width:
        short = _normed(x, width, f"{name}_short", size=1, strides=strides)
    x = _conv(x, width, f"{name}_1", strides=strides, dilation=dilation)
    x = _normed(x, width, f"{name}_2", dilation=dilation)
    joined = layers.Add(name=f"{name}_add")([x, short])
    return layers.Activation("relu", name=f"{name}_out")(joined)


_SOURCE = "Karabağ et al., PLoS ONE 2020; the batch follows from their iterations"


def _encoder(
    name: str, title: str, build: Callable[..., Any], *, rate: float, batch: int, epochs: int
) -> Architecture:
    """Of whole planes, as in that paper."""
    return Architecture(
        name=name,
        title=f"{title} (Karabağ et al., PLoS ONE 2020)",
        classes=CLASSES,
        channels="repeated",
        plane=PLANE,
        multiple=1,
        build=build,
        recipe=Recipe(optimiser="sgd", rate=rate, batch=batch, epochs=epochs, source=_SOURCE),
    )


VGG16 = _encoder(
    "vgg16",
    "VGG16 with a decoder like SegNet's",
    build_vgg16,
    rate=1e-3,
    batch=4,
    epochs=100,
)
RESNET18 = _encoder(
    "resnet18",
    "ResNet18 with a head like DeepLab v3+'s",
    build_resnet18,
    rate=9e-5,
    batch=8,
    epochs=30,
)
INCEPTION = _encoder(
    "inception-resnet-v2",
    "Inception-ResNet-v2 with a head like DeepLab v3+'s",
    build_inception,
    rate=9e-5,
    batch=8,
    epochs=30,
)
