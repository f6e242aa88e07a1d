"""A folder and a session for meshes that are not written in place: removed in the end.

Finished meshes stay in it when the work is interrupted, so that the same command continues.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hela_dask.errors import (
    ExistsError,
    InputError,
    NothingToDoError,
    ParameterError,
    ResourceError,
)
from hela_dask.storage.files import storage_errors
from hela_dask.tasks.cluster import Cluster
from hela_dask.tasks.lock import Lock, hold
from hela_dask.tasks.markers import Markers
from hela_dask.tasks.progress import RunProgress
from hela_dask.tasks.session import Session

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Scratch", "scratch_session"]


class Scratch(NamedTuple):
    """The objects that the tasks of a command use."""

    session: Session
    lock: Lock  # of the folder
    folder: Path  # for the results of tasks
    display: RunProgress


@contextlib.contextmanager
def scratch_session(
    source: Path, target: Path, client: Client | None, where: Cluster, *, progress: bool
) -> Iterator[Scratch]:
    """A hidden folder beside the target, held by this process, and a session on a cluster."""
    made = target.absolute().with_name(f".{target.name}.unfinished")
    with RunProgress(progress) as display, storage_errors(target):
        session = Session(
            client,
            where,
            store=source,
            run=made,
            needs=[],
            progress=display,
            begin=lambda: None,
            imports=("hela_dask.meshing.tasks",),
        )
        made.mkdir(parents=True, exist_ok=True)
        with hold(made, what=str(target)) as lock:
            display.holds = lock.holds
            try:
                with session:
                    yield Scratch(session, lock, made, display)
            except (InputError, ParameterError, NothingToDoError, ExistsError, ResourceError):
                if not _has_meshes(made):
                    shutil.rmtree(made, ignore_errors=True)
                raise
            shutil.rmtree(made, ignore_errors=True)


def _has_meshes(folder: Path) -> bool:
    """Whether meshes are finished, with which a later call continues."""
    names = Markers(folder / "done").names()
    return any(name.startswith(("mesh-", "scene-")) for name in names)
