"""The small files that declare the slabs of a volume written, read on disk or from a server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hela_dask.documents.reading import Document, check_document, parse_json, read_document
from hela_dask.errors import InputError, MissingInputError
from hela_dask.storage.records import Records, parse_records
from hela_dask.storage.remote import read_files
from hela_dask.storage.urls import StorePath, StoreUrl

__all__ = ["read_slab_mark", "read_slab_marks"]

_LARGEST = 2**24  # bytes


class _Mark(Document):
    """The file of a slab."""

    files: dict[str, list[int] | None]


def read_slab_mark(path: StorePath) -> Records | None:
    """The shards of a slab; None where the mark lists none (those of before) or is damaged."""
    if isinstance(path, StoreUrl):
        return _parsed(read_files([str(path)], _LARGEST)[0], path)
    try:
        return parse_records(read_document(path, _Mark).files)
    except (InputError, MissingInputError):
        return None


def read_slab_marks(
    folder: StorePath, starts: Iterable[int]
) -> Iterator[tuple[StorePath, Records | None]]:
    """The marks of slabs, by their first slices, in the folder of marks; by concurrent requests.

    Each with its list, as of :func:`read_slab_mark`. StorageError where a server cannot be
    read.
    """
    names = [str(start) for start in starts]
    if not isinstance(folder, StoreUrl):
        for name in names:
            yield folder / name, read_slab_mark(folder / name)
        return
    urls = [folder / name for name in names]
    contents = read_files(map(str, urls), _LARGEST)
    for url, content in zip(urls, contents, strict=True):
        yield url, _parsed(content, url)


def _parsed(content: bytes | None, url: StoreUrl) -> Records | None:
    if content is None:
        return None
    try:
        found = check_document(parse_json(content, str(url)), _Mark, str(url))
    except InputError:
        return None
    return parse_records(found.files)
