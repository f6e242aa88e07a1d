"""Figures: right size, right colours in the right places, to scale, without global state."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hela_dask.figures import (
    draw_chains,
    draw_curves,
    draw_detections,
    draw_errors,
    draw_matching,
    draw_orthogonal,
    draw_overlay,
    tissue,
)
from hela_dask.figures.canvas import (
    CELL,
    CHAINS,
    ENVELOPE,
    NUCLEUS,
    Area,
    image_axes,
    innermost,
    new_figure,
    number,
    scale_bar,
    show_tissue,
)
from hela_dask.figures.plots import CURVES, _owners
from hela_dask.figures.steps import LESS, MASK, MORE
from hela_dask.figures.tissue import MISSED, RIGHT, SPURIOUS
from tests.colours import near, seen

PIXEL = (40.0, 40.0)
GREY = np.full((500, 500), 100, np.uint8)
GREY[::2] = 110


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_nuclei_are_blue_and_cells_orange_around_their_masks(tmp_path: Path) -> None:
    cells, nuclei = np.zeros((2, 500, 500), np.uint16)
    cells[100:400, 100:400], nuclei[200:300, 200:300] = 7, 7
    path = draw_overlay(GREY, nuclei, cells, PIXEL, tmp_path / "a.png", width=500)
    image = pixels(path)
    strip = image.shape[0] - 500
    blue, orange = (np.argwhere(near(image[strip:], colour)) for colour in (NUCLEUS, CELL))
    for found, (low, high) in ((orange, (100, 400)), (blue, (200, 300))):
        assert np.abs(found.min(axis=0) - low).max() <= 3
        assert np.abs(found.max(axis=0) - high).max() <= 3
        # Only the outline: nothing far inside it.
        inside = (found > low + 6).all(axis=1) & (found < high - 6).all(axis=1)
        assert not inside.any()
    # The number is white, in the nucleus.
    assert (image[strip + 235 : strip + 265, 235:265] > 240).all(axis=2).any()


@pytest.mark.parametrize(
    "colours",
    [
        (NUCLEUS, CELL, ENVELOPE),
        (RIGHT, SPURIOUS, MISSED),
        (MASK, MORE, LESS),
        (CURVES["nucleus"][0], CURVES["cell"][0]),
        CHAINS[:2],
    ],
)
@pytest.mark.parametrize("deficiency", ["protanopia", "deuteranopia"])
def test_colour_blind_readers_can_distinguish_colours(
    colours: tuple[Any, ...], deficiency: str
) -> None:
    for first, second in combinations(colours, 2):
        assert np.linalg.norm(seen(first, deficiency) - seen(second, deficiency)) > 40


def _bar(image: np.ndarray) -> np.ndarray:
    """White pixels of each row."""
    return np.asarray((image > 250).all(axis=2).sum(axis=1))


@pytest.mark.parametrize(
    ("shape", "size"),
    [((500, 500), 16.0), ((6, 500), 16.0), ((500, 9), 16.0), ((3, 3), 16.0), ((500, 500), 200.0)],
)
def test_the_text_of_the_bar_lies_inside_the_picture_above_or_beside_the_bar(
    shape: tuple[int, int], size: float
) -> None:
    scale = 400 / max(shape)
    figure = new_figure(500, 500)
    axes = image_axes(figure, (0.1, 0.1, scale * shape[1] / 500, scale * shape[0] / 500))
    show_tissue(axes, GREY[: shape[0], : shape[1]], PIXEL, (0, 255))
    area = scale_bar(axes, 0.04 * shape[1], 0.04 * shape[0], size)
    figure.canvas.draw()
    box = axes.get_window_extent()
    text = axes.texts[0].get_window_extent()
    bar = axes.patches[1].get_window_extent()
    for inner in (text, bar):
        assert box.x0 - 1 <= inner.x0 and inner.x1 <= box.x1 + 1
        assert box.y0 - 1 <= inner.y0 and inner.y1 <= box.y1 + 1
    assert text.y0 >= bar.y1 - 1 or text.x1 <= bar.x0 + 1
    plate = axes.patches[0].get_window_extent()
    assert plate.x0 <= min(text.x0, bar.x0) + 1 and plate.y1 >= text.y1 - 1
    assert 0 <= area.left < area.right <= 0.04 * shape[1] + 1e-9


def test_numbers_leave_the_bar_free_and_lie_inside_the_picture(tmp_path: Path) -> None:
    labels = np.zeros((500, 500), np.uint16)
    labels[360:, 290:] = 123  # its innermost pixel is under the bar
    labels[:3, :3] = 45
    bar = Area(12.0, 15.0, 20.0, 20.0)
    places = innermost(labels, PIXEL, [bar])
    assert places[123][0] < 15_000 / 40 or places[123][1] < 12_000 / 40
    assert 123 not in innermost(labels, PIXEL, [Area(0.0, 0.0, 20.0, 20.0)])
    figure = new_figure(500, 500)
    axes = image_axes(figure, (0, 0, 1, 1))
    show_tissue(axes, GREY, PIXEL, (0, 255))
    number(axes, 0.02, 0.02, "45", 10)
    figure.canvas.draw()
    text = axes.texts[0].get_window_extent()
    assert text.x0 >= 0 and text.y1 <= 500


def test_each_plane_of_the_orthogonal_view_has_a_bar_and_numbers(tmp_path: Path) -> None:
    volume = np.full((100, 100, 100), 100, np.uint8)
    labels = np.zeros(volume.shape, np.uint16)
    labels[20:80, 20:80, 20:80] = 7
    planes: dict[str, Any] = dict.fromkeys(("xy", "xz", "yz"), (volume[0], None, labels[50]))
    found: list[list[str]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tissue, "save", lambda figure, path: found.extend(_texts(figure)))
        draw_orthogonal(planes, (40, 40, 40), (2000, 2000, 2000), tmp_path / "a.png")
    assert found == [["1 µm", name, "7"] for name in ("xy", "xz", "yz")]


def _texts(figure: Any) -> list[list[str]]:
    return [[text.get_text() for text in axes.texts] for axes in figure.axes if axes.texts]


def test_the_bar_is_five_micrometres(tmp_path: Path) -> None:
    # 500 pixels of 40 nm are 20 µm: on 800 pixels, 5 µm are 200.
    image = pixels(draw_overlay(GREY, None, None, PIXEL, tmp_path / "a.png", width=800))
    assert image.shape == (800, 800, 3)
    white = _bar(image[700:])
    assert abs(int(white.max()) - 200) <= 3


def test_a_small_window_gets_a_shorter_bar(tmp_path: Path) -> None:
    # 4 µm wide: 5 and 2 µm are over 40 %, 1 µm is 200 of 800 pixels.
    path = draw_overlay(GREY[:100, :100], None, None, PIXEL, tmp_path / "a.png", width=800)
    white = _bar(pixels(path)[600:])
    assert abs(int(white.max()) - 200) <= 3


def test_the_orthogonal_view_is_to_scale(tmp_path: Path) -> None:
    # 10 slices of 50 nm; 30 x 40 pixels of 10 nm: 0.5, 0.3 and 0.4 µm.
    volume = np.random.default_rng(0).integers(0, 255, (10, 30, 40)).astype(np.uint8)
    labels = np.zeros(volume.shape, np.uint16)
    labels[3:7, 10:20, 10:30] = 1
    planes = {
        "xy": (volume[5], labels[5], None),
        "xz": (volume[:, 15], labels[:, 15], None),
        "yz": (volume[:, :, 20], labels[:, :, 20], None),
    }
    path = draw_orthogonal(planes, (50, 10, 10), (275, 155, 205), tmp_path / "a.png", width=1000)
    height, width = pixels(path).shape[:2]
    gap = 0.012 * 0.9
    assert width == 1000
    assert abs(height - 1000 * (0.8 + gap) / (0.9 + gap)) <= 2


def test_errors_are_coloured_by_kind(tmp_path: Path) -> None:
    prediction, truth = np.zeros((2, 500, 500), bool)
    prediction[200:400, 100:300], truth[200:400, 200:400] = True, True
    path = draw_errors(GREY, prediction, truth, PIXEL, tmp_path / "a.png", width=500, title="x")
    image = pixels(path)[-500:]
    fp, tp, fn, tn = (image[300, x] for x in (150, 250, 350, 450))
    assert tp[2] > tp[0] + 20  # blue
    assert fp[0] > 180 and fp[2] < 80  # amber
    assert fn[0] > 150 and fn[1] < 80 and fn[2] > 80  # magenta
    assert np.ptp(tn) == 0  # grey


def test_detections_are_circles_of_their_height(tmp_path: Path) -> None:
    rows = pd.DataFrame({"y": [10_000.0], "x": [8000.0], "height": [4000.0], "rank": [1]})
    path = draw_detections(GREY, rows, PIXEL, tmp_path / "a.png", width=500, origin=(20.0, 20.0))
    amber = np.argwhere(near(pixels(path), "#ffb300", 60))
    amber = amber[(amber[:, 0] > 100) & (amber[:, 0] < 400)]
    ring = amber[np.abs(np.hypot(amber[:, 0] - 250, amber[:, 1] - 200) - 100) < 4]
    # All around: 25 pixels a µm, so radius 100 pixels around (250, 200).
    angles = np.arctan2(ring[:, 0] - 250, ring[:, 1] - 200)
    assert len(np.unique(np.round(angles, 1))) > 55


def test_resin_can_be_drawn_as_a_mask(tmp_path: Path) -> None:
    rows = pd.DataFrame({"y": [], "x": [], "height": [], "rank": []})
    path = draw_detections(GREY > 105, rows, PIXEL, tmp_path / "a.jpg", title="slice 3")
    with Image.open(path) as image:
        assert image.format == "JPEG"


def chains() -> tuple[pd.DataFrame, pd.DataFrame]:
    detections = pd.DataFrame(
        {
            "slice": [1, 21, 41, 1, 21],
            "z": [0.0, 1000, 2000, 0, 1000],
            "y": [5000.0, 5100, 5000, 15_000, 15_000],
            "x": [5000.0, 5000, 5200, 15_000, 9000],
            "height": [3000.0, 3000, 3000, 2000, 500],
        }
    )
    cells = pd.DataFrame(
        {
            "label": [1, 2],
            "z": [1000.0, 0],
            "y": [5000.0, 15_000],
            "x": [5000.0, 15_000],
            "first_slice": [1, 1],
            "last_slice": [50, 10],
            "status": ["segmented", "chain_too_short"],
        }
    )
    return detections, cells


def test_detections_find_their_cells() -> None:
    detections, cells = chains()
    assert _owners(detections, cells).tolist() == [1, 1, 1, 2, 0]
    assert _owners(detections.assign(label=[2, 2, 1, 1, 0]), cells).tolist() == [2, 2, 1, 1, 0]


@pytest.mark.parametrize("extent", [(26e3, 82e3, 82e3), (15e3, 20e3, 20e3), (50.0, 20e3, 20e3)])
def test_chains_are_drawn_in_any_box(extent: tuple[float, float, float], tmp_path: Path) -> None:
    detections, cells = chains()
    detections = detections[detections["z"] < extent[0]]
    path = draw_chains(detections, cells, extent, tmp_path / "a.png", title="chains")
    image = pixels(path)
    # The good cell in its colour, and nothing cut off at the picture's edge.
    assert (np.abs(image - (0, 114, 178)).max(axis=2) < 12).sum() > 50
    assert (image[[0, -1]] > 250).all()
    assert (image[:, [0, -1]] > 250).all()


def test_no_detections_still_give_a_box(tmp_path: Path) -> None:
    detections, cells = chains()
    path = draw_chains(detections.iloc[:0], cells.iloc[:0], (5e3, 9e3, 9e3), tmp_path / "a.png")
    assert path.exists()


def test_curves_break_where_nothing_is_known(tmp_path: Path) -> None:
    values = np.full(100, 0.5)
    values[40:60] = np.nan
    rows = pd.DataFrame({"slice": np.arange(1, 101), "ji": values})
    image = pixels(draw_curves({"nucleus": rows}, tmp_path / "a.png", width=1000))
    columns = np.flatnonzero(near(image[:300], CURVES["nucleus"][0]).any(axis=0))
    # Slices 41-60 of 100 on axes from 65 to 985: about 175 pixels without a line.
    assert 150 < np.diff(columns).max() < 220
    lonely = pd.DataFrame({"slice": [1], "ji": [0.7]})
    empty = pd.DataFrame({"slice": [1, 2], "ji": [np.nan, np.nan]})
    draw_curves({"cell": lonely, "other": empty}, tmp_path / "b.png", title="one slice")


def test_matching_is_drawn(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"precision": [1.0, 0.5], "recall": [1.0, np.nan], "f1": [1.0, 0.5]}, index=[0.5, 0.9]
    )
    assert draw_matching(table, tmp_path / "a.png").stat().st_size > 3000


def test_the_same_figure_gives_the_same_bytes_and_no_state(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    mask = np.pad(np.ones((100, 100), np.uint8), 200)
    first, second = (
        draw_overlay(GREY, mask, None, PIXEL, tmp_path / name).read_bytes()
        for name in ("a.png", "b.png")
    )
    assert first == second
    assert dict(mpl.rcParams) == before
    assert not list(tmp_path.glob("*.tmp"))
