"""Training steps on TensorFlow: a graph with a loop."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["TensorflowSteps"]


class TensorflowSteps:
    """See :class:`~hela_dask.unet.backends.Steps`. The variables themselves are updated."""

    def __init__(self, network: Any, loss: Callable[[Any, Any], Any], optimiser: Any) -> None:
        tensorflow: Any = importlib.import_module("tensorflow")
        weights = network.trainable_variables

        def step(image: Any, truth: Any, rate: Any) -> Any:
            optimiser.learning_rate.assign(rate)
            with tensorflow.GradientTape() as tape:
                value = loss(truth, network(image, training=True))
            optimiser.apply(tape.gradient(value, weights), weights)
            return value

        def run(images: Any, targets: Any, rates: Any) -> Any:
            return tensorflow.map_fn(
                lambda given: step(*given),
                (images, targets, rates),
                parallel_iterations=1,  # in their order
                fn_output_signature=tensorflow.float32,
            )

        self._run = tensorflow.function(run)
        self._predict = tensorflow.function(
            lambda images: network(images, training=False), reduce_retracing=True
        )

    def start(self) -> None:
        """Nothing is taken over."""

    def run(
        self,
        images: NDArray[np.float32],
        targets: NDArray[np.float32],
        rates: NDArray[np.float32],
    ) -> Any:
        """Losses of some steps."""
        return self._run(images, targets, rates)

    def finish(self) -> None:
        """The variables are up to date."""

    def predict(self, images: NDArray[np.float32]) -> Any:
        """Raw outputs."""
        return self._predict(images)
