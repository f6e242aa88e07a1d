"""MRC, .npy and files that no reader takes."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from hela_dask.conversion.convert import convert
from hela_dask.conversion.describe import describe
from hela_dask.conversion.sources import open_source
from hela_dask.errors import InputError
from hela_dask.evaluation.labels_input import open_labels
from hela_dask.storage.metadata import read_image
from tests.conversion.readers.mrcs import DATA, DEEP, GREY, limits, mrc, patched


@pytest.mark.parametrize(
    ("places", "dtype"),
    [
        ([limits(60, 239)], np.uint8),
        ([limits(0, 255)], np.uint8),
        ([limits(-128, 127)], np.int8),
        ([limits(0, 0)], np.int8),
        ([limits(0, -1)], np.int8),
        ([limits(float("nan"), 255)], np.int8),
        ([limits(60, 239), (152, struct.pack("<ii", 1146047817, 1))], np.int8),
        ([limits(-60, 39), (152, struct.pack("<ii", 1146047817, 0))], np.uint8),
    ],
)
def test_bytes_of_an_mrc_are_what_its_header_says(
    tmp_path: Path, places: list[tuple[int, bytes]], dtype: Any
) -> None:
    source = open_source(patched(mrc(tmp_path / "a.mrc", DATA.view(np.int8)), *places))
    assert source.dtype == dtype
    assert np.array_equal(source.read(0, 6), DATA.view(dtype))


@pytest.mark.parametrize(
    "places",
    [[(208, bytes(8))], [(208, bytes(4))], [(212, bytes(4))], [(208, b"MRC "), (212, b"\x22\x22")]],
)
def test_an_mrc_without_its_marks_is_read_with_a_warning(
    tmp_path: Path, places: list[tuple[int, bytes]]
) -> None:
    source = open_source(patched(mrc(tmp_path / "a.mrc"), *places))
    assert np.array_equal(source.read(0, 6), DEEP)
    assert source.voxel_size == pytest.approx((50, 10, 10))
    assert (
        bool(source.remarks) == (places != [(208, b"MRC "), (212, b"\x11\x11")]) or source.remarks
    )


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda path: patched(path, (8, struct.pack("<i", 9))), r"counts 9 .* the file holds 6\.0"),
        (lambda path: os.truncate(path, 9000), r"counts 6 slices and the file holds 3\.1"),
        (lambda path: patched(path, (92, struct.pack("<i", 4000))), "holds 4.4"),
        (lambda path: patched(path, (208, bytes(8)), (8, struct.pack("<i", 9))), "holds 6.0"),
        (lambda path: patched(path, (12, struct.pack("<i", 77))), "not a whole MRC"),
        (lambda path: patched(path, (0, struct.pack("<i", 2**31 - 1))),
         r"states 2147483647 x \d+ x 6 voxels of \d+ bytes, and the file has \d+"),
        (lambda path: patched(path, (4, struct.pack("<i", -5))), r"states \d+ x -5 x 6 voxels"),
        (lambda path: os.truncate(path, 0), "is empty"),
        (lambda path: os.truncate(path, 500), "not a whole MRC"),
        (lambda path: patched(path, (64, struct.pack("<iii", 3, 2, 1))), r"order \[3, 2, 1\]"),
    ],
)  # fmt: skip
def test_an_mrc_that_is_not_whole_is_refused(
    tmp_path: Path, spoil: Callable[[Path], Any], sentence: str
) -> None:
    path = mrc(tmp_path / "a.mrc")
    spoil(path)
    with pytest.raises(InputError, match=sentence) as caught:
        open_source(path)
    assert str(path) in str(caught.value)


def test_more_than_a_header_counts_is_warned_of(tmp_path: Path) -> None:
    path = patched(mrc(tmp_path / "a.mrc"), (8, struct.pack("<i", 4)))
    (remark,) = open_source(path).remarks
    assert "counts 4 slices, but the file has room for 6.0" in remark
    np.save(tmp_path / "a.npy", DATA)
    with (tmp_path / "a.npy").open("ab") as file:
        file.write(b"more")
    (remark,) = open_source(tmp_path / "a.npy").remarks
    assert "4 more follow" in remark


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros((2, 3, 4, 5)), r"has shape \(2, 3, 4, 5\)"),
        (np.zeros(5), r"has shape \(5,\)"),
        (np.zeros((0, 4, 5)), r"has shape \(0, 4, 5\)"),
        (np.zeros((2, 4, 5), complex), "complex128 values"),
        (np.zeros((2, 4, 5), "U3"), "<U3 values"),
        (np.array([None]), "not a .npy array"),
    ],
)
def test_an_array_that_is_no_volume_is_refused(
    tmp_path: Path, array: NDArray[Any], sentence: str
) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(InputError, match=sentence):
        open_source(tmp_path / "a.npy")
    with pytest.raises(InputError, match=sentence):
        open_labels(tmp_path / "a.npy", "truth")


def test_axes_of_length_one_in_front_are_dropped(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", DATA[None, None])
    assert np.array_equal(open_source(tmp_path / "a.npy").read(0, 6), DATA)
    np.save(tmp_path / "f.npy", np.asfortranarray(DATA))
    assert np.array_equal(open_source(tmp_path / "f.npy").read(1, 3), DATA[1:3])


def _folder(*names: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        for name in names:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(b"x")

    return make


@pytest.mark.parametrize(
    ("name", "make", "sentence"),
    [
        ("k.mat", lambda path: path.write_bytes(b"MATLAB 5.0"), "no HDF5 file: export the volume"),
        ("k.nii.gz", lambda path: path.write_bytes(b"x"), "an archive|a NIfTI file"),
        ("k.czi", lambda path: path.write_bytes(b"x"), "light microscope, .*Bio-Formats"),
        ("k.raw", lambda path: path.write_bytes(b"x"), "raw numbers .*Import > Raw"),
        ("k.npz", lambda path: path.write_bytes(b"PK\x03\x04"), "several arrays .*numpy.save"),
        ("k.png", lambda path: path.write_bytes(b"x"), "a picture, .*Image Sequence"),
        ("k.csv", lambda path: path.write_bytes(b"z,y,x"), "table or text, .*name the volume"),
        ("k.xyz", lambda path: path.write_bytes(b"x"), "no kind of file that can be read here"),
        ("pngs", _folder("s1.png", "s2.png"), r"holds no TIFF slices, but s1\.png, a picture"),
        ("deep", _folder("part1/s1.tif", "part2/s2.tif"), "its folders do: name one, .*part1"),
        ("mrcs", _folder("a.mrc"), r"but a\.mrc: name the file itself"),
        ("r.run", _folder("run.id", "run.json"), "the folder of a run: name the volume"),
        ("empty", lambda path: path.mkdir(), "holds no TIFF slices"),
    ],
)
def test_a_format_that_is_not_read_gets_advice_from_every_command(
    tmp_path: Path, name: str, make: Callable[[Path], Any], sentence: str
) -> None:
    path = tmp_path / name
    make(path)
    calls: tuple[Callable[[], Any], ...] = (
        lambda: open_source(path),
        lambda: convert(path, tmp_path / "x.ome.zarr", voxel_size=(50, 10, 10)),
        lambda: describe(path),
        lambda: open_labels(path, "truth"),
        lambda: read_image(path),
    )
    for call in calls:
        with pytest.raises(InputError, match=sentence) as caught:
            call()
        assert str(path) in str(caught.value)
        assert "hela-dask convert" not in str(caught.value)


def test_a_tiff_is_known_by_its_content(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "stack.lsmx", DATA, **GREY)
    assert np.array_equal(open_source(tmp_path / "stack.lsmx").read(0, 6), DATA)
    with pytest.raises(InputError, match="is a TIFF, not an OME-Zarr store: convert it first"):
        read_image(tmp_path / "stack.lsmx")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.mrc", b"\x1f\x8b" + bytes(2000), "is an archive"),
        ("a.mrc", b"\x89HDF\r\n\x1a\n" + bytes(2000), "is an HDF5 file"),
        ("a.tif", b"\x89HDF\r\n\x1a\n" + bytes(2000), "is an HDF5 file"),
        ("a.tif", b"\xff\xd8\xff" + bytes(2000), "is a picture"),
        ("a.npy", b"\x89HDF\r\n\x1a\n" + bytes(2000), "is an HDF5 file"),
        ("a.npy", b"\x80\x04\x95" + bytes(2000), "not a .npy array by its first bytes"),
    ],
)
def test_a_suffix_does_not_hide_another_format(
    tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        open_source(tmp_path / name)


def test_a_file_with_a_wrong_suffix_is_read_by_its_content(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.mrc", DATA, **GREY)
    np.save(tmp_path / "b.npy", DATA)
    (tmp_path / "b.npy").rename(tmp_path / "b.tif")
    mrc(tmp_path / "c.mrc", DEEP).rename(tmp_path / "c.npy")
    for name, data in (("a.mrc", DATA), ("b.tif", DATA), ("c.npy", DEEP)):
        assert np.array_equal(open_source(tmp_path / name).read(0, 6), data)


@pytest.mark.parametrize(("length", "version"), [(200, (1, 0)), (129, (2, 0)), (3000, (1, 0))])
def test_a_truncated_array_says_what_is_missing(
    tmp_path: Path, length: int, version: tuple[int, int]
) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, np.zeros((6, 40, 50), np.uint16), version)
        header = file.tell() - 24000
    os.truncate(tmp_path / "a.npy", length + header)
    with pytest.raises(InputError, match=rf"states 24000 bytes .*the file has {length}; copy"):
        open_source(tmp_path / "a.npy")
