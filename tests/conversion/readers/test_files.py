"""MRC, .npy and files that no reader takes; and what convert and info do with all of them."""

from __future__ import annotations

import json
import logging
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from typer.testing import CliRunner

from hela_dask.cli import app
from hela_dask.conversion.convert import convert
from hela_dask.conversion.describe import describe
from hela_dask.conversion.sources import open_source
from hela_dask.errors import HelaDaskError, InputError
from hela_dask.evaluation.labels_input import open_labels
from hela_dask.storage.metadata import read_image
from hela_dask.volume.opening import open_volume

DATA = np.random.default_rng(0).integers(60, 240, (6, 32, 40), np.uint8)
DEEP = DATA.astype(np.uint16) * 200
GREY: dict[str, Any] = {"photometric": "minisblack"}


def mrc(path: Path, data: NDArray[Any] = DEEP, voxel: Any = (100, 100, 500)) -> Path:
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(data)
        file.voxel_size = voxel
    return path


def patched(path: Path, *places: tuple[int, bytes]) -> Path:
    """The file with bytes of its header replaced."""
    with path.open("r+b") as file:
        for place, content in places:
            file.seek(place)
            file.write(content)
    return path


def limits(least: float, most: float) -> tuple[int, bytes]:
    return 76, struct.pack("<ff", least, most)


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


# Formats that are not read


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("zarr.json", "{}")


