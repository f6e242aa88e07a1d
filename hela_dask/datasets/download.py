"""A large file of a server, written to the disk in parts; an interrupted one is continued."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from hela_dask.documents.reading import Document, read_document
from hela_dask.errors import HelaDaskError, MissingInputError, StorageError
from hela_dask.storage.files import storage_errors, write_json
from hela_dask.storage.remote import Facts, file_facts, read_parts, save_file
from hela_dask.storage.remote_faults import EncodedError, NoRangeError

__all__ = ["download", "part_size", "remove_part"]

log = logging.getLogger(__name__)

_PART = 4 * 2**20  # bytes of one request
_TOGETHER = 4  # requests at a time: archives limit the speed of each connection


class _Note(Document):
    """The state of the file on the server as its download began."""

    url: str
    size: int
    tag: str | None = None
    changed: str | None = None


def download(
    url: str, target: Path, part: Path, size: int | None, seen: Callable[[int], None]
) -> None:
    """Fetch a file of http(s) to `target`.

    The bytes are collected in `part`, which is kept after an error or Ctrl-C. The next call
    continues it with range requests, unless the file on the server has changed since. A server
    without range requests sends the whole file each time.

    Parameters
    ----------
    url : str
        Address of the file.
    target : Path
        Replaced when all bytes are there.
    part : Path
        Beside it, on the same file system.
    size : int or None
        Expected bytes, if known.
    seen : callable
        Called with the bytes that are there, from time to time.

    Raises
    ------
    MissingInputError
        When the server has no such file.
    StorageError
        When it cannot be read or written, or has another size than `size`.
    """
    facts = file_facts([url])[0]
    if facts is None:
        raise MissingInputError(f"{url}: the server has no such file")
    if facts.size is not None and size is not None and facts.size != size:
        raise StorageError(
            f"{url} has {facts.size} bytes on the server, and {size} are expected: the file was "
            "replaced there, or the server sends another one"
        )
    if facts.size is None or not _by_parts(url, facts, part, seen):
        _whole(url, part)
        seen(part.stat().st_size)
    found, wanted = part.stat().st_size, size if facts.size is None else facts.size
    if wanted is not None and found != wanted:
        remove_part(part)
        raise StorageError(f"{found} bytes of {url} came, and {wanted} are expected")
    with storage_errors(target):
        part.replace(target)
        _note_of(part).unlink(missing_ok=True)


def part_size(part: Path) -> int:
    """Bytes of a download that are there already."""
    return part.stat().st_size if part.is_file() else 0


def remove_part(part: Path) -> None:
    """Forget an unfinished download."""
    with storage_errors(part):
        part.unlink(missing_ok=True)
        _note_of(part).unlink(missing_ok=True)


def _note_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _by_parts(url: str, facts: Facts, part: Path, seen: Callable[[int], None]) -> bool:
    """Fetch the missing bytes by range requests; False where the server answers none."""
    total = facts.size or 0
    done = _begin(url, facts, part)
    with storage_errors(part):
        file = part.open("ab")
    with file:
        seen(done)
        while done < total:
            for content in _fetched(url, done, total):
                if isinstance(content, BaseException):
                    if _without_ranges(content):
                        return False
                    raise content
                with storage_errors(part):
                    file.write(content)
                    file.flush()
                done += len(content)
                seen(done)
    return True


def _fetched(url: str, start: int, total: int) -> Iterator[bytes | BaseException]:
    """The next parts of the file, in their order, up to the first that failed."""
    ends = range(start, min(total, start + _TOGETHER * _PART), _PART)
    for content in read_parts(url, [(at, min(at + _PART, total)) for at in ends]):
        yield StorageError(f"{url} was removed from the server") if content is None else content


def _begin(url: str, facts: Facts, part: Path) -> int:
    """Bytes of `part` that are of the file as it is on the server now; others are removed."""
    note = _Note(url=url, size=facts.size or 0, tag=facts.tag, changed=facts.changed)
    before = None
    if part_size(part):
        try:
            before = read_document(_note_of(part), _Note)
        except HelaDaskError:
            before = None
        if before == note and part_size(part) <= note.size:
            log.info("%s: continued after %d of %d bytes", url, part_size(part), note.size)
            return part_size(part)
        log.warning(
            "%s: the part that is there is of another file, or the file has changed on the server "
            "since: it is fetched from its start",
            url,
        )
    remove_part(part)
    write_json(_note_of(part), note.model_dump())
    return 0


def _without_ranges(error: BaseException) -> bool:
    """Whether a server sends whole files only."""
    return isinstance(error.__cause__, NoRangeError | EncodedError)


def _whole(url: str, part: Path) -> None:
    """Fetch the file by one request."""
    log.info("%s: the server sends whole files only, so that an interruption starts again", url)
    remove_part(part)
    try:
        if not save_file(url, str(part)):
            raise StorageError(f"{url} was removed from the server")
    except BaseException:
        remove_part(part)  # it cannot be continued
        raise
