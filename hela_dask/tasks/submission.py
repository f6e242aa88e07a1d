"""Units on their way through a dask scheduler: submitted a few at a time, collected as they end."""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any

from hela_dask.errors import ClusterError, HelaDaskError, InputError, WorkerError
from hela_dask.tasks.departures import Departures
from hela_dask.tasks.scheduler import is_connected, reconnect, scheduler_calls
from hela_dask.tasks.waiting import Waiting
from hela_dask.tasks.worker_preload import MEMORY_TOPIC
from hela_dask.tasks.workers import CONTINUES, check_workers, run_unit, shared_paths
from hela_dask.version import __version__

if TYPE_CHECKING:
    from distributed import Client, Future, KilledWorker

    from hela_dask.tasks.markers import Markers
    from hela_dask.tasks.progress import RunProgress
    from hela_dask.tasks.units import Row, Unit

__all__ = ["Submission"]

log = logging.getLogger(__name__)

_PATIENCE = 0.5  # seconds between polls of the workers, while nothing ends
_SELDOM = 5.0  # seconds between looks at the memory of the workers, which may be many
_GRAPHS = 32  # units with graphs that are submitted at a time, at least
_DROPPED = 5  # times that the cluster may drop a unit, which is then submitted again
_MAX_FAILURES = 3  # units given up, where none has ended: no other will
_MEMORY_EVENTS = ("worker-restart-memory", MEMORY_TOPIC)  # of the nanny, of the worker


