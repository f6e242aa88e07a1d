"""TIFFs of other programs: how many slices, in which order, how bright, of which size."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from hela_dask.conversion.readers.source import Source
from hela_dask.conversion.sources import open_source
from hela_dask.errors import InputError
from hela_dask.evaluation.labels_input import open_labels

DATA = np.random.default_rng(0).integers(60, 240, (6, 32, 40), np.uint8)
DEEP = DATA.astype(np.uint16) * 200
GREY: dict[str, Any] = {"photometric": "minisblack"}


def folder_of(path: Path, numbers: Any = range(6), **more: Any) -> Path:
    """One TIFF a slice; `more` may hold functions of the slice's number."""
    path.mkdir(exist_ok=True)
    for number in numbers:
        how = {key: value(number) if callable(value) else value for key, value in more.items()}
        tifffile.imwrite(path / f"s{number:03d}.tif", DATA[number], **(GREY | how))
    return path


def imagej(path: Path, data: NDArray[Any] = DEEP, **more: Any) -> Path:
    tifffile.imwrite(path, data, imagej=True, metadata={"axes": "ZYX", **more}, truncate=True)
    return path


def cut(path: Path, share: float) -> Path:
    os.truncate(path, int(path.stat().st_size * share))
    return path


def remark_of(source: Source) -> str:
    return " | ".join(source.remarks)


def restated(path: Path, old: bytes, new: bytes) -> Path:
    """The file with a part of its description replaced by one of the same length."""
    content = path.read_bytes()
    assert len(old) == len(new)
    assert old in content
    path.write_bytes(content.replace(old, new))
    return path


# The number of slices


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


# Photometry


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


# Voxel size


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


# OME-TIFF


def ome_tiff(path: Path, blocks: str, data: NDArray[Any] = DATA, size: int = 6) -> Path:
    """An OME-TIFF whose pages are placed by these elements."""
    tifffile.imwrite(path, data, ome=True, metadata={"axes": "ZYX" if data.ndim == 3 else "YX"},
                     **GREY)  # fmt: skip
    text = str(tifffile.tiffcomment(path))
    text = re.sub(r"<TiffData[^>]*?(/>|>.*?</TiffData>)", blocks, text, flags=re.DOTALL)
    text = re.sub(r'SizeZ="\d+"', f'SizeZ="{size}"', text)
    tifffile.tiffcomment(path, text.encode())
    return path


def block(z: int, page: int = 0, file: str = "") -> str:
    name = f'<UUID FileName="{file}">urn:uuid:{z}</UUID>' if file else ""
    return f'<TiffData IFD="{page}" FirstZ="{z}" PlaneCount="1">{name}</TiffData>'


@pytest.mark.parametrize(
    ("blocks", "order"),
    [
        ("".join(block(5 - page, page) for page in range(6)), [5, 4, 3, 2, 1, 0]),
        ("".join(block((page + 2) % 6, page) for page in range(6)), [4, 5, 0, 1, 2, 3]),
        ('<TiffData IFD="3" FirstZ="0" PlaneCount="3"/><TiffData FirstZ="3" PlaneCount="3"/>',
         [3, 4, 5, 0, 1, 2]),
        ("".join(block(z, z, "another name.ome.tif") for z in range(6)), [0, 1, 2, 3, 4, 5]),
        ("<TiffData/>", [0, 1, 2, 3, 4, 5]),
        ("", [0, 1, 2, 3, 4, 5]),
    ],
)  # fmt: skip
def test_pages_are_where_the_ome_xml_places_them(
    tmp_path: Path, blocks: str, order: list[int]
) -> None:
    source = open_source(ome_tiff(tmp_path / "a.ome.tif", blocks))
    assert np.array_equal(source.read(0, 6), DATA[order])
    assert np.array_equal(source.read(2, 3), DATA[order][2:3])


