"""figure: slices and cells in space as files for print, and sentences for bad requests."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

import hela_dask as hd
from hela_dask import _figure
from hela_dask.errors import ExistsError, InputError, MissingInputError, ParameterError
from hela_dask.figures.canvas import CELL, NUCLEUS
from hela_dask.report import space
from hela_dask.report.slices import read_slice
from hela_dask.running.reading import read_folder
from hela_dask.storage.level_array import LevelArray
from tests.colours import near


def test_a_figure_has_its_width_at_its_resolution(known: hd.RunResult, tmp_path: Path) -> None:
    path = hd.figure(known.path, tmp_path / "a.png", width=85, dpi=300)
    with Image.open(path) as image:
        assert abs(image.width - 85 / 25.4 * 300) <= 1
        assert round(image.info["dpi"][0]) == 300
        assert "balls.run, slice 20 along z" in image.info["Title"]
        assert "level: 0, pixels of 160 x 160 nm" in image.info["Description"]
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert near(pixels, CELL).sum() > 300


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
        hd.figure(known.path, known.store / "a.png")
    with pytest.raises(MissingInputError, match="no run folder"):
        hd.figure(tmp_path / "b.run", tmp_path / "b.png")
