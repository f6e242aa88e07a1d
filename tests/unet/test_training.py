"""train: a folder with a model that is better than chance, the same whether run through or not."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import hela_dask as hd
from hela_dask.cli import main
from hela_dask.errors import ExistsError, ParameterError
from hela_dask.storage.files import write_json
from hela_dask.unet import fitting
from hela_dask.unet.card import Card
from hela_dask.unet.inference import predict_block
from hela_dask.unet.model import NETWORK, Model, load_model
from hela_dask.unet.training import _check_out, _check_place, train, unfinished
from tests.unet.networks import normalised
from tests.unet.scene import labelled, tiny, volume

SPLIT: dict[str, Any] = {"slices": (1, 8), "validation": (9, 12)}


def _train(out: Path, **options: Any) -> Model:
    """With few layers, but all that a state holds: averages of weights, and of what normalises."""
    model = dataclasses.replace(tiny("residual"), build=normalised)
    options = {"model": model, **SPLIT, **options}
    return train(volume(), labelled()[1], out, **options)


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
    assert (through.folder / NETWORK).read_bytes() == (resumed.folder / NETWORK).read_bytes()
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
    assert card["training"]["patches_an_epoch"] == card["training"]["patches_of_recipe"] == 3 * 4
    assert card["versions"]["keras"]
    assert card["data"][0]["store_fingerprint"]
    assert 0 <= card["scores"]["validation_score"] <= 1
    history = pd.read_csv(folder / "history.csv")
    best = history["validation_score"].max()
    assert card["scores"]["validation_score"] == pytest.approx(best)
    assert {file.name for file in folder.iterdir()} == {
        *("network.onnx", "card.json", "card.md", "history.csv", "curves.png"),
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
def test_a_trained_network_predicts_a_block(tmp_path: Path) -> None:
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
    predicted = predict_block(model, grey[-2:], (50.0, 40.0, 40.0), (levels.low, levels.high))
    classes = np.array([255, 2, 3, 1, 0, 1])[labels[-2:]]
    assert np.mean(predicted[..., :4].argmax(-1) == classes) > 0.9
    assert model.card.scores["validation_score"] > 0.6
    history = pd.read_csv(model.folder / "history.csv")
    assert history["loss"].is_monotonic_decreasing


def test_what_is_in_the_way_is_left_alone(tmp_path: Path) -> None:
    pytest.importorskip("keras", reason="TensorFlow is not installed")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ExistsError, match="holds something else than a model"):
        _train(tmp_path)
    with pytest.raises(ParameterError, match="epochs must be more than 0"):
        _train(tmp_path / "new", epochs=0)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m/thesis.tex", "years", "m holds thesis.tex, which train did not write"),
        ("m/masks/1.tif", "mine", "m holds masks, which train did not write"),
        ("m.training/scan.tif", "mine", "m.training holds scan.tif, which train did not write"),
        ("m.training/model/a.tif", "mine", "model holds a.tif, which train did not write"),
        ("m.training", "a file", "in the way of the unfinished training"),
        ("m/card.json", "{}", "m holds something else than a model"),
    ],
)
def test_files_of_a_user_in_a_models_folder_stay(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    write_json(tmp_path / "m" / "card.json", Card("unet", ("cell",), (50.0, 40.0, 40.0)).to_dict())
    _check_out(tmp_path / "m", overwrite=True)
    with pytest.raises(ExistsError, match="holds a model already"):
        _check_out(tmp_path / "m", overwrite=False)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(content)
    with pytest.raises(ExistsError, match=message):
        _check_out(tmp_path / "m", overwrite=True)
    assert (tmp_path / name).read_text() == content


@pytest.mark.parametrize("place", ["a.zarr/model", "a.zarr/../a.zarr/labels/model", "link", "."])
def test_a_model_lies_outside_of_the_image(tmp_path: Path, place: str) -> None:
    image = tmp_path / "a.zarr"
    image.mkdir()
    (image / "zarr.json").touch()
    (tmp_path / "link").symlink_to(image, target_is_directory=True)
    for store in (image, None):
        if store is None and place in ("link", "."):
            continue  # what is there already is no model's folder, and refused as such
        with pytest.raises(ParameterError, match=r"--out .*(inside|volume)"):
            _check_place(tmp_path / place, store)


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
