"""Pixel sizes in the tags of FEI (Thermo Fisher) and Zeiss, and where other tags contradict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tifffile

from hela_dask.conversion.convert import convert
from hela_dask.conversion.describe import describe
from hela_dask.conversion.sources import open_source
from hela_dask.errors import InputError
from tests.conversion.readers.tiffs import DATA, GREY, folder_of, remark_of

CM: dict[str, Any] = {"resolutionunit": "CENTIMETER"}


def fei(width: float, height: float | None = None, code: int = 34682) -> dict[str, Any]:
    height = width if height is None else height
    text = f"[User]\r\nUser=em\r\n[Scan]\r\nPixelWidth={width}\r\nPixelHeight={height}\r\n"
    return {"extratags": [(code, 2, 0, text, True)]}


def zeiss(size: str) -> dict[str, Any]:
    text = f"1\r\nAP_PIXEL_SIZE\r\nPixel Size = {size}\r\nAP_WD\r\nWD = 5.1 mm\r\n"
    return {"extratags": [(34118, 2, 0, text.encode("cp1252"), True)]}


@pytest.mark.parametrize(
    ("how", "sizes", "origin"),
    [
        (fei(1.2e-8, 1e-8), (None, 10, 12), "FEI metadata, PixelWidth"),
        (fei(1.2e-8, 1e-8, 34680), (None, 10, 12), "FEI metadata, PixelWidth"),
        (fei(0), (None, None, None), ""),
        (zeiss("10.00 nm"), (None, 10, 10), "Zeiss metadata, pixel size"),
        (zeiss("0.01 µm"), (None, 10, 10), "Zeiss metadata, pixel size"),
        (zeiss("10 pixels"), (None, None, None), ""),
    ],
)
def test_the_pixel_size_is_that_of_the_microscope(
    tmp_path: Path, how: dict[str, Any], sizes: tuple[float | None, ...], origin: str
) -> None:
    stack = tmp_path / "a.tif"
    tifffile.imwrite(stack, DATA, metadata=None, **how, **GREY)
    for path in (stack, folder_of(tmp_path / "slices", metadata=None, **how)):
        source = open_source(path)
        assert source.sizes == sizes
        assert source.size_origins[2] == origin
        assert describe(path)["voxel_size_from"][2] == origin
        assert not source.remarks
        with pytest.raises(InputError, match="--voxel-size Z Y X"):
            convert(path, tmp_path / "a.ome.zarr", progress=False)


def test_a_contradiction_with_other_tags_is_named(tmp_path: Path) -> None:
    ome = {"axes": "ZYX", "PhysicalSizeX": 0.02, "PhysicalSizeY": 0.02, "PhysicalSizeZ": 0.05}
    programs: Any = (
        ("ome", {"ome": True, "metadata": ome}, (50, 20, 20), "OME-XML PhysicalSizeX"),
        (
            "imagej",
            {
                "imagej": True,
                "metadata": {"axes": "ZYX", "spacing": 50, "unit": "nm"},
                "resolution": (0.05, 0.05),
            },
            (50, 20, 20),
            "ImageJ resolution tag",
        ),
    )
    for name, how, sizes, used in programs:
        path = tmp_path / f"{name}.tif"
        tifffile.imwrite(path, DATA, **how, **fei(1e-8), **GREY)
        source = open_source(path)
        assert source.sizes == pytest.approx(sizes)
        assert f"20 x 20 nm (y x) by its {used}, and 10 x 10 nm (y x) by its FEI metadata" in (
            remark_of(source)
        )
    path = tmp_path / "tags.tif"
    tifffile.imwrite(path, DATA, resolution=(5e5, 5e5), metadata=None, **CM, **fei(1e-8), **GREY)
    source = open_source(path)
    assert source.sizes == (None, 10, 10)
    assert (
        "10 x 10 nm (y x) by its FEI metadata, PixelWidth, and 20 x 20 nm (y x) by its resol"
        in (remark_of(source))
    )
    folder = folder_of(
        tmp_path / "slices", resolution=(5e5, 5e5), metadata=None, **CM, **zeiss("10 nm")
    )
    assert remark_of(open_source(folder)).count("by its Zeiss metadata, pixel size") == 1


def test_tags_that_agree_or_are_a_printers_are_no_contradiction(tmp_path: Path) -> None:
    agreeing: dict[str, Any] = {"resolution": (1e6, 1e6), **CM}
    printer: dict[str, Any] = {"resolution": (96, 96), "resolutionunit": "INCH"}
    for number, how in enumerate((agreeing, printer)):
        path = tmp_path / f"{number}.tif"
        tifffile.imwrite(path, DATA, metadata=None, **how, **fei(1e-8), **GREY)
        source = open_source(path)
        assert source.sizes == (None, 10, 10)
        assert not source.remarks


def test_a_program_without_a_pixel_size_leaves_that_of_the_microscope(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, DATA, ome=True, metadata={"axes": "ZYX"}, **fei(1e-8), **GREY)
    source = open_source(path)
    assert source.sizes == (None, 10, 10)
    assert source.size_origins[1:] == ("FEI metadata, PixelHeight", "FEI metadata, PixelWidth")
