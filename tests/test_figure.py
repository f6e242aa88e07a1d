"""figure: slices and cells in space as files for print, and sentences for bad requests."""

from __future__ import annotations

import logging
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
from matplotlib.text import Text
from PIL import Image

import hela_dask as hd
from hela_dask import _figure
from hela_dask.cli import main
from hela_dask.errors import (
    ExistsError,
    InputError,
    MissingInputError,
    NothingToDoError,
    ParameterError,
)
from hela_dask.figures import space as drawing
from hela_dask.figures import tissue
from hela_dask.figures.canvas import CELL, NUCLEUS
from hela_dask.figures.printing import Print
from hela_dask.report import space
from hela_dask.running.boxes import read_counts
from hela_dask.running.made import find_earlier
from hela_dask.running.reading import read_folder
from hela_dask.running.slices import read_slice
from hela_dask.storage.level_array import LevelArray
from tests.colours import near
from tests.scenes import copy_run


@pytest.fixture(scope="module")
def known(known: hd.RunResult, tmp_path_factory: pytest.TempPathFactory) -> hd.RunResult:
    """A copy of the finished run: it notes the figures that are made from it."""
    return copy_run(known, tmp_path_factory.mktemp("known"))


def test_a_figure_has_its_width_at_its_resolution(known: hd.RunResult, tmp_path: Path) -> None:
    path = hd.figure(known.path, tmp_path / "a.png", width=85, dpi=300)
    with Image.open(path) as image:
        assert abs(image.width - 85 / 25.4 * 300) <= 1
        assert round(image.info["dpi"][0]) == 300
        assert "balls.run, slice 20 along z" in image.info["Title"]
        assert "level: 0, pixels of 160 x 160 nm" in image.info["Description"]
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert near(pixels, CELL).sum() > 300


@pytest.mark.parametrize(
    "options",
    [
        {"cells": [3], "crop": 500.0, "axis": "y", "raw": True, "numbers": False, "width": 85.5},
        {"cells": [3], "space": True, "dpi": 150},
    ],
)
def test_a_run_with_other_labels_names_the_figure_and_its_command(
    known: hd.RunResult, tmp_path: Path, options: dict[str, Any]
) -> None:
    path = hd.figure(known.path, tmp_path / "a.png", **options)
    before = path.read_bytes()
    assert path not in [item.path for item in find_earlier(known.path)]
    (found,) = (item for item in find_earlier(known.path, "other") if item.path == path)
    path.write_bytes(b"another picture")
    assert path not in [item.path for item in find_earlier(known.path, "other")]
    assert main(shlex.split(found.command)[1:]) == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize("axis", ["z", "y", "x"])
def test_a_slice_along_each_axis_is_to_scale_with_its_labels(
    known: hd.RunResult, axis: str
) -> None:
    labels = (known.label_paths["nuclei"], known.label_paths["cells"])
    found = read_slice(known.store, labels, axis, 31, pixels=4000)
    whole = known.labels["cells"].isel({axis: 30}).values
    assert found.cells is not None and np.array_equal(found.cells, whole)
    assert found.image.shape == whole.shape and found.level == 0
    assert found.pixel == ((160.0, 160.0) if axis == "z" else (200.0, 160.0))


