"""Addresses of schedulers: what is wrong is said at once, or within a stated time."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import pytest

from hela_dask.errors import ClusterError, HelaDaskError, InputError, ParameterError
from hela_dask.tasks.cluster import connect, read_cluster
from hela_dask.tasks.cluster.address import parse_address


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tcp://", "name its host"),
        ("tls://:8786", "name its host"),
        ("foo://h", "begins with one of tcp, tls, ws, wss"),
        ("http://h:8787", "begins with one of tcp"),
        ("file:///x.yaml", "begins with one of tcp"),
        ("://h", "begins with one of tcp"),
        ("tcp://h:port", "is not the address"),
        ("tcp://h:99999", "is not the address"),
        ("tcp://h:0", "port 0"),
        ("tcp://[::1", "is not the address"),
        ("tcp://h:1/status", "nothing may follow the port"),
        ("tcp://h:1?a=b", "nothing may follow the port"),
        ("tcp://me@h:1", "name its host"),
    ],
)
def test_what_is_no_address_is_refused_before_anything_else(text: str, message: str) -> None:
    with pytest.raises(ParameterError, match="--cluster") as caught:
        read_cluster(text)
    assert message in str(caught.value) and text in str(caught.value)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("tcp://10.0.0.1:8786", "tcp://10.0.0.1:8786"),
        ("tcp://login1", "tcp://login1:8786"),
        ("tls://[::1]:9000/", "tls://[::1]:9000"),
        ("TCP://host:1", "tcp://host:1"),
    ],
)
def test_addresses_get_their_port(text: str, address: str) -> None:
    assert parse_address(text) == address


@contextlib.contextmanager
def mute() -> Iterator[int]:
    """A port that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop, held = threading.Event(), []

        def accept() -> None:
            server.settimeout(0.2)
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    held.append(server.accept()[0])

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            stop.set()
            thread.join()
            for item in held:
                item.close()


def fails(address: str) -> tuple[HelaDaskError, float]:
    """The error of a connection, and how long it took."""
    start = time.monotonic()
    with pytest.raises(HelaDaskError) as caught, connect(read_cluster(address)):
        pytest.fail("there is no scheduler")
    assert "\n" not in str(caught.value)
    return caught.value, time.monotonic() - start


def test_a_closed_port_is_reported_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hela_dask.tasks.cluster.address._ANSWER", 60)
    error, seconds = fails("tcp://127.0.0.1:1")
    assert isinstance(error, ClusterError) and "no dask scheduler listens" in str(error)
    assert seconds < 30, "an answer is not waited for"


def test_a_host_that_is_not_known_is_named() -> None:
    error, _ = fails("tcp://no-such-host.invalid:8786")
    assert isinstance(error, ClusterError) and "'no-such-host.invalid'" in str(error)


def test_what_listens_and_is_no_scheduler_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hela_dask.tasks.cluster.address._ANSWER", 1)
    with mute() as port:
        error, seconds = fails(f"tcp://127.0.0.1:{port}")
    assert isinstance(error, ClusterError) and "no dask scheduler answers within 1 s" in str(error)
    assert seconds < 15, "shorter than the time that is given by default"


@pytest.mark.parametrize("left_out", ["ca-file", "client.cert", "client.key"])
def test_tls_names_the_setting_that_is_missing(tmp_path: Path, left_out: str) -> None:
    (tmp_path / "some.pem").touch()
    names = {name for name in ("ca-file", "client.cert", "client.key") if name != left_out}
    settings = {f"distributed.comm.tls.{name}": str(tmp_path / "some.pem") for name in names}
    with dask.config.set(settings):
        error, _ = fails("tls://127.0.0.1:1")
    assert isinstance(error, InputError) and f"distributed.comm.tls.{left_out}" in str(error)


def test_tls_names_the_file_that_is_missing() -> None:
    with dask.config.set({"distributed.comm.tls.ca-file": "/nowhere/ca.pem"}):
        error, _ = fails("tls://127.0.0.1:1")
    assert "/nowhere/ca.pem" in str(error)


def test_a_plain_client_of_an_encrypted_scheduler_gets_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("cryptography")
    from distributed import LocalCluster
    from distributed.security import Security

    monkeypatch.setattr("hela_dask.tasks.cluster.address._ANSWER", 2)
    with LocalCluster(
        n_workers=0, security=Security.temporary(), dashboard_address="127.0.0.1:0"
    ) as cluster:
        address: Any = cluster.scheduler_address
        error, _ = fails(address.replace("tls://", "tcp://"))
    assert isinstance(error, ClusterError) and "(not tls)" in str(error)


def test_the_command_to_go_on_with_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from hela_dask.cli import main
    from tests.scenes import make_scene

    scene = make_scene(tmp_path / "some scene.ome.zarr")
    assert main(["run", str(scene), "--cluster", "tcp://127.0.0.1:1"]) == 1
    errors = capsys.readouterr().err
    assert f"(hela-dask run '{scene}' --cluster tcp://127.0.0.1:1)" in " ".join(errors.split())
    assert "Traceback" not in errors
