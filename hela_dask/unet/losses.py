"""How wrong outputs are: cross-entropy and Dice of the classes, contacts, and distances."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.unet.backend import keras

__all__ = ["make_loss"]

_SMOOTH = 100.0  # pixels: Dice of a class that a batch hardly shows is not noise
_CONTACTS = 4.0  # a contact counts so many times more than no contact: contacts are rare


def make_loss(
    weights: NDArray[np.float32], *, single: bool, extra: bool, dice: float = 0.0
) -> Callable[[Any, Any], Any]:
    """The loss of raw outputs.

    Parameters
    ----------
    weights : ndarray of float32, (classes,)
        How much each class counts; of a binary model of all else and of its class.
    single, extra : bool
        The model has one class; with `extra` it includes contacts and distances.
    dice : float
        Weight of the soft Dice loss of the classes (Milletari et al., 3DV 2016), pooled over the
        batch; rare classes count as much as common ones.

    Returns
    -------
    callable
        ``loss(truth, out)``: truth is float32 (n, y, x, 2 or 5): the class' index, the weight of
        the pixel, and with `extra` contact, distance and where these are known; out is (n, y, x,
        outputs). Each part is a mean over its weights.
    """
    ops = keras().ops
    shares = ops.convert_to_tensor(np.asarray(weights, np.float32))
    numbers = ops.arange(len(weights), dtype="float32")

    def loss(truth: Any, out: Any) -> Any:
        # Not one_hot: on PyTorch it reads the classes back from the device.
        hot = ops.cast(ops.equal(truth[..., :1], numbers), "float32")
        counted = ops.sum(hot * shares, -1) * truth[..., 1]
        if single:
            wrong = _cross_entropy(truth[..., 0], out[..., 0])
        else:
            log = ops.log_softmax(out[..., : len(weights)], axis=-1)
            wrong = -ops.sum(hot * log, -1)
        total = ops.sum(wrong * counted) / (ops.sum(counted) + 1.0)
        if dice and not single:
            shown = ops.exp(log) * truth[..., 1:2], hot * truth[..., 1:2]
            both = ops.sum(shown[0] * hot, (0, 1, 2))
            either = ops.sum(shown[0] + shown[1], (0, 1, 2))
            share = (2.0 * both + _SMOOTH) / (either + _SMOOTH)
            total += dice * (1.0 - ops.mean(share))
        if not extra:
            return total
        edge, far, known = truth[..., 2], truth[..., 3], truth[..., 4]
        counted = known * (1.0 + _CONTACTS * edge)
        boundary = _cross_entropy(edge, out[..., -2])
        total += ops.sum(boundary * counted) / (ops.sum(counted) + 1.0)
        error = ops.abs(out[..., -1] - far)
        return total + ops.sum(error * known) / (ops.sum(known) + 1.0)

    return loss


def _cross_entropy(truth: Any, logit: Any) -> Any:
    """Binary, of a logit, without overflow."""
    ops = keras().ops
    return ops.maximum(logit, 0.0) - logit * truth + ops.log(1.0 + ops.exp(-ops.abs(logit)))