class Submission:
    """A stage's units on a client; the dashboard names the stage by `label`.

    The other arguments are those of :func:`~hela_dask.tasks.dispatch.run_units`.
    """

    def __init__(
        self,
        client: Client,
        task: Callable[..., Row],
        job: Any,
        markers: Markers,
        progress: RunProgress,
        *,
        label: str,
        inputs: Callable[[Unit], Sequence[Any]] | None = None,
    ) -> None:
        self._client, self._markers, self._label = client, markers, label
        self._paths = shared_paths(job)
        self._call = partial(run_unit, task, job, __version__, self._paths)
        self._inputs = inputs
        self._token = job.lock.token[:8]
        self._rounds = itertools.count()
        self._dropped: Counter[str] = Counter()
        self._waiting, self._departures = Waiting(client, progress), Departures(client)
        self._progress, self._looked = progress, -math.inf
        with scheduler_calls(client):
            self._address = str(client.scheduler.address if client.scheduler else "")
            self._window = Window(client, self._look)
        self._here: set[str] = set()
        self._todo: deque[Unit] = deque()
        self._flying: dict[str, tuple[Future[Any], Unit]] = {}
        self._ends = self._given_up = 0  # units
        self._ended: SimpleQueue[Future[Any]] = SimpleQueue()

    def run(
        self, units: Sequence[Unit], *, alone: bool = False
    ) -> Iterator[tuple[Unit, Row | Exception]]:
        """Each unit with its outcome as it ends; those that still run are cancelled at the end.

        Ended units are collected at once and replaced at once, however many they are: a scheduler
        that falls behind is asked less often, not more. `alone`: one at a time. ClusterError when
        the scheduler is gone and does not come back.
        """
        self._todo.extend(units)
        try:
            self._fill(alone)
            while self._flying or self._todo:
                self._progress.fly(len(self._flying))
                batch = self._drained()
                if not is_connected(self._client):
                    yield from self._after_a_loss()
                else:
                    yield from self._collected(batch)
                self._fill(alone)
        finally:
            self._todo.clear()
            if self._flying and is_connected(self._client):
                left = [future for future, _ in self._flying.values()]
                with contextlib.suppress(OSError):
                    self._client.cancel(left, force=True)
            self._flying.clear()

    def memory_before(self, address: str) -> int:
        """Bytes that a worker held when it was last seen short of memory; 0 where it was not."""
        with scheduler_calls(self._client):
            events = [
                event
                for topic in _MEMORY_EVENTS
                for _, event in self._client.get_events(topic)
                if isinstance(event, dict) and event.get("worker") == address
            ]
        return max((int(event.get("rss", 0)) for event in events), default=0)

    def others_lost(self, error: KilledWorker) -> bool:
        """Whether more workers are gone than a unit that ran alone can have ended."""
        with scheduler_calls(self._client):
            gone = self._here - set(self._client.nthreads())
        return len(gone) > error.allowed_failures + 1

    def _fill(self, alone: bool) -> None:
        """Submit as many units as the window allows."""
        with scheduler_calls(self._client):
            if alone:
                room = 1 - len(self._flying)
                if room and self._todo:
                    self._here = set(self._client.nthreads())
            else:
                left = len(self._todo) + len(self._flying)
                room = self._window(left, graphs=self._inputs is not None) - len(self._flying)
            batch = [self._todo.popleft() for _ in range(min(max(room, 0), len(self._todo)))]
            if not batch:
                return
            end = f"{self._token}-{next(self._rounds)}"
            keys = [f"{self._label}-{unit.name}-{end}" for unit in batch]
            futures = self._submit(keys, batch)
        for key, future, unit in zip(keys, futures, batch, strict=True):
            self._flying[key] = (future, unit)
            future.add_done_callback(self._ended.put)

    def _look(self, workers: int) -> None:
        """Each time that workers are counted: warn where there is none, and note their memory."""
        self._waiting.look(workers)
        if monotonic() - self._looked >= _SELDOM:
            self._looked = monotonic()
            with scheduler_calls(self._client):
                found = self._client.scheduler_info(n_workers=-1)["workers"]
            self._progress.see_workers(found)

    def _submit(self, keys: list[str], batch: Sequence[Unit]) -> list[Future[Any]]:
        """Hand units to the scheduler, with the graphs of their inputs."""
        if self._inputs is None:
            futures: list[Future[Any]] = self._client.map(self._call, batch, key=keys, pure=False)
            return futures
        from dask.delayed import delayed

        calls = [
            delayed(partial(self._call, unit), pure=False, traverse=False)(
                *self._inputs(unit), dask_key_name=key
            )
            for key, unit in zip(keys, batch, strict=True)
        ]
        computed: list[Future[Any]] = self._client.compute(calls)
        return computed

    def _waits_for(self, key: str) -> list[Any]:
        """The keys of the graph of a unit's inputs."""
        if self._inputs is None:
            return []
        from dask.delayed import delayed
        from dask.optimization import cull

        inputs: Any = delayed(self._inputs(self._flying[key][1]))
        return list(cull(dict(inputs.__dask_graph__()), inputs.__dask_keys__())[0])

    def _drained(self) -> list[Future[Any]]:
        """Ended futures; if nothing has, wait for the first, for a short time.

        Workers may have joined meanwhile, and want work.
        """
        found: list[Future[Any]] = []
        with contextlib.suppress(Empty):
            found.append(self._ended.get(timeout=_PATIENCE))
            while True:
                found.append(self._ended.get_nowait())
        return found

    def _collected(self, batch: Sequence[Future[Any]]) -> Iterator[tuple[Unit, Row | Exception]]:
        """The outcomes of ended futures; units that the cluster dropped are submitted again."""
        if not batch:
            self._window.count()
            yield from self._abandoned()
            return
        with scheduler_calls(self._client):
            rows = _rows(self._client, batch)
        for future, row in zip(batch, rows, strict=True):
            if future.key not in self._flying:
                continue
            _, unit = self._flying.pop(future.key)
            self._departures.progress()
            if row is not None:
                self._ends += 1
                yield unit, row
            elif future.status in ("finished", "error"):
                with scheduler_calls(self._client):
                    outcome = self._outcome(future, unit)
                yield unit, outcome
            elif (done := self._again(unit)) is not None:
                yield unit, done

    def _outcome(self, future: Future[Any], unit: Unit) -> Row | Exception:
        """The task's row, or an error that names the unit and the remedy."""
        from distributed import KilledWorker

        if future.status == "finished":
            row: Row = future.result()
            return row
        error = future.exception()
        if isinstance(error, ClusterError | KilledWorker):
            return error
        if self._inputs is not None:  # the task that computed them does not check its worker
            try:
                check_workers(self._client, self._paths)
            except InputError as problem:
                return ClusterError(f"{problem}; {CONTINUES}")
        if isinstance(error, HelaDaskError):
            return error
        failure = RuntimeError(f"{unit.stage} {unit.name} failed: {type(error).__name__}: {error}")
        failure.__cause__ = error
        return failure

    def _abandoned(self) -> Iterator[tuple[Unit, Exception]]:
        """The units that too many workers have left unfinished, each with its error.

        ClusterError when no unit of the stage ends.
        """
        for key, workers in self._departures.has_given_up(self._flying, self._waits_for).items():
            future, unit = self._flying.pop(key)
            with scheduler_calls(self._client):
                future.cancel(force=True)
            self._given_up += 1
            what = f"{workers} workers left before they had finished {unit.stage} {unit.name}"
            advice = (
                "their lifetime may be too short for it (--lifetime, the wall time of jobs), "
                "or they cannot load what it needs: see the workers' logs"
            )
            others = self._flying or self._todo
            if not self._ends and (self._given_up >= _MAX_FAILURES or not others):
                raise ClusterError(
                    f"{what}, and no other unit was finished: {advice}; what is finished is "
                    "kept, and the same command again continues"
                )
            yield unit, WorkerError(f"{what}: {advice}; the same command tries it again")

    def _after_a_loss(self) -> Iterator[tuple[Unit, Row | Exception]]:
        """Wait for the scheduler, then submit again all units without a marker."""
        flying = [unit for _, unit in self._flying.values()]
        self._flying.clear()
        reconnect(self._client, self._address)
        self._ended = SimpleQueue()
        for unit in flying:
            if (done := self._again(unit)) is not None:
                yield unit, done

    def _again(self, unit: Unit) -> Row | Exception | None:
        """Its row, where a unit that the cluster dropped has finished; else None: it waits again.

        ClusterError when the cluster has dropped it too often.
        """
        row = self._markers.result(unit.stage, unit.name, unit.fingerprint)
        if row is not None:
            return row
        self._dropped[unit.name] += 1
        if self._dropped[unit.name] > _DROPPED:
            return ClusterError(
                f"the cluster has dropped {unit.stage} {unit.name} {_DROPPED} times: look at the "
                "scheduler's log; what is finished is kept, and the same command again continues"
            )
        self._todo.appendleft(unit)
        return None


