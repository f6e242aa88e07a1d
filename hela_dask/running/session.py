"""The client that a run computes with: started only when there is something to compute."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import hela_dask
from hela_dask.cluster import Cluster, connect
from hela_dask.errors import InputError, ParameterError
from hela_dask.planning.needs import Need, check_memory
from hela_dask.running.progress import RunProgress
from hela_dask.running.provenance import dask_facts

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Session"]


def is_worth_a_traceback(record: logging.LogRecord) -> bool:
    """Whether an error in the event loop says anything.

    Where Ctrl-C comes before a call has reached the loop, distributed's own clean-up of that call
    fails on a name without a value; the interruption itself is told by the run.
    """
    error = record.exc_info[1] if record.exc_info else None
    return not (isinstance(error, NameError) and "'future'" in str(error))


class Session:
    """A client, the caller's own or one that lives as long as this.

    Parameters
    ----------
    given : distributed.Client or None
        The caller's, which stays open.
    cluster : Cluster
        What to start or reach where none is given.
    store, run : Path
        The image, which every worker must see, and the run folder, which gets
        ``performance.html``.
    needs : list of Need
        Compared with the workers' memory.
    progress : RunProgress
        Told the dashboard's address.
    begin : callable
        Called once, before the cluster starts.
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
        self._stack = contextlib.ExitStack()
        logging.getLogger("tornado.application").addFilter(is_worth_a_traceback)
        self._stack.callback(
            logging.getLogger("tornado.application").removeFilter, is_worth_a_traceback
        )
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
                self._report.__exit__(None, None, None)

    @property
    def started(self) -> bool:
        """Whether anything was computed."""
        return self._client is not None

    def client(self) -> Client:
        """The client; the first call starts what has to be started."""
        if self._client is None:
            self._begin()
            self._client = self._start()
        return self._client

    def check(self, needs: list[Need]) -> None:
        """Compare further needs with the memory of the workers, also of those to come."""
        self._needs = [*self._needs, *needs]
        client = self._client or self._given
        check_memory(needs, _memory(client) if client else self._cluster.memory)

    def _start(self) -> Client:
        from distributed import performance_report

        if self._given is not None:
            client = self._given
        else:
            self._progress.say("starting the workers")
            client = self._stack.enter_context(connect(self._cluster))
        self._stack.enter_context(client.as_current())
        if self._cluster.kind != "local" or self._given is not None:
            if not client.nthreads():
                self._progress.say("waiting for the first worker")
            client.wait_for_workers(1)
            _check_workers(client, self._store)
            check_memory(self._needs, _memory(client))
        if client.dashboard_link:
            self._progress.say(f"dashboard: {client.dashboard_link}")
        self.facts = dask_facts(client)
        self._report = performance_report(filename=str(self._run / "performance.html"))
        self._report.__enter__()
        return client


def _memory(client: Client) -> int | None:
    """Memory for one task: the least that any worker has for each of its threads."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    shares = [
        worker["memory_limit"] // max(1, worker["nthreads"])
        for worker in workers
        if worker["memory_limit"]
    ]
    return min(shares, default=None)


def _probe(store: str) -> tuple[str, bool]:
    return hela_dask.__version__, Path(store).exists()


def _check_workers(client: Client, store: Path) -> None:
    """All workers must have this version and see the same files."""
    try:
        answers = client.run(_probe, str(store.absolute()))
    except Exception as error:
        raise InputError(f"the workers cannot use hela_dask: {error}") from error
    for address, (version, visible) in answers.items():
        if version != hela_dask.__version__:
            raise InputError(
                f"worker {address} has hela_dask {version}, this is {hela_dask.__version__}: "
                "install the same version everywhere"
            )
        if not visible:
            raise InputError(
                f"worker {address} does not see {store}: put it on a file system that all "
                "workers share, under the same path"
            )
