"""Grey levels and voxel sizes of TIFFs, as their tags state them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from hela_dask.conversion.sources import open_source
from hela_dask.errors import InputError
from hela_dask.evaluation.labels_input import open_labels
from tests.conversion.readers.tiffs import (
    DATA,
    DEEP,
    GREY,
    folder_of,
    remark_of,
)


def test_labels_are_never_inverted_or_mapped(tmp_path: Path) -> None:
    mask = ((DATA > 150) * 255).astype(np.uint8)
    ids = (np.arange(6 * 32 * 40).reshape(DATA.shape) % 700).astype(np.uint16)
    colours = np.random.default_rng(1).integers(0, 65536, (3, 256)).astype(np.uint16)
    kinds: Any = (
        ("mask", mask, {"photometric": "miniswhite"}),
        ("ids", ids, {"photometric": "miniswhite"}),
        ("colours", mask, {"photometric": "palette", "colormap": colours}),
        ("bits", mask > 0, {"photometric": "miniswhite"}),
    )
    for name, data, how in kinds:
        tifffile.imwrite(tmp_path / f"{name}.tif", data, **how)
        (tmp_path / name).mkdir()
        for number, plane in enumerate(data):
            tifffile.imwrite(tmp_path / name / f"{number}.tif", plane, **how)
        for path in (tmp_path / f"{name}.tif", tmp_path / name):
            assert np.array_equal(open_labels(path, "truth").read(0, 6), data)


def palette(grey: NDArray[Any]) -> dict[str, Any]:
    return {"photometric": "palette", "colormap": np.stack([grey] * 3).astype("u2")}


@pytest.mark.parametrize(
    ("stored", "how", "expected"),
    [
        (255 - DATA, {"photometric": "miniswhite"}, DATA),
        (65535 - DEEP, {"photometric": "miniswhite"}, DEEP),
        # 12 bits in 16, which MaxSampleValue states; it is a statistic that need not be 4095
        (4095 - DATA.astype("u2") * 16, {"photometric": "miniswhite",
                                         "extratags": [(281, 3, 1, 4000, True)]}, DATA * 16.0),
        (DATA > 150, {"photometric": "miniswhite"}, ~(DATA > 150)),
        (255 - DATA, palette(np.arange(255, -1, -1) * 257), DATA),
        (DATA, palette(np.arange(256) * 256), DATA),
        (DATA, palette(np.arange(256)), DATA),
    ],
)  # fmt: skip
def test_grey_levels_are_those_that_the_tags_state(
    tmp_path: Path, stored: NDArray[Any], how: Any, expected: NDArray[Any]
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", stored, **how)
    (tmp_path / "s").mkdir()
    for number, plane in enumerate(stored):
        tifffile.imwrite(tmp_path / "s" / f"{number}.tif", plane, **how)
    for name in ("a.tif", "s"):
        source = open_source(tmp_path / name)
        assert np.array_equal(source.read(0, 6), expected)
        assert source.dtype == source.read(0, 1).dtype


def test_white_is_zero_in_a_part_of_16_bits_is_warned_of(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", DATA.astype("u2") * 16, photometric="miniswhite")
    assert "they lie between 6" in remark_of(open_source(tmp_path / "a.tif"))
    tifffile.imwrite(tmp_path / "b.tif", DEEP, photometric="miniswhite")
    assert open_source(tmp_path / "b.tif").remarks == ()


def test_a_palette_of_colours_is_refused_as_grey(tmp_path: Path) -> None:
    colours = np.random.default_rng(1).integers(0, 65536, (3, 256)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", DATA, photometric="palette", colormap=colours)
    with pytest.raises(InputError, match="palette of colours"):
        open_source(tmp_path / "a.tif")
    folder_of(tmp_path / "s")
    tifffile.imwrite(tmp_path / "s" / "s002.tif", DATA[2], photometric="palette", colormap=colours)
    with pytest.raises(InputError, match=r"palette of colours \(s002\.tif\)"):
        open_source(tmp_path / "s")


def test_slices_with_other_tags_are_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "s")
    tifffile.imwrite(folder / "s004.tif", 255 - DATA[4], photometric="miniswhite")
    source = open_source(folder)
    assert np.array_equal(source.read(0, 6), DATA)
    assert "photometric tags of the slices differ (s004.tif: white is zero" in remark_of(source)
    turned = folder_of(tmp_path / "t", extratags=lambda z: [(274, 3, 1, 3 if z == 3 else 1, True)])
    assert "s003.tif turned by 180 degrees; the tag is not applied" in remark_of(
        open_source(turned)
    )
    tifffile.imwrite(tmp_path / "a.tif", DATA, extratags=[(274, 3, 1, 4, True)], **GREY)
    assert "the image is mirrored from top to bottom" in remark_of(open_source(tmp_path / "a.tif"))


@pytest.mark.parametrize(
    ("units", "spacing", "pixels", "expected"),
    [
        ({"unit": "micron", "zunit": "nm"}, 50, 100, (50, 10, 10)),
        ({"unit": "nm", "zunit": "Angstrom"}, 500, 0.1, (50, 10, 10)),
        ({"unit": "nm", "zunit": "micron"}, 0.05, 0.1, (50, 10, 10)),
        ({"unit": "nm", "yunit": "micron"}, 50, 0.1, (50, 1e4, 10)),
        ({"unit": "nanometers"}, 50, 0.1, (50, 10, 10)),
        ({"unit": "micron", "zunit": "pixel"}, 50, 100, (None, 10, 10)),
    ],
)
def test_each_axis_has_its_unit(
    tmp_path: Path,
    units: dict[str, str],
    spacing: float,
    pixels: float,
    expected: tuple[float | None, ...],
) -> None:
    facts = {"axes": "ZYX", "spacing": spacing, **units}
    tifffile.imwrite(
        tmp_path / "a.tif", DATA, imagej=True, resolution=(pixels, pixels), metadata=facts
    )
    source = open_source(tmp_path / "a.tif")
    assert list(source.sizes) == [pytest.approx(size) if size else None for size in expected]
    assert source.size_origins[2] == "ImageJ resolution tag"


def test_sizes_that_differ_between_slices_are_not_known(tmp_path: Path) -> None:
    tags: dict[str, Any] = {"resolutionunit": "CENTIMETER"}
    drift = folder_of(tmp_path / "d", resolution=lambda z: (1e6 if z else 1.002e6, 1e6), **tags)
    source = open_source(drift)
    assert list(source.sizes) == [None, pytest.approx(10), None]
    assert "slices differ: 9.98 nm in s000.tif, 10 nm in s001.tif" in source.size_origins[2]
    assert "None" not in remark_of(source)
    lacking = folder_of(tmp_path / "l", resolution=lambda z: None if z == 4 else (1e6, 1e6), **tags)
    assert open_source(lacking).sizes == (None, None, None)
    assert "10 nm in s000.tif, none in s004.tif" in remark_of(open_source(lacking))
    rounded = folder_of(tmp_path / "r", resolution=lambda z: (1e6 + z, 1e6), **tags)
    assert open_source(rounded).remarks == ()


def test_the_spacing_that_tifffile_writes_is_read(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", DATA, resolution=(1e6, 1e6), resolutionunit="CENTIMETER",
                     metadata={"axes": "ZYX", "spacing": 0.05, "unit": "um"}, **GREY)  # fmt: skip
    assert open_source(tmp_path / "a.tif").voxel_size == pytest.approx((50, 10, 10))
