"""The address of a running scheduler: checked at once, reached within a stated time."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hela_dask.errors import ClusterError, InputError, ParameterError

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["parse_address", "reach"]

_PORT = 8786  # of dask's scheduler, where none is named
_KINDS = ("tcp", "tls", "ws", "wss")
_CONNECT = 5  # seconds for a connection
_ANSWER = 15  # seconds for the scheduler's answer on it


def parse_address(text: str) -> str:
    """A scheduler's address, with its port; ParameterError when it is none that dask can reach."""
    wrong = f"--cluster {text!r} is not the address of a dask scheduler"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ParameterError(f"{wrong} (tcp://host:8786): {error}") from error
    if parts.scheme not in _KINDS:
        raise ParameterError(f"{wrong}: it begins with one of {', '.join(_KINDS)}, then ://")
    if not parts.hostname or parts.username is not None:
        raise ParameterError(f"{wrong}: name its host, as in {parts.scheme}://host:8786")
    path = "" if parts.scheme.startswith("ws") else parts.path
    if path.strip("/") or parts.query or parts.fragment:
        raise ParameterError(f"{wrong}: nothing may follow the port")
    if port == 0:
        raise ParameterError(f"{wrong}: port 0 is no port")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{_PORT if port is None else port}"


def reach(address: str) -> Client:
    """A client of the scheduler at `address`.

    InputError when `address` asks for TLS and dask's settings name no certificates; ClusterError
    when the host is not known, nothing listens there, or no scheduler answers within 20 s.
    """
    from distributed import Client

    _check_certificates(address)
    _probe(address)
    try:
        # A client waits without limit for a server that does not answer, so the port is probed
        # first. In a thread, because a notebook already runs an event loop.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(lambda: asyncio.run(_greet(address))).result()
        return Client(address, timeout=f"{_ANSWER}s", set_as_default=False)
    except (OSError, ValueError, TypeError, RuntimeError, TimeoutError) as error:
        other = "tcp" if address.startswith("tls") else "tls"
        raise ClusterError(
            f"something listens at {address}, but no dask scheduler answers within {_ANSWER} s: "
            f"check that a scheduler runs there, that it speaks {address.partition(':')[0]} (not "
            f"{other}), and that both sides have the same version of dask"
        ) from error


async def _greet(address: str) -> None:
    """Ask the scheduler for its identity.

    Raises
    ------
    OSError, TimeoutError, TypeError
        When it does not answer, or not as a scheduler does.
    """
    from distributed import rpc
    from distributed.security import Security

    arguments = Security().get_connection_args("client")
    async with asyncio.timeout(_ANSWER), rpc(address, connection_args=arguments) as scheduler:
        found = await scheduler.identity(n_workers=0)
    if not isinstance(found, dict) or found.get("type") != "Scheduler":
        raise TypeError(f"{address} is no scheduler")


def _check_certificates(address: str) -> None:
    """TLS needs three files, which dask's settings name; dask reports this in ten lines, late."""
    if not address.startswith(("tls:", "wss:")):
        return
    import dask

    for name in ("ca-file", "client.cert", "client.key"):
        key = f"distributed.comm.tls.{name}"
        value = dask.config.get(key, None)
        if value is None:
            raise InputError(
                f"--cluster {address} needs certificates: set {key} in ~/.config/dask/*.yaml, or "
                f"as DASK_{key.upper().replace('.', '__').replace('-', '_')} (docs/clusters.md)"
            )
        if "\n" not in str(value) and not Path(str(value)).expanduser().is_file():
            raise InputError(f"there is no file {value}, which dask's setting {key} names")


def _probe(address: str) -> None:
    """Probe the port: dask would try for half a minute."""
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or _PORT
    try:
        socket.create_connection((host, port), timeout=_CONNECT).close()
    except socket.gaierror as error:
        raise ClusterError(
            f"the host {host!r} of --cluster {address} is not known here: {error.strerror}"
        ) from error
    except UnicodeError as error:
        raise ClusterError(f"--cluster {address} names no host: {error}") from error
    except TimeoutError as error:
        raise ClusterError(
            f"{address} does not answer within {_CONNECT} s: check the address and the firewall"
        ) from error
    except OSError as error:
        raise ClusterError(
            f"no dask scheduler listens at {address} ({error.strerror or error}): start one with "
            f"dask scheduler --port {port}, or correct --cluster"
        ) from error
