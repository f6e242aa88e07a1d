"""Inputs that hostile metadata brought to light, each as small as it gets."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
import tifffile

from hela_dask.conversion.sources import open_source
from hela_dask.errors import InputError
from hela_dask.report.page import render
from hela_dask.running.reading import read_folder


def _tiff(tag: str, kind: int, value: int, **options: Any) -> bytes:
    """A TIFF of 8 x 9 pixels with the type and the value of one of its tags replaced."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.ones((8, 9), np.uint8), byteorder="<", **options)
    data = bytearray(buffer.getvalue())
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as tiff:
        at = tiff.pages.first.tags[tag].offset
    data[at + 2 : at + 4] = kind.to_bytes(2, "little")
    data[at + 8 : at + 12] = value.to_bytes(4, "little")
    return bytes(data)


@pytest.mark.parametrize(
    ("tag", "kind", "value"),
    [
        ("ImageLength", 2, 0x41),  # a text
        ("ImageLength", 5, 8),  # a fraction
        ("SamplesPerPixel", 2, 0x41),
        ("RowsPerStrip", 5, 8),
        ("BitsPerSample", 2, 0x41),
    ],
)
def test_a_tag_of_another_type_is_damage(tmp_path: Path, tag: str, kind: int, value: int) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(_tiff(tag, kind, value))
    with pytest.raises(InputError, match=r"a\.tif"):
        open_source(path)


@pytest.mark.parametrize("tag", ["TileLength", "TileWidth"])
def test_tiles_without_a_side_are_damage(tmp_path: Path, tag: str) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(_tiff(tag, 4, 0, tile=(16, 16)))
    with pytest.raises(InputError, match=r"a\.tif"):
        open_source(path)


def test_a_unit_that_is_a_text_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(_tiff("ResolutionUnit", 2, 0x41, resolution=(1e6, 1e6)))
    assert open_source(path).sizes == (None, None, None)


@pytest.mark.parametrize("line", ["slices=many", "images=all", "frames=x\nslices=3"])
def test_counts_of_imagej_that_are_texts_are_no_traceback(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.tif"
    description = f"ImageJ=1.54f\n{line}\n"
    tifffile.imwrite(path, np.ones((8, 9), np.uint8), description=description, metadata=None)
    try:
        assert open_source(path).shape == (1, 8, 9)
    except InputError as error:
        assert "a.tif" in str(error)


def test_an_mrc_header_that_asks_for_gigabytes_or_states_no_size(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    with mrcfile.new(path) as mrc:
        mrc.set_data(np.ones((3, 8, 9), np.int16))
        mrc.header.cella = (1e-40, 80.0, 1500.0)
    assert open_source(path).sizes == (50.0, 1.0, None)
    data = bytearray(path.read_bytes())
    data[92:96] = (2**31 - 1).to_bytes(4, "little")  # the length of its extended header
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match="not a whole MRC file"):
        open_source(path)


def test_a_level_of_scores_without_a_figure_is_shown_without(tmp_path: Path) -> None:
    facts = {"store": "a", "method": "volumetric", "state": "finished"}
    facts_of_versions = {"versions": {"hela_dask": "0.1.0"}}
    (tmp_path / "run.json").write_text(json.dumps(facts | facts_of_versions))
    scores = {"cell": {"instances": {"thresholds": [{"iou": 0.5}]}}}
    (tmp_path / "scores.json").write_text(json.dumps(scores))
    assert "Agreement with the truth" in render(read_folder(tmp_path), [], [])
