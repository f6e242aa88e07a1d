"""OME-XML of a TIFF: voxel size, and which page of which file holds which slice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from hela_dask.conversion.readers.names import number_ranges
from hela_dask.errors import InputError

__all__ = ["Ome", "PageOfFile", "metadata_file", "read_ome"]

Element = ElementTree.Element
PageOfFile = tuple[str | None, int]
"""Name of a file (None: the file that holds the OME-XML) and the number of a page in it."""

_AXES = {"Z": "FirstZ", "C": "FirstC", "T": "FirstT"}
_MOST_SLICES = 10**7
_METADATA_FILE = re.compile(r"<(?:\w+:)?BinaryOnly\b[^>]*\bMetadataFile=\"([^\"]+)\"")


@dataclass(frozen=True)
class Ome:
    """The metadata of OME-XML about its image."""

    attributes: Mapping[str, str]  # of the element ``Pixels``
    images: int  # elements ``Image`` with pixels
    # Of each ``TiffData``: file name or None, first page, first position, pages or None
    blocks: tuple[tuple[str | None, int, tuple[int, int, int], int | None], ...]

    @property
    def sizes(self) -> dict[str, int]:
        """Lengths of the axes Z, C and T."""
        return _sizes(self.attributes)

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files of the set; empty where none is named."""
        return tuple(dict.fromkeys(name for name, *_ in self.blocks if name is not None))

    def planes(self, path: Path, pages: int) -> list[PageOfFile]:
        """File and page of each slice.

        `path` is the name in errors; `pages` are those of the file, for ``TiffData`` that stand for
        all of them. InputError where the axes are not one stack of slices, a page is placed
        outside, or no ``TiffData`` has a slice.
        """
        sizes = self.sizes
        long = [axis for axis, length in sizes.items() if length > 1]
        if sizes["C"] > 1 and (len(long) > 1 or sizes["C"] <= 4):
            raise InputError(f"{path} has {sizes['C']} channels: save one of them as a grey stack")
        if sizes["T"] > 1 and len(long) > 1:
            raise InputError(
                f"{path} has {sizes['T']} time points: save one of them as a stack of slices"
            )
        axis = long[0] if long else "Z"
        found: list[PageOfFile | None] = [None] * sizes[axis]
        for name, page, first, count in self.blocks or ((None, 0, (0, 0, 0), None),):
            start = first["ZCT".index(axis)]
            number = min(pages, len(found) - start) if count is None else count
            if start < 0 or start + number > len(found) or page < 0:
                raise InputError(
                    f"{path}: its OME-XML places a page at slice {start + number} of {len(found)}: "
                    "save the volume anew (in Fiji: File > Save As > Tiff)"
                )
            for step in range(number):
                found[start + step] = (name, page + step)
        if without := [number for number, plane in enumerate(found, start=1) if plane is None]:
            raise InputError(
                f"{path}: its OME-XML places no page at slice {number_ranges(without)}"
            )
        return [plane for plane in found if plane is not None]


def read_ome(text: str) -> Ome | None:
    """Parse OME-XML; None where it describes no pixels.

    ValueError where it is no XML, or has no whole numbers where it counts.
    """
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from error
    pixels = root.findall(".//{*}Image/{*}Pixels") or root.findall(".//{*}Pixels")
    if not pixels:
        return None
    for name, length in _sizes(pixels[0].attrib).items():
        if not 1 <= length <= _MOST_SLICES:
            raise ValueError(f"its Size{name} is {length}")
    return Ome(
        dict(pixels[0].attrib), len(pixels), tuple(_blocks(pixels[0], root.attrib.get("UUID")))
    )


def metadata_file(text: str) -> str | None:
    """Name of the file that holds the OME-XML of a set, where this file only refers to it."""
    found = _METADATA_FILE.search(text)
    return found[1] if found else None


def _blocks(
    pixels: Element, own: str | None
) -> Iterator[tuple[str | None, int, tuple[int, int, int], int | None]]:
    for block in pixels.findall("{*}TiffData"):
        first = [_whole(block.attrib, name, 0) for name in _AXES.values()]
        page = _whole(block.attrib, "IFD", 0)
        whole = not {"PlaneCount", "IFD"} & block.attrib.keys()
        number = None if whole else _whole(block.attrib, "PlaneCount", 1)
        uuid = block.find("{*}UUID")
        name = None if uuid is None else uuid.get("FileName")
        if uuid is not None and own is not None and (uuid.text or "").strip() == own:
            name = None
        yield name, page, (first[0], first[1], first[2]), number


def _sizes(attributes: Mapping[str, str]) -> dict[str, int]:
    return {axis: _whole(attributes, f"Size{axis}", 1) for axis in "ZCT"}


def _whole(attributes: Mapping[str, str], name: str, default: int) -> int:
    text = attributes.get(name)
    if text is None:
        return default
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"its {name} is {text[:20]!r}, no whole number") from None
