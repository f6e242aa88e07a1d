"""Units of work handed to a dask client a few at a time, largest first; finished ones skipped."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hela_dask.errors import ClusterError, ResourceError, StorageError, WorkerError
from hela_dask.formatting import size_text
from hela_dask.tasks.units import Row, Unit

if TYPE_CHECKING:
    from distributed import Client, KilledWorker

    from hela_dask.tasks.markers import Markers
    from hela_dask.tasks.progress import RunProgress
    from hela_dask.tasks.submission import Submission

__all__ = ["run_units"]

log = logging.getLogger(__name__)

_PAUSES = (0, 5, 15, 40)  # seconds before a unit that lost its workers is tried again, alone

Failure = Callable[["Unit", str], Row]


def run_units(
    client: Callable[[], Client],
    task: Callable[..., Row],
    job: Any,
    units: Sequence[Unit],
    *,
    markers: Markers,
    progress: RunProgress,
    kind: str,
    on_failure: Failure | None = None,
    inputs: Callable[[Unit], Sequence[Any]] | None = None,
) -> dict[str, Row]:
    """Run a stage: ``task(job, unit, *inputs)`` for each unit that is not finished.

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
        Kind of the units, for the display: ``"cells"``, ``"slabs"``.
    on_failure : callable (unit, sentence) -> result, optional
        The row of a unit that raised, or that ended its worker each time. Without it, the run ends
        with an error; so it does where a unit cannot be written, as no other could be, and where
        scheduler or workers are gone, which is no fault of the unit.
    inputs : callable (unit) -> lazy objects, optional
        Further inputs of the task of a unit: the cluster computes them first.

    Returns
    -------
    dict of unit name to result, in the order of ``units``

    Raises
    ------
    ClusterError
        When the scheduler is gone, or workers are lost again and again.
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
    if waiting:
        from hela_dask.tasks.submission import Submission

        label = f"{waiting[0].stage} ({len(units)} {kind})"
        submission = Submission(client(), task, job, markers, progress, label=label, inputs=inputs)
        for unit, outcome in _outcomes(submission, waiting, progress):
            if isinstance(outcome, dict):
                results[unit.name] = outcome
            elif on_failure is not None and not _ends_run(outcome):
                text = f"{type(outcome).__name__}: {outcome}"
                progress.fail(unit.stage, unit.name, text)
                results[unit.name] = on_failure(unit, text)
            else:
                raise outcome
            progress.advance()
    progress.end_stage()
    return {unit.name: results[unit.name] for unit in units}


def _ends_run(error: Exception) -> bool:
    """Whether an error is no fault of the unit that it came up in."""
    if isinstance(error, WorkerError):
        return False
    return isinstance(error, StorageError | ClusterError)


def _outcomes(
    submission: Submission, units: Sequence[Unit], progress: RunProgress
) -> Iterator[tuple[Unit, Row | Exception]]:
    """Results as they come.

    A worker that is lost takes down units that only waited there. So units that lost their
    workers are tried again at the end, each alone: where memory was seen to be the cause, that
    settles it; where not, workers may have been killed by something else, and the unit is tried
    again after rising pauses.
    """
    from distributed import KilledWorker

    suspects: list[Unit] = []
    for unit, outcome in submission.run(units):
        if isinstance(outcome, KilledWorker):
            log.warning("%s %s lost its workers: tried again later", unit.stage, unit.name)
            suspects.append(unit)
        else:
            yield unit, outcome
    last: dict[str, Exception] = {}
    for pause in _PAUSES:
        if pause and suspects:
            progress.info(
                f"{len(suspects)} of stage {suspects[0].stage} lost their workers again, and "
                f"memory was not seen to be the cause: next try in {pause} s"
            )
            time.sleep(pause)
        again = []
        for unit, outcome in submission.run(suspects, alone=True):
            if not isinstance(outcome, KilledWorker):
                yield unit, outcome
                continue
            if isinstance(failure := _failure(submission, unit, outcome), ResourceError):
                yield unit, failure
                continue
            last[unit.name] = failure
            again.append(unit)
        suspects = again
    for unit in suspects:
        yield unit, last[unit.name]


def _failure(submission: Submission, unit: Unit, error: KilledWorker) -> Exception:
    """The cause for which a unit lost its workers while it ran alone, as far as it was observed."""
    name, limit = f"{unit.stage} {unit.name}", error.last_worker.memory_limit
    failure: Exception
    if held := submission.memory_before(error.last_worker.address):
        failure = ResourceError(
            f"{name} ended its workers for want of memory (the last one held {size_text(held)} of "
            f"{size_text(limit)}): give each more (--memory, or fewer --workers)"
        )
    elif submission.others_lost(error):
        failure = ClusterError(
            f"workers are lost again and again, in {len(_PAUSES) + 1} tries also those that did "
            f"not run {name}: see their logs for what ends them; what is finished is kept, and "
            "the same command again continues"
        )
    else:
        failure = WorkerError(
            f"{name} ended its workers in each of {len(_PAUSES) + 1} tries, and memory was not "
            "seen to be the cause: see the workers' logs; the same command tries it again"
        )
    failure.__cause__ = error
    return failure
