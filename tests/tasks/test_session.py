"""What a session keeps from the screen."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import dask
import psutil
import pytest
from distributed.comm.core import CommClosedError

from hela_dask.tasks.cluster import read_cluster
from hela_dask.tasks.dashboard import deserves_traceback, find_dashboard, quiet_logs
from hela_dask.tasks.progress import RunProgress
from hela_dask.tasks.session import Session

_REMOTE = ("SSH_CONNECTION", "SSH_TTY")
_HUB = ("JUPYTERHUB_PUBLIC_URL", "JUPYTERHUB_SERVICE_PREFIX")


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (NameError("cannot access free variable 'future' where it is not associated"), False),
        (NameError("name 'volume' is not defined"), True),
        (ValueError("'future'"), True),
    ],
)
def test_only_the_clean_up_of_an_interrupted_call_is_silent(error: Exception, shown: bool) -> None:
    try:
        raise error
    except (NameError, ValueError):
        record = logging.LogRecord("x", logging.ERROR, "x", 1, "callback", None, sys.exc_info())
    assert deserves_traceback(record) is shown


class WebSocketClosedError(Exception):
    __module__ = "tornado.websocket"


def bokeh_closes() -> None:
    """When a tab is closed while its page is sent, an assertion in bokeh fails."""
    code = "def on_connection_close():\n    assert None, 'no session'\non_connection_close()\n"
    exec(compile(code, "/site-packages/tornado/websocket.py", "exec"))


def own_fault() -> None:
    raise AssertionError("of the program")


def closed_tab() -> None:
    raise RuntimeError("sending") from WebSocketClosedError()


@pytest.mark.parametrize(
    ("name", "call", "shown"),
    [
        ("tornado.application", bokeh_closes, False),
        ("tornado.application", closed_tab, False),
        ("bokeh.server.views.ws", closed_tab, False),
        ("tornado.application", own_fault, True),
        ("distributed.utils", own_fault, True),
    ],
)
def test_a_closed_tab_is_silent_and_nothing_else(
    name: str, call: Callable[[], None], shown: bool
) -> None:
    try:
        call()
    except (AssertionError, RuntimeError):
        record = logging.LogRecord(name, logging.ERROR, "x", 1, "failed", None, sys.exc_info())
    assert deserves_traceback(record) is shown


@pytest.mark.parametrize(
    ("message", "error", "shown"),
    [
        ("Failed to reconnect to scheduler after %.2f seconds", None, False),
        ("", ConnectionRefusedError(111, "Connection refused"), False),
        ("", TimeoutError(), False),
        ("", asyncio.CancelledError(), False),
        ("", CommClosedError("in <TCP>"), False),
        ("", ValueError("of the program"), True),
        ("Another error", None, True),
    ],
)
@pytest.mark.parametrize("name", ["distributed.batched", "distributed.client"])
def test_a_lost_scheduler_is_not_logged_twice(
    name: str, message: str, error: BaseException | None, shown: bool
) -> None:
    facts = None if error is None else (type(error), error, None)
    record = logging.LogRecord(name, logging.ERROR, "x", 1, message, None, facts)
    assert deserves_traceback(record) is shown


def test_filters_go_with_the_run() -> None:
    before = list(logging.getLogger("tornado.application").filters)
    with quiet_logs():
        assert deserves_traceback in logging.getLogger("tornado.application").filters
    assert logging.getLogger("tornado.application").filters == before


def test_a_dashboard_on_loopback_comes_with_the_line_of_ssh(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (*_REMOTE, *_HUB):
        monkeypatch.delenv(name, raising=False)

    def dashboard_text(link: str, **more: bool) -> str:
        return str(find_dashboard(link, **more))

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        link = f"http://10.1.2.3:{port}/status"
        assert dashboard_text(link, started_here=False) == f"dashboard: {link}"
        here = f"http://127.0.0.1:{port}/status"
        assert dashboard_text(link, started_here=True) == f"dashboard: {here}"
        text = dashboard_text(link, started_here=True, remote=True)
        assert f"ssh -L {port}:127.0.0.1:{port} " in text and text.endswith(f"open {here}")
        monkeypatch.setenv("SSH_CONNECTION", "1")
        assert "ssh -L" in dashboard_text(link, started_here=True)
    assert dashboard_text(link, started_here=True) == f"dashboard: {link}", "nothing listens there"


def test_under_jupyterhub_the_dashboard_is_behind_its_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "1")
    monkeypatch.delenv("JUPYTERHUB_PUBLIC_URL", raising=False)
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/me/")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        link = f"http://127.0.0.1:{port}/status"
        found = find_dashboard(link, started_here=True)
        assert found == (link, f"/user/me/proxy/{port}/status", "")
        monkeypatch.setenv("JUPYTERHUB_PUBLIC_URL", "https://hub.org/user/me/")
        found = find_dashboard(link, started_here=True)
        assert found.address == f"https://hub.org/user/me/proxy/{port}/status"
        with dask.config.set({"distributed.dashboard.link": "https://x.org/{port}/status"}):
            own = f"https://x.org/{port}/status"
            assert find_dashboard(own, started_here=True) == (own, own, "")


def _listening() -> set[tuple[str, int]]:
    """Hosts and ports that this process and its children listen on."""
    ports = []
    for item in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):  # ended meanwhile, or not waited for yet
            ports += item.net_connections()
    return {(port.laddr.ip, port.laddr.port) for port in ports if port.status == psutil.CONN_LISTEN}


@pytest.mark.slow
@pytest.mark.usefixtures("performance_page")
def test_the_page_of_performance_and_the_ports_need_no_network(tmp_path: Path) -> None:
    progress = RunProgress(False)
    session = Session(
        None,
        read_cluster(workers=1),
        store=tmp_path,
        run=tmp_path,
        needs=[],
        progress=progress,
        begin=lambda: None,
    )
    before = _listening()  # of clusters that other tests have started here
    with session:
        client = session.client()
        assert client.submit(sum, [1, 2]).result() == 3
        # One of those may have ended, so that the new dashboard listens on its port.
        page_port = client.scheduler_info()["services"]["dashboard"]
        listening = _listening()
        hosts = {host for host, port in listening if port == page_port}
        hosts |= {host for host, _ in listening - before}
    page = (tmp_path / "performance.html").read_text(encoding="utf-8")
    assert not re.search(r"<script[^>]*src=|<link[^>]*stylesheet", page), "it loads nothing"
    assert "Bokeh" in page
    assert hosts and hosts <= {"127.0.0.1", "::1"}
