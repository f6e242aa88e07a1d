"""Identity of an image, independent of its place and of the times of its files."""

from __future__ import annotations

from dataclasses import asdict

from hela_dask.errors import InputError
from hela_dask.storage.manifest import mark_problems, read_manifest
from hela_dask.storage.metadata import Image
from hela_dask.storage.records import FileRecord, compare_files, file_crc32c
from hela_dask.storage.remote_identity import remote_facts
from hela_dask.storage.urls import StoreUrl
from hela_dask.tasks.markers import fingerprint, fingerprint_files

__all__ = ["identify_image"]

_READ = 2**30
"""Limit of the bytes that are read from files with a changed time only."""


def identify_image(image: Image) -> tuple[str, tuple[str, ...]]:
    """Fingerprint of an image's voxels and geometry, and remarks: the assumptions.

    An image that lists its shards is identified by their checksums: a copied, renamed or touched
    store is the same. Files with another time of last change than recorded are read and compared, a
    part of them if they are more than 1 GiB. An image of another program is identified by the
    names, sizes and times of its files, and the content of its metadata; where it is remote, see
    :func:`hela_dask.storage.remote_identity.remote_facts`.

    InputError where a shard has other content than was written, or the list of some shards is lost.
    """
    records = read_manifest(image)
    if records is None:
        for path, problem in mark_problems(image).items():
            raise InputError(f"{path} {problem}: hela-dask verify {image.path} shows the remedy")
        if isinstance(image.path, StoreUrl):
            facts, doubts = remote_facts(image)
            return fingerprint(facts), doubts
        return fingerprint_files(image.path, skip=["labels"]), ()
    files = {path: item for path, item in records.items() if item is not None}
    remarks = _check_changed(image, files)
    levels = [
        {name: value for name, value in asdict(level).items() if name not in ("chunks", "shards")}
        for level in image.levels
    ]
    sums = sorted((path, item.size, item.crc32c) for path, item in files.items())
    return fingerprint(image.dtype.str, levels, sums), remarks


def _check_changed(image: Image, files: dict[str, FileRecord]) -> tuple[str, ...]:
    """Read files with changed times; the assumption where they are too many to read."""
    missing = compare_files(image.path, files, read="none")
    if missing:
        path, problem = missing[0]
        raise InputError(f"{image.path / path} {problem}: hela-dask verify {image.path} shows more")
    folder = image.path
    if isinstance(folder, StoreUrl):
        return ()  # sizes were compared; times of a server are those of the copy
    changed = [
        (path, item)
        for path, item in sorted(files.items())
        if (folder / path).stat().st_mtime_ns != item.mtime_ns
    ]
    total = sum(item.size for _, item in changed)
    step = max(1, -(-total // _READ))
    for path, item in changed[::step]:
        if file_crc32c(folder / path) != item.crc32c:
            raise InputError(
                f"{image.path / path} has other content than was written: hela-dask verify "
                f"{image.path} shows the remedy"
            )
    if step == 1:
        return ()
    return (
        f"the times of {len(changed)} files of {image.path} are not those of when they were "
        f"written, as in a copy: {len(changed[::step])} of them were read and fit, which "
        f"is assumed of all; hela-dask verify {image.path} reads all",
    )
