"""The loop of a training: rates, early stopping, what is kept, and how good it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hela_dask.errors import InputError, ParameterError
from hela_dask.unet import fitting
from hela_dask.unet.architectures import Recipe
from hela_dask.unet.fitting import ValidationScores, evaluate_network, rate_at


def _no_loss(truth: Any, out: Any) -> float:
    return 0.0


@pytest.mark.usefixtures("keras")
def test_judgement_counts_labelled_pixels() -> None:
    image = np.zeros((1, 1, 4, 4), np.float32)
    image[0, 0, [0, 1, 2, 3], [0, 0, 1, 3]] = 1
    truth = np.ones((1, 1, 4, 2), np.float32)
    truth[0, 0, :, 0] = [0, 1, 1, 2]
    truth[0, 0, 3, 1] = 0
    found = evaluate_network(
        lambda images: images, [(image, truth)], ("resin", "cell", "envelope", "nucleus"), _no_loss
    )
    assert found.ji["resin"] == 0.5
    assert found.ji["cell"] == 0.5
    assert np.isnan(found.ji["nucleus"])
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.score == 0.5
    one = evaluate_network(
        lambda images: images, [(image[..., :1] - 0.5, truth)], ("cell",), _no_loss
    )
    assert one.ji == {"cell": pytest.approx(1 / 3)}


def test_rates_go_up_and_down() -> None:
    cosine = Recipe("adamw", 2e-3, 8, 80, 50, schedule="cosine")
    rates = [rate_at(cosine, step, 4000) for step in (0, 99, 2000, 4000)]
    np.testing.assert_allclose(rates, [2e-5, 2e-3, 2e-3 * 0.505, 2e-5], rtol=0.01)
    assert rate_at(cosine, 1, 20) == pytest.approx(2e-3, rel=0.01)  # short: up at once
    assert rate_at(Recipe("sgd", 1e-3, 4, 100), 50, 100, 0.5) == 5e-4


class _Weights:
    """A network that is a number."""

    trainable_variables: tuple[Any, ...] = ()
    weights: tuple[Any, ...] = ()

    def __init__(self) -> None:
        self.now = 0

    def get_weights(self) -> list[Any]:
        return [np.array(self.now)]

    def set_weights(self, weights: list[Any]) -> None:
        self.now = int(weights[0])


class _Steps:
    """Each step adds 1 to the network; its loss is the mean of the images."""

    def __init__(self, network: _Weights) -> None:
        self.network, self.rates = network, list[float]()

    def start(self) -> None:
        return None

    def run(self, images: Any, targets: Any, rates: Any) -> Any:
        self.network.now += len(images)
        self.rates += rates.tolist()
        return images.mean(axis=tuple(range(1, images.ndim)))

    def finish(self) -> None:
        return None


class _Optimiser:
    variables: tuple[Any, ...] = ()
    learning_rate = 1.0

    def build(self, _: Any) -> None:
        return None

    def finalize_variable_values(self, _: Any) -> None:
        return None


@pytest.fixture
def no_library(keras: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network: what is trained is a number."""
    monkeypatch.setattr(fitting, "make_optimiser", lambda _: _Optimiser())
    monkeypatch.setattr(fitting, "make_steps", lambda network, *_: _Steps(network))


def _batch(value: float = 1.0) -> tuple[Any, Any]:
    return np.full((1, 2, 2, 1), value, np.float32), np.ones((1, 2, 2, 2), np.float32)


def _fit(folder: Path, scores: list[float], **recipe: Any) -> fitting.Fit:
    fit = fitting.Fit(
        _Weights(),
        _no_loss,
        Recipe("adam", 1.0, 1, 40, **recipe),
        1,
        folder=folder,
        wanted={},
    )
    left = iter(scores)
    fit.run(lambda: [_batch()], lambda: ValidationScores(0.0, {"cell": next(left)}, 1.0))
    return fit


@pytest.mark.usefixtures("no_library")
def test_it_stops_early_lowers_the_rate_and_keeps_the_best(tmp_path: Path) -> None:
    scores = [0.1, 0.5, 0.9, *[0.3] * 30]
    fit = _fit(tmp_path, scores, schedule="plateau", patience=6)
    assert fit.state.epoch == 9  # the best and six more
    assert fit.network.now == 3
    assert fit._steps.rates == [1.0] * 6 + [0.5] * 3  # type: ignore[attr-defined]  # the fake's
    assert fit.state.best_epoch == 3


@pytest.mark.usefixtures("no_library")
def test_without_patience_it_goes_to_the_end(tmp_path: Path) -> None:
    fit = _fit(tmp_path, [float("nan"), 0.2, *[0.1] * 38])
    assert fit.state.epoch == 40
    assert fit.network.now == 2


@pytest.mark.usefixtures("no_library")
def test_a_state_of_other_arguments_is_refused_or_passed_over(tmp_path: Path) -> None:
    _fit(tmp_path, [0.1] * 40)
    recipe = Recipe("adam", 1.0, 1, 40)

    def again(anew: bool, **wanted: Any) -> fitting.Fit:
        return fitting.Fit(
            _Weights(), _no_loss, recipe, 1, folder=tmp_path, wanted=wanted, anew=anew
        )

    assert again(True).state.epoch == 40  # the same one goes on all the same
    assert again(True, seed=1).state.epoch == 0
    with pytest.raises(ParameterError, match="with another seed: repeat its command"):
        again(False, seed=1)
    (tmp_path / "state.npz").write_bytes(b"half a file")
    assert again(True).state.epoch == 0
    with pytest.raises(InputError, match=r"state.npz cannot be read"):
        again(False)


@pytest.mark.usefixtures("no_library")
def test_a_loss_that_is_no_number_is_reported(tmp_path: Path) -> None:
    fit = fitting.Fit(
        _Weights(), _no_loss, Recipe("adam", 1.0, 1, 4), 1, folder=tmp_path, wanted={}
    )
    with pytest.raises(ParameterError, match=r"no longer a number in epoch 1: .* lower --rate"):
        fit.run(lambda: [_batch(np.nan)], lambda: ValidationScores(0.0, {}, 1.0))


@pytest.mark.usefixtures("no_library")
def test_several_steps_are_one_call(tmp_path: Path) -> None:
    recipe = Recipe("adam", 1.0, 1, 2, schedule="cosine")
    fit = fitting.Fit(_Weights(), _no_loss, recipe, 24, folder=tmp_path, wanted={})
    calls: list[int] = []
    fit.run(
        lambda: map(_batch, range(24)),
        lambda: ValidationScores(0.0, {"cell": 0.5}, 1.0),
        on_step=calls.append,
    )
    assert calls == [8, 8, 8] * 2  # the largest divisor of 24 up to 10
    assert fit.history["loss"].tolist() == [11.5, 11.5]
    wanted = [rate_at(recipe, step, 48) for step in range(48)]
    rates: list[float] = fit._steps.rates  # type: ignore[attr-defined]  # the fake's
    assert rates == pytest.approx(wanted)
