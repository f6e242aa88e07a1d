"""Remote stores as zarr reads them: nothing is written, and no fault becomes a missing chunk."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator
from contextvars import ContextVar
from typing import Any, Literal

from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore

from hela_dask.storage.remote import fetch
from hela_dask.storage.urls import StorePath, StoreUrl

__all__ = ["RemoteStore", "absent_files", "zarr_store"]

_ABSENT: ContextVar[set[str] | None] = ContextVar("absent", default=None)


def zarr_store(place: StorePath, mode: Literal["r", "r+"] = "r") -> Store:
    """The store of zarr for a group or an array; an address is only read."""
    if isinstance(place, StoreUrl):
        return RemoteStore(place)
    return LocalStore(place, read_only=mode == "r")


@contextlib.contextmanager
def absent_files() -> Iterator[set[str]]:
    """The names of files that are asked for in vain in this block, by this thread alone."""
    names: set[str] = set()
    token = _ABSENT.set(names)
    try:
        yield names
    finally:
        _ABSENT.reset(token)


class RemoteStore(Store):
    """The files below an address.

    `ahead` has parts of files that were read ahead, by name, first byte and end.
    """

    supports_writes = False
    supports_deletes = False
    supports_listing = False

    def __init__(self, url: StoreUrl) -> None:
        super().__init__(read_only=True)
        self.url = url
        self.ahead: dict[tuple[str, int, int], bytes] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemoteStore) and other.url == self.url

    def __hash__(self) -> int:
        return hash(self.url)

    def __str__(self) -> str:
        return str(self.url)

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """The content of a file, or a part of it; None where there is no such file."""
        start: int | None = None
        end: int | None = None
        if isinstance(byte_range, RangeByteRequest):
            start, end = byte_range.start, byte_range.end
        elif isinstance(byte_range, OffsetByteRequest):
            start = byte_range.offset
        elif isinstance(byte_range, SuffixByteRequest):
            start = -byte_range.suffix
        known = None if start is None or end is None else self.ahead.get((key, start, end))
        if known is not None:
            return prototype.buffer.from_bytes(known)
        if start is not None and start == end:
            return prototype.buffer.from_bytes(b"")
        content = await fetch(str(self.url / key), start, end)
        if content is None:
            if (absent := _ABSENT.get()) is not None:
                absent.add(key)
            return None
        return prototype.buffer.from_bytes(content)

    def drop(self, names: Iterable[tuple[str, int, int]]) -> None:
        """Forget parts that were read ahead."""
        for name in names:
            self.ahead.pop(name, None)

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> list[Buffer | None]:
        """Several parts, one after the other."""
        return [await self.get(key, prototype, part) for key, part in key_ranges]

    async def exists(self, key: str) -> bool:
        """Whether there is a file of this name."""
        from zarr.core.buffer import default_buffer_prototype

        return await self.get(key, default_buffer_prototype()) is not None

    async def set(self, key: str, value: Buffer) -> None:
        """Refuse: a remote store is only read."""
        self._check_writable()

    async def delete(self, key: str) -> None:
        """Refuse: a remote store is only read."""
        self._check_writable()

    async def _nothing(self) -> AsyncIterator[str]:
        names: tuple[str, ...] = ()
        for name in names:
            yield name

    def list(self) -> AsyncIterator[str]:
        """No names: servers of http list none."""
        return self._nothing()

    def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """As :meth:`list`."""
        return self._nothing()

    def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """As :meth:`list`."""
        return self._nothing()

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self.url}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["url"])  # type: ignore[misc]
