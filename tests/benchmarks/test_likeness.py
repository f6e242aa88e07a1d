"""Statistics of drawn nuclei whose figures are known, and the slices of poles and ends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import pages
from benchmarks.likeness import FIGURES, statistics
from benchmarks.poles import at_ends, jaccard, near_poles
from benchmarks.stacks import Stack

VOXEL = (50.0, 40.0, 40.0)


@pytest.fixture(scope="module")
def ball() -> Stack:
    """A nucleus with a radius of 2.4 µm in a cell of 3.2 µm, between two free pieces of tissue."""
    z, y, x = np.ogrid[:140, :180, :180]
    away = np.sqrt(((z - 70) * 50.0) ** 2 + ((y - 90) * 40.0) ** 2 + ((x - 90) * 40.0) ** 2)
    truth = np.full(away.shape, 4, np.uint8)
    truth[away < 3200] = 5
    truth[away < 2500] = 1
    truth[away < 2400] = 2
    truth[4:14, 86:94, 35:50] = truth[4:14, 86:94, 130:145] = 3
    noise = np.random.default_rng(0).normal(0.0, 4.0, away.shape)
    grey = np.select([truth == 2, truth == 1, truth == 4], [170.0, 140.0, 220.0], 165.0)
    return Stack(np.rint(grey + noise).astype(np.uint8), truth, (70, 90, 90), VOXEL)


@pytest.fixture(scope="module")
def found(ball: Stack) -> dict[str, float]:
    return statistics(ball)


def test_figures_of_a_ball_are_those_that_were_drawn(found: dict[str, float]) -> None:
    assert set(FIGURES) <= set(found)
    # Pole at 2.4 µm: the area 1 µm below it is that of a circle, 1 - (1.4 / 2.4)².
    assert found["area_1"] == pytest.approx(0.66, abs=0.03)
    assert found["area_2"] == pytest.approx(0.97, abs=0.03)
    assert (found["islands"], found["islands_most"], found["islands_slices"]) == (1, 1, 0)
    assert found["solidity_pole"] > 0.97
    assert found["grey_cytoplasm"] == pytest.approx(-5.0, abs=1.0)
    assert found["envelope_steep"] == pytest.approx(30.0, abs=4.0)
    assert found["chromatin_sd"] < 1.0
    assert found["envelope_area_pole"] > 1.5 * found["envelope_area_middle"]


def test_pieces_beside_the_ends_of_a_cell_are_counted(found: dict[str, float]) -> None:
    assert 1.5 < found["end_pieces"] <= 3.0


def test_missing_pixels_do_not_count(ball: Stack) -> None:
    missing = np.zeros(ball.truth.shape, bool)
    missing[:, :90] = True
    image = ball.image.copy()
    image[missing & (ball.truth == 1)] = 170
    found = statistics(replace(ball, image=image), missing)
    assert found["envelope_steep"] == pytest.approx(30.0, abs=4.0)
    assert found["grey_envelope"] == pytest.approx(-30.0, abs=2.0)


def test_slices_of_poles_and_ends() -> None:
    nucleus = np.zeros((200, 2, 2), bool)
    nucleus[50:150] = True
    poles = np.flatnonzero(near_poles(nucleus, 50.0))
    assert poles.tolist() == [*range(40, 90), *range(110, 160)]
    nucleus[150:] = True  # the stack ends in the nucleus
    assert np.flatnonzero(near_poles(nucleus, 50.0)).tolist() == [*range(40, 90)]
    cell = np.zeros((6, 10, 10), bool)
    cell[1:5, :, :1] = cell[2:4] = True
    assert at_ends(cell).tolist() == [True, True, False, False, True, True]
    assert jaccard(cell[0], cell[0]) == 1.0
    assert jaccard(cell[1], cell[2]) == pytest.approx(0.1)


def test_page_shows_the_poles_of_each_kind_and_how_alike_they_are() -> None:
    row = {"nucleus": 0.97, "nucleus_poles": 0.91, "cell": 0.98, "cell_ends": 0.8, "seconds": 70}
    figures = {name: float(k) for k, name in enumerate(FIGURES)}
    found = {
        **pages.load_figures(),
        "accuracy": {
            "poles": {"lobulated": {"unet": {"0": row}}},
            "likeness": dict.fromkeys(("real", "plain", "lobulated"), figures),
        },
    }
    text = pages.render("accuracy", found)
    assert "| lobulated | `unet` | 0 | 0.970 | 0.910 | 0.980 | 0.800 | 70 |\n" in text
    assert "| | real | plain | lobulated |\n" in text
    assert text.count("\n| the same: width, nm | ") == 3
