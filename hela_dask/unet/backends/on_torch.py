"""Training steps on PyTorch: one CUDA graph each, or eager on another device."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.unet.backends.torch_graphs import record

__all__ = ["TorchSteps"]

log = logging.getLogger(__name__)


class TorchSteps:
    """See :class:`~hela_dask.unet.backends.Steps`. The variables themselves are updated."""

    def __init__(self, network: Any, loss: Callable[[Any, Any], Any], optimiser: Any) -> None:
        self._torch: Any = importlib.import_module("torch")
        self._network, self._loss, self._optimiser = network, loss, optimiser
        self._device = network.trainable_variables[0].value.device
        self._recorded: Callable[..., Any] | None = None

    def start(self) -> None:
        """Nothing is taken over."""

    def run(
        self,
        images: NDArray[np.float32],
        targets: NDArray[np.float32],
        rates: NDArray[np.float32],
    ) -> Any:
        """Losses of some steps."""
        given = list(zip(*map(self._on_device, (images, targets, rates)), strict=True))
        if self._recorded is None:
            self._recorded = self._record(given[0])
        # Copies: a graph writes each result to the same place.
        return self._torch.stack([self._recorded(*one).clone() for one in given])

    def finish(self) -> None:
        """The variables are up to date."""

    def predict(self, images: NDArray[np.float32]) -> Any:
        """Raw outputs."""
        with self._torch.no_grad():
            return self._network(self._on_device(images), training=False)

    def step(self, image: Any, truth: Any, rate: Any) -> Any:
        """The loss of one step, which changes the variables."""
        weights = self._network.trainable_variables
        value = self._loss(truth, self._network(image, training=True))
        gradients = self._torch.autograd.grad(value, [weight.value for weight in weights])
        with self._torch.no_grad():
            self._optimiser.learning_rate.assign(rate)
            self._optimiser.apply(list(gradients), weights)
        return value.detach()

    def _record(self, given: tuple[Any, ...]) -> Callable[..., Any]:
        if self._device.type != "cuda":
            return self.step
        variables = [
            variable.value for variable in (*self._network.variables, *self._optimiser.variables)
        ]
        try:
            return record(self.step, given, variables)
        except Exception as error:
            # The tracer of PyTorch is experimental, and raises errors of many types. Without it,
            # training is right, but slower.
            log.warning("steps cannot be recorded as a CUDA graph, so they are slower: %s", error)
            return self.step

    def _on_device(self, array: NDArray[np.float32]) -> Any:
        """A copy on the device, from memory that needs no waiting."""
        tensor = self._torch.from_numpy(array)
        if self._device.type == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(self._device, non_blocking=True)
