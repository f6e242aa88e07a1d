"""A model's folder: what is kept comes back, and what is broken is said in one sentence."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hela_dask.errors import (
    ExistsError,
    InputError,
    MissingDependencyError,
    MissingInputError,
)
from hela_dask.unet import backend, engine
from hela_dask.unet.card import CLASSES, Card, card_text
from hela_dask.unet.model import CARD, NETWORK, find_model, load_model, save_model
from tests.unet.networks import VOXEL, by_grey, pointwise

FULL = Card(
    "residual",
    CLASSES,
    VOXEL,
    ("boundary",),
    5,
    "neighbours",
    None,
    16,
    ({"store": "a.ome.zarr", "slices": [1, 140]},),
    {"kind": "blocks", "train": [[1, 140]], "validation": [[141, 150]]},
    {"validation": {"nucleus": 0.9512345}},
    {"seed": 0, "steps": 4000},
    {"keras": "3.15"},
    ("a note",),
)


def test_a_card_comes_back_from_its_file() -> None:
    assert Card.from_dict(json.loads(json.dumps(FULL.to_dict()))).to_dict() == FULL.to_dict()
    assert FULL.outputs == (*CLASSES, "boundary")


def test_a_card_for_people_says_what_it_sees_and_how_good_it_is() -> None:
    text = card_text(FULL)
    for part in ("5 neighbouring slices", "50 x 40 x 40 nm", "0.95123", "1-140", "a note"):
        assert part in text


@pytest.mark.parametrize(
    ("change", "culprit"),
    [
        ({"classes": ["mitochondrion"]}, "mitochondrion"),
        ({"classes": []}, "one class or more"),
        ({"extra": ["depth"]}, "depth"),
        ({"channels": "colour"}, "colour"),
        ({"slices": 4}, "odd number of slices"),
        ({"slices": None}, "not a model's card"),
    ],
)
def test_a_card_that_makes_no_sense_is_refused(change: dict[str, Any], culprit: str) -> None:
    with pytest.raises(InputError, match=culprit):
        Card.from_dict({**FULL.to_dict(), **change})


def test_a_model_comes_back_from_its_folder_and_is_loaded_once(tmp_path: Path) -> None:
    model = by_grey(tmp_path / "model", 3)
    assert load_model(tmp_path / "model") is model
    batch = np.random.default_rng(0).random((2, 16, 32, 3), dtype=np.float32)
    first = model(batch)
    assert first.shape == (2, 16, 32, 6)
    np.testing.assert_allclose(first[..., :4].sum(-1), 1.0, atol=1e-6)
    assert (first >= 0).all()
    assert (first <= 1).all()
    content = (tmp_path / "model" / NETWORK).read_bytes()
    save_model(tmp_path / "copy", content, model.card)
    np.testing.assert_array_equal(load_model(tmp_path / "copy")(batch), first)


def test_another_network_in_the_same_folder_is_another_model(tmp_path: Path) -> None:
    model = by_grey(tmp_path / "model")
    save_model(tmp_path / "model", pointwise(model.card, np.ones((1, 6)), np.zeros(6)), model.card)
    assert load_model(tmp_path / "model") is not model


def test_history_is_kept_beside_the_network(tmp_path: Path) -> None:
    card = Card("hybrid", ("cell",), VOXEL)
    history = pd.DataFrame({"epoch": [1, 2], "loss": [1.0, 0.5]})
    save_model(tmp_path, pointwise(card, np.ones((1, 1)), np.zeros(1)), card, history)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "history.csv"), history)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "card.json",
        "card.md",
        "history.csv",
        "network.onnx",
    ]


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    card = Card("hybrid", ("cell",), VOXEL)
    with pytest.raises(ExistsError, match="something else"):
        save_model(tmp_path, pointwise(card, np.ones((1, 1)), np.zeros(1)), card)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_what_is_not_a_model_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingInputError, match="no model folder at"):
        find_model(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"card\.json is missing"):
        find_model(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("hela_dask.unet.model._SHIPPED", "nowhere")
        with pytest.raises(MissingInputError, match="comes without a model: name one with --model"):
            find_model()
    by_grey(tmp_path / "model")
    whole = (tmp_path / "model" / NETWORK).read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
    for content in (b"nothing", whole[:-50], flipped):
        (tmp_path / "model" / NETWORK).write_bytes(content)
        with pytest.raises(InputError, match=r"network\.onnx is damaged, or is not the network of"):
            find_model(tmp_path / "model")
    (tmp_path / "model" / NETWORK).unlink()
    with pytest.raises(InputError, match=r"is not a model: network\.onnx is missing"):
        find_model(tmp_path / "model")
    (tmp_path / "model.pt").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"model\.pt is not a model: name a folder"):
        find_model(tmp_path / "model.pt")
    by_grey(tmp_path / "other")
    (tmp_path / "other" / CARD).write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        load_model(tmp_path / "other")


def test_a_network_that_does_not_fit_its_card_is_refused(tmp_path: Path) -> None:
    card = Card("residual", CLASSES, VOXEL)
    save_model(tmp_path, pointwise(card, np.ones((1, 4)), np.zeros(4)), card)
    facts = json.loads((tmp_path / CARD).read_text(encoding="utf-8"))
    (tmp_path / CARD).write_text(json.dumps({**facts, "slices": 5}))
    with pytest.raises(InputError, match=r"of shape \(any, 1, any, any\), and its card has 5 chan"):
        load_model(tmp_path)
    (tmp_path / CARD).write_text(json.dumps({**facts, "extra": ["distance"]}))
    with pytest.raises(InputError, match="gives 4 outputs, and its card has 5: resin, cell, env"):
        load_model(tmp_path)


def test_all_that_a_prediction_depends_on_is_in_the_fingerprint(tmp_path: Path) -> None:
    by_grey(tmp_path / "model")
    _, card, first = find_model(tmp_path / "model")
    assert set(card.interface) <= {field.name for field in dataclasses.fields(Card)}
    changes: dict[str, Any] = {"greys": "values", "mean": 2.0, "std": 3.0, "probabilities": True}
    for name, value in changes.items():
        changed = dataclasses.replace(card, **{name: value}).to_dict()
        (tmp_path / "model" / CARD).write_text(json.dumps(changed))
        assert find_model(tmp_path / "model")[2] != first
        assert getattr(load_model(tmp_path / "model").card, name) == value
    noted = dataclasses.replace(card, notes=("another",)).to_dict()
    (tmp_path / "model" / CARD).write_text(json.dumps(noted))
    assert find_model(tmp_path / "model")[2] == first


@pytest.mark.parametrize(
    ("package", "install", "act"),
    [
        ("keras", "'hela_dask[train]'", backend.keras),
        ("onnxruntime", "onnxruntime", engine.check_installed),
    ],
)
def test_what_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, package: str, install: str, act: Any
) -> None:
    monkeypatch.setattr(backend, "_loaded", None)
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=re.escape(f"pip install {install}")):
        act()
