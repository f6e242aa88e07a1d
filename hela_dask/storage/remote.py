"""Files of remote stores: the only code that sends requests. Retries, limits, sentences.

Requests of a process run in one thread, the event loop of fsspec, so that all threads share the
connections and their limit. Credentials come from the environment of each process (see
``docs/remote.md``); an address never holds any.
"""

from __future__ import annotations

import asyncio
import functools
import os
import random
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from fsspec.asyn import get_loop, sync

from hela_dask.errors import InputError, MissingDependencyError, ParameterError, StorageError
from hela_dask.storage.remote_faults import fault_of, is_absent

__all__ = [
    "METADATA",
    "Facts",
    "Settings",
    "check_there",
    "fetch",
    "file_exists",
    "file_facts",
    "forget",
    "list_files",
    "read_file",
    "read_files",
    "read_parts",
    "save_file",
]

_T = TypeVar("_T")
_PACKAGES = {"http": "aiohttp", "https": "aiohttp", "s3": "s3fs", "gs": "gcsfs"}
_FRESH = 60.0  # seconds for which metadata and the indexes of shards are kept
_KEPT = 4096  # such files at most,
_SMALL = 2**18  # of at most this many bytes
_LONGEST_PAUSE = 30.0  # seconds
METADATA = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
_LARGEST = 32 * 2**20  # bytes of such a file

_KINDS = {"tries": int, "pause": float, "timeout": float, "connections": int}

_reached: set[str] = set()  # hosts that answered in this process
_local = threading.local()


@dataclass(frozen=True)
class Settings:
    """How patient requests are; from the environment, so that all workers have the same."""

    tries: int = 6  # of a request, while its fault may pass by itself
    pause: float = 0.5  # seconds before the second try; each further pause is twice as long
    timeout: float = 60.0  # seconds without a byte
    connections: int = 16  # at a time and process

    @classmethod
    def read(cls) -> Settings:
        """From ``HELA_DASK_REMOTE_TRIES``, ``_PAUSE``, ``_TIMEOUT`` and ``_CONNECTIONS``.

        ParameterError where one is no positive number.
        """
        found: dict[str, Any] = {}
        for name, kind in _KINDS.items():
            variable = f"HELA_DASK_REMOTE_{name.upper()}"
            if (text := os.environ.get(variable)) is None:
                continue
            try:
                found[name] = kind(text)
            except ValueError:
                found[name] = 0
            if not 0 < found[name] < 1e6:
                raise ParameterError(f"{variable}={text} must be a positive number")
        return cls(**found)


@dataclass(frozen=True)
class Facts:
    """The facts that a server states about a file."""

    size: int | None
    tag: str | None  # ETag
    changed: str | None  # time of last change


