"""Small ONNX files of each kind of operation that segmentation networks have, and their damage."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from hela_dask.unet.card import Card
from hela_dask.unet.engine import Network
from tests.fuzz.mutations import mutate_binary, mutate_bytes
from tests.unet.networks import VOXEL, onnx_file, pointwise

__all__ = ["networks", "read_network", "write_network"]

_CARD = Card("other", ("cell", "nucleus"), VOXEL, slices=3)
_ENDS: list[tuple[Any, ...]] = [("n", 3, "y", "x"), ("n", 2, "y", "x")]


def networks(folder: Path) -> list[bytes]:
    """A linear function of each pixel, a U-Net of two levels, and one with channels last."""
    draw = np.random.default_rng(0)
    weights, bias = draw.random((3, 2)), np.array([0.5, -0.5])
    same: dict[str, Any] = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    half: dict[str, Any] = {"kernel_shape": [2, 2], "strides": [2, 2]}
    resize = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric"}
    levels: Any = [
        ("Conv", ["image", "fine"], ["a"], same),
        ("BatchNormalization", ["a", *["scale", "centre", "mean", "variance"]], ["b"], {}),
        ("Relu", ["b"], ["c"], {}),
        ("MaxPool", ["c"], ["d"], half),
        ("Conv", ["d", "coarse"], ["e"], same),
        ("Resize", ["e", "", "factors"], ["f"], resize | {"nearest_mode": "floor"}),
        ("Concat", ["c", "f"], ["g"], {"axis": 1}),
        ("Conv", ["g", "last", "bias"], ["outputs"], {}),
    ]
    arrays = {
        **{"fine": draw.random((2, 3, 3, 3)), "coarse": draw.random((2, 2, 3, 3))},
        **{name: np.ones(2) for name in ("scale", "centre", "mean", "variance")},
        **{"factors": np.array([1.0, 1.0, 2.0, 2.0]), "last": draw.random((2, 4, 1, 1))},
        "bias": bias,
    }
    product: Any = [
        ("MatMul", ["image", "weights"], ["product"], {}),
        ("Add", ["product", "bias"], ["outputs"], {}),
    ]
    channels_last: list[tuple[Any, ...]] = [("n", "y", "x", 3), ("n", "y", "x", 2)]
    found = [
        pointwise(_CARD, weights, bias),
        onnx_file(levels, arrays, _ENDS),
        onnx_file(product, {"weights": weights, "bias": bias}, channels_last),
    ]
    (folder / "network.onnx").write_bytes(found[1])  # it is read before memory is limited
    return found


def write_network(folder: Path, state: list[bytes], random: Random) -> None:
    """One of them, with bytes changed, left out, doubled or cut off."""
    content = random.choice(state)
    match random.randrange(4):
        case 0 | 1:  # as long as it was, so that most are messages of protobuf still
            data = bytearray(content)
            for _ in range(random.choice((1, 1, 2))):
                data[random.randrange(len(data))] = random.choice((0, 1, 2, 127, 128, 255))
            content = bytes(data)
        case 2:
            content = mutate_bytes(random, content)
        case _:
            content = mutate_binary(random, content, len(content))
    (folder / "network.onnx").write_bytes(content)


def read_network(folder: Path) -> None:
    """Load the network, and compute two images."""
    path = folder / "network.onnx"
    network = Network(path.read_bytes(), _CARD, str(path))
    found = network(np.ones((2, 16, 32, 3), np.float32))
    assert found.shape == (2, 2, 16, 32)
    assert found.dtype == np.float32
