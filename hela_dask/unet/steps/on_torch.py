"""Training steps on PyTorch: eager, without waiting for the device."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["TorchSteps"]


class TorchSteps:
    """See :class:`~hela_dask.unet.steps.Steps`. The variables themselves are updated."""

    def __init__(self, network: Any, loss: Callable[[Any, Any], Any], optimiser: Any) -> None:
        self._torch: Any = importlib.import_module("torch")
        self._network, self._loss, self._optimiser = network, loss, optimiser
        self._device = network.trainable_variables[0].value.device

    def start(self) -> None:
        """Nothing is taken over."""

    def run(
        self,
        images: NDArray[np.float32],
        targets: NDArray[np.float32],
        rates: NDArray[np.float32],
    ) -> Any:
        """Losses of some steps."""
        given = zip(*map(self._on_device, (images, targets, rates)), strict=True)
        return self._torch.stack([self._step(*one) for one in given])

    def finish(self) -> None:
        """The variables are up to date."""

    def predict(self, images: NDArray[np.float32]) -> Any:
        """Raw outputs."""
        with self._torch.no_grad():
            return self._network(self._on_device(images), training=False)

    def _step(self, image: Any, truth: Any, rate: Any) -> Any:
        weights = self._network.trainable_variables
        value = self._loss(truth, self._network(image, training=True))
        self._network.zero_grad()
        value.backward()
        with self._torch.no_grad():
            self._optimiser.learning_rate.assign(rate)
            self._optimiser.apply([weight.value.grad for weight in weights], weights)
        return value.detach()

    def _on_device(self, array: NDArray[np.float32]) -> Any:
        """A copy on the device, from memory that needs no waiting."""
        tensor = self._torch.from_numpy(array)
        if self._device.type == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(self._device, non_blocking=True)