@pytest.mark.parametrize(
    ("blocks", "size", "sentence"),
    [
        (block(0) + "".join(block(z, z) for z in range(2, 6)), 6, "places no page at slice 2"),
        ("".join(block(z, z) for z in range(7)), 6, "places a page at slice 7 of 6"),
        ("".join(block(z, z + 1) for z in range(6)), 6, "OME-XML speaks of page 7"),
        ("".join(block(z, z) for z in range(5)), 5, "6 pages, but its OME-XML speaks of 5"),
    ],
)
def test_ome_xml_that_places_pages_wrongly_is_refused(
    tmp_path: Path, blocks: str, size: int, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        open_source(ome_tiff(tmp_path / "a.ome.tif", blocks, size=size))


def ome_set(folder: Path, places: dict[str, int]) -> Path:
    """A set of OME-TIFFs of one page each: name of the file, its slice."""
    folder.mkdir()
    blocks = "".join(block(z, 0, name) for name, z in places.items())
    for name, z in places.items():
        ome_tiff(folder / name, blocks, DATA[z])
    return folder


def test_a_set_of_files_is_in_the_order_of_its_ome_xml(tmp_path: Path) -> None:
    places = {
        f"{letter}.ome.tif": z for letter, z in zip("abcdef", (3, 1, 5, 0, 2, 4), strict=True)
    }
    folder = ome_set(tmp_path / "set", places)
    tifffile.imwrite(folder / "z.tif", DATA[0])
    for path in (folder, folder / "d.ome.tif"):
        source = open_source(path)
        assert np.array_equal(source.read(0, 6), DATA)
        assert source.kind == "an OME-TIFF of 6 slices in 6 files"
    assert "z.tif: not in the set of the OME-XML, and not read" in remark_of(open_source(folder))
    (folder / "c.ome.tif").rename(folder / "c2.ome.tif")
    for path in (folder, folder / "d.ome.tif"):
        with pytest.raises(InputError, match=r"c\.ome\.tif of the set is not beside it"):
            open_source(path)


@pytest.mark.parametrize(
    "text",
    ['<?xml version="1.0"?><OME><Image><Pixels SizeZ="6"', "<OME xmlns='x'><Image></OME>",
     '<OME><BinaryOnly MetadataFile="lost.ome.xml" UUID="u"/></OME>',
     *(f'<OME><Image><Pixels {text}</Pixels></Image></OME>' for text in (
         'SizeZ="six">', 'SizeZ="-6">', 'SizeZ="6" SizeC="0">', 'SizeT="1e3">', 'SizeZ="99999999">',
         'SizeZ="6"><TiffData IFD="first" FirstZ="0"/>', 'SizeZ="6"><TiffData FirstZ="0.5"/>',
         'SizeZ="6"><TiffData PlaneCount=""/>'))],
)  # fmt: skip
def test_broken_ome_xml_is_a_warning(tmp_path: Path, text: str) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", DATA, description=text, metadata=None, **GREY)
    source = open_source(tmp_path / "a.ome.tif")
    assert np.array_equal(source.read(0, 6), DATA)
    assert "its OME-XML cannot be read" in remark_of(source)
    assert source.voxel_size is None


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


def test_ome_xml_of_another_size_or_without_numbers_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    sizes = dict.fromkeys(("PhysicalSizeX", "PhysicalSizeY"), 0.01) | {"PhysicalSizeZ": 0.05}
    tifffile.imwrite(path, DEEP, ome=True, metadata={"axes": "ZYX", **sizes}, **GREY)
    assert not open_source(path).remarks
    restated(path, b'SizeX="40" SizeY="32"', b'SizeX="32" SizeY="40"')
    restated(path, b'PhysicalSizeX="0.01"', b'PhysicalSizeX="0,01"')
    source = open_source(path)
    assert "its OME-XML states 32 x 40 pixels (x, y), and its pages have 40 x 32" in remark_of(
        source
    )
    assert source.sizes == (50, 10, None)
    assert source.size_origins[2] == "OME-XML PhysicalSizeX is '0,01', which is no number"
