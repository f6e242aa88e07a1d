"""Workers on this machine."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import dask
from distributed import LocalCluster

from hela_dask.errors import ResourceError
from hela_dask.tasks.cluster.guard import UNGUARDED, lacks_main_guard
from hela_dask.tasks.cluster.keeping import Keeper, keep
from hela_dask.tasks.cluster.reading import Cluster
from hela_dask.tasks.cluster.settings import METHOD

__all__ = ["LocalWorkers", "start_local"]

log = logging.getLogger(__name__)

_TRIES = 3


class LocalWorkers(LocalCluster):
    """A local cluster that replaces workers that leave."""

    keeper: Keeper | None = None  # set once all workers have started


def start_local(cluster: Cluster, imports: Sequence[str] = ()) -> LocalWorkers:
    """Start the workers; one that ends while it starts is started again.

    `imports` are modules that workers need, imported once where workers are forked. ResourceError
    when the workers end each time.
    """
    assert cluster.workers is not None
    unguarded = lacks_main_guard()
    if unguarded:  # each worker fails alone, which a forking process would not outlive
        dask.config.set({METHOD: "spawn"})
    _import_once(imports)
    for left in reversed(range(_TRIES)):
        try:
            started = LocalWorkers(  # type: ignore[no-untyped-call]
                n_workers=cluster.workers,
                threads_per_worker=1,
                processes=True,
                memory_limit=cluster.memory,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
            )
        except RuntimeError as error:
            if unguarded:
                raise ResourceError(UNGUARDED) from error
            if not left:
                raise ResourceError(
                    f"no worker could be started: in {_TRIES} tries, a worker's process ended "
                    "while it started; look for the reason above, in the system's log, and with "
                    "fewer --workers"
                ) from error
            log.warning("a worker's process ended while it started: started again")
        else:
            started.keeper = keep(started, cluster.workers)
            return started
    raise AssertionError("unreachable")


def _import_once(modules: Sequence[str]) -> None:
    """Set the modules that the process imports from which workers are forked, before it starts."""
    from distributed.utils import get_mp_context

    context = get_mp_context()  # dask names packages itself, the first time
    if context.get_start_method() == "forkserver":
        context.set_forkserver_preload(["distributed", *modules])