def test_a_large_slice_is_read_from_a_coarser_level(
    known: hd.RunResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(_figure, "PIXELS", 90)
    with caplog.at_level(logging.WARNING):
        path = hd.figure(known.path, tmp_path / "a.png")
    assert "drawn with pixels of 320 x 320 nm" in caplog.text
    with Image.open(path) as image:
        assert "pixels of 320 x 320 nm" in image.info["Description"]


def test_only_the_part_that_is_shown_is_read(
    known: hd.RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voxels: list[int] = []
    read = LevelArray.__getitem__

    def counted(array: LevelArray, part: Any) -> Any:
        found = read(array, part)
        voxels.append(found.size)
        return found

    monkeypatch.setattr(LevelArray, "__getitem__", counted)
    hd.figure(known.path, tmp_path / "a.png", cells=[2], crop=200)
    assert sum(voxels) < 3 * 60 * 60  # three planes around a ball of 40 pixels


def test_only_the_cells_to_show_are_outlined_and_cropped(
    known: hd.RunResult, tmp_path: Path
) -> None:
    whole = hd.figure(known.path, tmp_path / "a.png", cells=[2], numbers=False)
    part = hd.figure(known.path, tmp_path / "b.png", cells=[2], crop=500, numbers=False)
    for path, share in ((whole, 40 / 160), (part, 40 / 48)):
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB")).astype(int)
        columns = np.flatnonzero(near(pixels[150:-150], CELL).any(axis=0))
        assert np.ptp(columns) / pixels.shape[1] == pytest.approx(share, abs=0.05)


def test_filled_cells_and_the_raw_image_beside(known: hd.RunResult, tmp_path: Path) -> None:
    options: dict[str, Any] = {"cells": [2], "crop": 500, "numbers": False, "raw": True}
    lined = hd.figure(known.path, tmp_path / "a.png", **options)
    filled = hd.figure(known.path, tmp_path / "b.png", filled=True, **options)
    tints = []
    for path in (lined, filled):
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB")).astype(int)[100:]
        left, right = np.array_split(np.ptp(pixels, axis=2), 2, axis=1)
        assert left.max() < 12
        tints.append((right > 25).mean())
    assert tints[1] > 0.4 > 5 * tints[0] > 0


def test_vectors_hold_lines_and_text_over_the_pixels_of_the_image(
    known: hd.RunResult, tmp_path: Path
) -> None:
    svg = hd.figure(known.path, tmp_path / "a.svg").read_text("utf-8")
    assert svg.count("<image") == 1 and svg.count("<path") > 8
    assert ">nucleus</text>" in svg and "balls.run, slice 20" in svg
    assert NUCLEUS in svg and CELL in svg
    pdf = hd.figure(known.path, tmp_path / "a.pdf").read_bytes()
    assert re.findall(rb"/Width (\d+) /Height (\d+)", pdf)[0] == (b"160", b"160")
    assert b"/FontFile2" in pdf


def test_a_tiff_is_rgb_with_its_resolution(known: hd.RunResult, tmp_path: Path) -> None:
    path = hd.figure(known.path, tmp_path / "a.tif", dpi=200, width=100)
    with tifffile.TiffFile(path) as file:
        page: Any = file.pages[0]
        assert abs(page.shape[1] - 100 / 25.4 * 200) <= 1 and page.shape[2] == 3
        assert page.tags["XResolution"].value == (200, 1)
        assert "slice 20 along z" in page.description


@pytest.mark.parametrize("ending", ["png", "pdf", "svg", "tif"])
def test_the_same_figure_has_the_same_bytes(
    known: hd.RunResult, tmp_path: Path, ending: str
) -> None:
    first, second = (
        hd.figure(known.path, tmp_path / f"{name}.{ending}").read_bytes() for name in "ab"
    )
    assert first == second


def test_cells_in_space_have_the_resolution_of_print(known: hd.RunResult, tmp_path: Path) -> None:
    one = hd.figure(known.path, tmp_path / "a.png", space=True, cells=[2], width=100)
    two = hd.figure(known.path, tmp_path / "b.png", space=True, cells=[2, 3], width=100)
    every = hd.figure(known.path, tmp_path / "c.pdf", space=True)
    for path in (one, two):
        with Image.open(path) as image:
            assert abs(image.width - 100 / 25.4 * 300) <= 1
            pixels = np.asarray(image.convert("RGB")).astype(int)
        assert (np.ptp(pixels, axis=2) > 40).mean() > 0.02
    assert b"/Width 1520" in every.read_bytes()


@pytest.mark.parametrize("space", [False, True])
def test_numbers_are_left_out_on_request(
    known: hd.RunResult, tmp_path: Path, space: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = _saved(monkeypatch, drawing if space else tissue)

    def texts(**options: Any) -> set[str]:
        hd.figure(known.path, tmp_path / "a.png", space=space, **options)
        return {text.get_text() for text in saved[-1].findobj(Text)}

    numbers = {"1", "2", "3", "4"}
    assert numbers & texts()
    assert not numbers & texts(numbers=False)
    if space:
        assert "4 cells" in texts(numbers=False)
        assert "cell 2" in texts(cells=[2])
        assert not any(text.startswith("cell") for text in texts(cells=[2], numbers=False))


def _saved(monkeypatch: pytest.MonkeyPatch, module: Any) -> list[Any]:
    """The figures that are drawn; no file is written."""
    figures: list[Any] = []

    def noted(figure: Any, path: Path, printed: Print) -> Path:
        figures.append(figure)
        return path

    monkeypatch.setattr(module, "save", noted)
    return figures


def _size(figure: Any) -> tuple[float, float]:
    """Width and height, mm."""
    width, height = figure.get_size_inches()
    return 25.4 * float(width), 25.4 * float(height)


@pytest.mark.parametrize("shape", [(400, 100), (900, 100), (9000, 10), (100, 500)])
@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("labelled", [False, True])
def test_a_high_slice_is_240_mm_high_with_its_legend(
    shape: tuple[int, int], beside: bool, labelled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = _saved(monkeypatch, tissue)
    grey = np.arange(shape[0] * shape[1], dtype=np.uint16).reshape(shape)
    labels = np.zeros(shape, np.uint16) if labelled else None
    tissue.draw_overlay(
        grey, labels, labels, (10.0, 10.0), "a.png", width=3937, beside=beside, printed=Print()
    )
    width, height = _size(figures[0])
    assert height == pytest.approx(240) if shape[0] > shape[1] else height < 240
    assert 75 < width <= 1000.1


@pytest.mark.parametrize("cells", [[2], [2, 3], None])
def test_cells_in_space_are_at_most_240_mm_high(
    known: hd.RunResult, tmp_path: Path, cells: list[int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = _saved(monkeypatch, drawing)
    hd.figure(known.path, tmp_path / "a.png", space=True, cells=cells, width=1000, dpi=50)
    width, height = _size(figures[0])
    assert height < 240.01 and width > 200


@pytest.mark.parametrize(
    ("spans", "wanted"),
    [
        ([(4, 11)], 8),
        ([(4, 10)], 7),
        ([(0, 10), (20, 30)], 10),
        ([(0, 4), (16, 30), (20, 40)], 21),
        ([(0, 30), (5, 9), (7, 12), (20, 29)], 9),
    ],
    ids=["odd", "even", "apart", "two", "three"],
)
def test_the_slice_with_most_of_the_cells_is_drawn(
    spans: list[tuple[int, int]], wanted: int
) -> None:
    first, end = zip(*spans, strict=True)
    assert _figure._fullest(pd.Series(first), pd.Series(end)) == wanted


def test_cells_that_do_not_overlap_along_z_have_a_slice_with_one_of_them(
    known: hd.RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = read_counts(read_folder(known.path))
    counts.loc[2, ["z0", "z1"]], counts.loc[3, ["z0", "z1"]] = (0, 2), (18, 22)
    monkeypatch.setattr(_figure, "read_counts", lambda folder: counts)
    path = hd.figure(known.path, tmp_path / "a.png", cells=[2, 3])
    with Image.open(path) as image:
        assert "slice 19 along z" in image.info["Title"]  # the nearest to the middle, 11


@pytest.mark.parametrize("space", [False, True])
def test_a_cell_without_labels_is_refused_with_its_status(
    known: hd.RunResult, tmp_path: Path, space: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = read_folder(known.path)
    row = folder.cells["label"] == 3
    cells = folder.cells.assign(
        status=folder.cells["status"].mask(row, "failed"),
        reason=folder.cells["reason"].mask(row, "no tissue"),
        cell_volume=folder.cells["cell_volume"].mask(row),
        nucleus_volume=folder.cells["nucleus_volume"].mask(row),
    )
    monkeypatch.setattr(_figure, "read_folder", lambda path: replace(folder, cells=cells))
    with pytest.raises(NothingToDoError, match=r"cell 3 has no labels, .* failed: no tissue"):
        hd.figure(known.path, tmp_path / "a.png", cells=[2, 3], space=space)


@pytest.mark.parametrize("asked", [0, 1])
def test_the_parameter_is_advised_only_where_it_is_off(
    known: hd.RunResult, tmp_path: Path, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = read_folder(known.path)
    parameters = folder.facts["parameters"] | {"measure": {"in_runs": asked}}
    facts = {**folder.facts, "parameters": parameters}
    monkeypatch.setattr(_figure, "read_folder", lambda path: replace(folder, facts=facts))
    monkeypatch.setattr(_figure, "drawn_cells", lambda folder: {})
    with pytest.raises(InputError, match="drawn in space by the run") as error:
        hd.figure(known.path, tmp_path / "a.png", space=True)
    assert ("in_runs = 1" in str(error.value)) == (not asked)


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"slice_number": 0}, InputError, "slice 0 lies outside .* slices 1 to 40 along z"),
        ({"slice_number": 161, "axis": "x"}, InputError, "slices 1 to 160 along x"),
        ({"cells": [9]}, InputError, "there is no cell 9: the cells are 1 to 4"),
        (
            {"cells": [2], "slice_number": 1},
            InputError,
            r"cell 2 is not in slice 1 along z: cell 2 has the slices \d+ to \d+",
        ),
        (
            {"cells": [1, 2], "space": True},
            InputError,
            "cell 1 is not drawn in space by the run .* name one cell with --cells",
        ),
        ({"cells": []}, ParameterError, "--cells names no cell"),
        ({"cells": [], "space": True}, ParameterError, "--cells names no cell"),
        ({"axis": "t"}, ParameterError, "--axis 't' must be z, y or x"),
        ({"crop": 100.0}, ParameterError, "--crop needs --cells"),
        ({"crop": -1.0, "cells": [2]}, ParameterError, "--crop -1 must be a margin in nm"),
        ({"space": True, "raw": True}, ParameterError, "--raw is for a slice"),
        ({"width": 5.0}, ParameterError, "--width 5 must be from 20 to 1000 mm"),
        ({"dpi": 5}, ParameterError, "--dpi 5 must be from 50 to 2400"),
    ],
)
def test_a_request_that_cannot_be_drawn_is_one_sentence(
    known: hd.RunResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    error: type[Exception],
    sentence: str,
) -> None:
    drawn = dict(space.drawn_cells(read_folder(known.path)))
    del drawn[1]
    monkeypatch.setattr(_figure, "drawn_cells", lambda folder: drawn)
    with pytest.raises(error, match=sentence):
        hd.figure(known.path, tmp_path / "a.png", **options)
    assert not list(tmp_path.iterdir())


def test_the_file_is_never_replaced_unasked(known: hd.RunResult, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("mine")
    with pytest.raises(ExistsError, match=r"a\.png exists: .* --overwrite"):
        hd.figure(known.path, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_text() == "mine"
    hd.figure(known.path, tmp_path / "a.png", overwrite=True)
    with pytest.raises(ParameterError, match=r"must end with \.png, \.pdf, \.svg or \.tif"):
        hd.figure(known.path, tmp_path / "a.jpg")
    with pytest.raises(ParameterError, match="inside the volume"):
        hd.figure(known.path, Path(str(known.store)) / "a.png")
    picture = known.path / "figures" / "cells" / "00002.png"
    before = picture.read_bytes()
    with pytest.raises(ParameterError, match="lies in the run folder"):
        hd.figure(known.path, picture, overwrite=True)
    assert picture.read_bytes() == before
    with pytest.raises(MissingInputError, match="no run folder"):
        hd.figure(tmp_path / "b.run", tmp_path / "b.png")
