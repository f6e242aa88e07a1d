"""Units of work handed to a dask client a few at a time, largest first; finished ones skipped."""

from __future__ import annotations

import contextlib
import logging
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any

from hela_dask.errors import HelaDaskError, ResourceError, StorageError

if TYPE_CHECKING:
    from distributed import Client, Future

    from hela_dask.running.markers import Markers
    from hela_dask.running.progress import RunProgress

__all__ = ["Unit", "run_units"]

log = logging.getLogger(__name__)

_PATIENCE = 0.5  # seconds between looks at the workers, while nothing ends

Row = dict[str, Any]
Failure = Callable[["Unit", str], Row]


@dataclass(frozen=True)
class Unit:
    """One piece of work: a slab, a slice or a cell. Small, it travels to the worker.

    Parameters
    ----------
    stage, name : str
        Together the name of its marker.
    fingerprint : str
        Of everything that its result depends on.
    what : Any
        What the stage's task needs to know beside the job, for example a Region.
    cost : float
        For the order only: the largest start first, so that none is left alone at the end.
    """

    stage: str
    name: str
    fingerprint: str
    what: Any = None
    cost: float = 0.0


def run_units(
    client: Callable[[], Client],
    task: Callable[[Any, Unit], Row],
    job: Any,
    units: Sequence[Unit],
    *,
    markers: Markers,
    progress: RunProgress,
    kind: str,
    on_failure: Failure | None = None,
    gpu: bool = False,
) -> dict[str, Row]:
    """Run a stage: ``task(job, unit)`` for each unit that is not finished.

    Parameters
    ----------
    client : callable
        Gives a ``distributed.Client``, any; called only when there is something to do. Results
        do not depend on its workers.
    task : callable
        Importable by the workers; it writes the unit's data, then its marker, and returns the
        marker's small result.
    job : Any
        Paths and parameters, the same for every unit; small.
    units : sequence of Unit
    markers, progress
        Of the run.
    kind : str
        What the units are, for the display: ``"cells"``, ``"slabs"``.
    on_failure : callable (unit, sentence) -> result, optional
        What a unit that broke its worker, or raised, counts as. Without it, the run ends with
        an error; so it does where a unit cannot be written, as no other could be.
    gpu : bool
        The task is faster on a GPU: where workers say that they have one (``dask worker
        --resources GPU=1``), each task claims one; where none does, all workers do.

    Returns
    -------
    dict of unit name to result, in the order of ``units``
    """
    results: dict[str, Row] = {}
    for unit in units:
        finished = markers.result(unit.stage, unit.name, unit.fingerprint)
        if finished is not None:
            results[unit.name] = finished
    if units:
        progress.stage(units[0].stage, len(units), len(results), kind)
    waiting = [unit for unit in units if unit.name not in results]
    waiting.sort(key=lambda unit: -unit.cost)
    for unit, outcome in _outcomes(client, task, job, waiting, gpu):
        if isinstance(outcome, dict):
            results[unit.name] = outcome
        elif on_failure is not None and not isinstance(outcome, StorageError):
            results[unit.name] = on_failure(unit, f"{type(outcome).__name__}: {outcome}")
        else:
            raise outcome
        progress.advance()
    progress.end_stage()
    return {unit.name: results[unit.name] for unit in units}


def _outcomes(
    get_client: Callable[[], Client],
    task: Callable[[Any, Unit], Row],
    job: Any,
    units: Sequence[Unit],
    gpu: bool,
) -> Iterator[tuple[Unit, Row | Exception]]:
    """Results as they come; a window of units at a time keeps the scheduler's memory small.

    A worker that dies takes others down that only waited there. So units that are suspected of
    it are tried again at the end, each alone: only the guilty one fails.
    """
    if not units:
        return
    from distributed import KilledWorker

    client = get_client()
    claim = _claim(client) if gpu else {}
    suspects: list[Unit] = []
    for unit, outcome in _submitted(
        client, task, job, units, window=_Window(client), suffix="together", claim=claim
    ):
        if isinstance(outcome, ResourceError) and isinstance(outcome.__cause__, KilledWorker):
            log.warning("%s %s may have ended its worker: tried again later", unit.stage, unit.name)
            suspects.append(unit)
        else:
            yield unit, outcome
    yield from _submitted(
        client, task, job, suspects, window=lambda _: 1, suffix="alone", claim=claim
    )