class _Kept:
    """Contents that were read shortly before, by their names."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[Any, tuple[float, bytes | None]] = {}

    def get(self, key: Any) -> tuple[bytes | None] | None:
        with self._lock:
            when, content = self._found.get(key, (-_FRESH, None))
        return (content,) if time.monotonic() - when < _FRESH else None

    def put(self, key: Any, content: bytes | None) -> None:
        if content is not None and len(content) > _SMALL and not isinstance(key, str):
            return
        with self._lock:
            self._found.pop(key, None)
            now = time.monotonic()
            while self._found:
                oldest = next(iter(self._found))
                if len(self._found) < _KEPT and now - self._found[oldest][0] < _FRESH:
                    break
                del self._found[oldest]
            self._found[key] = now, content

    def drop(self, prefix: str) -> None:
        with self._lock:
            for key in list(self._found):
                if (key if isinstance(key, str) else key[0]).startswith(prefix):
                    del self._found[key]


_kept = _Kept()


def forget(url: str) -> None:
    """Read the metadata of a store again: a command begins."""
    _kept.drop(url)


def read_file(url: str, largest: int) -> bytes | None:
    """A small file, such as metadata; None where there is none. Kept for a minute.

    Raises
    ------
    StorageError
        When it cannot be read; the sentence names the cause.
    InputError
        When the address is a web page, or the file has more than `largest` bytes.
    MissingDependencyError
        When the package for the scheme is not installed.
    """
    if (known := _kept.get(url)) is not None:
        return known[0]
    content = _wait(_read_small, url, largest)
    _kept.put(url, content)
    return content


def read_files(urls: Iterable[str], largest: int) -> list[bytes | None]:
    """Small files by concurrent requests, not kept; as :func:`read_file`."""

    async def all_of_them() -> list[bytes | None]:
        return list(await asyncio.gather(*(_read_small(url, largest) for url in urls)))

    return sync(get_loop(), all_of_them)  # type: ignore[no-any-return]


def read_parts(url: str, parts: Iterable[tuple[int, int]]) -> list[bytes | BaseException | None]:
    """Parts of a file, from one byte to before another, by concurrent requests.

    A part that cannot be read is its error, as of :func:`read_file`; None where there is no file.
    """

    async def all_of_them() -> list[bytes | BaseException | None]:
        work = (_patient(url, _bytes(url, start, end)) for start, end in parts)
        return list(await asyncio.gather(*work, return_exceptions=True))

    return sync(get_loop(), all_of_them)  # type: ignore[no-any-return]


def save_file(url: str, path: str) -> bool:
    """Write a file of http(s) to `path` by one request; False where there is none."""
    return bool(_wait(_patient, url, lambda: _files(url).save_file(url, path)))


def file_exists(url: str) -> bool:
    """Whether there is a file of this address; errors as of :func:`read_file`."""
    if (known := _kept.get(url)) is not None:
        return known[0] is not None
    if url.rpartition("/")[2] in METADATA:
        return read_file(url, _LARGEST) is not None
    return file_facts([url])[0] is not None


def check_there(url: str) -> bool:
    """Whether a file that was there still is; asked again after some seconds."""
    key = ("there", url)
    if _kept.get(key) is None:
        if _wait(_read_small, url, _LARGEST) is None:
            return False
        _kept.put(key, b"")
    return True


def file_facts(urls: Iterable[str]) -> list[Facts | None]:
    """Sizes, ETags and times of files, by concurrent requests; None for those that are not there.

    Errors as of :func:`read_file`.
    """

    async def all_of_them() -> list[Facts | None]:
        return list(await asyncio.gather(*(_patient(url, _info(url)) for url in urls)))

    return sync(get_loop(), all_of_them)  # type: ignore[no-any-return]


def list_files(url: str) -> dict[str, Facts] | None:
    """All files below an address, by their names relative to it; None where none are listed.

    Servers of http list no files. Errors as of :func:`read_file`.
    """
    if url.startswith("http"):
        return None

    async def attempt() -> dict[str, Facts]:
        files = _files(url)
        files.invalidate_cache()
        found = await _call(files, "find", files._strip_protocol(url), detail=True)
        start = len(files._strip_protocol(url).rstrip("/")) + 1
        return {
            name[start:]: _as_facts(facts)
            for name, facts in found.items()
            if facts["type"] == "file"
        }

    return _wait(_patient, url, attempt) or {}


async def fetch(url: str, start: int | None = None, end: int | None = None) -> bytes | None:
    """The bytes of a file from `start` to before `end`, for any event loop.

    A negative `start` counts from the end. The last bytes of shards, their indexes, are kept for a
    minute. None where there is no file; errors as of :func:`read_file`.
    """
    key: Any = (url, start, end) if start is not None and start < 0 else None
    if start is None and url.rpartition("/")[2] in METADATA:
        key = url
    if key is not None and (known := _kept.get(key)) is not None:
        return known[0]
    work = _patient(url, _bytes(url, start, end))
    content = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, get_loop()))
    if key is not None and (content is not None or key == url):
        _kept.put(key, content)
    return content


def _wait(work: Callable[..., Awaitable[_T]], *values: Any) -> _T:
    return sync(get_loop(), work, *values)  # type: ignore[no-any-return]


async def _read_small(url: str, largest: int) -> bytes | None:
    content = await _patient(url, _bytes(url))
    if content is not None and len(content) > largest:
        raise InputError(f"{url} is too large for a metadata file: {len(content)} bytes")
    return content


async def _patient(url: str, attempt: Callable[[], Awaitable[_T]]) -> _T | None:
    """The result of a request, tried again while its fault may pass; None where nothing is there.

    A host that was never reached gets two tries only: its address may be wrong.
    """
    settings, host = Settings.read(), urlsplit(url).netloc
    number = 0
    while True:
        number += 1
        try:
            async with _slots(settings.connections):
                found = await attempt()
            _reached.add(host)
            return found
        except (MissingDependencyError, ParameterError, StorageError):
            raise
        except Exception as error:
            if is_absent(error):
                _reached.add(host)
                return None
            fault = fault_of(error, url)
            known = fault.reached or host in _reached
            if not fault.temporary or number >= (settings.tries if known else 2):
                raise fault.error(url, number) from error
            # With jitter, so that workers which failed together do not come back together.
            pause = settings.pause * 2 ** (number - 1) * random.uniform(0.5, 1.5)
            await asyncio.sleep(min(_LONGEST_PAUSE, max(pause, fault.pause)))


def _bytes(url: str, start: int | None = None, end: int | None = None) -> Callable[..., Any]:
    async def attempt() -> bytes:
        files = _files(url)
        content: bytes = await _call(files, "cat_file", url, start=start, end=end)
        if start is not None and start >= 0 and end is not None and len(content) != end - start:
            raise ConnectionResetError(f"{len(content)} of {end - start} bytes came")
        return content

    return attempt


def _info(url: str) -> Callable[..., Any]:
    async def attempt() -> Facts:
        files = _files(url)
        files.invalidate_cache()
        found = await _call(files, "info", url)
        if found.get("type") == "directory":
            raise FileNotFoundError(url)
        return _as_facts(found)

    return attempt


def _as_facts(found: dict[str, Any]) -> Facts:
    tag = found.get("ETag") or found.get("etag") or found.get("md5Hash")
    changed = found.get("LastModified") or found.get("updated") or found.get("created")
    return Facts(found.get("size"), tag and str(tag).strip('"'), changed and str(changed))


async def _call(files: Any, name: str, *values: Any, **named: Any) -> Any:
    """A method of a file system, which need not be asynchronous."""
    if files.async_impl:
        return await getattr(files, f"_{name}")(*values, **named)
    return await asyncio.to_thread(getattr(files, name), *values, **named)


def _slots(count: int) -> asyncio.Semaphore:
    """The places for requests of this process, in the only loop that sends them."""
    if getattr(_local, "count", None) != count:
        _local.count, _local.slots = count, asyncio.Semaphore(count)
    return _local.slots  # type: ignore[no-any-return]


def _files(url: str) -> Any:
    """The file system of fsspec for a scheme."""
    return _file_system(url.partition(":")[0], Settings.read().timeout)


@functools.cache
def _file_system(scheme: str, timeout: float) -> Any:
    import fsspec

    try:
        if scheme.startswith("http"):
            return _http(timeout)
        if scheme == "s3":
            return _s3(timeout)
        return fsspec.filesystem(scheme)
    except ImportError as error:
        package = _PACKAGES[scheme]
        extra = "hela_dask[gcs]" if scheme == "gs" else package
        raise MissingDependencyError(
            f"{scheme}:// needs the package {package}, which is not installed: "
            f"pip install '{extra}'"
        ) from error


def _http(timeout: float) -> Any:
    import aiohttp

    from hela_dask.storage.remote_http import CheckedHttp, same_host_only

    patience = aiohttp.ClientTimeout(total=None, sock_connect=timeout, sock_read=timeout)
    found = _configured("http")
    given = found.get("client_kwargs", {})
    # Headers of the user may hold a token.
    trace = same_host_only([*found.get("headers", {}), *given.get("headers", {})])
    # The environment has proxies, and .netrc the users of hosts.
    options = {"trust_env": True, "timeout": patience, "trace_configs": [trace], **given}
    return CheckedHttp(client_kwargs=options)


def _s3(timeout: float) -> Any:
    import s3fs

    given = _configured("s3").get("config_kwargs", {})
    settings = {
        "connect_timeout": timeout,
        "read_timeout": timeout,
        "retries": {"total_max_attempts": 1, "mode": "standard"},
        "max_pool_connections": Settings.read().connections,
        **given,
    }
    # One request per read, and one policy of tries: that of this module.
    files = s3fs.S3FileSystem(config_kwargs=settings, max_concurrency=1)
    files.retries = 1
    return files


def _configured(name: str) -> dict[str, Any]:
    """The user's own settings of fsspec for a protocol."""
    from fsspec.config import conf

    found = conf.get(name, {})
    return dict(found) if isinstance(found, dict) else {}