def _folder(*names: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        for name in names:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(b"x")

    return make


@pytest.mark.parametrize(
    ("name", "make", "sentence"),
    [
        ("k.zarr.zip", _zip, "zip archive, .*: unpack it"),
        ("k.ozx", _zip, "zip archive, .*: unpack it"),
        ("k.zarr", _zip, "zip archive, .*: unpack it"),
        ("k.h5", lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n"), "HDF5 file, .*as TIFF"),
        ("k", lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n"), "HDF5 file, .*as TIFF"),
        ("k.dm4", lambda path: path.write_bytes(b"x"), "DigitalMicrograph file, .*Fiji"),
        ("k.nii.gz", lambda path: path.write_bytes(b"x"), "an archive|a NIfTI file"),
        ("k.czi", lambda path: path.write_bytes(b"x"), "light microscope, .*Bio-Formats"),
        ("k.raw", lambda path: path.write_bytes(b"x"), "raw numbers .*Import > Raw"),
        ("k.npz", lambda path: path.write_bytes(b"PK\x03\x04"), "several arrays .*numpy.save"),
        ("k.png", lambda path: path.write_bytes(b"x"), "a picture, .*Image Sequence"),
        ("k.csv", lambda path: path.write_bytes(b"z,y,x"), "table or text, .*name the volume"),
        ("k.xyz", lambda path: path.write_bytes(b"x"), "no kind of file that can be read here"),
        ("pngs", _folder("s1.png", "s2.png"), r"holds no TIFF slices, but s1\.png, a picture"),
        ("n5", _folder("attributes.json", "s0/attributes.json"), "an N5 container"),
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


# convert and info


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_the_option_wins_over_every_kind_of_metadata(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mrc(tmp_path / "imod.mrc", DEEP, 100)
    fiji = {"axes": "ZYX", "spacing": 1, "unit": "micron"}
    tifffile.imwrite(tmp_path / "fiji.tif", DEEP, imagej=True, resolution=(100, 100), metadata=fiji)
    tifffile.imwrite(tmp_path / "dpi.tif", DEEP, resolution=(4800, 4800), resolutionunit="INCH",
                     **GREY)  # fmt: skip
    tiny = {"axes": "ZYX", "spacing": 0.05, "unit": "nm"}
    tifffile.imwrite(tmp_path / "tiny.tif", DEEP, imagej=True, resolution=(0.1, 0.1), metadata=tiny)
    for name, stated in (
        ("imod.mrc", "10 10 10 nm (z y x; MRC cell)"),
        ("fiji.tif", "1000 10 10 nm (z y x; ImageJ spacing and ImageJ resolution tag)"),
        ("dpi.tif", "? 5291.67 5291.67 nm (z y x; resolution tag)"),
        ("tiny.tif", "0.05 10 10 nm (z y x; ImageJ spacing and ImageJ resolution tag)"),
    ):
        caplog.clear()
        target = tmp_path / f"{name}.ome.zarr"
        image = convert(tmp_path / name, target, voxel_size=(50, 10, 10))
        assert image.levels[0].voxel_size == (50, 10, 10)
        (warning,) = warnings(caplog)
        assert f"states a voxel size of {stated}; the 50 10 10 nm of" in warning
    with pytest.raises(InputError, match=r"0\.05 nm is less than an atom.*--voxel-size Z Y X"):
        convert(tmp_path / "tiny.tif", tmp_path / "y.ome.zarr")


def test_an_unknown_voxel_size_comes_with_its_reason(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", DATA, resolution=(72, 72), resolutionunit="INCH", **GREY)
    with pytest.raises(InputError, match=r"no voxel size \(resolution tag of 72 dpi, a printer"):
        convert(tmp_path / "a.tif", tmp_path / "a.ome.zarr")
    tifffile.imwrite(tmp_path / "b.tif", DATA, imagej=True, resolution=(1, 1),
                     metadata={"axes": "ZYX", "spacing": 3, "unit": "furlong"})  # fmt: skip
    with pytest.raises(InputError, match="'furlong', which is no length"):
        convert(tmp_path / "b.tif", tmp_path / "a.ome.zarr")


@pytest.mark.parametrize(
    ("size", "doubt"),
    [((10, 10, 50), "not square"), ((5e4, 1e4, 1e4), "10 µm"), ((5, 10, 10), "thinner than")],
)
def test_a_doubtful_voxel_size_is_named_by_convert_and_info(
    tmp_path: Path, size: tuple[float, float, float], doubt: str, caplog: pytest.LogCaptureFixture
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", DATA, **GREY)
    convert(tmp_path / "a.tif", tmp_path / "a.ome.zarr", voxel_size=size)
    assert [doubt in warning for warning in warnings(caplog)] == [True]
    assert [doubt in warning for warning in describe(tmp_path / "a.ome.zarr")["remarks"]] == [True]


@pytest.mark.parametrize("name", [b"50\xb5m_%d.tif", b"\xe9t\xe9-%d.tif", b"\xff\xfe%d.TIFF"])
def test_names_that_are_not_utf8_are_converted(tmp_path: Path, name: bytes) -> None:
    folder = tmp_path / os.fsdecode(b"d\xe9")
    folder.mkdir()
    for number, plane in enumerate(DATA):
        tifffile.imwrite(tmp_path / "t.tif", plane, **GREY)
        (tmp_path / "t.tif").rename(folder / os.fsdecode(name % number))
    target = tmp_path / "a.ome.zarr"
    result = CliRunner().invoke(
        app, ["convert", str(folder), str(target), "--voxel-size", "50", "10", "10"]
    )
    assert result.exit_code == 0, result.output
    assert np.array_equal(open_volume(target).values, DATA)
    notes = json.loads((target / "zarr.json").read_bytes().decode())["attributes"]["hela_dask"]
    assert notes["source"]["path"].endswith(r"d\xe9")
    result = CliRunner().invoke(app, ["info", "--json", str(folder)])
    assert json.loads(result.stdout)["shape"] == [6, 32, 40]


def test_a_store_has_a_name_that_zarr_can_open(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", DATA)
    target = tmp_path / os.fsdecode(b"50\xb5m") / "a.ome.zarr"
    calls: tuple[Callable[[], Any], ...] = (
        lambda: convert(tmp_path / "a.npy", target, voxel_size=(50, 10, 10)),
        lambda: read_image(target),
    )
    for call in calls:
        with pytest.raises(InputError, match=r"50\\xb5m.* is not UTF-8 .*rename the folder"):
            call()


def test_info_shows_whatever_convert_reads(tmp_path: Path) -> None:
    mrc(tmp_path / "a.mrc")
    np.save(tmp_path / "a.npy", DATA)
    tifffile.imwrite(tmp_path / "a.tif", DATA, imagej=True, resolution=(0.1, 0.1),
                     metadata={"axes": "ZYX", "spacing": 50, "unit": "nm"})  # fmt: skip
    (tmp_path / "s").mkdir()
    for number in (0, 1, 3, 4):
        tifffile.imwrite(tmp_path / "s" / f"z{number}.tif", DATA[number], **GREY)
    for name, size, lines in (
        ("a.mrc", [50, 10, 10], ["an MRC file", "50 x 10 x 10 nm (MRC cell)"]),
        ("a.npy", [None] * 3, ["not stated"]),
        ("a.tif", [50, 10, 10], ["(z: ImageJ spacing; y, x: ImageJ resolution tag)"]),
        ("s", [None] * 3, ["z0.tif", "z4.tif", "natural order", "missing numbers", "Warning: "]),
    ):
        found = describe(tmp_path / name)
        assert json.loads(json.dumps(found)) == found
        assert found["voxel_size"] == [pytest.approx(step) if step else None for step in size]
        result = CliRunner().invoke(app, ["info", str(tmp_path / name)])
        assert result.exit_code == 0
        for line in lines:
            assert line in result.output
    assert describe(tmp_path / "a.npy")["grey"]["max"] == DATA.max()
    assert describe(tmp_path / "s")["grey"]["share"] == 1
    colours = np.random.default_rng(1).integers(0, 65536, (3, 256)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "c.tif", DATA, photometric="palette", colormap=colours)
    (warning,) = describe(tmp_path / "c.tif")["remarks"]
    assert warning.endswith("as labels it can be read")


def test_values_that_are_not_finite_are_counted(tmp_path: Path) -> None:
    floats = DATA.astype(np.float32)
    floats[:, :2] = np.nan
    floats[0, 5, 5] = np.inf
    np.save(tmp_path / "a.npy", floats)
    found = describe(tmp_path / "a.npy")
    assert found["grey"]["not_finite"] == 6 * 2 * 40 + 1
    assert (found["grey"]["min"], found["grey"]["max"]) == (DATA[:, 2:].min(), DATA[:, 2:].max())
    assert "481 values that are NaN or infinite" in found["remarks"][0]
    np.save(tmp_path / "b.npy", np.full((2, 4, 4), np.nan))
    assert describe(tmp_path / "b.npy")["grey"] is None
    result = CliRunner().invoke(app, ["info", str(tmp_path / "b.npy")])
    assert "holds no finite value" in " ".join(result.output.split())
    for name in ("a.npy", "b.npy"):
        with pytest.raises(HelaDaskError, match="8 or 16 bit grey values are needed"):
            convert(tmp_path / name, tmp_path / "x.ome.zarr", voxel_size=(50, 10, 10))


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


@pytest.mark.parametrize("dtype", [np.complex64, np.float32])
def test_an_mrc_without_grey_levels_is_reported(tmp_path: Path, dtype: Any) -> None:
    path = mrc(tmp_path / "a.mrc", DATA.astype(dtype))
    text = " ".join(describe(path)["remarks"])
    assert ("complex64 values, which are no grey levels" in text) == (dtype == np.complex64)
    assert "finite" not in text
    with pytest.raises(InputError, match=f"{np.dtype(dtype).name} values; 8 or 16 bit grey"):
        convert(path, tmp_path / "a.ome.zarr")


def test_slices_in_folders_below_are_named(tmp_path: Path) -> None:
    for name in (
        "z0.tif",
        "z1.tif",
        "part2/z2.tif",
        "part10/z3.TIFF",
        ".old/z1.tif",
        "notes/a.txt",
    ):
        (tmp_path / "s" / name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(tmp_path / "s" / name, DATA[0], photometric="minisblack")
    (remark,) = open_source(tmp_path / "s").remarks
    assert "the folders part2, part10 in it hold TIFFs too, which are not read" in remark
    (tmp_path / "s" / "z1.tif").unlink()
    (remark,) = open_source(tmp_path / "s").remarks
    assert "part2, part10" in remark
