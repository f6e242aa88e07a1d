"""Small networks with known weights: what they tell can be worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hela_dask.unet.backend import keras
from hela_dask.unet.card import CLASSES, EXTRA, Card
from hela_dask.unet.model import Model, load_model, save_model

VOXEL = (50.0, 40.0, 40.0)


def pointwise(
    card: Card,
    weights: np.ndarray[Any, Any],
    bias: np.ndarray[Any, Any],
    **options: Any,
) -> bytes:
    """A network whose outputs at a pixel are a linear function of what it sees there."""
    nodes: list[Any] = [("Conv", ["image", "weights", "bias"], ["outputs"], {})]
    arrays = {"weights": weights.T[:, :, None, None], "bias": bias}
    ends = [("n", card.n_channels, "y", "x"), ("n", weights.shape[1], "y", "x")]
    return onnx_file(nodes, arrays, ends, **options)


def onnx_file(
    nodes: list[tuple[str, list[str], list[str], dict[str, Any]]],
    arrays: dict[str, Any],
    ends: list[tuple[Any, ...]],
    *,
    opset: int = 17,
    ir_version: int = 8,
    dtype: str = "FLOAT",
    outputs: tuple[str, ...] = ("outputs",),
) -> bytes:
    """An ONNX file as other software may write it, of nodes (operation, inputs, outputs, options).

    `ends` are the shapes of the input ``image`` and of each output.
    """
    onnx = pytest.importorskip("onnx", reason="ONNX is not installed")
    helper, kind = onnx.helper, getattr(onnx.TensorProto, dtype)
    infos = [
        helper.make_tensor_value_info(name, kind, shape)
        for name, shape in zip(("image", *outputs), ends, strict=True)
    ]
    graph = helper.make_graph(
        [helper.make_node(*node, **options) for *node, options in nodes],
        "network",
        infos[:1],
        infos[1:],
        [
            onnx.numpy_helper.from_array(
                np.ascontiguousarray(array, None if np.asarray(array).dtype.kind == "i" else "f4"),
                name,
            )
            for name, array in arrays.items()
        ],
    )
    model = helper.make_model(
        graph, ir_version=ir_version, opset_imports=[helper.make_opsetid("", opset)]
    )
    content: bytes = model.SerializeToString()
    return content


def normalised(weights: None = None) -> Any:
    """A network of one normalised layer, with the inputs and outputs of ``residual``."""
    layers = keras().layers
    image = keras().Input((None, None, 5), name="slices")
    x = layers.Conv2D(4, 3, padding="same", use_bias=False, name="conv")(image)
    x = layers.BatchNormalization(momentum=0.95, name="norm")(x)
    x = layers.Activation("relu", name="relu")(x)
    raw = layers.Conv2D(len(CLASSES) + len(EXTRA), 1, name="outputs")(x)
    return keras().Model(image, raw, name="normalised")


def by_grey(folder: Path, slices: int = 1, channel: int | None = None, **facts: Any) -> Model:
    """A model of all classes and outputs that tells them by the grey value of the slice itself.

    With a channel, by that of one of its neighbours.

    From dark to bright, in units of the span: envelope to 0.25, nucleus to 0.5, cell to 0.75,
    resin. The boundary is certain in the envelope; the distance is the grey value.
    """
    card = Card("residual", CLASSES, VOXEL, EXTRA, slices, **facts)
    seen, predicted = np.zeros(slices), np.zeros(len(card.outputs))
    seen[slices // 2 if channel is None else channel] = 1.0
    steep = 200.0
    # Straight lines, each the highest of all over its part of the grey values.
    rank = {"envelope": 0, "nucleus": 1, "cell": 2, "resin": 3}
    slope = np.array([rank[name] * steep for name in CLASSES] + [-steep, 1.0])
    bounds = np.cumsum([0.0, 0.25, 0.5, 0.75]) * steep
    predicted[:4] = [-bounds[rank[name]] for name in CLASSES]
    predicted[4] = 0.25 * steep
    return stored(folder, card, np.outer(seen, slope), predicted)


def stored(
    folder: Path, card: Card, weights: np.ndarray[Any, Any], bias: np.ndarray[Any, Any]
) -> Model:
    """The pointwise network, through its folder."""
    save_model(folder, pointwise(card, weights, bias), card)
    return load_model(folder)
