"""Identity of a remote image that keeps no list of its files: by what its server states."""

from __future__ import annotations

import math
from typing import Any

from hela_dask.documents.reading import parse_json
from hela_dask.storage.metadata import Image
from hela_dask.storage.remote import METADATA, Facts, file_facts, list_files, read_files
from hela_dask.storage.sampling import sampled_files
from hela_dask.storage.urls import StoreUrl, local_folder

__all__ = ["remote_facts"]

LISTED = 100_000
"""Files of an image up to which all are listed, where the server can do it."""
SAMPLED = 128
"""Files that are looked at otherwise."""
_LARGEST = 32 * 2**20  # bytes of a metadata file


def remote_facts(image: Image) -> tuple[list[Any], tuple[str, ...]]:
    """What identifies the voxels of a remote image, as plain values, and remarks.

    The content of its metadata; the size and the ETag (the time of last change where there is none)
    of each file of its levels, where the server lists files (s3, gs) and there are at most
    :data:`LISTED`. Else those of :data:`SAMPLED` files, evenly spread over the levels: a change of
    others is not noticed, which is a remark.

    Errors as of :func:`hela_dask.storage.remote.read_file`.
    """
    if not isinstance(image.path, StoreUrl):
        raise TypeError(f"{local_folder(image.path)} is not remote")
    url = image.path
    names = [*METADATA[:-1], *(f"{level.path}/{n}" for level in image.levels for n in METADATA)]
    contents = read_files([str(url / name) for name in names], _LARGEST)
    found: list[Any] = [
        [name, _content(content, name)]
        for name, content in zip(names, contents, strict=True)
        if content is not None and not name.endswith(".zmetadata")
    ]
    listed = _listed(image, url)
    if listed is not None:
        return [*found, *listed], ()
    share = max(1, SAMPLED // len(image.levels))
    chosen = [
        f"{level.path}/{name}"
        for level in image.levels
        for name in sampled_files(url / level.path, level, share)
    ]
    facts = file_facts([str(url / name) for name in chosen])
    found += [[name, _plain(item)] for name, item in zip(chosen, facts, strict=True)]
    return found, _doubts(image, len(chosen), facts)


def _listed(image: Image, url: StoreUrl) -> list[Any] | None:
    """The files of all levels with their facts; None where they are not listed, or too many."""
    if _count(image) > LISTED:
        return None
    found = []
    for level in image.levels:
        files = list_files(str(url / level.path))
        if files is None:
            return None
        found += [
            [f"{level.path}/{name}", _plain(facts)]
            for name, facts in sorted(files.items())
            if name not in METADATA
        ]
    return found


def _count(image: Image) -> int:
    return sum(
        math.prod(-(-a // b) for a, b in zip(level.shape, level.file, strict=True))
        for level in image.levels
    )


def _plain(facts: Facts | None) -> list[Any] | None:
    return None if facts is None else [facts.size, facts.tag or facts.changed]


def _doubts(image: Image, looked: int, facts: list[Facts | None]) -> tuple[str, ...]:
    """Changes of the image that would not be noticed."""
    there = [item for item in facts if item is not None]
    if there and not any(item.tag or item.changed for item in there):
        return (
            f"the server of {image.path} states neither an ETag nor a time of its files: an image "
            "that changes at the same size is not noticed",
        )
    if looked < _count(image):
        return (
            f"the server of {image.path} lists no files, or they are too many: {looked} of "
            f"{_count(image)} are compared with those of an earlier call",
        )
    return ()


def _content(content: bytes, name: str) -> Any:
    """A metadata file without its copy of all metadata inside, which new labels change too."""
    found = parse_json(content, name)
    if not isinstance(found, dict):
        return found
    return {key: item for key, item in found.items() if key != "consolidated_metadata"}
