"""Training on each library that Keras runs on: it learns, continues, and exports what it learned.

Each runs in its own process, because a process can load only one of them.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pytest

from hela_dask.unet import fitting, training
from hela_dask.unet.backend import keras
from hela_dask.unet.backends import make_steps
from hela_dask.unet.fitting import make_optimiser
from hela_dask.unet.losses import make_loss
from hela_dask.unet.model import Model
from hela_dask.unet.training import train, unfinished
from tests.unet.networks import normalised
from tests.unet.scene import labelled, tiny, volume

LIBRARIES = ("tensorflow", "jax", "torch")
TOLERANCE = 1e-5
"""Of the largest output: float32 with sums in another order."""


@functools.cache
def findings(library: str) -> dict[str, Any]:
    """Of a short training, see :func:`main`; skips where the library is not installed."""
    for package in ("keras", "onnx", library):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.run(
            [sys.executable, "-m", "tests.unet.test_backends", folder],
            # The second training has the operations of the first: JAX compiles them once.
            env={
                **os.environ,
                "KERAS_BACKEND": library,
                "JAX_COMPILATION_CACHE_DIR": str(Path(folder, "compiled")),
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            },
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=900,
        )
    found: dict[str, Any] = json.loads(process.stdout)
    assert found["library"] == library
    return found


@pytest.mark.slow
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_short_training_on_each_library(library: str) -> None:
    found = findings(library)
    through, resumed = (pd.DataFrame(history) for history in found["histories"])
    assert through["loss"].is_monotonic_decreasing
    assert through["loss"].iloc[-1] < 0.9 * through["loss"].iloc[0]
    # What was trained is what is exported.
    assert found["difference"] < TOLERANCE
    assert found["spread"] > 0.1
    # The weights that are kept are those of the best epoch, averaged over steps.
    assert found["scored"] == pytest.approx(found["best"], rel=1e-4)
    # A training that was stopped continues as if it had not been.
    assert found["continued_after"] == 1
    pd.testing.assert_frame_equal(through, resumed, rtol=1e-4)
    assert found["changed"] < 1e-4
    assert found["scanned"] < 1e-4
    # The operations that a GPU repeats are those of a step, to the bit, with no copy from the host.
    assert found["traced"] == ({"same": True, "lifted": 0} if library == "torch" else None)


@pytest.mark.slow
@pytest.mark.parametrize("library", LIBRARIES[1:])
def test_each_library_learns_the_same(library: str) -> None:
    """From the same weights, on the same patches, at the same rates."""
    one, other = (pd.DataFrame(findings(name)["histories"][0]) for name in (LIBRARIES[0], library))
    for column in ("loss", "validation_loss", "rate"):
        np.testing.assert_allclose(one[column], other[column], rtol=0.01)


def _build(weights: None = None) -> Any:
    """The same weights from each library."""
    network, rng = normalised(weights), np.random.default_rng(0)
    network.set_weights(
        [
            rng.normal(0, 0.2, array.shape) if array.ndim > 1 else array
            for array in network.get_weights()
        ]
    )
    return network


class _Fit(fitting.Fit):
    """As it is, and what it was given."""

    last: _Fit

    def run(self, batches: Any, evaluate: Any, **named: Any) -> None:
        _Fit.last, self.evaluate, self.continued_after = self, evaluate, self.state.epoch
        super().run(batches, evaluate, **named)


def _train(out: Path) -> Model:
    """Few layers, but averages of weights and what normalises: all that a state holds."""
    model = dataclasses.replace(tiny("residual"), build=_build)
    options: dict[str, Any] = {"slices": (1, 8), "validation": (9, 12), "processes": 0, "seed": 3}
    options |= {"epochs": 3, "steps": 12, "rate": 1e-2}
    return train(volume(), labelled()[1], out, model=model, **options)


def _stop_after_an_epoch(out: Path) -> None:
    write = fitting.Fit._write

    def stop(self: fitting.Fit) -> None:
        write(self)
        raise KeyboardInterrupt

    fitting.Fit._write = stop  # type: ignore[method-assign]
    try:
        _train(out)
    except KeyboardInterrupt:
        assert unfinished(out).is_dir()
    finally:
        fitting.Fit._write = write  # type: ignore[method-assign]


def _history(model: Model) -> pd.DataFrame:
    return pd.read_csv(model.folder / "history.csv").drop(columns="seconds")


def _steps() -> tuple[Any, list[Any]]:
    """Steps of a new network, always the same, and its variables and those of its optimiser."""
    network, optimiser = _build(), make_optimiser(tiny("residual").recipe)
    optimiser.build(network.trainable_variables)
    loss = make_loss(np.ones(4, np.float32), single=False, extra=True, dice=1.0)
    variables = [*network.variables, *optimiser.variables]
    return make_steps(network, loss, optimiser), variables


def _batches() -> tuple[Any, ...]:
    """Images, targets and rates of three steps."""
    rng = np.random.default_rng(1)
    images = rng.random((3, 2, 16, 16, 5), dtype=np.float32)
    targets = rng.integers(0, 2, images.shape).astype(np.float32)
    return images, targets, np.array([1e-2, 2e-2, 5e-3], np.float32)


def _traced() -> dict[str, Any]:
    """Steps of PyTorch, eager and as a traced module."""
    from hela_dask.unet.backends.torch_graphs import trace

    ops = keras().ops
    given = list(zip(*map(ops.convert_to_tensor, _batches()), strict=True))
    results: list[list[Any]] = []
    lifted = -1
    for eager in (True, False):
        steps, variables = _steps()
        steps.step(*given[0])
        step = steps.step if eager else trace(steps.step, given[1])  # tracing is a step too
        with importlib.import_module("torch").set_grad_enabled(eager):
            losses = [step(*one) for one in (given[1:] if eager else given[2:])]
        if not eager:
            lifted = sum("lift" in str(node.target) for node in step.graph.nodes)
        results.append([losses[-1], *map(ops.convert_to_numpy, variables)])
    same = all(np.array_equal(one, two) for one, two in zip(*results, strict=True))
    return {"same": same, "lifted": lifted}


def _scanned() -> float:
    """Largest difference of JAX's steps one by one, as on a CPU, and in one call, as on a GPU."""
    jax: Any = importlib.import_module("jax")
    results: list[list[Any]] = []
    for library in (jax.default_backend(), "gpu"):
        with mock.patch.object(jax, "default_backend", lambda library=library: library):
            steps, variables = _steps()
        steps.start()
        losses = steps.run(*_batches())
        steps.finish()
        results.append([losses, *map(keras().ops.convert_to_numpy, variables)])
    return max(float(np.abs(one - two).max()) for one, two in zip(*results, strict=True))


