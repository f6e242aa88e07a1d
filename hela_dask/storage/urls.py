"""Places of stores: a folder on this machine, or an address (http, https, s3, gs) that is read."""

from __future__ import annotations

import os
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote, unquote, urlsplit
from urllib.request import url2pathname

from hela_dask.errors import InputError, MissingInputError

__all__ = ["SCHEMES", "StorePath", "StoreUrl", "local_folder", "local_path", "store_path"]

SCHEMES = ("http", "https", "s3", "gs")
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+):/(/?)")  # two letters: C:/ is a drive
_COPY = "copy it to a local folder first"


@dataclass(frozen=True, order=True)
class StoreUrl:
    """The address of a store, or of something in it; it is only read.

    It has the part of :class:`pathlib.Path` that readers of stores use, but is no ``os.PathLike``:
    a function for files of this machine raises TypeError. Requests go through
    :mod:`hela_dask.storage.remote`, so that errors are those of :func:`~.remote.read_file`.
    """

    url: str  # without a slash at its end, a user, a query or a fragment

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, inside: str) -> StoreUrl:
        names = [name for name in str(inside).split("/") if name not in ("", ".")]
        if ".." in names:
            raise InputError(f"{self.url}: the name {inside} leads out of the store")
        encoded = [quote(name) for name in names] if self.scheme.startswith("http") else names
        return StoreUrl("/".join([self.url, *encoded]))

    @property
    def scheme(self) -> str:
        """``"http"``, ``"https"``, ``"s3"`` or ``"gs"``."""
        return self.url.partition(":")[0]

    @property
    def name(self) -> str:
        """The last name of the address; the host, or the bucket, where there is none."""
        last = self.url.rpartition("/")[2]
        return unquote(last) if self.scheme.startswith("http") else last

    @property
    def parent(self) -> StoreUrl:
        """The address around; the same for a host or a bucket alone."""
        above = self.url.rpartition("/")[0]
        return self if above.endswith("/") else StoreUrl(above)

    def absolute(self) -> StoreUrl:
        """The same: each address is absolute."""
        return self

    def exists(self) -> bool:
        """Whether a file has this address, as :func:`hela_dask.storage.remote.file_exists`."""
        from hela_dask.storage.remote import file_exists

        return file_exists(self.url)

    def is_dir(self) -> bool:
        """Whether there is a Zarr group or array; a server lists no other folders."""
        from hela_dask.storage.formats import ZARR_MARKS

        return any((self / name).exists() for name in ZARR_MARKS)

    def read_bytes(self, largest: int) -> bytes:
        """The content of the small file at this address.

        MissingInputError where there is none, InputError where it has more than `largest` bytes.
        """
        from hela_dask.storage.remote import read_file

        found = read_file(self.url, largest)
        if found is None:
            raise MissingInputError(f"there is no file {self.url}")
        return found


StorePath: TypeAlias = Path | StoreUrl
"""Where a store is."""


def store_path(text: str | os.PathLike[str] | StoreUrl) -> StorePath:
    """The place of a store that is read: a path, or an address with a known scheme.

    ``file://`` addresses become paths. An InputError names the fault of an address; it shows no
    password and no signature.
    """
    if isinstance(text, StoreUrl):
        return text
    if not isinstance(text, str | os.PathLike):
        raise InputError(
            f"a path is needed here, not {type(text).__name__}: name the file or folder"
        )
    found = _SCHEME.match(str(text))
    if found is None:
        return Path(text)
    scheme, slash = found[1].lower(), found[2]
    if not slash:
        raise InputError(
            f"{_shown(str(text))} lacks a slash: an address begins with {scheme}:// (as a text, "
            "not as a Path, which drops one)"
        )
    if scheme == "file":
        return _file_path(str(text))
    if scheme not in SCHEMES:
        raise InputError(
            f"{_shown(str(text))} begins with {scheme}://, which is not read; volumes are read "
            f"from a folder, or from an address with {', '.join(SCHEMES)}: {_COPY}"
        )
    return _checked(scheme, str(text))


def local_path(path: str | os.PathLike[str] | StoreUrl) -> Path:
    """`path` as a Path, after a check that it is on this machine (no address, no array)."""
    return local_folder(store_path(path))


def local_folder(place: StorePath) -> Path:
    """The folder of a place on this machine; an InputError for an address."""
    if isinstance(place, StoreUrl):
        raise InputError(f"{place} is an address, and a local path is needed here: {_COPY}")
    return place


def _file_path(text: str) -> Path:
    parts = urlsplit(text)
    if parts.netloc not in ("", "localhost"):
        raise InputError(f"{_shown(text)} names another machine: mount its folder and name it")
    return Path(url2pathname(parts.path))


def _checked(scheme: str, text: str) -> StoreUrl:
    """An address without what does not belong to a store."""
    shown = _shown(text)
    web = scheme.startswith("http")  # keys of a bucket are taken as they are, with spaces and %
    if any((sign.isspace() and (web or sign != " ")) or not sign.isprintable() for sign in text):
        advice = "write %20 for a space" if web else "leave it out"
        raise InputError(f"{shown!r} holds a space or a control character: {advice}")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(f"{shown} is no address: {error}") from None
    if "@" in parts.netloc:
        raise InputError(
            f"{shown} holds a user or a password, which would be kept in files of the run: leave "
            "it out, and give the credentials by the environment (docs/remote.md)"
        )
    if parts.query or parts.fragment:
        what = "a query (after ?)" if parts.query else "a fragment (after #)"
        raise InputError(
            f"{shown} was given with {what}. A signed address opens one file, and a store has "
            "many: name the store without it, and give the credentials by the environment "
            "(docs/remote.md)"
        )
    if not host:
        what = "host" if web else "bucket"
        raise InputError(f"{shown} names no {what}")
    if not web:
        return StoreUrl(f"{scheme}://{parts.netloc}{parts.path}".rstrip("/"))
    inside = posixpath.normpath(f"/{parts.path}").lstrip("/")
    return StoreUrl(f"{scheme}://{parts.netloc.lower()}/{inside}".rstrip("/"))


def _shown(text: str) -> str:
    """An address for a message: without user, password, query and fragment."""
    bare = re.split(r"[?#]", text, maxsplit=1)[0]
    return re.sub(r"(:/+)[^/]*@", r"\1", bare)
