"""train: a folder with a model that is better than chance, the same whether run through or not."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile

import hela_dask as hd
from hela_dask.cli import main
from hela_dask.errors import ExistsError, InputError, ParameterError
from hela_dask.unet import fitting
from hela_dask.unet.architectures import Recipe
from hela_dask.unet.fitting import Judgement, judge, rate_at
from hela_dask.unet.inference import predict_block
from hela_dask.unet.material import Wish, open_material
from hela_dask.unet.model import Model, load_model
from hela_dask.unet.training import train, unfinished
from tests.unet.scene import SHAPE, labelled, tiny, volume

SPLIT: dict[str, Any] = {"slices": (1, 8), "validation": (9, 12)}


def _train(out: Path, **options: Any) -> Model:
    options = {"model": tiny("residual"), **SPLIT, **options}
    return train(volume(), labelled()[1], out, **options)


@pytest.fixture(scope="module")
def keras() -> Any:
    return pytest.importorskip("keras", reason="TensorFlow is not installed")


@pytest.mark.slow
@pytest.mark.usefixtures("keras")
def test_resumed_training_gives_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    through = _train(tmp_path / "through", seed=3)
    write = fitting.Fit._write

    def stop(self: fitting.Fit) -> None:
        write(self)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(fitting.Fit, "_write", stop)
        with pytest.raises(KeyboardInterrupt):
            _train(tmp_path / "stopped", seed=3)
    assert unfinished(tmp_path / "stopped").is_dir()
    assert not (tmp_path / "stopped").exists()
    with pytest.raises(ParameterError, match=r"unfinished training with another rate: .*"):
        _train(tmp_path / "stopped", seed=3, rate=0.5)
    resumed = _train(tmp_path / "stopped", seed=3)
    for own, other in zip(through.network.weights, resumed.network.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(own), np.asarray(other))
    one, two = (pd.read_csv(model.folder / "history.csv") for model in (through, resumed))
    for history in (one, two):
        assert history.pop("seconds").is_monotonic_increasing
    pd.testing.assert_frame_equal(one, two)
    assert not unfinished(tmp_path / "stopped").exists()
    _check_card(through.folder)
    with pytest.raises(ExistsError, match="holds a model already"):
        _train(tmp_path / "through", seed=3)


def _check_card(folder: Path) -> None:
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    assert card["split"] == {
        "kind": "blocks",
        "train": [[1, 8]],
        "validation": [[9, 12]],
        "leaking": False,
    }
    assert card["voxel_size"] == [50, 40, 40]
    assert card["training"]["seed"] == 3
    assert card["training"]["label_values"]["nucleus"] == [2]
    assert card["versions"]["keras"]
    assert card["data"][0]["store_fingerprint"]
    assert 0 <= card["scores"]["validation_score"] <= 1
    history = pd.read_csv(folder / "history.csv")
    best = history["validation_score"].max()
    assert card["scores"]["validation_score"] == pytest.approx(best)
    assert {file.name for file in folder.iterdir()} == {
        *("model.keras", "card.json", "card.md", "history.csv", "curves.png"),
    }


@pytest.mark.usefixtures("keras")
def test_a_random_split_is_marked_on_the_card(tmp_path: Path) -> None:
    model = train(
        volume(),
        labelled()[1],
        tmp_path / "model",
        model=tiny("unet", epochs=1, steps=2),
        split="random",
        validation=0.4,
    )
    assert model.card.split["leaking"] is True
    assert any("too good" in note for note in model.card.notes)
    assert len(model.card.split["validation"]) > 1
    assert load_model(tmp_path / "model").card.architecture == "unet"


@pytest.mark.usefixtures("keras")
def test_what_was_learned_is_told_of_a_block(tmp_path: Path) -> None:
    model = train(
        volume(),
        labelled()[1],
        tmp_path / "model",
        model=tiny("unet", optimiser="adam", rate=5e-3, epochs=5, steps=40, weighting="none"),
    )
    grey, labels = labelled()
    levels = hd.grey_levels(volume())
    assert levels.low is not None
    assert levels.high is not None
    told = predict_block(model, grey[-2:], (50.0, 40.0, 40.0), (levels.low, levels.high))
    classes = np.array([255, 2, 3, 1, 0, 1])[labels[-2:]]
    assert np.mean(told[..., :4].argmax(-1) == classes) > 0.9
    assert model.card.scores["validation_score"] > 0.6
    history = pd.read_csv(model.folder / "history.csv")
    assert history["loss"].is_monotonic_decreasing


def test_judgement_counts_labelled_pixels() -> None:
    class Fixed:
        def predict_on_batch(self, image: Any) -> Any:
            return image

    image = np.zeros((1, 1, 4, 4), np.float32)
    image[0, 0, [0, 1, 2, 3], [0, 0, 1, 3]] = 1
    truth = np.ones((1, 1, 4, 2), np.float32)
    truth[0, 0, :, 0] = [0, 1, 1, 2]
    truth[0, 0, 3, 1] = 0
    pytest.importorskip("keras", reason="TensorFlow is not installed")
    found = judge(Fixed(), [(image, truth)], ("resin", "cell", "envelope", "nucleus"), _no_loss)
    assert found.ji["resin"] == 0.5
    assert found.ji["cell"] == 0.5
    assert np.isnan(found.ji["nucleus"])
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.score == 0.5
    one = judge(Fixed(), [(image[..., :1] - 0.5, truth)], ("cell",), _no_loss)
    assert one.ji == {"cell": pytest.approx(1 / 3)}


def _no_loss(truth: Any, out: Any) -> float:
    return 0.0


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

    def compile(self, **_: Any) -> None:
        return None

    def get_weights(self) -> list[Any]:
        return [np.array(self.now)]

    def set_weights(self, weights: list[Any]) -> None:
        self.now = int(weights[0])

    def reset_metrics(self) -> None:
        return None

    def train_on_batch(self, image: Any, truth: Any) -> float:
        self.now += 1
        return float(image)


class _Optimiser:
    variables: tuple[Any, ...] = ()
    learning_rate = 1.0

    def build(self, _: Any) -> None:
        return None

    def finalize_variable_values(self, _: Any) -> None:
        return None


def _fit(
    folder: Path, monkeypatch: pytest.MonkeyPatch, scores: list[float], **recipe: Any
) -> fitting.Fit:
    monkeypatch.setattr(fitting, "make_optimiser", lambda _: _Optimiser())
    fit = fitting.Fit(
        _Weights(),
        _no_loss,
        Recipe("adam", 1.0, 1, 40, **recipe),
        1,
        folder=folder,
        wanted={},
    )
    left = iter(scores)
    fit.run(
        lambda _: [(np.ones((), np.float32), np.ones((), np.float32))],
        lambda: Judgement(0.0, {"cell": next(left)}, 1.0),
    )
    return fit


def test_it_stops_early_lowers_the_rate_and_keeps_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = [0.1, 0.5, 0.9, *[0.3] * 30]
    fit = _fit(tmp_path, monkeypatch, scores, schedule="plateau", patience=6)
    assert fit.state.epoch == 9  # the best and six more
    assert fit.network.now == 3
    assert fit.history["rate"].tolist() == [1.0] * 6 + [0.5] * 3
    assert fit.state.best_epoch == 3


def test_without_patience_it_goes_to_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = _fit(tmp_path, monkeypatch, [float("nan"), 0.2, *[0.1] * 38])
    assert fit.state.epoch == 40
    assert fit.network.now == 2


def test_a_state_of_other_arguments_is_refused_or_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fit(tmp_path, monkeypatch, [0.1] * 40)
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


def test_a_loss_that_is_no_number_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "make_optimiser", lambda _: _Optimiser())
    fit = fitting.Fit(
        _Weights(), _no_loss, Recipe("adam", 1.0, 1, 4), 1, folder=tmp_path, wanted={}
    )
    with pytest.raises(ParameterError, match=r"no longer a number in epoch 1: .* lower --rate"):
        fit.run(
            lambda _: [(np.full((), np.nan, np.float32), np.ones((), np.float32))],
            lambda: Judgement(0.0, {}, 1.0),
        )


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"slices": (1, 13)}, InputError, "slices 1:13 are not in"),
        ({"slices": (1, 4), "validation": (20, 30)}, InputError, "slices 20:30 are not in"),
        ({"classes": {"nucleus": (2,)}}, ParameterError, "'resin' has no label value"),
        ({"mask_weight": 2.0}, ParameterError, "between 0 and 1, not 2"),
        ({"phantom_share": 1.0}, ParameterError, "share is between 0 and 1"),
        ({"instance_classes": {"two": (1,)}}, ParameterError, "the classes one and others"),
        ({"mask": np.zeros((4, *SHAPE[1:]), np.uint8)}, InputError, "has 4 slices, and slice 12"),
    ],
)
def test_bad_input_is_told_before_work_starts(
    options: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        open_material(tiny("residual"), Wish(volume(), labelled()[1], **options))


def test_labels_that_miss_what_is_needed() -> None:
    labels = labelled()[1]
    ours = tiny("residual")
    with pytest.raises(InputError, match=r"no envelope \(label 1\) in the slices learned from"):
        open_material(ours, Wish(volume(), np.where(labels == 1, 5, labels)))
    with pytest.raises(InputError, match="the value 9 in slice 1, which is of no class"):
        open_material(ours, Wish(volume(), np.where(labels == 1, 9, labels)))
    with pytest.raises(InputError, match=r"has 10 slices and the image 12: .* --slices 1:10"):
        open_material(ours, Wish(volume(), labels[:10]))
    with pytest.raises(InputError, match="no labelled pixel"):
        open_material(ours, Wish(volume(), np.zeros_like(labels)))
    with pytest.raises(InputError, match="not a phantom with its truth"):
        open_material(ours, Wish(volume(), labels, phantom="nowhere"))
    with pytest.raises(ParameterError, match="learns nothing from instances"):
        open_material(tiny("unet"), Wish(volume(), labels, instances=labels))


def test_slices_without_labels_are_passed_over() -> None:
    labels = labelled()[1].copy()
    labels[10:] = 0
    material = open_material(tiny("residual"), Wish(volume(), labels))
    assert material.split.to_dict()["train"] == [[1, 9]]
    assert material.split.validation == (10,)


def test_instances_are_known_where_the_labels_say_which_cell_is_meant() -> None:
    labels = labelled()[1]
    ours = tiny("residual")
    assert open_material(ours, Wish(volume(), labels)).held.instances is not None
    every = np.where(labels == 5, 3, labels)
    assert open_material(ours, Wish(volume(), every)).held.instances is None
    given = open_material(
        ours,
        Wish(volume(), every, instances=labels, instance_classes={"one": [1, 2, 5], "others": [3]}),
    )
    assert given.held.cells.one == (1, 2, 5)


def test_a_phantom_is_mixed_in_with_every_cell_known(tmp_path: Path) -> None:
    store = tmp_path / "phantom.ome.zarr"
    hd.make_phantom(store, shape=(64, 128, 128), cells=2, diameter=2, voxel_size=(50, 40, 40))
    architecture = tiny("residual")
    material = open_material(
        architecture, Wish(volume(), labelled()[1], phantom=store, phantom_share=0.5)
    )
    assert material.shares == (0.5, 0.5)
    mixed = material.domains[1]
    assert mixed.slices == tuple(range(64))
    truth = mixed.truth(architecture, (32, slice(0, 128), slice(0, 128)))
    assert (truth[..., 4] == 1).all()
    assert set(np.unique(truth[..., 0])) <= {0, 1, 2, 3}
    assert truth[..., 3].max() > 50
    assert {entry["store"] for entry in material.data} == {"", "phantom.ome.zarr"}


def test_a_tiff_stack_is_an_image_too(tmp_path: Path) -> None:
    grey, labels = labelled()
    tifffile.imwrite(tmp_path / "grey.tif", grey)
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    ours = tiny("residual")
    paths: dict[str, Any] = {"store": tmp_path / "grey.tif", "labels": tmp_path / "labels.tif"}
    with pytest.raises(ParameterError, match="does not say its voxel size"):
        open_material(ours, Wish(**paths))
    found = open_material(ours, Wish(**paths, voxel_size=(50.0, 40.0, 40.0)))
    np.testing.assert_array_equal(found.held.image.plane(7), grey[7])
    np.testing.assert_array_equal(found.held.labels.plane(7), labels[7])
    other = open_material(ours, Wish(volume(), labels))
    assert found.held.greys == other.held.greys


def test_what_is_in_the_way_is_left_alone(tmp_path: Path) -> None:
    pytest.importorskip("keras", reason="TensorFlow is not installed")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ExistsError, match="holds something else than a model"):
        _train(tmp_path)
    with pytest.raises(ParameterError, match="epochs must be more than 0"):
        _train(tmp_path / "new", epochs=0)


def test_the_command_hands_over_its_options(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: dict[str, Any] = {}

    scores = {"validation_score": 0.75, "ji_nucleus": None}

    @dataclasses.dataclass
    class Card:
        scores: dict[str, float | None]

    @dataclasses.dataclass
    class Trained:
        folder: Path
        card: Card

    def fake(*values: Any, **named: Any) -> Trained:
        given.update(named, values=values)
        return Trained(values[2], Card(scores))

    monkeypatch.setattr(hd, "train", fake)
    command = ["train", "s.ome.zarr", "l.tif", "--out", "m", "--model", "unet", "--class"]
    command += ["nucleus=2", "--class", "cell=3,5", "--slices", "1:140", "--validation", "141:150"]
    command += ["--instance-class", "one=1,2,5", "--rate", "0.01", "--weights", "imagenet"]
    assert main(command) == 0
    assert given["values"] == (Path("s.ome.zarr"), Path("l.tif"), Path("m"))
    assert given["classes"] == {"nucleus": (2,), "cell": (3, 5)}
    assert (given["slices"], given["validation"]) == ((1, 140), (141, 150))
    assert given["instance_classes"] == {"one": (1, 2, 5)}
    assert (given["rate"], given["weights"], given["model"]) == (0.01, "imagenet", "unet")
    assert capsys.readouterr().out.split("\n")[1:3] == [
        "validation score  0.7500",
        "ji nucleus        nowhere",
    ]
    assert main([*command[:4], "m", "--validation", "0.4", "--json"]) == 0
    assert given["validation"] == 0.4
    assert json.loads(capsys.readouterr().out)["scores"] == scores
    assert main([*command[:4], "m", "--validation", "some"]) == 1
    assert "141:150 or 0.1" in capsys.readouterr().err
