"""ONNX Runtime, which computes all predictions of networks, on the CPU.

The bits depend neither on threads nor on the other images of a batch. The file of a network is
checked before it is used: it may come from other software.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.errors import InputError, MissingDependencyError
from hela_dask.unet.card import Card

__all__ = ["NETWORK_MEMORY", "Network", "check_installed"]

NETWORK_MEMORY = 640 * 2**20
"""Bytes that a network takes while it computes."""

_INSTALL = "networks need ONNX Runtime: pip install onnxruntime"
_PROVIDERS = ["CPUExecutionProvider"]
_EXTERNAL = b"\n\x08location"  # the key of a path to weights in another file, as ONNX encodes it
_NEW = re.compile(r"(Opset|IR version:) (\d+)")
_SILENT = 4  # ONNX Runtime logs fatal errors only; others are raised
_LONGEST = 500  # characters of an error of ONNX Runtime that are shown
_TRIAL = 32  # pixels of the image that a network is tried with, and more if it needs them


def check_installed() -> None:
    """Raise MissingDependencyError where ONNX Runtime is not installed, without loading it."""
    if importlib.util.find_spec("onnxruntime") is None:
        raise MissingDependencyError(_INSTALL)


class Network:
    """A network of an ONNX file, ready to compute.

    Parameters
    ----------
    content : bytes
        Of the file. It is self-contained: weights in other files are refused.
    card : Card
        The inputs and outputs that the network must have.
    name : str
        Of the file, for errors.

    Raises
    ------
    MissingDependencyError
        Without ONNX Runtime.
    InputError
        When the content is no ONNX file, is newer than ONNX Runtime, or does not fit the card.
    """

    def __init__(self, content: bytes, card: Card, name: str) -> None:
        self._name = name
        if _EXTERNAL in content:
            raise InputError(
                f"{name} has weights in another file: save it with all weights in one .onnx file"
            )
        runtime = _runtime()
        try:
            # Without its fallback: it prints errors to stdout, and loads the file once more.
            self._session = runtime.InferenceSession(
                content, _options(runtime), _PROVIDERS, enable_fallback=0
            )
            found = (self._session.get_inputs(), self._session.get_outputs())
            inputs, outputs = ([(i.name, i.type, list(i.shape)) for i in ends] for ends in found)
        except Exception as error:  # ONNX Runtime's own, which have no common base
            raise InputError(_unreadable(name, error, runtime.__version__)) from error
        self._input, shape = self._end(inputs, "input")
        self._output, predicted = self._end(outputs, "output")
        self._channels_last = self._find_channels(shape, card)
        self._check_plane(shape, card)
        self._try(predicted, card)

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Raw outputs (n, outputs, y, x) of a batch (n, y, x, channels); for any threads at once.

        Raises
        ------
        MemoryError
            When there is not enough memory.
        """
        given = batch if self._channels_last else np.moveaxis(batch, -1, 1)
        try:
            (found,) = self._session.run([self._output], {self._input: np.ascontiguousarray(given)})
        except Exception as error:  # ONNX Runtime's own
            if "alloc" in str(error):
                raise MemoryError(_first(str(error))) from error
            raise InputError(f"{self._name} cannot be computed: {_first(str(error))}") from error
        raw: NDArray[np.float32] = np.moveaxis(found, -1, 1) if self._channels_last else found
        return raw

    def _end(self, ends: Sequence[tuple[str, str, list[Any]]], what: str) -> tuple[str, list[Any]]:
        """Name and shape of the only input or output."""
        if len(ends) != 1:
            raise InputError(f"{self._name} has {len(ends)} {what}s: a network here has one")
        ((name, kind, shape),) = ends
        if kind != "tensor(float)" or len(shape) != 4:
            raise InputError(
                f"{self._name} has an {what} of {kind} with {len(shape)} axes: a network "
                "here has float32 images, (n, channels, y, x) or (n, y, x, channels)"
            )
        return name, shape

    def _find_channels(self, shape: Sequence[Any], card: Card) -> bool:
        """Whether the channels are the last axis; else they are the second."""
        if shape[1] == card.n_channels:
            return False
        if shape[3] == card.n_channels:
            return True
        raise InputError(
            f"{self._name} takes images of shape {_shape_text(shape)}, and its card has "
            f"{card.n_channels} channels"
        )

    def _check_plane(self, shape: Sequence[Any], card: Card) -> None:
        """Height and width are free, or those of whole planes."""
        size = shape[1:3] if self._channels_last else shape[2:4]
        fixed = [length for length in size if isinstance(length, int)]
        if fixed and tuple(size) != card.plane:
            known = "are free" if card.plane is None else "are {} x {}".format(*card.plane)
            raise InputError(
                f"{self._name} takes images of shape {_shape_text(shape)}, and by its card height "
                f"and width {known}: export it with free height and width, or give its card the "
                "plane that whole slices are resized to"
            )

    def _try(self, outputs: Sequence[Any], card: Card) -> None:
        """Compute one image, to compare the shape of the outputs with the card."""
        multiple = card.multiple
        size = card.plane or (max(1, -(-_TRIAL // multiple)) * multiple,) * 2
        found = list(outputs)
        if self._channels_last:
            found = [found[0], found[3], found[1], found[2]]
        if not all(isinstance(length, int) for length in found[1:]):
            try:
                tried = self(np.zeros((1, *size, card.n_channels), np.float32))
            except MemoryError as error:
                raise InputError(f"{self._name} cannot be computed: {error}") from error
            if not np.isfinite(tried).all():
                raise InputError(f"{self._name} gives values that are not numbers")
            found = list(tried.shape)
        if found[1] != len(card.outputs):
            raise InputError(
                f"{self._name} gives {found[1]} outputs, and its card has {len(card.outputs)}: "
                f"{', '.join(card.outputs)}"
            )
        if tuple(found[2:]) != size:
            raise InputError(
                f"{self._name} gives {found[2]} x {found[3]} pixels for an image of "
                f"{size[0]} x {size[1]}: outputs must have the size of the image"
            )


def _runtime() -> Any:
    check_installed()
    try:
        runtime: Any = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise MissingDependencyError(f"{_INSTALL} ({error})") from error
    runtime.set_default_logger_severity(_SILENT)
    runtime.disable_telemetry_events()
    return runtime


def _options(runtime: Any) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = _threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = _SILENT
    options.use_deterministic_compute = True
    options.enable_mem_pattern = False  # no faster here, and it takes more memory
    # Idle threads wait without taking time from other tasks of the machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _threads() -> int:
    """One in a dask worker, because its tasks run side by side; elsewhere one for each core."""
    from dask.system import CPU_COUNT
    from distributed import get_worker

    try:
        get_worker()
    except ValueError:
        return int(CPU_COUNT)
    return 1


def _unreadable(name: str, error: Exception, version: str) -> str:
    """The sentence for a file that ONNX Runtime refuses."""
    text = str(error)
    if found := _NEW.search(text):
        what = "opset" if found[1] == "Opset" else "IR version"
        return (
            f"{name} has {what} {found[2]}, which ONNX Runtime {version} cannot read: export it "
            "with a lower one, or install a newer ONNX Runtime"
        )
    # A name, of an axis as well, is UTF-8.
    if isinstance(error, UnicodeError) or "INVALID_PROTOBUF" in text or "No graph" in text:
        return f"{name} cannot be read: it is no ONNX file, or damaged"
    return f"{name} cannot be read by ONNX Runtime {version}: {_first(text)}"


def _first(error: str) -> str:
    """The first line of an error of ONNX Runtime, without its code."""
    line = error.strip().partition("\n")[0]
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", line)[:_LONGEST]


def _shape_text(shape: Sequence[Any]) -> str:
    return "({})".format(", ".join("any" if not isinstance(n, int) else str(n) for n in shape))
