"""dask's dashboard and its report: its address from another machine, and a filter of its log."""

from __future__ import annotations

import asyncio
import getpass
import logging
import os
import socket
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

__all__ = ["Dashboard", "deserves_traceback", "find_dashboard", "quiet_logs"]

_CLIENT = ("distributed.batched", "distributed.client")  # where a client loses its scheduler
_LOGGERS = (
    "asyncio",
    "bokeh.server.protocol_handler",
    "bokeh.server.session",
    "bokeh.server.views.ws",
    *_CLIENT,
    "distributed.utils",
    "tornado.access",
    "tornado.application",
    "tornado.general",
)
_CLOSING = ("on_connection_close", "on_ws_connection_close")  # of tornado's handlers
_LINK = "{scheme}://{host}:{port}/status"  # dask's default
_TAB = ("WebSocketClosedError", "StreamClosedError", "WebSocketError")  # of tornado


class Dashboard(NamedTuple):
    """Where dask's dashboard is."""

    link: str  # as dask gives it
    address: str  # for a browser
    ssh: str = ""  # the command that forwards it to another computer; empty where none is needed

    def __str__(self) -> str:
        if self.ssh:
            return f"dashboard: on your own computer, {self.ssh}, then open {self.address}"
        return f"dashboard: {self.address}"


def find_dashboard(link: str, *, started_here: bool, remote: bool = False) -> Dashboard:
    """Where the dashboard is, and how to reach it from another machine.

    `link` is as dask gives it: with the scheduler's host, also where it listens on loopback only.
    `started_here`: it is one of a cluster that this process started. `remote`: the person sits at
    another machine, as in front of a login node; a session of ssh is noticed.

    Under JupyterHub, where the browser does not reach this machine, it is the path of
    jupyter-server-proxy. A link that dask's setting ``distributed.dashboard.link`` gives is used as
    it is.

    Examples
    --------
    On a login node: ``dashboard: on your own computer, ssh -L 8787:127.0.0.1:8787
    me@login1, then open http://127.0.0.1:8787/status``.
    """
    parts = urlsplit(link)
    if not parts.hostname or not _is_default_link():
        return Dashboard(link, link)
    port = parts.port or 80
    if not started_here or not _listens("127.0.0.1", port):
        return Dashboard(link, link)
    if hub := _hub_prefix():
        return Dashboard(link, f"{hub}proxy/{port}{parts.path}")
    here = f"http://127.0.0.1:{port}{parts.path}"
    if not remote and not any(name in os.environ for name in ("SSH_CONNECTION", "SSH_TTY")):
        return Dashboard(link, here)
    return Dashboard(link, here, f"ssh -L {port}:127.0.0.1:{port} {_user()}@{socket.gethostname()}")


def _is_default_link() -> bool:
    """Whether the user has no setting for the addresses of dashboards."""
    import dask

    return str(dask.config.get("distributed.dashboard.link", _LINK)) == _LINK


def _hub_prefix() -> str:
    """The address of this user's server of JupyterHub, with a slash at its end; else empty.

    With the hub's host, where the hub states it; else the path on the host that the browser shows.
    """
    for name in ("JUPYTERHUB_PUBLIC_URL", "JUPYTERHUB_SERVICE_PREFIX"):
        if found := os.environ.get(name, ""):
            return found.rstrip("/") + "/"
    return ""


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no name for this number
        return "USER"


def deserves_traceback(record: logging.LogRecord) -> bool:
    """Whether an error in the event loop is relevant.

    Where Ctrl-C comes before a call has reached the loop, distributed's own clean-up of that call
    fails on a name without a value; the run itself reports the interruption. Where the tab of a
    dashboard is closed while its page is sent, tornado and bokeh find their connection closed.
    And that a client has lost its scheduler is an error of the run, with a sentence.
    """
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, NameError) and "'future'" in str(error):
        return False
    if record.name in _CLIENT:
        # Refused, timed out, distributed's CommClosedError, or given up while it tried again.
        gone = isinstance(error, OSError | asyncio.CancelledError)
        return not gone and not str(record.msg).startswith("Failed to reconnect to scheduler")
    return not _is_closed_tab(record, error)


def _is_closed_tab(record: logging.LogRecord, error: BaseException | None) -> bool:
    """Whether a record is about the connection of a browser that went away."""
    while error is not None:
        frames = traceback.extract_tb(error.__traceback__)
        if any(frame.name in _CLOSING and "tornado" in frame.filename for frame in frames):
            return True
        if type(error).__name__ in _TAB and type(error).__module__.startswith("tornado"):
            return True
        error = error.__cause__ or error.__context__
    text = record.getMessage()
    return record.name != "distributed.utils" and any(name in text for name in _TAB)


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Filter records that :func:`deserves_traceback` refuses."""
    with ExitStack() as stack:
        for name in _LOGGERS:
            logger = logging.getLogger(name)
            logger.addFilter(deserves_traceback)
            stack.callback(logger.removeFilter, deserves_traceback)
        yield
