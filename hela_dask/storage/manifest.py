"""Which shards of an image or label group were written, slab by slab, with their checksums.

Beside the chunks of level 0 lies one small file for each slab that is written (``.slabs/<first
slice>``). It lists the slab's shards at every level of the pyramid. So a shard that is missing
differs from one that was never written, because all of its voxels are 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from hela_dask.storage.files import write_json
from hela_dask.storage.marks import read_slab_mark, read_slab_marks
from hela_dask.storage.metadata import Image, slab_marks, slab_ranges
from hela_dask.storage.nodes import open_array
from hela_dask.storage.records import (
    FileRecord,
    Mismatch,
    Records,
    compare_files,
    records_to_json,
)
from hela_dask.storage.shards import reading_fault
from hela_dask.storage.urls import StorePath, StoreUrl

__all__ = [
    "damaged_slabs",
    "has_manifest",
    "mark_problems",
    "metadata_faults",
    "read_manifest",
    "read_slab_mark",
    "write_slab_mark",
]


def write_slab_mark(path: Path, files: Mapping[str, FileRecord | None]) -> None:
    """Declare a slab written: its shards by their paths relative to the group."""
    write_json(path, {"files": records_to_json(files)})


def read_manifest(image: Image) -> Records | None:
    """All shards of an image, as they were written; None as for :func:`has_manifest`."""
    found: Records = {}
    for _, files in _read_marks(image):
        if files is None:
            return None
        found.update(files)
    return found


def _read_marks(image: Image) -> Iterator[tuple[StorePath, Records | None]]:
    """The mark of each slab, and the shards that it lists."""
    starts = [start for start, _ in slab_ranges(image.levels[0])]
    yield from read_slab_marks(slab_marks(image.path, image.levels[0]), starts)


def has_manifest(image: Image) -> bool:
    """Whether every slab lists its shards.

    If not, the store is unfinished, of another program, or was written before shards were listed.
    """
    return read_manifest(image) is not None


def mark_problems(image: Image) -> dict[StorePath, str]:
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


def metadata_faults(image: Image) -> dict[StorePath, str]:
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
    ranges = slab_ranges(image.levels[0])
    marked = {
        item: files or {} for item, (_, files) in zip(ranges, _read_marks(image), strict=True)
    }
    if isinstance(image.path, StoreUrl):  # one list, not one per slab
        every = {path: item for files in marked.values() for path, item in files.items()}
        wrong = compare_files(image.path, every)
        damaged = {
            item: [found for found in wrong if found.path in files]
            for item, files in marked.items()
        }
        return {item: mismatches for item, mismatches in damaged.items() if mismatches}
    found = {}
    for (start, end), files in marked.items():
        if files and (mismatches := compare_files(image.path, files, read=read)):
            found[start, end] = mismatches
    return found
