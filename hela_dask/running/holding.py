"""The locks of a run: its folder and its labels, from its start to its end."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from hela_dask.running.folders import LABELS
from hela_dask.running.identity import make_id, maker_of, owns_labels, read_id
from hela_dask.running.setup import Setup
from hela_dask.running.stages import Job
from hela_dask.storage.files import storage_errors
from hela_dask.tasks.lock import hold, hold_labels

__all__ = ["held_job"]

_FORMER = "decided"  # masks of earlier versions, which no unit reads any more


@contextlib.contextmanager
def held_job(setup: Setup) -> Iterator[Job]:
    """The job of the tasks of a run, with its locks.

    The run folder is made where it is not there, and gets its id. ExistsError where another run
    holds the folder, or writes labels where this one is to write them; StorageError where the
    folder cannot be written to.
    """
    with contextlib.ExitStack() as stack:
        with storage_errors(setup.run):
            if not setup.run.exists():
                setup.run.mkdir(parents=True)
                stack.callback(_remove_empty, setup.run)
        lock = stack.enter_context(hold(setup.run))
        shutil.rmtree(setup.run / _FORMER, ignore_errors=True)
        labels_lock = None
        if setup.options.segmenting:
            labels_lock = stack.enter_context(hold_labels(setup.owner, by=str(setup.run)))
        job = Job(
            setup.image.path.absolute(),
            setup.run.absolute(),
            setup.labels.absolute(),
            lock,
            setup.method,
            setup.parameters,
            labels_lock=labels_lock,
            id=make_id(setup.run, anew=_is_copy(setup)),
        )
        yield job


def _is_copy(setup: Setup) -> bool:
    """Whether labels that this run replaces are those of the folder that it is a copy of."""
    run_id = read_id(setup.run)
    return any(
        maker_of(target).id == run_id and not owns_labels(setup.run, run_id, target)
        for target in (setup.labels / name for name in LABELS)
        if run_id and target.exists()
    )


def _remove_empty(folder: Path) -> None:
    """Remove a folder that nothing was written into."""
    with contextlib.suppress(OSError):
        folder.rmdir()
