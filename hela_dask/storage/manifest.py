"""Which shards of an image or label group were written, slab by slab, with their checksums.

Beside the chunks of level 0 lies one small file for each slab that is written (``.slabs/<first
slice>``). It lists the slab's shards at every level of the pyramid. So a shard that is missing
differs from one that was never written, because all of its voxels are 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from hela_dask.documents.reading import Document, read_document
from hela_dask.errors import InputError, MissingInputError
from hela_dask.storage.files import write_json
from hela_dask.storage.metadata import Image, slab_marks, slab_ranges
from hela_dask.storage.nodes import open_array
from hela_dask.storage.records import (
    FileRecord,
    Mismatch,
    Records,
    compare_files,
    parse_records,
    records_to_json,
)
from hela_dask.storage.shards import reading_fault

__all__ = [
    "damaged_slabs",
    "has_manifest",
    "mark_problems",
    "metadata_faults",
    "read_manifest",
    "read_slab_mark",
    "write_slab_mark",
]


class _Mark(Document):
    """The file of a slab."""

    files: dict[str, list[int] | None]


def write_slab_mark(path: Path, files: Mapping[str, FileRecord | None]) -> None:
    """Declare a slab written: its shards by their paths relative to the group."""
    write_json(path, {"files": records_to_json(files)})


def read_slab_mark(path: Path) -> Records | None:
    """The shards of a slab; None where the mark lists none (those of before) or is damaged."""
    try:
        return parse_records(read_document(path, _Mark).files)
    except (InputError, MissingInputError):
        return None


def read_manifest(image: Image) -> Records | None:
    """All shards of an image, as they were written; None as for :func:`has_manifest`."""
    found: Records = {}
    for _, files in _read_marks(image):
        if files is None:
            return None
        found.update(files)
    return found


def _read_marks(image: Image) -> Iterator[tuple[Path, Records | None]]:
    """The mark of each slab, and the shards that it lists."""
    marks = slab_marks(image.path, image.levels[0])
    for start, _ in slab_ranges(image.levels[0]):
        path = marks / str(start)
        yield path, read_slab_mark(path)


def has_manifest(image: Image) -> bool:
    """Whether every slab lists its shards.

    If not, the store is unfinished, of another program, or was written before shards were listed.
    """
    return read_manifest(image) is not None


def mark_problems(image: Image) -> dict[Path, str]:
    """Files of slabs that list no shards, where those of other slabs do; empty where all are alike.

    An unfinished image has slabs that are not written.
    """
    if not image.complete:
        return {}
    marks = dict(_read_marks(image))
    silent = [path for path, files in marks.items() if files is None]
    if len(silent) == len(marks):
        return {}
    return {path: "lists no files" if path.exists() else "is missing" for path in silent}


def metadata_faults(image: Image) -> dict[Path, str]:
    """Metadata files of an image's arrays by which other values are read than were written.

    Of images and label groups that this package wrote.
    """
    found = {}
    for level in image.levels if image.attributes else ():
        folder = image.path / level.path
        if problem := reading_fault(open_array(folder)):
            found[folder / "zarr.json"] = problem
    return found


def damaged_slabs(
    image: Image, *, read: Literal["none", "changed"] = "none"
) -> dict[tuple[int, int], list[Mismatch]]:
    """Shards of an image or label group that are not as they were written, by slab (first, end).

    Paths are relative to the group; slabs that list no shards are passed over; `read` as for
    :func:`hela_dask.storage.records.compare_files`.
    """
    marks = slab_marks(image.path, image.levels[0])
    found = {}
    for start, end in slab_ranges(image.levels[0]):
        files = read_slab_mark(marks / str(start))
        if files and (mismatches := compare_files(image.path, files, read=read)):
            found[start, end] = mismatches
    return found
