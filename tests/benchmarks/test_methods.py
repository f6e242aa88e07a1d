"""The comparison of methods: reservations of a card, rows of a drawn cell, and the page."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.comparison import compare_splits, drawn, held_out
from benchmarks.methods import everything, measure, reservations, shipped, variants
from benchmarks.pages import load_figures, render
from benchmarks.stacks import Stack
from hela_dask.unet.card import CLASSES, Card
from hela_dask.unet.model import find_model, shipped_folder
from tests.drawn import draw_cell

VGG = Card(
    "vgg16", CLASSES, (50.0, 40.0, 40.0), channels="repeated", training={"epochs": 100, "steps": 9}
)
UNET = Card("unet", CLASSES, (50.0, 40.0, 40.0))
HYBRID = Card("hybrid", ("cell",), (50.0, 40.0, 40.0), channels="binary")


@pytest.fixture(scope="module")
def stack() -> Stack:
    drawn = draw_cell(slices=(22, 30))
    truth = np.full(drawn.image.shape, 3, np.uint8)
    truth[drawn.background], truth[drawn.cell], truth[drawn.nucleus] = 4, 5, 2
    return Stack(drawn.image, truth, drawn.centre, drawn.voxel)


@pytest.mark.parametrize(
    ("card", "why"),
    [
        (replace(VGG, training={"epochs": 100, "pretrained": "imagenet"}), []),
        (VGG, ["without ImageNet weights"]),
        (replace(VGG, training={"epochs": 7, "pretrained": "vgg16.h5"}), ["7 of 100 epochs"]),
        (
            replace(VGG, training={"epochs": 100, "pretrained": "folder/other.onnx"}),
            ["weights of other.onnx, not known to be those of ImageNet"],
        ),
        # The hybrid's training ends when it gets no better for 15 epochs.
        (replace(HYBRID, training={"epochs": 87, "best_epoch": 72}), []),
        (replace(HYBRID, training={"epochs": 87, "best_epoch": 80}), ["87 of 100 epochs"]),
        (
            replace(
                UNET, training={"epochs": 15, "patches_an_epoch": 240, "patches_of_recipe": 6856}
            ),
            ["240 of 6,856 patches an epoch"],
        ),
        (
            replace(
                UNET, training={"epochs": 15, "patches_an_epoch": 6856, "patches_of_recipe": 6856}
            ),
            [],
        ),
    ],
)
def test_a_card_tells_whether_it_was_trained_as_published(card: Card, why: list[str]) -> None:
    assert reservations(card) == why


def test_slices_held_out_are_those_of_the_card_that_were_measured() -> None:
    row = {"first": 11, "curves": {"nucleus": [0.1, 0.2, None, 0.6], "cell": [None] * 4}}
    ranges = [[1, 5], [12, 13], [14, 40]]
    assert held_out(row, ranges, "nucleus") == pytest.approx(0.4)
    assert held_out(row, ranges, "cell") is None
    assert held_out(row, [], "nucleus") is None


def test_ranges_of_slices_are_numbered_as_in_the_volume(stack: Stack) -> None:
    row = measure(stack, "propagate", first=71)
    assert list(row["ranges"]) == ["71-78", "71-74", "75-78"]
    assert row["status"] == "segmented"
    for classes in row["ranges"].values():
        assert classes["cell"]["ji"] > 0.95
        assert classes["nucleus"]["ji"] > 0.85
    assert len(row["curves"]["cell"]) == 8
    assert row["megavoxels"] > 0


def test_a_model_is_measured_by_the_method_that_uses_it(stack: Stack, tmp_path: Path) -> None:
    from tests.unet.networks import stored

    card = replace(
        HYBRID,
        split={"kind": "blocks", "validation": [[7, 8]]},
        training={"epochs": 3, "seconds": 7200.0},
    )
    stored(tmp_path / "one", card, np.array([[40.0]]), np.array([-20.0]))
    rows = everything(stack, {"one": tmp_path / "one"}, ["one"], 1)
    assert list(rows) == ["one", "one, published numbers"]
    row, published = rows.values()
    assert published["ranges"]["1-8"]["cell"] == row["ranges"]["1-8"]["cell"]
    assert published["ranges"]["1-8"]["nucleus"] != row["ranges"]["1-8"]["nucleus"]
    assert (row["method"], row["architecture"], row["split"]) == ("hybrid", "hybrid", "blocks")
    assert row["ranges"]["1-8"]["cell"]["ji"] > 0.95
    assert row["held_slices"] == [[7, 8]]
    mean = np.mean(row["curves"]["cell"][6:])
    assert held_out(row, row["held_slices"], "cell") == pytest.approx(mean, abs=1e-3)
    assert row["reservations"] == ["3 of 100 epochs"]
    assert row["size_mb"] > 0
    text = _page({"one": row})
    assert "| `one`, hybrid **not comparable** (3 of 100 epochs) | 1-8 |" in text
    assert "| 2.00 |" in text


def _page(rows: dict[str, Any], phantoms: dict[str, Any] | None = None, **more: Any) -> str:
    """The page of some rows."""
    machine = {"cores": 2, "processor": "a processor"}
    section = {"rows": rows, "command": "python -m it", "machine": machine, **more}
    accuracy = {"phantoms": phantoms or {}}
    return render(
        "methods", {**load_figures(), "methods": {"methods": section}, "accuracy": accuracy}
    )


def _row(architecture: str, split: str, held: float, later: float, last: int) -> dict[str, Any]:
    keys = (
        "ji",
        "ac",
        *(f"{of}_{kind}" for of in ("ji", "ac") for kind in ("mean", "median", "sd")),
    )
    score = dict.fromkeys(keys, later)
    curve = [0.5] * 120 + [held] * 10 + [0.5] * 20 + [later] * 30
    return {
        "method": "unet",
        "measured": "2026-11-02",
        "commit": "89abcde",
        "architecture": architecture,
        "split": split,
        "learned": [[1, 120], [131, last]],
        "reservations": [],
        "held_slices": [[121, 130]],
        "first": 1,
        "curves": {"nucleus": curve, "cell": curve},
        "ranges": {part: {"nucleus": score, "cell": score} for part in ("1-180", "151-180")},
        "megavoxels": 1.0,
    }


def test_networks_of_the_papers_have_no_other_witness() -> None:
    ours = Card("residual", CLASSES, (50.0, 40.0, 40.0))
    assert variants(UNET) == {"": {"membranes": 0.0}}
    assert variants(ours) == {"": {}, ", network alone": {"membranes": 0.0}}
    assert variants(HYBRID)[", published numbers"] == {"preset": "published"}


def test_the_page_names_the_day_and_commit_of_each_row() -> None:
    row = _row("residual", "blocks", 0.9, 0.9, 180)
    other = {"cores": 16, "processor": "another"}
    earlier = {**row, "measured": "2026-11-01", "commit": "0123456", "machine": other}
    text = _page({"a": row, "b": {**earlier, "accelerator": "a GPU"}, "c": row})
    assert text.rstrip().endswith(
        "Measured (`--only NAME`):\n\n"
        "- 2026-11-01, commit `0123456`, 16 cores of another: `b`.\n"
        "- 2026-11-02, commit `89abcde`, 2 cores of a processor: `a`, `c`."
    )
    assert re.search(r"^\| `b`, unet \| [\d.]* on a GPU \|", text, re.MULTILINE)


@pytest.fixture
def both_splits() -> dict[str, Any]:
    """Rows of a random and a block split, of a model of all slices, and of the control."""
    return {
        "a": _row("residual", "random", 0.95, 0.90, 150),
        "b": _row("residual", "blocks", 0.93, 0.92, 150),
        "all": _row("residual", "blocks", 0.99, 0.98, 180),
        "a, published numbers": _row("residual", "random", 0.5, 0.98, 150),
        "volumetric": {**_row("", "", 0.96, 0.97, 180), "held_slices": [], "method": "volumetric"},
    }


def test_splits_are_compared_beside_the_control(both_splits: dict[str, Any]) -> None:
    found = compare_splits(both_splits)
    # "all" has learned from the last slices, and published numbers are no other network.
    assert [(row["name"], row["split"]) for row in found["rows"]] == [
        *[("a", "random")] * 2,
        *[("b", "blocks")] * 2,
    ]
    assert found["rows"][0]["scores"] == pytest.approx([0.95, 0.96, 0.90, 0.97])
    nucleus = found["gaps"][0]
    assert (nucleus["random"], nucleus["blocks"]) == pytest.approx((0.06, 0.02))
    assert list(drawn(both_splits)) == ["b", "all", "volumetric"]
    assert compare_splits({"b": both_splits["b"]}) == {"rows": [], "gaps": []}
    bare = compare_splits({name: both_splits[name] for name in ("a", "b")})
    assert (bare["rows"][0]["scores"][1], bare["gaps"]) == (None, [])


def test_the_page_has_splits_phantoms_and_the_network_that_ships(
    both_splits: dict[str, Any],
) -> None:
    figures = {"complete_cells": 5, "found": 4, "instance_f1": 0.889}
    phantoms = {"unet": {"0": {**figures, "mean_cell_iou": 0.9, "mean_nucleus_iou": 0.8}}}
    text = _page(both_splits, phantoms, shipped=shipped())
    scored = find_model(shipped_folder())[1].scores["judged"]
    nucleus = [f"{part['ji_nucleus']:.3f}" for part in scored.values()]
    for line in (
        "| `b`, unet | blocks | nucleus | 0.930 | 0.960 | 0.920 | 0.970 |",
        "- `residual`, nucleus: 0.060 better on slices held out at random, 0.020 better on a block "
        "of them.",
        "| `b`, unet | 1-180 | 78% | 0.920 |",
        "|  | 151-180 | 0% | 0.920 |",
        "|  | 151-180 | 100% | 0.980 |",
        "| `unet` | 4 of 5 | 0.889 | 0.900 | 0.800 |",
        "| class | slices 1-60 | slices 130-180 |\n|---|---|---|\n",
        f"| nucleus | {' | '.join(nucleus)} |",
    ):
        assert line in text, line
    bare = _page({"b": both_splits["b"]})
    for words in ("not comparable", "phantom", "The network that ships", "Slices held out"):
        assert words not in bare
