"""Files of all formats, converted and described: voxel sizes, names, values."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from hela_dask.cli import app
from hela_dask.conversion.convert import convert
from hela_dask.conversion.describe import describe
from hela_dask.conversion.sources import open_source
from hela_dask.errors import HelaDaskError, InputError
from hela_dask.storage.metadata import read_image
from hela_dask.volume.opening import open_volume
from tests.conversion.readers.mrcs import DATA, DEEP, GREY, mrc


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
