"""fsspec's file system for http and https, with each answer checked before it is used."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fsspec.implementations.http import HTTPFileSystem

from hela_dask.storage.files import storage_errors
from hela_dask.storage.remote_faults import (
    LARGEST_WHOLE,
    EncodedError,
    NoRangeError,
    StatusError,
    WebPageError,
)

__all__ = ["CheckedHttp", "same_host_only"]

_BLOCK = 2**20  # bytes that are written at a time
_PAGE = re.compile(rb"^\s*<(!doctype\s+html|html|head|body)", re.IGNORECASE)


class CheckedHttp(HTTPFileSystem):  # type: ignore[misc]
    """Files over HTTP; a short, a whole or a foreign answer is never taken for a part of a file."""

    async def _cat_file(
        self, url: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        options = {**self.kwargs, **kwargs}
        # Compressed on its way, an answer would not have the length that is checked.
        headers = {**options.pop("headers", {}), "Accept-Encoding": "identity"}
        wanted = _range(start, end)
        if wanted:
            headers["Range"] = wanted
        session = await self.set_session()
        async with session.get(self.encode_url(url), headers=headers, **options) as answer:
            _check_status(answer)
            length, encoding = answer.content_length, _encoding(answer)
            if encoding and wanted:
                raise EncodedError(encoding)
            if encoding:
                # Its length is that on the way, which aiohttp compares.
                body, length = bytes(await answer.read()), None
            elif not wanted:
                body = bytes(await answer.read())
            elif answer.status == 206:
                body = bytes(await answer.read())
                length = _part_length(answer, start, end)
            elif length is None or length > LARGEST_WHOLE:
                raise NoRangeError(length or 0)
            else:
                body = bytes(await answer.read())
                if len(body) == length:
                    body = body[slice(start, end)]
                    length = len(body)
            if length is not None and len(body) != length:
                raise ConnectionResetError(f"{len(body)} of {length} bytes came")
            if "html" in answer.headers.get("Content-Type", "") and _PAGE.match(body[:64]):
                raise WebPageError(url)
            return body

    async def save_file(self, url: str, path: str) -> bool:
        """Write a whole file to `path`, block by block, as it is sent."""
        options = dict(self.kwargs)
        headers = {**options.pop("headers", {}), "Accept-Encoding": "identity"}
        session = await self.set_session()
        async with session.get(self.encode_url(url), headers=headers, **options) as answer:
            _check_status(answer)
            with storage_errors(Path(path)):
                file = Path(path).open("wb")  # noqa: SIM115  its errors are others than those below
            with file:
                async for block in answer.content.iter_chunked(_BLOCK):
                    if not file.tell() and _PAGE.match(block[:64]):
                        raise WebPageError(url)
                    with storage_errors(Path(path)):
                        file.write(block)
        return True

    async def _info(self, url: str, **_: Any) -> dict[str, Any]:
        """Size, ETag and time of last change of a file, from its headers."""
        options = dict(self.kwargs)
        headers = {**options.pop("headers", {}), "Accept-Encoding": "identity"}
        session = await self.set_session()
        where = self.encode_url(url)
        async with session.head(where, headers=headers, allow_redirects=True, **options) as answer:
            if answer.status not in (405, 501):
                _check_status(answer)
                return _facts(answer, answer.content_length)
        headers["Range"] = "bytes=0-0"  # no HEAD here: the headers of one byte
        async with session.get(where, headers=headers, **options) as answer:
            if answer.status == 416:
                return _facts(answer, 0)
            _check_status(answer)
            total = answer.headers.get("Content-Range", "").rpartition("/")[2]
            size = int(total) if total.isdecimal() else answer.content_length
            return _facts(answer, size if answer.status == 206 else answer.content_length)


def same_host_only(names: Iterable[str]) -> Any:
    """A hook of aiohttp that keeps headers with these names from other hosts, after a redirect.

    aiohttp itself removes ``Authorization`` only.
    """
    import aiohttp
    import yarl

    kept = tuple(names)

    async def leave(_: Any, __: Any, request: Any) -> None:
        headers = request.response.headers
        to = headers.get("Location") or headers.get("URI") or ""
        if request.url.join(yarl.URL(to)).origin() != request.url.origin():
            for name in kept:
                request.headers.popall(name, None)

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(leave)
    return trace


def _encoding(answer: Any) -> str:
    """How the server compressed the file on its way, although it was asked not to; else empty."""
    found = str(answer.headers.get("Content-Encoding", "")).strip().lower()
    return "" if found == "identity" else found


def _range(start: int | None, end: int | None) -> str:
    """The header for bytes from `start` to before `end`; a negative start counts from the end."""
    if start is None:
        return ""
    if start < 0:
        return f"bytes={start}"
    return f"bytes={start}-" if end is None else f"bytes={start}-{end - 1}"


def _check_status(answer: Any) -> None:
    if answer.status in (404, 410):
        raise FileNotFoundError(str(answer.url))
    if answer.status >= 300 or answer.status == 204:
        pause = answer.headers.get("Retry-After", "")
        raise StatusError(answer.status, float(pause) if pause.isdecimal() else 0.0)


def _part_length(answer: Any, start: int | None, end: int | None) -> int:
    """The bytes of a part, by its Content-Range; they begin where they were asked for."""
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", answer.headers.get("Content-Range", ""))
    if found is None:
        raise NoRangeError("no Content-Range")
    first, last = int(found[1]), int(found[2])
    if start is not None and start >= 0 and first != start:
        raise NoRangeError("another part")
    if start is not None and start < 0 and found[3] != "*":
        total = int(found[3])
        if (first, last) != (max(0, total + start), total - 1):
            raise NoRangeError("another part")
    if end is not None and last >= end:
        raise NoRangeError("another part")
    return last - first + 1


def _facts(answer: Any, size: int | None) -> dict[str, Any]:
    return {
        "size": None if _encoding(answer) else size,
        "ETag": answer.headers.get("ETag"),
        "LastModified": answer.headers.get("Last-Modified"),
        "type": "file",
    }
