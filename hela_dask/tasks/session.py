"""The client that a run computes with: started only when there is something to compute."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from hela_dask.errors import ParameterError, ResourceError
from hela_dask.tasks.cluster import Cluster, connect
from hela_dask.tasks.dashboard import dashboard_text, quiet_logs
from hela_dask.tasks.memory import Need, check_memory
from hela_dask.tasks.progress import RunProgress
from hela_dask.tasks.scheduler import scheduler_calls
from hela_dask.tasks.waiting import Waiting
from hela_dask.tasks.workers import check_workers

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Session"]

log = logging.getLogger(__name__)

_SETTINGS = (
    "array.chunk-size",
    "distributed.scheduler.allowed-failures",
    "distributed.worker.memory",
    "temporary-directory",
)
_PATIENCE = 0.5  # seconds between polls for the first worker


class Session:
    """A client: the caller's own (`given`), which stays open, or one closed with the session.

    `cluster` is started or reached if no client is given, `begin` is called once before. Every
    worker must see the image `store`; the folder `run` gets ``performance.html``. `needs` are
    compared with the workers' memory; `progress` gets the dashboard's address; `imports` are
    modules that the tasks need.
    """

    def __init__(
        self,
        given: Client | None,
        cluster: Cluster,
        *,
        store: Path,
        run: Path,
        needs: list[Need],
        progress: RunProgress,
        begin: Callable[[], None],
        imports: Sequence[str] = (),
    ) -> None:
        if given is not None and getattr(given, "asynchronous", False):
            raise ParameterError("run needs a dask client that is not asynchronous")
        if given is None:
            check_memory(needs, cluster.memory)
        else:
            check_memory(needs, _memory(given))
        self._given, self._cluster = given, cluster
        self._store, self._run, self._needs = store, run, needs
        self._progress, self._begin = progress, begin
        self._imports = tuple(imports)
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(quiet_logs())
        self._client: Client | None = None
        self._report: Any = None
        self.facts: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._stack:
            if self._report is not None and kind is None:
                try:
                    self._report.__exit__(None, None, None)
                except Exception as trouble:  # its output is not needed
                    log.debug("performance.html", exc_info=True)
                    self._progress.warn(f"performance.html could not be written: {trouble}")

    @property
    def started(self) -> bool:
        """Whether anything was computed."""
        return self._client is not None

    def client(self) -> Client:
        """The client; the first call starts the cluster."""
        if self._client is None:
            self._begin()
            self._client = self._start()
        return self._client

    def check(self, needs: list[Need]) -> None:
        """Compare further needs with the memory of the workers, also of those to come."""
        self._needs = [*self._needs, *needs]
        client = self._client or self._given
        check_memory(needs, _memory(client) if client else self._cluster.memory)

    def refusal(self, need: Need) -> str:
        """Why a worker has not the memory for a task; empty where it has, or none is known."""
        client = self._client or self._given
        try:
            check_memory([need], _memory(client) if client else self._cluster.memory)
        except ResourceError as error:
            return str(error)
        return ""

    def _start(self) -> Client:
        from distributed import performance_report

        if self._given is not None:
            client = self._given
        else:
            where = self._cluster.address
            self._progress.info(f"connecting to {where}" if where else "starting the workers")
            client = self._stack.enter_context(connect(self._cluster, self._run, self._imports))
        self._stack.enter_context(client.as_current())
        with scheduler_calls(client):
            if self._cluster.kind != "local" or self._given is not None:
                self._wait(client)
                check_workers(client, [self._store])
                check_memory(self._needs, _memory(client))
            if client.dashboard_link:
                here = self._given is None and not self._cluster.address
                remote = self._cluster.from_file
                link = dashboard_text(client.dashboard_link, started_here=here, remote=remote)
                self._progress.info(link)
            self.facts = _facts(client)
            # Its page works without a network.
            page = str(self._run / "performance.html")
            self._report = performance_report(filename=page, mode="inline")
            self._report.__enter__()
        return client

    def _wait(self, client: Client) -> None:
        """Wait for the first worker, and log the reason."""
        if not client.nthreads():
            self._progress.info("waiting for the first worker")
        waiting = Waiting(client, self._progress)
        while not client.nthreads():
            waiting.look(0)
            time.sleep(_PATIENCE)


def _memory(client: Client) -> int | None:
    """Memory for one task: the least that any worker has for each of its threads."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    shares = [
        worker["memory_limit"] // max(1, worker["nthreads"])
        for worker in workers
        if worker["memory_limit"]
    ]
    return min(shares, default=None)


def _facts(client: Client) -> dict[str, Any]:
    """The cluster, and the settings of dask that matter."""
    import dask

    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return {
        "workers": len(workers),
        "threads": sum(worker["nthreads"] for worker in workers),
        "memory_of_a_worker": min((worker["memory_limit"] for worker in workers), default=0),
        "scheduler": str(client.scheduler.address) if client.scheduler else "",
        "dashboard": client.dashboard_link or "",
        "config": {name: dask.config.get(name, None) for name in _SETTINGS},
    }