def main() -> None:
    """Train through, and with a stop; the findings as JSON on the standard output."""
    vars(training)["Fit"] = _Fit  # in this process only
    folder = Path(sys.argv[1])
    through = _train(folder / "through")
    fit = _Fit.last
    images = np.random.default_rng(0).random((2, 32, 48, 5), dtype=np.float32)
    expected = keras().ops.convert_to_numpy(fit.predict(images))
    exported = np.moveaxis(through.network(images), 1, -1)
    _stop_after_an_epoch(folder / "stopped")
    resumed = _train(folder / "stopped")
    pairs = zip(fit.network.get_weights(), _Fit.last.network.get_weights(), strict=True)
    found = {
        "library": keras().backend.backend(),
        "histories": [_history(model).to_dict("list") for model in (through, resumed)],
        "difference": float(np.abs(expected - exported).max() / np.abs(expected).max()),
        "spread": float(expected.std()),
        "best": fit.state.history[fit.state.best_epoch - 1]["validation_loss"],
        "scored": fit.evaluate().loss,
        "continued_after": _Fit.last.continued_after,
        "traced": _traced() if keras().backend.backend() == "torch" else None,
        "scanned": _scanned() if keras().backend.backend() == "jax" else 0.0,
        "changed": max(float(np.abs(one - two).max()) for one, two in pairs),
    }
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main()
