"""A model's folder: what is kept comes back, and what is broken is said in one sentence."""

from __future__ import annotations

import json
import zipfile
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
from hela_dask.unet import backend
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
    save_model(tmp_path / "copy", model.network, model.card)
    np.testing.assert_array_equal(load_model(tmp_path / "copy")(batch), first)


def test_another_network_in_the_same_folder_is_another_model(tmp_path: Path) -> None:
    model = by_grey(tmp_path / "model")
    save_model(tmp_path / "model", pointwise(model.card, np.ones((1, 6)), np.zeros(6)), model.card)
    assert load_model(tmp_path / "model") is not model


def test_the_state_of_the_optimiser_is_left_out(tmp_path: Path) -> None:
    network = backend.keras().Sequential(
        [
            backend.keras().Input((None, None, 1)),
            backend.keras().layers.Conv2D(64, 9),
            backend.keras().layers.Conv2D(1, 9),
        ]
    )
    save_model(tmp_path / "before", network, Card("unet", ("cell",), VOXEL))
    network.compile(optimizer="adam", loss="mse")
    network.train_on_batch(np.zeros((1, 32, 32, 1)), np.zeros((1, 16, 16, 1)))
    save_model(tmp_path / "after", network, Card("unet", ("cell",), VOXEL))
    before, after = ((tmp_path / name / NETWORK).stat().st_size for name in ("before", "after"))
    assert after < 1.2 * before


def test_history_is_kept_beside_the_network(tmp_path: Path) -> None:
    card = Card("hybrid", ("cell",), VOXEL)
    history = pd.DataFrame({"epoch": [1, 2], "loss": [1.0, 0.5]})
    save_model(tmp_path, pointwise(card, np.ones((1, 1)), np.zeros(1)), card, history)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "history.csv"), history)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "card.json",
        "card.md",
        "history.csv",
        "model.keras",
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
    for content in (b"PK broken", whole[:-50], flipped):
        (tmp_path / "model" / NETWORK).write_bytes(content)
        with pytest.raises(InputError, match=r"^the network in \S+ cannot be read: model\.keras"):
            find_model(tmp_path / "model")
    with zipfile.ZipFile(tmp_path / "model" / NETWORK, "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(InputError, match="is of another Keras"):
        load_model(tmp_path / "model")
    (tmp_path / "model" / CARD).write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        load_model(tmp_path / "model")


def test_a_network_that_does_not_fit_its_card_is_refused(tmp_path: Path) -> None:
    card = Card("residual", CLASSES, VOXEL)
    save_model(tmp_path, pointwise(card, np.ones((1, 4)), np.zeros(4)), card)
    facts = {**card.to_dict(), "slices": 5}
    (tmp_path / CARD).write_text(json.dumps(facts))
    with pytest.raises(InputError, match="takes 1 channels and gives 4, its card has 5 and 4"):
        load_model(tmp_path)


def test_without_tensorflow_the_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str) -> Any:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(backend, "_loaded", None)
    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(MissingDependencyError, match=r"pip install 'hela_dask\[unet\]'"):
        backend.keras()
