"""The slices of a TIFF, or of a folder of TIFFs: their number, their order, what is missing."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from hela_dask.conversion.sources import open_source
from hela_dask.errors import InputError
from tests.conversion.readers.tiffs import (
    DATA,
    DEEP,
    GREY,
    cut,
    folder_of,
    imagej,
    remark_of,
    restated,
)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: cut(imagej(path), 0.9), "counts 6 slices, and the file holds 5.4"),
        (lambda path: cut(imagej(path), 0.5), "counts 6 slices, and the file holds 2.9"),
        (lambda path: cut(imagej(path), 0.1), "truncated"),
        (lambda path: restated(imagej(path), b"images=6\nslices=6", b"images=9\nslices=9"),
         "counts 9 slices, and the file holds 6.0"),
        (lambda path: _shaped(path, 0.7), "truncated"),
    ],
)  # fmt: skip
def test_a_stack_in_one_page_that_was_cut_short_is_refused(
    tmp_path: Path, make: Callable[[Path], Path], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        open_source(make(tmp_path / "a.tif"))


def _shaped(path: Path, share: float) -> Path:
    tifffile.imwrite(path, DEEP, truncate=True, metadata={"axes": "ZYX"})
    return cut(path, share)


def test_counts_that_do_not_fit_the_pages_are_named(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "more.tif", DEEP, imagej=True, metadata={"axes": "ZYX"})
    restated(tmp_path / "more.tif", b"images=6\nslices=6", b"images=9\nslices=9")
    assert "counts 9 slices, but it has 6" in remark_of(open_source(tmp_path / "more.tif"))
    tifffile.imwrite(tmp_path / "fewer.tif", DEEP, imagej=True, metadata={"axes": "ZYX"})
    restated(tmp_path / "fewer.tif", b"images=6\nslices=6", b"images=3\nslices=3")
    source = open_source(tmp_path / "fewer.tif")
    assert "counts 3 slices, but it has 6; all are read" in remark_of(source)
    assert np.array_equal(source.read(0, 6), DEEP)
    tifffile.imwrite(tmp_path / "bare.tif", DEEP[0], metadata=None, **GREY)
    with (tmp_path / "bare.tif").open("ab") as file:
        file.write(DEEP[1:].tobytes())
    assert "has room for 6.0" in remark_of(open_source(tmp_path / "bare.tif"))


def test_a_folder_with_one_stack_is_that_stack(tmp_path: Path) -> None:
    both: Any = (("page", {"truncate": True}), ("pages", {}))
    for name, more in both:
        (tmp_path / name).mkdir()
        tifffile.imwrite(tmp_path / name / "stack.tif", DEEP, imagej=True,
                         metadata={"axes": "ZYX"}, **more)  # fmt: skip
        source = open_source(tmp_path / name)
        assert source.kind == "a folder with a TIFF of 6 slices, stack.tif"
        assert np.array_equal(source.read(0, 6), DEEP)
    imagej(tmp_path / "page" / "stack2.tif")
    with pytest.raises(InputError, match=r"holds more than one slice; .* name the file"):
        open_source(tmp_path / "page")


def test_slices_split_from_a_stack_keep_its_description(tmp_path: Path) -> None:
    """As tiffsplit makes them: the first slice still counts 6 images."""
    folder = folder_of(tmp_path / "s", description=lambda z: "" if z else "ImageJ=1.53t\nimages=6\n"
                       "slices=6\nunit=nm\nspacing=50.0\n", metadata=None)  # fmt: skip
    source = open_source(folder)
    assert source.shape == (6, 32, 40)
    assert "s000.tif: its ImageJ description counts 6 slices, but it has 1" in remark_of(source)


def test_reduced_pages_and_masks_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for number in range(6):
        with tifffile.TiffWriter(tmp_path / "s" / f"s{number}.tif") as writer:
            if number % 2:  # the thumbnail in front
                writer.write(DATA[number, ::4, ::4], subfiletype=1, metadata=None, **GREY)
            writer.write(DATA[number], metadata=None, **GREY)
            writer.write(DATA[number, ::4, ::4], subfiletype=1, metadata=None, **GREY)
    assert np.array_equal(open_source(tmp_path / "s").read(0, 6), DATA)
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for plane in DATA:
            writer.write(plane, metadata=None, **GREY)
            writer.write(plane[::2, ::2], subfiletype=1, metadata=None, **GREY)
            writer.write(plane > 99, subfiletype=4, metadata=None)
    source = open_source(tmp_path / "a.tif")
    assert np.array_equal(source.read(0, 6), DATA)
    assert "12 reduced images or masks are passed over" in source.facts["order"]


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda path: path.symlink_to("../annex/none.tif"), r"is a link to nothing \(\.\./annex"),
        (lambda path: path.mkdir(), "has the name of a slice, but is no regular file"),
        (os.mkfifo, "has the name of a slice, but is no regular file"),
        (lambda path: path.touch(), "is empty"),
        (lambda path: path.write_text("/annex/objects/SHA256E-s123--ab.tif"), "git annex get"),
        (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1"), "git lfs"),
        (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99)), "it is a picture"),
    ],
)
def test_a_slice_that_is_not_there_is_named(
    tmp_path: Path, spoil: Callable[[Path], Any], sentence: str
) -> None:
    folder = folder_of(tmp_path / "s", (0, 1, 2, 4, 5))
    spoil(folder / "s003.tif")
    with pytest.raises(InputError, match=sentence) as caught:
        open_source(folder)
    assert "s003.tif" in str(caught.value)


def test_a_page_without_its_strips_is_damaged(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", DATA, tile=(16, 16), compression="zlib", **GREY)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        page: Any = tiff.pages[3]
        counts = page.tags[325]
    with (tmp_path / "a.tif").open("r+b") as file:
        file.seek(counts.valueoffset)
        file.write(bytes(4))
    with pytest.raises(InputError, match=r"page 4 has 4 of its 6 strips or tiles"):
        open_source(tmp_path / "a.tif")


def test_gaps_of_a_folder_are_a_warning_and_a_fact(tmp_path: Path) -> None:
    source = open_source(folder_of(tmp_path / "s", (0, 1, 2, 4, 5)))
    assert "the slice number 3 is missing (first behind s002.tif)" in remark_of(source)
    assert source.facts["missing numbers"] == "3"
    assert (source.facts["first slice"], source.facts["last slice"]) == ("s000.tif", "s005.tif")
    assert open_source(folder_of(tmp_path / "whole")).facts["missing numbers"] == "none"


def test_what_the_tiff_reader_warns_of_is_a_remark(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", DATA, extratags=[(65000, 2, 3, b"\xff\xfe\x80", True)],
                     **GREY)  # fmt: skip
    with caplog.at_level(logging.DEBUG):
        source = open_source(tmp_path / "a.tif")
        logging.getLogger("tifffile").warning("seen as before")
    assert np.array_equal(source.read(0, 6), DATA)
    assert [record.getMessage() for record in caplog.records] == ["seen as before"]


def test_links_to_one_file_are_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "a")
    (folder / "s006.tif").symlink_to("s005.tif")
    (folder / "s007.tif").hardlink_to(folder / "s005.tif")
    assert "s005.tif, s006.tif, s007.tif are one and the same file" in remark_of(
        open_source(folder)
    )
