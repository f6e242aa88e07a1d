"""Sentences for the faults of servers, by the errors of the libraries that meet them."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest

from hela_dask.errors import HelaDaskError, InputError, StorageError
from hela_dask.storage.remote_faults import (
    NoRangeError,
    StatusError,
    WebPageError,
    fault_of,
    is_absent,
)

URL = "https://h.org/x.zarr/0/c/0/0/0"


def named(name: str, cause: Exception | None = None) -> Exception:
    """An error of a library, as it is recognised: by the name of its class."""
    found: Exception = type(name, (Exception,), {})("text")
    found.__cause__ = cause
    return found


@pytest.mark.parametrize(
    ("error", "words", "temporary"),
    [
        (StatusError(401), "refuses access (status 401): check the credentials, a .netrc", False),
        (StatusError(403), "h.org refuses access (status 403)", False),
        (StatusError(416), "shorter than its store states", False),
        (StatusError(301), "answers with status 301", False),
        (StatusError(503), "answers with status 503", True),
        (StatusError(429), "answers with status 429", True),
        (NoRangeError(1), "sends whole files only", False),
        (WebPageError("x"), "a web page", False),
        (TimeoutError(), "does not answer in time", True),
        (named("ReadTimeoutError"), "does not answer in time", True),
        (named("ClientConnectorError", socket.gaierror(-2, "x")), "host h.org is unknown", True),
        (OSError(errno.ECONNREFUSED, "x"), "h.org refuses connections", True),
        (OSError(errno.ENETUNREACH, "x"), "no way to h.org", True),
        (ConnectionResetError("x"), "connection to h.org was cut", True),
        (named("ClientPayloadError"), "connection to h.org was cut", True),
        (named("SSLError", ssl.SSLCertVerificationError("x")), "certificate of h.org", False),
        (named("ClientConnectorCertificateError"), "SSL_CERT_FILE", False),
        (ssl.SSLError(1, "wrong version"), "no secure connection", False),
        (named("TooManyRedirects"), "redirects without end", False),
        (named("ProfileNotFound"), "credentials cannot be used", False),
        (ValueError("anything else"), "ValueError: anything else", False),
    ],
)
def test_each_fault_has_a_sentence(error: Exception, words: str, temporary: bool) -> None:
    fault = fault_of(error, URL)
    assert words in fault.reason and fault.temporary == temporary
    assert not is_absent(error)
    sentence: HelaDaskError = fault.error(URL, 3)
    assert isinstance(sentence, InputError if fault.unfit else StorageError)
    assert str(sentence).startswith(f"{URL} cannot be read: ") and "(3 tries)" in str(sentence)


def test_a_server_may_ask_for_a_pause() -> None:
    assert fault_of(StatusError(429, 7.0), URL).pause == 7.0


def test_a_host_that_was_never_reached_is_known() -> None:
    assert not fault_of(OSError(errno.ECONNREFUSED, "x"), URL).reached
    assert fault_of(StatusError(503), URL).reached
