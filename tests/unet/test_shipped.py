"""The model that comes with the package: small, explained, and good at real slices."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.comparison import COMPARED
from benchmarks.shipped import LIMIT, described, differences
from benchmarks.stacks import agreement, real_stack, segment_stack
from hela_dask.unet.card import CLASSES, EXTRA, Card, card_text
from hela_dask.unet.model import CARD, find_model, load_model, shipped_folder


def test_it_is_small_and_whole() -> None:
    files = {file.name: file.stat().st_size for file in shipped_folder().iterdir()}
    assert files.keys() == {"network.onnx", "card.json", "card.md", "curves.png", "history.csv"}
    assert sum(files.values()) <= LIMIT


def test_its_card_says_how_it_came_about_and_how_good_it_is() -> None:
    folder, card, _ = find_model()
    assert (card.classes, card.extra, card.voxel_size) == (CLASSES, EXTRA, (50.0, 40.0, 40.0))
    assert card.split["leaking"] is False
    assert card.training["command"] == "python -m benchmarks.shipped FOLDER --write"
    assert card.training["label_values"]["nucleus"] == [2]
    history = pd.read_csv(folder / "history.csv")
    assert len(history) == card.training["epochs"]
    best = history["validation_score"].max()
    assert card.scores["validation_score"] == pytest.approx(best)
    # The first slices have little of the nucleus and the pole of the cell: hard for every method.
    for part, bound in (("1-60", 0.92), ("130-180", 0.96)):
        assert min(card.scores["judged"][part].values()) >= bound
    assert "1-60 and 130-180, of which it learned no class" in card.notes[-1]
    assert (folder / "card.md").read_text(encoding="utf-8") == card_text(card)
    assert json.loads((folder / CARD).read_text(encoding="utf-8")) == card.to_dict()


def test_figures_of_another_training_are_detected() -> None:
    scored = Card("residual", CLASSES, (50.0, 40.0, 40.0), EXTRA, training={"epochs": 80})
    shipped = Card("residual", CLASSES, (50.0, 40.0, 40.0), EXTRA, training={"epochs": 80})
    assert differences(scored, shipped) == []
    other = Card("unet", CLASSES, (50.0, 40.0, 40.0), training={"epochs": 3})
    assert differences(scored, other) == ["epochs", "architecture", "extra"]
    split = {"train": [[1, 140]]}
    predicted = described(
        shipped,
        Card("residual", CLASSES, (50.0, 40.0, 40.0), EXTRA, split=split),
        {"1-60": {"ji_cell": 0.9}},
    )
    assert predicted.scores == {"judged": {"1-60": {"ji_cell": 0.9}}}
    assert "trained on slices 1-140" in predicted.notes[0]


def test_it_is_what_the_method_uses_and_finds_the_cell_of_real_slices(real_data: Path) -> None:
    """It has learned from these slices: this is that the file works, not how good it is."""
    stack = real_stack(real_data).slices(120, 135, 128)
    masks = segment_stack(stack, method="unet")
    assert masks.attrs["status"] == "segmented"
    scores = agreement(masks, stack, COMPARED)
    assert scores["nucleus"].pooled.ji > 0.95
    assert scores["cell"].pooled.ji > 0.95
    inverted = type(stack)(255 - stack.image, stack.truth, stack.centre, stack.voxel)
    np.testing.assert_array_equal(segment_stack(inverted, method="unet")["cell"], masks["cell"])


def test_a_process_loads_it_once() -> None:
    assert load_model().network is load_model(shipped_folder()).network
