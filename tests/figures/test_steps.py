"""Pictures of steps: each kind of plane as it should look, marks in their places, the sheet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hela_dask.figures import Mark, Panel, draw_panel, draw_sheet, measure, steps
from hela_dask.figures.canvas import CELL, NUCLEUS
from tests.colours import near

PIXEL = (40.0, 40.0)
GREY = np.full((500, 500), 100, np.uint8)
GREY[::2] = 110
GREY[:10], GREY[-10:] = 0, 255
LEFT, RIGHT, OUTSIDE = (250, 125), (250, 375), (40, 250)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def drawn(
    path: Path, plane: np.ndarray | None, *marks: Mark, grey: np.ndarray = GREY
) -> np.ndarray:
    """The picture of a plane, 500 pixels wide."""
    panel = Panel("a step", "What it is.", plane, marks)
    return pixels(draw_panel(grey, panel, PIXEL, path / "a.png", width=500))


def colourful(colour: np.ndarray) -> bool:
    return int(np.ptp(colour)) > 25


def test_a_mask_is_tinted_on_the_grey_slice(tmp_path: Path) -> None:
    mask = np.zeros(GREY.shape, bool)
    mask[150:350, 50:200] = True
    image = drawn(tmp_path, mask)
    assert image.shape == (500, 500, 3)
    inside = image[LEFT]
    assert inside[2] > inside[1] > inside[0] and colourful(inside)
    assert not colourful(image[OUTSIDE]) and not colourful(image[RIGHT])
    # The outline is stronger than the tint.
    assert np.ptp(image[250, 49:52], axis=1).max() > np.ptp(inside) + 30


def test_an_empty_mask_says_so(tmp_path: Path) -> None:
    middle = np.s_[230:270, 150:350]
    empty = drawn(tmp_path, np.zeros(GREY.shape, bool))
    assert (empty[middle] > 240).all(axis=2).any()
    assert not (drawn(tmp_path, None)[middle] > 240).all(axis=2).any()


def test_what_a_mask_gained_is_amber_and_what_it_lost_magenta(tmp_path: Path) -> None:
    before, after = np.zeros((2, *GREY.shape), bool)
    before[150:350, 50:300], after[150:350, 100:350] = True, True
    panel = Panel("a step", "What it is.", after, before=before)
    image = pixels(draw_panel(GREY, panel, PIXEL, tmp_path / "a.png", width=500))
    amber, magenta, kept = image[250, 325], image[250, 75], image[250, 200]
    assert amber[0] > amber[1] > amber[2] + 60 and magenta[0] > magenta[2] > magenta[1] + 60
    assert kept[2] > kept[1] > kept[0]


def test_pieces_have_a_colour_each(tmp_path: Path) -> None:
    pieces = np.zeros(GREY.shape, np.int32)
    pieces[100:400, 50:200], pieces[100:400, 300:450] = 4000, 77
    image = drawn(tmp_path, pieces)
    assert colourful(image[LEFT]) and colourful(image[RIGHT])
    assert np.abs(image[LEFT] - image[RIGHT]).max() > 25
    assert not colourful(image[OUTSIDE])


def test_an_image_is_shown_as_it_is_instead_of_the_slice(tmp_path: Path) -> None:
    other = np.zeros(GREY.shape, np.uint8)
    other[:, 250:] = 200
    image = drawn(tmp_path, other)
    assert image[LEFT].max() < 5 and image[RIGHT].min() > 250
    assert not colourful(image[RIGHT])


def test_numbers_are_a_heat_map_without_what_is_not_finite(tmp_path: Path) -> None:
    numbers = np.linspace(-3, 3, 500, dtype=np.float32) * np.ones((500, 1), np.float32)
    numbers[0, :20] = np.inf
    image = drawn(tmp_path, numbers)
    low, high = image[250, 2], image[250, -2]
    assert low[2] > low[1] and high[0] > 200 and high[2] < 80  # viridis: violet to yellow
    assert high.sum() > low.sum() + 200
    # The bar at the lower left runs through the same colours, over the low half of the map.
    assert np.abs(image[476, 280] - high).max() < 60
    assert np.abs(image[476, 20] - low).max() < 60


def test_a_colour_bar_has_the_unit_of_its_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Any] = []
    monkeypatch.setattr(steps, "save", lambda figure, path: found.append(figure))
    numbers = np.linspace(0, 5000, 500, dtype=np.float32) * np.ones((500, 1), np.float32)
    draw_panel(GREY, Panel("a step", "What it is.", numbers, unit="nm"), PIXEL, tmp_path / "a.png")
    (bar,) = found[0].axes[0].child_axes
    assert [text.get_text() for text in bar.get_xticklabels()] == ["≤ 50", "≥ 4950 nm"]


def test_one_value_everywhere_is_no_fault(tmp_path: Path) -> None:
    assert drawn(tmp_path, np.full(GREY.shape, 2.5, np.float32)).shape == (500, 500, 3)
    assert drawn(tmp_path, np.full(GREY.shape, np.nan, np.float32)).shape == (500, 500, 3)


@pytest.mark.parametrize("finer", [1, 4])
def test_marks_are_outlined_in_their_colours_where_they_are(tmp_path: Path, finer: int) -> None:
    cell, nucleus = np.zeros((2, 500 * finer, 500 * finer), np.uint16)
    cell[100 * finer : 400 * finer, 150 * finer : 400 * finer] = 7
    nucleus[200 * finer : 300 * finer, 200 * finer : 300 * finer] = 7
    marks = Mark("cells", cell, CELL, numbered=True), Mark("nuclei", nucleus, NUCLEUS)
    image = drawn(tmp_path, None, *marks, grey=GREY.repeat(finer, 0).repeat(finer, 1))
    legend = image[:70, :150].copy()
    image[:70, :150] = 0
    for colour, first, last in (
        (CELL, (100, 150), (400, 400)),
        (NUCLEUS, (200, 200), (300, 300)),
    ):
        places = np.argwhere(near(image, colour))
        assert np.abs(places.min(axis=0) - first).max() <= 3
        assert np.abs(places.max(axis=0) - last).max() <= 3
        assert near(legend, colour).any()
    assert (image[210:290, 160:390] > 240).all(axis=2).any()  # the number


def test_a_panel_has_a_number(tmp_path: Path) -> None:
    mask = np.zeros((10, 10), bool)
    mask[:5] = True
    assert measure(Panel("", "", mask), (200.0, 200.0)) == "2.0 µm²"
    assert measure(Panel("", "", mask.astype(np.int32)), PIXEL) == "1 piece"
    assert measure(Panel("", "", np.arange(9).reshape(3, 3)), PIXEL) == "8 pieces"
    assert measure(Panel("", "", mask.astype(np.float32)), PIXEL) == ""
    assert measure(Panel("", ""), PIXEL) == ""


def test_the_sheet_shows_all_steps_row_by_row(tmp_path: Path) -> None:
    planes = [np.full((100, 100), k, np.float32) for k in range(6)]
    for k, plane in enumerate(planes):
        plane[0, : k + 1] = 10.0  # not one value only
        plane[50:] = 10.0 * (k % 2)
    panels = [Panel(f"step {k}", "Words. " * 30 * (k == 4), p) for k, p in enumerate(planes)]
    path = draw_sheet(planes[0], panels, PIXEL, tmp_path / "s.png", title="All", columns=4)
    image = pixels(path)
    assert image.shape[1] == 1600
    short = draw_sheet(planes[0], panels[:4], PIXEL, tmp_path / "t.png", title="All")
    assert image.shape[0] > 2 * pixels(short).shape[0] - 100
    # The middle of each picture of the first row; white between and beside them.
    assert (image[:, :14] == 255).all()
    coloured = (np.ptp(image, axis=2) > 40).any(axis=0)
    starts = np.flatnonzero(np.diff(coloured.astype(int)) == 1) + 1
    assert np.abs(starts[:4] - (16 + 396 * np.arange(4))).max() <= 12
    # The last row has two pictures.
    last = np.ptp(image[pixels(short).shape[0] + 60 :], axis=2) > 40
    assert last[:, :800].any() and not last[:, 820:].any()
