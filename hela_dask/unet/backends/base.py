"""The protocol of training steps, the same for each library that Keras runs on."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Steps"]


class Steps(Protocol):
    """Training steps of one network, several per call.

    Between :meth:`start` and :meth:`finish` the weights belong to the steps: the variables of the
    network and of the optimiser may be out of date, or their memory reused.
    """

    def start(self) -> None:
        """Take over the current values of the network's and the optimiser's variables."""

    def run(
        self,
        images: NDArray[np.float32],
        targets: NDArray[np.float32],
        rates: NDArray[np.float32],
    ) -> Any:
        """Do some steps, without waiting for them where the library allows it.

        Parameters
        ----------
        images : ndarray of float32, (steps, n, y, x, channels)
        targets : ndarray of float32, (steps, n, y, x, 2 or 5)
        rates : ndarray of float32, (steps,)
            Learning rate of each step.

        Returns
        -------
        array or tensor of float32, (steps,)
            Loss of each step; ``keras.ops.convert_to_numpy`` waits for it.
        """

    def finish(self) -> None:
        """Write the values back to the network's and the optimiser's variables."""

    def predict(self, images: NDArray[np.float32]) -> Any:
        """Raw outputs of the network's variables, as a tensor of the library."""
