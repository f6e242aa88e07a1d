"""Faults of requests to servers: which may pass by themselves, and a sentence for each."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from hela_dask.errors import HelaDaskError, InputError, StorageError

__all__ = [
    "LARGEST_WHOLE",
    "EncodedError",
    "Fault",
    "NoRangeError",
    "StatusError",
    "WebPageError",
    "fault_of",
    "is_absent",
]

LARGEST_WHOLE = 16 * 2**20
"""Bytes of a file up to which it is read whole, where a server sends no parts of files."""
_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
_NUMBERS = {"StatusError": "status", "ClientResponseError": "status", "HttpError": "code"}
_CREDENTIALS = {
    "http": "a .netrc file or FSSPEC_HTTP",
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or FSSPEC_S3_ANON=true for a "
    "public bucket",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or FSSPEC_GS_TOKEN=anon for a public bucket",
}


class StatusError(OSError):
    """A server answered with a status that is no success."""

    def __init__(self, status: int, pause: float = 0.0) -> None:
        super().__init__(f"status {status}")
        self.status, self.pause = status, pause  # `pause`: seconds that the server asks for


class NoRangeError(OSError):
    """A server sends whole files only, and the file is large."""


class EncodedError(OSError):
    """A server compresses a file on its way, and a part of it was asked for."""


class WebPageError(OSError):
    """A server answered with a web page instead of the file."""


@dataclass(frozen=True)
class Fault:
    """A fault of one request."""

    reason: str  # to be read after "ADDRESS cannot be read: "
    temporary: bool = False  # whether the same request may succeed later
    reached: bool = True  # whether the server was reached
    pause: float = 0.0  # seconds that the server asks for
    unfit: bool = False  # whether the address is of another kind of thing than a store

    def error(self, url: str, tries: int) -> HelaDaskError:
        """The sentence for it, after so many tries."""
        again = f" ({tries} tries)" if tries > 1 else ""
        later = "; start the same command again when it answers" if self.temporary else ""
        text = f"{url} cannot be read: {self.reason}{again}{later}"
        return InputError(text) if self.unfit else StorageError(text)


def is_absent(error: BaseException) -> bool:
    """Whether an error means that there is no file of this name, in a place that is there."""
    if not isinstance(error, FileNotFoundError):
        return False
    return _code(error) != "NoSuchBucket"


def fault_of(error: Exception, url: str) -> Fault:
    """The fault that an error of fsspec, aiohttp or botocore stands for."""
    host = urlsplit(url).netloc
    chain = list(_chain(error))
    for cause in chain:
        for find in (_of_content, _of_answer, _of_security, _of_time, _of_way):
            if (found := find(cause, host, url)) is not None:
                return found
    text = " ".join(str(error).split())[:200] or type(error).__name__
    return Fault(f"{type(error).__name__}: {text}", temporary=isinstance(error, OSError))


def _of_content(cause: BaseException, host: str, url: str) -> Fault | None:
    if isinstance(cause, NoRangeError):
        return Fault(
            f"the server {host} sends whole files only, and the store keeps its chunks in shards "
            f"of more than {LARGEST_WHOLE // 2**20} MiB, of which parts are read: put the store on "
            "a server with range requests, or copy it to a local folder"
        )
    if isinstance(cause, EncodedError):
        return Fault(
            f"the server {host} compresses files on their way (Content-Encoding: {cause}), so that "
            "parts of them cannot be read: turn that off for the files of the store, or copy it to "
            "a local folder"
        )
    if isinstance(cause, WebPageError):
        return Fault("the server answered with a web page, not with a file of a store", unfit=True)
    return None


def _of_answer(cause: BaseException, host: str, url: str) -> Fault | None:
    code, status = _code(cause), _status(cause)
    if code == "NoSuchBucket":
        return Fault(f"there is no bucket {host}", unfit=True)
    if status in _TEMPORARY or code in ("SlowDown", "RequestTimeout", "InternalError"):
        pause = cause.pause if isinstance(cause, StatusError) else 0.0
        return Fault(f"the server {host} answers with status {status}", True, pause=pause)
    if isinstance(cause, PermissionError) or status in (401, 403):
        return _refused(host, url, status or 403)
    if type(cause).__name__ in ("NoCredentialsError", "PartialCredentialsError"):
        return Fault(f"no credentials are found: set {_credentials(url)}")
    if type(cause).__name__ in ("DefaultCredentialsError", "RefreshError", "ProfileNotFound"):
        return Fault(f"the credentials cannot be used ({cause}): set {_credentials(url)}")
    if status == 416:
        return Fault("the file is shorter than its store states: it is damaged or was replaced")
    if status:
        return Fault(f"the server {host} answers with status {status}")
    return None


def _refused(host: str, url: str, status: int) -> Fault:
    missing = (
        "; without the permission to list the bucket, S3 gives the same answer for a file that is "
        "not there, which many stores lack where all values are 0: ask for s3:ListBucket"
        if url.startswith("s3")
        else ""
    )
    return Fault(
        f"{host} refuses access (status {status}): check the credentials, "
        f"{_credentials(url)}{missing}"
    )


def _of_security(cause: BaseException, host: str, url: str) -> Fault | None:
    if isinstance(cause, ssl.SSLCertVerificationError) or "Certificate" in type(cause).__name__:
        return Fault(
            f"the certificate of {host} is not trusted: check the address, or name the file of "
            "your site's certificates in SSL_CERT_FILE (AWS_CA_BUNDLE for s3)",
            reached=False,
        )
    if isinstance(cause, ssl.SSLError):
        return Fault(f"{host} has no secure connection ({cause})", reached=False)
    return None


def _of_time(cause: BaseException, host: str, url: str) -> Fault | None:
    names = {item.__name__ for item in type(cause).__mro__}
    if isinstance(cause, asyncio.TimeoutError | TimeoutError | socket.timeout) or names & {
        "ReadTimeoutError",
        "ConnectTimeoutError",
        "FSTimeoutError",
    }:
        return Fault(f"the server {host} does not answer in time", True)
    return None


def _of_way(cause: BaseException, host: str, url: str) -> Fault | None:
    if isinstance(cause, socket.gaierror) or "DNS" in type(cause).__name__:
        return Fault(f"the host {host} is unknown, or there is no network", True, reached=False)
    if isinstance(cause, OSError) and cause.errno == errno.ECONNREFUSED:
        return Fault(f"{host} refuses connections: is the server running?", True, reached=False)
    if isinstance(cause, OSError) and cause.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return Fault(f"there is no way to {host} from here", True, reached=False)
    name = type(cause).__name__
    if isinstance(cause, ConnectionError) or name in (
        "ClientPayloadError",
        "ServerDisconnectedError",
        "ClientOSError",
        "ConnectionClosedError",
        "IncompleteReadError",
        "HTTPClientError",
        "ResponseParserError",
    ):
        return Fault(f"the connection to {host} was cut", True)
    if name == "EndpointConnectionError":
        return Fault(f"{host} cannot be reached at its endpoint", True, reached=False)
    if name == "TooManyRedirects":
        return Fault(f"the server {host} redirects without end")
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and its causes, the deepest first: wrappers drop the number of the fault."""
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found:
        found.append(current)
        inner = getattr(current, "os_error", None)
        current = current.__cause__ or inner or current.__context__
    yield from reversed(found)


def _response(error: BaseException) -> dict[str, dict[str, object]]:
    """The part of an answer that botocore keeps, in an error or in its cause."""
    for item in (error, error.__cause__):
        found = getattr(item, "response", None)
        if isinstance(found, dict):
            return found
    return {}


def _code(error: BaseException) -> str:
    return str(_response(error).get("Error", {}).get("Code", ""))


def _status(error: BaseException) -> int:
    found = _response(error).get("ResponseMetadata", {}).get("HTTPStatusCode")
    # Errors of a protocol, as of a cut body, have numbers that no server sent.
    own = getattr(error, _NUMBERS.get(type(error).__name__, ""), None)
    for value in (found, own):
        if isinstance(value, int) or (isinstance(value, str) and value.isdecimal()):
            return int(value)
    return 0


def _credentials(url: str) -> str:
    scheme = url.partition(":")[0]
    return _CREDENTIALS["http" if scheme.startswith("http") else scheme]