class Window:
    """Number of units that the scheduler is given at a time.

    Three for each thread: over two, dask keeps them in one queue and assigns the next, the largest,
    to the first free worker. But it assigns one more than a worker can run, and the last ones would
    wait behind the largest: so from four per thread on, each thread gets one at a time.

    Workers come and go, so threads are counted again, but not for every unit: that needs a call to
    the scheduler. `look` is called with the number of workers each time that they are counted.
    """

    def __init__(self, client: Client, look: Callable[[int], None] | None = None) -> None:
        self._client, self._look = client, look
        self._threads, self._counted = 1, -math.inf

    def __call__(self, left: int, *, graphs: bool = False) -> int:
        """Number of units that may be submitted.

        Units with graphs share what two of them need only while both are there: of those, many.
        """
        self.count()
        if graphs:
            return max(_GRAPHS, 8 * self._threads)
        return self._threads * (3 if left > 4 * self._threads else 1)

    def count(self) -> None:
        """Count threads again, if the last count is old."""
        now = monotonic()
        if now - self._counted >= _PATIENCE:
            with scheduler_calls(self._client):
                threads = self._client.nthreads()
            self._threads, self._counted = max(1, sum(threads.values())), now
            if self._look is not None:
                self._look(len(threads))


def _rows(client: Client, futures: Sequence[Future[Any]]) -> Sequence[Row | None]:
    """Their results, fetched together; None for each that has none, or where one is lost."""
    finished = [future for future in futures if future.status == "finished"]
    rows = client.gather(finished, errors="skip") if finished else []
    by_key = (
        {future.key: row for future, row in zip(finished, rows, strict=True)}
        if len(rows) == len(finished)
        else {}
    )
    return [by_key.get(future.key) for future in futures]