def _claim(client: Client) -> dict[str, float]:
    """What a task asks for that is faster on a GPU."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return {"GPU": 1.0} if any("GPU" in worker.get("resources", {}) for worker in workers) else {}


def _submitted(
    client: Client,
    task: Callable[[Any, Unit], Row],
    job: Any,
    units: Sequence[Unit],
    *,
    window: Callable[[int], int],
    suffix: str,
    claim: dict[str, float],
) -> Iterator[tuple[Unit, Row | Exception]]:
    """Each unit with its outcome as it ends; those that still run are cancelled at the end.

    What has ended meanwhile is collected at once and replaced at once, however many units that
    are: a scheduler that falls behind is asked less often, not more.
    """
    waiting = deque(units)
    flying: dict[Any, tuple[Future[Any], Unit]] = {}
    ended: SimpleQueue[Future[Any]] = SimpleQueue()
    end = f"{job.lock.token[:8]}-{suffix}"

    def fill() -> None:
        room = window(len(waiting) + len(flying)) - len(flying) if waiting else 0
        batch = [waiting.popleft() for _ in range(min(room, len(waiting)))]
        keys = [f"{unit.stage}-{unit.name}-{end}" for unit in batch]
        futures = (
            client.map(partial(task, job), batch, key=keys, pure=False, resources=claim or None)
            if batch
            else []
        )
        for key, future, unit in zip(keys, futures, batch, strict=True):
            flying[key] = (future, unit)
            future.add_done_callback(ended.put)

    try:
        fill()
        while flying:
            batch = _drained(ended)
            for future, row in zip(batch, _rows(client, batch), strict=True):
                _, unit = flying.pop(future.key)
                yield unit, _outcome(future, unit) if row is None else row
            fill()
    finally:
        if flying:
            client.cancel([future for future, _ in flying.values()], force=True)


class _Window:
    """How many units the scheduler is given at a time, of so many that have not ended.

    Three for each thread there is: over two, dask keeps them in one queue and hands the next, the
    largest, to whoever is free. But it deals out one more than a worker can run, and the last
    ones would wait behind the largest: so from four a thread on, each thread gets one at a time.

    Workers come and go, so threads are counted again, but not for every unit: that asks the
    scheduler.
    """

    def __init__(self, client: Client) -> None:
        self._client, self._threads, self._counted = client, 1, -math.inf

    def __call__(self, left: int) -> int:
        now = monotonic()
        if now - self._counted >= _PATIENCE:
            self._threads, self._counted = max(1, sum(self._client.nthreads().values())), now
        return self._threads * (3 if left > 4 * self._threads else 1)


def _drained(ended: SimpleQueue[Future[Any]]) -> list[Future[Any]]:
    """What has ended; where nothing has, wait for the first, but not for long.

    Workers may have joined meanwhile, and want work.
    """
    found: list[Future[Any]] = []
    with contextlib.suppress(Empty):
        found.append(ended.get(timeout=_PATIENCE))
        while True:
            found.append(ended.get_nowait())
    return found


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


def _outcome(future: Future[Any], unit: Unit) -> Row | Exception:
    """The task's row, or an error that says which unit and what to do."""
    from distributed import KilledWorker

    if future.status == "finished":
        row: Row = future.result()
        return row
    name = f"{unit.stage} {unit.name}"
    error = future.exception() if future.status == "error" else None
    if isinstance(error, KilledWorker):
        failure: Exception = ResourceError(
            f"{name} ended its workers, most likely for want of memory: "
            "give each more (--memory, or fewer --workers)"
        )
    elif isinstance(error, HelaDaskError):
        return error
    elif error is None:
        return ResourceError(f"{name} was {future.status} by the cluster")
    else:
        failure = RuntimeError(f"{name} failed: {type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure
