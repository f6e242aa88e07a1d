"""OME-TIFF: pages are where the OME-XML places them, or that is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from hela_dask.conversion.sources import open_source
from hela_dask.errors import InputError
from tests.conversion.readers.tiffs import (
    DATA,
    DEEP,
    GREY,
    remark_of,
    restated,
)


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
