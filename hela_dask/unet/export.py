"""A Keras network as an ONNX file and back, whatever library Keras runs on.

The graph is built from the layers and their weights, and not from a trace of a backend. Layers of
:mod:`hela_dask.unet.architectures` are known, and no others. Images are (n, channels, y, x), which
is ONNX's order; Keras' is (n, y, x, channels).
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.errors import InputError, MissingDependencyError
from hela_dask.unet.backend import INSTALL_TRAIN, keras

__all__ = ["check_onnx", "copy_weights", "to_onnx"]

_OPSET, _IR = 17, 8  # read by ONNX Runtime 1.13 and later
_PRODUCER = "hela_dask"
_INSIDE = "layers/"  # before the names of layers, which may be those of the input and the output


def check_onnx() -> None:
    """Raise MissingDependencyError where the package onnx is not installed, without loading it."""
    if importlib.util.find_spec("onnx") is None:
        raise MissingDependencyError(f"{INSTALL_TRAIN} (onnx is not there)")


def to_onnx(network: Any) -> bytes:
    """Convert a functional or sequential Keras network to ONNX.

    Parameters
    ----------
    network : keras.Model
        One input (n, y, x, channels) and one output (n, y, x, outputs) of float32; each layer is
        called once.

    Returns
    -------
    bytes
        The content of an ``.onnx`` file: float32 (n, channels, y, x) to (n, outputs, y, x). The
        same network gives the same bytes.

    Raises
    ------
    MissingDependencyError
        Without the package onnx.
    InputError
        When a layer, or an option of it, is not known here.
    """
    graph = _Graph()
    names = {id(network.inputs[0]): "image"}
    for layer in network.layers:
        if type(layer).__name__ == "InputLayer":
            continue
        given = layer.input if isinstance(layer.input, list) else [layer.input]
        convert = _LAYERS.get(type(layer).__name__)
        if convert is None:
            raise InputError(f"{_named(layer)} cannot be converted to ONNX")
        names[id(layer.output)] = convert(graph, layer, [names[id(tensor)] for tensor in given])
    return graph.to_bytes(network, names[id(network.outputs[0])])


def copy_weights(path: Path, network: Any, encoder: Any = None) -> None:
    """Copy the weights of an ONNX file into a Keras network.

    Parameters
    ----------
    path
        A file of :func:`to_onnx`, of a network of the same layers. Or one of other software: its
        first convolutions, in their order, are those of the encoder, and take the same grey values.
    network : keras.Model
    encoder : keras.Model, optional
        The part of it that may be trained beforehand; all its weights are those of convolutions, if
        it takes a file of other software.

    Raises
    ------
    MissingDependencyError
        Without the package onnx.
    InputError
        When it is no ONNX file, or of another architecture.
    """
    check_onnx()
    onnx: Any = importlib.import_module("onnx")
    try:
        graph = onnx.load(path).graph
        kept = {part.name: onnx.numpy_helper.to_array(part) for part in graph.initializer}
    except Exception as error:  # of protobuf, which has several
        raise InputError(f"{path} cannot be read: it is no ONNX file, or damaged") from error
    own = encoder is None or any(name.startswith(_INSIDE) for name in kept)
    if own:
        names = (
            f"{_INSIDE}{layer.name}/{name}"
            for layer in network.layers
            for name, *_ in _weights(layer)
        )
    else:
        network = encoder
        names = (name for node in graph.node if node.op_type == "Conv" for name in node.input[1:])
    variables = [known for layer in network.layers for known in _weights(layer)]
    wanted: list[tuple[Any, Any, tuple[int, ...]]] = [
        (variable, kept.get(name or ""), axes)
        for (_, variable, axes), name in itertools.zip_longest(
            variables, itertools.islice(names, len(variables))
        )
    ]
    for variable, values, axes in wanted:
        if values is None or tuple(variable.shape) != values.transpose(np.argsort(axes)).shape:
            raise InputError(
                f"{path} is of another architecture than {network.name}: name the --model that it "
                "is of"
            )
    for variable, values, axes in wanted:
        variable.assign(values.transpose(np.argsort(axes)))


def _weights(layer: Any) -> list[tuple[str, Any, tuple[int, ...]]]:
    """Name, variable and order of axes in ONNX of each array of weights of a layer."""
    kind = type(layer).__name__
    if kind in ("Conv2D", "Conv2DTranspose"):
        found: list[tuple[str, Any, tuple[int, ...]]] = [("kernel", layer.kernel, (3, 2, 0, 1))]
        return [*found, ("bias", layer.bias, (0,))] if layer.use_bias else found
    if kind == "BatchNormalization":
        parts = (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)
        names = ("scale", "centre", "mean", "variance")
        pairs = zip(names, parts, strict=True)
        return [(name, part, (0,)) for name, part in pairs if part is not None]
    return []


class _Graph:
    """Nodes and weights, in the order in which they are added."""

    def __init__(self) -> None:
        check_onnx()
        self._onnx: Any = importlib.import_module("onnx")
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def weight(self, name: str, values: Any, dtype: Any = np.float32) -> str:
        """Keep an array; returns its name."""
        name, array = _INSIDE + name, np.ascontiguousarray(values, dtype=dtype)
        self._weights.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def weights(self, layer: Any) -> list[str]:
        """Keep the weights of a layer; returns their names."""
        return [
            self.weight(f"{layer.name}/{name}", _array(variable).transpose(axes))
            for name, variable, axes in _weights(layer)
        ]

    def node(self, kind: str, name: str, inputs: list[str], **options: Any) -> str:
        """Add an operation; returns the name of its output."""
        name = _INSIDE + name
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, [name], name=name, **options))
        return name

    def to_bytes(self, network: Any, last: str) -> bytes:
        """The file, its output named ``outputs``."""
        helper, real = self._onnx.helper, self._onnx.TensorProto.FLOAT
        self._nodes.append(helper.make_node("Identity", [last], ["outputs"], name="outputs"))
        ends = [
            helper.make_tensor_value_info(name, real, ["n", channels, y or "y", x or "x"])
            for name, (_, y, x, channels) in (
                ("image", network.input_shape),
                ("outputs", network.output_shape),
            )
        ]
        graph = helper.make_graph(self._nodes, network.name, ends[:1], ends[1:], self._weights)
        model = helper.make_model(
            graph,
            producer_name=_PRODUCER,
            ir_version=_IR,
            opset_imports=[helper.make_opsetid("", _OPSET)],
        )
        self._onnx.checker.check_model(model, full_check=True)
        content: bytes = model.SerializeToString(deterministic=True)
        return content


def _named(layer: Any) -> str:
    return f"the layer {layer.name} ({type(layer).__name__})"


def _require(layer: Any, **options: Any) -> None:
    """Raise InputError where an option of a layer has another value than the one known here."""
    for name, known in options.items():
        if (found := getattr(layer, name)) != known:
            raise InputError(f"{_named(layer)} has {name} {found!r}, which is not known here")


def _pads(layer: Any, window: tuple[int, int], strides: tuple[int, int]) -> dict[str, Any]:
    """Padding of a window (with its dilation) as TensorFlow's: the odd pixel comes last."""
    if layer.padding == "valid":
        return {}
    before, after = [], []
    for length, size, step in zip(layer.input.shape[1:3], window, strides, strict=True):
        if length is None and step > 1:
            return {"auto_pad": "SAME_UPPER"}
        covered = 0 if length is None else (-(-length // step) - 1) * step - length
        total = max(0, size - 1 if length is None else covered + size)
        before.append(total // 2)
        after.append(total - total // 2)
    return {"pads": before + after}


def _activated(graph: _Graph, layer: Any, x: str) -> str:
    kind = layer.activation.__name__
    if kind not in ("linear", "relu"):
        raise InputError(f"{_named(layer)} has the activation {kind}, which is not known here")
    return x if kind == "linear" else graph.node("Relu", f"{layer.name}/relu", [x])


def _conv(graph: _Graph, layer: Any, inputs: list[str]) -> str:
    _require(layer, groups=1, data_format="channels_last")
    size, dilation = tuple(layer.kernel.shape[:2]), tuple(layer.dilation_rate)
    window = tuple((n - 1) * by + 1 for n, by in zip(size, dilation, strict=True))
    x = graph.node(
        "Conv",
        layer.name,
        inputs + graph.weights(layer),
        kernel_shape=list(size),
        strides=list(layer.strides),
        dilations=list(dilation),
        **_pads(layer, (window[0], window[1]), layer.strides),
    )
    return _activated(graph, layer, x)


def _conv_transpose(graph: _Graph, layer: Any, inputs: list[str]) -> str:
    # Windows that neither overlap nor leave gaps: no rule of padding matters.
    size = tuple(layer.kernel.shape[:2])
    _require(layer, strides=size, dilation_rate=(1, 1), data_format="channels_last")
    x = graph.node(
        "ConvTranspose", layer.name, inputs + graph.weights(layer), strides=list(layer.strides)
    )
    return _activated(graph, layer, x)


def _norm(graph: _Graph, layer: Any, inputs: list[str]) -> str:
    given = dict.fromkeys(("scale", "centre", "mean", "variance"), "")
    given |= zip([name for name, *_ in _weights(layer)], graph.weights(layer), strict=True)
    count = len(_array(layer.moving_mean))
    for name, value in (("scale", 1.0), ("centre", 0.0)):
        if not given[name]:  # the layer has none
            given[name] = graph.weight(f"{layer.name}/no_{name}", np.full(count, value))
    return graph.node(
        "BatchNormalization", layer.name, [*inputs, *given.values()], epsilon=float(layer.epsilon)
    )


def _pool(graph: _Graph, layer: Any, inputs: list[str]) -> str:
    _require(layer, data_format="channels_last")
    kind = "MaxPool" if type(layer).__name__ == "MaxPooling2D" else "AveragePool"
    size, strides = tuple(layer.pool_size), tuple(layer.strides)
    padding = _pads(layer, size, strides)
    return graph.node(
        kind, layer.name, inputs, kernel_shape=list(size), strides=list(strides), **padding
    )


def _activation(graph: _Graph, layer: Any, inputs: list[str]) -> str:
    return _activated(graph, layer, inputs[0])


def _relu(graph: _Graph, layer: Any, inputs: list[str]) -> str:
    _require(layer, max_value=None, negative_slope=0.0, threshold=0.0)
    return graph.node("Relu", layer.name, inputs)


def _concatenate(graph: _Graph, layer: Any, inputs: list[str]) -> str:
    if layer.axis not in (-1, 3):
        _require(layer, axis=-1)
    return graph.node("Concat", layer.name, inputs, axis=1)


def _add(graph: _Graph, layer: Any, inputs: list[str]) -> str:
    if len(inputs) != 2:
        raise InputError(f"{_named(layer)} adds {len(inputs)} inputs; two are known here")
    return graph.node("Add", layer.name, inputs)


def _scaled_add(graph: _Graph, layer: Any, inputs: list[str]) -> str:
    """The first, and a part of the second; a layer of keras.applications."""
    scale = graph.weight(f"{layer.name}/scale", layer.scale)
    part = graph.node("Mul", f"{layer.name}/part", [inputs[1], scale])
    return graph.node("Add", layer.name, [inputs[0], part])


def _upsample(graph: _Graph, layer: Any, inputs: list[str]) -> str:
    _require(layer, interpolation="nearest", data_format="channels_last")
    scales = graph.weight(f"{layer.name}/scales", [1.0, 1.0, *map(float, layer.size)])
    return graph.node(
        "Resize",
        layer.name,
        [inputs[0], "", scales],
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


def _resize(graph: _Graph, layer: Any, inputs: list[str]) -> str:
    _require(layer, interpolation="bilinear", antialias=False, data_format="channels_last")
    _require(layer, crop_to_aspect_ratio=False, pad_to_aspect_ratio=False)
    shape = [layer.output.shape[-1], layer.height, layer.width]
    # The number of images is that of the input.
    first = graph.node("Shape", f"{layer.name}/n", inputs, start=0, end=1)
    rest = graph.weight(f"{layer.name}/shape", shape, np.int64)
    sizes = graph.node("Concat", f"{layer.name}/sizes", [first, rest], axis=0)
    return graph.node(
        "Resize",
        layer.name,
        [inputs[0], "", "", sizes],
        mode="linear",
        coordinate_transformation_mode="half_pixel",
    )


def _rescale(graph: _Graph, layer: Any, inputs: list[str]) -> str:
    return _affine(graph, layer.name, inputs[0], layer.scale, layer.offset)


def _normalise(graph: _Graph, layer: Any, inputs: list[str]) -> str:
    _require(layer, invert=False)
    # As Keras: the variance is never below the smallest of the layer.
    spread = np.maximum(np.sqrt(_array(layer.variance)), 1e-7)
    mean = _array(layer.mean)
    return _affine(graph, layer.name, inputs[0], 1.0 / spread, -mean / spread)


def _affine(graph: _Graph, name: str, x: str, scale: Any, offset: Any) -> str:
    """X * scale + offset, of each channel."""
    parts = [
        graph.weight(f"{name}/{part}", np.reshape(values, (1, -1, 1, 1)))
        for part, values in (("scale", scale), ("offset", offset))
    ]
    return graph.node("Add", name, [graph.node("Mul", f"{name}/scaled", [x, parts[0]]), parts[1]])


def _array(variable: Any) -> NDArray[np.float32]:
    """A weight, from any backend and any device."""
    return np.asarray(keras().ops.convert_to_numpy(variable), dtype=np.float32)


_LAYERS: dict[str, Callable[[_Graph, Any, list[str]], str]] = {
    "Activation": _activation,
    "Add": _add,
    "AveragePooling2D": _pool,
    "BatchNormalization": _norm,
    "Concatenate": _concatenate,
    "Conv2D": _conv,
    "Conv2DTranspose": _conv_transpose,
    "CustomScaleLayer": _scaled_add,
    "MaxPooling2D": _pool,
    "Normalization": _normalise,
    "ReLU": _relu,
    "Rescaling": _rescale,
    "Resizing": _resize,
    "UpSampling2D": _upsample,
}
