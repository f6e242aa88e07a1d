"""Networks of Keras as ONNX files: the same outputs, and the same weights back."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hela_dask.errors import InputError, MissingDependencyError
from hela_dask.unet import old_folder
from hela_dask.unet.architectures import ARCHITECTURES, Architecture, get_architecture
from hela_dask.unet.card import CLASSES, EXTRA, Card
from hela_dask.unet.engine import Network
from hela_dask.unet.export import copy_weights, to_onnx
from hela_dask.unet.model import CARD, NETWORK, OLD_NETWORK, find_model, load_model, save_model
from tests.unet.networks import VOXEL, normalised
from tests.unet.scene import tiny

pytestmark = pytest.mark.usefixtures("keras")

LARGE = "inception-resnet-v2"
TOLERANCE = 1e-5
"""Of the largest output: float32 with sums in another order; 2e-6 was the most of all networks."""


def small(name: str) -> Architecture:
    if name != LARGE:
        return tiny(name)
    build = functools.partial(get_architecture(name).build, plane=(75, 80), width=4)
    return tiny(name, plane=(75, 80), build=build)


def shaken(network: Any) -> Any:
    """The network with biases and means that are not zero, as after training."""
    rng = np.random.default_rng(0)
    network.set_weights(
        [
            weight + (rng.uniform(0.05, 0.3, weight.shape) if weight.ndim == 1 else 0)
            for weight in network.get_weights()
        ]
    )
    return network


def card_of(architecture: Architecture) -> Card:
    return Card(
        architecture.name,
        architecture.classes,
        VOXEL,
        architecture.extra,
        architecture.slices,
        architecture.channels,
        architecture.plane,
        architecture.multiple,
    )


@pytest.mark.parametrize(
    "name",
    [
        name if name not in (LARGE, "vgg16") else pytest.param(name, marks=pytest.mark.slow)
        for name in ARCHITECTURES
    ],
)
def test_outputs_are_those_of_keras(name: str) -> None:
    architecture = small(name)
    network = shaken(architecture.build())
    content = to_onnx(network)
    assert to_onnx(network) == content
    card = card_of(architecture)
    size = architecture.plane or (48, 80)
    batch = np.random.default_rng(1).random((2, *size, card.n_channels), dtype=np.float32)
    expected = np.asarray(network(batch, training=False))
    found = np.moveaxis(Network(content, card, name)(batch), 1, -1)
    assert expected.std() > 0.01
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())


@pytest.mark.parametrize("name", ["residual", "unet", "resnet18"])
def test_weights_come_back_from_the_file(name: str, tmp_path: Path) -> None:
    first = shaken(tiny(name).build())
    (tmp_path / "first.onnx").write_bytes(to_onnx(first))
    again = tiny(name).build(tmp_path / "first.onnx")
    for one, two in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    other = tiny("hybrid").build()
    before = other.get_weights()
    with pytest.raises(InputError, match="is of another architecture than hybrid"):
        copy_weights(tmp_path / "first.onnx", other)
    for one, two in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    (tmp_path / "broken.onnx").write_bytes(b"nothing")
    with pytest.raises(InputError, match="it is no ONNX file, or damaged"):
        copy_weights(tmp_path / "broken.onnx", first)


def test_the_shipped_network_can_be_trained_further() -> None:
    folder, _, _ = find_model()
    network = get_architecture("residual").build(folder / NETWORK)
    assert to_onnx(network) == (folder / NETWORK).read_bytes()


@pytest.mark.parametrize(
    ("name", "options", "fault"),
    [
        ("Dropout", {"rate": 0.5}, r"\(Dropout\) cannot be converted to ONNX"),
        ("Activation", {"activation": "gelu"}, "has the activation gelu"),
        ("Conv2D", {"filters": 4, "kernel_size": 3, "groups": 2}, "has groups 2, which"),
        (
            "Conv2DTranspose",
            {"filters": 4, "kernel_size": 3, "strides": 2},
            r"has strides \(2, 2\), which",
        ),
        ("UpSampling2D", {"interpolation": "bilinear"}, "has interpolation 'bilinear'"),
        ("Concatenate", {"axis": 1}, "has axis 1, which"),
    ],
)
def test_layers_that_are_not_known_are_refused(
    name: str, options: dict[str, Any], fault: str, keras: Any
) -> None:
    image = keras.Input((None, None, 4))
    added = getattr(keras.layers, name)(**options)
    network = keras.Model(image, added([image, image] if name == "Concatenate" else image))
    with pytest.raises(InputError, match=fault):
        to_onnx(network)


@pytest.fixture
def old(tmp_path: Path) -> tuple[Path, Any]:
    """A folder as training wrote it before: a Keras file, and a card without a fingerprint."""
    network = shaken(normalised())
    card = Card("residual", CLASSES, VOXEL, EXTRA, 5)
    save_model(tmp_path / "old", to_onnx(network), card)
    (tmp_path / "old" / NETWORK).unlink()
    facts = card.to_dict()
    for name in ("greys", "mean", "std", "probabilities", "network"):
        del facts[name]
    (tmp_path / "old" / CARD).write_text(json.dumps(facts))
    network.save(tmp_path / "old" / OLD_NETWORK)
    return tmp_path / "old", network


def test_an_old_folder_is_converted_once(old: tuple[Path, Any]) -> None:
    folder, network = old
    model = load_model(folder)
    assert (folder / NETWORK).read_bytes() == to_onnx(network)
    assert load_model(folder) is model
    batch = np.random.default_rng(0).random((1, 32, 32, 5), dtype=np.float32)
    expected = np.asarray(network(batch, training=False))
    found = np.moveaxis(model.network(batch), 1, -1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())


def test_an_old_folder_without_keras_is_one_sentence(
    old: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = old

    def missing() -> Any:
        raise MissingDependencyError("no Keras")

    monkeypatch.setattr(old_folder, "keras", missing)
    with pytest.raises(
        MissingDependencyError,
        match=r"must be converted once, with Keras: pip install 'hela_dask\[train\]', then repeat",
    ):
        find_model(folder)
    assert not (folder / NETWORK).exists()


def test_a_damaged_old_folder_is_one_sentence(old: tuple[Path, Any]) -> None:
    folder, _ = old
    whole = (folder / OLD_NETWORK).read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
    for content in (b"PK broken", whole[:-50], flipped):
        (folder / OLD_NETWORK).write_bytes(content)
        with pytest.raises(InputError, match=r"model\.keras is damaged"):
            find_model(folder)
    with zipfile.ZipFile(folder / OLD_NETWORK, "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(InputError, match="is of another Keras"):
        find_model(folder)


def test_a_network_of_another_backend_is_the_same_file(tmp_path: Path) -> None:
    if importlib.util.find_spec("jax") is None:
        pytest.skip("JAX is not installed")
    network = shaken(normalised())
    np.savez(tmp_path / "weights.npz", *network.get_weights())
    code = f"""
import numpy as np
import keras
from hela_dask.unet.export import to_onnx
from tests.unet.networks import normalised
assert keras.backend.backend() == "jax"
network = normalised()
with np.load({str(tmp_path / "weights.npz")!r}) as kept:
    network.set_weights([kept[name] for name in kept.files])
open({str(tmp_path / "other.onnx")!r}, "wb").write(to_onnx(network))
"""
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert (tmp_path / "other.onnx").read_bytes() == to_onnx(network)
