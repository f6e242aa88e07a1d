"""Training steps on JAX: one compiled call, with a state that stays on the device."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["JaxSteps"]


class JaxSteps:
    """See :class:`~hela_dask.unet.backends.Steps`.

    A call reuses the memory of the state that it is given. So the state is a copy: variables of
    Keras may share one array, as weights and their averages do after an epoch.
    """

    def __init__(self, network: Any, loss: Callable[[Any, Any], Any], optimiser: Any) -> None:
        jax: Any = importlib.import_module("jax")
        self._copy = jax.numpy.array
        self._variables = [
            network.trainable_variables,
            network.non_trainable_variables,
            optimiser.variables,
        ]
        self._state: Any = None
        at = [variable is optimiser.learning_rate for variable in optimiser.variables].index(True)

        def step(state: Any, given: Any) -> Any:
            weights, others, slots = state
            image, truth, rate = given
            slots = [*slots[:at], rate, *slots[at + 1 :]]

            def forward(weights: Any) -> Any:
                out, updated = network.stateless_call(weights, others, image, training=True)
                return loss(truth, out), updated

            (value, others), gradients = jax.value_and_grad(forward, has_aux=True)(weights)
            weights, slots = optimiser.stateless_apply(slots, gradients, weights)
            return (weights, others, slots), value

        def scan(state: Any, *given: Any) -> Any:
            return jax.lax.scan(step, state, given)

        one_by_one = jax.jit(step, donate_argnums=0)

        def loop(state: Any, *given: Any) -> Any:
            losses = []
            for one in zip(*given, strict=True):
                state, value = one_by_one(state, one)
                losses.append(value)
            return state, jax.numpy.stack(losses)

        def predict(weights: Any, others: Any, images: Any) -> Any:
            return network.stateless_call(weights, others, images, training=False)[0]

        # XLA's convolutions in a loop use one slow core of a CPU: a twentieth of the speed.
        on_cpu = jax.default_backend() == "cpu"
        self._run = loop if on_cpu else jax.jit(scan, donate_argnums=0)
        self._predict = jax.jit(predict)

    def start(self) -> None:
        """Copy the variables' values."""
        self._state = tuple(
            [self._copy(variable.value) for variable in some] for some in self._variables
        )

    def run(
        self,
        images: NDArray[np.float32],
        targets: NDArray[np.float32],
        rates: NDArray[np.float32],
    ) -> Any:
        """Losses of some steps."""
        self._state, losses = self._run(self._state, images, targets, rates)
        return losses

    def finish(self) -> None:
        """Hand the state over to the variables."""
        for some, values in zip(self._variables, self._state, strict=True):
            for variable, value in zip(some, values, strict=True):
                variable.assign(value)
        self._state = None

    def predict(self, images: NDArray[np.float32]) -> Any:
        """Raw outputs."""
        weights, others = ([variable.value for variable in some] for some in self._variables[:2])
        return self._predict(weights, others, images)
