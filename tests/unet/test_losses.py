"""The Dice loss beside the cross-entropy: its values on drawn cases, and the pixels that count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hela_dask.unet.losses import make_loss

pytestmark = pytest.mark.usefixtures("keras")

SIDE = 20
N = SIDE * SIDE
SMOOTH = 100.0  # pixels


def _dice(classes: NDArray[Any], predicted: NDArray[Any], weight: NDArray[Any]) -> float:
    """Loss that Dice of weight 1 adds, for a confident prediction of three classes."""
    truth = np.stack([classes, weight], -1).astype(np.float32)[None]
    out = (30.0 * np.eye(3)[predicted] - 15.0).astype(np.float32)[None]
    losses = [
        float(make_loss(np.ones(3, np.float32), single=False, extra=False, dice=dice)(truth, out))
        for dice in (0.0, 1.0)
    ]
    return losses[1] - losses[0]


def _halves() -> NDArray[np.intp]:
    """Class 0 on the left, 1 on the right; no pixel of class 2."""
    right: NDArray[np.bool_] = np.indices((SIDE, SIDE))[1] >= SIDE // 2
    return right.astype(np.intp)


def test_the_right_classes_cost_nothing() -> None:
    assert _dice(_halves(), _halves(), np.ones((SIDE, SIDE))) == pytest.approx(0, abs=1e-5)


def test_wrong_classes_cost_one_minus_the_mean_dice_of_all_classes() -> None:
    cost = _dice(_halves(), 1 - _halves(), np.ones((SIDE, SIDE)))
    wrong = SMOOTH / (N + SMOOTH)  # of classes 0 and 1; Dice of class 2, which is nowhere, is 1
    assert cost == pytest.approx(1 - (2 * wrong + 1) / 3, abs=1e-5)


def test_pixels_without_weight_count_nothing() -> None:
    predicted = _halves()
    predicted[: SIDE // 2] = 2
    weight = np.ones((SIDE, SIDE))
    weight[: SIDE // 2] = 0
    assert _dice(_halves(), predicted, weight) == pytest.approx(0, abs=1e-5)
    assert _dice(_halves(), predicted, np.ones((SIDE, SIDE))) > 0.2


def test_a_rare_class_costs_more_than_its_share_of_the_pixels() -> None:
    classes = _halves()
    classes[:, -2:] = 2
    cost = _dice(classes, _halves(), np.ones((SIDE, SIDE)))
    missed = SMOOTH / (2 * SIDE + SMOOTH)
    joined = (2 * 8 * SIDE + SMOOTH) / (18 * SIDE + SMOOTH)
    assert cost == pytest.approx(1 - (1 + joined + missed) / 3, abs=1e-5)
    assert cost > 2 * SIDE / N


def test_a_binary_model_has_no_dice_loss() -> None:
    truth = np.ones((1, SIDE, SIDE, 2), np.float32)
    out = np.zeros((1, SIDE, SIDE, 1), np.float32)
    losses = {
        float(make_loss(np.ones(2, np.float32), single=True, extra=False, dice=dice)(truth, out))
        for dice in (0.0, 1.0)
    }
    assert len(losses) == 1
