"""Measurements of one worker of a cluster, as rows of a check."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hela_dask.errors import HelaDaskError
from hela_dask.formatting import size_text
from hela_dask.storage.urls import StorePath, StoreUrl, store_path
from hela_dask.tasks.cluster import probes
from hela_dask.tasks.cluster.findings import Row
from hela_dask.tasks.cluster.reading import Cluster
from hela_dask.tasks.versions import versions

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["measure"]

_PROBE = 120  # seconds for one measurement
_READING = 10.0  # seconds to read the store
_VISIBLE = 30.0  # seconds until a file of the worker is seen here
_SAME = ("hela_dask", "dask", "distributed", "numpy", "zarr", "numba")
_TOO_SLOW = 20e6  # bytes per second of a store: a run then waits for its image
_LATENCY = 0.05  # seconds for a connection to the scheduler
_FREE = 2 * 2**30  # bytes for spilled data
_CLOCKS = (2.0, 60.0)  # seconds of difference for a warning, and for a failure
_FILES = 1024  # open files
_MIB = 2**20


def measure(
    client: Client, address: str, request: Cluster, store: str | StorePath | None, folder: Path
) -> Iterator[Row]:
    """Rows for the worker at `address`; `folder` has the file ``here``."""
    ask = _Asking(client, address)
    software = ask("environment", probes.probe_software)
    if isinstance(software, Row):
        yield software
        return
    yield _software(software)
    if store is not None:
        yield from _store(ask, str(store_path(store).absolute()))
    yield from _folder(ask, folder)
    yield from _network(ask, client, address)
    yield from _scratch(ask)
    limits = ask("memory", probes.probe_limits)
    if isinstance(limits, Row):
        yield limits
        return
    yield _memory(limits, request)
    yield _cpus(limits, request)
    yield from _files(limits)
    yield _clock(ask)


class _Asking:
    """Runs functions on one worker."""

    def __init__(self, client: Client, address: str) -> None:
        self.client, self.address = client, address

    def __call__(self, name: str, function: Callable[..., Any], *given: Any) -> Any:
        """The result of a function there; a failed row where it has an error."""
        future = self.client.submit(
            function, *given, workers=[self.address], pure=False, allow_other_workers=False
        )
        try:
            return future.result(timeout=_PROBE)
        except ImportError as error:
            text = f"the worker cannot import hela_dask: {error}"
            advice = "install hela_dask where the workers run, in the same version as here"
            return Row(name, "failed", text, advice)
        except TimeoutError:
            text = f"the worker does not answer within {_PROBE} s"
            return Row(name, "failed", text, "see the log of the worker, and the load of its node")
        except (Exception, HelaDaskError) as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())
            advice = "see the log of the worker; the versions there may be other ones"
            return Row(name, "failed", f"the worker reports {text}", advice)


def _software(found: dict[str, Any]) -> Row:
    here, there = versions(), found["versions"]
    where = f"{found['python']} on {found['host']}"
    short = {
        name: ".".join(side["python"].split(".")[:2]) for name, side in (("h", here), ("t", there))
    }
    other = [
        f"{name} {there.get(name, 'is missing')} (here {here.get(name, 'missing')})"
        for name in _SAME
        if there.get(name) != here.get(name)
    ]
    if short["h"] != short["t"]:
        other.insert(0, f"Python {there['python']} (here {here['python']})")
    if other:
        return Row(
            "environment",
            "failed",
            f"{where} has {', '.join(other)}",
            "install the same versions there, or name the Python of this environment in "
            "options.python (in options.image for containers)",
        )
    names = ", ".join(f"{name} {there[name]}" for name in ("python", "hela_dask", "dask"))
    return Row("environment", "ok", f"{where}: {names}")


def _store(ask: _Asking, store: str) -> Iterator[Row]:
    problem = ask("store", probes.probe_store, store)
    if isinstance(problem, Row):
        yield problem
        return
    if problem:
        advice = "put the store on a file system that all nodes see, under the same path"
        if isinstance(store_path(store), StoreUrl):
            advice = "give the nodes a network, and the worker its credentials (docs/remote.md)"
        yield Row("store", "failed", f"the worker cannot open it: {problem}", advice)
        return
    speed = ask("read speed", probes.read_store, store, _READING)
    if isinstance(speed, Row):
        yield speed
        return
    rate = speed["bytes"] / max(speed["seconds"], 1e-6)
    text = (
        f"{rate / 1e6:.0f} MB/s of voxels ({speed['files']} files, {size_text(speed['bytes'])}; "
        "files that the node has read before count as fast)"
    )
    if rate < _TOO_SLOW:
        advice = "copy the store to a faster file system: runs wait for the image here"
        yield Row("read speed", "warning", text, advice)
    else:
        yield Row("read speed", "ok", text)


def _folder(ask: _Asking, folder: Path) -> Iterator[Row]:
    found = ask("run folder", probes.probe_folder, str(folder))
    if isinstance(found, Row):
        yield found
        return
    place = folder.parent
    advice = "name a folder with --out that all nodes see under the same path, and may write"
    if found["problem"]:
        yield Row("run folder", "failed", f"{place}: the worker {found['problem']}", advice)
        return
    start = time.monotonic()
    while probes.read_note(folder / "there") != probes.NOTE:
        if time.monotonic() - start > _VISIBLE:
            text = f"{place}: a file of the worker is not seen here after {_VISIBLE:.0f} s"
            yield Row("run folder", "failed", text, advice)
            return
        time.sleep(0.1)
        with contextlib.suppress(OSError):  # a network file system then asks its server
            list(folder.iterdir())
    lag = time.monotonic() - start
    rate = found["bytes"] / max(found["seconds"], 1e-6) / 1e6
    seen = f"{place}: both sides see each other's files"
    text = f"{seen} ({f'after {lag:.0f} s, ' if lag > 1 else ''}writes {rate:.0f} MB/s)"
    yield Row("run folder", "ok", text)


def _network(ask: _Asking, client: Client, address: str) -> Iterator[Row]:
    scheduler = urlsplit(client.scheduler.address if client.scheduler else "")
    times: list[float] = []
    if scheduler.scheme in ("tcp", "tls", "ws", "wss") and scheduler.hostname:
        found = ask("network", probes.probe_network, scheduler.hostname, scheduler.port or 8786)
        if not isinstance(found, Row):  # by another address, as behind a forwarded port
            times = sorted(found)
    calls = []
    for _ in range(10):
        start = time.monotonic()
        ask("network", abs, -1)
        calls.append(time.monotonic() - start)
    block = bytes(16 * _MIB)
    start = time.monotonic()
    client.scatter(block, workers=[address], direct=False, hash=False)
    rate = len(block) / max(time.monotonic() - start, 1e-6) / 1e6
    text = f"a task takes {sorted(calls)[len(calls) // 2] * 1e3:.0f} ms, {rate:.0f} MB/s"
    if times:
        text = f"{times[len(times) // 2] * 1e3:.1f} ms to the scheduler; {text}"
    if times and times[len(times) // 2] > _LATENCY:
        advice = "start the run nearer to the nodes, or name a faster network in options.interface"
        yield Row("network", "warning", text, advice)
    else:
        yield Row("network", "ok", text)


def _scratch(ask: _Asking) -> Iterator[Row]:
    found = ask("local disk", probes.probe_scratch)
    if isinstance(found, Row):
        yield found
        return
    folder = found["folder"]
    advice = "set options.local_directory to a local disk of the node"
    if found["problem"]:
        text = f"{folder} cannot be written: {found['problem']}"
        yield Row("local disk", "failed", text, advice)
        return
    rate = found["bytes"] / max(found["seconds"], 1e-6) / 1e6
    text = f"{folder}: {size_text(found['free'])} free, writes {rate:.0f} MB/s"
    if found["kind"] == "shared":
        yield Row("local disk", "warning", f"{text}; it is a network file system", advice)
    elif found["kind"] == "memory":
        more = f"{text}; it is in memory, so that spilled data take the memory of the job"
        yield Row("local disk", "warning", more, advice)
    elif found["free"] < _FREE:
        yield Row("local disk", "warning", text, f"free {size_text(_FREE)} there, or {advice}")
    else:
        yield Row("local disk", "ok", text)


def _memory(limits: dict[str, Any], request: Cluster) -> Row:
    name, least = min(limits["memory"].items(), key=lambda item: item[1])
    mine, size = limits["worker"], request.options.get("memory")
    asked = f"; the job requests {size_text(size)}" if isinstance(size, int) else ""
    processes = request.options.get("processes", 1)
    if not mine:
        advice = "start workers with --memory-limit: a run then ends a task before the system does"
        return Row("memory", "warning", "the worker has no limit", advice)
    text = f"the worker may use {size_text(mine)}{asked}; least limit {size_text(least)} ({name})"
    if least < mine * processes:
        return Row(
            "memory",
            "failed",
            text,
            f"the worker would be ended at {size_text(least)}: request less with options.memory "
            "or --memory, or raise that limit",
        )
    if name.startswith("ulimit"):
        advice = "remove the ulimit: Python and numba reserve more address space than they use"
        return Row("memory", "warning", text, advice)
    return Row("memory", "ok", text)


def _cpus(limits: dict[str, Any], request: Cluster) -> Row:
    needed = limits["threads"] * request.options.get("processes", 1)
    text = f"{limits['cpus']} visible, {limits['threads']} thread(s) per worker"
    if limits["cpus"] < needed:
        advice = "raise options.cores, or lower options.processes"
        return Row("CPUs", "failed", f"{text}, {needed} needed", advice)
    if limits["threads"] > 1:
        advice = "use one thread per worker (--nthreads 1): a cell cannot use more"
        return Row("CPUs", "warning", text, advice)
    return Row("CPUs", "ok", text)


def _files(limits: dict[str, Any]) -> Iterator[Row]:
    if limits["files"] is not None and limits["files"] < _FILES:
        text = f"a process may open {limits['files']}"
        yield Row("open files", "warning", text, f"add ulimit -n {_FILES} to job_script_prologue")


def _clock(ask: _Asking) -> Row:
    best, offset = 1e9, 0.0
    for _ in range(5):
        before, tick = time.time(), time.monotonic()
        there = ask("clock", time.time)
        taken = time.monotonic() - tick
        if isinstance(there, Row):
            return there
        if taken < best:
            best, offset = taken, there - before - taken / 2
    text = f"{abs(offset):.1f} s difference" if abs(offset) > best else "no difference"
    advice = "synchronise the clocks (NTP): certificates are valid only from their time on"
    if abs(offset) > _CLOCKS[1]:
        return Row("clock", "failed", text, advice)
    return Row(
        "clock",
        "warning" if abs(offset) > _CLOCKS[0] else "ok",
        text,
        advice if abs(offset) > _CLOCKS[0] else "",
    )
