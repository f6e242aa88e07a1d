"""Every architecture learns, gives what it promises, and comes back from its file."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hela_dask.errors import InputError, MissingInputError, ParameterError
from hela_dask.unet.architectures import ARCHITECTURES, Architecture, get_architecture
from hela_dask.unet.fitting import make_optimiser
from hela_dask.unet.losses import make_loss
from tests.unet.networks import onnx_file
from tests.unet.scene import tiny

pytestmark = pytest.mark.usefixtures("keras")

LARGE = "inception-resnet-v2"


def _architecture(name: str, **recipe: Any) -> Architecture:
    if name != LARGE:
        return tiny(name, **recipe)
    build = functools.partial(get_architecture(name).build, plane=(75, 80), width=4)
    return tiny(name, plane=(75, 80), build=build, **recipe)


def _batch(architecture: Architecture, count: int) -> tuple[Any, Any]:
    """Squares of the classes' own grey values."""
    rng = np.random.default_rng(0)
    side = architecture.seen
    classes = max(2, len(architecture.classes))
    small = rng.integers(0, classes, (count, 2, 2))
    index = np.repeat(np.repeat(small, side[0] // 2 + 1, 1), side[1] // 2 + 1, 2)
    index = index[:, : side[0], : side[1]]
    channels = 3 if architecture.channels == "repeated" else architecture.slices
    image = np.repeat((index / (classes - 1))[..., None], channels, -1)
    truth = np.zeros((*index.shape, 5 if architecture.extra else 2))
    truth[..., 0], truth[..., 1] = index, 1
    if architecture.extra:
        truth[..., 3], truth[..., 4] = image[..., 0], 1
    return image.astype(np.float32), truth.astype(np.float32)


@pytest.mark.parametrize(
    "name",
    [
        name if name != LARGE else pytest.param(name, marks=pytest.mark.slow)
        for name in ARCHITECTURES
    ],
)
def test_it_learns_and_comes_back_from_its_file(name: str, keras: Any, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    # The papers' rates are for days: here a few steps must do.
    rates = {"residual": 1e-2, "unet": 1e-2, "resnet18": 1e-2}
    architecture = _architecture(name, rate=rates.get(name, 1e-3))
    network = architecture.build()
    image, truth = _batch(architecture, 2)
    classes = max(2, len(architecture.classes))
    loss = make_loss(
        np.ones(classes, np.float32),
        single=len(architecture.classes) == 1,
        extra=bool(architecture.extra),
    )
    # Tracing a graph takes many times as long as the steps themselves; trainings trace theirs.
    network.compile(optimizer=make_optimiser(architecture.recipe), loss=loss, run_eagerly=True)
    losses = []
    for _ in range(2 if name == LARGE else 6):
        network.reset_metrics()
        losses.append(float(network.train_on_batch(image, truth)))
    assert losses[-1] < losses[0]
    out = np.asarray(network(image, training=False))
    assert out.shape == (2, *architecture.seen, len(architecture.classes + architecture.extra))
    path = tmp_path / "model.keras"
    network.save(path)
    again = keras.saving.load_model(path, compile=False)
    np.testing.assert_array_equal(np.asarray(again(image, training=False)), out)


def test_a_network_starts_from_a_file_of_its_own_kind(tmp_path: Path) -> None:
    architecture = tiny("residual")
    network = architecture.build()
    network.save(tmp_path / "own.keras")
    again = architecture.build(tmp_path / "own.keras")
    for one, two in zip(network.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    with pytest.raises(InputError, match="of another architecture than unet"):
        tiny("unet").build(tmp_path / "own.keras")


def test_an_encoder_starts_from_weights_of_its_own(keras: Any, tmp_path: Path) -> None:
    first = tiny("resnet18").build()
    encoder = keras.Model(first.input, first.get_layer("stage4_2_out").output)
    encoder.save_weights(tmp_path / "encoder.weights.h5")
    encoder.save(tmp_path / "encoder.keras")
    for file in ("encoder.weights.h5", "encoder.keras"):
        again = tiny("resnet18").build(tmp_path / file)
        for name, same in (("stage3_1_1_conv", True), ("head1_conv", False)):
            one, two = (network.get_layer(name).get_weights()[0] for network in (first, again))
            assert np.array_equal(one, two) == same
    with pytest.raises(InputError, match="does not hold weights of unet"):
        tiny("unet").build(tmp_path / "encoder.weights.h5")


def test_an_encoder_starts_from_convolutions_of_other_software(tmp_path: Path) -> None:
    architecture = tiny("vgg16")
    network = architecture.build()
    blocks = [layer for layer in network.layers if layer.name.startswith("block")]
    layers = [layer for layer in blocks if layer.get_weights()]
    assert len(layers) == 13
    rng = np.random.default_rng(0)
    kernels = [rng.normal(size=layer.kernel.shape).astype(np.float32) for layer in layers]
    nodes: list[Any] = []
    arrays = dict[str, Any]()
    last = "image"
    for at, (layer, kernel) in enumerate(zip(layers, kernels, strict=True)):
        arrays |= {
            f"k{at}": kernel.transpose(3, 2, 0, 1),
            f"b{at}": np.full(kernel.shape[3], at, np.float32),
        }
        nodes.append(("Conv", [last, f"k{at}", f"b{at}"], [layer.name], {"pads": [1, 1, 1, 1]}))
        last = layer.name
    nodes.append(("Relu", [last], ["outputs"], {}))
    ends = [("n", 3, "y", "x"), ("n", 512, "y", "x")]
    file = tmp_path / "other.onnx"
    file.write_bytes(onnx_file(nodes, arrays, ends))
    again = architecture.build(file)
    for at, (layer, kernel) in enumerate(zip(layers, kernels, strict=True)):
        found, bias = again.get_layer(layer.name).get_weights()
        np.testing.assert_array_equal(found, kernel)
        np.testing.assert_array_equal(bias, at)
    with pytest.raises(InputError, match="of another architecture"):
        tiny("resnet18").build(file)
    file.write_bytes(onnx_file(nodes[:12], arrays, ends, outputs=(layers[11].name,)))
    with pytest.raises(InputError, match="of another architecture"):
        architecture.build(file)


def test_weights_that_are_not_there(
    keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MissingInputError, match="no weights at"):
        tiny("unet").build(tmp_path / "none.keras")
    with pytest.raises(ParameterError, match="no ImageNet weights for the model resnet18"):
        tiny("resnet18").build("imagenet")
    broken = tmp_path / "broken.keras"
    broken.write_bytes(b"nothing")
    with pytest.raises(InputError, match="does not hold weights of unet"):
        tiny("unet").build(broken)

    def refused(**_: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr(keras.applications, "VGG16", refused)
    with pytest.raises(MissingInputError, match="cannot be downloaded here"):
        tiny("vgg16").build("imagenet")


def test_the_published_sizes() -> None:
    unet = get_architecture("unet").build()
    convolutions = [layer for layer in unet.layers if type(layer).__name__.startswith("Conv2D")]
    assert len(convolutions) == 3 + 1 + 2 * 3 + 1
    assert get_architecture("residual").build().count_params() == 1_118_230
    assert get_architecture("hybrid").plane == (256, 256)
    assert {get_architecture(name).plane for name in ("vgg16", "resnet18", LARGE)} == {(360, 480)}
    with pytest.raises(ParameterError, match="no model 'segnet'; known: residual, unet"):
        get_architecture("segnet")
