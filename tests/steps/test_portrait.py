"""Pictures of cells of strange forms: tiny, without a nucleus, cut on all sides, flat voxels."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hela_dask.figures import space
from hela_dask.running.portraits import write_portrait
from hela_dask.steps.portrait import Solid, make_solid
from hela_dask.steps.shape import WHOLE, find_shapes
from hela_dask.types import Sides, Triple

VOXEL = (50.0, 40.0, 40.0)
ALL: Sides = ((True, True), (True, True), (True, True))
HEAD = 30


def solids(
    cells: np.ndarray, nuclei: np.ndarray, voxel: Triple = VOXEL, cut: Sides = WHOLE
) -> list[Solid | None]:
    found = find_shapes(cells, nuclei, 1, voxel, cut=cut)
    return [None if part is None else make_solid(part, cut, (0.0, 0.0, 0.0)) for part in found]


def ball(shape: tuple[int, int, int], voxel: Triple, radius: float) -> np.ndarray:
    steps = np.ogrid[tuple(slice(length) for length in shape)]
    squares = sum(
        ((step + 0.5 - length / 2) * size) ** 2
        for step, length, size in zip(steps, shape, voxel, strict=True)
    )
    return np.asarray(squares < radius**2).astype(np.uint16)


def drawn(path: Path, found: list[Solid | None]) -> np.ndarray:
    """The left view below the heading: where it is not white, without axes."""
    write_portrait(path, 1, found[0], found[1])
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)[HEAD:, :440]
    pixels[350:, :110] = 255
    return np.asarray(pixels.min(axis=2) < 245)


def test_a_cell_of_a_few_voxels_fills_its_picture(tmp_path: Path) -> None:
    cells = np.zeros((8, 8, 8), np.uint16)
    cells[3:5, 3:5, 3:6] = 1
    seen = drawn(tmp_path / "a.png", solids(cells, np.zeros_like(cells)))
    assert np.ptp(np.flatnonzero(seen.any(axis=0))) > 200


@pytest.mark.parametrize(
    ("voxel", "shape"), [((100.0, 10.0, 10.0), (24, 240, 240)), ((10.0, 80.0, 80.0), (240, 30, 30))]
)
def test_a_ball_is_round_whatever_the_voxels(
    tmp_path: Path, voxel: Triple, shape: tuple[int, int, int]
) -> None:
    cells, nuclei = ball(shape, voxel, 1000.0), ball(shape, voxel, 500.0)
    seen = drawn(tmp_path / "a.png", solids(cells, nuclei, voxel))
    high, wide = (np.ptp(np.flatnonzero(seen.any(axis=axis))) for axis in (1, 0))
    assert high == pytest.approx(wide, rel=0.06)


@pytest.mark.parametrize("nucleus", [0.0, 700.0, 1e9])
def test_the_heading_of_a_cell_that_is_cut_on_all_sides_has_room(
    tmp_path: Path, nucleus: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Any] = []
    monkeypatch.setattr(space, "save", lambda figure, path, printed: kept.append(figure))
    cells = np.ones((40, 50, 50), np.uint16)
    found = solids(cells, ball(cells.shape, VOXEL, nucleus), cut=ALL)
    write_portrait(tmp_path / "a.png", 123456, found[0], found[1])
    figure = kept[0]
    figure.canvas.draw()
    boxes = sorted(
        (text.get_window_extent().extents for text in figure.texts), key=lambda box: box[0]
    )
    texts = [text.get_text() for text in figure.texts]
    assert "cut: first slice, last slice, low y, high y, low x, high x" in texts
    assert ("no nucleus in the labels" in texts) == (nucleus == 0)
    assert boxes[0][0] >= 0 and boxes[-1][2] <= 880
    for left, right in pairwise(boxes):
        assert left[2] < right[0]
