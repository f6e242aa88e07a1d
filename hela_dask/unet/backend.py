"""Keras, which trains networks: imported late, and configured for deterministic results."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from hela_dask.errors import MissingDependencyError, ParameterError

__all__ = ["INSTALL_TRAIN", "accelerator", "keras"]

INSTALL_TRAIN = "training needs Keras, TensorFlow and ONNX: pip install 'hela_dask[train]'"
"""The sentence where one of them is not installed."""

_LIBRARIES = ("tensorflow", "jax", "torch")  # in order of preference

_loaded: Any = None


def keras() -> Any:
    """The module ``keras``, on the library that ``KERAS_BACKEND`` names.

    Without that, on TensorFlow, JAX or PyTorch: the first that is installed. In a dask worker,
    TensorFlow gets as many threads as the worker has; elsewhere all cores. A
    MissingDependencyError names the package to install; ParameterError for another library.
    """
    global _loaded  # noqa: PLW0603
    if _loaded is None:
        installed = (name for name in _LIBRARIES if importlib.util.find_spec(name) is not None)
        library = os.environ.setdefault("KERAS_BACKEND", next(installed, _LIBRARIES[0]))
        if library not in _LIBRARIES:
            raise ParameterError(
                f"training runs with KERAS_BACKEND {', '.join(_LIBRARIES)}, not {library!r}"
            )
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # it logs a long greeting
        try:
            with warnings.catch_warnings(), _silenced_stderr():
                warnings.simplefilter("ignore")  # others' deprecations
                found: Any = importlib.import_module("keras")
                found.ops  # noqa: B018  a backend that is missing is noticed here
        except ImportError as error:
            needed = INSTALL_TRAIN
            if library != _LIBRARIES[0]:
                needed = f"KERAS_BACKEND is {library}: pip install keras onnx {library}"
            raise MissingDependencyError(f"{needed} ({error})") from error
        if found.backend.backend() == "tensorflow":
            with _silenced_stderr():
                _set_determinism()
        _loaded = found
    return _loaded


def accelerator() -> str:
    """Name of the GPU or other accelerator that Keras computes on; empty on the CPU."""
    library = keras().backend.backend()
    module: Any = importlib.import_module(library)
    if library == "tensorflow":
        found = module.config.list_physical_devices("GPU")
        facts = module.config.experimental.get_device_details(found[0]) if found else {}
        return str(facts.get("device_name", "GPU")) if found else ""
    if library == "jax":
        return "" if module.default_backend() == "cpu" else str(module.devices()[0].device_kind)
    device = keras().ops.zeros(1).device
    if device.type == "cuda":
        return str(module.cuda.get_device_name(device))
    return "" if device.type == "cpu" else str(device.type)


@contextlib.contextmanager
def _silenced_stderr() -> Iterator[None]:
    """Greetings of compiled code on stderr are not shown; errors are raised, not written."""
    try:
        kept = os.dup(2)
    except OSError:  # there is none
        yield
        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        sys.stderr.flush()
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def _set_determinism() -> None:
    """The same bits for the same input, and no more threads than the task was given."""
    tensorflow: Any = importlib.import_module("tensorflow")
    tensorflow.config.experimental.enable_op_determinism()
    for gpu in tensorflow.config.list_physical_devices("GPU"):
        with contextlib.suppress(RuntimeError, ValueError):  # Keras is already in use
            tensorflow.config.experimental.set_memory_growth(gpu, True)
    threads = _threads()
    if threads:
        with contextlib.suppress(RuntimeError):  # too late: it has started
            tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
            tensorflow.config.threading.set_inter_op_parallelism_threads(1)


def _threads() -> int:
    """Of the dask worker that this is; 0 where it is none."""
    from distributed import get_worker

    try:
        return int(get_worker().state.nthreads)
    except ValueError:
        return 0
