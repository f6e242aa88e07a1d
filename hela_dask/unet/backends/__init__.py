"""Steps of a training, on each library that Keras runs on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hela_dask.unet.backend import keras
from hela_dask.unet.backends.base import Steps

__all__ = ["Steps", "make_steps", "steps_per_call"]

_MOST = 10  # steps in one call


def make_steps(network: Any, loss: Callable[[Any, Any], Any], optimiser: Any) -> Steps:
    """Steps of a network, on the library that Keras runs on.

    Parameters
    ----------
    network : keras.Model
    loss : callable
        ``loss(truth, out)`` of raw outputs, from :func:`~hela_dask.unet.losses.make_loss`.
    optimiser : keras.Optimizer
        Built on the network's trainable variables.
    """
    library = keras().backend.backend()
    if library == "tensorflow":
        from hela_dask.unet.backends.on_tensorflow import TensorflowSteps

        return TensorflowSteps(network, loss, optimiser)
    if library == "jax":
        from hela_dask.unet.backends.on_jax import JaxSteps

        return JaxSteps(network, loss, optimiser)
    from hela_dask.unet.backends.on_torch import TorchSteps

    return TorchSteps(network, loss, optimiser)


def steps_per_call(steps: int) -> int:
    """How many steps of an epoch are done in one call: the largest divisor up to 10.

    All calls then have the same number of steps, so that they are compiled once.

    Examples
    --------
    >>> [steps_per_call(steps) for steps in (100, 36, 97, 3)]
    [10, 9, 1, 3]
    """
    return next(count for count in range(min(_MOST, steps), 0, -1) if steps % count == 0)
