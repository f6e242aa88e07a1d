"""Units of work handed to a dask client a few at a time, largest first; finished ones skipped."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hela_dask.errors import HelaDaskError, ResourceError

if TYPE_CHECKING:
    from distributed import Client, Future

    from hela_dask.running.markers import Markers
    from hela_dask.running.progress import RunProgress

__all__ = ["Unit", "run_units"]

log = logging.getLogger(__name__)

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
        an error.

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
    for unit, outcome in _outcomes(client, task, job, waiting):
        if isinstance(outcome, dict):
            results[unit.name] = outcome
        elif on_failure is not None:
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
) -> Iterator[tuple[Unit, Row | Exception]]:
    """Results as they come; a window of units at a time keeps the scheduler's memory small.

    A worker that dies takes others down that only waited there. So units that are suspected of
    it are tried again at the end, each alone: only the guilty one fails.
    """
    if not units:
        return
    from distributed import KilledWorker

    client = get_client()
    suspects: list[Unit] = []
    for unit, future in _futures(client, task, job, units, _window, "together"):
        if future.status == "error" and isinstance(future.exception(), KilledWorker):
            log.warning("%s %s may have ended its worker: tried again later", unit.stage, unit.name)
            suspects.append(unit)
        else:
            yield unit, _outcome(future, unit)
    for unit, future in _futures(client, task, job, suspects, lambda _: 1, "alone"):
        yield unit, _outcome(future, unit)


def _futures(
    client: Client,
    task: Callable[[Any, Unit], Row],
    job: Any,
    units: Sequence[Unit],
    window: Callable[[Client], int],
    suffix: str,
) -> Iterator[tuple[Unit, Future[Any]]]:
    """Each unit with its future as it ends; those that still run are cancelled at the end."""
    from distributed import as_completed

    waiting = deque(units)
    flying: dict[str, tuple[Future[Any], Unit]] = {}
    with client.as_current():  # which need not be dask's default one
        pool = as_completed([])

    def fill() -> None:
        while waiting and len(flying) < window(client):
            unit = waiting.popleft()
            key = f"{unit.stage}-{unit.name}-{job.lock.token[:8]}-{suffix}"
            future = client.submit(task, job, unit, key=key, pure=False)
            flying[key] = (future, unit)
            pool.add(future)

    try:
        fill()
        for future in pool:
            _, unit = flying.pop(future.key)
            yield unit, future
            fill()
    finally:
        if flying:
            client.cancel([future for future, _ in flying.values()], force=True)


def _window(client: Client) -> int:
    """Twice the threads there are now, so that none waits for the next submission."""
    return max(2, 2 * int(sum(client.nthreads().values())))


def _outcome(future: Future[Any], unit: Unit) -> Row | Exception:
    """The task's row, or an error that says which unit and what to do."""
    from distributed import KilledWorker

    if future.status == "finished":
        row: Row = future.result()
        return row
    name = f"{unit.stage} {unit.name}"
    error = future.exception() if future.status == "error" else None
    if isinstance(error, KilledWorker):
        return ResourceError(
            f"{name} ended its workers, most likely for want of memory: "
            "give each more (--memory, or fewer --workers)"
        )
    if isinstance(error, HelaDaskError):
        return error
    if error is None:
        return ResourceError(f"{name} was {future.status} by the cluster")
    failure = RuntimeError(f"{name} failed: {type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure
