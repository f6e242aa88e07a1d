"""Requirements of every worker of a run: this version, and the same files.

Also one that joins later.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hela_dask import version as package
from hela_dask.errors import ClusterError, HelaDaskError, InputError
from hela_dask.storage.urls import StorePath, StoreUrl

if TYPE_CHECKING:
    from distributed import Client

    from hela_dask.tasks.units import Row, Unit

__all__ = [
    "CONTINUES",
    "check_workers",
    "refuse_unfit",
    "run_unit",
    "shared_paths",
    "worker_problem",
]

log = logging.getLogger(__name__)

CONTINUES = "what is finished is kept, and the same command again continues"


def worker_problem(version: str, paths: Sequence[StorePath]) -> str:
    """Why this process cannot work for a run, as the end of a sentence; empty where it can.

    `version` is that of the run's hela_dask; `paths` are absolute, the files that the run's process
    sees.
    """
    if version != package.__version__:
        return (
            f"has hela_dask {package.__version__}, the run has {version}: install the same "
            "version everywhere"
        )
    for path in paths:
        if problem := _hidden(path):
            return problem
    return ""


def _hidden(path: StorePath) -> str:
    """Why this process does not see a file or a remote store; empty where it does."""
    if isinstance(path, StoreUrl):
        try:
            return "" if path.is_dir() else f"finds no store at {path}, where the run found one"
        except HelaDaskError as error:
            return (
                f"does not reach the image ({error}): workers need a network and credentials in "
                "their own environment"
            )
    if _sees(path):
        return ""
    return (
        f"does not see {path}: put it on a file system that all workers share, under the same path"
    )


def _sees(path: Path) -> bool:
    try:
        path.stat()
    except OSError:
        return False
    return True


def _begin(version: str, paths: Sequence[StorePath]) -> str:
    """As :func:`worker_problem`; nothing is kept of remote stores that an earlier run has read."""
    for path in paths:
        if isinstance(path, StoreUrl):
            from hela_dask.storage.remote import forget

            forget(str(path))
    return worker_problem(version, paths)


def check_workers(client: Client, paths: Sequence[StorePath]) -> None:
    """Check the workers that there are; those that just left are ignored.

    An InputError names the worker and the requirement that it lacks.
    """
    here = [path.absolute() for path in paths]
    answers = client.run(_begin, package.__version__, here, on_error="return")
    for address, answer in answers.items():
        if isinstance(answer, OSError):
            log.debug("worker %s has left: %s", address, answer)
        elif isinstance(answer, Exception):
            raise InputError(
                f"worker {address} cannot use hela_dask ({type(answer).__name__}: {answer}): "
                "install it, in the same version, where the workers run"
            ) from answer
        elif answer:
            raise InputError(f"worker {address} {answer}")


def shared_paths(job: Any) -> tuple[StorePath, ...]:
    """The paths that a worker must see to compute units of a job.

    The run folder, and the image where it has one.

    A path that this process does not see is left out: its absence is no fault of a worker.
    """
    paths: list[StorePath | None] = [job.lock.path.parent, getattr(job, "store", None)]
    found = [path.absolute() for path in paths if path is not None]
    return tuple(path for path in found if isinstance(path, StoreUrl) or _sees(path))


def run_unit(
    task: Callable[..., Row],
    job: Any,
    version: str,
    paths: Sequence[StorePath],
    unit: Unit,
    *inputs: Any,
) -> Row:
    """Compute a unit, on a worker that meets the requirements.

    Workers that join during a stage were not checked at its start, and each unit would fail there
    with an error that names the image, or nothing. So `version` and `paths` are checked as by
    :func:`worker_problem`: a ClusterError names the worker and the requirement that it lacks.
    `inputs` are results of the graph for the unit; the others are as for
    :func:`~hela_dask.tasks.dispatch.run_units`.
    """
    refuse_unfit(version, paths)
    return task(job, unit, *inputs)


def refuse_unfit(version: str, paths: Sequence[StorePath] = ()) -> None:
    """Refuse to work in a process that does not meet the requirements; see :func:`worker_problem`.

    A ClusterError names the worker and the requirement that it lacks.
    """
    if problem := worker_problem(version, paths):
        from distributed import get_worker

        raise ClusterError(f"worker {get_worker().address} {problem}; {CONTINUES}")
